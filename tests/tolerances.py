"""Every tolerance of the tests, with its reason, and the measure that they are stated in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, np.dtype[Any]]

# Complex-step differentiation has no cancellation: a step of 1e-30 leaves rounding only, some
# hundreds of additions of 1.1e-16 relative each; 5.4e-16 measured.
COMPLEX_STEP = 1e-14

# A step read back as the difference of two weights about ten times its size loses that much of
# 1.1e-16, and the sums before it some more; 8.7e-16 measured.
DIFFERENCE_OF_WEIGHTS = 2e-14

# Outputs, losses and gradients in float64 against the float64 reference. The two add in different
# orders: sums of up to N T terms of either sign, each 1.1e-16 off, and tanh 2 ulp off. 5.6e-15
# measured on the sizes of samples.py.
FLOAT64 = 1e-13

# Parameters and losses after up to four epochs in float64, where every update feels the roundings
# of the last: 1.7e-13 measured, with Adam at H = 100 in batches of one.
FLOAT64_TRAINED = 2e-12

# The same with every optimiser: rmsprop's first steps divide by the root of v before it has seen
# much, so that small gradients count as much as large ones. 7.4e-13 measured.
FLOAT64_OPTIMISED = 1e-11

# Twenty steps of every optimiser against PyTorch's: the gradients are equal, the rules round in
# another order. 6.0e-12 measured, with rmsprop and momentum.
OPTIMISED_BY_TORCH = 1e-10

# Learning rates: a few operations, PyTorch's from the rate before. 5.0e-16 measured.
LEARNING_RATE = 1e-14

# The same against PyTorch's autograd, which has a tanh of its own and another order again.
AUTOGRAD = 1e-9

# float32 against the reference in float64 on the same (rounded) numbers. The unit roundoff is
# 6e-8; over T = 25 steps and sums of some hundred terms of either sign the reference's own text,
# run in float32, is off by at most 7.3e-7 on the sizes of samples.py (measured, 8 seeds each);
# another order of summation and a tanh of 2 ulp may be a few times that.
FLOAT32 = 5e-6

# Parameters after a few epochs in float32: every step's rounding (6e-8 of the parameter) stays in
# the sum, and a gradient that is FLOAT32 off moves the next one. 1.1e-7 measured.
FLOAT32_TRAINED = 1e-6

# Nine updates in float32 with every optimiser: 4.3e-7 measured, with rmsprop and momentum.
FLOAT32_OPTIMISED = 5e-6

# Gradients of networks that remember 100 and 300 steps, of up to 4000 rows. Measured on the shapes
# of test_boundaries: 7.6e-6 and 3.1e-14, both in db, a sum over all steps and rows that cancels;
# other orders of summation may be a few times that.
LASTING = {"float32": 3e-5, "float64": 2e-13}

# How far two epochs move these networks' parameters: at most 1.6e-3 and 3.3e-12 measured (five rows
# of 300 steps in batches of two, where each update feels the roundings of the last; else 4e-4 and
# 2e-12). In float32 a parameter's own rounding is 6e-8 of it, and Wx moves by a thousandth.
LASTING_TRAINED = {"float32": 5e-3, "float64": 1e-11}

# Outputs, states, losses and gradients of networks of every kind, on the cases of test_network. The
# reference's own text is off by at most 1.5e-6 when it is run in float32, and by 8.9e-15 in float64
# (against extended precision); another order of sums, and exp and log of a few ulp, may be ten
# times that.
NETWORK = {"float32": 2e-5, "float64": 1e-12}

# How far two or three epochs move the parameters of these: 2.1e-3 and 1.9e-10 measured in the same
# way, where Wx moves by 1e-5 and so by 200 of its own roundings in float32, and where batches of
# seven and fewer feel the roundings of the last; else below 1e-3 and 1e-11.
NETWORK_TRAINED = {"float32": 1e-2, "float64": 1e-9}

# Their losses in these epochs: 1.1e-7 and 5.7e-12 measured.
NETWORK_LOSSES = {"float32": 2e-6, "float64": 5e-11}

# How near an a_t may come to the kink of a relu, in units of the root mean square of its step's: a
# hundred roundings of float32 away from where the slope turns, which no tolerance allows for.
KINK = 1e-6

# Adam's first step of 0.5 in float32: some eleven roundings of half of 6e-8 each on the way to it,
# and one of the parameter, of up to 6e-8.
ADAM_STEP = 4e-7

# The notebook's weights after 50 epochs: 1.4e-15 measured.
NOTEBOOK = 1e-13

# Its losses then, which are squares of errors of a thousandth and cancel accordingly: 1.2e-10
# measured.
NOTEBOOK_LOSS = 2e-9

# The fraction of clipped elements: a quotient of two counts, each exact.
FRACTION = 1e-15

# The losses of three epochs at a learning rate of 1e-14: 1.0e-14 measured.
HARDLY_A_STEP = 1e-12

# The same mean of 2000 squared errors, by the package in float64 and by NumPy in float32: 6.3e-8
# measured.
LOSS_IN_FLOAT32 = 1e-6

# Wh Wh' against the identity, largest element: H roundings of the type's unit, with room for 10.
ORTHOGONAL = {"float32": 1e-5, "float64": 1e-13}

# The sample standard deviation of 6000 to 10,000 draws is within 0.7 % of the true one (one sigma);
# 0.6 % measured, and the seeds are fixed.
DRAWN_DEVIATION = 0.02

# How near to their bound the largest and smallest of 6000 uniform draws come, but for one set of
# draws in four hundred; the seeds are fixed.
GLOROT_REACHED = 0.999

# ---- losses ----

# A loss or its gradient against a formula in float64: exp and log 1 ulp off, then some roundings of
# the type's 6e-8 or 1.1e-16; 3.6e-8 and 1.2e-16 measured where the loss is small.
LOSS_VALUE = {"float32": 1e-6, "float64": 2e-15}

# A sum of up to 20 000 losses of one sign, as one chain, against NumPy's or the same cut into
# blocks: 1.1e-16 a term at most; 2.4e-14 measured.
LOSS_SUM = 1e-13

# Central differences with a step of 1e-5: their own error is step^2 times the third derivative,
# 1e-10, and the rounding of a sum of 100 divided by the step, 1e-9; 6.1e-10 measured.
LOSS_DIFFERENCES = 1e-8

# Probabilities by NumPy's exp against another order of the same few operations.
PROBABILITY = {"float32": 1e-6, "float64": 2e-15}

# ---- series ----

# The slope of a Mackey-Glass series against its equation, root of the mean square over 2000 points:
# 3.2e-8, 2.4e-7 and 3.3e-7 measured for a delay of 5, 17 and 30, most of it from differences of the
# twentieth order of points one unit apart; with a wrong coefficient of the interpolation 1.4e-6.
MACKEY_GLASS_SLOPE = 6e-7

# NARMA10 over 37 steps, each of some ten roundings of 1.1e-16, of which 0.6 goes on to the next:
# 3.3e-16 measured.
NARMA = 3e-15

# A sum of two numbers below 1: one rounding, of the sum, 2.2e-16 at most.
ONE_SUM = 2.3e-16

# The variance of a sum of two uniform numbers, from 20 000 draws: five times its sampling error.
ADDING_VARIANCE = 0.007

# The share of 2000 draws with probability 1/16: four times its sampling error of 0.0054. Of 1000
# draws with probability 1/2 the error is 0.0158, and four times this number is five times that.
COIN = 0.0217

# A mean or sum of up to hundred thousand numbers of one sign, and what is a few operations from it:
# 3.5e-16 measured.
LONG_MEAN = 4e-15

# ---- scores and forecasts ----

# RMSE, MAE and MASE, formulas of a few operations after a mean: 6.4e-16 measured.
SCORE = 4e-15

# Formulas worked by hand in another order, some cancelling: 4.6e-15 measured.
HAND_WORKED = 1e-14

# The least-squares fit against LAPACK's of the whole matrix: 3.7e-14 measured, and 7e-15 where the
# answer is known.
LEAST_SQUARES = 1e-12

# The same where the design's condition number is 2e7: 1.8e-13 measured. The normal equations, which
# square it, are 1e-3 off.
ILL_CONDITIONED = 5e-12

# The error of a fit to windows of rank 2, in units of the series' largest number: 4.1e-16 measured.
DEPENDENT_WINDOWS = 4e-15

# A constant series of 7 forecast by least squares: 2.7e-15 measured.
FLAT_SERIES = 2e-14

# Twenty forecasts, fed back as float32 once directly and once through the series' unit, which may
# move the last bit, 6e-8; none measured.
FEEDBACK = 1e-6

# Forecasts in units of the series' deviation, trained in another unit: a last bit of float32 may
# differ, and ten updates feel it; 1.2e-14 measured, as no bit does here.
OTHER_UNIT = 1e-5

# The mean share of new values of noise inside of a 90 % interval, over 20 fits with 52 validation
# errors each, whose quantiles scatter by 0.04: four times the error of the mean, 0.01.
NOISE_COVERAGE = 0.04

# ---- estimators ----

# Mean 0 and deviation 1 of up to some hundred standardised numbers, by NumPy's sums once more.
ESTIMATOR_MOMENTS = 1e-12

# Predictions of a network trained for 20 epochs on numbers in another unit: the standardised ones
# differ by a few roundings, by 1e-12 where 7 is added to a thousandth, and every update feels it.
ESTIMATOR_OTHER_UNIT = 1e-9

# A loss with its penalty, and a step of gradient descent of 1e-1 read back as the difference of two
# weights, of which it is a hundredth or more.
ESTIMATOR_PENALTY = 1e-12

# A score or a mean of a hundred numbers, once by the estimator and once by the formula.
ESTIMATOR_SCORE = 1e-12

# Softmax by exp, and its logarithm, in another order of the same few operations.
ESTIMATOR_PROBABILITIES = 1e-13

# A number printed with four digits: half of the last, 5 in 10 000.
FOUR_DIGITS = 5.1e-4

# A number in the README, in units of the last digit that is shown: another instruction set or order
# of sums may turn it.
LAST_DIGIT = 1.01

# And where all digits are shown, of a forecast by a network trained in float32: 6e-7 measured
# between AVX2 and portable.
OTHER_ROUNDINGS = 1e-5

# Relative: gradients by central differences, step 1e-6, through whole forward passes in float64.
BY_DIFFERENCES = 1e-6

# Float64 weights of batches whose rows several processes share, against one process: the sum over
# the rows is taken in another order.
SHARED_BATCHES = 1e-12


def relative_error(actual: Array, expected: Array) -> float:
    """Norm of the difference over the norm of what is expected (which, if 0, must be met)."""
    difference = float(np.linalg.norm(np.asarray(actual, dtype=np.float64) - expected))
    norm = float(np.linalg.norm(expected))
    if norm == 0.0:
        return 0.0 if difference == 0.0 else float("inf")
    return difference / norm


def assert_close(actual: dict[str, Array], expected: dict[str, Array], tolerance: float) -> None:
    """The same names, the same shapes, and array by array within the tolerance."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        error = relative_error(actual[name], value)
        assert error <= tolerance, f"{name} is off by {error:.2e}, allowed {tolerance:.0e}"


def near(expected: Any, tolerance: float) -> Any:
    """What `==` holds within so many parts of: pytest.approx, without its own 1e-12 besides."""
    return pytest.approx(expected, rel=tolerance, abs=0.0)
