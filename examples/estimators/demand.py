"""The series of the examples: a demand that depends on yesterday, the weekday and temperature.

Heating and cooling give a V over the temperature, which a linear model cannot fit::

    demand_t = 0.6 demand_{t-1} + 1.5 |temperature_t - 17| + week_t + noise
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def demand(days: int = 1000, *, level: float = 20.0, seed: int = 0) -> pd.DataFrame:
    """Columns demand and temperature, one row per day. The temperature is known in advance."""
    random = np.random.default_rng(seed)
    index = pd.date_range("2021-01-01", periods=days, freq="D")
    day = np.arange(days)
    temperature = 15 - 12 * np.cos(2 * np.pi * day / 365) + 3 * random.normal(size=days)
    week = np.where(index.dayofweek < 5, 4.0, 0.0)
    noise = random.normal(size=days)
    values = np.empty(days)
    before = 2.5 * level
    for t in range(days):
        drive = 1.5 * abs(temperature[t] - 17) + week[t] + noise[t]
        before = values[t] = 0.6 * before + 0.4 * level + drive
    return pd.DataFrame({"demand": values, "temperature": temperature}, index=index)


def regions(count: int = 4, days: int = 700) -> pd.DataFrame:
    """The demand of several regions in one long frame: unique_id, ds, y, temperature."""
    parts = []
    for region in range(count):
        part = demand(days, level=20.0 * (region + 1), seed=region).rename_axis("ds").reset_index()
        part.insert(0, "unique_id", f"region {region}")
        parts.append(part.rename(columns={"demand": "y"}))
    return pd.concat(parts, ignore_index=True)
