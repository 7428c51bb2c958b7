"""darts: historical forecasts, and conformal intervals around a model that is already trained.

For one series the default order is right: darts' windows are oldest first. The components of a
multivariate series are interleaved: use `steps=np.arange(T * F).reshape(T, F)`. Covariates follow
them and are shown at every step.

`ConformalNaiveModel` is calibrated on earlier forecasts of values that the model was not trained
on. The series solves the Mackey-Glass equation, with noise.
"""

from __future__ import annotations

import logging

import numpy as np
from darts import TimeSeries
from darts.metrics import mae, mic
from darts.models import ConformalNaiveModel, SKLearnModel
from sklearn.linear_model import LinearRegression

from crnn import dataset
from crnn.estimators import RNNRegressor

logging.disable(logging.WARNING)  # darts' hints
LAGS, AHEAD = 24, 6

values = dataset.mackey_glass(2000, seed=0)
values = values + 0.05 * np.random.default_rng(0).normal(size=values.shape)
series = TimeSeries.from_values(values.ravel())
train, test = series[:-1000], series[-500:]

print("model                MAE   80 % interval covers")
for model in (LinearRegression(), RNNRegressor(early_stopping="refit", random_state=0)):
    forecaster = SKLearnModel(lags=LAGS, output_chunk_length=AHEAD, model=model)
    forecaster.fit(train)
    conformal = ConformalNaiveModel(forecaster, quantiles=[0.1, 0.5, 0.9], cal_length=400)
    found = conformal.historical_forecasts(
        series,
        start=test.start_time(),
        forecast_horizon=AHEAD,
        stride=AHEAD,
        last_points_only=False,
        predict_likelihood_parameters=True,
    )
    centre = forecaster.historical_forecasts(
        series,
        start=test.start_time(),
        forecast_horizon=AHEAD,
        stride=AHEAD,
        last_points_only=False,
        retrain=False,
    )
    error = np.mean([mae(series, part) for part in centre])
    covered = np.mean([mic(series, part, q_interval=(0.1, 0.9)) for part in found])
    print(f"{type(model).__name__:18} {error:5.3f} {covered:22.0%}")
