"""RNNRegressor and RNNClassifier against their specification: columns, units, MLPRegressor's rules.

test_ecosystem.py has what the forecasting libraries pass.
"""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tolerances import (
    ESTIMATOR_MOMENTS,
    ESTIMATOR_OTHER_UNIT,
    ESTIMATOR_PENALTY,
    ESTIMATOR_PROBABILITIES,
    ESTIMATOR_SCORE,
    near,
)
from two_sines import two_sines

import crnn
from crnn import losses, optimizers

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")

import joblib
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, d2_pinball_score, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from crnn import estimators
from crnn.estimators import RNNClassifier, RNNRegressor

Array = np.ndarray[Any, np.dtype[Any]]

BOTH = pytest.mark.parametrize("kind", [RNNRegressor, RNNClassifier])


def series_of_lags(samples: int = 120, lags: int = 6, *, seed: int = 0) -> tuple[Array, Array]:
    """Windows of a noisy wave, oldest first, and the value after each."""
    random = np.random.default_rng(seed)
    series = np.sin(0.3 * np.arange(samples + lags)) + 0.1 * random.normal(size=samples + lags)
    windows = np.lib.stride_tricks.sliding_window_view(series, lags + 1)
    return windows[:, :-1].copy(), windows[:, -1].copy()


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Array]]:
    """Inputs of the network in training and prediction, and its training targets."""
    seen: dict[str, list[Array]] = {"trained": [], "targets": [], "predicted": []}
    start, predict = crnn.Trainer._start, crnn.RNN.predict

    def started(self: Any, model: Any, x: Array, y: Array, **given: Any) -> Any:
        seen["trained"].append(np.array(x))
        seen["targets"].append(np.array(y))
        return start(self, model, x, y, **given)

    def predicted(self: Any, x: Array, **given: Any) -> Any:
        seen["predicted"].append(np.array(x))
        return predict(self, x, **given)

    monkeypatch.setattr(crnn.Trainer, "_start", started)
    monkeypatch.setattr(crnn.RNN, "predict", predicted)
    return seen


def targets(kind: Any, y: Array) -> Array:
    return y > np.median(y) if kind is RNNClassifier else y


def outputs(fitted: Any, X: Any) -> Array:
    return fitted.predict_proba(X) if hasattr(fitted, "predict_proba") else fitted.predict(X)


# ---- scikit-learn's own checks ----


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        RNNRegressor(),
        RNNClassifier(),
        RNNRegressor(alpha=1e-2, num_layers=2, max_iter=150),
        RNNClassifier(bidirectional=True, standardize=False),
    ]
)
def test_check_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_signatures() -> None:
    given = (
        "hidden_size=32, *, num_layers=1, bidirectional=False, steps=None, "
        'lag_order="oldest_first", standardize=True, loss="squared_error", quantile=None, '
        'solver="adam", learning_rate_init=2e-3, batch_size="auto", max_iter=100, alpha=0.0, '
        "clip_norm=1.0, shuffle=True, early_stopping=False, validation='last', "
        "validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, dropout=0.0, warm_start=False, "
        "random_state=None, n_jobs=None, verbose=False"
    )
    for kind, text in (
        (RNNRegressor, given),
        (RNNClassifier, given.replace('loss="squared_error", quantile=None, ', "")),
    ):
        want = inspect.signature(
            eval(f"lambda {text}: 0")
        ).parameters  # eval of literals in this file only
        have = inspect.signature(kind).parameters
        assert [(p.name, p.default, p.kind) for p in have.values()] == [
            (p.name, p.default, p.kind) for p in want.values()
        ]


@BOTH
def test_tags(kind: Any) -> None:
    """X may have three dimensions; several targets are the regressor's alone."""
    tags = kind().__sklearn_tags__()
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.sparse
    assert not tags.input_tags.allow_nan
    assert tags.target_tags.multi_output is (kind is RNNRegressor)


# ---- which columns are steps ----


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [[0], [1], [2], [3], [4], [5]]),
        ({"lag_order": "newest_first"}, [[5], [4], [3], [2], [1], [0]]),
        ({"steps": 4}, [[0, 4, 5], [1, 4, 5], [2, 4, 5], [3, 4, 5]]),
        ({"steps": -4}, [[2, 0, 1], [3, 0, 1], [4, 0, 1], [5, 0, 1]]),
        ({"steps": 4, "lag_order": "newest_first"}, [[3, 4, 5], [2, 4, 5], [1, 4, 5], [0, 4, 5]]),
        ({"steps": [5, 0, 2]}, [[5, 1, 3, 4], [0, 1, 3, 4], [2, 1, 3, 4]]),
        ({"steps": [-1, 0, 2]}, [[5, 1, 3, 4], [0, 1, 3, 4], [2, 1, 3, 4]]),
        ({"steps": [[0, 3], [1, 4], [2, 5]]}, [[0, 3], [1, 4], [2, 5]]),
        ({"steps": np.arange(6).reshape(3, 2)}, [[0, 1], [2, 3], [4, 5]]),
        (
            {"steps": [[0, 3], [1, 4]], "lag_order": "newest_first"},
            [[1, 4, 2, 5], [0, 3, 2, 5]],
        ),
    ],
)
@BOTH
def test_steps(kind: Any, given: Any, expected: Any, spy: Any) -> None:
    X, y = series_of_lags()
    fitted = kind(max_iter=1, standardize=False, **given).fit(X, targets(kind, y))
    fitted.predict(X[:7])
    np.testing.assert_array_equal(spy["trained"][0], X[:, np.array(expected)])
    np.testing.assert_array_equal(spy["predicted"][0], X[:7][:, np.array(expected)])


@pytest.mark.parametrize(
    ("names", "given", "expected"),
    [
        # skforecast, mlforecast and sktime
        (["lag_1", "lag_2", "lag_3"], {}, [[2], [1], [0]]),
        (["price", "lag1", "lag2", "lag12", "month"], {}, [[3, 0, 4], [2, 0, 4], [1, 0, 4]]),
        (["lag1", "lag2", "expanding_mean_lag1"], {}, [[1, 2], [0, 2]]),
        (["y_lag_1", "y_lag_2", "day"], {}, [[1, 2], [0, 2]]),
        # groups with the same lags are features of a step, other columns are shown at every step
        (["a_lag_2", "a_lag_1", "b_lag_1", "b_lag_2"], {}, [[0, 3], [1, 2]]),
        (["a_lag_2", "a_lag_1", "b_lag_1", "sky"], {}, [[0, 2, 3], [1, 2, 3]]),
        # only among the columns that steps selects
        (["lag_1", "lag_2", "x_lag_1", "x_lag_2"], {"steps": 2}, [[1, 2, 3], [0, 2, 3]]),
        # not lags
        (["lag_1", "lag_2", "lag_3_mean", "flag_1"], {}, [[1, 2, 3], [0, 2, 3]]),
    ],
)
def test_lags_by_name(names: list[str], given: Any, expected: Any, spy: Any) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = series_of_lags(lags=len(names))
    frame = pandas.DataFrame(X, columns=names)
    fitted = RNNRegressor(max_iter=1, standardize=False, lag_order="names", **given)
    fitted.fit(frame, y).predict(frame[:5])
    np.testing.assert_array_equal(spy["trained"][0], X[:, np.array(expected)])
    np.testing.assert_array_equal(spy["predicted"][0], X[:5][:, np.array(expected)])
    fitted.predict(X[:3])  # by position, without a warning
    np.testing.assert_array_equal(spy["predicted"][1], X[:3][:, np.array(expected)])


def test_steps_by_name(spy: Any) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = series_of_lags(lags=4)
    frame = pandas.DataFrame(X, columns=["now", "before", "sun", "rain"])
    RNNRegressor(max_iter=1, standardize=False, steps=["before", "now"]).fit(frame, y)
    np.testing.assert_array_equal(spy["trained"][0], X[:, np.array([[1, 2, 3], [0, 2, 3]])])
    names = pandas.Index(["before", "now"])
    RNNRegressor(max_iter=1, standardize=False, steps=names).fit(frame, y)
    np.testing.assert_array_equal(spy["trained"][1], spy["trained"][0])


@BOTH
def test_panels(kind: Any, spy: Any) -> None:
    X = np.random.default_rng(0).normal(size=(40, 5, 3))
    y = targets(kind, X[:, -1, 0])
    fitted = kind(max_iter=1, standardize=False).fit(X, y)
    assert (fitted.model_.input_size, fitted.n_features_in_) == (3, 5)
    np.testing.assert_array_equal(spy["trained"][0], X)
    kind(max_iter=1, standardize=False, lag_order="newest_first").fit(X, y).predict(X[:2])
    np.testing.assert_array_equal(spy["trained"][1], X[:, ::-1])
    np.testing.assert_array_equal(spy["predicted"][0], X[:2, ::-1])
    for other in (X[:, :4], X[:, :, :2], X[:, :, 0]):
        with pytest.raises(ValueError, match=r"rows of shape|features"):
            fitted.predict(other)
    with pytest.raises(ValueError, match=r"X must have rows of shape \(5, 3\), got \(5, 2\)"):
        fitted.predict(X[:, :, :2])


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"steps": 0}, ValueError, "steps must be between 1 and 6"),
        ({"steps": 7}, ValueError, "steps must be between 1 and 6"),
        ({"steps": -7}, ValueError, "steps must be between 1 and 6"),
        ({"steps": True}, TypeError, "steps must be"),
        ({"steps": 2.0}, TypeError, "steps must be"),
        ({"steps": "lag_1"}, TypeError, "steps must be"),
        ({"steps": [0, 6]}, ValueError, "steps must hold positions below 6"),
        ({"steps": [0, -7]}, ValueError, "steps must hold positions below 6"),
        ({"steps": [0, 1, -6]}, ValueError, "steps must hold each column once"),
        ({"steps": [0.0, 1.0]}, TypeError, "steps must be"),
        ({"steps": []}, ValueError, "steps must be"),
        ({"steps": np.zeros((2, 2, 2), int)}, ValueError, "steps must be"),
        ({"steps": ["a"]}, ValueError, "steps must hold names of X's columns, got 'a'"),
        ({"lag_order": "newest"}, ValueError, "lag_order must be one of"),
        ({"lag_order": None}, TypeError, "lag_order must be one of"),
        ({"lag_order": "names"}, ValueError, "got no names"),
    ],
)
def test_wrong_steps(given: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        RNNRegressor(**given).fit(*series_of_lags())


def test_wrong_names() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = series_of_lags(lags=3)
    with pytest.raises(ValueError, match=r"lag_order=.names. needs columns called.*got.*'b'"):
        RNNRegressor(lag_order="names").fit(pandas.DataFrame(X, columns=list("abc")), y)
    twice = pandas.DataFrame(X, columns=["lag_1", "lag1", "lag2"])
    with pytest.raises(ValueError, match="one column a lag, got lag_1 and lag1"):
        RNNRegressor(lag_order="names").fit(twice, y)
    for given in ({"steps": 2}, {"lag_order": "names"}):
        with pytest.raises(ValueError, match=r"3-D|steps must be None where X is"):
            RNNRegressor(**given).fit(X[:, :, None], y)


@BOTH
def test_one_step_is_a_warning(kind: Any) -> None:
    X, y = series_of_lags()
    for given, table in (({"steps": 1}, X), ({}, X[:, :1]), ({}, X[:, None, :])):
        classes = {"classes": [False, True]} if kind is RNNClassifier else {}
        with pytest.warns(UserWarning, match="one step only") as caught:
            parts = kind(**given).partial_fit(table, targets(kind, y), **classes)
        assert [w.filename for w in caught] == [__file__]
        parts.partial_fit(table, targets(kind, y))
        with pytest.warns(UserWarning, match="one step only") as caught:
            kind(max_iter=1, **given).fit(table, targets(kind, y))
        assert [w.filename for w in caught] == [__file__]


# ---- units ----


@pytest.mark.parametrize("weighted", [False, True])
def test_standardized_rows_and_targets(weighted: bool, spy: Any) -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(80, 7)) * [1, 1, 1, 50, 50, 50, 9] + [3, 3, 3, 0, 0, 0, -8]
    y = random.normal(size=(80, 2)) * [1e-3, 1e3] + [5, -7]
    weight = random.integers(1, 5, 80).astype(float) if weighted else None
    steps = [[0, 3], [1, 4], [2, 5]]
    fitted = RNNRegressor(max_iter=1, steps=steps).fit(X, y, weight)
    read, wanted = spy["trained"][0], spy["targets"][0]
    assert read.shape == (80, 3, 3)
    each = np.ones(80) if weight is None else weight
    for feature in range(3):  # one unit for all steps of a feature
        values = read[:, :, feature].ravel()
        mean = np.average(values, weights=np.repeat(each, 3))
        square = np.average(values**2, weights=np.repeat(each, 3))
        assert abs(mean) < ESTIMATOR_MOMENTS
        assert square == near(1.0, ESTIMATOR_MOMENTS)
        # an affine image of the columns
        columns = X[:, [row[feature] for row in steps]] if feature < 2 else X[:, [6, 6, 6]]
        slope = np.ptp(values) / np.ptp(columns)
        line = (columns - columns.min()) * slope + values.min()
        np.testing.assert_allclose(line.ravel(), values, atol=ESTIMATOR_MOMENTS)
    np.testing.assert_allclose(np.average(wanted, axis=0, weights=each), 0, atol=ESTIMATOR_MOMENTS)
    square = np.average(wanted**2, axis=0, weights=each)
    np.testing.assert_allclose(square, 1, rtol=ESTIMATOR_MOMENTS)
    assert np.abs(fitted.predict(X) / [1, -7] - 1).max() < 500  # in the unit of y


def test_predictions_do_not_depend_on_units() -> None:
    X, y = series_of_lags()
    plain = RNNRegressor(steps=5, max_iter=20, random_state=0).fit(X, y).predict(X)
    unit = np.array([1e4] * 5 + [1e-3])
    other = RNNRegressor(steps=5, max_iter=20, random_state=0).fit(X * unit + 7, 1e6 * y - 3)
    np.testing.assert_allclose(
        (other.predict(X * unit + 7) + 3) / 1e6, plain, rtol=0, atol=ESTIMATOR_OTHER_UNIT
    )


def test_without_standardize(spy: Any) -> None:
    X, y = series_of_lags()
    fitted = RNNRegressor(standardize=False, max_iter=3).fit(X, 1e3 + y)
    np.testing.assert_array_equal(spy["targets"][0][:, 0], 1e3 + y)
    np.testing.assert_array_equal(fitted.predict(X), fitted.model_.predict(X[:, :, None])[:, 0])


def test_standardize_is_that_of_the_fit() -> None:
    X, y = series_of_lags()
    fitted = RNNRegressor(max_iter=3, random_state=0).fit(X, y)
    before = fitted.predict(X)
    np.testing.assert_array_equal(fitted.set_params(standardize=False).predict(X), before)


@pytest.mark.parametrize("constant", [0.0, 5.5, -1e-9, 1e12])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_a_constant_y_is_predicted_exactly(constant: float, loss: str) -> None:
    X, y = series_of_lags()
    fitted = RNNRegressor(loss=loss, random_state=0).fit(X, np.full(len(y), constant))
    np.testing.assert_array_equal(fitted.predict(X), constant)
    two = RNNRegressor(random_state=0).fit(X, np.stack([y, np.full(len(y), constant)], 1))
    np.testing.assert_array_equal(two.predict(X)[:, 1], constant)
    assert two.score(X, np.stack([y, np.full(len(y), constant)], 1)) > 0.9


def test_rows_without_weight_have_no_influence() -> None:
    X, y = series_of_lags()
    X[:, 5] = 3.0
    weight = np.where(np.arange(120) % 4, 1.0, 0.0)
    out = weight == 0
    X[out], y[out] = 1e150, -1e200
    given = {"random_state": 0, "steps": 5, "batch_size": 16}
    fitted = RNNRegressor(**given).fit(X, y, weight)
    without = RNNRegressor(**given).fit(X[~out], y[~out], weight[~out])
    np.testing.assert_array_equal(fitted.predict(X[~out]), without.predict(X[~out]))
    parts = RNNRegressor(**given).partial_fit(X, y, weight)
    without = RNNRegressor(**given).partial_fit(X[~out], y[~out], weight[~out])
    np.testing.assert_array_equal(parts.predict(X[~out]), without.predict(X[~out]))
    constant = RNNRegressor(**given).fit(X, np.where(out, y, 7.0), weight)
    np.testing.assert_array_equal(constant.predict(X[~out]), 7.0)


@BOTH
def test_constant_columns_and_one_sample(kind: Any) -> None:
    X, y = series_of_lags()
    X[:, 2], X[:, 4] = 0.1, 1e200
    fitted = kind(steps=2, random_state=0).fit(X, targets(kind, y))
    assert np.isfinite(outputs(fitted, X)).all()
    for standardize in (True, False):
        one = kind(standardize=standardize, random_state=0, max_iter=900, n_iter_no_change=math.inf)
        one.fit(X[:1, :2], targets(kind, y)[:1])
        assert one.predict(X[:1, :2])[0] == pytest.approx(targets(kind, y)[0], abs=0.05)


# ---- parameters with MLPRegressor's meaning ----


def half_squared_error(fitted: RNNRegressor, X: Array, y: Array) -> float:
    return float(np.mean((fitted.predict(X) - y) ** 2) / 2)


@pytest.mark.parametrize("weighted", [False, True])
def test_alpha_and_the_loss_curve(weighted: bool) -> None:
    """One full batch of gradient descent, against the formulas."""
    X, y = series_of_lags(50)
    weight = np.linspace(0, 3, 50) if weighted else None
    total = 50 if weight is None else weight.sum()
    given = {
        "standardize": False,
        "solver": "sgd",
        "clip_norm": None,
        "random_state": 3,
        "batch_size": 50,
        "num_layers": 2,
        "bidirectional": True,
        "max_iter": 1,
    }
    # start from nonzero biases; a step too small to change a weight shows the initial values
    trained = RNNRegressor(warm_start=True, learning_rate_init=0.1, **given | {"max_iter": 9})
    trained.fit(X, y).set_params(max_iter=1)
    start = trained.model_
    W = start.state_dict()
    assert all(w.any() for w in W.values())
    loss, gradient = start.gradients(X[:, :, None], y, sample_weight=weight)
    for alpha in (0.0, 5.0):
        fitted = copy.deepcopy(trained).set_params(alpha=alpha).fit(X, y, weight)
        squares = sum((w**2).sum() for name, w in W.items() if name.startswith("W"))
        want = loss / 2 + 0.5 * alpha * squares / total
        assert fitted.loss_curve_[9:] == [near(want, ESTIMATOR_PENALTY)]
        for name, w in fitted.model_.state_dict().items():
            slope = gradient[name] / 2
            if name.startswith("W"):
                slope = slope + alpha * W[name] / total
            np.testing.assert_allclose(
                w - W[name], -0.1 * slope, rtol=0, atol=ESTIMATOR_PENALTY * np.abs(slope).max()
            )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"solver": optimizers.SGD(momentum=0.9, nesterov=True)},
        {"num_layers": 2, "dropout": 0.3, "batch_size": 40},
        {"clip_norm": 1e-3, "shuffle": False},
        {"batch_size": 1, "solver": "sgd", "max_iter": 2},
        {"batch_size": 1, "max_iter": 2},  # every fifth sample has weight 0
    ],
)
@BOTH
def test_a_vanishing_penalty_is_none(kind: Any, given: Any) -> None:
    X, y = series_of_lags(110)
    weight = np.arange(110) % 5 * 1.0
    fits = [
        kind(alpha=alpha, random_state=0, **{"max_iter": 6, **given}).fit(
            X, targets(kind, y), weight
        )
        for alpha in (0.0, 1e-300)
    ]
    np.testing.assert_array_equal(outputs(fits[0], X), outputs(fits[1], X))
    np.testing.assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=ESTIMATOR_SCORE)


def test_alpha_shrinks_the_weights() -> None:
    X, y = series_of_lags()
    norms = [
        sum(
            float((w**2).sum())
            for name, w in RNNRegressor(alpha=alpha, random_state=0)
            .fit(X, y)
            .model_.parameters()
            .items()
            if name.startswith("W")
        )
        for alpha in (0.0, 1.0, 100.0)
    ]
    assert norms[0] > norms[1] > norms[2]


def mlp_stops(curve: list[float], tol: float, patience: float) -> int:
    """The epoch at which MLPRegressor stops: code of its _update_no_improvement_count."""
    best, count = np.inf, 0
    for epoch, loss in enumerate(curve, 1):
        count = count + 1 if loss > best - tol else 0
        best = min(best, loss)
        if count > patience:
            return epoch
    return len(curve)


@pytest.mark.parametrize(("tol", "patience"), [(1e-4, 10), (1e-2, 3), (0.0, 1), (0.3, 5)])
def test_the_rule_of_tol(tol: float, patience: int) -> None:
    X, y = series_of_lags()
    given = {"random_state": 1, "max_iter": 400}
    whole = RNNRegressor(n_iter_no_change=math.inf, **given).fit(X, y)
    assert whole.n_iter_ == len(whole.loss_curve_) == 400
    fitted = RNNRegressor(tol=tol, n_iter_no_change=patience, **given).fit(X, y)
    assert fitted.n_iter_ == mlp_stops(whole.loss_curve_, tol, patience) < 400
    assert fitted.loss_curve_ == whole.loss_curve_[: fitted.n_iter_]
    assert fitted.best_loss_ == min(fitted.loss_curve_)
    assert fitted.loss_ == fitted.loss_curve_[-1]
    assert fitted.validation_scores_ is None
    assert fitted.best_validation_score_ is None


def test_an_epoch_as_good_as_the_best_is_no_failure_without_tol() -> None:
    X, y = series_of_lags(50)
    for stopping in (False, True):
        fitted = RNNRegressor(tol=0, n_iter_no_change=1, early_stopping=stopping, max_iter=30)
        assert fitted.fit(X, 0 * y + 2).n_iter_ == 30  # every loss is 0, every score 1


def test_attributes_as_the_mlp_has_them() -> None:
    X, y = series_of_lags()
    for stopping in (False, True):
        mlp = MLPRegressor(early_stopping=stopping, tol=1e9, max_iter=50).fit(X, y)
        rnn = RNNRegressor(early_stopping=stopping, tol=1e9, max_iter=50).fit(X, y)
        assert rnn.n_iter_ == mlp.n_iter_
        for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
            assert type(getattr(rnn, name)) is type(getattr(mlp, name)) or name[:4] == "best"
            assert (getattr(rnn, name) is None) == (getattr(mlp, name) is None)
        assert len(rnn.loss_curve_) == len(mlp.loss_curve_)


def test_the_loss_curve_of_a_classifier() -> None:
    X, y = series_of_lags()
    y = y > 0
    fitted = RNNClassifier(max_iter=1, learning_rate_init=1e-40).fit(X, y)
    p = fitted.predict_proba(X)[np.arange(len(y)), y.astype(int)]
    assert fitted.loss_curve_[0] == near(-np.log(p).mean(), ESTIMATOR_SCORE)


@pytest.mark.parametrize(
    ("loss", "quantile", "level"),
    [("absolute_error", None, 0.5), ("quantile", 0.9, 0.9), ("quantile", 0.2, 0.2)],
)
def test_quantiles_and_medians(loss: str, quantile: float | None, level: float) -> None:
    y = np.random.default_rng(0).exponential(size=2000)
    X = np.zeros((2000, 3))
    fitted = RNNRegressor(
        loss=loss, quantile=quantile, random_state=0, tol=0, max_iter=300, learning_rate_init=1e-3
    ).fit(X, y)
    assert np.mean(y < fitted.predict(X[:1])) == pytest.approx(level, abs=0.02)


def test_huber_is_between_mean_and_median() -> None:
    y = np.random.default_rng(0).exponential(size=2000)
    X = np.zeros((2000, 3))
    found = [
        RNNRegressor(loss=loss, random_state=0, tol=0, max_iter=200).fit(X, y).predict(X[:1])[0]
        for loss in ("absolute_error", "huber", "squared_error")
    ]
    assert found[0] + 0.05 < found[1] < found[2] - 0.05
    assert found[2] == pytest.approx(y.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"loss": "mse"}, ValueError, "loss must be one of"),
        ({"loss": "quantile"}, ValueError, "needs quantile"),
        ({"loss": "quantile", "quantile": 1.0}, ValueError, "quantile must be less than 1"),
        ({"loss": "quantile", "quantile": "a"}, TypeError, "quantile must be a real number"),
        ({"quantile": 0.5}, ValueError, "quantile must be None"),
        ({"hidden_size": 0}, ValueError, "hidden_size must be at least 1"),
        ({"solver": "lbfgs"}, ValueError, "solver must be one of"),
        ({"learning_rate_init": 0}, ValueError, "learning_rate_init must be greater than 0"),
        ({"batch_size": "all"}, ValueError, "batch_size must be an integer or 'auto', got 'all'"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"alpha": -1.0}, ValueError, "alpha must be at least 0"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be greater than 0"),
        ({"shuffle": "yes"}, TypeError, "shuffle must be True or False"),
        ({"standardize": 1}, TypeError, "standardize must be True or False"),
        ({"early_stopping": "best"}, ValueError, "must be True, False or 'refit', got 'best'"),
        ({"early_stopping": 1}, TypeError, "early_stopping must be True, False or 'refit', got 1"),
        (
            {"validation": "random"},
            ValueError,
            "validation must be \"last\" or a splitter .* got 'random'",
        ),
        ({"validation": 0.1}, TypeError, 'validation must be "last" or a splitter'),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction must be less than 1"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be at least 1"),
        ({"tol": -1e-9}, ValueError, "tol must be at least 0"),
        ({"dropout": 1.0}, ValueError, "dropout must be less than 1"),
        ({"warm_start": 1}, TypeError, "warm_start must be True or False"),
        ({"random_state": "a"}, ValueError, "cannot be used to seed"),
        ({"n_jobs": "all"}, TypeError, "n_jobs must be None or an integer, got 'all'"),
        ({"n_jobs": 0}, ValueError, "n_jobs must not be 0"),
        ({"verbose": "yes"}, TypeError, "verbose must be True, False or an integer, got 'yes'"),
    ],
)
def test_wrong_arguments(given: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        RNNRegressor(**given).fit(*series_of_lags(20))


# ---- early stopping ----


@BOTH
@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping(kind: Any, weighted: bool, spy: Any) -> None:
    X, y = series_of_lags(200)
    y = targets(kind, y)
    weight = np.random.default_rng(0).random(200) if weighted else None
    fitted = kind(early_stopping=True, tol=1e-3, n_iter_no_change=4, random_state=0, max_iter=300)
    fitted.fit(X, y, weight)
    assert spy["trained"][0].shape == (180, 6, 1)
    scores = fitted.validation_scores_
    assert len(scores) == fitted.n_iter_ == len(fitted.loss_curve_) < 300
    held = None if weight is None else weight[180:]
    score = accuracy_score if kind is RNNClassifier else r2_score
    # the parameters are those of the best epoch
    final = score(y[180:], fitted.predict(X[180:]), sample_weight=held)
    assert final == near(max(scores), ESTIMATOR_SCORE)
    assert fitted.best_validation_score_ == max(scores)
    best, count, stopped = -np.inf, 0, 0
    for epoch, value in enumerate(scores, 1):  # code of MLPRegressor
        count = count + 1 if value < best + 1e-3 else 0
        best = max(best, value)
        if count > 4:
            stopped = epoch
            break
    assert stopped == fitted.n_iter_


def test_moments_are_of_the_rows_that_are_trained_on(spy: Any) -> None:
    X, y = series_of_lags(100)
    X[90:], y[90:] = 1e3, 1e3
    RNNRegressor(early_stopping=True, max_iter=1).fit(X, y)
    assert abs(spy["trained"][0].mean()) < ESTIMATOR_MOMENTS
    assert abs(spy["targets"][0].mean()) < ESTIMATOR_MOMENTS


@BOTH
def test_refit(kind: Any) -> None:
    X, y = series_of_lags(150)
    y = targets(kind, y)
    given = {"random_state": 5, "max_iter": 60}
    fitted = kind(early_stopping="refit", n_iter_no_change=3, **given).fit(X, y)
    epochs = 1 + int(np.argmax(fitted.validation_scores_))
    assert fitted.n_iter_ == len(fitted.loss_curve_) == epochs
    assert len(fitted.validation_scores_) > epochs
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)
    all_rows = kind(n_iter_no_change=math.inf, **given | {"max_iter": epochs}).fit(X, y)
    np.testing.assert_array_equal(outputs(fitted, X), outputs(all_rows, X))


def test_a_splitter_holds_out_its_last_part(spy: Any) -> None:
    X, y = series_of_lags(100)
    given = {"early_stopping": True, "max_iter": 1, "standardize": False}
    for splitter in (TimeSeriesSplit(4, gap=5), KFold(3), KFold(3, shuffle=True, random_state=0)):
        rows, held = list(splitter.split(X))[-1]
        RNNRegressor(validation=splitter, **given).fit(X, y)
        np.testing.assert_array_equal(spy["trained"][-1][:, :, 0], X[rows])
        np.testing.assert_array_equal(spy["predicted"][-1][:, :, 0], X[held])
    RNNRegressor(validation=[(np.arange(50), np.arange(60, 70))], **given).fit(X, y)
    np.testing.assert_array_equal(spy["trained"][-1][:, :, 0], X[:50])
    np.testing.assert_array_equal(spy["predicted"][-1][:, :, 0], X[60:70])
    for fraction, first in ((0.25, 75), (0.242, 75)):  # rounded up, as in scikit-learn
        RNNRegressor(validation_fraction=fraction, **given).fit(X, y)
        np.testing.assert_array_equal(spy["predicted"][-1][:, :, 0], X[first:])


def test_too_little_to_hold_out() -> None:
    X, y = series_of_lags(9)
    for rows, fraction in ((9, 0.1), (1, 0.5), (2, 0.9)):
        with pytest.raises(ValueError, match="early_stopping needs"):
            RNNRegressor(early_stopping=True, validation_fraction=fraction).fit(X[:rows], y[:rows])
    for weight in (np.arange(9) < 5, np.arange(9) > 5):
        with pytest.raises(ValueError, match="sample_weight must have a number above 0 among"):
            RNNRegressor(early_stopping=True, validation_fraction=0.4).fit(X, y, weight * 1.0)


def test_a_class_that_is_held_out_whole_is_a_warning() -> None:
    X, _ = series_of_lags(60)
    classes = np.repeat(["a", "b", "c"], 20)
    given = {"early_stopping": True, "validation_fraction": 0.4, "max_iter": 2}
    with pytest.warns(UserWarning, match="holds out every sample of class .*c") as caught:
        RNNClassifier(**given).fit(X, classes)
    assert [w.filename for w in caught] == [__file__]
    splitter = StratifiedShuffleSplit(1, test_size=0.4, random_state=0)
    RNNClassifier(validation=splitter, **given).fit(X, classes)


def test_the_score_of_a_quantile() -> None:
    X, y = series_of_lags(200)
    fitted = RNNRegressor(loss="quantile", quantile=0.9, early_stopping=True, random_state=0)
    fitted.fit(X, y)
    score = d2_pinball_score(y[180:], fitted.predict(X[180:]), alpha=0.9)
    assert score == near(max(fitted.validation_scores_), ESTIMATOR_SCORE)


# ---- partial_fit, warm_start ----


@BOTH
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_partial_fit_keeps_the_optimizer(kind: Any, alpha: float) -> None:
    """Epochs one by one have the bits of one fit, also with a pickle in between."""
    X, y = series_of_lags(250)
    y = targets(kind, y)
    given = {"random_state": 2, "alpha": alpha, "batch_size": 64}
    classes = {"classes": [False, True]} if kind is RNNClassifier else {}
    whole = kind(max_iter=5, n_iter_no_change=math.inf, **given).fit(X, y)
    parts = kind(**given)
    for _ in range(3):
        parts.partial_fit(X, y, **classes)
    parts = pickle.loads(pickle.dumps(parts))
    parts.partial_fit(X, y).partial_fit(X, y)
    assert parts.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(outputs(parts, X), outputs(whole, X))
    # and continues after a fit
    fitted = kind(max_iter=4, n_iter_no_change=math.inf, **given).fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(outputs(fitted, X), outputs(whole, X))
    assert fitted.n_iter_ == 1


def test_partial_fit_takes_other_rows() -> None:
    X, y = series_of_lags(300)
    fitted = RNNRegressor(random_state=0, batch_size=16)
    for _ in range(30):
        for part in np.array_split(np.arange(300), 7):
            fitted.partial_fit(X[part], y[part], np.ones(len(part)))
    assert fitted.score(X, y) > 0.9
    assert len(fitted.loss_curve_) == 210
    with pytest.raises(ValueError, match="y must have rows of shape"):
        fitted.partial_fit(X, np.stack([y, y], 1))
    with pytest.raises(ValueError, match="6 features"):
        fitted.partial_fit(X[:, :5], y)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        RNNRegressor(early_stopping=True).partial_fit(X, y)


def test_another_solver_starts_a_new_training() -> None:
    X, y = series_of_lags(80)
    given = {"random_state": 0, "shuffle": False, "max_iter": 5}
    parts = RNNRegressor(**given).fit(X, y).set_params(solver="rmsprop").partial_fit(X, y)
    warm = RNNRegressor(warm_start=True, **given).fit(X, y)
    warm.set_params(solver="rmsprop", max_iter=1).fit(X, y)
    np.testing.assert_array_equal(parts.predict(X), warm.predict(X))


def test_classes_of_partial_fit() -> None:
    X, y = series_of_lags(90)
    labels = np.array(["low", "mid", "top"])[np.digitize(y, [-0.5, 0.5])]
    some = labels != "top"
    with pytest.raises(ValueError, match="classes must be given on the first call"):
        RNNClassifier().partial_fit(X, labels)
    fitted = RNNClassifier(random_state=0).partial_fit(X[some], labels[some], ["top", "mid", "low"])
    assert list(fitted.classes_) == ["low", "mid", "top"]
    assert fitted.predict_proba(X).shape == (90, 3)
    for _ in range(60):
        fitted.partial_fit(X, labels)
    assert fitted.score(X, labels) > 0.8
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        fitted.partial_fit(X, labels, ["low", "mid"])
    with pytest.raises(ValueError, match=r"y must hold .* got .*odd"):
        fitted.partial_fit(X, np.full(90, "odd"))


@BOTH
def test_fit_starts_anew_and_warm_start_goes_on(kind: Any) -> None:
    X, y = series_of_lags(80)
    y = targets(kind, y)
    fitted = kind(random_state=0, max_iter=10).fit(X, y)
    first = outputs(fitted, X)
    np.testing.assert_array_equal(outputs(fitted.fit(X, y), X), first)
    warm = kind(random_state=0, max_iter=10, warm_start=True).fit(X, y)
    np.testing.assert_array_equal(outputs(warm, X), first)
    curve = list(warm.loss_curve_)
    warm.fit(X + 100, y)  # the standardisation does not change
    assert warm.loss_curve_[:10] == curve
    assert warm.n_iter_ == len(warm.loss_curve_) - 10
    warm.set_params(max_iter=1, learning_rate_init=1e-40)
    before = outputs(warm, X)
    np.testing.assert_array_equal(outputs(warm.fit(X, y), X), before)
    warm.set_params(early_stopping="refit", learning_rate_init=1e-2, max_iter=5).fit(X, y)
    assert len(warm.validation_scores_) == 5
    with pytest.raises(ValueError, match="5 features"):
        warm.fit(X[:, :5], y)


def test_a_failed_fit_can_be_repeated() -> None:
    X, y = series_of_lags(80)
    fitted = RNNRegressor(
        random_state=0, standardize=False, solver="sgd", clip_norm=None, n_iter_no_change=math.inf
    )
    with pytest.raises(crnn.TrainingDiverged):
        fitted.set_params(learning_rate_init=1e6, tol=0, max_iter=300).fit(1e6 * X, 1e6 * y)
    fitted.set_params(learning_rate_init=1e-3).fit(X, y)
    assert np.isfinite(fitted.predict(X)).all()


# ---- bits, types and shapes ----


@BOTH
def test_same_bits_whatever_the_threads(kind: Any) -> None:
    X, y = series_of_lags(900, 30)
    y = targets(kind, y)
    given = {"hidden_size": 64, "batch_size": 512, "max_iter": 2, "random_state": 9}
    first = outputs(kind(**given).fit(X, y), X)
    for n_jobs in (1, 2, 3, -1):
        np.testing.assert_array_equal(outputs(kind(n_jobs=n_jobs, **given).fit(X, y), X), first)
    assert not np.array_equal(outputs(kind(**given | {"random_state": 8}).fit(X, y), X), first)


@BOTH
def test_the_network_and_its_training_get_the_settings(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = series_of_lags(50)
    trainers, start = [], crnn.Trainer._start

    def started(self: Any, *given: Any, **more: Any) -> Any:
        trainers.append(self)
        return start(self, *given, **more)

    monkeypatch.setattr(crnn.Trainer, "_start", started)
    fitted = kind(7, num_layers=2, bidirectional=True, dropout=0.25, max_iter=1)
    model = fitted.fit(X, targets(kind, y)).model_
    assert (model.hidden_size, model.num_layers, model.bidirectional) == (7, 2, True)
    assert (model.dropout, model.output, model.nonlinearity) == (0.25, "last", "tanh")
    kind(
        solver="sgd", learning_rate_init=0.5, batch_size=9, clip_norm=3, shuffle=False, n_jobs=2
    ).fit(X, targets(kind, y))
    first, second = trainers
    assert (first.optimizer, first.learning_rate, first.batch_size) == ("adam", 2e-3, 200)
    assert (first.clip_norm, first.clip_value, first.shuffle, first.threads) == (1, None, True, 1)
    assert (second.optimizer, second.learning_rate, second.batch_size) == ("sgd", 0.5, 9)
    assert (second.clip_norm, second.clip_value, second.shuffle) == (3, None, False)
    assert second.threads == 2


def test_random_state_of_numpy() -> None:
    X, y = series_of_lags(50)
    fits = [
        RNNRegressor(max_iter=2, random_state=np.random.RandomState(4)).fit(X, y).predict(X)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*fits)


@BOTH
def test_one_row_has_the_bits_of_many_and_nothing_is_validated(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = series_of_lags(80)
    fitted = kind(steps=4, lag_order="newest_first", max_iter=3).fit(X, targets(kind, y))
    every = outputs(fitted, X)
    by_frame = outputs(fitted, X.tolist())

    def refuse(*given: Any, **more: Any) -> None:
        raise AssertionError("a row was validated")

    monkeypatch.setattr(estimators, "validate_data", refuse)
    monkeypatch.setattr(estimators, "check_is_fitted", refuse)
    np.testing.assert_array_equal(by_frame, every)
    for row in range(5):
        np.testing.assert_array_equal(outputs(fitted, X[row : row + 1]), every[row : row + 1])
    fortran = np.asfortranarray(X)
    np.testing.assert_array_equal(outputs(fitted, fortran), every)
    np.testing.assert_array_equal(outputs(fitted, np.repeat(X, 2, 1)[:, ::2]), every)
    reversed_rows = X[::-1]
    reversed_rows.setflags(write=False)
    np.testing.assert_array_equal(outputs(fitted, reversed_rows), every[::-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types(dtype: Any) -> None:
    X, y = series_of_lags(60)
    X, y = X.astype(dtype), y.astype(dtype)
    kept = X.copy(), y.copy()
    fitted = RNNRegressor(max_iter=2, random_state=0).fit(X, y)
    assert fitted.model_.dtype == dtype
    first = fitted.predict(X)
    assert (first.dtype, first.shape) == (np.dtype(np.float64), (60,))
    second = fitted.predict(X)
    second += 1  # skforecast does so
    np.testing.assert_array_equal(fitted.predict(X), first)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])
    swapped = X.astype(X.dtype.newbyteorder())
    np.testing.assert_array_equal(fitted.predict(swapped), first)


def test_integers_booleans_and_lists() -> None:
    random = np.random.default_rng(0)
    X = random.integers(0, 2, (50, 5))
    y = random.integers(0, 9, 50)
    first = RNNRegressor(max_iter=2, random_state=0).fit(X * 1.0, y * 1.0).predict(X * 1.0)
    for table in (X, X.astype(bool), X.astype(np.uint8), X.tolist(), X.astype(object)):
        again = RNNRegressor(max_iter=2, random_state=0).fit(table, y)
        np.testing.assert_array_equal(again.predict(table), first)


def test_the_shape_of_y() -> None:
    X, y = series_of_lags(60)
    flat = RNNRegressor(max_iter=2, random_state=0).fit(X, y).predict(X)
    column = RNNRegressor(max_iter=2, random_state=0).fit(X, y[:, None]).predict(X)
    assert column.shape == (60, 1)
    np.testing.assert_array_equal(column[:, 0], flat)
    both = RNNRegressor(max_iter=200, random_state=0).fit(X, np.stack([y, 1e3 - y], 1))
    assert both.n_outputs_ == 2
    assert both.score(X, np.stack([y, 1e3 - y], 1)) > 0.9
    assert both.predict(X[:1]).shape == (1, 2)


def test_probabilities() -> None:
    X, y = series_of_lags(90)
    labels = np.array(["low", "mid", "top"])[np.digitize(y, [-0.5, 0.5])]
    fitted = RNNClassifier(random_state=0).fit(X, labels)
    p = fitted.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=ESTIMATOR_PROBABILITIES)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[p.argmax(axis=1)])
    np.testing.assert_allclose(
        fitted.predict_log_proba(X), np.log(p), rtol=0, atol=ESTIMATOR_PROBABILITIES
    )
    raw = fitted.model_.predict(fitted._layout.sequences(X))
    np.testing.assert_allclose(p, losses.softmax(raw), rtol=ESTIMATOR_PROBABILITIES)
    assert fitted.score(X, labels) > 0.8
    assert MLPClassifier(max_iter=5).get_params()["alpha"] == 1e-4  # ours has another default
    only = RNNClassifier(random_state=0).fit(X, np.full(90, "one"))
    assert set(only.predict(X)) == {"one"}
    np.testing.assert_array_equal(only.predict_proba(X), np.ones((90, 1)))


# ---- errors ----


@BOTH
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_names_its_column(kind: Any, value: float) -> None:
    X, y = series_of_lags(60)
    y = targets(kind, y)
    fitted = kind(max_iter=1).fit(X, y)
    bad = X.copy()
    bad[7, 3] = value
    word = "NaN" if np.isnan(value) else "infinity"
    for call in (lambda: kind().fit(bad, y), lambda: fitted.predict(bad)):
        with pytest.raises(ValueError, match=f"X contains {word} in column 3, row 7"):
            call()
    with pytest.raises(ValueError, match=f"X contains {word} in column 3, row 0"):
        fitted.predict(bad[7:8])
    with pytest.raises(ValueError, match=f"X contains {word} in step 3, feature 0, row 7"):
        kind().fit(bad[:, :, None], y)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(bad, columns=list("uvwxyz"))
    with pytest.raises(ValueError, match=f"X contains {word} in column 'x', row 7"):
        kind().fit(frame, y)


def test_other_refusals() -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X, y = series_of_lags(60)
    fitted = RNNRegressor(max_iter=1).fit(X, y)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        RNNRegressor().fit(scipy_sparse.csr_matrix(X), y)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        fitted.predict(scipy_sparse.csr_array(X))
    with pytest.raises(ValueError, match="y contains NaN"):
        RNNRegressor().fit(X, np.where(y > 0, np.nan, y))
    with pytest.raises(ValueError, match="0 sample"):
        fitted.predict(X[:0])
    with pytest.raises(ValueError, match="shape"):
        RNNRegressor().fit(X[:, :, None, None], y)
    with pytest.raises(ValueError, match="too far from those that were fitted"):
        RNNRegressor(max_iter=1).fit(X.astype(np.float32), y).predict(X * 1e300)
    with pytest.raises(ValueError, match=r"zero|above 0"):
        RNNRegressor().fit(X, y, np.zeros(60))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        RNNRegressor().fit(X, y, -np.ones(60))
    with pytest.raises(ValueError, match="cannot be standardised"):
        RNNRegressor().fit(np.array([[1e308], [-1e308]]) * np.ones(6), y[:2])
    with pytest.raises(NotFittedError):
        RNNRegressor().predict(X)
    with pytest.raises(NotFittedError):
        RNNClassifier().predict_proba(X)
    with pytest.raises(ValueError, match=r"Unknown label type|continuous"):
        RNNClassifier().fit(X, y)


# ---- frames ----


def test_pandas_frames() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = series_of_lags(60)
    X[:, 4] = X[:, 4] > 0
    X[:, 5] = np.round(5 * X[:, 5])
    frame = pandas.DataFrame(X, columns=list("uvwxyz")).astype({"y": bool, "z": "Int64"})
    fitted = RNNRegressor(max_iter=2, random_state=0).fit(frame, pandas.Series(y))
    assert list(fitted.feature_names_in_) == list("uvwxyz")
    first = RNNRegressor(max_iter=2, random_state=0).fit(X, y).predict(X)
    np.testing.assert_array_equal(fitted.predict(frame), first)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[list("vuwxyz")])
    frame.loc[3, "z"] = pandas.NA
    with pytest.raises(ValueError, match="NaN in column 'z', row 3"):
        fitted.predict(frame)


def test_polars_frames() -> None:
    polars = pytest.importorskip("polars")
    X, y = series_of_lags(60)
    frame = polars.DataFrame(X, schema=[f"lag{k}" for k in range(1, 7)])
    frame = frame.with_columns((polars.col("lag1") > 0).alias("rises"))
    fitted = RNNRegressor(max_iter=2, random_state=0, lag_order="names")
    fitted.fit(frame, polars.Series(y))
    assert list(fitted.feature_names_in_) == frame.columns
    same = RNNRegressor(max_iter=2, random_state=0, steps=6, lag_order="newest_first")
    table = np.column_stack([X, X[:, 0] > 0])
    np.testing.assert_array_equal(fitted.predict(frame), same.fit(table, y).predict(table))


# ---- scikit-learn around it ----


@BOTH
def test_clone_pickle_joblib(kind: Any, tmp_path: Any) -> None:
    X, y = series_of_lags(60)
    y = targets(kind, y)
    fitted = kind(steps=np.arange(4)[::-1], max_iter=2, random_state=0).fit(X, y)
    first = outputs(fitted, X)
    np.testing.assert_array_equal(outputs(clone(fitted).fit(X, y), X), first)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(outputs(again, X), first)
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    loaded = joblib.load(tmp_path / "fitted.joblib")
    np.testing.assert_array_equal(outputs(loaded, X), first)
    np.testing.assert_array_equal(outputs(loaded.fit(X, y), X), first)


def test_pipeline_with_set_output() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = series_of_lags(100)
    frame = pandas.DataFrame(X[:, ::-1], columns=[f"lag_{k}" for k in range(1, 7)])
    scaler = StandardScaler().set_output(transform="pandas")
    pipe = make_pipeline(scaler, RNNRegressor(lag_order="names", random_state=0))
    pipe.fit(frame, y, rnnregressor__sample_weight=np.ones(100))
    assert list(pipe[-1].feature_names_in_) == list(frame.columns)
    assert pipe.score(frame, y) > 0.8


def test_searches_agree_whatever_runs_them() -> None:
    X, y = series_of_lags(120)
    found = []
    for backend, jobs in (("sequential", 1), ("threading", 2), ("loky", 2)):
        search = GridSearchCV(
            RNNRegressor(max_iter=5, random_state=0),
            {"hidden_size": [4, 8], "learning_rate_init": [1e-3, 1e-2]},
            cv=TimeSeriesSplit(3),
            n_jobs=jobs,
        )
        with joblib.parallel_config(backend=backend):
            search.fit(X, y)
        found.append(search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    scores = cross_val_score(RNNClassifier(random_state=0), X, y > 0, cv=TimeSeriesSplit(3))
    assert scores.mean() > 0.7


def test_meta_estimators() -> None:
    X, y = series_of_lags(120)
    base = RNNRegressor(random_state=0)
    positive = np.exp(y)
    logs = TransformedTargetRegressor(base, func=np.log, inverse_func=np.exp).fit(X, positive)
    np.testing.assert_allclose(
        logs.predict(X),
        np.exp(clone(base).fit(X, np.log(positive)).predict(X)),
        rtol=ESTIMATOR_SCORE,
    )
    bag = BaggingRegressor(base, n_estimators=3, random_state=0).fit(
        X, y, sample_weight=np.ones(120)
    )
    assert bag.score(X, y) > 0.8
    two = MultiOutputRegressor(base).fit(X, np.stack([y, -y], 1))
    np.testing.assert_array_equal(two.predict(X)[:, 0], clone(base).fit(X, y).predict(X))


# ---- import ----


def test_import_crnn_loads_no_scikit_learn() -> None:
    text = (
        "import sys, crnn; print([m for m in sys.modules if m in ('sklearn', 'crnn.estimators')])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_scikit_learn_the_error_says_what_to_install() -> None:
    text = "import sys; sys.modules['sklearn'] = None; import crnn.estimators"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert "pip install scikit-learn" in done.stderr.splitlines()[-1]


def test_verbose_shows_epochs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    X, y = series_of_lags(30)
    RNNRegressor(max_iter=2).fit(X, y)
    assert capsys.readouterr().out == ""
    RNNRegressor(max_iter=2, verbose=True).fit(X, y)
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["epoch 1/2", "epoch 2/2"]


# ---- defaults learn ----


def test_defaults_learn_two_sines() -> None:
    data = two_sines()
    fitted = RNNRegressor(random_state=42).fit(data.x_train[:, :, 0], data.y_train[:, 0])
    predicted = fitted.predict(data.x_validation[:, :, 0])
    # the book's RNN has 0.00268, least squares 0.00293
    assert np.mean((predicted - data.y_validation[:, 0]) ** 2) <= 0.0025


def test_defaults_learn_mackey_glass() -> None:
    ahead, lags = 8, 25
    windows = np.lib.stride_tricks.sliding_window_view(
        crnn.dataset.mackey_glass(3000, seed=0), lags + ahead
    )
    X, y = windows[:, :lags], windows[:, -1]
    train, test = slice(2000), slice(2000 + lags + ahead, None)
    errors = [
        np.sqrt(np.mean((model.fit(X[train], y[train]).predict(X[test]) - y[test]) ** 2))
        for model in (RNNRegressor(random_state=0), LinearRegression())
    ]
    assert errors[0] <= errors[1] / 3
