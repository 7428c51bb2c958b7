"""Dropout masks from a counter-based generator. Part of `_cell.pyx`.

A mask depends only on (seed, epoch, sample, layer, direction, step, unit). So threads and the order of
samples do not change it, and BPTT computes it again instead of storing it. The generator is SplitMix64
(Steele, Lea, Flood, OOPSLA 2014).
"""

from libc.stdint cimport uint64_t

cdef enum:
    BETWEEN = 0     # on the states that the layer above reads: a mask for each step
    RECURRENT = 1   # on the state before each step: one mask for all steps


cdef struct Dropout:
    uint64_t key         # of the seed and the epoch
    uint64_t below       # a unit is dropped where its 53 random bits are below this
    double kept          # factor of a unit that is kept: 1 / (1 - rate)


cdef inline uint64_t mix(uint64_t z) noexcept nogil:
    z = (z ^ (z >> 30)) * <uint64_t>0xbf58476d1ce4e5b9
    z = (z ^ (z >> 27)) * <uint64_t>0x94d049bb133111eb
    return z ^ (z >> 31)


cdef inline uint64_t drawn(uint64_t key, ptrdiff_t number) noexcept nogil:
    return mix(key + <uint64_t>0x9e3779b97f4a7c15 * <uint64_t>(number + 1))


cdef void drop(
    real *out, const real *h, ptrdiff_t H, const Dropout *dropout, int kind, int64_t sample,
    ptrdiff_t cell, ptrdiff_t step) noexcept nogil:
    # out = h * mask, for one row
    cdef uint64_t key = drawn(drawn(drawn(dropout.key, sample), 2 * cell + kind), step)
    cdef real kept = <real>dropout.kept
    cdef ptrdiff_t j
    for j in range(H):
        out[j] = 0 if drawn(key, j) >> 11 < dropout.below else h[j] * kept


cdef Dropout dropout_of(double rate) noexcept:
    cdef Dropout dropout
    dropout.key = 0
    dropout.below = <uint64_t>(rate * 9007199254740992.0)   # 2^53
    dropout.kept = 1 / (1 - rate)
    return dropout


def dropout_key(seed, epoch):
    """The key of an epoch's masks."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])


def dropout_mask(rate, seed, epoch, samples, layer, direction, steps, hidden_size, dtype):
    """Masks on the states that the layer above reads, (steps, samples, H). For tests."""
    return np.stack([
        masks(rate, seed, epoch, samples, 2 * layer + direction, BETWEEN, t, hidden_size, dtype)
        for t in steps])


def recurrent_dropout_mask(rate, seed, epoch, samples, layer, direction, hidden_size, dtype):
    """Masks on the states before each step, (samples, H). For tests."""
    return masks(rate, seed, epoch, samples, 2 * layer + direction, RECURRENT, 0, hidden_size, dtype)


cdef object masks(
    double rate, seed, epoch, samples, ptrdiff_t cell, int kind, ptrdiff_t step, ptrdiff_t H, dtype):
    cdef Dropout dropout = dropout_of(rate)
    cdef int64_t sample
    ones, found = np.ones(H, dtype), np.zeros((len(samples), H), dtype)
    dropout.key = dropout_key(seed, epoch)
    for row, sample in zip(found, samples):
        if ones.itemsize == 4:
            drop[float](<float *>pointer(row), <float *>pointer(ones), H, &dropout, kind, sample,
                        cell, step)
        else:
            drop[double](<double *>pointer(row), <double *>pointer(ones), H, &dropout, kind, sample,
                         cell, step)
    return found
