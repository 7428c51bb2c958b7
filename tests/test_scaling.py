"""Numbers far from mean 0 and deviation 1: one warning that names them, and no false ones."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from networks import bits
from samples import Array

import crnn
from crnn import RNN, EarlyStopping, Trainer, TrainingDiverged
from crnn.dataset import Sequences

RANDOM = np.random.default_rng(0)
SERIES = RANDOM.standard_normal(200)
X, Y = crnn.dataset.windows(SERIES, 12)
PANEL = RANDOM.standard_normal((50, 9, 3))


def warned(x: Any, y: Any, model: RNN | None = None, **arguments: Any) -> list[str]:
    """The warnings of a fit and of a start, which are the same."""
    loss = arguments.pop("loss", "mse")
    heard = []
    for begin in ("fit", "start"):
        network = RNN(1, 4, 1, seed=0) if model is None else model
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            getattr(Trainer(epochs=1, learning_rate=1e-9, seed=0, loss=loss), begin)(
                network, x, y, **arguments
            )
        assert all(w.category is UserWarning for w in caught)
        assert all(w.filename == __file__ for w in caught)  # the warning shows the caller's line
        heard.append([str(w.message) for w in caught])
    assert heard[0] == heard[1]
    return heard[0]


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values * 1e4, "standard deviation"),
        (lambda values: values * 150, "standard deviation"),
        (lambda values: values * 1e-4, "standard deviation"),
        (lambda values: values * 5e-3, "standard deviation"),
        (lambda values: values + 20, "mean"),
        (lambda values: values * 0.1 - 5, "mean -5"),
        (lambda values: np.full_like(values, 500.0), "mean 500"),
        (lambda values: values * 1e-300, "standard deviation"),
        (lambda values: values * 1e30, "standard deviation"),
        (lambda values: (values * 1e4).astype(np.int64), "standard deviation"),
    ],
)
def test_unscaled_numbers_give_one_warning(name: str, change: Any, words: str) -> None:
    x, y = (change(X), Y) if name == "x" else (X, change(Y))
    found = warned(x, y)
    assert len(found) == 1
    assert found[0].startswith(f"{name} has ")
    assert words in found[0]
    assert "subtract the mean and divide by the standard deviation" in found[0]


def test_both_get_one_warning() -> None:
    assert len(warned(X * 1e4, Y * 1e4)) == 1


@pytest.mark.parametrize("column", [0, 2])
def test_the_column_is_named(column: int) -> None:
    x = PANEL.copy()
    x[:, :, column] *= 1e4
    (found,) = warned(x, PANEL[:, 0, 0], RNN(3, 4, 1, seed=0))
    assert f"in column {column}" in found


def padded(fill: float) -> tuple[Array, Array]:
    x = PANEL.copy()
    lengths = np.arange(50) % 9 + 1
    x[np.arange(9) >= lengths[:, None]] = fill
    return x, lengths


def category() -> Array:
    x = RANDOM.standard_normal((2000, 9, 3))
    x[:, :, 1] = 0
    x[3, 4, 1] = 1  # a deviation of 0.0075
    return x


@pytest.mark.parametrize("factor", [0.02, 1.0, 80.0])
@pytest.mark.parametrize("shift", [0.0, 8.0, -8.0])
def test_scaled_numbers_give_no_warning(factor: float, shift: float) -> None:
    assert warned(factor * (X + shift), factor * (Y + shift)) == []


def test_numbers_without_a_scale_give_no_warning() -> None:
    tokens = RNN(5000, 4, 1, tokens=True, seed=0)
    assert warned(RANDOM.integers(0, 5000, (50, 9)), PANEL[:, 0, 0], tokens) == []
    classes = RNN(3, 4, 1000, seed=0)
    numbers = RANDOM.integers(990, 1000, 50)
    assert warned(PANEL, numbers, classes, loss="cross_entropy") == []
    rare = np.zeros(50)
    rare[0] = 0.01
    assert warned(PANEL, rare, RNN(3, 4, 1, seed=0), loss="binary_cross_entropy") == []
    rare_category = category()
    assert warned(rare_category, rare_category[:, 0, 0], RNN(3, 4, 1, seed=0)) == []
    assert warned(np.full_like(X, 3.0), np.zeros_like(Y)) == []  # constants
    assert warned(X[:1, :5] * 1e-3 + 2, Y[:1]) == []  # five numbers are too few for a deviation


def test_numbers_that_are_not_trained_on_are_not_checked() -> None:
    x, lengths = padded(1e6)
    assert warned(x, PANEL[:, 0, 0], RNN(3, 4, 1, seed=0), lengths=lengths) == []
    values = np.concatenate([PANEL.reshape(-1, 3), np.full((400, 3), 1e6)])
    sequences = Sequences(values, np.arange(50) * 9, np.full(50, 9))
    assert warned(sequences, PANEL[:, 0, 0], RNN(3, 4, 1, seed=0)) == []
    y = Y.copy()
    y[::3] = np.nan
    assert warned(X, y, missing="ignore") == []
    later = np.concatenate([SERIES, SERIES + 1e3])
    x, y = crnn.dataset.windows(later, 12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(epochs=1, seed=0).fit(RNN(1, 4, 1, seed=0), x, y, validation=0.5, gap=20)


def test_all_parts_of_a_large_array_count() -> None:
    x = np.zeros((300, 1500, 1), np.float32)
    x[:] = RANDOM.standard_normal((300, 1, 1))
    assert warned(x, x[:, 0]) == []
    x[150:] *= 1e4
    assert len(warned(x, RANDOM.standard_normal(300))) == 1


def test_a_warning_that_is_an_error_changes_no_parameter() -> None:
    model = RNN(1, 4, 1, seed=0)
    before = bits(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="y has"):
            Trainer(seed=0).fit(
                model, X, Y * 1e4, validation=0.2, early_stopping=EarlyStopping(refit=True)
            )
    assert bits(model) == before


def test_what_scales_by_itself_gives_no_warning() -> None:
    pytest.importorskip("sklearn", reason="the estimators need scikit-learn")
    from crnn.estimators import RNNRegressor

    for factor in (1e-6, 1e6):
        table = X[:, :, 0] * factor + 20 * factor
        RNNRegressor(max_iter=1, random_state=0).fit(table, Y * factor)
        RNNRegressor(max_iter=1, random_state=0, standardize=False).fit(table, Y * factor)


# ---- a training that diverged ----


@pytest.mark.parametrize("scale", [1e162, 1e5])
def test_huge_data_are_named_as_the_cause(scale: float) -> None:
    model = RNN(1, 4, 1, dtype="float64", seed=0)
    with pytest.warns(UserWarning, match="y has"), pytest.raises(TrainingDiverged) as caught:
        Trainer(learning_rate=1e10, clip_value=None, seed=0).fit(model, X, Y * scale)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert "y has mean" in str(error)
        assert "divide by the standard deviation" in str(error)
        assert "smaller" not in str(error)


def test_of_scaled_data_the_rate_is_named() -> None:
    model = RNN(1, 4, 1, dtype="float64", seed=0)
    with pytest.raises(TrainingDiverged, match="smaller learning_rate") as caught:
        Trainer(learning_rate=1e300, clip_value=None, seed=0).fit(model, X, Y)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_docstrings_speak_of_scaling() -> None:
    for text in (crnn.RNN.__doc__, Trainer.__doc__, Trainer.fit.__doc__):
        assert text is not None
        assert "standard deviation" in text
