"""TrainingRun, validation, early stopping, metrics and callbacks."""

from __future__ import annotations

import copy
import dataclasses
import signal
import threading
from typing import Any

import children
import numpy as np
import pytest
from networks import bits
from tolerances import AUTOGRAD, near

import crnn
from crnn import RNN, EarlyStopping, Trainer
from crnn.dataset import Sequences

X, Y = crnn.dataset.windows(crnn.dataset.mackey_glass(200, seed=0), 12)


def model(**settings: Any) -> RNN:
    return RNN(1, 8, 1, seed=0, **settings)


def trainer(**settings: Any) -> Trainer:
    return Trainer(**{"epochs": 6, "learning_rate": 0.05, "seed": 3, **settings})


# ---- the run ----


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_loop_of_epochs_is_a_fit(optimizer: str) -> None:
    fitted, looped = model(), model()
    history = trainer(optimizer=optimizer).fit(fitted, X, Y)
    run = trainer(optimizer=optimizer).start(looped, X, Y)
    for _ in range(6):
        run.epoch()
    assert bits(fitted) == bits(looped)
    assert run.history.loss == history.loss
    assert run.seed == 3


def test_a_seed_that_is_drawn_is_kept() -> None:
    first = RNN(1, 8, 1)
    again = RNN(1, 8, 1, seed=first.seed)
    assert bits(first) == bits(again)
    run = trainer(seed=None).start(first, X, Y)
    run.epoch()
    other = trainer(seed=run.seed).start(again, X, Y)
    other.epoch()
    assert bits(first) == bits(again)
    assert run.seed != trainer(seed=None).start(first, X, Y).seed


def test_a_run_has_the_settings_of_its_start() -> None:
    changed, plain = trainer(), model()
    run = changed.start(plain, X, Y)
    changed.learning_rate = 0.0001
    changed.batch_size = 1
    run.epoch()
    expected = model()
    trainer(epochs=1).fit(expected, X, Y)
    assert bits(plain) == bits(expected)


def test_a_stop_ends_the_epoch_after_its_batch() -> None:
    # another thread stops this epoch of 200 000 updates after the first
    x, y = np.tile(X, (1064, 1, 1)), np.tile(Y, (1064, 1))
    plain, whole = RNN(1, 4, 1, seed=0), RNN(1, 4, 1, seed=0)
    trainer(batch_size=1).start(whole, x, y).epoch()
    run = trainer(batch_size=1).start(plain, x, y)
    before = bits(plain)

    def stop() -> None:
        while bits(plain) == before:
            pass
        run.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    run.epoch()
    thread.join()
    assert run.stopped
    after = bits(plain)
    assert after != before  # the updates are kept
    assert after != bits(whole)
    assert len(run.history.loss) == 1  # the trained part is recorded
    run.epoch()
    assert bits(plain) == after
    assert len(run.history.loss) == 1


@pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="this system cannot signal a thread"
)
def test_ctrl_c_in_the_main_thread_can_stop_the_runs_of_a_pool() -> None:
    # as on the page on many networks
    children.run(
        """
from concurrent.futures import ThreadPoolExecutor, wait
x, y = crnn.dataset.windows(crnn.dataset.mackey_glass(200, seed=0), 12)
x, y = np.tile(x, (500, 1, 1)), np.tile(y, (500, 1))
trainer = crnn.Trainer(batch_size=1, seed=0, threads=1)
runs = [trainer.start(crnn.RNN(1, 4, 1, seed=seed), x, y) for seed in range(3)]
before = [bits(run.model) for run in runs]

def epochs(run):
    while not run.stopped:
        run.epoch()

def interrupt():  # only a signal to the main thread itself wakes it up
    while bits(runs[0].model) == before[0]:
        time.sleep(1e-3)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
with ThreadPoolExecutor(2) as pool:
    try:
        wait([pool.submit(epochs, run) for run in runs])
    except KeyboardInterrupt:
        for run in runs:
            run.stop()
    else:
        raise AssertionError("not interrupted")
assert all(run.stopped for run in runs)
assert bits(runs[0].model) != before[0]
assert finite(runs[0].model)
"""
    )


def test_a_callback_that_returns_true_stops() -> None:
    seen = []

    def stop(epoch: int, network: RNN, history: crnn.History) -> bool:
        seen.append((epoch, len(history.loss), bits(network)))
        return epoch == 3

    plain, expected = model(), model()
    history = trainer().fit(plain, X, Y, callbacks=[stop])
    trainer(epochs=3).fit(expected, X, Y)
    assert len(history.loss) == 3
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
    assert seen[-1][2] == bits(plain) == bits(expected)


def test_ctrl_c_carries_the_history() -> None:
    def interrupt(epoch: int, network: RNN, history: crnn.History) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        trainer().fit(model(), X, Y, callbacks=[interrupt])
    assert len(caught.value.history.loss) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("begin", ["fit", "start"])
def test_ctrl_c_within_an_epoch_carries_the_history(begin: str) -> None:
    children.run(
        f"""
x, y = crnn.dataset.windows(crnn.dataset.mackey_glass(200, seed=0), 12)
x, y = np.tile(x, (500, 1, 1)), np.tile(y, (500, 1))
model = crnn.RNN(1, 4, 1, seed=0)
trainer = crnn.Trainer(10**6, batch_size=1, seed=0)
before = bits(model)
run = trainer.start(model, x, y)
try:
    if {begin!r} == "fit":
        interrupt_when(lambda: bits(model) != before)
        trainer.fit(model, x, y)
    else:
        run.epoch()
        before = bits(model)
        interrupt_when(lambda: bits(model) != before)
        while True:
            run.epoch()
except KeyboardInterrupt as error:
    assert isinstance(error.history, crnn.History)
    if {begin!r} == "start":
        assert error.history is run.history
        assert len(run.history.loss) >= 1
else:
    raise AssertionError("not interrupted")
"""
    )


@pytest.mark.parametrize("seed", [None, 3])
def test_the_history_of_a_fit_has_its_seed(seed: int | None) -> None:
    first, again = model(), model()
    history = trainer(seed=seed).fit(first, X, Y)
    other = trainer(seed=history.seed).fit(again, X, Y)
    assert bits(first) == bits(again)
    assert history == dataclasses.replace(other, seconds=history.seconds)
    assert seed in (None, history.seed)


def test_epochs_may_be_given_by_position() -> None:
    assert Trainer(7).epochs == 7
    assert Trainer(7) == Trainer(epochs=7)


# ---- validation ----


def test_the_last_part_is_held_out() -> None:
    count = len(X)
    held = int(count * 0.25 + 0.5)
    plain, expected = model(), model()
    history = trainer().fit(plain, X, Y, validation=0.25, gap=11)
    cut = count - held
    other = trainer().fit(
        expected, X[: cut - 11], Y[: cut - 11], validation_data=(X[cut:], Y[cut:])
    )
    assert bits(plain) == bits(expected)
    assert history.validation_loss == other.validation_loss


def test_indices_choose_what_is_held_out() -> None:
    random = np.random.default_rng(0).permutation(len(X))
    train, held = random[:120], random[120:]
    plain, expected = model(), model()
    history = trainer().fit(plain, X, Y, validation=(train, held))
    other = trainer().fit(expected, X[train], Y[train], validation_data=(X[held], Y[held]))
    assert bits(plain) == bits(expected)
    assert history.validation_loss == other.validation_loss


@pytest.mark.parametrize("form", ["indices", "fraction"])
def test_sequences_can_be_held_out(form: str) -> None:
    random = np.random.default_rng(0)
    arrays = [random.normal(size=(n, 2)) for n in random.integers(3, 12, 20)]
    x, y = Sequences.from_list(arrays), random.normal(size=20)
    indices = (np.arange(15), np.arange(15, 20))
    plain, expected = RNN(2, 8, 1, seed=0), RNN(2, 8, 1, seed=0)
    history = trainer().fit(plain, x, y, validation=indices if form == "indices" else 0.25)
    other = trainer().fit(expected, x[:15], y[:15], validation_data=(x[15:], y[15:]))
    assert bits(plain) == bits(expected)
    assert history.validation_loss == other.validation_loss


def test_weights_are_scaled_over_what_is_trained_on() -> None:
    weight = np.random.default_rng(0).uniform(0.1, 3, len(X))
    plain, expected = model(), model()
    trainer().fit(plain, X, Y, sample_weight=weight, validation=0.2)
    cut = len(X) - int(len(X) * 0.2 + 0.5)
    trainer().fit(expected, X[:cut], Y[:cut], sample_weight=weight[:cut])
    assert bits(plain) == bits(expected)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"validation": 1.0}, ValueError, "validation"),
        ({"validation": "last"}, TypeError, "validation"),
        ({"validation": 0.9, "gap": 100}, ValueError, "gap"),
        ({"validation": 0.5, "gap": len(X) // 2}, ValueError, "must leave samples to train on"),
        ({"validation": 0.2, "gap": -1}, ValueError, "gap"),
        ({"validation": ([0, 1], [2, 500])}, ValueError, r"validation\[1\]"),
        ({"validation": ([0, 1], [-1])}, ValueError, r"validation\[1\]"),
        ({"validation": ([0, 1],)}, ValueError, "pair"),
        ({"validation": ([0, 1], [2]), "gap": 1}, ValueError, "gap"),
        ({"validation": 0.2, "validation_data": (X, Y)}, ValueError, "validation"),
        ({"early_stopping": EarlyStopping()}, ValueError, "early_stopping"),
        ({"early_stopping": 3, "validation": 0.2}, TypeError, "early_stopping"),
        (
            {"early_stopping": EarlyStopping(refit=True), "validation_data": (X, Y)},
            ValueError,
            "refit",
        ),
        ({"metrics": {"mae": 1}}, TypeError, "metrics"),
        ({"callbacks": [None]}, TypeError, "callbacks"),
        ({"checkpoint": 5}, TypeError, "checkpoint"),
        ({"checkpoint": "/no such folder/file"}, ValueError, "checkpoint"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every"),
    ],
)
def test_what_fit_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    plain = model()
    before = bits(plain)
    with pytest.raises(error, match=message):
        trainer().fit(plain, X, Y, **arguments)
    assert bits(plain) == before


@pytest.mark.parametrize("given", [{"patience": 0}, {"min_delta": -1.0}, {"min_delta": np.nan}])
def test_what_early_stopping_refuses(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        EarlyStopping(**given)


# ---- early stopping ----


def best_by_hand(epochs: int = 30) -> tuple[int, list[float], list[dict[str, bytes]]]:
    """The best epoch of a training that overfits, its losses, and the bits of each epoch."""
    states: list[dict[str, bytes]] = []
    history = overfitting(epochs).fit(
        *noisy(), validation=0.4, callbacks=[lambda e, network, h: states.append(bits(network))]
    )
    losses = history.validation_loss
    return int(np.argmin(losses)) + 1, losses, states


def overfitting(epochs: int) -> Trainer:
    return Trainer(epochs=epochs, batch_size=4, learning_rate=0.02, optimizer="adam", seed=1)


def noisy() -> tuple[RNN, np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return RNN(1, 32, 1, seed=2), random.normal(size=(40, 6)), random.normal(size=40)


def test_the_parameters_of_the_best_epoch_are_restored() -> None:
    best, losses, states = best_by_hand()
    assert 1 < best < 25  # it overfits after that
    network, x, y = noisy()
    history = overfitting(30).fit(
        network, x, y, validation=0.4, early_stopping=EarlyStopping(patience=4)
    )
    assert history.best_epoch == best
    assert len(history.loss) == best + 4
    assert history.validation_loss == losses[: best + 4]
    assert bits(network) == states[best - 1]


def test_the_best_are_restored_where_a_callback_stops() -> None:
    best, _, states = best_by_hand()
    network, x, y = noisy()
    overfitting(30).fit(
        network,
        x,
        y,
        validation=0.4,
        early_stopping=EarlyStopping(patience=20),
        callbacks=[lambda epoch, *_: epoch == best + 2],
    )
    assert bits(network) == states[best - 1]


def test_a_refit_is_a_fit_of_the_best_number_of_epochs_on_everything() -> None:
    best, _, _ = best_by_hand()
    network, x, y = noisy()
    history = overfitting(30).fit(
        network, x, y, validation=0.4, early_stopping=EarlyStopping(patience=4, refit=True)
    )
    expected, _, _ = noisy()
    plain = overfitting(best).fit(expected, x, y)
    assert bits(network) == bits(expected)
    assert history.refit_loss == plain.loss
    assert len(history.loss) == best + 4


def test_a_refit_has_the_recorded_rates() -> None:
    """A plateau's rates depend on validation losses, which a refit lacks."""
    schedule = crnn.schedules.ReduceOnPlateau(0.01, 0.7, patience=0)

    def trainer_at(rate: Any, epochs: int) -> Trainer:
        return dataclasses.replace(overfitting(epochs), learning_rate=rate)

    network, x, y = noisy()
    history = trainer_at(schedule, 20).fit(
        network, x, y, validation=0.4, early_stopping=EarlyStopping(patience=4, refit=True)
    )
    best, rates = history.best_epoch, history.learning_rate
    assert best is not None
    # not the first rate, and not a lower one every epoch, as of losses that are all the same
    assert len(set(rates[:best])) > 2
    assert rates[best - 1] == rates[best - 2]
    expected, _, _ = noisy()
    plain = trainer_at(lambda epoch: rates[epoch], best).fit(expected, x, y)
    assert bits(network) == bits(expected)
    assert history.refit_loss == plain.loss


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "expected"),
    [
        ([3, 2, 1], 2, 0, (3, False)),
        ([3, 2, 2], 2, 0, (2, False)),
        ([3, 2, 2, 2], 2, 0, (2, True)),
        ([3, 2.95, 2.9, 2.85], 3, 0.2, (1, True)),
        ([3, np.nan, 2], 2, 0, (3, False)),
        ([np.nan, np.nan], 2, 0, (0, True)),
        ([], 1, 0, (0, False)),
    ],
)
def test_when_to_stop(
    losses: list[float], patience: int, min_delta: float, expected: tuple[int, bool]
) -> None:
    assert EarlyStopping(patience=patience, min_delta=min_delta).best(losses) == expected


# ---- metrics ----


def test_metrics_see_the_held_out_data() -> None:
    seen = []

    def error(y: np.ndarray, predicted: np.ndarray) -> float:
        seen.append((y, predicted))
        return float(np.abs(y - predicted).mean())

    plain = model()
    history = trainer(epochs=2).fit(plain, X, Y, validation=0.2, metrics={"mae": error})
    cut = len(X) - int(len(X) * 0.2 + 0.5)
    predicted = plain.predict(X[cut:])
    assert np.array_equal(seen[-1][0], Y[cut:].astype(np.float32).ravel())
    assert np.array_equal(seen[-1][1], predicted.ravel())
    assert history.metrics["mae"][-1] == error(*seen[-1])
    assert len(history.metrics["mae"]) == 2


def test_metrics_get_the_valid_elements_only() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(9, 5, 2)), random.normal(size=(9, 5, 3))
    y[random.random(y.shape) < 0.3] = np.nan
    lengths = random.integers(1, 6, 9)
    behind = np.arange(5) >= lengths[:, None]
    counts = []
    trainer(epochs=1).fit(
        RNN(2, 4, 3, output="all", seed=0),
        x,
        y,
        lengths=lengths,
        missing="ignore",
        metrics={"count": lambda y, predicted: counts.append((len(y), len(predicted))) or 0.0},
    )
    there = int((~np.isnan(y) & ~behind[..., None]).sum())
    assert counts == [(there, there)]


def test_metrics_of_classes_get_classes_and_logits() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 5, 2)), random.integers(0, 3, 30)
    seen = []
    trainer(epochs=1, loss="cross_entropy").fit(
        RNN(2, 4, 3, seed=0),
        x,
        y,
        metrics={"accuracy": lambda y, logits: seen.append((y, logits.shape)) or 0.0},
    )
    assert np.array_equal(seen[0][0], y)
    assert seen[0][1] == (30, 3)


def test_a_trainer_is_plain_values() -> None:
    one = trainer()
    assert copy.deepcopy(one) == one
    one.fit(model(), X, Y)
    assert one == trainer()


# ---- gradients from elsewhere ----


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"clip_norm": 0.01}])
def test_an_update_is_a_batch_of_fit(settings: dict[str, Any]) -> None:
    fitted, updated = model(dtype="float64"), model(dtype="float64")
    config = trainer(batch_size=len(X), shuffle=False, **settings)
    config.fit(fitted, X, Y)
    run = config.start(updated, X, Y)
    for _ in range(6):
        run.update(updated.gradients(X, Y)[1])
    assert bits(fitted) == bits(updated)


def test_an_update_of_a_batch_of_one() -> None:
    plain = model(dtype="float64")
    _, gradients = plain.gradients(X, Y)
    before = plain.state_dict()
    trainer(batch_size=1, clip_value=None).start(plain, X, Y).update(gradients)
    for name, array in plain.state_dict().items():
        expected = before[name] - 0.05 * gradients[name]
        assert array.ravel().tolist() == near(expected.ravel().tolist(), AUTOGRAD)


def test_an_update_has_the_rate_of_the_current_epoch() -> None:
    plain = model(dtype="float64")
    run = trainer(clip_value=None, learning_rate=[0.05, 0.02].__getitem__).start(plain, X, Y)
    run.epoch()
    _, gradients = plain.gradients(X, Y)
    before = plain.state_dict()
    run.update(gradients)
    for name, array in plain.state_dict().items():
        expected = before[name] - 0.02 * gradients[name]
        assert array.ravel().tolist() == near(expected.ravel().tolist(), AUTOGRAD)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda g: 3, TypeError),
        (lambda g: {**g, "Wx_l0": np.zeros((2, 2))}, ValueError),
        (lambda g: {**g, "Wx_l0": np.full((1, 8), np.nan)}, ValueError),
        (lambda g: {**g, "other": np.zeros(1)}, ValueError),
        (lambda g: {k: v for k, v in g.items() if k != "by"}, ValueError),
    ],
)
def test_what_an_update_refuses(change: Any, error: type[Exception]) -> None:
    plain = model()
    run = trainer().start(plain, X, Y)
    _, gradients = plain.gradients(X, Y)
    before = bits(plain)
    with pytest.raises(error, match="gradients"):
        run.update(change(gradients))
    assert bits(plain) == before


NETWORKS: dict[str, tuple[RNN, Any, Any, dict[str, Any]]] = {
    "plain": (RNN(1, 8, 1, seed=0), X, Y, {}),
    "tokens": (
        RNN(7, 8, 3, tokens=True, output="all", bidirectional=True, seed=0),
        np.random.default_rng(0).integers(0, 7, (30, 9)),
        np.random.default_rng(1).integers(0, 3, (30, 9)),
        {"loss": "cross_entropy", "lengths": np.random.default_rng(2).integers(1, 10, 30)},
    ),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_memory_that_is_used_again_changes_no_bit(network: str) -> None:
    plain, x, y, arguments = NETWORKS[network]
    loss, out = plain.gradients(x, y, **arguments)
    first = {name: array.copy() for name, array in out.items()}
    lengths = arguments.get("lengths")
    other = {**arguments, "lengths": lengths[::-1].copy()} if lengths is not None else arguments
    arrays = dict(out)
    for data, options in (((x[::-1], y[::-1]), other), ((x, y), arguments), ((x[:5], y[:5]), {})):
        options = dict(options)
        if len(data[0]) == 5:
            options = {k: v[:5] if k == "lengths" else v for k, v in arguments.items()}
        expected_loss, expected = plain.gradients(*data, **options)
        again_loss, again = plain.gradients(*data, **options, out=out)
        assert again is out
        assert again_loss == expected_loss
        for name, array in expected.items():
            assert again[name] is arrays[name]
            assert np.array_equal(again[name], array)
    again_loss, again = plain.gradients(x, y, **arguments, out=out)
    assert again_loss == loss
    for name, array in first.items():
        assert np.array_equal(again[name], array)


def test_out_is_what_gradients_returned() -> None:
    plain = model()
    with pytest.raises(TypeError, match="out"):
        plain.gradients(X, Y, out={})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "schedule",
    [
        crnn.schedules.Warmup(2.5, then=0.05),
        crnn.schedules.Exponential(0.05, 0.8),
        crnn.schedules.ReduceOnPlateau(0.5, factor=0.5, patience=0),
    ],
)
def test_a_loop_of_epochs_follows_the_schedule(schedule: Any) -> None:
    fitted, looped = model(), model()
    history = trainer(learning_rate=schedule).fit(fitted, X, Y)
    run = trainer(learning_rate=schedule).start(looped, X, Y)
    for _ in range(6):
        run.epoch()
    assert run.history.learning_rate == history.learning_rate
    assert len(set(history.learning_rate)) > 1
    assert bits(fitted) == bits(looped)
