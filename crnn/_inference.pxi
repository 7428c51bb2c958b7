"""Prediction in blocks of rows, the finiteness of data, and streams. Part of `_cell.pyx`."""


def first_not_finite(x, dtype):
    """Index of the first sample of x (N, T, I) with a number that is not finite in dtype, or None.

    One pass, a part of a sample at a time: nothing of the data's size is made.
    """
    cdef crnn_source data = source(x)
    cdef ptrdiff_t N = x.shape[0], T = x.shape[1], I = x.shape[2]
    cdef ptrdiff_t steps = max(1, min(T, 16384 // I)), n, t, bad = -1
    cdef bint single = np.dtype(dtype).itemsize == 4, good
    cdef Team team = Team(1)
    part = zeros(steps * I, dtype)
    cdef void *out = pointer(part)
    team.begin()
    with nogil:
        for n in range(N):
            t = 0
            while t < T and bad < 0:
                if single:
                    good = gather(<float *>out, I, &data, NULL, n, 1, t, min(steps, T - t), I, True)
                else:
                    good = gather(<double *>out, I, &data, NULL, n, 1, t, min(steps, T - t), I, True)
                if not good:
                    bad = n
                t += steps
                if stopped(&team.watch, True, steps * I + 10):
                    break
            if bad >= 0 or crnn_load(&team.watch.stop):
                break
    team.finish()
    return None if bad < 0 else bad


cdef struct Block:
    # what one thread predicts with: x (steps, rows, I), the states before and after a step
    # (2, rows, lds), and y (rows, ldo)
    void *x
    void *h
    void *y


cdef class Prediction(Team):
    """predict(x) -> y (N, O), in blocks of rows that threads take in turn.

    Every number is one chain of sums in one order, however many rows stand beside it, so row i of a
    batch has the bits of row i alone.
    """

    cdef Layout at
    cdef crnn_source x
    cdef object kept
    cdef ptrdiff_t N, T, rows, steps
    cdef void *flat
    cdef void *panels
    cdef void *zero
    cdef void *y
    cdef Block *own
    cdef crnn_atomic bad

    def __init__(self, Weights weights not None, x, y, int threads):
        super().__init__(threads)
        at = self.at = weights.at
        if y.shape != (len(x), at.O) or y.dtype != weights.dtype or x.shape[2] != at.I:
            raise ValueError(f"no room in y {y.shape} of {y.dtype} for the outputs of x {x.shape}")
        self.x = source(x)
        self.N, self.T = x.shape[0], x.shape[1]
        self.flat, self.y = pointer(weights.flat), pointer(y)
        # rows in twelves, whole tiles of AVX-512 and AVX2; 48 and their states stay in the
        # first-level cache
        self.rows = min(48, self.N, ((self.N + threads - 1) // threads + 11) // 12 * 12)
        self.bad = -1
        self.kept = [x, y, weights]
        # timesteps that are gathered at once: they take half of the first-level cache at most
        self.steps = max(1, min(self.T, CRNN_L1_BYTES // 2 // (self.rows * at.I * at.item)))
        own = np.zeros(threads * sizeof(Block), np.uint8)
        self.kept.append(own)
        self.own = <Block *>pointer(own)
        for i in range(threads):
            self.own[i].x = self.keep(self.steps * self.rows * at.I)
            self.own[i].h = self.keep(2 * self.rows * at.lds)
            self.own[i].y = self.keep(self.rows * at.ldo)
        self.zero = self.keep(max(at.ldh, at.ldo))
        if self.N > 1:
            self.panels = self.keep(at.packed)
            if at.item == 4:
                pack_weights(<float *>self.panels, <const float *>self.flat, &self.at, False)
            else:
                pack_weights(<double *>self.panels, <const double *>self.flat, &self.at, False)
        self.begin()

    cdef void *keep(self, ptrdiff_t count) except? NULL:
        array = zeros(count, np.float32 if self.at.item == 4 else np.float64)
        self.kept.append(array)
        return pointer(array)

    cdef void part(self, int thread) noexcept nogil:
        if self.at.item == 4:
            self.blocks(thread, <float *>NULL)
        else:
            self.blocks(thread, <double *>NULL)

    def end(self):
        """-> index of a sample with a number that is not finite, or None."""
        bad = crnn_load(&self.bad)
        return None if bad < 0 else bad

    cdef void blocks(self, int thread, real *of_type) noexcept nogil:
        cdef Layout *at = &self.at
        cdef real *x = <real *>self.own[thread].x
        cdef real *h = <real *>self.own[thread].h
        cdef real *y = <real *>self.own[thread].y
        cdef real *h_t
        cdef real *h_before
        cdef ptrdiff_t block = self.take(), first, rows, t, steps, r
        while block * self.rows < self.N:
            first = block * self.rows
            rows = min(self.rows, self.N - first)
            h_before = NULL
            for t in range(self.T):
                if t % self.steps == 0:
                    steps = min(self.steps, self.T - t)
                    if not gather(x, at.I, &self.x, NULL, first, rows, t, steps, at.I, True):
                        r = 0  # the last row without a look: another thread may have mended x
                        while r < rows - 1 and gather(x, at.I, &self.x, NULL, first + r, 1, t, steps,
                                                      at.I, True):
                            r += 1
                        crnn_store(&self.bad, first + r)
                        crnn_store(&self.watch.stop, 1)
                        return
                h_t = h if h_before != h else h + self.rows * at.lds
                cell(h_t, x + t % self.steps * rows * at.I, at.I, h_before,
                     <const real *>self.flat, <const real *>self.panels, <const real *>self.zero,
                     at, rows, False)
                h_before = h_t
                if stopped(&self.watch, thread == 0, rows * at.H * (at.H + at.I)):
                    return
            output(y, h_before, <const real *>self.flat, <const real *>self.zero, at, rows)
            for r in range(rows):
                memcpy(<real *>self.y + (first + r) * at.O, y + r * at.ldo, at.O * sizeof(real))
            block = self.take()


cdef class Stream:
    """A network run one step at a time: its state stays between calls.

    h_t = tanh(x_t Wx + h_{t-1} Wh + b) and y_t = h_t Wy + by, with the weights that the model had when
    the stream was made. Stepping through a sequence gives the bits of ``RNN.predict`` on it.
    A stream belongs to one thread at a time.

    Made by ``RNN.stream(batch_size=1)``.

    Attributes
    ----------
    state : ndarray, shape (batch_size, H)
        The hidden states. Reading gives a copy; assigning copies, zeros at first.

    Examples
    --------
    >>> import crnn
    >>> stream = crnn.RNN(1, 8, 1, seed=0).stream()
    >>> stream.step(0.5).shape
    (1, 1)
    """

    cdef Layout at
    cdef Weights weights
    cdef object kept, empty, shape, dtype
    cdef ptrdiff_t rows
    cdef bint odd
    cdef void *flat
    cdef void *panels
    cdef void *zero
    cdef void *x
    cdef void *y
    cdef void *h

    def __cinit__(self, Weights weights not None, batch_size):
        at = self.at = weights.at
        demand(batch_size * (at.I + at.ldo + 2 * at.lds))
        self.weights, self.rows, self.dtype = weights, batch_size, weights.dtype
        self.kept = []
        self.empty, self.shape = np.empty, (batch_size, at.O)
        self.flat = pointer(weights.flat)
        self.zero = self.keep(max(at.ldh, at.ldo))
        self.x = self.keep(batch_size * at.I)
        self.y = self.keep(batch_size * at.ldo)
        self.h = self.keep(2 * batch_size * at.lds)
        if batch_size > 1:
            self.panels = self.keep(at.packed)
            if at.item == 4:
                pack_weights(<float *>self.panels, <const float *>self.flat, &self.at, False)
            else:
                pack_weights(<double *>self.panels, <const double *>self.flat, &self.at, False)

    cdef void *keep(self, ptrdiff_t count) except? NULL:
        array = zeros(count, self.dtype)
        self.kept.append(array)
        return pointer(array)

    def step(self, x_t):
        """Take one timestep and give its output.

        Parameters
        ----------
        x_t : array_like, shape (batch_size, I)
            With a batch of one also (I,), and with one input besides a plain number.

        Returns
        -------
        y_t : ndarray, shape (batch_size, O)
            A new array of the model's dtype.

        Raises
        ------
        TypeError
            If x_t does not hold real integers or floats.
        ValueError
            If x_t has another shape or a number that is not finite; the state is as it was.
        """
        y_t = self.empty(self.shape, self.dtype)
        if self.at.item == 4:
            self.take_step(x_t, y_t, <float *>NULL)
        else:
            self.take_step(x_t, y_t, <double *>NULL)
        return y_t

    cdef int take_step(self, x_t, y_t, real *of_type) except -1:
        cdef real *x = <real *>self.x
        cdef real *y = <real *>self.y
        cdef real *before
        cdef real *after
        cdef Py_buffer view
        cdef ptrdiff_t r
        self.read_input(x_t, x)  # may run Python, and so a step of this very stream
        before = <real *>self.h + (self.rows * self.at.lds if self.odd else 0)
        after = <real *>self.h + (0 if self.odd else self.rows * self.at.lds)
        cell(after, x, self.at.I, before, <const real *>self.flat,
             <const real *>self.panels, <const real *>self.zero, &self.at, self.rows, False)
        output(y, after, <const real *>self.flat, <const real *>self.zero, &self.at, self.rows)
        PyObject_GetBuffer(y_t, &view, PyBUF_WRITABLE)
        for r in range(self.rows):
            memcpy(<real *>view.buf + r * self.at.O, y + r * self.at.ldo, self.at.O * sizeof(real))
        PyBuffer_Release(&view)
        self.odd = not self.odd
        return 0

    cdef int read_input(self, x_t, real *x) except -1:
        # a float and native arrays of both types are read here (0.4 us a step at H = 100), all else
        # through NumPy (2 us)
        cdef Py_buffer view
        cdef ptrdiff_t i, count = self.rows * self.at.I
        cdef bint plain = False
        cdef const char *number
        cdef float single
        cdef double full
        cdef real poison = 0
        if isinstance(x_t, float):
            if count != 1:
                raise ValueError(self.wrong_shape(()))
            x[0] = <real><double>x_t
        else:
            if type(x_t) is np_ndarray and (x_t.dtype is np_float32 or x_t.dtype is np_float64):
                PyObject_GetBuffer(x_t, &view, PyBUF_STRIDES)
                plain = (view.ndim in (1, 2) and view.shape[view.ndim - 1] == self.at.I
                         and self.rows == (view.shape[0] if view.ndim == 2 else 1))
                if plain:
                    for i in range(count):
                        number = <const char *>view.buf + i % self.at.I * view.strides[view.ndim - 1]
                        if view.ndim == 2:
                            number += i // self.at.I * view.strides[0]
                        if view.itemsize == 4:
                            memcpy(&single, number, 4)  # no number need be aligned
                            x[i] = <real>single
                        else:
                            memcpy(&full, number, 8)
                            x[i] = <real>full
                PyBuffer_Release(&view)
            if not plain:
                self.convert_input(x_t, x)
        for i in range(count):
            poison += x[i] * 0
        if poison != 0:
            raise ValueError("x_t must hold finite numbers, got NaN or infinity")
        return 0

    cdef int convert_input(self, x_t, real *x) except -1:
        cdef crnn_source data
        array = numeric("x_t", x_t)
        shape = array.shape
        if shape != (self.rows, self.at.I):
            if self.rows > 1 or shape != (self.at.I,) and not (shape == () and self.at.I == 1):
                raise ValueError(self.wrong_shape(shape))
            array = array.reshape(1, self.at.I)
        array = array[:, None, :]
        data = source(array)
        gather(x, self.at.I, &data, NULL, 0, self.rows, 0, 1, self.at.I, False)
        return 0

    cdef object wrong_shape(self, shape):
        return f"x_t must have shape {(self.rows, self.at.I)}, got {tuple(shape)}"

    def reset(self, rows=None):
        """Set the state to zero: all of it, or that of the rows named by an index or a mask."""
        states = self.states()
        if rows is None:
            states[...] = 0
            return
        index = np.asarray(rows)
        if index.dtype.kind not in "biu" and index.size:
            raise TypeError(f"rows must be indices or a mask of rows, got {rows!r}")
        expected = (self.rows,) if index.dtype.kind == "b" else index.shape
        if index.ndim > 1 or index.shape != expected:
            raise ValueError(f"rows must be one index for each of {self.rows} rows, got {rows!r}")
        try:
            states[index.astype(np.intp) if index.dtype.kind != "b" else index] = 0
        except IndexError:
            raise ValueError(f"rows must index {self.rows} rows, got {rows!r}") from None

    @property
    def batch_size(self):
        """How many sequences run side by side."""
        return self.rows

    @property
    def state(self):
        """Hidden states, (batch_size, H): a copy; assign to set them."""
        return self.states().copy()

    @state.setter
    def state(self, value):
        array = numeric("state", value)
        if array.shape != (self.rows, self.at.H):
            raise ValueError(
                f"state must have shape {(self.rows, self.at.H)}, got {array.shape}")
        if first_not_finite(array[:, None, :], self.dtype) is not None:
            raise ValueError("state must hold finite numbers, got NaN or infinity")
        self.states()[...] = array

    def copy(self):
        """A second stream with the same weights and, from here on, a state of its own."""
        other = Stream(self.weights, self.rows)
        other.state = self.state
        return other

    cdef object states(self):
        # the live state as an array
        both = self.kept[3].reshape(2, self.rows, self.at.lds)
        return both[1 if self.odd else 0, :, : self.at.H]
