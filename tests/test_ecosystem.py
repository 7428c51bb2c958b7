"""What the forecasting libraries pass to the estimators, and what the network then reads.

The series are clocks: a value encodes its series and time. So each test sees from the values
whether the network read the right ones in the right order. These libraries are in no extra:
`.ci/ecosystem` runs this file in a separate environment.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the estimators need scikit-learn")
pytest.importorskip("pandas", reason="the series need pandas")

import pandas
from learned import japanese_vowels
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from crnn.estimators import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries warn about each other

Array = np.ndarray[Any, np.dtype[Any]]
LAGS = 5
LENGTH = 60


class Spy(RNNRegressor):
    """Records the arguments of fit and predict, and what the network read of them."""

    seen: ClassVar[list[tuple[str, Any, Array, Any]]] = []

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Spy:
        super().fit(X, y, sample_weight)
        self.note("fit", X, np.asarray(y) if sample_weight is None else np.asarray(sample_weight))
        return self

    def predict(self, X: Any) -> Array:
        self.note("predict", X, None)
        return super().predict(X)

    def note(self, what: str, X: Any, more: Any) -> None:
        table = np.asarray(X, dtype=np.float64)
        Spy.seen.append((what, X, self._layout.sequences(table), more))


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Spy.seen.clear()


def spy(**given: Any) -> Spy:
    return Spy(max_iter=1, standardize=False, random_state=0, **given)


def fits() -> list[tuple[Any, Array, Any]]:
    return [(X, read, y) for what, X, read, y in Spy.seen if what == "fit"]


def predictions() -> list[tuple[Any, Array]]:
    return [(X, read) for what, X, read, _ in Spy.seen if what == "predict"]


def forget_predictions() -> None:
    """Predictions that a library requests during its fit, for residuals."""
    Spy.seen[:] = [entry for entry in Spy.seen if entry[0] == "fit"]


def clock(series: int = 0, length: int = LENGTH) -> Any:
    """Value 1000 series + day."""
    days = pandas.date_range("2020-01-01", periods=length, freq="D")
    values = 1000.0 * series + np.arange(length)
    return pandas.Series(values, index=days, name="abc"[series])


def before(target: Array, lags: int = LAGS) -> Array:
    """The clock's values before the given ones, oldest first: (N, lags)."""
    return np.asarray(target)[:, None] - np.arange(lags, 0, -1)


EXAMPLES = Path(__file__).parents[1] / "examples" / "estimators"


def needs(*libraries: str) -> Any:
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(
        bool(missing),
        reason=f"{' and '.join(missing)} missing: .ci/ecosystem has an environment with them",
    )


# ---- skforecast ----


@needs("skforecast")
def test_skforecast_recursive() -> None:
    from skforecast.recursive import ForecasterRecursive

    y, sun = clock(0), clock(1)
    forecaster = ForecasterRecursive(spy(lag_order="newest_first", steps=LAGS), lags=LAGS)
    forecaster.fit(y=y[:50], exog=sun[:50].to_frame())
    forget_predictions()
    forecaster.predict(steps=3, exog=sun[50:53].to_frame())
    ((X, read, target),) = fits()
    assert isinstance(X, np.ndarray)  # without names
    np.testing.assert_array_equal(X[:, 0], target - 1)  # newest first
    assert read.shape == (45, LAGS, 2)
    np.testing.assert_array_equal(read[:, :, 0], before(target))
    np.testing.assert_array_equal(read[:, :, 1], np.repeat(1000 + target[:, None], LAGS, 1))
    steps = predictions()
    assert [X.shape for X, _ in steps] == [(1, LAGS + 1)] * 3
    np.testing.assert_array_equal(steps[0][1][0, :, 0], np.arange(45, 50))
    np.testing.assert_array_equal([read[0, 0, 1] for _, read in steps], [1050, 1051, 1052])
    np.testing.assert_array_equal(steps[1][1][0, :-1, 0], np.arange(46, 50))


@needs("skforecast")
def test_skforecast_direct() -> None:
    from skforecast.direct import ForecasterDirect

    forecaster = ForecasterDirect(
        estimator=spy(lag_order="newest_first", steps=LAGS), steps=3, lags=LAGS
    )
    forecaster.fit(y=clock())
    forget_predictions()
    forecaster.predict()
    assert len(fits()) == 3
    for ahead, (_, read, target) in enumerate(fits()):
        np.testing.assert_array_equal(read[:, :, 0], before(target - ahead))
    assert len(predictions()) == 3
    for _, read in predictions():
        np.testing.assert_array_equal(read[0, :, 0], np.arange(LENGTH - LAGS, LENGTH))


@needs("skforecast")
@pytest.mark.parametrize(
    "given", [{"lag_order": "names"}, {"lag_order": "newest_first", "steps": 5}]
)
@pytest.mark.parametrize("encoding", ["ordinal", "onehot"])
def test_skforecast_several_series(given: Any, encoding: str) -> None:
    from skforecast.recursive import ForecasterRecursiveMultiSeries

    series = pandas.DataFrame({"a": clock(0), "b": clock(1)})
    forecaster = ForecasterRecursiveMultiSeries(
        estimator=spy(**given), lags=LAGS, encoding=encoding, transformer_series=None
    )
    forecaster.fit(series=series)
    forget_predictions()
    forecaster.predict(steps=2)
    ((X, read, target),) = fits()
    assert isinstance(X, pandas.DataFrame)
    assert list(X.columns[:2]) == ["lag_1", "lag_2"]
    np.testing.assert_array_equal(read[:, :, 0], before(target))
    assert read.shape[2] == (2 if encoding == "ordinal" else 3)
    assert sorted({len(np.unique(row)) for row in read[:, :, 1]}) == [1]  # the level, at every step
    assert len(np.unique(read[:, 0, 1])) == 2
    (X, read), _ = predictions()
    assert isinstance(X, np.ndarray)  # by position
    np.testing.assert_array_equal(read[:, :, 0], before(np.array([60, 1060])))


@needs("skforecast")
def test_skforecast_multivariate() -> None:
    from skforecast.direct import ForecasterDirectMultiVariate

    series = pandas.DataFrame({"a": clock(0), "b": clock(1)})
    columns = np.arange(2 * LAGS).reshape(2, LAGS).T  # a_lag_1, ..., b_lag_1, ...
    forecaster = ForecasterDirectMultiVariate(
        estimator=spy(lag_order="newest_first", steps=columns),
        level="b",
        steps=2,
        lags=LAGS,
        transformer_series=None,
    )
    forecaster.fit(series=series)
    forget_predictions()
    forecaster.predict()
    for ahead, (X, read, target) in enumerate(fits()):
        assert isinstance(X, np.ndarray)
        np.testing.assert_array_equal(read[:, :, 1], before(target - ahead))
        np.testing.assert_array_equal(read[:, :, 0], before(target - ahead - 1000))
    np.testing.assert_array_equal(predictions()[0][1][0, :, 0], np.arange(LENGTH - LAGS, LENGTH))


@needs("skforecast")
def test_skforecast_weights() -> None:
    from skforecast.recursive import ForecasterRecursive

    forecaster = ForecasterRecursive(
        spy(lag_order="newest_first"),
        lags=LAGS,
        weight_func=lambda index: np.linspace(0, 1, len(index)),
    )
    forecaster.fit(y=clock())
    ((_, _, weights),) = fits()
    np.testing.assert_array_equal(weights, np.linspace(0, 1, LENGTH - LAGS))


@needs("skforecast")
def test_skforecast_bootstraps() -> None:
    """skforecast passes several rows in Fortran order and changes the predictions in place."""
    from skforecast.recursive import ForecasterRecursive

    y = np.sin(0.4 * clock()) + 0.1 * np.random.default_rng(0).normal(size=LENGTH)
    forecaster = ForecasterRecursive(
        RNNRegressor(lag_order="newest_first", random_state=0), lags=LAGS
    )
    forecaster.fit(y=y, store_in_sample_residuals=True)
    found = forecaster.predict_interval(steps=4, method="bootstrapping", n_boot=30)
    assert (found["lower_bound"] < found["pred"]).all()
    assert (found["pred"] < found["upper_bound"]).all()
    np.testing.assert_array_equal(found["pred"], forecaster.predict(steps=4))


# ---- mlforecast ----


def panel(frame: str) -> Any:
    """Two clocks with a constant colour and tomorrow's price, which is known today."""
    parts = [
        pandas.DataFrame(
            {
                "unique_id": "ab"[series],
                "ds": clock().index,
                "y": clock(series).to_numpy(),
                "price": 5000.0 + clock(series).to_numpy(),
                "colour": 7.0 + series,
            }
        )
        for series in (0, 1)
    ]
    table = pandas.concat(parts, ignore_index=True)
    if frame == "polars":
        import polars

        return polars.from_pandas(table)
    return table


@needs("mlforecast", "polars")
@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_mlforecast(frame: str) -> None:
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import ExpandingMean

    table = panel(frame)
    forecast = MLForecast(
        models={"rnn": spy(lag_order="names")},
        freq="D" if frame == "pandas" else "1d",
        lags=[1, 2, 3, 5],
        lag_transforms={1: [ExpandingMean()]},
        date_features=["dayofweek"] if frame == "pandas" else ["weekday"],
    )
    forecast.fit(table, static_features=["colour"])
    future = forecast.make_future_dataframe(2)
    price = np.tile([5060.0, 5061.0], 2)
    if frame == "pandas":
        future["price"] = price
    else:
        import polars

        future = future.with_columns(polars.Series("price", price))
    forecast.predict(2, X_df=future)
    ((X, read, target),) = fits()
    assert type(X).__module__.split(".")[0] == frame
    names = list(X.columns)
    assert names[:2] != ["lag1", "lag2"]  # static and exogenous columns come first
    np.testing.assert_array_equal(read[:, :, 0], np.asarray(target)[:, None] - [5, 3, 2, 1])
    rest = [names.index(n) for n in names if n not in ("lag1", "lag2", "lag3", "lag5")]
    table = np.asarray(X, dtype=float)
    for place, column in enumerate(rest):
        np.testing.assert_array_equal(read[:, :, 1 + place], np.repeat(table[:, [column]], 4, 1))
    assert {"price", "colour", "expanding_mean_lag1"} <= {names[column] for column in rest}
    np.testing.assert_array_equal(table[:, names.index("price")], 5000 + np.asarray(target))
    (_, first), (_, second) = predictions()
    np.testing.assert_array_equal(first[:, :, 0], [[55, 57, 58, 59], [1055, 1057, 1058, 1059]])
    np.testing.assert_array_equal(second[:, :3, 0], [[56, 58, 59], [1056, 1058, 1059]])


@needs("mlforecast")
def test_mlforecast_weights_and_horizons() -> None:
    from mlforecast import MLForecast

    table = panel("pandas").drop(columns=["price", "colour"])
    table["weight"] = np.tile(np.linspace(0.1, 1, LENGTH), 2)
    forecast = MLForecast(models={"rnn": spy(lag_order="names")}, freq="D", lags=[1, 2, 3])
    forecast.fit(table, weight_col="weight", static_features=[])
    ((_, read, weights),) = fits()
    np.testing.assert_allclose(weights, np.tile(np.linspace(0.1, 1, LENGTH)[3:], 2))
    assert read.shape[2] == 1  # the weight is not an input
    Spy.seen.clear()
    forecast.fit(table.drop(columns="weight"), max_horizon=2, static_features=[])
    for ahead, (_, read, target) in enumerate(fits()):
        np.testing.assert_array_equal(read[:, :, 0], before(np.asarray(target) - ahead, 3))


@needs("mlforecast")
def test_mlforecast_without_names_is_an_error() -> None:
    from mlforecast import MLForecast

    table = panel("pandas").drop(columns=["price", "colour"])
    forecast = MLForecast(models={"rnn": spy(lag_order="names")}, freq="D", lags=[1, 2, 3])
    with pytest.raises(ValueError, match="got no names"):
        forecast.fit(table, static_features=[], as_numpy=True)


# ---- sktime ----


@needs("sktime")
@pytest.mark.parametrize("strategy", ["recursive", "direct", "multioutput"])
def test_sktime_tabular(strategy: str) -> None:
    from sktime.forecasting.compose import make_reduction

    forecaster = make_reduction(spy(), strategy=strategy, window_length=LAGS)
    forecaster.fit(clock(), fh=[1, 2, 3]).predict()
    for ahead, (X, read, target) in enumerate(fits()):
        assert isinstance(X, np.ndarray)
        first = target[:, 0] if strategy == "multioutput" else target.ravel()
        np.testing.assert_array_equal(read[:, :, 0], before(first - ahead))
    assert len(fits()) == (3 if strategy == "direct" else 1)
    np.testing.assert_array_equal(predictions()[0][1][0, :, 0], np.arange(LENGTH - LAGS, LENGTH))


@needs("sktime")
def test_sktime_tabular_with_other_variables() -> None:
    from sktime.forecasting.compose import make_reduction

    columns = np.arange(3 * LAGS).reshape(3, LAGS).T  # blocks: the window of y, of x1, of x2
    others = pandas.DataFrame({"b": clock(1), "c": clock(2)})
    forecaster = make_reduction(spy(steps=columns), strategy="direct", window_length=LAGS)
    forecaster.fit(clock(), X=others, fh=[1])
    forecaster.predict(X=pandas.DataFrame({"b": clock(1, 61), "c": clock(2, 61)})[60:])
    ((_, read, target),) = fits()
    assert read.shape[1:] == (LAGS, 3)
    for series in range(3):
        np.testing.assert_array_equal(read[:, :, series], before(target.ravel() + 1000 * series))


@needs("sktime")
def test_sktime_panel() -> None:
    from sktime.forecasting.compose import make_reduction

    swap = FunctionTransformer(np.swapaxes, kw_args={"axis1": 1, "axis2": 2})
    forecaster = make_reduction(
        make_pipeline(swap, spy()),
        strategy="direct",
        window_length=LAGS,
        scitype="time-series-regressor",
    )
    forecaster.fit(clock(), X=clock(1).to_frame(), fh=[1])
    forecaster.predict(X=clock(1, 61)[60:].to_frame())
    ((X, read, target),) = fits()
    assert X.shape[1:] == (LAGS, 2)
    np.testing.assert_array_equal(read[:, :, 0], before(target.ravel()))
    np.testing.assert_array_equal(read[:, :, 1], before(1000 + target.ravel()))
    Spy.seen.clear()
    without = make_reduction(
        spy(), strategy="direct", window_length=LAGS, scitype="time-series-regressor"
    )
    with pytest.warns(UserWarning, match="one step only"):
        without.fit(clock(), fh=[1])


@needs("sktime")
def test_sktime_global() -> None:
    from sktime.forecasting.compose import make_reduction

    table = pandas.concat({"a": clock(0), "b": clock(1)}).to_frame("y")
    table.index.names = ["series", "day"]
    forecaster = make_reduction(
        spy(lag_order="names"), strategy="recursive", window_length=LAGS, pooling="global"
    )
    forecaster.fit(table, fh=[1, 2]).predict()
    ((X, read, target),) = fits()
    assert isinstance(X, pandas.DataFrame)
    assert all(name.startswith("y_lag_") for name in X.columns)
    target = np.asarray(target).ravel()
    np.testing.assert_array_equal(read[:, :, 0], before(target))


# ---- darts ----


@needs("darts")
def test_darts() -> None:
    from darts import TimeSeries
    from darts.models import SKLearnModel

    series = TimeSeries.from_series(clock())
    model = SKLearnModel(lags=LAGS, model=spy(), output_chunk_length=2)
    model.fit(series)
    model.predict(4)
    ((X, read, target),) = fits()  # 2-D targets, which the estimator's tag allows
    assert isinstance(X, np.ndarray)
    assert target.shape[1] == 2
    np.testing.assert_array_equal(read[:, :, 0], before(target[:, 0]))
    np.testing.assert_array_equal(predictions()[0][1][0, :, 0], np.arange(LENGTH - LAGS, LENGTH))


@needs("darts")
def test_darts_with_components_and_covariates() -> None:
    from darts import TimeSeries
    from darts.models import SKLearnModel

    both = TimeSeries.from_dataframe(pandas.DataFrame({"a": clock(0), "b": clock(1)}))
    sun = TimeSeries.from_series(clock(2))
    # interleaved: a, b, a, b, ...; then the future covariate of the forecast step
    columns = np.arange(2 * LAGS).reshape(LAGS, 2)
    model = SKLearnModel(lags=LAGS, lags_future_covariates=[0], model=spy(steps=columns))
    model.fit(both, future_covariates=sun)
    model.predict(1, series=both[:-1], future_covariates=sun)
    ((_, read, target),) = fits()
    assert read.shape[1:] == (LAGS, 3)
    np.testing.assert_array_equal(read[:, :, 0], before(target[:, 0]))
    np.testing.assert_array_equal(read[:, :, 1], before(target[:, 1]))
    np.testing.assert_array_equal(read[:, :, 2], np.repeat(2000 + target[:, [0]], LAGS, 1))


@needs("darts")
def test_darts_weights() -> None:
    from darts import TimeSeries
    from darts.models import SKLearnModel

    SKLearnModel(lags=LAGS, model=spy()).fit(
        TimeSeries.from_series(clock()), sample_weight="linear"
    )
    ((_, _, weights),) = fits()
    assert weights.shape == (LENGTH - LAGS,)
    assert (np.diff(weights) > 0).all()


# ---- intervals ----


def wave(samples: int = 900, lags: int = 12) -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    series = np.sin(0.3 * np.arange(samples + lags)) + 0.2 * random.normal(size=samples + lags)
    windows = np.lib.stride_tricks.sliding_window_view(series, lags + 1)
    return windows[:, :-1], windows[:, -1]


@needs("mapie")
def test_mapie_split_conformal() -> None:
    from mapie.regression import SplitConformalRegressor

    X, y = wave()
    mapie = SplitConformalRegressor(
        RNNRegressor(random_state=0), confidence_level=0.9, prefit=False
    )
    mapie.fit(X[:400], y[:400]).conformalize(X[400:600], y[400:600])
    _, interval = mapie.predict_interval(X[600:])
    covered = np.mean((interval[:, 0, 0] <= y[600:]) & (y[600:] <= interval[:, 1, 0]))
    assert 0.82 <= covered <= 0.97  # 300 windows that overlap


@needs("mapie")
def test_mapie_quantile_regression() -> None:
    from mapie.regression import ConformalizedQuantileRegressor

    X, y = wave()
    base = RNNRegressor(loss="quantile", random_state=0)
    fitted = [clone(base).set_params(quantile=q).fit(X[:400], y[:400]) for q in (0.05, 0.95, 0.5)]
    mapie = ConformalizedQuantileRegressor(fitted, confidence_level=0.9, prefit=True)
    mapie.conformalize(X[400:600], y[400:600])
    _, interval = mapie.predict_interval(X[600:])
    covered = np.mean((interval[:, 0, 0] <= y[600:]) & (y[600:] <= interval[:, 1, 0]))
    assert 0.82 <= covered <= 0.97


@needs("mapie")
def test_mapie_enbpi() -> None:
    from mapie.regression import TimeSeriesRegressor
    from mapie.subsample import BlockBootstrap

    X, y = wave()
    mapie = TimeSeriesRegressor(
        RNNRegressor(random_state=0, max_iter=40),
        method="enbpi",
        cv=BlockBootstrap(n_resamplings=10, n_blocks=10, overlapping=False, random_state=0),
        agg_function="mean",
    )
    mapie.fit(X[:600], y[:600])
    _, interval = mapie.predict(X[600:], confidence_level=0.9)
    covered = np.mean((interval[:, 0, 0] <= y[600:]) & (y[600:] <= interval[:, 1, 0]))
    assert 0.82 <= covered <= 0.97


# ---- searches and clusters ----


@needs("optuna")
def test_optuna_in_threads() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    X, y = wave(200)

    def objective(trial: Any) -> float:
        size = trial.suggest_categorical("hidden_size", [4, 8, 16])
        fitted = RNNRegressor(size, max_iter=5, random_state=0).fit(X[:150], y[:150])
        return float(fitted.score(X[150:], y[150:]))

    scores = []
    for jobs in (1, 2):
        study = optuna.create_study(
            sampler=optuna.samplers.GridSampler({"hidden_size": [4, 8, 16]}, seed=0)
        )
        study.optimize(objective, n_jobs=jobs)
        scores.append({t.params["hidden_size"]: t.value for t in study.trials})
    assert scores[0] == scores[1]


@pytest.fixture(scope="module")
def cluster() -> Any:
    distributed = pytest.importorskip("distributed", reason="distributed is missing")
    local = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    )
    client = distributed.Client(local)
    yield client
    client.close()
    local.close()


def fitted_rows(part: pandas.DataFrame) -> pandas.DataFrame:
    X, y = part[[f"lag_{k}" for k in range(12, 0, -1)]], part["y"]
    part = part[["key"]].copy()
    part["forecast"] = RNNRegressor(max_iter=5, random_state=0).fit(X, y).predict(X)
    return part


@needs("dask", "distributed")
def test_dask_and_joblib_on_a_cluster(cluster: Any) -> None:
    import joblib
    from sklearn.model_selection import GridSearchCV

    X, y = wave(200)
    search = GridSearchCV(RNNRegressor(max_iter=3, random_state=0), {"hidden_size": [4, 8]}, cv=2)
    here = clone(search).fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="dask"):
        there = clone(search).fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(here, there)


@needs("dask", "distributed", "fugue")
def test_one_network_a_series_on_dask_and_fugue(cluster: Any) -> None:
    import dask.dataframe
    from fugue import transform

    X, y = wave(100)
    table = pandas.DataFrame(X, columns=[f"lag_{k}" for k in range(12, 0, -1)])
    table["y"], table["key"] = y, np.repeat([0, 1], 50)
    here = pandas.concat([fitted_rows(part) for _, part in table.groupby("key")])
    parts = dask.dataframe.from_pandas(table, npartitions=2, sort=False)
    there = parts.map_partitions(
        fitted_rows, meta={"key": "int64", "forecast": "float64"}
    ).compute()
    np.testing.assert_array_equal(there["forecast"], here["forecast"])
    fugued = transform(
        table, fitted_rows, schema="key:long,forecast:double", partition={"by": "key"}
    )
    np.testing.assert_array_equal(fugued["forecast"], here["forecast"])


@needs("mlforecast", "distributed", "fugue")
def test_mlforecast_on_a_cluster_equals_the_local_one(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from mlforecast_on_dask import distributed_forecast, local_forecast, several_series

    table = several_series()
    np.testing.assert_array_equal(
        distributed_forecast(table, cluster)["RNNRegressor"],
        local_forecast(table)["RNNRegressor"],
    )


# ---- examples ----


@pytest.mark.slow
@needs("skforecast", "mlforecast", "sktime", "darts", "mapie", "distributed")
@pytest.mark.parametrize(
    "example", ["mlforecast_on_dask", *sorted(p.stem for p in EXAMPLES.glob("with_*.py"))]
)
def test_examples(example: str) -> None:
    """They print the contents of `output`, except last digits, which a library may change.

    Each table has a linear model. The intervals cover about as much as they claim.
    """
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{example}.py"], capture_output=True, text=True, check=True
    )
    shown = (EXAMPLES / "output" / f"{example}.txt").read_text(encoding="utf-8")
    number = r"[-+]?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?"
    assert re.sub(number, "#", done.stdout).split() == re.sub(number, "#", shown).split()
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert {"LinearRegression", "RNNRegressor"} <= set(rows)
    if example != "mlforecast_on_dask":
        covered = [int(found) for found in re.findall(r"(\d+)%", rows["RNNRegressor"])]
        assert len(covered) == 1
        assert 70 <= covered[0] <= 90  # of 80


# ---- data in these libraries ----


def test_japanese_vowels() -> None:
    try:
        x, y, lengths = japanese_vowels("TRAIN")
        x_test, y_test, lengths_test = japanese_vowels("TEST")
    except FileNotFoundError as error:
        pytest.skip(str(error))

    def ending_together(x: Array, lengths: Array) -> Array:
        """Padding comes before the values: the network's last step is the utterance's."""
        padded = np.zeros((len(x), 29, x.shape[2]))
        for row, (steps, length) in enumerate(zip(x, lengths, strict=True)):
            padded[row, 29 - length :] = steps[:length]
        return padded

    classifier = RNNClassifier(64, batch_size=32, random_state=0)
    classifier.fit(ending_together(x, lengths), y)
    assert classifier.score(ending_together(x_test, lengths_test), y_test) >= 0.95


def santa_fe_laser() -> Array:
    """The laser of the Santa Fe competition, from reservoirpy, without importing it."""
    found = importlib.util.find_spec("reservoirpy")
    if found is None or found.origin is None:
        pytest.skip("the laser is in reservoirpy: pip install --no-deps reservoirpy")
    return np.load(Path(found.origin).parent / "datasets" / "santafe_laser.npy").ravel()


@pytest.mark.parametrize("lags", [10, 25])
def test_defaults_learn_the_laser(lags: int) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(santa_fe_laser(), lags + 1)
    X, y = windows[:, :-1], windows[:, -1]
    train, test = slice(int(0.8 * len(X))), slice(int(0.8 * len(X)) + lags, None)
    errors = [
        np.sqrt(np.mean((model.fit(X[train], y[train]).predict(X[test]) - y[test]) ** 2))
        for model in (RNNRegressor(random_state=0), LinearRegression())
    ]
    assert errors[0] <= errors[1] / 3
