"""mlforecast: one network for several series, with a temperature and conformal intervals.

`lag_order="names"`: mlforecast passes frames with static and exogenous columns first, then lag1,
lag2, ..., then the calendar. Columns that are not lags are shown at every step.
`LocalStandardScaler` scales each series. mlforecast calibrates its intervals on windows that were
not trained on.
"""

from __future__ import annotations

import numpy as np
from demand import regions
from mlforecast import MLForecast
from mlforecast.target_transforms import LocalStandardScaler
from mlforecast.utils import PredictionIntervals
from sklearn.linear_model import LinearRegression

from crnn.estimators import RNNRegressor

LAGS, AHEAD = 14, 7

forecast = MLForecast(
    models={
        "LinearRegression": LinearRegression(),
        "RNNRegressor": RNNRegressor(lag_order="names", random_state=0),
    },
    freq="D",
    lags=range(1, LAGS + 1),
    date_features=["dayofweek"],
    target_transforms=[LocalStandardScaler()],
)
table = regions()
found = forecast.cross_validation(
    table,
    n_windows=4,
    h=AHEAD,
    static_features=[],
    prediction_intervals=PredictionIntervals(n_windows=8, h=AHEAD),
    level=[80],
)

print("model                MAE   80 % interval covers")
for name in forecast.models:
    mae = np.abs(found["y"] - found[name]).mean()
    covered = found["y"].between(found[f"{name}-lo-80"], found[f"{name}-hi-80"]).mean()
    print(f"{name:18} {mae:5.2f} {covered:22.0%}")
