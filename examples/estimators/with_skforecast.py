"""skforecast: an exogenous variable, a backtest, and intervals from residuals out of sample.

`lag_order="newest_first", steps=LAGS`: skforecast passes lag_1, lag_2, ... and then the exogenous
columns, in an array without names. The temperature and the calendar are shown at every step.

Residuals on rows that a network was trained on are too small, and so are intervals from them. A
backtest on a separate part gives the residuals, and a third part shows what the intervals cover.
Keep n_jobs=1, or use processes: the folds of a backtest share one forecaster, and threads would
train it at the same time.
"""

from __future__ import annotations

import warnings

import pandas as pd
from demand import demand
from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster
from skforecast.recursive import ForecasterRecursive
from sklearn.linear_model import LinearRegression

from crnn.estimators import RNNRegressor

warnings.simplefilter("ignore")  # skforecast's hints
LAGS, AHEAD = 14, 7

data = demand()
exog = data[["temperature"]].assign(weekday=data.index.dayofweek < 5).astype(float)
train, calibrate = 600, 800  # days; the rest is the test


def backtest(forecaster: ForecasterRecursive, end: int, begin: int, **given: object) -> object:
    """A week ahead, week by week, from a forecaster that was trained up to `begin`."""
    return backtesting_forecaster(
        forecaster,
        y=data["demand"][:end],
        exog=exog[:end],
        cv=TimeSeriesFold(steps=AHEAD, initial_train_size=begin, refit=False),
        metric="mean_absolute_error",
        n_jobs=1,
        show_progress=False,
        **given,
    )


print("model                MAE   80 % interval covers")
for model in (
    LinearRegression(),
    RNNRegressor(lag_order="newest_first", steps=LAGS, random_state=0),
):
    forecaster = ForecasterRecursive(model, lags=LAGS)
    _, held = backtest(forecaster, calibrate, train)
    forecaster.fit(y=data["demand"][:train], exog=exog[:train])
    actual = data["demand"][train:calibrate]
    forecaster.set_out_sample_residuals(y_true=actual, y_pred=held["pred"])
    error, found = backtest(
        forecaster,
        len(data),
        calibrate,
        interval=[0.1, 0.9],
        interval_method="conformal",
        use_in_sample_residuals=False,
    )
    actual = data["demand"][calibrate:]
    covered = pd.Series((found["lower_bound"] <= actual) & (actual <= found["upper_bound"]))
    mae = error["mean_absolute_error"].iloc[0]
    print(f"{type(model).__name__:18} {mae:5.2f} {covered.mean():22.0%}")
