"""sktime: a reduction to regression, evaluated on an expanding window, with conformal intervals.

The default order is right: sktime's windows are oldest first. With exogenous variables X, the
columns come in blocks, one per variable: use `steps=np.arange(F * T).reshape(F, T).T`. With
`scitype="time-series-regressor"` panels are (N, F, T): swap the axes in a pipeline.

The airline passengers have a trend and a season. Both are removed before the regression.
`ConformalIntervals` takes its residuals from forecasts of values that were not trained on.
"""

from __future__ import annotations

import warnings

from sklearn.linear_model import LinearRegression
from sktime.datasets import load_airline
from sktime.forecasting.base import ForecastingHorizon
from sktime.forecasting.compose import TransformedTargetForecaster, make_reduction
from sktime.forecasting.conformal import ConformalIntervals
from sktime.forecasting.model_evaluation import evaluate
from sktime.performance_metrics.forecasting import MeanAbsoluteError
from sktime.performance_metrics.forecasting.probabilistic import EmpiricalCoverage
from sktime.split import ExpandingWindowSplitter
from sktime.transformations.series.detrend import Deseasonalizer, Detrender

from crnn.estimators import RNNRegressor

warnings.showwarning = lambda *_, **__: None  # sktime turns its hints on again
LAGS, AHEAD = 12, 6

passengers = load_airline().astype(float)
horizon = ForecastingHorizon(range(1, AHEAD + 1))
windows = ExpandingWindowSplitter(fh=horizon, initial_window=102, step_length=AHEAD)

print("model                MAE   80 % interval covers")
for model in (LinearRegression(), RNNRegressor(random_state=0)):
    forecaster = TransformedTargetForecaster(
        [
            Deseasonalizer(sp=12, model="multiplicative"),
            Detrender(),
            make_reduction(model, window_length=LAGS, strategy="recursive"),
        ]
    )
    conformal = ConformalIntervals(forecaster, "conformal", initial_window=0.7)
    found = evaluate(
        forecaster=conformal,
        y=passengers,
        cv=windows,
        scoring=[MeanAbsoluteError(), EmpiricalCoverage(coverage=0.8)],
        error_score="raise",
    )
    mae = found["test_MeanAbsoluteError"].mean()
    covered = found["test_EmpiricalCoverage"].mean()
    print(f"{type(model).__name__:18} {mae:5.2f} {covered:22.0%}")
