"""The table of scores: all models get the same inputs, none has seen the scored values."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import FOUR_DIGITS, near

from crnn import _scores, _series, scoring

NAN = float("nan")
SERIES = 50 + 20 * np.sin(0.6 * np.arange(80)) + np.random.default_rng(0).normal(size=80)


class Mean:
    """Forecasts the mean of its window, and records its inputs."""

    def __init__(self, horizon=1, timesteps=6):
        self.horizon = horizon
        self.timesteps_ = timesteps

    def fit(self, series):
        self.fitted = np.array(series)
        return self

    def predict(self, series):
        self.seen = np.array(series)
        count = len(series) - self.timesteps_ - self.horizon + 1
        means = [series[i : i + self.timesteps_].mean() for i in range(count)]
        return (
            np.array(means)
            if self.horizon == 1
            else np.repeat(means, self.horizon).reshape(count, self.horizon)
        )


def by_loop(series, held_out, horizon, timesteps, season, step):
    """{model: (actual, predicted)} `step` steps ahead, one origin after the other."""
    begin = len(series) - held_out
    there = np.flatnonzero(~np.isnan(series))
    filled = np.interp(np.arange(len(series)), there, series[there])
    inputs, targets = [], []
    for end in range(timesteps, begin - horizon + 1):
        if not np.isnan(series[end - 1 : end + horizon]).any():  # nor does it end in a gap
            inputs.append([1, *filled[end - timesteps : end]])
            targets.append(filled[end + step - 1])
    weights = np.linalg.lstsq(np.array(inputs), np.array(targets), rcond=None)[0]
    found = {name: [] for name in ("persistence", "seasonal persistence", "ar", "mean")}
    for end in range(begin, len(series) - horizon + 1):
        actual = series[end + step - 1]
        if np.isnan(series[end - 1]) or np.isnan(actual):
            continue
        at = end + step - 1
        while at >= end:
            at -= season
        window = filled[end - timesteps : end]
        guesses = (window[-1], filled[at], np.array([1, *window]) @ weights, window.mean())
        for pairs, guess in zip(found.values(), guesses, strict=True):
            pairs.append((actual, guess))
    return {name: np.array(pairs).T for name, pairs in found.items()}


HOLES = SERIES.copy()
HOLES[[20, 21, 22, 50, 63, 64, 70, 71]] = NAN


@pytest.mark.parametrize("series", [SERIES, HOLES], ids=["whole", "holes"])
@pytest.mark.parametrize(("horizon", "season"), [(1, 7), (5, 7), (5, 3)])
def test_every_model_forecasts_the_same_values_from_the_same_inputs(series, horizon, season):
    scores = _scores.score_end(Mean(horizon), series, 16, season)
    assert list(scores.predicted) == [
        "persistence",
        "seasonal persistence",
        "least-squares AR",
        "forecaster",
    ]
    for step in (1, horizon):
        expected = by_loop(series, 16, horizon, 6, season, step)
        for name, (actual, guess) in zip(scores.predicted, expected.values(), strict=True):
            assert scores.rmse(name, step) == near(scoring.rmse(actual, guess), FOUR_DIGITS), name
            changes = np.abs(np.diff(_series.filled(_scores.until_known(series[:64])))).mean()
            mase = scoring.mae(actual, guess) / changes
            assert scores.mase(name, step) == near(mase, FOUR_DIGITS), name


def test_nothing_of_the_held_out_part_reaches_the_training():
    model = Mean()
    _scores.score_end(model, SERIES, 16, None)
    np.testing.assert_array_equal(model.fitted, SERIES[:64])
    np.testing.assert_array_equal(model.seen, SERIES[64 - 6 :])
    model = Mean()
    _scores.score_end(model, HOLES, 16, None)  # rows 63 and 64 are missing
    np.testing.assert_array_equal(model.fitted, HOLES[:63])


@pytest.mark.parametrize("series", [SERIES, HOLES], ids=["whole", "holes"])
def test_no_forecast_changes_with_a_value_from_its_origin_on(series):
    scores = _scores.score_end(Mean(3), series, 16, 7)
    for i, row in enumerate(scores.rows):
        changed = series.copy()
        changed[row:] += 1000
        other = _scores.score_end(Mean(3), changed, 16, 7)
        for name, values in scores.predicted.items():
            assert other.predicted[name][i] == near(values[i], FOUR_DIGITS), (name, row)


def test_no_forecast_begins_after_a_missing_value():
    scores = _scores.score_end(Mean(), HOLES, 16, None)
    assert not {64, 65, 71, 72} & set(scores.rows.tolist())
    assert not np.isnan(list(scores.predicted.values())).any()


def test_a_season_longer_than_the_training_part_has_no_row():
    assert len(_scores.score_end(Mean(), SERIES, 16, 65).predicted) == 3
    assert len(_scores.score_end(Mean(), SERIES, 16, 64).predicted) == 4


def test_a_held_out_part_without_values_is_an_error():
    series = SERIES.copy()
    series[63:79] = NAN
    with pytest.raises(ValueError, match="--test-fraction"):
        _scores.score_end(Mean(), series, 16, None)


def scores_of(ours, theirs):
    actual = np.full((1, 2), 0.125)
    return _scores.Scores(
        np.array([5]),
        actual + 100,
        {
            "persistence": actual + 100 + np.array(theirs),
            "forecaster": actual + 100 + np.array(ours),
        },
        1.0,
    )


def test_the_table_and_its_verdict():
    *table, verdict = scores_of([1, 4], [2, 3]).lines()
    assert [line.split() for line in table] == [
        ["1", "forecast", "one", "step", "ahead", "2", "steps", "ahead"],
        ["RMSE", "MASE", "RMSE", "MASE"],
        ["persistence", "2", "2", "3", "3"],
        ["forecaster", "1", "1", "4", "4"],
    ]
    assert len({len(line) for line in table[1:]}) == 1
    assert verdict == (
        "verdict: one step ahead the forecaster is best: RMSE 0.50 of that of persistence, the "
        "next best; 2 steps ahead persistence is better: RMSE 0.75 of the forecaster's"
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (1.0, 1.004, "as good as"),
        (1.004, 1.0, "as good as"),
        (1.0, 1.01, "the forecaster is best"),
        (1.01, 1.0, "is better"),
        (0.0, 0.0, "as good as"),
        (1e-14, 1e-13, "as good as"),  # both are rounding errors
        (1e-13, 1e-3, "the forecaster is best"),
        (1e-3, 0.0, "is better"),
        (0.0, 1e-3, "the forecaster is best"),
    ],
)
def test_a_verdict_is_no_finer_than_the_errors(ours, theirs, words):
    *_, verdict = scores_of([ours, 1], [theirs, 1]).lines()
    assert words in verdict.partition(";")[0]


def test_a_training_part_that_never_changes_has_no_mase():
    scores = _scores.score_end(Mean(), np.full(40, 7.0), 8, None)
    assert all(line.split()[-1] == "undefined" for line in list(scores.lines())[2:-1])


def test_the_picture_has_both_forecasts_at_their_times():
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    scores = _scores.score_end(Mean(3), SERIES, 16, None)
    axis = 1900 + np.arange(80)
    ax = _scores.draw(scores, 3, axis, ("year", "level"), "Title").axes[0]
    actual, ours, linear = ax.lines
    np.testing.assert_array_equal(actual.get_xydata().T, [axis[66:], SERIES[66:]])
    np.testing.assert_array_equal(ours.get_ydata(), scores.predicted["forecaster"][:, 2])
    np.testing.assert_array_equal(linear.get_ydata(), scores.predicted["least-squares AR"][:, 2])
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[1] == f"forecaster (RMSE {scores.rmse('forecaster', 3):.3g})"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("year", "level")
    assert ax.get_title() == "Title, 3 steps ahead"
    many = _scores.score_end(Mean(), np.tile(SERIES, 9), 300, None)
    ax = _scores.draw(many, 1, np.arange(720), ("t", "y"), "Title").axes[0]
    assert (len(ax.lines[0].get_xdata()), ax.get_title()) == (
        200,
        "Title, one step ahead, the last 200",
    )


def test_the_picture_has_a_gap_where_nothing_was_scored():
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    scores = _scores.score_end(Mean(), HOLES, 16, None)
    ax = _scores.draw(scores, 1, np.arange(80), ("t", "y"), "Title").axes[0]
    for line in ax.lines:
        drawn = dict(zip(line.get_xdata().tolist(), line.get_ydata().tolist(), strict=True))
        assert sorted(drawn) == list(range(min(scores.rows), 80))
        gone = set(drawn) - set(scores.rows.tolist())
        assert {71, 72} <= gone
        assert all(np.isnan(drawn[row]) for row in gone)
    assert ax.lines[0].get_ydata()[-1] == HOLES[79]
