"""The forward pass of a block of rows, for training, prediction and streams. Part of `_cell.pyx`."""


cdef struct Block:
    # Rows that run through the network together, longest first. Cell c = l D + d is layer l in direction
    # d. A cell has `slots` states: slot t + d holds the state before step t, slot t + 1 - d the state
    # after it. There are at least T + 1 slots, or two that are used in turn.
    ptrdiff_t first, rows      # positions in the order of samples
    ptrdiff_t t0, T            # step of the sequences that is step 0 of the block; steps of the longest row
    ptrdiff_t slots
    ptrdiff_t step, cell       # distance of slots and of cells, in numbers
    ptrdiff_t x_first          # the first step in x
    bint given                 # the states before the first steps are given instead of zero
    bint alternate             # a batch of one reads Wh forwards and backwards in turn
    ptrdiff_t *active          # [T + 1] how many rows have step t; 0 at the end
    crnn_term *terms           # [L D, CRNN_TERMS] terms of each cell's product: its sources, its state
    void *x                    # (steps, rows, I + bias), or the tokens (steps, rows)
    void *h                    # (L D, slots, rows, lds)
    void *top                  # (steps, rows, ldj): inputs of the output layer, both directions in one
                               # row; NULL: it reads h
    void *init                 # (rows, lds): b + Wx[token]
    void *dropped              # (L D, T, rows, lds): h with dropout, for the layer above, or NULL
    void *before               # (L D, T, rows, lds): states before each step, with recurrent dropout, or NULL


cdef inline ptrdiff_t slot_of(const Block *b, ptrdiff_t slot) noexcept nogil:
    return slot if slot < b.slots else slot & 1


cdef inline real *states(const Block *b, const Layout *at, ptrdiff_t c, ptrdiff_t slot,
                         real *of_type) noexcept nogil:
    return <real *>b.h + c * b.cell + slot_of(b, slot) * b.step


cdef inline real *seen(const Block *b, const Layout *at, ptrdiff_t c, ptrdiff_t t,
                       real *of_type) noexcept nogil:
    """The states of cell c at step t for the layer above."""
    if b.dropped != NULL:
        return <real *>b.dropped + (c * b.T + t) * b.step
    return states(b, at, c, t + 1 - at.cells[c].d, of_type)


cdef inline real *state_before(const Block *b, const Layout *at, ptrdiff_t c, ptrdiff_t t,
                               real *of_type) noexcept nogil:
    """The states of cell c before step t."""
    if b.before != NULL:
        return <real *>b.before + (c * b.T + t) * b.step
    return states(b, at, c, t + at.cells[c].d, of_type)


cdef inline ptrdiff_t rows_with_before(const Block *b, ptrdiff_t d, ptrdiff_t t) noexcept nogil:
    """Rows whose state before step t is not zero."""
    if b.given or (d == 0 and t > 0):
        return b.active[t]
    return b.active[t + 1] if d else 0


cdef inline ptrdiff_t rows_with_after(const Block *b, ptrdiff_t d, ptrdiff_t t) noexcept nogil:
    """Rows whose state after step t is used by another step of the same cell."""
    if d == 0:
        return b.active[t + 1]
    return b.active[t] if t > 0 else 0


cdef inline void embed(
    real *init, const real *tokens, const real *b, const real *table, const Layout *at,
    ptrdiff_t rows) noexcept nogil:
    # init[r] = b + Wx[token[r]]
    cdef ptrdiff_t r, j, token
    cdef const real *row
    for r in range(rows):
        token = <ptrdiff_t>tokens[r]
        if not 0 <= token < at.I:
            token = 0   # another thread may have changed x after the check
        row = table + token * at.ldh
        for j in range(at.ldh):
            init[r * at.lds + j] = b[j] + row[j]


cdef void prepare(Net *net, Block *block, real *of_type) noexcept nogil:
    """Set the weights of all forward products: the panels, or without panels the flat array. Each step
    sets what they are multiplied by."""
    cdef Layout *at = &net.at
    cdef Cell *own
    cdef crnn_term *terms
    cdef ptrdiff_t c, i, k
    for c in range(at.L * at.D):
        own = &at.cells[c]
        terms = block.terms + c * CRNN_TERMS
        for i in range(own.sources + 1):
            k = at.H if own.l > 0 or i == own.sources else at.I
            if net.panels == NULL:
                terms[i].w = <const real *>net.flat + (
                    own.Wh if i == own.sources else own.Wx + i * at.H * at.ldh)
                terms[i].ldw = at.ldh
            else:
                terms[i].w = <const real *>net.panels + (
                    own.pWh if i == own.sources else own.pWx + i * at.H * at.width)
                terms[i].ldw = at.H if i == own.sources else own.I
            terms[i].lda = at.lds
            terms[i].k = k


cdef inline void prepare_block(Net *net, Block *block) noexcept nogil:
    if net.at.item == 4:
        prepare(net, block, <float *>NULL)
    else:
        prepare(net, block, <double *>NULL)


cdef inline void cell(
    Net *net, Block *block, ptrdiff_t c, ptrdiff_t t, ptrdiff_t r, ptrdiff_t rows, bint before,
    ptrdiff_t ldx, real *of_type) noexcept nogil:
    """h_t = tanh(x_t Wx + h_{t-1} Wh + b) for rows r, r + 1, ... of a cell; `before`: h_{t-1} is not zero."""
    cdef Layout *at = &net.at
    cdef Cell *own = &at.cells[c]
    cdef crnn_term *terms = block.terms + c * CRNN_TERMS
    cdef const real *b = <const real *>net.flat + own.b if at.bias else <const real *>net.zero
    cdef const real *x = <const real *>block.x + ((t - block.x_first) * block.rows + r) * ldx
    cdef ptrdiff_t ldi = 0, s, first = r * at.lds
    cdef int n_terms = own.sources
    cdef real *h_t = states(block, at, c, t + 1 - own.d, of_type) + first
    if own.l > 0:
        for s in range(at.D):
            terms[s].a = seen(block, at, (own.l - 1) * at.D + s, t, of_type) + first
    elif at.tokens:
        embed(<real *>block.init, x, b, <const real *>net.flat + own.Wx, at, rows)
        b, ldi = <const real *>block.init, at.lds
    else:
        terms[0].a, terms[0].lda = x, ldx
    if before:
        terms[n_terms].a = state_before(block, at, c, t, of_type) + first
        n_terms += 1
    if net.panels == NULL:
        row_product(h_t, b, terms, n_terms, at.finish, <const real *>NULL, at.H,
                    t & 1 if block.alternate else 0)
    else:
        product(h_t, at.lds, b, ldi, terms, n_terms, at.finish, <const real *>NULL, 0, rows, at.H)


cdef inline void output(
    real *y, const real *h, ptrdiff_t ldh, Net *net, ptrdiff_t rows) noexcept nogil:
    """y = h Wy + by. A row of h holds the states of both directions."""
    cdef Layout *at = &net.at
    cdef const real *Wy = <const real *>net.flat + at.Wy
    cdef const real *by = <const real *>net.flat + at.by
    cdef ptrdiff_t r, o, done = 0
    while done < at.O:
        for r in range(rows):
            row_product_transposed(y + r * at.ldo + done, h + r * ldh, Wy + done * at.ldj, at.ldj,
                                   CRNN_LINEAR, <const real *>NULL, min(at.some_outputs, at.O - done),
                                   at.D * at.H, 0)
        done += at.some_outputs
    if at.bias:
        for r in range(rows):
            for o in range(at.O):
                y[r * at.ldo + o] += by[o]


cdef inline void join(
    real *out, const Block *b, const Layout *at, ptrdiff_t slot, ptrdiff_t back_slot, ptrdiff_t r,
    ptrdiff_t rows, real *of_type) noexcept nogil:
    """Copy the last layer's states of both directions into one row, for rows r, r + 1, ...."""
    cdef ptrdiff_t i, c = (at.L - 1) * at.D
    for i in range(r, r + rows):
        memcpy(out + i * at.ldj, states(b, at, c, slot, of_type) + i * at.lds,
               at.H * sizeof(real))
        if at.D > 1:
            memcpy(out + i * at.ldj + at.H,
                   states(b, at, c + 1, back_slot, of_type) + i * at.lds, at.H * sizeof(real))


cdef class Forward(Team):
    """The forward pass of samples through a network, in blocks of rows."""

    cdef Net net
    cdef Weights weights
    cdef crnn_source x
    cdef const int64_t *order      # order of samples; NULL: 0, 1, 2, ...
    cdef const int64_t *lengths    # steps of each sample; NULL: all have T
    cdef object kept
    cdef ptrdiff_t N, T, ldx
    cdef const char *h0            # (L D, N, H), contiguous, or NULL
    cdef Dropout dropout, recurrent_dropout
    cdef readonly Py_ssize_t workspace_bytes

    def __init__(self, Weights weights not None, x, int threads, order=None, h0=None):
        super().__init__(threads)
        at = weights.at
        if x.features != (1 if at.tokens else at.I):
            raise ValueError(f"x with {x.features} features is not of this network")
        self.weights, self.net.at = weights, at
        self.net.flat = pointer(weights.flat)
        self.x = source(x.array, x.starts)
        self.N, self.T = len(x), x.steps
        self.lengths, self.order = integers(x.lengths), integers(order)
        if h0 is not None:
            self.h0 = <const char *>pointer(h0)
        self.kept = [weights, x, order, h0]
        self.workspace_bytes = 0
        self.net.zero = self.keep(max(at.ldh, at.ldj, at.ldo))

    cdef object kept_zeros(self, count):
        demand(count)
        array = zeros(count, self.weights.dtype)
        self.workspace_bytes += array.nbytes
        self.kept.append(array)
        return array

    cdef void *keep(self, count) except? NULL:
        return pointer(self.kept_zeros(count))

    cdef int make_block(
        self, Block *block, ptrdiff_t rows, ptrdiff_t steps, ptrdiff_t x_steps, ptrdiff_t slots,
        ptrdiff_t tops) except -1:
        """Allocate a block for `rows` rows of `steps` steps, with inputs of `x_steps` steps and `top` of
        `tops` steps."""
        at = self.net.at
        memset(block, 0, sizeof(Block))
        active = np.zeros(steps + 1, np.intp)
        self.kept.append(active)
        self.workspace_bytes += active.nbytes
        block.active = <ptrdiff_t *>pointer(active)
        terms = np.zeros(at.L * at.D * CRNN_TERMS * sizeof(crnn_term), np.uint8)
        self.kept.append(terms)
        block.terms = <crnn_term *>pointer(terms)
        block.slots = slots
        x = self.kept_zeros(<object>x_steps * rows * self.ldx)
        if self.ldx > at.I:
            x.reshape(-1, self.ldx)[:, -1] = 1  # an input of 1, whose weight is b
        block.x = pointer(x)
        block.h = self.keep(<object>at.L * at.D * slots * rows * at.lds)
        if tops:
            block.top = self.keep(<object>tops * rows * at.ldj)
        if at.tokens:
            block.init = self.keep(rows * at.lds)
        return 0

    cdef inline int64_t sample(self, ptrdiff_t place) noexcept nogil:
        return self.order[place] if self.order != NULL else place

    cdef inline ptrdiff_t length(self, ptrdiff_t place) noexcept nogil:
        return self.lengths[self.sample(place)] if self.lengths != NULL else self.T

    cdef void open(
        self, Block *b, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t t0, ptrdiff_t most) noexcept nogil:
        """Begin a block: `rows` rows from position `first` on, at most `most` of their steps from t0 on."""
        cdef ptrdiff_t t
        while rows > 0 and self.length(first + rows - 1) <= t0:
            rows -= 1
        b.first, b.rows, b.t0, b.x_first = first, rows, t0, 0
        b.step = rows * self.net.at.lds
        b.cell = b.slots * b.step
        b.T = min(most, self.length(first) - t0) if rows else 0
        b.given = False
        for t in range(b.T):
            while self.length(first + rows - 1) - t0 <= t:
                rows -= 1
            b.active[t] = rows
        b.active[b.T] = 0


cdef bint read_inputs(
    Forward run, Block *b, ptrdiff_t begin, ptrdiff_t end, bint check, bint main, real *of_type) noexcept nogil:
    """Read the inputs of steps [begin, end) into x; False if one is not finite, or on a stop."""
    cdef Layout *at = &run.net.at
    cdef ptrdiff_t features = 1 if at.tokens else at.I, t = begin, stop
    b.x_first = begin
    while t < end:
        stop = min(end, t + max(1, 65536 // (b.active[t] * features)))
        while b.active[stop - 1] < b.active[t]:   # steps with the same number of rows
            stop -= 1
        if not gather(<real *>b.x + (t - begin) * b.rows * run.ldx, run.ldx, &run.x, run.order,
                      b.first, b.active[t], b.rows, b.t0 + t, stop - t, features, check):
            return False
        if stopped(&run.watch, main, (stop - t) * b.active[t] * features):
            return False
        t = stop
    return True


cdef void begin_states(Forward run, Block *b, real *of_type) noexcept nogil:
    """Set the states before the first steps from h0, if it is given."""
    cdef Layout *at = &run.net.at
    cdef ptrdiff_t c, r, slot
    if run.h0 == NULL:
        return
    b.given = True
    for c in range(at.L * at.D):
        for r in range(b.rows):
            slot = run.length(b.first + r) - b.t0 if at.cells[c].d else 0
            memcpy(states(b, at, c, slot, of_type) + r * at.lds,
                   <const real *>run.h0 + (c * run.N + run.sample(b.first + r)) * at.H,
                   at.H * sizeof(real))


cdef bint take_step(
    Forward run, Block *b, ptrdiff_t c, ptrdiff_t t, bint main, real *of_type) noexcept nogil:
    """Run step t of a cell, in pieces of rows with a check for signals between them.

    -> whether to stop."""
    cdef Layout *at = &run.net.at
    cdef Cell *own = &at.cells[c]
    cdef ptrdiff_t n = b.active[t], m = rows_with_before(b, own.d, t), r = 0, piece
    if b.before != NULL:
        drop_rows(run, <real *>b.before + (c * b.T + t) * b.step,
                  states(b, at, c, t + own.d, of_type), b, 0, m, c, RECURRENT, 0)
    while r < n:
        piece = min(own.rows, (m if r < m else n) - r)
        cell(&run.net, b, c, t, r, piece, r < m, run.ldx, of_type)
        if stopped(&run.watch, main, piece * own.work):
            return True
        r += piece
    if b.dropped != NULL and c < (at.L - 1) * at.D:
        drop_rows(run, <real *>b.dropped + (c * b.T + t) * b.step,
                  states(b, at, c, t + 1 - own.d, of_type), b, 0, n, c, BETWEEN, b.t0 + t)
    return False


cdef void drop_rows(
    Forward run, real *out, const real *h, Block *b, ptrdiff_t r, ptrdiff_t rows, ptrdiff_t c,
    int kind, ptrdiff_t step) noexcept nogil:
    """out = h * mask for rows r, r + 1, ... of cell c."""
    cdef Layout *at = &run.net.at
    cdef ptrdiff_t i
    cdef const Dropout *dropout = &run.recurrent_dropout if kind == RECURRENT else &run.dropout
    for i in range(rows):
        drop(out + i * at.lds, h + i * at.lds, at.H, dropout, kind, run.sample(b.first + r + i),
             2 * at.cells[c].l + at.cells[c].d, step)


cdef bint run_layers(Forward run, Block *b, bint main, real *of_type) noexcept nogil:
    """Run all steps of all cells, cell by cell. -> whether to stop."""
    cdef ptrdiff_t c, t
    for c in range(run.net.at.L * run.net.at.D):
        for t in range(b.T):
            if take_step(run, b, c, b.T - 1 - t if run.net.at.cells[c].d else t, main, of_type):
                return True
    return False
