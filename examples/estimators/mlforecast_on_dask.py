"""mlforecast on Dask: features on all workers, and one network that trains on one worker.

`DistributedMLForecast` passes Dask's collections to `fit` and then reads `model_`, a fitted model.
`OnOneWorker` adapts an estimator to this: it trains on one worker. One is enough, because a million
windows of 24 numbers are 0.2 GB. The forecasts have the same bits as those of the local
`MLForecast`.
"""

from __future__ import annotations

from typing import Any

import dask.dataframe
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster, default_client
from demand import regions
from mlforecast import MLForecast
from mlforecast.distributed import DistributedMLForecast
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LinearRegression

from crnn.estimators import RNNRegressor

LAGS, AHEAD = 14, 7


class OnOneWorker(BaseEstimator):
    """Train an estimator of scikit-learn on one worker of the cluster."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OnOneWorker:
        client = default_client()
        parts = [None if part is None else client.compute(part) for part in (X, y, sample_weight)]
        self.model_ = client.submit(clone(self.estimator).fit, *parts).result()
        return self


def several_series() -> pd.DataFrame:
    """Four regions, without their temperature."""
    return regions(days=300)[["unique_id", "ds", "y"]]


def models() -> dict[str, Any]:
    """The network and a linear model."""
    network = RNNRegressor(lag_order="names", max_iter=30, random_state=0)
    return {"LinearRegression": LinearRegression(), "RNNRegressor": network}


def local_forecast(table: pd.DataFrame) -> pd.DataFrame:
    """A week ahead in this process."""
    forecast = MLForecast(models=models(), freq="D", lags=range(1, LAGS + 1))
    return forecast.fit(table, static_features=[]).predict(AHEAD)


def distributed_forecast(table: pd.DataFrame, client: Client) -> pd.DataFrame:
    """The same on a cluster."""
    wrapped = {name: OnOneWorker(model) for name, model in models().items()}
    forecast = DistributedMLForecast(
        models=wrapped, freq="D", lags=range(1, LAGS + 1), engine=client
    )
    parts = dask.dataframe.from_pandas(table, npartitions=2)
    forecast.fit(parts, static_features=[])
    return forecast.predict(AHEAD).compute().sort_values(["unique_id", "ds"])


def main() -> None:
    """Compare the two."""
    table = several_series()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        there = distributed_forecast(table, client)
    here = local_forecast(table)
    for name in models():
        difference = np.abs(here[name].to_numpy() - there[name].to_numpy()).max()
        print(f"{name:18} largest difference from the local forecast: {difference}")


if __name__ == "__main__":
    main()
