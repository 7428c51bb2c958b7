"""scikit-learn: a parameter search, and intervals from held-out rows.

NARMA10 is the response to a random input. It depends on products of inputs and responses up to ten
steps back. The network and a linear model see the last 30 inputs. The intervals are split
conformal: errors on rows that neither training nor search has seen give the width for 80 %.

For a series in time order, use the search with `cv=TimeSeriesSplit()`. Start with `n_jobs=1`. If a
fit takes seconds, use `joblib.parallel_config(backend="threading")`: it starts no processes and
gives the same scores.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold

from crnn import dataset
from crnn.estimators import RNNRegressor

u, answer = dataset.narma10(3000, 30, seed=0)
X, y = u[:, :, 0], answer[:, -1].ravel()  # a column for each step, oldest first
train, calibrate, test = np.split(np.arange(len(X)), [1500, 2000])

search = GridSearchCV(
    RNNRegressor(max_iter=200, random_state=0),
    {"learning_rate_init": [1e-3, 4e-3], "batch_size": [50, 200]},
    cv=KFold(3),
)

print("model                   RMSE   80 % interval covers")
for name, model in {"LinearRegression": LinearRegression(), "RNNRegressor": search}.items():
    model.fit(X[train], y[train])
    scores = np.sort(np.abs(y[calibrate] - model.predict(X[calibrate])))
    half = scores[int(np.ceil(0.8 * (len(scores) + 1))) - 1]
    errors = y[test] - model.predict(X[test])
    covered = np.mean(np.abs(errors) <= half)
    print(f"{name:20} {np.sqrt(np.mean(errors**2)):7.4f} {covered:22.0%}")
print("chosen:", search.best_params_)
