"""MAPIE: three kinds of intervals, each calibrated on rows that were not trained on.

Split conformal gives all rows the same width. Conformalised quantile regression trains one network
for each end, with `loss="quantile"`, and corrects both on the calibration rows. Its intervals are
wide where the series is uncertain and narrow elsewhere. EnbPI trains on resampled blocks of the
series and takes each row's error from the networks that did not train on it.

The series solves the Mackey-Glass equation, with noise.
"""

from __future__ import annotations

import warnings

import numpy as np
from mapie.regression import (
    ConformalizedQuantileRegressor,
    SplitConformalRegressor,
    TimeSeriesRegressor,
)
from mapie.subsample import BlockBootstrap
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, QuantileRegressor

from crnn import dataset
from crnn.estimators import RNNRegressor

warnings.simplefilter("ignore")  # MAPIE's hints
LAGS, LEVEL = 24, 0.8

series = dataset.mackey_glass(2000, seed=0)
series = series + 0.05 * np.random.default_rng(0).normal(size=series.shape)
x, y = dataset.windows(series, timesteps=LAGS)
X, y = x[:, :, 0], y[:, 0]
train, calibrate, test = np.split(np.arange(len(X)), [-1000, -500])

linear, network = LinearRegression(), RNNRegressor(early_stopping="refit", random_state=0)
linear_quantile = QuantileRegressor(alpha=0, solver="highs")
network_quantile = clone(network).set_params(loss="quantile", quantile=0.5)


def show(name: str, method: str, predicted: np.ndarray, interval: np.ndarray) -> None:
    low, high = interval[:, 0, 0], interval[:, 1, 0]
    mae = np.abs(y[test] - predicted).mean()
    covered = np.mean((low <= y[test]) & (y[test] <= high))
    print(f"{name:18} {method:19} {mae:6.3f} {covered:14.0%} {np.mean(high - low):11.3f}")


print("model              intervals             MAE   80 % covers  mean width")
for model in (linear, network):
    name = type(model).__name__
    split = SplitConformalRegressor(model, confidence_level=LEVEL, prefit=False)
    split.fit(X[train], y[train]).conformalize(X[calibrate], y[calibrate])
    show(name, "split conformal", *split.predict_interval(X[test]))
for model in (linear_quantile, network_quantile):
    ends = [clone(model).set_params(quantile=q).fit(X[train], y[train]) for q in (0.1, 0.9, 0.5)]
    quantile = ConformalizedQuantileRegressor(ends, confidence_level=LEVEL, prefit=True)
    quantile.conformalize(X[calibrate], y[calibrate])
    show(type(model).__name__, "quantile regression", *quantile.predict_interval(X[test]))
for model in (linear, network):
    blocks = BlockBootstrap(n_resamplings=10, n_blocks=20, overlapping=False, random_state=0)
    enbpi = TimeSeriesRegressor(model, method="enbpi", cv=blocks, agg_function="mean")
    enbpi.fit(X[:-500], y[:-500])
    predicted, interval = enbpi.predict(X[test], confidence_level=LEVEL)
    show(type(model).__name__, "EnbPI", predicted, interval)
