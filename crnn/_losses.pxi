"""The losses: from outputs and targets to a sum of losses and dy = dloss/dy. Part of `_cell.pyx`.

    error = y - target
    mse             error^2                                    dy = 2 error
    mae             |error|                                    dy = sign(error)
    huber           error^2 / 2 where |error| <= delta         dy = error
                    delta (|error| - delta / 2) elsewhere      dy = delta sign(error)
    quantile        (1 - q) error where error > 0              dy = 1 - q
                    -q error elsewhere                         dy = -q, and 0 at error = 0
    cross entropy   log(sum_o exp(y_o)) - y_c, c the class     dy = exp(y) / sum_o exp(y_o) - (o == c)
    binary          max(y, 0) - y t + log(1 + exp(-|y|))       dy = 1 / (1 + exp(-y)) - t

exp and log are kernel primitives, and every sum has a fixed order. So losses have the same bits on every
instruction set with fused multiply-add. The rest is scalar code. NaN in an output gives a loss and a dy
of NaN: the comparisons below are written so that NaN passes through.
"""

cdef enum:
    LOSS_MSE
    LOSS_MAE
    LOSS_HUBER
    LOSS_QUANTILE
    LOSS_CROSS_ENTROPY
    LOSS_BINARY

LOSS_NAMES = ("mse", "mae", "huber", "quantile", "cross_entropy", "binary_cross_entropy")

cdef enum:
    LOSS_ELEMENTS = 256   # elements for one call of exp and log, on the stack
    LOSS_ROWS = 64        # rows for one call of log


cdef struct Loss:
    int kind
    double delta                # huber
    const double *quantiles     # quantile: one for each output


cdef class Objective:
    """A loss of `crnn.losses` for O outputs, as the compiled functions read it."""

    cdef Loss terms
    cdef object kept

    def __init__(self, loss, ptrdiff_t O):
        settings = loss.settings()
        self.terms.kind = LOSS_NAMES.index(settings["name"])
        self.terms.delta = settings.get("delta", 0)
        self.kept = np.empty(O)
        self.kept[:] = settings.get("q", 0)
        self.terms.quantiles = <const double *>pointer(self.kept)


cdef inline double regression_loss(
    real error, const Loss *loss, ptrdiff_t o, real *slope) noexcept nogil:
    # slope[0] = dloss/derror, of mse half of it. 0 * error is 0 or NaN.
    cdef double e = error, bound = loss.delta, q
    if loss.kind == LOSS_MSE:
        slope[0] = error
        return e * e
    if loss.kind == LOSS_MAE:
        slope[0] = <real>(error > 0) - <real>(error < 0) + 0 * error
        return fabs(e)
    if loss.kind == LOSS_HUBER:
        # s = e brought into [-delta, delta]: s (e - s / 2) is both of the formulas
        bound = bound if e > bound else e
        bound = -loss.delta if bound < -loss.delta else bound
        slope[0] = <real>bound
        return bound * (e - 0.5 * bound)
    q = loss.quantiles[o]
    slope[0] = <real>(error > 0) * <real>(1 - q) - <real>(error < 0) * <real>q + 0 * error
    return (1 - q) * e if (1 - q) * e > -q * e else -q * e


cdef inline double exponentials(real *y, real *highest, ptrdiff_t O) noexcept nogil:
    # y = exp(y - max y), which cannot overflow; returns the sum. Maximum and sum have eight lanes, which
    # are folded in a fixed order.
    cdef real[8] most
    cdef double[8] sums
    cdef ptrdiff_t o, lane, whole = O - O % 8
    for lane in range(8):
        most[lane] = y[0]
        sums[lane] = 0
    for o in range(0, whole, 8):
        for lane in range(8):
            most[lane] = y[o + lane] if y[o + lane] > most[lane] else most[lane]
    for o in range(whole, O):
        most[0] = y[o] if y[o] > most[0] else most[0]
    for lane in range(1, 8):
        most[0] = most[lane] if most[lane] > most[0] else most[0]
    highest[0] = most[0]
    for o in range(O):
        y[o] -= most[0]
    exponential(y, y, O)
    for o in range(0, whole, 8):
        for lane in range(8):
            sums[lane] += y[o + lane]
    for o in range(whole, O):
        sums[o - whole] += y[o]
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))


cdef double cross_entropy(
    real *y, ptrdiff_t ldo, const real *target, ptrdiff_t ldt, ptrdiff_t rows, ptrdiff_t O,
    const double *weight, double scale) noexcept nogil:
    # target (rows, 1): the class c of each row
    cdef double[LOSS_ROWS] sums, gaps, weights
    cdef double total = 0, slope
    cdef real factor, logit, highest
    cdef real *row
    cdef ptrdiff_t first = 0, n, r, o, c
    while first < rows:
        n = min(<ptrdiff_t>LOSS_ROWS, rows - first)
        for r in range(n):
            row = y + (first + r) * ldo
            if not 0 <= target[(first + r) * ldt] < O:   # missing, or changed after the check
                sums[r], gaps[r], weights[r] = 1, 0, 0
                for o in range(O):
                    row[o] = 0
                continue
            c = <ptrdiff_t>target[(first + r) * ldt]
            logit = row[c]
            sums[r] = exponentials(row, &highest, O)
            gaps[r] = logit - highest
            weights[r] = weight[first + r] if weight != NULL else 1
            slope = scale * weights[r]
            # in double: exp(y_c) / sum - 1 cancels where the prediction is good
            logit = <real>(slope * ((row[c] - sums[r]) / sums[r]))
            factor = <real>(slope / sums[r])
            for o in range(O):
                row[o] *= factor
            row[c] = logit
        logarithm(sums, sums, n)
        for r in range(n):
            total += weights[r] * (sums[r] - gaps[r])
        first += n
    return scale * total


cdef double binary_cross_entropy(
    real *y, ptrdiff_t ldo, const real *target, ptrdiff_t ldt, ptrdiff_t rows, ptrdiff_t O,
    const double *weight, double scale) noexcept nogil:
    # e = exp(-|y|), u = 1 + e. log(1 + e) = log(u) + (e - (u - 1)) / u: log(u) alone loses a small e.
    # The probabilities are yes / u and no / u. They are 1 / u and e / u for y >= 0, and swapped for y < 0.
    # dy = (yes (1 - t) - no t) / u does not cancel where the prediction is good.
    cdef real[LOSS_ELEMENTS] e, u, log_u
    cdef real y_i, t, factor, positive, negative, yes, no
    cdef double total = 0, w
    cdef ptrdiff_t columns = min(O, <ptrdiff_t>LOSS_ELEMENTS), height = LOSS_ELEMENTS // columns
    cdef ptrdiff_t first = 0, last, left, right, r, o, i
    while first < rows:
        last = min(first + height, rows)
        left = 0
        while left < O:
            right = min(left + columns, O)
            i = 0
            for r in range(first, last):
                for o in range(left, right):
                    y_i = y[r * ldo + o]
                    e[i] = -fabs(y_i)
                    i += 1
            exponential(e, e, i)
            for o in range(i):
                u[o] = 1 + e[o]
            logarithm(log_u, u, i)
            i = 0
            for r in range(first, last):
                w = weight[r] if weight != NULL else 1
                factor = <real>(scale * w)
                for o in range(left, right):
                    y_i, t = y[r * ldo + o], target[r * ldt + o]
                    if t != t:
                        y[r * ldo + o] = 0
                    else:
                        total += w * (((y_i if y_i > 0 else 0) - <double>y_i * t)
                                      + (log_u[i] + (e[i] - (u[i] - 1)) / u[i]))
                        positive, negative = <real>(y_i >= 0), <real>(y_i < 0)
                        yes = positive if positive > e[i] else e[i]
                        no = negative if negative > e[i] else e[i]
                        y[r * ldo + o] = factor * ((yes * (1 - t) - no * t) / u[i])
                    i += 1
            left = right
        first = last
    return scale * total


cdef double losses(
    real *y, ptrdiff_t ldo, const real *target, ptrdiff_t ldt, ptrdiff_t rows, ptrdiff_t O,
    const Loss *loss, const double *weight, double scale) noexcept nogil:
    # Returns scale sum_r weight_r sum_o loss(y, target). y becomes dy = scale weight_r dloss/dy. Rows of
    # y are ldo apart, rows of target ldt. weight NULL means 1. A missing target (NaN; a negative class for
    # cross entropy) adds nothing and has dy = 0.
    cdef double total = 0, w, twice = 2 if loss.kind == LOSS_MSE else 1
    cdef real t, factor, slope
    cdef ptrdiff_t r, o
    if loss.kind == LOSS_CROSS_ENTROPY:
        return cross_entropy(y, ldo, target, ldt, rows, O, weight, scale)
    if loss.kind == LOSS_BINARY:
        return binary_cross_entropy(y, ldo, target, ldt, rows, O, weight, scale)
    for r in range(rows):
        w = weight[r] if weight != NULL else 1
        factor = <real>(twice * scale * w)
        for o in range(O):
            t = target[r * ldt + o]
            if t != t:
                y[r * ldo + o] = 0
                continue
            total += w * regression_loss(<real>(y[r * ldo + o] - t), loss, o, &slope)
            y[r * ldo + o] = factor * slope
    return scale * total


cdef ptrdiff_t valid_elements(
    const real *target, ptrdiff_t ldt, ptrdiff_t rows, ptrdiff_t O, const Loss *loss) noexcept nogil:
    # The number of targets that are not missing: the divisor of the mean.
    cdef ptrdiff_t r, o, count = 0
    for r in range(rows):
        if loss.kind == LOSS_CROSS_ENTROPY:
            count += target[r * ldt] >= 0
            continue
        for o in range(O):
            count += target[r * ldt + o] == target[r * ldt + o]
    return count


cdef ptrdiff_t first_bad_class(
    const real *target, ptrdiff_t ldt, ptrdiff_t rows, ptrdiff_t O) noexcept nogil:
    # The first row whose class is not an integer below O, or -1. A negative class is missing.
    cdef real c
    cdef ptrdiff_t r
    for r in range(rows):
        c = target[r * ldt]
        if c >= O or (c >= 0 and <real><ptrdiff_t>c != c):
            return r
    return -1


# ---- the losses of given outputs ----

cdef int check_losses(shape, target_shape, weight_shape, bint classes, ptrdiff_t bad) except -1:
    M, O = shape
    if target_shape != (M, 1 if classes else O) or weight_shape != (M,):
        raise ValueError(
            f"outputs {shape} do not fit targets {target_shape} and weights {weight_shape}")
    if bad >= 0:
        raise ValueError(f"the class of row {bad} must be an integer below {O}")
    return 0


def loss_of(const real[:, ::1] predicted, const real[:, ::1] target, loss,
            const double[::1] weight=None):
    """-> sum over rows and elements of weight * loss, how many targets are not missing.

    predicted (M, O), target (M, O) or, for cross entropy, (M, 1), weight (M,) or all 1. No copy of
    the data's size is made.
    """
    cdef ptrdiff_t M = predicted.shape[0], O = predicted.shape[1], first = 0, rows, valid = 0
    cdef ptrdiff_t ldt = target.shape[1], block = max(1, 4096 // max(1, O))
    cdef Objective objective = Objective(loss, O)
    cdef bint classes = objective.terms.kind == LOSS_CROSS_ENTROPY
    cdef const double *w = NULL
    cdef double total = 0
    part = zeros(min(block, M) * O, np.float32 if real is float else np.float64)
    cdef real *y = <real *>pointer(part)
    check_losses((M, O), (target.shape[0], ldt), (M if weight is None else weight.shape[0],), classes,
                 first_bad_class(&target[0, 0], ldt, M, O) if classes and M else -1)
    while first < M:
        PyErr_CheckSignals()
        rows = min(block, M - first)
        if weight is not None:
            w = &weight[first]
        with nogil:
            memcpy(y, &predicted[first, 0], rows * O * sizeof(real))
            total += losses(y, O, &target[first, 0], ldt, rows, O, &objective.terms, w, 1)
            valid += valid_elements(&target[first, 0], ldt, rows, O, &objective.terms)
        first += rows
    return total, valid


def loss_gradient(const real[:, ::1] predicted, const real[:, ::1] target, loss,
                  const double[::1] weight=None, double scale=1):
    """-> scale times the sum that `loss_of` gives, and its gradient, (M, O)."""
    cdef ptrdiff_t M = predicted.shape[0], O = predicted.shape[1], ldt = target.shape[1]
    cdef Objective objective = Objective(loss, O)
    cdef bint classes = objective.terms.kind == LOSS_CROSS_ENTROPY
    cdef double total
    dy = np.array(predicted)
    cdef real[:, ::1] y = dy
    check_losses((M, O), (target.shape[0], ldt), (M if weight is None else weight.shape[0],), classes,
                 first_bad_class(&target[0, 0], ldt, M, O) if classes and M else -1)
    with nogil:
        total = losses(&y[0, 0], O, &target[0, 0], ldt, M, O, &objective.terms,
                       &weight[0] if weight is not None else NULL, scale)
    return total, dy
