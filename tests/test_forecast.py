"""A series in, a forecast out: scaling, one step, many steps, files, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerances import FEEDBACK, LONG_MEAN, OTHER_UNIT, near

from crnn import dataset, optimizers, scoring, storage
from crnn.forecast import Forecaster
from crnn.model import RNN
from crnn.trainer import Trainer

SERIES = 50 + 20 * np.sin(0.6 * np.arange(80)) + np.cos(2.1 * np.arange(80))
QUICK = {"timesteps": 6, "hidden_size": 5, "epochs": 4, "batch_size": 16, "seed": 3}


@pytest.fixture(scope="module")
def fitted():
    return Forecaster(**QUICK).fit(SERIES)


def parameters(forecaster):
    return forecaster.model_.state_dict()


def assert_same_model(a, b):
    assert (a.mean_, a.scale_) == (b.mean_, b.scale_)
    theirs = parameters(b)
    assert parameters(a).keys() == theirs.keys()
    for name, array in parameters(a).items():
        assert array.tobytes() == theirs[name].tobytes(), name


def test_scaling_is_that_of_the_fitted_series(fitted):
    assert fitted.mean_ == near(SERIES.mean(), LONG_MEAN)
    assert fitted.scale_ == near(SERIES.std(), LONG_MEAN)
    mean, scale = fitted.mean_, fitted.scale_
    fitted.predict(SERIES * 2 + 100)
    fitted.forecast(2, SERIES * 2 + 100)
    assert (fitted.mean_, fitted.scale_) == (mean, scale)


def test_fit_returns_itself_with_a_history_of_every_epoch():
    forecaster = Forecaster(**QUICK)
    assert forecaster.fit(SERIES) is forecaster
    assert len(forecaster.history_.loss) == QUICK["epochs"]
    assert forecaster.model_.hidden_size == QUICK["hidden_size"]


def test_predict_is_the_network_on_the_windows_of_the_scaled_series(fitted):
    predicted = fitted.predict(SERIES)
    assert predicted.shape == (len(SERIES) - 6,)
    assert predicted.dtype == np.float64
    scaled = ((SERIES - fitted.mean_) / fitted.scale_).astype(np.float32)
    for i in (0, 1, 30, len(predicted) - 1):
        output = fitted.model_.predict(scaled[i : i + 6].reshape(1, 6, 1))[0, 0]
        assert predicted[i] == float(output) * fitted.scale_ + fitted.mean_


def test_forecast_feeds_each_prediction_back(fitted):
    values = list(SERIES)
    for _ in range(20):
        # One more value, so that predict has a target to predict; which one does not matter.
        values.append(fitted.predict([*values[-6:], 0.0])[0])
    # The feedback here goes through the units and back, which moves the last bits of a float32.
    np.testing.assert_allclose(fitted.forecast(20), values[len(SERIES) :], rtol=FEEDBACK)


def test_forecast_of_the_fitted_series_is_the_default(fitted):
    np.testing.assert_array_equal(fitted.forecast(9), fitted.forecast(9, SERIES))
    np.testing.assert_array_equal(fitted.forecast(9)[:4], fitted.forecast(4))


def test_forecast_depends_on_the_last_timesteps_only(fitted):
    np.testing.assert_array_equal(
        fitted.forecast(5, SERIES[:40]), fitted.forecast(5, SERIES[34:40])
    )
    assert fitted.forecast(5, SERIES[:40])[0] != fitted.forecast(5, SERIES[:41])[0]


def test_it_learns_a_sine_and_continues_it():
    sine = 10 + 3 * dataset.sine_wave(260)
    past, future = sine[:200], sine[200:]
    forecaster = Forecaster(timesteps=12, hidden_size=24, epochs=150, learning_rate=5e-3, seed=0)
    forecaster.fit(past)
    predicted = forecaster.predict(sine[200 - 12 :])
    x, _ = dataset.windows(sine[200 - 12 :], 12)
    assert scoring.rmse(future, predicted) < 0.05 * scoring.rmse(future, scoring.persistence(x))
    assert scoring.rmse(future, forecaster.forecast(60)) < 0.2 * future.std()


@pytest.mark.parametrize(("factor", "offset"), [(1e-3, 0.0), (-7.0, 400.0), (1e6, -1e9)])
def test_units_do_not_matter(factor, offset):
    plain = Forecaster(**QUICK).fit(SERIES).forecast(5)
    if factor < 0:
        plain = -Forecaster(**QUICK).fit(-SERIES).forecast(5)
    other = Forecaster(**QUICK).fit(factor * SERIES + offset).forecast(5)
    np.testing.assert_allclose((other - offset) / factor, plain, atol=OTHER_UNIT * SERIES.std())


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1e200, 1e305])
def test_extreme_units_are_scaled_without_overflow(scale):
    wave = np.tile([0.0, 1.0, 2.0, 1.0], 20) * scale
    forecaster = Forecaster(**QUICK).fit(wave)
    if scale > 1e-300:
        assert forecaster.scale_ == near(scale * math.sqrt(0.5), LONG_MEAN)
    assert np.isfinite(forecaster.forecast(5)).all()
    assert np.abs(forecaster.forecast(5)).max() < 20 * max(scale, 1e-320)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e300, 5])
def test_constant_series_is_forecast_by_itself(value):
    forecaster = Forecaster(**QUICK).fit([value] * 30)
    assert (forecaster.mean_, forecaster.scale_) == (value, 1.0)
    np.testing.assert_array_equal(forecaster.forecast(4), [value] * 4)
    np.testing.assert_array_equal(forecaster.predict([value] * 8), [value] * 2)


def test_seed_decides_the_bits_and_threads_do_not():
    first = Forecaster(**QUICK).fit(SERIES)
    assert_same_model(first, Forecaster(**QUICK).fit(SERIES))
    assert_same_model(first, Forecaster(**QUICK, threads=2).fit(SERIES))
    other = Forecaster(**(QUICK | {"seed": 4})).fit(SERIES)
    assert not np.array_equal(parameters(first)["Wh_l0"], parameters(other)["Wh_l0"])


def test_second_fit_starts_anew():
    forecaster = Forecaster(**QUICK).fit(SERIES[::-1] * 3)
    assert_same_model(forecaster.fit(SERIES), Forecaster(**QUICK).fit(SERIES))


@pytest.mark.parametrize(
    "same",
    [
        list(SERIES),
        SERIES.reshape(-1, 1),
        SERIES.astype(">f8"),
        SERIES[::-1].copy()[::-1],
        np.asfortranarray(np.column_stack([SERIES, SERIES]))[:, :1],
        np.repeat(SERIES, 3)[::3],
    ],
    ids=["list", "column", "big-endian", "reversed", "fortran", "strided"],
)
def test_any_memory_gives_the_same_model(same, fitted):
    assert_same_model(Forecaster(**QUICK).fit(same), fitted)
    np.testing.assert_array_equal(fitted.predict(same), fitted.predict(SERIES))
    np.testing.assert_array_equal(fitted.forecast(3, same), fitted.forecast(3))


def test_integers_are_taken_and_the_input_is_left_alone():
    series = np.arange(40) % 7
    before = series.copy()
    series.flags.writeable = False
    whole = Forecaster(**QUICK).fit(series)
    assert_same_model(whole, Forecaster(**QUICK).fit(series.astype(float)))
    np.testing.assert_array_equal(series, before)


def test_shortest_series():
    forecaster = Forecaster(**QUICK).fit(SERIES[:7])
    assert forecaster.predict(SERIES[:7]).shape == (1,)
    assert forecaster.forecast(3, SERIES[:6]).shape == (3,)


BAD_SERIES = [
    (SERIES[:6], ValueError, "series must hold at least 7 values, got 6"),
    ([], (ValueError, TypeError), "series"),
    (3.0, ValueError, "series"),
    (np.ones((20, 2)), ValueError, "series"),
    (np.ones((1, 20)), ValueError, "series"),
    ([*SERIES[:9], np.nan, 1.0], ValueError, "series must be finite, got nan at position 9"),
    ([*SERIES[:9], -np.inf], ValueError, "series must be finite, got -inf at position 9"),
    (["1", "2"] * 9, TypeError, "series"),
    ([True, False] * 9, TypeError, "series"),
    (SERIES * 1j, TypeError, "series"),
    (SERIES.astype(object), TypeError, "series"),
    (np.arange(9).astype("M8[D]"), TypeError, "series"),
    (None, TypeError, "series"),
]


@pytest.mark.parametrize(("series", "error", "message"), BAD_SERIES)
def test_bad_series_is_named_and_changes_nothing(series, error, message):
    forecaster = Forecaster(**QUICK).fit(SERIES)
    before = forecaster.forecast(3)
    for call in (forecaster.fit, forecaster.predict):
        with pytest.raises(error, match=message):
            call(series)
    np.testing.assert_array_equal(forecaster.forecast(3), before)


@pytest.mark.parametrize("series", [[-1e308, 1e308] * 20, [-1.7e308, *[1.7e308] * 30]])
def test_what_overflows_the_scaling_is_an_error(series):
    with pytest.raises(ValueError, match="series cannot be standardised"):
        Forecaster(**QUICK).fit(series)


def test_values_beyond_float32_of_the_fitted_scale_are_an_error(fitted):
    with pytest.raises(ValueError, match="series holds values too far"):
        fitted.predict(SERIES * 1e50)
    with pytest.raises(ValueError, match="series holds values too far"):
        fitted.forecast(1, SERIES * 1e50)


@pytest.mark.parametrize(
    ("steps", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_bad_steps(fitted, steps, error):
    with pytest.raises(error, match="steps"):
        fitted.forecast(steps)


def test_forecast_names_a_series_that_is_too_short(fitted):
    with pytest.raises(ValueError, match="series must hold at least 6 values, got 5"):
        fitted.forecast(1, SERIES[:5])


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("timesteps", 0, ValueError),
        ("timesteps", 2.0, TypeError),
        ("hidden_size", 0, ValueError),
        ("hidden_size", "32", TypeError),
        ("epochs", 0, ValueError),
        ("batch_size", -1, ValueError),
        ("learning_rate", 0.0, ValueError),
        ("learning_rate", math.nan, ValueError),
        ("learning_rate", lambda epoch: 0.1, TypeError),
        ("optimizer", "adagrad", ValueError),
        ("optimizer", optimizers.Adam(), TypeError),
        ("seed", -1, ValueError),
        ("seed", 1.0, TypeError),
        ("threads", 0, ValueError),
        ("progress", 1, TypeError),
    ],
)
def test_bad_argument_is_named(name, value, error):
    with pytest.raises(error, match=name):
        Forecaster(**(QUICK | {name: value}))


@pytest.mark.parametrize(
    "call",
    [
        lambda f, _: f.predict(SERIES),
        lambda f, _: f.forecast(1),
        lambda f, path: f.save(path),
    ],
)
def test_unfitted_is_said(call, tmp_path):
    with pytest.raises(RuntimeError, match="not fitted"):
        call(Forecaster(**QUICK), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_interrupted_fit_leaves_a_usable_model(monkeypatch):
    forecaster = Forecaster(**QUICK)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(SERIES)
    assert forecaster.history_ is None
    assert np.isfinite(forecaster.forecast(3)).all()


def test_file_gives_the_same_bits_back(fitted, tmp_path):
    fitted.save(tmp_path / "model.safetensors")
    loaded = Forecaster.load(tmp_path / "model.safetensors")
    assert_same_model(loaded, fitted)
    np.testing.assert_array_equal(loaded.predict(SERIES), fitted.predict(SERIES))
    np.testing.assert_array_equal(loaded.forecast(9), fitted.forecast(9))
    assert loaded.history_ is None
    for name, value in QUICK.items():
        assert getattr(loaded, name) == value
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    assert_same_model(loaded.fit(SERIES), fitted)


@pytest.mark.parametrize(
    ("name", "value"),
    [("timesteps", 5), ("hidden_size", 3), ("epochs", "many"), ("seed", -1), ("optimizer", "x")],
)
def test_what_is_set_after_fit_is_for_the_next_fit(name, value, tmp_path):
    forecaster = Forecaster(**QUICK).fit(SERIES)
    predicted = forecaster.predict(SERIES)
    setattr(forecaster, name, value)
    np.testing.assert_array_equal(forecaster.predict(SERIES), predicted)
    forecaster.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(SERIES), predicted)
    assert getattr(loaded, name) == (QUICK | {"optimizer": "adam"})[name]


def test_file_of_the_other_kind_names_its_loader(fitted, tmp_path):
    RNN(1, 3, 1, seed=0).save(tmp_path / "network")
    with pytest.raises(ValueError, match=r"RNN\.load"):
        Forecaster.load(tmp_path / "network")
    fitted.save(tmp_path / "forecaster")
    with pytest.raises(ValueError, match=r"Forecaster\.load"):
        RNN.load(tmp_path / "forecaster")


@pytest.mark.parametrize(
    "change",
    [
        lambda a, s: a.pop("tail"),
        lambda a, s: a.pop("Wh_l0"),
        lambda a, s: a.pop("by"),
        lambda a, s: a.update(extra=np.ones(2, np.float32)),
        lambda a, s: a.update(tail=a["tail"][1:]),
        lambda a, s: a.update(tail=a["tail"].reshape(-1, 1)),
        lambda a, s: a.update(tail=a["tail"].astype(np.float64)),
        lambda a, s: a.update(Wh_l0=a["Wh_l0"].astype(np.float64)),
        lambda a, s: a.update(Wy=a["Wy"][:-1]),
        lambda a, s: s.pop("mean"),
        lambda a, s: s.update(mean="0"),
        lambda a, s: s.update(mean=10**400),
        lambda a, s: s.update(scale=0.0),
        lambda a, s: s.update(scale=-1.0),
        lambda a, s: s.update(timesteps=10**15),
        lambda a, s: s.update(hidden_size=10**9),
        lambda a, s: s.update(epochs=0),
        lambda a, s: s.update(optimizer=["adam"]),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, fitted, tmp_path):
    path = tmp_path / "model"
    fitted.save(path)
    arrays, settings = storage.read(path, "forecaster")
    change(arrays, settings)
    storage.write(path, "forecaster", arrays, settings)
    with pytest.raises(ValueError, match="not a usable forecaster"):
        Forecaster.load(path)
