"""Losses. Part of `_cell.pyx`."""

cdef enum:
    LOSS_MSE, LOSS_MAE, LOSS_HUBER, LOSS_QUANTILE, LOSS_CROSS_ENTROPY, LOSS_BINARY

cdef struct Loss:
    int kind
    double delta
    const double *quantiles


cdef Loss loss_of_settings(loss, kept) except *:
    cdef Loss found
    found.kind = LOSS_MSE
    return found


cdef double losses_of_rows(
    real *y, ptrdiff_t ldo, const real *target, ptrdiff_t ldt, ptrdiff_t rows, ptrdiff_t O,
    const Loss *loss, const double *weight, double scale, real *scratch) noexcept nogil:
    # loss = scale sum (y - target)^2; y becomes dy = 2 scale (y - target)
    cdef double total = 0
    cdef real error, slope = <real>(2 * scale)
    cdef ptrdiff_t r, o
    for r in range(rows):
        for o in range(O):
            error = y[r * ldo + o] - target[r * ldt + o]
            total += <double>error * <double>error
            y[r * ldo + o] = slope * error
    return scale * total


def loss_of(predicted, target, loss, weight):
    e = (predicted.astype(np.float64) - target) ** 2
    return float(e.sum()), e.size
