"""An epoch of training: shards, BPTT, clipped updates. Part of `_cell.pyx`."""

cdef enum:
    MAX_SHARDS = 16
    SGD = 0
    ADAM = 1
    NONE = 2   # the sum of the gradients is wanted, not an update


cdef ptrdiff_t shard_rows(ptrdiff_t batch, ptrdiff_t H) noexcept nogil:
    """Rows of a shard: a matter of shapes alone, since it decides the order of sums."""
    # 32 rows pay where the weights leave the caches (H 512: 889 against 909 ms on wide) and where a
    # step is so short that its overhead shows (H 32: 3.5 against 3.7 ms on small); between, 16 give
    # more threads work and lose nothing.
    cdef ptrdiff_t rows = 32 if H <= 64 or H >= 512 else 16
    cdef ptrdiff_t pieces = max(1, min((batch + rows - 1) // rows, MAX_SHARDS))
    return (batch + pieces - 1) // pieces


def shards(batch, H):
    """Into how many shards a batch is cut."""
    cdef ptrdiff_t rows = shard_rows(batch, H)
    return (batch + rows - 1) // rows


cdef ptrdiff_t chunk_steps(ptrdiff_t rows, ptrdiff_t T, ptrdiff_t row_bytes) noexcept nogil:
    """Timesteps of BPTT before their part of dWh is summed: da fills half of the second-level cache, at
    least 128 rows of it."""
    return min(T, max(128 // rows, CRNN_L2_BYTES // 2 // (row_bytes * rows), 1))


cdef enum:
    PIECE_WORK = 1 << 30   # multiply-adds that a signal may have to wait for: some 20 ms


cdef ptrdiff_t piece_rows(const Layout *at) noexcept nogil:
    """Rows that go through the cell between two looks at the stop flag: whole tiles of 12."""
    return 12 * max(1, min(20, PIECE_WORK // (12 * at.H * (at.H + at.I))))


cdef struct Desk:
    # what one thread works on: x (T, rows, I + bias), states (T + 2, rows, lds) from the one before
    # the first, da (chunk + 1, rows, lds), y and its targets (rows, ldo and O)
    void *x
    void *h
    void *da
    void *y
    void *target


cdef class Training(Team):
    """Batches of one data set through one network: everything an epoch needs, allocated at once."""

    cdef Layout at
    cdef Weights weights
    cdef crnn_source x, y
    cdef object kept
    cdef ptrdiff_t N, T, B, rows, shards, chunk, ldx, stride
    cdef bint mean, shifted, by_row
    cdef int optimizer
    cdef double learning_rate, clip
    cdef double beta1_power, beta2_power
    cdef object order_array
    cdef const int64_t *order
    cdef Desk *desks
    cdef void *flat
    cdef void *panels
    cdef void *gradients
    cdef void *m
    cdef void *v
    cdef void *zero
    cdef double losses[MAX_SHARDS]
    cdef crnn_report report
    cdef double loss_sum, last_loss
    cdef ptrdiff_t bad_batch, batch
    cdef readonly Py_ssize_t workspace_bytes
    cdef readonly object gradient

    def __init__(
        self, Weights weights not None, x, y, ptrdiff_t batch_size, int threads, *, optimizer="sgd",
        double learning_rate=0.01, clip=None, bint mean=True, bint shifted=False,
    ):
        super().__init__(threads)
        self.weights, self.at = weights, weights.at
        if y.shape != (len(x), self.at.O) or x.shape[2] != self.at.I:
            raise ValueError(f"x {x.shape} and y {y.shape} are not of this network")
        self.x, self.y = source(x), source(y[:, None, :])
        self.N, self.T = x.shape[0], x.shape[1]
        self.B = min(batch_size, self.N)
        self.mean, self.shifted = mean, shifted
        self.optimizer = {"sgd": SGD, "adam": ADAM, None: NONE}[optimizer]
        self.learning_rate = learning_rate
        self.clip = INFINITY if clip is None else clip
        self.beta1_power = self.beta2_power = 1
        self.by_row = self.B == 1
        # the last, shorter batch of an epoch may have longer shards
        self.rows = max(shard_rows(self.B, self.at.H), shard_rows(self.N % self.B, self.at.H))
        self.shards = (self.B + shard_rows(self.B, self.at.H) - 1) // shard_rows(self.B, self.at.H)
        self.chunk = self.T if self.by_row else chunk_steps(
            self.rows, self.T, self.at.lds * self.at.item)
        self.ldx = self.at.I + self.at.bias
        self.stride = padded(self.at.count, self.at.item) + CRNN_ROW_BYTES // self.at.item
        self.kept = [x, y]
        self.flat = pointer(weights.flat)
        self.workspace_bytes = 0
        self.allocate()

    cdef object keep(self, ptrdiff_t count):
        array = zeros(count, self.weights.dtype)
        self.workspace_bytes += array.nbytes
        self.kept.append(array)
        return array

    cdef int allocate(self) except -1:
        cdef int i
        cdef Desk *desk
        at = self.at
        demand((<object>self.T + 2) * self.rows * (self.ldx + at.lds + at.O + at.ldo))
        desks = np.zeros(self.threads * sizeof(Desk), np.uint8)
        self.kept.append(desks)
        self.desks = <Desk *>pointer(desks)
        for i in range(self.threads):
            desk = &self.desks[i]
            x = self.keep(self.T * self.rows * self.ldx)
            if at.bias:
                x.reshape(-1, self.ldx)[:, -1] = 1  # the input that b is the weight of
            desk.x = pointer(x)
            desk.h = pointer(self.keep((self.T + 2) * self.rows * at.lds))
            desk.da = pointer(self.keep((self.chunk + 1) * self.rows * at.lds))
            desk.y = pointer(self.keep(self.rows * at.ldo))
            desk.target = pointer(self.keep(self.rows * at.O))
        self.zero = pointer(self.keep(max(at.ldh, at.ldo)))
        if not self.by_row:
            self.panels = pointer(self.keep(at.packed))
        if not self.by_row or self.optimizer != SGD:
            gradients = self.keep(self.shards * self.stride)
            self.gradients = pointer(gradients)
            self.gradient = self.weights.views(gradients)
        if self.optimizer == ADAM:
            self.m = pointer(self.keep(at.count))
            self.v = pointer(self.keep(at.count))
        return 0

    def begin_epoch(self, order=None):
        """Before the threads run an epoch: its order of samples (int64, contiguous) or None."""
        self.begin()
        self.order_array, self.order = order, NULL
        if order is not None:
            self.order = <const int64_t *>pointer(order)
        self.loss_sum = self.last_loss = 0
        self.bad_batch = self.batch = 0
        self.report.clipped = self.report.poison = 0
        with nogil:
            self.pack()

    cdef void part(self, int thread) noexcept nogil:
        if self.at.item == 4:
            self.epoch(thread, <float *>NULL)
        else:
            self.epoch(thread, <double *>NULL)

    def end_epoch(self):
        """-> (sum over samples of the loss, last batch's loss, clipped elements, batches done,
        first bad batch or 0)."""
        return self.loss_sum, self.last_loss, self.report.clipped, self.batch, self.bad_batch

    cdef void pack(self) noexcept nogil:
        if self.panels != NULL:
            if self.at.item == 4:
                pack_weights(<float *>self.panels, <const float *>self.flat, &self.at, True)
            else:
                pack_weights(<double *>self.panels, <const double *>self.flat, &self.at, True)

    cdef void epoch(self, int thread, real *of_type) noexcept nogil:
        cdef ptrdiff_t batch, begin, size, rows, shards, s
        cdef double scale
        cdef long generation
        for batch in range((self.N + self.B - 1) // self.B):
            generation = crnn_load(&self.generation)
            begin = batch * self.B
            size = min(self.B, self.N - begin)
            rows = shard_rows(size, self.at.H)
            shards = (size + rows - 1) // rows
            scale = 1.0 / (size * self.at.O) if self.mean else 0.5
            s = self.take()
            while s < shards:
                self.losses[s] = self.shard(
                    &self.desks[thread], begin + s * rows, min(rows, size - s * rows),
                    <real *>self.gradients + s * self.stride, scale, thread == 0)
                s = self.take()
            if stopped(&self.watch, thread == 0, 1000):
                return
            if self.last_to_arrive():
                self.end_batch(size, shards, of_type)
                self.let_go()
            elif not self.wait(generation, thread == 0):
                return
            if self.bad_batch:
                return

    cdef double shard(
        self, Desk *desk, ptrdiff_t first, ptrdiff_t rows, real *g, double scale,
        bint main) noexcept nogil:
        # -> this shard's part of the batch's loss; its gradient goes to g, or with a batch of one and
        # SGD straight into the weights
        cdef Layout *at = &self.at
        cdef const real *flat = <const real *>self.flat
        cdef const real *panels = <const real *>self.panels
        cdef const real *zero = <const real *>self.zero
        cdef real *x = <real *>desk.x
        cdef real *y = <real *>desk.y
        cdef real *da = <real *>desk.da
        cdef ptrdiff_t step = rows * at.lds, xstep = rows * self.ldx, T = self.T
        # states[t] and states[t + 1] stand before and after step t; one more place in front of them
        cdef real *states = <real *>desk.h + step
        cdef real *last = states + T * step
        # what BPTT takes for the states before and after step t: before + t * step, after + t * step
        cdef real *before = states
        cdef real *after = states + step
        cdef ptrdiff_t from_step = 1     # the state before step 0 is zero: nothing to add to dWh
        cdef ptrdiff_t t, begin, end
        cdef bint direct = self.by_row and self.optimizer == SGD
        cdef int finish
        cdef real one = 1
        cdef double loss
        cdef const int64_t *order = self.order + first if self.order != NULL else NULL

        t = 0
        while t < T:
            end = min(T, t + max(1, 65536 // (rows * at.I)))
            gather(x + t * xstep, self.ldx, &self.x, order, first, rows, t, end - t, at.I,
                   False)  # `fit` has looked whether all of it is finite
            if stopped(&self.watch, main, (end - t) * rows * at.I):
                return 0
            t = end
        gather(<real *>desk.target, at.O, &self.y, order, first, rows, 0, 1, at.O, False)

        for t in range(T):
            if self.forward_step(
                    states + (t + 1) * step, x + t * xstep, states + t * step if t else NULL, rows,
                    t & 1, main):
                return 0
        output(y, last, flat, zero, at, rows)
        loss = squared_error(y, <const real *>desk.target, at, rows, scale)   # y is dy from here

        if self.shifted:
            # the notebook pairs step t with the states before steps t and t - 1, and at t = 0 with
            # the last state
            memcpy(states - step, last, step * sizeof(real))
            before, after, from_step = states - step, states, 0
        if direct:
            g = <real *>self.flat

        end = T
        while end > 0:
            begin = max(0, end - self.chunk)
            if end < T:
                memcpy(da + self.chunk * step, da, step * sizeof(real))
            for t in range(end - 1, begin - 1, -1):
                if t == T - 1:
                    output_backward(da + (t - begin) * step, y, after + t * step, flat, panels,
                                    zero, at, rows)
                elif self.backward_step(
                        da + (t - begin) * step,
                        da + (self.chunk if t == end - 1 else t + 1 - begin) * step,
                        after + t * step, rows, t & 1, main):
                    return 0
            # over the chunk: dWh += h_{t-1}' da_t; dWx += x_t' da_t, with db in its last row
            t = max(begin, from_step)
            finish = CRNN_DESCEND if direct else CRNN_STORE if end == T else CRNN_ADD
            self.long_sum(g + at.Wh, before + t * step, at.lds, da + (t - begin) * step, at.H,
                          (end - t) * rows, finish, main)
            self.long_sum(g + at.Wx, x + begin * xstep, self.ldx, da, self.ldx,
                          (end - begin) * rows, finish, main)
            end = begin
        # dWy' = dy' h_T    dby = sum_rows dy
        finish = CRNN_DESCEND if direct else CRNN_STORE
        accumulate(g + at.Wy, at.ldh, y, at.ldo, last, at.lds, at.O, at.H, rows, finish,
                   self.learning_rate, self.clip, &self.report)
        if at.bias:
            accumulate(g + at.by, at.ldo, &one, 0, y, at.ldo, 1, at.O, rows, finish,
                       self.learning_rate, self.clip, &self.report)
        return loss

    # A step of very many rows, or a sum of very many, goes in pieces, so that a signal need not wait
    # for all of it. The pieces of a sum are a matter of shapes alone.

    cdef bint forward_step(
        self, real *h_t, const real *x_t, const real *h_before, ptrdiff_t rows, bint back,
        bint main) noexcept nogil:
        # -> whether to stop
        cdef Layout *at = &self.at
        cdef ptrdiff_t r = 0, piece = piece_rows(at)
        while r < rows:
            piece = min(piece, rows - r)
            cell(h_t + r * at.lds, x_t + r * self.ldx, self.ldx,
                 h_before + r * at.lds if h_before != NULL else NULL, <const real *>self.flat,
                 <const real *>self.panels, <const real *>self.zero, at, piece, back)
            if stopped(&self.watch, main, piece * at.H * (at.H + at.I)):
                return True
            r += piece
        return False

    cdef bint backward_step(
        self, real *da, const real *da_next, const real *after, ptrdiff_t rows, bint back,
        bint main) noexcept nogil:
        # -> whether to stop
        cdef Layout *at = &self.at
        cdef ptrdiff_t r = 0, piece = piece_rows(at)
        while r < rows:
            piece = min(piece, rows - r)
            cell_backward(da + r * at.lds, da_next + r * at.lds, after + r * at.lds,
                          <const real *>self.flat, <const real *>self.panels,
                          <const real *>self.zero, at, piece, back)
            if stopped(&self.watch, main, piece * at.H * at.H):
                return True
            r += piece
        return False

    cdef void long_sum(
        self, real *c, const real *a, ptrdiff_t lda, const real *da, ptrdiff_t m, ptrdiff_t k,
        int finish, bint main) noexcept nogil:
        cdef Layout *at = &self.at
        cdef ptrdiff_t done = 0, piece
        while True:
            # a descent is whole or not at all
            piece = k if finish == CRNN_DESCEND else min(
                k - done, min(2048, max(128, PIECE_WORK // (m * at.H))))
            accumulate(c, at.ldh, a + done * lda, lda, da + done * at.lds, at.lds, m, at.H, piece,
                       finish, self.learning_rate, self.clip, &self.report)
            done += piece
            if done == k or stopped(&self.watch, main, piece * m * at.H):
                return
            finish = CRNN_ADD

    cdef void end_batch(self, ptrdiff_t size, ptrdiff_t shards, real *of_type) noexcept nogil:
        # the last thread of a batch: the loss, the sum of the shards, the update
        cdef real *w = <real *>self.flat
        cdef real *g = <real *>self.gradients
        cdef double loss = 0, rate, correction
        cdef ptrdiff_t s
        for s in range(shards):
            loss += self.losses[s]
        if self.optimizer == NONE:
            if real is float:
                isa.f32.sum(g, self.stride, shards, self.at.count)
            else:
                isa.f64.sum(g, self.stride, shards, self.at.count)
        elif self.optimizer == ADAM:
            self.beta1_power *= 0.9
            self.beta2_power *= 0.999
            rate = self.learning_rate / (1 - self.beta1_power)
            correction = sqrt(1 - self.beta2_power)
            if real is float:
                isa.f32.adam(w, <float *>self.m, <float *>self.v, g, self.stride, shards,
                             self.at.count, <float>rate, <float>correction, 0.9, 0.999,
                             <float>1e-8, <float>self.clip, &self.report)
            else:
                isa.f64.adam(w, <double *>self.m, <double *>self.v, g, self.stride, shards,
                             self.at.count, rate, correction, 0.9, 0.999, 1e-8, self.clip,
                             &self.report)
        elif not self.by_row:
            if real is float:
                isa.f32.sgd(w, g, self.stride, shards, self.at.count, <float>self.learning_rate,
                            <float>self.clip, &self.report)
            else:
                isa.f64.sgd(w, g, self.stride, shards, self.at.count, self.learning_rate,
                            self.clip, &self.report)
        self.batch += 1
        self.last_loss = loss
        self.loss_sum += loss * size
        # the notebook (whose loss is a sample's, no mean) goes on
        if self.mean and (not isfinite(loss) or self.report.poison != 0):
            self.bad_batch = self.batch
        self.pack()
