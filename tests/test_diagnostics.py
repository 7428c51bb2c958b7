"""Diagnostics against gradients by other methods, and their plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tolerances import AUTOGRAD, BY_DIFFERENCES, ORTHOGONAL, near

from crnn import RNN, diagnostics, plots
from crnn.dataset import Sequences

CASES: dict[str, dict[str, Any]] = {
    "tanh": {},
    "relu": {"nonlinearity": "relu"},
    "layers": {"num_layers": 2},
    "directions": {"bidirectional": True},
    "every": {"output": "all"},
}


def numeric_norms(model: RNN, x: np.ndarray, y: np.ndarray, lags: int) -> list[float]:
    """Norms of the gradient by lag, by small changes of each state, passed on as `h0`."""
    norms = []
    step = 1e-6
    for lag in range(lags):
        cut = x.shape[1] - lag
        _, state = model.predict(x[:, :cut], return_state=True)
        gradient = np.zeros(state.shape[1:])
        for unit in range(model.hidden_size):
            losses = []
            for sign in (1, -1):
                moved = state.copy()
                moved[-1, :, unit] += sign * step
                if lag:
                    output = model.predict(x[:, cut:], h0=moved)
                else:
                    arrays = model.state_dict()
                    output = moved[-1] @ arrays["Wy"] + arrays["by"]
                losses.append(((output - y) ** 2).sum(axis=1) / y.size)
            gradient[:, unit] = (losses[0] - losses[1]) / (2 * step)
        norms.append(float(np.linalg.norm(gradient)))
    return norms


def data(samples: int = 4, steps: int = 7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(samples, steps, 2)), random.normal(size=(samples, 3))


@pytest.mark.parametrize("case", ["tanh", "relu"])
def test_the_gradient_by_lag_is_the_slope_of_the_loss(case: str) -> None:
    model = RNN(2, 5, 3, dtype="float64", seed=1, **CASES[case])
    x, y = data()
    norms = diagnostics.gradient_by_lag(model, x, y)
    assert norms.shape == (7,)
    assert norms.tolist() == near(numeric_norms(model, x, y, 7), BY_DIFFERENCES)


@pytest.mark.parametrize("case", CASES)
def test_lag_zero_and_the_output_weights_agree(case: str) -> None:
    model = RNN(2, 5, 3, dtype="float64", seed=1, **CASES[case])
    x, y = data()
    last = model.predict(x)
    last = last[:, -1] if case == "every" else last
    dy = 2 * (last - y) / y.size
    expected = np.linalg.norm(dy @ model.state_dict()["Wy"][:5].T)
    assert diagnostics.gradient_by_lag(model, x, y)[0] == near(expected, AUTOGRAD)


def test_sequences_and_lengths_are_one_thing() -> None:
    model = RNN(2, 5, 3, dtype="float64", seed=1)
    x, y = data()
    lengths = np.array([7, 3, 5, 1])
    x[np.arange(7) >= lengths[:, None]] = np.nan
    padded = diagnostics.gradient_by_lag(model, x, y, lengths=lengths)
    ragged = Sequences.from_list([row[:n] for row, n in zip(x, lengths, strict=True)])
    assert np.array_equal(padded, diagnostics.gradient_by_lag(model, ragged, y))
    alone = [
        diagnostics.gradient_by_lag(model, x[i : i + 1, :n], y[i : i + 1]) / 4
        for i, n in enumerate(lengths)
    ]
    squares = [sum(a[lag] ** 2 for a in alone if lag < len(a)) for lag in range(7)]
    assert padded.tolist() == near(np.sqrt(squares).tolist(), AUTOGRAD)
    shares = diagnostics.saturation(model, ragged, threshold=0.5)
    assert np.array_equal(shares, diagnostics.saturation(model, x, lengths=lengths, threshold=0.5))


def test_classes_have_a_gradient_by_lag() -> None:
    model = RNN(2, 5, 3, seed=1)
    x, _ = data()
    norms = diagnostics.gradient_by_lag(model, x, np.array([0, 1, 2, 1]), "cross_entropy")
    assert np.isfinite(norms).all()
    with pytest.raises(ValueError, match="y must hold integers"):
        diagnostics.gradient_by_lag(model, x, np.array([0, 1, 2, 3]), "cross_entropy")


def test_the_spectral_radius_is_the_largest_eigenvalue() -> None:
    model = RNN(2, 6, 1, num_layers=2, bidirectional=True, seed=0)
    arrays = model.state_dict()
    arrays["Wh_l1_reverse"] = np.diag([0.1, -2.5, 0.3, 0.0, 1.0, 2.0])
    model.load_state_dict(arrays)
    radii = diagnostics.spectral_radius(model)
    assert sorted(radii) == ["Wh_l0", "Wh_l0_reverse", "Wh_l1", "Wh_l1_reverse"]
    assert radii["Wh_l1_reverse"] == near(2.5, AUTOGRAD)
    assert radii["Wh_l0"] == near(1.0, ORTHOGONAL["float32"])


def test_saturation_counts_closed_units() -> None:
    model = RNN(1, 3, 1, seed=0)
    arrays = {name: np.zeros_like(value) for name, value in model.state_dict().items()}
    arrays["b_l0"] = np.array([10.0, -10.0, 0.0])
    model.load_state_dict(arrays)
    assert diagnostics.saturation(model, np.zeros((2, 4))).tolist() == [1.0, 1.0, 0.0]
    arrays["b_l0"] = np.arctanh([0.985, -0.995, 0.0])
    model.load_state_dict(arrays)
    assert diagnostics.saturation(model, np.zeros((2, 4))).tolist() == [0.0, 1.0, 0.0]
    arrays["b_l0"] = np.array([10.0, -10.0, 0.0])
    relu = RNN(1, 3, 1, nonlinearity="relu", seed=0)
    relu.load_state_dict(arrays)
    assert diagnostics.saturation(relu, np.zeros((2, 4))).tolist() == [0.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="threshold"):
        diagnostics.saturation(model, np.zeros((2, 4)), threshold=1.0)


def test_each_has_a_plot() -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    model = RNN(2, 5, 3, num_layers=2, seed=1)
    x, y = data()
    lags = plots.plot_gradient_by_lag(diagnostics.gradient_by_lag(model, x, y))
    assert len(lags.lines[0].get_xdata()) == 7
    spectrum = plots.plot_spectrum(model)
    assert len(spectrum.lines[1].get_xdata()) == 5
    shares = plots.plot_saturation(diagnostics.saturation(model, x))
    assert sum(bar.get_height() for bar in shares.patches) == 5
