# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, freethreading_compatible=True
"""The tanh cell, forward and backward, and what runs it: epochs of training, prediction, streams.

    h_t = tanh(x_t Wx + h_{t-1} Wh + b)
    y   = h_T Wy + by
    da_t = dh_t * (1 - h_t^2)
    dWx += x_t' da_t    dWh += h_{t-1}' da_t    db += sum_rows da_t    dh_{t-1} = da_t Wh'

Letters as everywhere: N samples, T timesteps, B rows of a batch, I inputs, H hidden units, O outputs.

What was chosen, and what it buys (one core of a Zen 4 at 117 GFLOP/s, float32; rows of the benchmark):

(a) A batch is cut into shards whose rows depend on shapes alone (`shard_rows`). A shard runs all its
    timesteps alone, into its own gradient; the gradients are summed in the shards' order. So threads
    share nothing but a counter and meet once per batch, and the number of threads changes no bit.
    Rejected: threads inside each product (a meeting per timestep waits for a preempted core).
(b) Weights are packed in panels once per batch and used for all T steps; x_t Wx and h_{t-1} Wh are one
    chain of sums in registers, with tanh behind it. Rejected: x Wx for all steps before the time
    loop, which writes and reads T B H numbers more and gives the same bits.
(c) dWh is one long sum over timesteps and rows, taken over the last steps of BPTT while their states
    are still in the second-level cache (`chunk_steps`): mid 97 % of the multipliers' peak there.
(d) A batch of one packs nothing: the row vector's sums stay in registers, Wh is walked forth on even
    steps and back on odd ones (what the cache kept is used first), and with SGD a gradient is clipped
    and subtracted from the weights without ever being stored.
(e) The state before the first step is zero, so that step has no h Wh, and its dWh is skipped: 1/T of
    the work. The notebook's shifted gradient is other views of the same states (`shifted`).
(f) All parameters lie in one padded array, gradients and moments in arrays of the same layout: the
    optimiser is one pass over it. Padding columns are zeros and stay zeros.
"""

cimport cython
from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, Py_buffer
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, fabs, isfinite, sqrt
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
    """Names of the instruction sets that may run here, best first."""
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


cdef inline int gather(
    real *out, ptrdiff_t ldo, const crnn_source *x, const int64_t *order, ptrdiff_t first,
    ptrdiff_t rows, ptrdiff_t t0, ptrdiff_t timesteps, ptrdiff_t features,
    bint check) noexcept nogil:
    if real is float:
        return crnn_gather_f32(out, ldo, x, order, first, rows, t0, timesteps, features, check)
    else:
        return crnn_gather_f64(out, ldo, x, order, first, rows, t0, timesteps, features, check)


# ---- where everything lies ----

cdef struct Layout:
    ptrdiff_t I, H, O
    ptrdiff_t bias          # 1 or 0: rows of b, which stand behind those of Wx (and of by, behind Wy)
    ptrdiff_t item          # bytes of a number
    ptrdiff_t ldh, ldo      # padded rows of H and of O numbers
    ptrdiff_t lds           # rows of states: an odd number of cache lines, so that the rows of a
                            # tile do not compete for the same ways of the cache
    # Offsets in the flat array, and its length. Wy stands there transposed, (O, ldh): y = h Wy is O
    # dot products, dWy' and dh are rows as long as h, and one output does not fill a vector alone.
    ptrdiff_t Wx, b, Wh, Wy, by, count
    ptrdiff_t pWx, pWh, pWh_t, pWy_t, packed   # offsets in the panels, and their length


cdef ptrdiff_t padded(ptrdiff_t n, ptrdiff_t item) noexcept nogil:
    cdef ptrdiff_t line = CRNN_ROW_BYTES // item
    return (n + line - 1) // line * line


cdef Layout layout(ptrdiff_t I, ptrdiff_t H, ptrdiff_t O, bint bias, ptrdiff_t item) noexcept:
    cdef Layout at
    cdef ptrdiff_t line = CRNN_ROW_BYTES // item
    cdef ptrdiff_t width = isa.f32.panel_width if item == 4 else isa.f64.panel_width
    cdef ptrdiff_t wide_h = (H + width - 1) // width * width
    at.I, at.H, at.O, at.bias, at.item = I, H, O, bias, item
    at.ldo = padded(O, item)
    at.ldh = (H + width // 2 - 1) // (width // 2) * (width // 2)
    at.lds = (padded(H, item) // line | 1) * line
    at.Wx = 0
    at.b = at.Wx + I * at.ldh
    at.Wh = at.b + bias * at.ldh
    at.Wy = at.Wh + H * at.ldh
    at.by = at.Wy + O * at.ldh
    at.count = at.by + bias * at.ldo
    at.pWx = 0
    at.pWh = at.pWx + I * wide_h
    at.pWh_t = at.pWh + H * wide_h
    at.pWy_t = at.pWh_t + H * wide_h
    at.packed = at.pWy_t + O * wide_h
    return at


def zeros(count, dtype):
    """`count` zeros that begin on a cache line, with a line to spare behind them."""
    item = np.dtype(dtype).itemsize
    raw = np.zeros(count * item + 2 * CRNN_ROW_BYTES, np.uint8)
    start = -address(raw) % CRNN_ROW_BYTES
    return raw[start : start + count * item].view(dtype)


cdef int demand(count) except -1:
    # Sizes beyond any machine's memory would overflow the arithmetic of offsets.
    if count >= 1 << 58:
        raise MemoryError(f"a network or batch of these sizes takes {count} numbers")
    return 0


cdef object address(array):
    return array.__array_interface__["data"][0]


cdef void *pointer(array) except? NULL:
    return <void *><size_t>address(array)


cdef crnn_source source(array) except *:
    """A caller's (N, T, I) array, where and as it lies."""
    cdef crnn_source found
    found.data = <const char *>pointer(array)
    found.stride_n, found.stride_t, found.stride_i = array.strides
    found.kind = ord(array.dtype.kind)
    found.item_size = array.dtype.itemsize
    found.swapped = not array.dtype.isnative
    return found


cdef class Weights:
    """The parameters of a network in one flat padded array; `arrays` are its views by name."""

    cdef Layout at
    cdef readonly object flat, arrays, dtype, input_size, hidden_size, output_size, bias

    def __init__(self, I, H, O, bint bias, dtype):
        self.dtype = np.dtype(dtype)
        self.input_size, self.hidden_size, self.output_size, self.bias = I, H, O, bool(bias)
        demand((I + 3 * H + 2 * O + 99) * (H + 99))  # what is packed is the largest
        self.at = layout(I, H, O, bias, self.dtype.itemsize)
        self.flat = zeros(self.at.count, self.dtype)
        self.arrays = self.views(self.flat)

    @property
    def elements(self):
        """How many parameters there are, without padding."""
        return sum(array.size for array in self.arrays.values())

    def views(self, flat):
        """The arrays, by name, that lie in a flat array of this layout."""
        at = self.at
        def rows(start, count, ld, n):
            return flat[start : start + count * ld].reshape(count, ld)[:, :n]
        found = {
            "Wx_l0": rows(at.Wx, at.I, at.ldh, at.H),
            "Wh_l0": rows(at.Wh, at.H, at.ldh, at.H),
            "b_l0": flat[at.b : at.b + at.H] if at.bias else None,
            "Wy": rows(at.Wy, at.O, at.ldh, at.H).T,
            "by": flat[at.by : at.by + at.O] if at.bias else None,
        }
        return {name: array for name, array in found.items() if array is not None}

    def load(self, parameters):
        """Take the parameters from arrays by name."""
        for name, array in self.arrays.items():
            array[...] = parameters[name]

    def store(self, parameters):
        """Write the parameters into arrays by name."""
        for name, array in self.arrays.items():
            parameters[name][...] = array


cdef void pack_weights(real *panels, const real *flat, const Layout *at, bint backward) noexcept nogil:
    pack(panels + at.pWx, flat + at.Wx, at.ldh, at.I, at.H)
    pack(panels + at.pWh, flat + at.Wh, at.ldh, at.H, at.H)
    if backward:
        pack_transposed(panels + at.pWh_t, flat + at.Wh, at.ldh, at.H, at.H)
        pack(panels + at.pWy_t, flat + at.Wy, at.ldh, at.O, at.H)


# ---- the cell ----

# A batch of one reads the weights as they lie (`flat`); a larger one reads them packed (`panels`).

cdef inline void cell(
    real *h_t, const real *x_t, ptrdiff_t ldx, const real *h_before, const real *flat,
    const real *panels, const real *zero, const Layout *at, ptrdiff_t rows, bint back) noexcept nogil:
    # h_t = tanh(x_t Wx + h_{t-1} Wh + b); h_before NULL: the state is zero
    cdef const real *b = flat + at.b if at.bias else zero
    cdef int n_terms = 2 if h_before != NULL else 1
    cdef crnn_term terms[2]
    if panels == NULL:
        terms[0] = crnn_term(x_t, ldx, flat + at.Wx, at.ldh, at.I)
        terms[1] = crnn_term(h_before, at.lds, flat + at.Wh, at.ldh, at.H)
        row_product(h_t, b, terms, n_terms, CRNN_TANH, <const real *>NULL, at.H, back)
    else:
        terms[0] = crnn_term(x_t, ldx, panels + at.pWx, at.I, at.I)
        terms[1] = crnn_term(h_before, at.lds, panels + at.pWh, at.H, at.H)
        product(h_t, at.lds, b, 0, terms, n_terms, CRNN_TANH, <const real *>NULL, 0, rows, at.H)


cdef inline void output(
    real *y, const real *h_t, const real *flat, const real *zero, const Layout *at,
    ptrdiff_t rows) noexcept nogil:
    # y = h_T Wy + by
    cdef const real *by = flat + at.by if at.bias else zero
    cdef ptrdiff_t r, o
    for r in range(rows):
        row_product_transposed(y + r * at.ldo, h_t + r * at.lds, flat + at.Wy, at.ldh, CRNN_LINEAR,
                               <const real *>NULL, at.O, at.H, 0)
        for o in range(at.O):
            y[r * at.ldo + o] += by[o]


cdef inline void cell_backward(
    real *da, const real *da_next, const real *after, const real *flat, const real *panels,
    const real *zero, const Layout *at, ptrdiff_t rows, bint back) noexcept nogil:
    # da_t = (da_{t+1} Wh') * (1 - h_t^2)
    cdef crnn_term term
    if panels == NULL:
        row_product_transposed(da, da_next, flat + at.Wh, at.ldh, CRNN_TANH_SLOPE, after, at.H, at.H,
                               back)
    else:
        term = crnn_term(da_next, at.lds, panels + at.pWh_t, at.H, at.H)
        product(da, at.lds, zero, 0, &term, 1, CRNN_TANH_SLOPE, after, at.lds, rows, at.H)


cdef inline void output_backward(
    real *da, const real *dy, const real *after, const real *flat, const real *panels,
    const real *zero, const Layout *at, ptrdiff_t rows) noexcept nogil:
    # da_T = (dy Wy') * (1 - h_T^2)
    cdef crnn_term term
    if panels == NULL:
        term = crnn_term(dy, at.ldo, flat + at.Wy, at.ldh, at.O)
        row_product(da, zero, &term, 1, CRNN_TANH_SLOPE, after, at.H, 0)
    else:
        term = crnn_term(dy, at.ldo, panels + at.pWy_t, at.O, at.O)
        product(da, at.lds, zero, 0, &term, 1, CRNN_TANH_SLOPE, after, at.lds, rows, at.H)


cdef inline double squared_error(
    real *y, const real *target, const Layout *at, ptrdiff_t rows, double scale) noexcept nogil:
    # loss = scale sum (y - target)^2; y becomes dy = 2 scale (y - target)
    cdef double loss = 0
    cdef real error, slope = <real>(2 * scale)
    cdef ptrdiff_t r, o
    for r in range(rows):
        for o in range(at.O):
            error = y[r * at.ldo + o] - target[r * at.O + o]
            loss += <double>error * <double>error
            y[r * at.ldo + o] = slope * error
    return scale * loss


# ---- what runs the cell, each in a text of its own, compiled into this one module ----

include "_losses.pxi"
include "_team.pxi"
include "_training.pxi"
include "_inference.pxi"


# ---- small things that Python asks for ----

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
    """GFLOP/s of independent fused multiply-adds in registers: the processor's limit, as of now."""
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
