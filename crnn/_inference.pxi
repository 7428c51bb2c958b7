"""Prediction in blocks of rows, and checks of data. Part of `_cell.pyx`."""


def first_unfit(samples, dtype, double low, double high, bint missing):
    """(sample, step) of the first number that is not finite in dtype or not in [low, high]; None if
    there is none. With `missing`, NaN passes.

    One pass, a part of a sample at a time: nothing of the data's size is made.
    """
    cdef crnn_source data = source(samples.array, samples.starts)
    cdef const int64_t *lengths = integers(samples.lengths)
    cdef ptrdiff_t N = len(samples), T = samples.steps, I = samples.features
    cdef ptrdiff_t most = max(1, min(T, 16384 // I)), n, t, length, some, bad = -1, at = -1
    cdef bint single = np.dtype(dtype).itemsize == 4, bounded = not (low == -INFINITY == -high)
    cdef Team team = Team(1)
    part = zeros(most * I, dtype)
    cdef void *out = pointer(part)
    team.begin()
    with nogil:
        for n in range(N):
            t, length = 0, lengths[n] if lengths != NULL else T
            while t < length:
                some = min(most, length - t)
                if single:
                    at = unfit(<float *>out, &data, n, t, some, I, bounded, low, high, missing)
                else:
                    at = unfit(<double *>out, &data, n, t, some, I, bounded, low, high, missing)
                if at >= 0 or stopped(&team.watch, True, some * I + 10):
                    break
                t += some
            if at >= 0 or crnn_load(&team.watch.stop):
                bad = n
                break
    team.finish()
    return None if at < 0 else (bad, t + at // I)


cdef ptrdiff_t unfit(
    real *out, const crnn_source *data, ptrdiff_t n, ptrdiff_t t, ptrdiff_t steps, ptrdiff_t I,
    bint bounded, double low, double high, bint missing) noexcept nogil:
    cdef ptrdiff_t i
    if gather(out, I, data, NULL, n, 1, 1, t, steps, I, True) and not bounded:
        return -1
    for i in range(steps * I):
        if not (isfinite(out[i]) and low <= out[i] <= high or missing and isnan(out[i])):
            return i
    return -1


def valid_counts(samples, ptrdiff_t chunk, bint classes):
    """How many numbers of each sample and chunk of steps are not missing, (N, C). NaN is missing, for
    classes a negative number."""
    cdef crnn_source data = source(samples.array, samples.starts)
    cdef const int64_t *lengths = integers(samples.lengths)
    cdef ptrdiff_t N = len(samples), T = samples.steps, I = samples.features, n, t, i
    cdef ptrdiff_t chunks = (T + chunk - 1) // chunk
    cdef double *out
    cdef int64_t *count
    counts, row = np.zeros((N, chunks), np.int64), zeros(I, np.float64)
    out, count = <double *>pointer(row), <int64_t *>pointer(counts)
    with nogil:
        for n in range(N):
            for t in range(lengths[n] if lengths != NULL else T):
                gather(out, I, &data, NULL, n, 1, 1, t, 1, I, False)
                for i in range(I):
                    count[n * chunks + t // chunk] += out[i] >= 0 if classes else not isnan(out[i])
    return counts


cdef enum:
    BLOCK_BYTES = 4 << 20   # states of a block if all steps are kept


cdef class Prediction(Forward):
    """Outputs, states and last states of samples. Each thread takes one block of rows after another.

    Every number is one sum in one order, whatever the number of rows. So row i of a batch has the bits of
    row i alone. The results go into the given contiguous arrays of the weights' type: `y` (rows, O),
    after the last step of each sample or with `every` at every step; `states` (rows, D H) at every
    step; `last` (L D, N, H). `starts` gives the first row of each sample in `states`, and with `every` in
    `y`; None means row n T for sample n.
    """

    cdef ptrdiff_t rows, steps
    cdef bint every
    cdef char *y
    cdef char *h
    cdef char *last
    cdef const int64_t *starts
    cdef Block *own
    cdef void **outs
    cdef crnn_atomic bad

    def __init__(
        self, Weights weights not None, x, int threads, *, y=None, states=None, last=None,
        bint every=False, starts=None, order=None, h0=None,
    ):
        super().__init__(weights, x, threads, order, h0)
        at = self.net.at
        for array, columns in ((y, at.O), (states, at.D * at.H), (last, at.H)):
            if array is not None and (array.dtype != weights.dtype or array.shape[array.ndim - 1] != columns):
                raise ValueError(
                    f"wanted {columns} columns of {weights.dtype}, got {array.shape} of {array.dtype}")
        if y is not None and not every and len(y) != len(x):
            raise ValueError(f"wanted a row of y for each of {len(x)} samples, got {y.shape}")
        self.every, self.starts = every, integers(starts)
        self.y = NULL if y is None else <char *>pointer(y)
        self.h = NULL if states is None else <char *>pointer(states)
        self.last = NULL if last is None else <char *>pointer(last)
        self.kept += [y, states, last, starts]
        self.ldx = 1 if at.tokens else at.I
        # whole tiles of AVX-512 and AVX2 have 12 rows; the states of 48 rows fit into the first-level cache
        self.rows = min(48, self.N, ((self.N + threads - 1) // threads + 11) // 12 * 12)
        if at.D > 1:
            self.rows = min(self.rows, max(
                12, BLOCK_BYTES // (self.T * (self.ldx + at.L * at.D * at.lds) * at.item) // 12 * 12))
        self.bad = -1
        # timesteps that are read at once take at most half of the first-level cache
        self.steps = self.T if at.D > 1 else max(
            1, min(self.T, CRNN_L1_BYTES // 2 // (self.rows * self.ldx * at.item)))
        own = np.zeros(threads * sizeof(Block), np.uint8)
        outs = np.zeros(threads * sizeof(void *), np.uint8)
        self.kept += [own, outs]
        self.own, self.outs = <Block *>pointer(own), <void **>pointer(outs)
        for i in range(threads):
            self.make_block(&self.own[i], self.rows, self.T, self.steps,
                            2 if at.D == 1 else self.T + 1, 1)
            self.outs[i] = self.keep(self.rows * at.ldo)
        if self.N > 1:
            self.net.panels = self.keep(at.packed_forward)
            pack_net(&self.net, False, 0, 1)
        for i in range(threads):
            prepare_block(&self.net, &self.own[i])
        self.begin()

    cdef void part(self, int thread) noexcept nogil:
        if self.net.at.item == 4:
            self.blocks(thread, <float *>NULL)
        else:
            self.blocks(thread, <double *>NULL)

    def end(self):
        """-> the index of a sample that is not finite, or None."""
        bad = crnn_load(&self.bad)
        return None if bad < 0 else bad

    cdef void blocks(self, int thread, real *of_type) noexcept nogil:
        cdef Layout *at = &self.net.at
        cdef Block *b = &self.own[thread]
        cdef bint main = thread == 0
        cdef ptrdiff_t block = self.take(), first, t, l
        while block * self.rows < self.N:
            first = block * self.rows
            self.open(b, first, min(self.rows, self.N - first), 0, self.T)
            begin_states(self, b, of_type)
            if at.D > 1:
                if not self.inputs(b, 0, b.T, main, of_type) or run_layers(self, b, main, of_type):
                    return
                for t in range(b.T):
                    self.store_step(thread, t, of_type)
            else:
                for t in range(b.T):
                    if t % self.steps == 0 and not self.inputs(
                            b, t, min(b.T, t + self.steps), main, of_type):
                        return
                    for l in range(at.L):
                        if take_step(self, b, l, t, main, of_type):
                            return
                    self.store_step(thread, t, of_type)
            if self.y != NULL and not self.every:
                self.store_outputs(thread, b.top, at.ldj, 0, 0, b.rows, of_type)
            block = self.take()

    cdef bint inputs(
        self, Block *b, ptrdiff_t begin, ptrdiff_t end, bint main, real *of_type) noexcept nogil:
        # False on a stop, or if a number is not finite
        cdef ptrdiff_t r
        if read_inputs(self, b, begin, end, True, main, of_type):
            return True
        if crnn_load(&self.watch.stop):
            return False
        # the last row is not checked again: another thread may have changed x since
        r = 0
        while r < b.rows - 1 and gather(
                <real *>b.x, self.ldx, &self.x, self.order, b.first + r, 1, 1, begin,
                min(end, self.length(b.first + r)) - begin, 1 if self.net.at.tokens else self.net.at.I,
                True):
            r += 1
        crnn_store(&self.bad, self.sample(b.first + r))
        crnn_store(&self.watch.stop, 1)
        return False

    cdef void store_step(self, int thread, ptrdiff_t t, real *of_type) noexcept nogil:
        """Write the results of step t: states, outputs and last states."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &self.own[thread]
        cdef ptrdiff_t n = b.active[t], stay = b.active[t + 1], c, d, r, row
        cdef real *joined = <real *>b.top
        if self.every or self.h != NULL:
            join(joined, b, at, t + 1, t, 0, n, of_type)
            for r in range(n if self.h != NULL else 0):
                row = self.row(b.first + r) + t
                memcpy(<real *>self.h + row * at.D * at.H, joined + r * at.ldj,
                       at.D * at.H * sizeof(real))
            if self.every and self.y != NULL:
                self.store_outputs(thread, joined, at.ldj, t, 0, n, of_type)
        elif stay < n:
            join(joined, b, at, t + 1, 0, stay, n - stay, of_type)
        if self.last != NULL:
            for c in range(at.L * at.D):
                d = at.cells[c].d
                for r in range(0 if d else stay, n if d == 0 or t == 0 else 0):
                    memcpy(<real *>self.last + (c * self.N + self.sample(b.first + r)) * at.H,
                           states(b, at, c, t + 1 - d, of_type) + r * at.lds,
                           at.H * sizeof(real))

    cdef inline ptrdiff_t row(self, ptrdiff_t place) noexcept nogil:
        cdef ptrdiff_t n = self.sample(place)
        return self.starts[n] if self.starts != NULL else n * self.T

    cdef void store_outputs(
        self, int thread, const void *h, ptrdiff_t ldh, ptrdiff_t t, ptrdiff_t r, ptrdiff_t end,
        real *of_type) noexcept nogil:
        """Write the outputs of rows r to end into y."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &self.own[thread]
        cdef real *y = <real *>self.outs[thread]
        cdef ptrdiff_t i, row
        output(y, <const real *>h + r * ldh, ldh, &self.net, end - r)
        for i in range(r, end):
            row = self.row(b.first + i) + t if self.every else self.sample(b.first + i)
            memcpy(<real *>self.y + row * at.O, y + (i - r) * at.ldo, at.O * sizeof(real))
