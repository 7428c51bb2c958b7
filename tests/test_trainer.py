"""crnn.Trainer: epochs against the reference, History, seeds, divergence, silence and Ctrl-C."""

# Only the notebook draws from NumPy's global generator.

from __future__ import annotations

import math
import sys
import tracemalloc
from typing import Any

import children
import numpy as np
import pytest
import reference
from networks import UNSCALED, bits, network
from samples import Array, Sizes, batch
from tolerances import FLOAT32_TRAINED, FLOAT64_TRAINED, FRACTION, HARDLY_A_STEP, assert_close, near

from crnn import RNN, History, Trainer, TrainingDiverged, _cell

# ---- one epoch and several, against the reference ----

# Ten times this rate makes H = 100, B = 1 chaotic: if the reference's initial parameters change by
# one ulp, its parameters after four epochs change by 4e-5 (adam) to 1.5 (sgd, not clipped) of their
# norm. At this rate they change by 4e-14.
LEARNING_RATE = 0.003


def train_reference(
    values: dict[str, Array],
    x: Array,
    y: Array,
    *,
    epochs: int,
    optimizer: str,
    learning_rate: float,
    batch_size: int,
    clip_value: float | None,
) -> tuple[dict[str, Array], list[float], list[float]]:
    """The parameters after the epochs, and every epoch's loss and clipped fraction."""
    optimiser = reference.optimizer(optimizer, learning_rate)
    losses, fractions = [], []
    for _ in range(epochs):
        values, loss, fraction = reference.epoch(
            values, x, y, optimiser, batch_size=batch_size, clip_value=clip_value
        )
        losses.append(loss)
        fractions.append(fraction)
    return values, losses, fractions


@pytest.mark.kernel
@pytest.mark.parametrize("epochs", [1, 4])
@pytest.mark.parametrize("clip_value", [None, 0.02, 1.0])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    [
        ((23, 7, 3, 13, 2), 5),  # the last batch has 3 rows
        ((9, 1, 1, 1, 1), 1),
        ((3, 5, 2, 17, 3), 8),  # a batch larger than the data
        ((40, 4, 1, 33, 1), 20),
        ((67, 3, 5, 16, 2), 66),  # the last batch has 1 row
        ((6, 25, 1, 100, 1), 1),  # the notebook's sizes
    ],
    ids=str,
)
def test_training_equals_the_reference(
    sizes: Sizes, batch_size: int, optimizer: str, clip_value: float | None, epochs: int
) -> None:
    model, (x, y) = network(sizes), batch(sizes)
    settings: dict[str, Any] = {
        "epochs": epochs,
        "optimizer": optimizer,
        "learning_rate": LEARNING_RATE,
        "batch_size": batch_size,
        "clip_value": clip_value,
    }
    expected, losses, fractions = train_reference(model.state_dict(), x, y, **settings)
    history = Trainer(shuffle=False, **settings).fit(model, x, y)
    assert_close(model.parameters(), expected, FLOAT64_TRAINED)
    assert history.loss == near(losses, FLOAT64_TRAINED)
    assert history.clipped_fraction == near(fractions, FRACTION)
    if clip_value is None:
        assert history.clipped_fraction == [0.0] * epochs
    elif clip_value == 0.02:
        assert min(history.clipped_fraction) > 0.0  # otherwise the case proves nothing


@pytest.mark.kernel
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("hidden", [1, 17])
def test_clipping_at_the_edge_of_the_bound(hidden: int, rows: int, optimizer: str) -> None:
    sizes = (rows, 3, 1, hidden, 1)
    x, y = batch(sizes)
    _, d = reference.gradients(network(sizes).state_dict(), x, y)
    sizes_of_elements = np.sort(np.concatenate([np.abs(g).ravel() for g in d.values()]))
    for beyond in (1, 2, sizes_of_elements.size):
        settings: dict[str, Any] = {
            "epochs": 1,
            "optimizer": optimizer,
            "learning_rate": 0.5,
            "batch_size": rows,
            "clip_value": float(sizes_of_elements[-beyond] * 0.9999),
        }
        model = network(sizes)
        expected, _, fractions = train_reference(model.state_dict(), x, y, **settings)
        history = Trainer(shuffle=False, **settings).fit(model, x, y)
        assert history.clipped_fraction == near(fractions, FRACTION)
        assert_close(model.parameters(), expected, FLOAT64_TRAINED)


@pytest.mark.kernel
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_without_bias(optimizer: str) -> None:
    sizes = (23, 7, 3, 13, 2)
    model, (x, y) = network(sizes, bias=False), batch(sizes)
    settings: dict[str, Any] = {
        "epochs": 2,
        "optimizer": optimizer,
        "learning_rate": 0.03,
        "batch_size": 5,
        "clip_value": 0.1,
    }
    expected, losses, fractions = train_reference(model.state_dict(), x, y, **settings)
    history = Trainer(shuffle=False, **settings).fit(model, x, y)
    assert_close(model.parameters(), expected, FLOAT64_TRAINED)
    assert history.loss == near(losses, FLOAT64_TRAINED)
    assert history.clipped_fraction == near(fractions, FRACTION)


@pytest.mark.kernel
def test_float32_follows_the_float64_reference() -> None:
    sizes = (45, 12, 3, 32, 2)
    model, (x, y) = network(sizes, "float32"), batch(sizes, "float32")
    settings: dict[str, Any] = {
        "epochs": 3,
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "batch_size": 16,
        "clip_value": 0.5,
    }
    expected, losses, _ = train_reference(
        reference.double(model.state_dict()), x.astype(float), y.astype(float), **settings
    )
    history = Trainer(shuffle=False, **settings).fit(model, x, y)
    assert_close(model.parameters(), expected, FLOAT32_TRAINED)
    assert history.loss == near(losses, FLOAT32_TRAINED)


def test_defaults_are_those_of_the_specification() -> None:
    sizes = (70, 5, 2, 9, 1)
    model, other, (x, y) = network(sizes), network(sizes), batch(sizes)
    history = Trainer(seed=3).fit(model, x, y)
    same = Trainer(
        epochs=50,
        batch_size=32,
        learning_rate=1e-2,
        optimizer="sgd",
        clip_value=1.0,
        loss="mse",
        shuffle=True,
        seed=3,
        progress=False,
        threads=None,
    ).fit(other, x, y)
    assert len(history.loss) == 50
    assert history.loss == same.loss
    assert bits(model) == bits(other)


def test_flat_arrays_are_one_feature_and_one_output() -> None:
    sizes = (20, 6, 1, 8, 1)
    model, other, (x, y) = network(sizes), network(sizes), batch(sizes)
    Trainer(epochs=2, seed=0).fit(model, x, y)
    Trainer(epochs=2, seed=0).fit(other, x[:, :, 0], y[:, 0])
    assert bits(model) == bits(other)


# ---- History ----


def test_history_has_one_entry_an_epoch() -> None:
    sizes = (20, 3, 1, 4, 1)
    model, (x, y) = network(sizes), batch(sizes)
    history = Trainer(epochs=5, batch_size=8).fit(model, x, y, validation_data=(x, y))
    assert isinstance(history, History)
    for entries in (
        history.loss,
        history.validation_loss,
        history.seconds,
        history.clipped_fraction,
    ):
        assert isinstance(entries, list)
        assert len(entries) == 5
        assert all(isinstance(entry, float) and math.isfinite(entry) for entry in entries)
    assert min(history.seconds) >= 0.0
    assert all(0.0 <= fraction <= 1.0 for fraction in history.clipped_fraction)
    assert isinstance(history.workspace_bytes, int)
    assert history.workspace_bytes > 0


def test_validation_loss_is_that_of_the_parameters_after_each_epoch() -> None:
    sizes = (20, 3, 2, 7, 2)
    model, (x, y) = network(sizes), batch(sizes)
    other_x, other_y = batch((13, 5, 2, 7, 2), seed=9)
    one = Trainer(epochs=1, batch_size=6, shuffle=False)
    expected = []
    for _ in range(3):  # plain SGD has no state: three fits of one epoch equal one fit of three
        one.fit(model, x, y)
        expected.append(model.loss(other_x, other_y))
    again = network(sizes)
    history = Trainer(epochs=3, batch_size=6, shuffle=False).fit(
        again, x, y, validation_data=(other_x, other_y)
    )
    assert bits(again) == bits(model)
    assert history.validation_loss == near(expected, FLOAT64_TRAINED)


def test_validation_does_not_touch_the_training() -> None:
    sizes = (20, 3, 2, 7, 2)
    model, other, (x, y) = network(sizes), network(sizes), batch(sizes)
    Trainer(epochs=3, seed=1, optimizer="adam").fit(model, x, y)
    Trainer(epochs=3, seed=1, optimizer="adam").fit(other, x, y, validation_data=(x[:5], y[:5]))
    assert bits(model) == bits(other)


def test_every_row_is_trained_on_once_an_epoch() -> None:
    # with tiny steps, the epoch's loss is the loss of all rows. Each row's loss is twice the one
    # before, so a repeated or omitted row would change it
    sizes = (17, 3, 1, 4, 1)
    model, (x, _) = network(sizes), batch(sizes)
    y = model.predict(x) + np.sqrt(2.0 ** np.arange(17))[:, np.newaxis]
    expected = model.loss(x, y)
    history = Trainer(epochs=3, batch_size=4, learning_rate=1e-14, seed=2).fit(model, x, y)
    assert history.loss == near([expected] * 3, HARDLY_A_STEP)


def test_the_workspace_does_not_grow_with_the_data() -> None:
    sizes = (2000, 5, 2, 16, 1)
    x, y = batch(sizes)
    trainer = Trainer(epochs=1, batch_size=32, threads=1)
    small = trainer.fit(network(sizes), x[:200], y[:200]).workspace_bytes
    large = trainer.fit(network(sizes), x, y).workspace_bytes
    assert large - small <= 8 * (2000 - 200)  # the permutation counts too


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_windows_are_never_copied(dtype: str) -> None:
    timesteps, windows = 200, 20_000
    series = np.sin(np.arange(windows + timesteps, dtype=np.float64))
    x = np.lib.stride_tricks.sliding_window_view(series, timesteps)[:windows]
    y = series[timesteps:]
    model = RNN(1, 2, 1, dtype=dtype, seed=0)
    size_of_windows = windows * timesteps * model.dtype.itemsize
    tracemalloc.start()
    try:
        Trainer(epochs=1, batch_size=64, seed=0).fit(model, x, y)
        model.predict(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size_of_windows / 4


# ---- seeds, and fitting again ----


def orders(seed: int, samples: int, epochs: int) -> list[Array]:
    """The order of the samples in each epoch, counted from 0."""
    return [np.random.default_rng([seed, epoch]).permutation(samples) for epoch in range(epochs)]


@pytest.mark.parametrize("batch_size", [1, 8])
def test_the_orders_of_a_seed(batch_size: int) -> None:
    # plain SGD has no state: epochs one by one on sorted samples equal one fit that shuffles
    sizes = (50, 4, 2, 12, 2)
    model, in_order, (x, y) = network(sizes), network(sizes), batch(sizes)
    Trainer(epochs=3, batch_size=batch_size, seed=5).fit(model, x, y)
    for order in orders(5, 50, 3):
        Trainer(epochs=1, batch_size=batch_size, shuffle=False).fit(in_order, x[order], y[order])
    assert bits(model) == bits(in_order)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_seed_gives_the_same_bits(optimizer: str) -> None:
    sizes = (50, 4, 2, 12, 2)
    x, y = batch(sizes)

    def trained(seed: int | None) -> tuple[dict[str, bytes], list[float], list[float]]:
        model = network(sizes)
        history = Trainer(epochs=3, batch_size=8, seed=seed, optimizer=optimizer).fit(model, x, y)
        return bits(model), history.loss, history.clipped_fraction

    assert trained(5) == trained(5)
    assert trained(5) != trained(6)
    assert trained(None) != trained(None)


def test_a_trainer_holds_settings_only() -> None:
    sizes = (50, 4, 2, 12, 2)
    first, second, (x, y) = network(sizes), network(sizes), batch(sizes)
    trainer = Trainer(epochs=2, batch_size=8, seed=5, optimizer="adam")
    trainer.fit(first, x, y)
    trainer.fit(second, x, y)
    assert bits(first) == bits(second)


def test_every_epoch_has_a_new_order() -> None:
    # if each epoch had the first one's order, two epochs of plain SGD would equal one epoch twice
    # from the same seed
    sizes = (50, 4, 2, 12, 2)
    twice, once_again, (x, y) = network(sizes), network(sizes), batch(sizes)
    Trainer(epochs=2, batch_size=1, seed=5).fit(twice, x, y)
    for _ in range(2):
        Trainer(epochs=1, batch_size=1, seed=5).fit(once_again, x, y)
    assert bits(twice) != bits(once_again)


def test_shuffling_changes_the_order_and_nothing_else() -> None:
    sizes = (50, 4, 2, 12, 2)
    shuffled, straight, (x, y) = network(sizes), network(sizes), batch(sizes)
    Trainer(epochs=1, batch_size=1, seed=5).fit(shuffled, x, y)
    Trainer(epochs=1, batch_size=1, seed=5, shuffle=False).fit(straight, x, y)
    assert bits(shuffled) != bits(straight)
    # in one batch of all rows, the order changes only the order of sums
    shuffled, straight = network(sizes), network(sizes)
    Trainer(epochs=1, batch_size=50, seed=5).fit(shuffled, x, y)
    Trainer(epochs=1, batch_size=50, seed=5, shuffle=False).fit(straight, x, y)
    assert_close(shuffled.parameters(), straight.state_dict(), FLOAT64_TRAINED)


def test_a_second_fit_continues_with_a_new_optimiser_state() -> None:
    sizes = (23, 4, 2, 12, 2)
    model, through, (x, y) = network(sizes), network(sizes), batch(sizes)
    settings: dict[str, Any] = {
        "epochs": 1,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "batch_size": 5,
        "clip_value": 1.0,
    }
    expected = model.state_dict()
    trainer = Trainer(shuffle=False, **settings)
    for _ in range(2):
        expected, _, _ = train_reference(expected, x, y, **settings)
        trainer.fit(model, x, y)
    assert_close(model.parameters(), expected, FLOAT64_TRAINED)
    Trainer(shuffle=False, **{**settings, "epochs": 2}).fit(through, x, y)
    assert bits(through) != bits(model)


def test_data_and_global_state_are_left_alone() -> None:
    sizes = (23, 4, 2, 12, 2)
    model, (x, y) = network(sizes), batch(sizes)
    x_before, y_before = x.copy(), y.copy()
    np.random.seed(0)
    expected = np.random.random(3)
    np.random.seed(0)
    with np.errstate(all="raise"):
        errors = np.geterr()
        Trainer(epochs=2).fit(model, x, y)
        assert np.geterr() == errors
    assert (np.random.random(3) == expected).all()
    assert (x == x_before).all()
    assert (y == y_before).all()


# ---- divergence ----


def growing(e0: float) -> tuple[RNN, Array, Array]:
    """A network in which SGD changes only by: h = 0 as x = 0, dWy = h' dy, db ~ Wy = 0.

    by' = by - lr 2 (by - y), so every batch multiplies the error by 1 - 2 lr.
    """
    model = RNN(1, 3, 1, dtype="float64", seed=0)
    state = model.state_dict()
    state["Wy"][:] = 0.0
    model.load_state_dict(state)
    return model, np.zeros((20, 4, 1)), np.full((20, 1), e0)


def test_divergence_names_epoch_and_batch_and_restores_the_last_good_epoch() -> None:
    # the error is -1, 1000, -1000^2, ...; the batches' losses are 10^(6 (j - 1)). The first above
    # 1.8e308 is batch 53, the third batch of the sixth epoch of ten
    settings: dict[str, Any] = {
        "batch_size": 2,
        "learning_rate": 500.5,
        "clip_value": None,
        "shuffle": False,
    }
    model, x, y = growing(1.0)
    with pytest.raises(TrainingDiverged, match=r"epoch 6\b.*batch 3\b") as caught:
        Trainer(epochs=100, **settings).fit(model, x, y)
    assert isinstance(caught.value, RuntimeError)
    assert (caught.value.epoch, caught.value.batch) == (6, 3)
    assert isinstance(caught.value.history, History)
    good, x, y = growing(1.0)
    history = Trainer(epochs=5, **settings).fit(good, x, y)
    assert bits(model) == bits(good)
    assert caught.value.history.loss == history.loss
    assert len(caught.value.history.clipped_fraction) == 5
    assert np.isfinite(model.predict(x)).all()


@UNSCALED
@pytest.mark.parametrize("clip_value", [None, 1.0])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_divergence_in_the_first_epoch_leaves_the_first_parameters(
    optimizer: str, clip_value: float | None
) -> None:
    sizes = (23, 4, 2, 12, 1)
    model, (x, y) = network(sizes), batch(sizes)
    y[13] = 1e200  # finite, and its square is not
    before = bits(model)
    with pytest.raises(TrainingDiverged) as caught:
        Trainer(
            batch_size=5,
            shuffle=False,
            optimizer=optimizer,
            clip_value=clip_value,
        ).fit(model, x, y)
    assert (caught.value.epoch, caught.value.batch) == (1, 3)
    assert caught.value.history.loss == []
    assert bits(model) == before


@pytest.mark.parametrize("clip_value", [None, 1.0])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_clipping_does_not_hide_a_gradient_that_is_not_finite(
    optimizer: str, clip_value: float | None
) -> None:
    # the loss is 100, but dh = dy Wy' = -20 * 1e308 is infinite, and dWh = h' da = 0 * inf is NaN
    model, x, _ = growing(10.0)
    state = model.state_dict()
    state["Wy"][:] = 1e308
    model.load_state_dict(state)
    y = np.full((20, 1), 10.0)
    before = bits(model)
    assert model.loss(x, y) == 100.0
    with pytest.raises(TrainingDiverged) as caught:
        Trainer(batch_size=5, optimizer=optimizer, clip_value=clip_value, seed=0).fit(model, x, y)
    assert (caught.value.epoch, caught.value.batch) == (1, 1)
    assert bits(model) == before


@UNSCALED
def test_parameters_that_overflow_in_the_last_update_are_a_divergence_too() -> None:
    # one batch, a finite loss, finite gradients, and by - 1e300 * 2e10 is infinite
    model, x, _ = growing(0.0)
    before = bits(model)
    with pytest.raises(TrainingDiverged) as caught:
        Trainer(epochs=1, batch_size=20, learning_rate=1e300, clip_value=None).fit(
            model, x, np.full((20, 1), 1e10)
        )
    assert caught.value.epoch == 1
    assert bits(model) == before


def test_float32_diverges_where_float32_ends() -> None:
    model = RNN(1, 8, 1, seed=0)
    x, y = batch((40, 5, 1, 8, 1), "float32")
    with pytest.raises(TrainingDiverged):
        Trainer(epochs=100, learning_rate=1e6, clip_value=None, seed=0).fit(model, x, y)
    assert np.isfinite(model.predict(x)).all()
    assert all(np.isfinite(value).all() for value in model.parameters().values())


def test_ctrl_c_in_the_epoch_that_diverges_leaves_finite_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted(_cell.Training):
        def end_epoch(self) -> Any:
            raise KeyboardInterrupt

    monkeypatch.setattr(_cell, "Training", Interrupted)
    model, x, y = growing(1.0)
    before = bits(model)
    with pytest.raises(KeyboardInterrupt):
        Trainer(epochs=1, batch_size=1, learning_rate=1e300, clip_value=None).fit(model, x, y)
    assert bits(model) == before


# ---- silence ----


def test_nothing_is_printed_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    sizes = (20, 3, 2, 7, 2)
    model, (x, y) = network(sizes), batch(sizes)
    Trainer(epochs=3).fit(model, x, y, validation_data=(x, y))
    model.predict(x)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_progress_without_tqdm_is_plain_lines(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    sizes = (20, 3, 2, 7, 2)
    model, silent, (x, y) = network(sizes), network(sizes), batch(sizes)
    history = Trainer(epochs=3, seed=0, progress=True).fit(model, x, y)
    captured = capfd.readouterr()
    printed = captured.out + captured.err
    assert "\r" not in printed
    assert len(printed.splitlines()) >= 3
    for loss, line in zip(history.loss, printed.splitlines(), strict=True):
        assert f"{loss:.3e}" in line
    Trainer(epochs=3, seed=0).fit(silent, x, y)
    assert bits(model) == bits(silent)


def test_progress_with_tqdm_is_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm", reason="needs the extra crnn[progress]")
    sizes = (20, 3, 2, 7, 2)
    model, silent, (x, y) = network(sizes), network(sizes), batch(sizes)
    Trainer(epochs=3, seed=0, progress=True).fit(model, x, y)
    captured = capfd.readouterr()
    assert "3/3" in captured.out + captured.err
    assert "loss" in captured.out + captured.err
    Trainer(epochs=3, seed=0).fit(silent, x, y)
    assert bits(model) == bits(silent)


# ---- Ctrl-C ----


@pytest.mark.parametrize("threads", [1, 2])
def test_interrupted_training_leaves_the_parameters_after_a_whole_batch(threads: int) -> None:
    children.run(
        f"""
        rng = np.random.default_rng(0)
        timesteps, rows = 50, 128
        series = rng.standard_normal(1_000_000 + timesteps).astype(np.float32)
        x = np.lib.stride_tricks.sliding_window_view(series, timesteps)[:1_000_000]
        y = series[timesteps:]
        model, replayed = crnn.RNN(1, 64, 1, seed=0), crnn.RNN(1, 64, 1, seed=0)
        settings = dict(batch_size=rows, shuffle=False, threads={threads})
        before = bits(model)
        interrupt_when(lambda: bits(model) != before)
        try:
            crnn.Trainer(epochs=1000, **settings).fit(model, x, y)
        except KeyboardInterrupt:
            pass
        else:
            sys.exit("not interrupted")
        assert finite(model)
        reached = bits(model)
        assert reached != before, "no batch was trained"
        # plain SGD has no state besides the parameters: replay batch by batch
        one = crnn.Trainer(epochs=1, **settings)
        for start in range(0, len(y), rows):
            if bits(replayed) == reached:
                break
            one.fit(replayed, x[start : start + rows], y[start : start + rows])
        else:
            sys.exit("no number of whole batches gives these parameters")
        # the model can still train and predict
        one.fit(model, x[:320], y[:320])
        assert finite(model) and bits(model) != reached
        assert np.isfinite(model.predict(x[:100])).all()
        """
    )


def test_a_slow_signal_handler_does_not_split_an_update() -> None:
    # Three shards on two threads: one thread waits for the other half of the time. While it handles
    # the signal, the other one may finish the batch, and then both have to update their parameters.
    children.run(
        """
        rng = np.random.default_rng(0)
        x = rng.standard_normal((96 * 40, 100, 1)).astype(np.float32)
        y = rng.standard_normal((96 * 40, 1)).astype(np.float32)
        trainer = crnn.Trainer(epochs=1, batch_size=96, shuffle=False, threads=2)
        replayed = crnn.RNN(1, 64, 1, seed=0)
        whole = [bits(replayed)]
        for start in range(0, len(y), 96):
            trainer.fit(replayed, x[start : start + 96], y[start : start + 96])
            whole.append(bits(replayed))

        def handler(*_):
            time.sleep(0.02)
            raise KeyboardInterrupt

        for attempt in range(40):
            model = crnn.RNN(1, 64, 1, seed=0)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.021 + 0.0005 * attempt)
            try:
                trainer.fit(model, x, y)
                signal.signal(signal.SIGALRM, signal.SIG_IGN)
            except KeyboardInterrupt:
                pass
            assert bits(model) in whole, f"a part of an update, at attempt {attempt}"
        """
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_answered_inside_a_large_batch(threads: int) -> None:
    # One batch of 160 GFLOP: if the interrupt waited for its end, the parameters would change. The
    # signal comes after the first shard has back-propagated a chunk of timesteps.
    children.run(
        f"""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((1024, 100, 8)).astype(np.float32)
        y = rng.standard_normal((1024, 1)).astype(np.float32)
        model = crnn.RNN(8, 512, 1, seed=0)
        before, made = bits(model), noted("Training")
        trainer = crnn.Trainer(epochs=100, batch_size=1024, threads={threads})
        interrupt_when(lambda: made and made[0][0].gradient["Wh_l0"].any())
        try:
            trainer.fit(model, x, y)
        except KeyboardInterrupt:
            pass
        else:
            sys.exit("not interrupted")
        assert made[0][0].gradient["Wh_l0"].any(), "interrupted before there was any work"
        assert bits(model) == before, "the batch was trained to its end"
        crnn.Trainer(epochs=1, batch_size=4).fit(model, x[:8, :3], y[:8])
        assert finite(model) and bits(model) != before
        """
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_answered_inside_predict(threads: int) -> None:
    # 6.5 TFLOP in all; the interrupt must come before anything is returned
    children.run(
        f"""
        series = np.random.default_rng(0).standard_normal(1_000_050).astype(np.float32)
        x = np.lib.stride_tricks.sliding_window_view(series, 50)
        model = crnn.RNN(1, 256, 1, seed=0)
        before, expected = bits(model), model.predict(x[:10])
        y, outputs = None, outputs_of_predict()
        interrupt_when(lambda: outputs and np.isfinite(outputs[0]).any())
        try:
            y = model.predict(x, threads={threads})
        except KeyboardInterrupt:
            pass
        else:
            sys.exit("not interrupted")
        assert y is None
        assert np.isfinite(outputs[0]).any() and np.isnan(outputs[0]).any()
        assert bits(model) == before
        assert model.predict(x[:10]).tobytes() == expected.tobytes()
        """
    )


def test_ctrl_c_is_answered_while_validating() -> None:
    children.run(
        """
        series = np.random.default_rng(0).standard_normal(1_000_050).astype(np.float32)
        x = np.lib.stride_tricks.sliding_window_view(series, 50)
        y = np.zeros(len(x), dtype=np.float32)
        model, replayed = crnn.RNN(1, 256, 1, seed=0), crnn.RNN(1, 256, 1, seed=0)
        outputs = outputs_of_predict()
        interrupt_when(lambda: outputs and np.isfinite(outputs[0]).any())
        trainer = crnn.Trainer(epochs=1, batch_size=8, shuffle=False)
        try:
            trainer.fit(model, x[:8], y[:8], validation_data=(x, y))
        except KeyboardInterrupt:
            pass
        else:
            sys.exit("not interrupted")
        assert np.isfinite(outputs[0]).any() and np.isnan(outputs[0]).any()
        trainer.fit(replayed, x[:8], y[:8])
        assert bits(model) == bits(replayed)  # the epoch is trained, without its score
        """
    )
