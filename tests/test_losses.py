"""The losses: values by hand, gradients by differences, missing, large and NaN elements."""

from __future__ import annotations

import json
import math
import pickle
import re
from typing import Any

import children
import numpy as np
import pytest
from tolerances import (
    AUTOGRAD,
    LOSS_DIFFERENCES,
    LOSS_SUM,
    LOSS_VALUE,
    PROBABILITY,
    near,
    relative_error,
)

import crnn
from crnn import _cell, losses

Array = np.ndarray[Any, np.dtype[Any]]

DTYPES = ["float32", "float64"]
ALL = [
    losses.MSE(),
    losses.MAE(),
    losses.Huber(0.75),
    losses.Quantile(0.3),
    losses.CrossEntropy(),
    losses.BinaryCrossEntropy(),
]
NAMES = [loss.name for loss in ALL]
every_loss = pytest.mark.parametrize("loss", ALL, ids=NAMES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def drawn(
    loss: losses.Loss, rows: int, outputs: int, dtype: str, seed: int = 0
) -> tuple[Array, Array]:
    """Outputs (rows, outputs) and targets for the loss."""
    rng = np.random.default_rng(seed)
    y = (2 * rng.standard_normal((rows, outputs))).astype(dtype)
    if isinstance(loss, losses.CrossEntropy):
        return y, rng.integers(0, outputs, (rows, 1)).astype(dtype)
    if isinstance(loss, losses.BinaryCrossEntropy):
        return y, rng.choice([0.0, 1.0, 0.3], (rows, outputs)).astype(dtype)
    return y, rng.standard_normal((rows, outputs)).astype(dtype)


# ---- values ----

LN2, LN3, LN5 = math.log(2), math.log(3), math.log(5)

Rows = list[list[float]]

# loss, outputs, targets, the sum of the losses, dy
BY_HAND: list[tuple[losses.Loss, Rows, Rows, float, Rows]] = [
    (losses.MSE(), [[1, -2]], [[0, 0.5]], 7.25, [[2, -5]]),
    (losses.MSE(), [[3], [4]], [[3], [2]], 4, [[0], [4]]),
    (losses.MAE(), [[1, -2, 7]], [[0, 0.5, 7]], 3.5, [[1, -1, 0]]),
    (losses.Huber(1.5), [[1, -2, 7]], [[0, 0.5, 7]], 0.5 + 2.625, [[1, -1.5, 0]]),
    (losses.Huber(1.5), [[1.5], [-1.5], [2]], [[0], [0], [0]], 4.125, [[1.5], [-1.5], [1.5]]),
    (losses.Quantile(0.25), [[1, -2, 7]], [[0, 0.5, 7]], 0.75 + 0.625, [[0.75, -0.25, 0]]),
    (losses.Quantile([0.125, 0.5]), [[2, 2], [0, 0]], [[1, 1], [1, 1]], 0.875 + 0.5
     + 0.125 + 0.5, [[0.875, 0.5], [-0.125, -0.5]]),
    (losses.CrossEntropy(), [[0, 0]], [[0]], LN2, [[-0.5, 0.5]]),
    (losses.CrossEntropy(), [[0, LN2, LN5]], [[1]], 2 * LN2, [[0.125, -0.75, 0.625]]),
    (losses.CrossEntropy(), [[7]], [[0]], 0, [[0]]),
    (losses.BinaryCrossEntropy(), [[0, 0]], [[1, 0]], 2 * LN2, [[-0.5, 0.5]]),
    (losses.BinaryCrossEntropy(), [[LN3], [-LN3]], [[0.25], [1]],
     -0.25 * math.log(0.75) - 0.75 * math.log(0.25) + 2 * LN2, [[0.5], [-0.75]]),
]  # fmt: skip


@every_dtype
@pytest.mark.parametrize("case", BY_HAND, ids=lambda case: case[0].name)
def test_values_worked_by_hand(case: Any, dtype: str) -> None:
    loss, y, t, value, dy = case
    outputs, targets = np.array(y, dtype), np.array(t, dtype)
    total, d = _cell.loss_gradient(outputs, targets, loss)
    assert d.dtype == dtype
    assert d == pytest.approx(np.array(dy), rel=0, abs=LOSS_VALUE[dtype])
    assert total == pytest.approx(value, rel=0, abs=10 * LOSS_VALUE[dtype])
    assert _cell.loss_of(outputs, targets, loss) == (
        near(total, LOSS_VALUE["float64"]),
        targets.size,
    )


@every_dtype
@every_loss
def test_the_loss_of_many_blocks(loss: losses.Loss, dtype: str) -> None:
    """More rows and outputs than any block holds, against NumPy in float64."""
    for rows, outputs in [(1, 1), (5000, 1), (129, 7), (67, 300), (3, 5000)]:
        y, t = drawn(loss, rows, outputs, dtype)
        total, valid = _cell.loss_of(y, t, loss)
        z, u = y.astype(np.float64), t.astype(np.float64)
        e = z - u if t.shape == y.shape else z
        if isinstance(loss, losses.MSE):
            expected = np.square(e)
        elif isinstance(loss, losses.MAE):
            expected = np.abs(e)
        elif isinstance(loss, losses.Huber):
            inside = np.abs(e) <= loss.delta
            expected = np.where(inside, e**2 / 2, loss.delta * (np.abs(e) - loss.delta / 2))
        elif isinstance(loss, losses.Quantile):
            expected = np.maximum(loss.q * -e, (loss.q - 1) * -e)  # type: ignore[operator]
        elif isinstance(loss, losses.CrossEntropy):
            expected = -np.log(losses.softmax(z)[np.arange(rows), t[:, 0].astype(int)])
        else:
            expected = np.maximum(z, 0) - z * u + np.log1p(np.exp(-np.abs(z)))
        assert total == near(expected.sum(), max(LOSS_SUM, LOSS_VALUE[dtype]))
        assert valid == t.size
        value, _ = _cell.loss_gradient(y, t, loss)
        assert value == near(total, LOSS_SUM)


@every_loss
@pytest.mark.parametrize("outputs", [1, 2, 7, 8, 9, 16, 23])
def test_gradients_agree_with_finite_differences(loss: losses.Loss, outputs: int) -> None:
    y, t = drawn(loss, 5, outputs, "float64", seed=outputs)
    weight, scale, step = np.array([1.0, 0.5, 2.0, 0.0, 3.0]), 0.25, 1e-5
    _, dy = _cell.loss_gradient(y, t, loss, weight, scale)
    expected = np.empty_like(dy)
    for at in np.ndindex(y.shape):
        sides = []
        for sign in (1, -1):
            moved = y.copy()
            moved[at] += sign * step
            sides.append(_cell.loss_gradient(moved, t, loss, weight, scale)[0])
        expected[at] = (sides[0] - sides[1]) / (2 * step)
    assert relative_error(dy, expected) <= LOSS_DIFFERENCES


@every_dtype
def test_the_squared_error_has_the_bits_of_one_chain(dtype: str) -> None:
    """The error in the outputs' type, the sum in double, one term after the other."""
    y, t = drawn(losses.MSE(), 37, 3, dtype)
    scale = 1 / 111
    error = y - t
    chain = np.cumsum(np.square(error.astype(np.float64)).ravel())[-1]
    total, dy = _cell.loss_gradient(y, t, losses.MSE(), None, scale)
    assert total == scale * chain
    assert (dy == error.dtype.type(2 * scale) * error).all()


# ---- large logits ----


@every_dtype
def test_large_logits_of_classes(dtype: str) -> None:
    y = np.array([[1e4, 0, -1e4], [-1e4, 1e4, 0], [3e38, -3e38, 0], [0, 0, 1e4]], dtype)
    t = np.array([[1], [1], [0], [2]], dtype)
    total, dy = _cell.loss_gradient(y, t, losses.CrossEntropy())
    assert total == 1e4
    assert dy.tolist() == [[1, -1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert losses.softmax(y).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]


@every_dtype
def test_large_logits_of_yes_and_no(dtype: str) -> None:
    y = np.array([[1e4, -1e4, 1e4, -1e4, 3e38, -3e38]], dtype)
    t = np.array([[1, 0, 0, 1, 1, 0]], dtype)
    total, dy = _cell.loss_gradient(y, t, losses.BinaryCrossEntropy())
    assert total == 2e4
    assert dy.tolist() == [[0, 0, 1, -1, 0, 0]]
    assert losses.sigmoid(y).tolist() == [[1, 0, 1, 0, 1, 0]]


@every_dtype
@pytest.mark.parametrize("logit", [5.0, 20.0, 40.0, 80.0])
def test_small_losses_keep_their_digits(logit: float, dtype: str) -> None:
    """log(1 + e) and p - 1 if e and 1 - p are far below the rounding error of 1."""
    y, t = np.array([[logit, -logit]], dtype), np.array([[1, 0]], dtype)
    total, dy = _cell.loss_gradient(y, t, losses.BinaryCrossEntropy())
    small = math.exp(-logit)
    assert total == near(2 * math.log1p(small), LOSS_VALUE[dtype])
    assert dy[0, 0] == near(-small / (1 + small), LOSS_VALUE[dtype])
    assert dy[0, 1] == near(small / (1 + small), LOSS_VALUE[dtype])


# ---- missing targets, weights ----


@every_dtype
@every_loss
def test_missing_targets_add_nothing(loss: losses.Loss, dtype: str) -> None:
    y, t = drawn(loss, 131, 5, dtype)
    missing = np.random.default_rng(1).random(t.shape) < 0.4
    marked = np.where(missing, np.nan, t).astype(dtype)
    total, dy = _cell.loss_gradient(y, marked, loss)
    whole, d = _cell.loss_gradient(y, t, loss)
    gone = np.broadcast_to(missing, y.shape)
    assert (dy == np.where(gone, 0, d)).all()
    assert _cell.loss_of(y, marked, loss) == (
        near(total, LOSS_VALUE["float64"]),
        int((~missing).sum()),
    )
    rest, _ = _cell.loss_gradient(y, np.where(missing, t, np.nan).astype(dtype), loss)
    assert total + rest == near(whole, LOSS_VALUE["float64"])
    none = np.full_like(t, np.nan)
    assert _cell.loss_of(y, none, loss) == (0.0, 0)
    assert not _cell.loss_gradient(y, none, loss)[1].any()


def test_a_negative_class_is_missing() -> None:
    y = np.zeros((3, 4))
    total, dy = _cell.loss_gradient(y, np.array([[-1.0], [2.0], [-100.0]]), losses.CrossEntropy())
    assert total == near(2 * LN2, LOSS_VALUE["float64"])
    assert dy.tolist() == [[0] * 4, [0.25, 0.25, -0.75, 0.25], [0] * 4]


@every_dtype
@every_loss
def test_weights_multiply_rows(loss: losses.Loss, dtype: str) -> None:
    y, t = drawn(loss, 130, 3, dtype)
    weight = np.tile([0.0, 0.5, 2.0], 44)[:130]  # powers of two: no rounding
    total, dy = _cell.loss_gradient(y, t, loss, weight)
    _, d = _cell.loss_gradient(y, t, loss)
    assert (dy == (weight[:, None] * d).astype(dtype)).all()
    by_row = [_cell.loss_of(y[r : r + 1], t[r : r + 1], loss)[0] for r in range(130)]
    assert total == near(float(weight @ by_row), LOSS_VALUE["float64"])
    assert _cell.loss_of(y, t, loss, weight) == (near(total, LOSS_VALUE["float64"]), t.size)
    ones, same = _cell.loss_gradient(y, t, loss, np.ones(130))
    assert (ones, same.tobytes()) == (_cell.loss_gradient(y, t, loss)[0], d.tobytes())


@every_dtype
@every_loss
@pytest.mark.parametrize("outputs", [1, 3, 17, 256, 257, 300])
def test_a_row_has_the_bits_of_the_row_alone(loss: losses.Loss, outputs: int, dtype: str) -> None:
    y, t = drawn(loss, 130, outputs, dtype)
    _, dy = _cell.loss_gradient(y, t, loss)
    for r in (0, 1, 63, 64, 65, 127, 129):
        _, alone = _cell.loss_gradient(y[r : r + 1], t[r : r + 1], loss)
        assert alone.tobytes() == dy[r : r + 1].tobytes()


# ---- NaN ----


@every_dtype
@every_loss
def test_nan_is_never_hidden(loss: losses.Loss, dtype: str) -> None:
    for outputs in (1, 2, 7, 8, 9, 16, 17, 31):
        for at in range(outputs):
            y, t = drawn(loss, 3, outputs, dtype)
            y[1, at] = np.nan
            total, dy = _cell.loss_gradient(y, t, loss)
            assert math.isnan(total)
            assert np.isnan(dy[1, at])
            assert not np.isnan(dy[[0, 2]]).any()
            if isinstance(loss, losses.CrossEntropy):
                assert np.isnan(dy[1]).all()


@every_loss
def test_infinite_outputs_are_not_finite_losses(loss: losses.Loss) -> None:
    for infinity in (np.inf, -np.inf):
        y, t = np.array([[infinity, 0.0]]), np.array([[0.0, 1.0]])
        if isinstance(loss, losses.CrossEntropy):
            t = np.array([[0.0]])
        assert not math.isfinite(_cell.loss_of(y, t, loss)[0])


# ---- the same bits on all instruction sets with fused multiply-adds ----

BITS = """
import hashlib
from crnn import losses, _cell
sha = hashlib.sha256()
for dtype in ("float32", "float64"):
    rng = np.random.default_rng(0)
    for outputs in (1, 5, 16, 64, 301):
        y = (4 * rng.standard_normal((200, outputs))).astype(dtype)
        for loss in (losses.MSE(), losses.MAE(), losses.Huber(), losses.Quantile(0.3),
                     losses.CrossEntropy(), losses.BinaryCrossEntropy()):
            t = rng.random((200, outputs)).astype(dtype)
            if loss.name == "cross_entropy":
                t = rng.integers(-1, outputs, (200, 1)).astype(dtype)
            value, dy = _cell.loss_gradient(y, t, loss, rng.random(200), 0.01)
            sha.update(np.float64(value).tobytes() + dy.tobytes())
print(_cell.active(), sha.hexdigest())
"""


@pytest.mark.kernel
def test_instruction_sets_that_fuse_give_the_same_bits() -> None:
    isas = [isa for isa in _cell.available() if isa != "portable"]
    if len(isas) < 2:
        pytest.skip(f"fewer than two instruction sets with fused multiply-adds: {isas}")
    found = [children.run(BITS, env={"CRNN_ISA": isa}).split() for isa in isas]
    assert [isa for isa, _ in found] == isas
    assert len({digest for _, digest in found}) == 1


# ---- PyTorch ----


@every_loss
def test_losses_and_gradients_agree_with_torch(loss: losses.Loss) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    functional = torch.nn.functional
    y, t = drawn(loss, 65, 12, "float64")
    outputs, targets = torch.tensor(y, requires_grad=True), torch.tensor(t)
    if isinstance(loss, losses.MSE):
        value = functional.mse_loss(outputs, targets)
    elif isinstance(loss, losses.MAE):
        value = functional.l1_loss(outputs, targets)
    elif isinstance(loss, losses.Huber):
        value = functional.huber_loss(outputs, targets, delta=loss.delta)
    elif isinstance(loss, losses.Quantile):
        e = targets - outputs
        value = torch.maximum(loss.q * e, (loss.q - 1) * e).mean()
    elif isinstance(loss, losses.CrossEntropy):
        value = functional.cross_entropy(outputs, targets[:, 0].long())
    else:
        value = functional.binary_cross_entropy_with_logits(outputs, targets)
    value.backward()
    total, valid = _cell.loss_of(y, t, loss)
    assert total / valid == near(float(value.detach()), AUTOGRAD)
    mean, dy = _cell.loss_gradient(y, t, loss, None, 1 / valid)
    assert mean == near(total / valid, LOSS_VALUE["float64"])
    assert relative_error(dy, outputs.grad.numpy()) <= AUTOGRAD


# ---- errors ----


@every_dtype
@pytest.mark.parametrize("bad", [3.0, 7.0, 1.5, 1e30])
def test_an_invalid_class_is_an_error(bad: float, dtype: str) -> None:
    y, t = np.zeros((2, 3), dtype), np.array([[0], [bad]], dtype)
    for function in (_cell.loss_of, _cell.loss_gradient):
        with pytest.raises(ValueError, match="class of row 1 must be an integer below 3"):
            function(y, t, losses.CrossEntropy())


@pytest.mark.parametrize(
    ("shape", "weights", "loss"),
    [
        ((2, 2), 2, losses.MSE()),
        ((3, 3), 2, losses.MSE()),
        ((2, 3), 3, losses.MSE()),
        ((2, 3), 2, losses.CrossEntropy()),
        ((3, 1), 2, losses.CrossEntropy()),
    ],
)
def test_shapes_that_do_not_fit_are_an_error(
    shape: tuple[int, int], weights: int, loss: losses.Loss
) -> None:
    for function in (_cell.loss_of, _cell.loss_gradient):
        with pytest.raises(ValueError, match="do not fit"):
            function(np.zeros((2, 3)), np.zeros(shape), loss, np.ones(weights))


@every_loss
def test_read_only_arrays_and_none_at_all(loss: losses.Loss) -> None:
    y, t = drawn(loss, 4, 3, "float64")
    y.flags.writeable = t.flags.writeable = False
    assert math.isfinite(_cell.loss_of(y, t, loss)[0])
    assert _cell.loss_of(y[:0], t[:0], loss) == (0.0, 0)
    assert _cell.loss_gradient(y[:0], t[:0], loss)[1].shape == (0, 3)


# ---- losses as objects ----


def test_strings_stand_for_the_defaults() -> None:
    defaults = [
        losses.MSE(),
        losses.MAE(),
        losses.Huber(1.0),
        losses.Quantile(0.5),
        losses.CrossEntropy(),
        losses.BinaryCrossEntropy(),
    ]
    assert [losses.named("loss", name, 3) for name in NAMES] == defaults
    assert tuple(NAMES) == _cell.LOSS_NAMES
    assert crnn.losses is losses


@pytest.mark.parametrize("loss", [*ALL, losses.Quantile((0.1, 0.9))], ids=repr)
def test_losses_are_values(loss: losses.Loss) -> None:
    assert losses.named("loss", loss, 2) is loss
    assert pickle.loads(pickle.dumps(loss)) == loss
    settings = json.loads(json.dumps(loss.settings()))
    again = type(losses.named("loss", settings.pop("name"), 1))(**settings)
    assert again == loss
    assert {loss: 1}[again] == 1
    assert sum(other == loss for other in ALL) <= 1
    with pytest.raises(AttributeError):
        loss.delta = 2.0  # type: ignore[attr-defined]


def test_quantiles_in_every_form() -> None:
    assert losses.Quantile(np.float32(0.5)).q == 0.5
    for form in ([0.25, 0.75], (0.25, 0.75), np.array([0.25, 0.75])):
        assert losses.Quantile(form) == losses.Quantile((0.25, 0.75))  # type: ignore[arg-type]
    assert losses.Quantile(np.array(0.25)) == losses.Quantile(0.25)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: losses.Huber(0), ValueError, "delta must be greater than 0, got 0.0"),
        (lambda: losses.Huber(math.nan), ValueError, "delta must be finite, got nan"),
        (lambda: losses.Huber(math.inf), ValueError, "delta must be finite, got inf"),
        (lambda: losses.Huber("1"), TypeError, "delta must be a real number, got '1'"),
        (lambda: losses.Huber(True), TypeError, "delta must be a real number, got True"),
        (lambda: losses.Quantile(0), ValueError, "q must be greater than 0, got 0.0"),
        (lambda: losses.Quantile(1), ValueError, "q must be less than 1, got 1.0"),
        (lambda: losses.Quantile([0.5, 1.5]), ValueError, "q must be less than 1, got 1.5"),
        (lambda: losses.Quantile([]), ValueError, "q must have at least one quantile, got none"),
        (lambda: losses.Quantile("0.5"), TypeError, "q must be a real number, got '0.5'"),
        (lambda: losses.Quantile([[0.5]]), TypeError, "q must be a real number, got [0.5]"),
        (lambda: losses.Quantile(None), TypeError, "q must be a real number, got None"),
        (lambda: losses.named("loss", "rmse", 1), ValueError, "loss must be one of ['mse', "),
        (lambda: losses.named("loss", 3, 1), TypeError, "loss must be a loss of crnn.losses or"),
        (lambda: losses.named("loss", losses.MSE, 1), TypeError, "loss must be a loss of crnn."),
        (lambda: losses.named("loss", losses.Loss(), 1), TypeError, "loss must be a loss of"),
        (
            lambda: losses.named("loss", losses.Quantile([0.1, 0.9]), 3),
            ValueError,
            "loss must have one quantile or as many as there are outputs, 3, got 2",
        ),
        (lambda: losses.softmax(["a"]), TypeError, "logits must hold real integers or floats"),
        (lambda: losses.softmax(1.0), ValueError, "logits must have at least one axis, got 1.0"),
        (lambda: losses.softmax([1.0], axis=1), ValueError, "axis must be less than 1, got 1"),
        (lambda: losses.softmax([1.0], axis=-2), ValueError, "axis must be at least -1, got -2"),
        (lambda: losses.softmax([1.0], axis=0.5), TypeError, "axis must be an integer, got 0.5"),
        (lambda: losses.softmax([[]]), ValueError, "logits must have at least one class, got"),
        (lambda: losses.sigmoid([1j]), TypeError, "logits must hold real integers or floats"),
    ],
)
def test_what_losses_refuse(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()


# ---- probabilities ----


@every_dtype
def test_probabilities(dtype: str) -> None:
    y = drawn(losses.MSE(), 6, 4, dtype)[0]
    p, e = losses.softmax(y), np.exp(y)
    assert p.dtype == dtype
    assert p.sum(axis=1) == near(np.ones(6), PROBABILITY[dtype])
    assert losses.softmax(y.T, axis=0).T.tobytes() == p.tobytes()
    assert p == near(e / e.sum(axis=1, keepdims=True), PROBABILITY[dtype])
    s = losses.sigmoid(y)
    assert s.dtype == dtype
    assert s == near(1 / (1 + np.exp(-y)), PROBABILITY[dtype])
    assert s + losses.sigmoid(-y) == near(np.ones_like(y), PROBABILITY[dtype])


def test_probabilities_of_what_is_not_finite() -> None:
    assert np.isnan(losses.softmax([np.inf, 0.0])).all()
    assert np.isnan(losses.softmax([np.nan, 0.0])).all()
    assert losses.softmax([-np.inf, 0.0]).tolist() == [0, 1]
    s = losses.sigmoid([np.nan, np.inf, -np.inf])
    assert np.isnan(s[0])
    assert s[1:].tolist() == [1, 0]


def test_probabilities_of_integers_and_other_byte_orders() -> None:
    assert losses.softmax([0, 0]).tolist() == [0.5, 0.5]
    assert losses.sigmoid(0) == 0.5
    big = np.array([[1.0, 2.0]], ">f4")
    assert (losses.softmax(big) == losses.softmax(big.astype("f4"))).all()
    assert (losses.sigmoid(big) == losses.sigmoid(big.astype("f4"))).all()
