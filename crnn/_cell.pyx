# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, freethreading_compatible=True
"""The compiled core: the cell forward and backward, training epochs, prediction and streams.

    h_t = tanh(x_t Wx + h_{t-1} Wh + b)          or relu; for a layer above, x_t is h_t of the layer below
    y_t = h_t Wy + by                            at every step, or after the last step
    da_t = dh_t * (1 - h_t^2)
    dWx += x_t' da_t    dWh += h_{t-1}' da_t    db += sum_rows da_t    dh_{t-1} = da_t Wh'

N samples, T timesteps, B rows of a batch, I inputs, H hidden units, O outputs, L layers, D directions.

Design decisions, with what they gain (one core of a Zen 4 at 117 GFLOP/s, float32; rows of the benchmark):

(a) A batch is split into shards. The number of rows of a shard depends on shapes alone (`shard_rows`).
    One thread runs all timesteps of a shard and writes the shard's own gradient. The gradients are
    summed in the order of the shards. So the number of threads changes no bit, and threads wait for
    each other only after each batch. Rejected: threads inside each product, which wait at every step.
(b) Weights are packed into panels once per batch and used for all T steps. x_t Wx and h_{t-1} Wh are
    one sum in registers, followed by tanh. Rejected: x Wx for all steps before the time loop. It gives
    the same bits, but writes and reads T B H more numbers.
(c) dWh is one long sum over timesteps and rows. It is taken over the last steps of BPTT while their
    states are still in the second-level cache (`chunk_steps`). On mid it reaches 97 % of the peak.
(d) A batch of one packs nothing. The sums of a row stay in registers. Even steps read Wh forwards and
    odd steps backwards, so that each begins with what the cache holds. With plain SGD the gradient is
    clipped and subtracted from the weights at once and never stored.
(e) The state before the first step is zero, so that step skips h Wh and dWh: 1/T of the work. The
    notebook's shifted gradient uses other views of the same states (`shifted`).
(f) All parameters are in one padded array. Gradients and moments have arrays of the same layout. So the
    optimiser is one pass, and clipping by norm is another one before it. Padding columns stay zero.
(g) A layer in one direction is a cell. A cell's step is one product with a term for each source: x, or
    the states of both directions below, and its own state. Backward, the sources are the next step,
    the cells above and the outputs. So layers and directions need no loop and no kernel.
(h) Rows of a batch are sorted by length, and step t runs the first `active[t]` rows. Where rows end
    inside a long sum, the remaining rows are copied together first: H copies for 2 H^2 operations.
    Rejected: zeros in the gaps, which multiplies padding.
(i) The output layer computes dot products with rows of Wy for every O, in blocks of Wy that stay in the
    first-level cache. So training, prediction and streams sum in the same order.
(j) Tokens select rows of Wx. All shards add to one gradient table, one after the other. Rejected: a
    table for each shard, whose memory grows with shards times vocabulary.
(k) Each thread updates and packs its share of the parameters. With two threads big takes 1.4 % less.
    The last thread to finish a batch decides whether a stop cancels its update. Rejected: each thread
    stops by itself, which left half an update.
"""

cimport cython
from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, Py_buffer
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, NAN, fabs, isfinite, isnan, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from crnn._primitives cimport *

import os
import threading

import numpy as np

from crnn._arguments import numeric

cdef object np_ndarray = np.ndarray
cdef object np_float32 = np.dtype(np.float32), np_float64 = np.dtype(np.float64)

ctypedef fused real:
    float
    double


# ---- the instruction set, chosen once ----

cdef const crnn_isa *isa = NULL


def available():
    """Names of the instruction sets that this machine can run, best first."""
    names = []
    while crnn_available(len(names)) != NULL:
        names.append(crnn_available(len(names)).name.decode())
    return names


cdef int choose_isa() except -1:
    global isa
    names = available()
    wanted = os.environ.get("CRNN_ISA") or names[0]
    if wanted not in names:
        raise ImportError(f"CRNN_ISA must be one of {names} on this machine, got {wanted!r}")
    isa = crnn_available(names.index(wanted))
    return 0


choose_isa()


def active():
    """Name of the instruction set in use."""
    return isa.name.decode()


# ---- the primitives, by type ----

cdef inline void pack(
    real *panels, const real *w, ptrdiff_t ldw, ptrdiff_t k, ptrdiff_t n) noexcept nogil:
    if real is float:
        isa.f32.pack(panels, w, ldw, k, n)
    else:
        isa.f64.pack(panels, w, ldw, k, n)


cdef inline void pack_transposed(
    real *panels, const real *w, ptrdiff_t ldw, ptrdiff_t k, ptrdiff_t n) noexcept nogil:
    if real is float:
        isa.f32.pack_transposed(panels, w, ldw, k, n)
    else:
        isa.f64.pack_transposed(panels, w, ldw, k, n)


cdef inline void product(
    real *out, ptrdiff_t ldo, const real *init, ptrdiff_t ldi, const crnn_term *terms, int n_terms,
    int finish, const real *h, ptrdiff_t ldh, ptrdiff_t rows, ptrdiff_t n) noexcept nogil:
    if real is float:
        isa.f32.product(out, ldo, init, ldi, terms, n_terms, finish, h, ldh, rows, n)
    else:
        isa.f64.product(out, ldo, init, ldi, terms, n_terms, finish, h, ldh, rows, n)


cdef inline void row_product(
    real *out, const real *init, const crnn_term *terms, int n_terms, int finish, const real *h,
    ptrdiff_t n, int back) noexcept nogil:
    if real is float:
        isa.f32.row_product(out, init, terms, n_terms, finish, h, n, back)
    else:
        isa.f64.row_product(out, init, terms, n_terms, finish, h, n, back)


cdef inline void row_product_transposed(
    real *out, const real *a, const real *w, ptrdiff_t ldw, int finish, const real *h, ptrdiff_t m,
    ptrdiff_t n, int back) noexcept nogil:
    if real is float:
        isa.f32.row_product_transposed(out, a, w, ldw, finish, h, m, n, back)
    else:
        isa.f64.row_product_transposed(out, a, w, ldw, finish, h, m, n, back)


cdef inline void accumulate(
    real *c, ptrdiff_t ldc, const real *a, ptrdiff_t lda, const real *b, ptrdiff_t ldb, ptrdiff_t m,
    ptrdiff_t n, ptrdiff_t k, int finish, double learning_rate, double clip,
    crnn_report *report) noexcept nogil:
    if real is float:
        isa.f32.accumulate(
            c, ldc, a, lda, b, ldb, m, n, k, finish, <float>learning_rate, <float>clip, report)
    else:
        isa.f64.accumulate(c, ldc, a, lda, b, ldb, m, n, k, finish, learning_rate, clip, report)


cdef inline void exponential(real *out, const real *x, ptrdiff_t count) noexcept nogil:
    if real is float:
        isa.f32.exp(out, x, count)
    else:
        isa.f64.exp(out, x, count)


cdef inline void logarithm(real *out, const real *x, ptrdiff_t count) noexcept nogil:
    if real is float:
        isa.f32.log(out, x, count)
    else:
        isa.f64.log(out, x, count)


cdef inline double sum_shards(
    real *g, ptrdiff_t stride, ptrdiff_t shards, ptrdiff_t rows, ptrdiff_t n,
    ptrdiff_t ld) noexcept nogil:
    if real is float:
        return isa.f32.sum(g, stride, shards, rows, n, ld)
    else:
        return isa.f64.sum(g, stride, shards, rows, n, ld)


cdef inline void update(
    real *w, real *m, real *v, const real *g, ptrdiff_t stride, ptrdiff_t shards, ptrdiff_t count,
    const crnn_rule *rule, crnn_report *report) noexcept nogil:
    if real is float:
        isa.f32.update(w, m, v, g, stride, shards, count, rule, report)
    else:
        isa.f64.update(w, m, v, g, stride, shards, count, rule, report)


cdef inline int gather(
    real *out, ptrdiff_t ldo, const crnn_source *x, const int64_t *order, ptrdiff_t first,
    ptrdiff_t rows, ptrdiff_t places, ptrdiff_t t0, ptrdiff_t timesteps, ptrdiff_t features,
    bint check) noexcept nogil:
    if real is float:
        return crnn_gather_f32(
            out, ldo, x, order, first, rows, places, t0, timesteps, features, check)
    else:
        return crnn_gather_f64(
            out, ldo, x, order, first, rows, places, t0, timesteps, features, check)


# ---- the layout in memory ----

cdef struct Cell:
    # One layer in one direction: offsets of its parameters in the flat array, and of the packed panels.
    ptrdiff_t l, d             # layer; direction, 1: backward in time
    ptrdiff_t I                # rows of Wx: inputs, or D H if there is a layer below
    int sources                # terms of the sum without the cell's own state
    ptrdiff_t Wx, b, Wh
    ptrdiff_t pWx, pWh, pWh_t
    ptrdiff_t work, rows       # forward: multiply-adds of a row; rows in one piece
    ptrdiff_t work_back, rows_back
    ptrdiff_t pWx_t            # Wx transposed, one matrix for each source below


cdef struct Layout:
    ptrdiff_t I, H, O, L, D
    ptrdiff_t bias          # 1 or 0: rows of b, which follow Wx, and of by, which follow Wy
    bint tokens             # x holds row numbers of Wx
    int finish, slope       # the nonlinearity, and its derivative
    ptrdiff_t item          # bytes of a number
    ptrdiff_t width         # of a panel
    ptrdiff_t packed_h      # H in whole panels
    ptrdiff_t ldh, ldj, ldo # padded rows of H, D H and O numbers
    ptrdiff_t lds           # rows of states: an odd number of cache lines, so that the rows of a
                            # tile do not compete for the same ways of the cache
    Cell *cells             # [L D], layer by layer
    # Offsets in the flat array, and its length. Wy is stored transposed, (O, ldj): y = h Wy is O dot
    # products, and dWy' and dh have rows as long as h. One output alone would not fill a vector.
    # Tables (Wx of tokens) come last, because all shards share one gradient of them.
    ptrdiff_t Wy, by, tables, count
    ptrdiff_t pWy_t, packed_forward, packed    # offset in the panels, and their lengths
    ptrdiff_t some_outputs  # rows of Wy that stay in the first-level cache for all rows of h


cdef ptrdiff_t padded(ptrdiff_t n, ptrdiff_t item) noexcept nogil:
    cdef ptrdiff_t line = CRNN_ROW_BYTES // item
    return (n + line - 1) // line * line


cdef enum:
    PIECE_WORK = 1 << 30   # multiply-adds between two checks for signals: about 20 ms


cdef inline ptrdiff_t piece_rows(ptrdiff_t work) noexcept nogil:
    """Rows of a cell between two checks of the stop flag: whole tiles of 12."""
    return 12 * max(1, min(20, PIECE_WORK // (12 * work)))


cdef Layout layout(
    ptrdiff_t I, ptrdiff_t H, ptrdiff_t O, ptrdiff_t L, ptrdiff_t D, bint bias, bint tokens,
    bint relu, ptrdiff_t item, Cell *cells) noexcept:
    cdef Layout at
    cdef Cell *cell
    cdef ptrdiff_t line = CRNN_ROW_BYTES // item, place = 0, panel = 0, half, c
    at.I, at.H, at.O, at.L, at.D = I, H, O, L, D
    at.bias, at.tokens, at.item, at.cells = bias, tokens, item, cells
    at.finish, at.slope = CRNN_TANH, CRNN_TANH_SLOPE
    if relu:
        at.finish, at.slope = CRNN_RELU, CRNN_RELU_SLOPE
    at.width = isa.f32.panel_width if item == 4 else isa.f64.panel_width
    half = at.width // 2
    at.packed_h = (H + at.width - 1) // at.width * at.width
    at.ldo = padded(O, item)
    at.ldh = (H + half - 1) // half * half
    at.ldj = (D * H + half - 1) // half * half
    at.lds = (padded(H, item) // line | 1) * line
    for c in range(L * D):
        cell = &cells[c]
        cell.l, cell.d = c // D, c % D
        cell.I = I if c < D else D * H
        cell.sources = <int>D if c >= D else 0 if tokens else 1
        cell.work = H * (H + cell.I)
        cell.rows = piece_rows(cell.work)
        cell.work_back = H * H * (1 + (0 if cell.l == L - 1 else D))
        cell.rows_back = piece_rows(cell.work_back)
        cell.Wx = place
        cell.b = cell.Wx + (0 if tokens and c < D else cell.I * at.ldh)
        cell.Wh = cell.b + bias * at.ldh
        place = cell.Wh + H * at.ldh
        cell.pWx = panel
        cell.pWh = cell.pWx + (0 if tokens and c < D else cell.I * at.packed_h)
        panel = cell.pWh + H * at.packed_h
    at.some_outputs = max(4, CRNN_L1_BYTES // 2 // (at.ldj * item) // 4 * 4)
    at.Wy = place
    at.by = at.Wy + O * at.ldj
    at.tables = at.count = at.by + bias * at.ldo
    if tokens:
        for c in range(D):
            cells[c].Wx = at.count
            at.count += I * at.ldh
    at.packed_forward = panel
    for c in range(L * D):
        cell = &cells[c]
        cell.pWh_t = panel
        cell.pWx_t = cell.pWh_t + H * at.packed_h
        panel = cell.pWx_t + (0 if c < D else D * H * at.packed_h)
    at.pWy_t = panel
    at.packed = at.pWy_t + D * O * at.packed_h
    return at


def zeros(count, dtype):
    """`count` zeros, aligned to a cache line, with at least one spare line after them."""
    item = np.dtype(dtype).itemsize
    raw = np.zeros(count * item + 2 * CRNN_ROW_BYTES, np.uint8)
    start = -address(raw) % CRNN_ROW_BYTES
    return raw[start : start + count * item].view(dtype)


cdef int demand(count) except -1:
    # Larger sizes exceed the memory of every machine and would overflow the offsets.
    if count >= 1 << 58:
        raise MemoryError(f"a network or batch of these sizes takes {count} numbers")
    return 0


cdef object address(array):
    return array.__array_interface__["data"][0]


cdef void *pointer(array) except? NULL:
    return <void *><size_t>address(array)


cdef const int64_t *integers(array) except? NULL:
    """The address of a contiguous int64 array; NULL for None."""
    if array is None:
        return NULL
    return <const int64_t *>pointer(array)


cdef crnn_source source(array, starts=None) except *:
    """A description of a caller's (N, T, I) array, which is not copied."""
    cdef crnn_source found
    found.data = <const char *>pointer(array)
    found.stride_n, found.stride_t, found.stride_i = array.strides
    found.starts = integers(starts)
    found.kind = ord(array.dtype.kind)
    found.item_size = array.dtype.itemsize
    found.swapped = not array.dtype.isnative
    return found


cdef class Weights:
    """The parameters of a network in one flat padded array; `arrays` are its views by name."""

    cdef Layout at
    cdef object kept
    cdef readonly object flat, arrays, dtype, input_size, hidden_size, output_size, bias
    cdef readonly object num_layers, directions, relu, tokens

    def __init__(
        self, I, H, O, bint bias, dtype, *, num_layers=1, directions=1, bint relu=False,
        bint tokens=False,
    ):
        self.dtype = np.dtype(dtype)
        self.input_size, self.hidden_size, self.output_size, self.bias = I, H, O, bool(bias)
        self.num_layers, self.directions = num_layers, directions
        self.relu, self.tokens = bool(relu), bool(tokens)
        # the packed weights are the largest allocation
        demand(directions * (I + num_layers * (2 * directions + 3) * H + 2 * O + 99) * (H + 99))
        self.kept = np.zeros(num_layers * directions * sizeof(Cell), np.uint8)
        self.at = layout(I, H, O, num_layers, directions, bias, tokens, relu, self.dtype.itemsize,
                         <Cell *>pointer(self.kept))
        self.flat = zeros(self.at.count, self.dtype)
        self.arrays = self.views(self.flat)

    def like(self):
        """Weights of the same network, all zero."""
        return Weights(
            self.input_size, self.hidden_size, self.output_size, self.bias, self.dtype,
            num_layers=self.num_layers, directions=self.directions, relu=self.relu,
            tokens=self.tokens)

    @property
    def work(self):
        """Multiply-adds of a timestep, forward, without the output layer."""
        at = self.at
        return sum(at.H * (at.H + (0 if at.tokens and c < at.D else at.cells[c].I))
                   for c in range(at.L * at.D))

    @property
    def elements(self):
        """How many parameters there are, without padding."""
        return sum(array.size for array in self.arrays.values())

    def views(self, flat, tables=None):
        """Views by name into a flat array of this layout. `tables`: the tables are in that array
        instead."""
        cdef ptrdiff_t c
        at = self.at
        def rows(start, count, ld, n):
            behind = tables is not None and start >= at.tables
            array, start = (tables, start - at.tables) if behind else (flat, start)
            return array[start : start + count * ld].reshape(count, ld)[:, :n]
        found = {}
        for c in range(at.L * at.D):
            cell = at.cells[c]
            behind = f"_l{cell.l}" + ("_reverse" if cell.d else "")
            found["Wx" + behind] = rows(cell.Wx, cell.I, at.ldh, at.H)
            found["Wh" + behind] = rows(cell.Wh, at.H, at.ldh, at.H)
            if at.bias:
                found["b" + behind] = flat[cell.b : cell.b + at.H]
        found["Wy"] = rows(at.Wy, at.O, at.ldj, at.D * at.H).T
        if at.bias:
            found["by"] = flat[at.by : at.by + at.O]
        return found

    def load(self, parameters):
        """Take the parameters from arrays by name."""
        for name, array in self.arrays.items():
            array[...] = parameters[name]

    def store(self, parameters):
        """Write the parameters into arrays by name."""
        for name, array in self.arrays.items():
            parameters[name][...] = array


cdef struct Net:
    # The weights of a network. A batch of one reads them from `flat` and has no panels (NULL). A larger
    # batch reads the packed `panels`. `zero` is a row of zeros.
    Layout at
    void *flat
    void *panels
    void *zero


cdef struct Share:
    # One thread's share of a list: every `of`-th piece, beginning with piece `number`.
    ptrdiff_t number, of, seen


cdef inline bint takes(Share *share) noexcept nogil:
    share.seen += 1
    return (share.seen - 1) % share.of == share.number


cdef void pack_weights(Net *net, bint backward, Share share, real *of_type) noexcept nogil:
    cdef Layout *at = &net.at
    cdef Cell *cell
    cdef const real *flat = <const real *>net.flat
    cdef real *panels = <real *>net.panels
    cdef ptrdiff_t c, s, o, rest
    for c in range(at.L * at.D):
        cell = &at.cells[c]
        if takes(&share):
            pack(panels + cell.pWh, flat + cell.Wh, at.ldh, at.H, at.H)
        if backward and takes(&share):
            pack_transposed(panels + cell.pWh_t, flat + cell.Wh, at.ldh, at.H, at.H)
        if (c >= at.D or not at.tokens) and takes(&share):
            pack(panels + cell.pWx, flat + cell.Wx, at.ldh, cell.I, at.H)
        for s in range(at.D if backward and c >= at.D else 0):
            if takes(&share):
                pack_transposed(panels + cell.pWx_t + s * at.H * at.packed_h,
                                flat + cell.Wx + s * at.H * at.ldh, at.ldh, at.H, at.H)
    if backward and takes(&share):
        for s in range(at.D):
            pack(panels + at.pWy_t + s * at.O * at.packed_h, flat + at.Wy + s * at.H, at.ldj, at.O, at.H)
            rest = at.H % at.width
            if at.D > 1 and rest:   # in Wy the columns of the backward state follow those of the forward state
                for o in range(at.O):
                    memset(panels + at.pWy_t + s * at.O * at.packed_h + (at.packed_h - at.width) * at.O
                           + o * at.width + rest, 0, (at.width - rest) * sizeof(real))


cdef void pack_net(Net *net, bint backward, ptrdiff_t thread, ptrdiff_t threads) noexcept nogil:
    """Pack one thread's share of the matrices into panels."""
    if net.panels != NULL:
        if net.at.item == 4:
            pack_weights(net, backward, Share(thread, threads, 0), <float *>NULL)
        else:
            pack_weights(net, backward, Share(thread, threads, 0), <double *>NULL)


# ---- the parts of this module ----

include "_team.pxi"
include "_dropout.pxi"
include "_forward.pxi"
include "_losses.pxi"
include "_training.pxi"
include "_inference.pxi"
include "_stream.pxi"


# ---- functions for Python ----

def orthonormalise(double[:, ::1] q):
    """Make the rows of q orthonormal in place (modified Gram-Schmidt).

    Every sum runs in eight lanes in one fixed order, without fused arithmetic, so that a seed gives
    the same matrix on every machine.
    """
    cdef ptrdiff_t n = q.shape[0], m = q.shape[1], i, j, k
    cdef double scale
    for i in range(n):
        PyErr_CheckSignals()
        with nogil:
            for j in range(i):
                scale = dot(&q[i, 0], &q[j, 0], m)
                for k in range(m):
                    q[i, k] -= scale * q[j, k]
            scale = 1 / sqrt(dot(&q[i, 0], &q[i, 0], m))
            for k in range(m):
                q[i, k] *= scale


cdef double dot(const double *a, const double *b, ptrdiff_t m) noexcept nogil:
    cdef double[8] lanes
    cdef ptrdiff_t k, lane, whole = m - m % 8
    memset(lanes, 0, sizeof(lanes))
    for k in range(0, whole, 8):
        for lane in range(8):
            lanes[lane] += a[k + lane] * b[k + lane]
    for k in range(whole, m):
        lanes[k - whole] += a[k] * b[k]
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + (
        (lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))


def tanh(const real[::1] x, real[::1] out):
    """out[i] = tanh(x[i]), by the kernel."""
    if out.shape[0] != x.shape[0]:
        raise ValueError(f"out must have {x.shape[0]} elements, got {out.shape[0]}")
    if x.shape[0] == 0:
        return
    with nogil:
        if real is float:
            isa.f32.tanh(&out[0], &x[0], x.shape[0])
        else:
            isa.f64.tanh(&out[0], &x[0], x.shape[0])


def exp(const real[::1] x, real[::1] out):
    """out[i] = exp(x[i]), by the kernel."""
    if out.shape[0] != x.shape[0]:
        raise ValueError(f"out must have {x.shape[0]} elements, got {out.shape[0]}")
    if x.shape[0] == 0:
        return
    with nogil:
        exponential(&out[0], &x[0], x.shape[0])


def log(const real[::1] x, real[::1] out):
    """out[i] = log(x[i]), by the kernel."""
    if out.shape[0] != x.shape[0]:
        raise ValueError(f"out must have {x.shape[0]} elements, got {out.shape[0]}")
    if x.shape[0] == 0:
        return
    with nogil:
        logarithm(&out[0], &x[0], x.shape[0])


def peak_gflops(item_size, double seconds=0.02):
    """GFLOP/s of independent fused multiply-adds in registers, the limit of the processor now."""
    cdef float[64] single
    cdef double[64] double_
    cdef double flops = 0, start, now
    cdef bint is_single = item_size == 4
    memset(single, 0, sizeof(single))
    memset(double_, 0, sizeof(double_))
    with nogil:
        start = now = crnn_seconds()
        while now - start < seconds:
            flops += isa.f32.probe_fma(single, 10000) if is_single else isa.f64.probe_fma(double_, 10000)
            now = crnn_seconds()
    return flops / (now - start) * 1e-9


def read_bandwidth(size_t nbytes, double seconds=0.02):
    """GB/s at which one thread reads a block of `nbytes` again and again."""
    cdef float[64] sink
    cdef double start, now
    cdef ptrdiff_t turns = 0, i, count = nbytes // 4
    block = zeros(count, np.float32)
    cdef const float *x = <const float *>pointer(block)
    memset(sink, 0, sizeof(sink))
    with nogil:
        start = now = crnn_seconds()
        while now - start < seconds:
            for i in range(max(1, 1000000 // count)):
                isa.f32.probe_read(sink, x, count)
                turns += 1
            now = crnn_seconds()
    return turns * nbytes / (now - start) * 1e-9
