"""Streams: a network that runs one step at a time. Part of `_cell.pyx`."""


cdef class Stream:
    """A network that runs one step at a time and keeps its state between calls.

    h_t = tanh(x_t Wx + h_{t-1} Wh + b) and y_t = h_t Wy + by, with the weights that the model had when
    the stream was made. The outputs have the bits of ``RNN.predict`` on the same sequence. Only one
    thread at a time may use a stream.

    ``RNN.stream(batch_size=1)`` makes one.

    Attributes
    ----------
    state : ndarray, shape (batch_size, H), or (L, batch_size, H) of several layers
        The hidden states, zero at first. Reading and assigning copy.

    Examples
    --------
    >>> import crnn
    >>> stream = crnn.RNN(1, 8, 1, seed=0).stream()
    >>> stream.step(0.5).shape
    (1, 1)
    """

    cdef Net net
    cdef Block block
    cdef ptrdiff_t[2] active
    cdef Weights weights
    cdef object kept, empty, shape, dtype, h
    cdef ptrdiff_t rows
    cdef bint odd
    cdef void *y

    def __cinit__(self, Weights weights not None, batch_size):
        at = self.net.at = weights.at
        demand(batch_size * (at.I + at.ldo + (2 * at.L + 2) * at.lds))
        self.weights, self.rows, self.dtype = weights, batch_size, weights.dtype
        self.kept = []
        self.empty, self.shape = np.empty, (batch_size, at.O)
        self.net.flat = pointer(weights.flat)
        self.net.zero = self.keep(max(at.ldh, at.ldo))
        self.y = self.keep(batch_size * at.ldo)
        self.active[0], self.active[1] = batch_size, 0
        self.block.rows, self.block.slots, self.block.given = batch_size, 2, True
        self.block.step = batch_size * at.lds
        self.block.cell = 2 * self.block.step
        self.block.active = self.active
        self.block.x = self.keep(batch_size * (1 if at.tokens else at.I))
        if at.tokens:
            self.block.init = self.keep(batch_size * at.lds)
        h = zeros(2 * at.L * batch_size * at.lds, self.dtype)
        self.block.h = pointer(h)
        self.h = h.reshape(at.L, 2, batch_size, at.lds)
        if batch_size > 1:
            self.net.panels = self.keep(at.packed_forward)
            pack_net(&self.net, False, 0, 1)
        terms = np.zeros(at.L * CRNN_TERMS * sizeof(crnn_term), np.uint8)
        self.kept.append(terms)
        self.block.terms = <crnn_term *>pointer(terms)
        prepare_block(&self.net, &self.block)

    cdef void *keep(self, ptrdiff_t count) except? NULL:
        array = zeros(count, self.dtype)
        self.kept.append(array)
        return pointer(array)

    def step(self, x_t):
        """Take one timestep and give its output.

        Parameters
        ----------
        x_t : array_like, shape (batch_size, I)
            With a batch of one also (I,), and with one input besides a plain number. Of a network
            of tokens integers, (batch_size,), and with a batch of one also a plain integer.

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
        if self.net.at.item == 4:
            self.take_step(x_t, y_t, <float *>NULL)
        else:
            self.take_step(x_t, y_t, <double *>NULL)
        return y_t

    cdef int take_step(self, x_t, y_t, real *of_type) except -1:
        cdef Layout *at = &self.net.at
        cdef Block *b = &self.block
        cdef real *y = <real *>self.y
        cdef real *h
        cdef Py_buffer view
        cdef ptrdiff_t r, l
        self.read_input(x_t, <real *>b.x)  # may run Python code, which may step this stream
        b.x_first = self.odd   # the step is 0 or 1
        for l in range(at.L):
            cell(&self.net, b, l, self.odd, 0, self.rows, True, 1 if at.tokens else at.I, of_type)
        h = states(b, at, at.L - 1, self.odd + 1, of_type)
        output(y, h, at.lds, &self.net, self.rows)
        PyObject_GetBuffer(y_t, &view, PyBUF_WRITABLE)
        for r in range(self.rows):
            memcpy(<real *>view.buf + r * at.O, y + r * at.ldo, at.O * sizeof(real))
        PyBuffer_Release(&view)
        self.odd = not self.odd
        return 0

    cdef int read_token(self, x_t, real *x) except -1:
        cdef ptrdiff_t r
        array = numeric("x_t", x_t)
        if array.dtype.kind not in "iu":
            raise TypeError(f"x_t must hold integers, got an array of dtype {array.dtype}")
        if array.shape != (self.rows,) and (self.rows > 1 or array.shape != ()):
            raise ValueError(f"x_t must have shape {(self.rows,)}, got {array.shape}")
        tokens = array.ravel().tolist()
        for token in tokens:
            if not 0 <= token < self.net.at.I:
                raise ValueError(
                    f"x_t must hold integers in [0, {self.net.at.I - 1}], got {token}")
        for r in range(self.rows):
            x[r] = <real><ptrdiff_t>tokens[r]
        return 0

    cdef int read_input(self, x_t, real *x) except -1:
        # floats and native float arrays are read here (0.4 us a step at H = 100), everything else through
        # NumPy (2 us)
        cdef Py_buffer view
        cdef ptrdiff_t i, r, I = self.net.at.I, count = self.rows * I
        cdef bint plain = False
        cdef const char *number
        cdef float single
        cdef double full
        cdef real poison = 0
        if self.net.at.tokens:
            return self.read_token(x_t, x)
        if type(x_t) is np_ndarray:
            if x_t.dtype is np_float32 or x_t.dtype is np_float64:
                PyObject_GetBuffer(x_t, &view, PyBUF_STRIDES)
                plain = (view.ndim in (1, 2) and view.shape[view.ndim - 1] == I
                         and self.rows == (view.shape[0] if view.ndim == 2 else 1))
                for r in range(self.rows if plain else 0):
                    for i in range(I):
                        number = <const char *>view.buf + i * view.strides[view.ndim - 1]
                        if view.ndim == 2:
                            number += r * view.strides[0]
                        if view.itemsize == 4:
                            memcpy(&single, number, 4)  # no number need be aligned
                            x[r * I + i] = <real>single
                        else:
                            memcpy(&full, number, 8)
                            x[r * I + i] = <real>full
                PyBuffer_Release(&view)
        elif isinstance(x_t, float) and count == 1:
            x[0] = <real><double>x_t
            plain = True
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
        if shape != (self.rows, self.net.at.I):
            if self.rows > 1 or shape != (self.net.at.I,) and not (shape == () and self.net.at.I == 1):
                raise ValueError(self.wrong_shape(shape))
            array = array.reshape(1, self.net.at.I)
        array = array[:, None, :]
        data = source(array)
        gather(x, self.net.at.I, &data, NULL, 0, self.rows, self.rows, 0, 1, self.net.at.I, False)
        return 0

    cdef object wrong_shape(self, shape):
        return f"x_t must have shape {(self.rows, self.net.at.I)}, got {tuple(shape)}"

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
            states[..., index.astype(np.intp) if index.dtype.kind != "b" else index, :] = 0
        except IndexError:
            raise ValueError(f"rows must index {self.rows} rows, got {rows!r}") from None

    @property
    def batch_size(self):
        """The number of sequences that run together."""
        return self.rows

    @property
    def state(self):
        """Hidden states, (batch_size, H) or (L, batch_size, H). Reading gives a copy; assign to set."""
        return self.states().copy()

    @state.setter
    def state(self, value):
        array, live = numeric("state", value), self.states()
        if array.shape not in (live.shape, (self.net.at.L, self.rows, self.net.at.H)):
            raise ValueError(f"state must have shape {live.shape}, got {array.shape}")
        with np.errstate(over="ignore", under="ignore"):
            states = array.astype(self.dtype).reshape(live.shape)
        if not np.isfinite(states).all():
            raise ValueError("state must hold finite numbers, got NaN or infinity")
        live[...] = states

    def copy(self):
        """A copy with the same weights and state. The two streams are independent."""
        other = Stream(self.weights, self.rows)
        other.state = self.state
        return other

    def __reduce__(self):
        # by name: how far rows are padded in the flat array depends on the instruction set
        w = self.weights
        settings = (w.input_size, w.hidden_size, w.output_size, w.bias, w.dtype, w.num_layers,
                    w.directions, w.relu, w.tokens)
        arrays = {name: array.copy() for name, array in w.arrays.items()}
        return restored_stream, (settings, arrays, self.rows), self.state

    def __setstate__(self, state):
        self.state = state

    cdef object states(self):
        # a view of the states, (batch_size, H) for one layer, else (L, batch_size, H)
        live = self.h[:, 1 if self.odd else 0, :, : self.net.at.H]
        return live[0] if self.net.at.L == 1 else live


def restored_stream(settings, arrays, batch_size):
    """A stream of these weights, with zero states: what a pickle calls."""
    I, H, O, bias, dtype, num_layers, directions, relu, tokens = settings
    weights = Weights(I, H, O, bias, dtype, num_layers=num_layers, directions=directions,
                      relu=relu, tokens=tokens)
    weights.load(arrays)
    return Stream(weights, batch_size)
