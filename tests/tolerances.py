"""All tolerances of the tests, each with its reason, and the measure of the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, np.dtype[Any]]

# Complex-step differentiation has no cancellation. With a step of 1e-30 there is only rounding:
# some hundred additions of 1.1e-16 relative each. Measured: 5.4e-16.
COMPLEX_STEP = 1e-14

# A step that is the difference of two weights, which are about ten times larger: this multiplies
# the rounding error of 1.1e-16 by ten, and sums before it add some. Measured: 8.7e-16.
DIFFERENCE_OF_WEIGHTS = 2e-14

# Outputs, losses and gradients in float64 against the float64 reference. The two add up to N T
# terms of either sign in different orders, with 1.1e-16 per term, and tanh has an error of 2 ulp.
# Measured on the sizes of samples.py: 5.6e-15.
FLOAT64 = 1e-13

# Parameters and losses after up to four epochs in float64. Every update depends on the rounding
# errors of the last. Measured: 1.7e-13, with Adam at H = 100 in batches of one.
FLOAT64_TRAINED = 2e-12

# The same with every optimiser. In rmsprop's first steps v is still small, so small gradients count
# as much as large ones. Measured: 7.4e-13.
FLOAT64_OPTIMISED = 1e-11

# Twenty steps of every optimiser against PyTorch's. The gradients are equal, the rules round in
# another order. Measured: 6.0e-12, with rmsprop and momentum.
OPTIMISED_BY_TORCH = 1e-10

# Learning rates: a few operations; PyTorch starts from the previous rate. Measured: 5.0e-16.
LEARNING_RATE = 1e-14

# Gradients against PyTorch's autograd, which has another tanh and another order of sums.
AUTOGRAD = 1e-9

# float32 against the reference in float64 on the same (rounded) numbers. The unit roundoff is 6e-8.
# The reference itself, run in float32 over T = 25 steps and sums of some hundred terms of either
# sign, has errors up to 7.3e-7 (measured on the sizes of samples.py, 8 seeds each). Another order
# of sums and a tanh of 2 ulp may give a few times that.
FLOAT32 = 5e-6

# Parameters after a few epochs in float32. The rounding errors of all steps (6e-8 of the parameter)
# add up, and a gradient's error of FLOAT32 changes the next gradient. Measured: 1.1e-7.
FLOAT32_TRAINED = 1e-6

# Nine updates in float32 with every optimiser. Measured: 4.3e-7, with rmsprop and momentum.
FLOAT32_OPTIMISED = 5e-6

# Gradients of networks that remember 100 and 300 steps, of up to 4000 rows. Measured on the shapes
# of test_boundaries: 7.6e-6 and 3.1e-14, both in db, a sum over all steps and rows with
# cancellation. Other orders of sums may give a few times that.
LASTING = {"float32": 3e-5, "float64": 2e-13}

# Changes of these networks' parameters in two epochs. Measured: at most 1.6e-3 and 3.3e-12, with
# five rows of 300 steps in batches of two, where each update depends on the rounding errors of the
# last; otherwise 4e-4 and 2e-12. In float32 a parameter is rounded to 6e-8, and Wx changes by 1e-3.
LASTING_TRAINED = {"float32": 5e-3, "float64": 1e-11}

# Outputs, states, losses and gradients of networks of every kind, on the cases of test_network. The
# reference itself has errors up to 1.5e-6 in float32, and up to 8.9e-15 in float64 (against
# extended precision). Another order of sums, and exp and log of a few ulp, may give ten times that.
NETWORK = {"float32": 2e-5, "float64": 1e-12}

# Changes of these networks' parameters in two or three epochs. Measured in the same way: 2.1e-3 and
# 1.9e-10. In float32 the worst case is Wx, which changes by only 1e-5, 200 of its rounding errors.
# In float64 it is batches of at most seven rows, where each update depends on the rounding errors
# of the last. Otherwise below 1e-3 and 1e-11.
NETWORK_TRAINED = {"float32": 1e-2, "float64": 1e-9}

# Their losses in these epochs. Measured: 1.1e-7 and 5.7e-12.
NETWORK_LOSSES = {"float32": 2e-6, "float64": 5e-11}

# Smallest allowed |a_t| of a relu, in units of the root mean square of its step: a hundred rounding
# errors of float32 from the kink. No tolerance covers a slope that changes there.
KINK = 1e-6

# Adam's first step of 0.5 in float32: about eleven rounding errors of half of 6e-8, and one of the
# parameter, up to 6e-8.
ADAM_STEP = 4e-7

# The notebook's weights after 50 epochs. Measured: 1.4e-15.
NOTEBOOK = 1e-13

# Its losses then: squares of errors of 1e-3, which come from cancellation. Measured: 1.2e-10.
NOTEBOOK_LOSS = 2e-9

# The fraction of clipped elements: a quotient of two counts, each exact.
FRACTION = 1e-15

# The losses of three epochs at a learning rate of 1e-14. Measured: 1.0e-14.
HARDLY_A_STEP = 1e-12

# A mean of 2000 squared errors, by the package in float64 and by NumPy in float32. Measured:
# 6.3e-8.
LOSS_IN_FLOAT32 = 1e-6

# Largest element of Wh Wh' - identity: H rounding errors of the type, times 10 for safety.
ORTHOGONAL = {"float32": 1e-5, "float64": 1e-13}

# The standard deviation of 6000 to 10,000 draws is within 0.7 % of the true one (one sigma).
# Measured: 0.6 %, with fixed seeds.
DRAWN_DEVIATION = 0.02

# Share of the bound that the largest and smallest of 6000 uniform draws reach in all but one of 400
# sets of draws. The seeds are fixed.
GLOROT_REACHED = 0.999

# ---- losses ----

# A loss or its gradient against a formula in float64: 1 ulp in exp and log, then a few rounding
# errors of 6e-8 or 1.1e-16. Measured at small losses: 3.6e-8 and 1.2e-16.
LOSS_VALUE = {"float32": 1e-6, "float64": 2e-15}

# A sum of up to 20 000 losses of one sign, one by one, against NumPy's sum or a sum in blocks: at
# most 1.1e-16 per term. Measured: 2.4e-14.
LOSS_SUM = 1e-13

# Central differences with a step of 1e-5. Their error is step^2 times the third derivative, 1e-10,
# plus the rounding error of a sum of 100 divided by the step, 1e-9. Measured: 6.1e-10.
LOSS_DIFFERENCES = 1e-8

# Probabilities by NumPy's exp against another order of the same few operations.
PROBABILITY = {"float32": 1e-6, "float64": 2e-15}

# ---- series ----

# The slope of a Mackey-Glass series against its equation, root mean square over 2000 points.
# Measured: 3.2e-8, 2.4e-7 and 3.3e-7 for delays of 5, 17 and 30. Most of it comes from the test's
# differences of order twenty. A wrong coefficient of the interpolation gives 1.4e-6.
MACKEY_GLASS_SLOPE = 6e-7

# NARMA10 over 37 steps. Each has about ten rounding errors of 1.1e-16, and passes 0.6 of its error
# to the next. Measured: 3.3e-16.
NARMA = 3e-15

# A sum of two numbers below 1: one rounding error, at most 2.2e-16.
ONE_SUM = 2.3e-16

# The variance of a sum of two uniform numbers, from 20 000 draws: five times its sampling error.
ADDING_VARIANCE = 0.007

# The share of 2000 draws with probability 1/16: four times its sampling error of 0.0054. A test of
# 1000 draws with probability 1/2 uses 4 * COIN, five times its sampling error of 0.0158.
COIN = 0.0217

# A mean or sum of up to a hundred thousand numbers of one sign, and a few operations on it.
# Measured: 3.5e-16.
LONG_MEAN = 4e-15

# ---- scores and forecasts ----

# RMSE, MAE and MASE: a few operations after a mean. Measured: 6.4e-16.
SCORE = 4e-15

# Formulas by hand in another order, some with cancellation. Measured: 4.6e-15.
HAND_WORKED = 1e-14

# The least-squares fit against LAPACK's fit of the whole matrix. Measured: 3.7e-14, and 7e-15 if
# the exact answer is known.
LEAST_SQUARES = 1e-12

# The same at a condition number of 2e7. Measured: 1.8e-13. The normal equations square this number:
# their error is 1e-3.
ILL_CONDITIONED = 5e-12

# The error of a fit to windows of rank 2, divided by the series' largest number. Measured: 4.1e-16.
DEPENDENT_WINDOWS = 4e-15

# Least-squares forecasts of a constant series of 7. Measured: 2.7e-15.
FLAT_SERIES = 2e-14

# Twenty forecasts that are fed back as float32, directly or through the series' unit, which may
# change the last bit, 6e-8. Measured: 0.
FEEDBACK = 1e-6

# Forecasts in units of the series' deviation, after training in another unit. A last bit of float32
# may differ and affect ten updates. Measured: 1.2e-14, because no bit differs here.
OTHER_UNIT = 1e-5

# The mean coverage of 90 % intervals of noise over 20 fits. Each has 52 validation errors, so its
# coverage has a deviation of 0.04. The tolerance is four times the error of the mean, 0.01.
NOISE_COVERAGE = 0.04

# ---- estimators ----

# Mean 0 and deviation 1 of up to a few hundred standardised numbers, again by NumPy's sums.
ESTIMATOR_MOMENTS = 1e-12

# Predictions after 20 epochs on numbers in another unit. The standardised numbers differ by a few
# rounding errors, by 1e-12 if 7 is added to 1e-3, and this affects every update.
ESTIMATOR_OTHER_UNIT = 1e-9

# A loss with its penalty; and a step of gradient descent as the difference of two weights, at most
# a hundred times larger.
ESTIMATOR_PENALTY = 1e-12

# A score or a mean of a hundred numbers, by the estimator and by the formula.
ESTIMATOR_SCORE = 1e-12

# Softmax by exp, and its logarithm, in another order of the same few operations.
ESTIMATOR_PROBABILITIES = 1e-13

# A number printed with four digits: half of the last, 5 in 10 000.
FOUR_DIGITS = 5.1e-4

# A number in the README, in units of its last digit, which another instruction set or order of sums
# may change.
LAST_DIGIT = 1.01

# The same for a forecast printed with all digits, after training in float32. Measured between AVX2
# and portable: 6e-7.
OTHER_ROUNDINGS = 1e-5

# Gradients by central differences with a step of 1e-6, through whole forward passes in float64.
BY_DIFFERENCES = 1e-6

# Float64 weights if several processes share the rows of each batch, against one process: the order
# of the sum over the rows differs.
SHARED_BATCHES = 1e-12


def relative_error(actual: Array, expected: Array) -> float:
    """|actual - expected| / |expected|, in 2-norms; if `expected` is 0, `actual` must be 0."""
    difference = float(np.linalg.norm(np.asarray(actual, dtype=np.float64) - expected))
    norm = float(np.linalg.norm(expected))
    if norm == 0.0:
        return 0.0 if difference == 0.0 else float("inf")
    return difference / norm


def assert_close(actual: dict[str, Array], expected: dict[str, Array], tolerance: float) -> None:
    """Equal names and shapes, and each array within the tolerance."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        error = relative_error(actual[name], value)
        assert error <= tolerance, (
            f"{name} has a relative error of {error:.2e}, allowed {tolerance:.0e}"
        )


def near(expected: Any, tolerance: float) -> Any:
    """Compares with a relative tolerance: pytest.approx without its absolute 1e-12."""
    return pytest.approx(expected, rel=tolerance, abs=0.0)
