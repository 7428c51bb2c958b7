"""Learning-rate schedules: against PyTorch's, in a training, and bad rates."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
from networks import bits, network
from samples import batch
from tolerances import LEARNING_RATE, near

from crnn import Trainer, schedules
from crnn.optimizers import SGD
from crnn.schedules import Cosine, Exponential, ReduceOnPlateau, Schedule, Step, Warmup

# A loss that falls, rises, stays, is NaN, and falls by less than the threshold.
LOSSES = [
    5.0,
    4.0,
    4.5,
    4.2,
    4.0,
    3.9999,
    3.9,
    math.nan,
    3.8,
    math.inf,
    *[3.79999] * 9,
    1.0,
    *[1.0] * 8,
]


def inverse(epoch: int) -> float:
    """A learning-rate function of a user."""
    return 0.1 / (epoch + 1)


SCHEDULES: list[Schedule] = [
    Step(0.1, every=3),
    Exponential(0.1, 0.7),
    Cosine(0.1, epochs=6, final=0.01),
    Warmup(2, then=0.1),
    Warmup(1.5, then=Cosine(0.1, 5), start_factor=0.01),
    Warmup(0.5, then=inverse),
    Warmup(2, then=ReduceOnPlateau(0.1, patience=1)),
    ReduceOnPlateau(0.1, patience=2),
]


def all_rates(schedule: Schedule, epochs: int, updates: int = 1) -> list[float]:
    """The rates of all updates of all epochs."""
    return np.concatenate(
        [np.broadcast_to(schedule.rates(epoch, updates), updates) for epoch in range(epochs)]
    ).tolist()


# ---- against PyTorch ----


@pytest.mark.parametrize(
    ("ours", "theirs", "settings", "epochs"),
    [
        (Step(0.3, every=4), "StepLR", {"step_size": 4}, 13),
        (Step(0.3, 1, 0.5), "StepLR", {"step_size": 1, "gamma": 0.5}, 13),
        (Exponential(0.3, 0.9), "ExponentialLR", {"gamma": 0.9}, 13),
        (Exponential(0.3, 1.5), "ExponentialLR", {"gamma": 1.5}, 13),
        # up to its end; after it, PyTorch's rises again
        (Cosine(0.3, 12), "CosineAnnealingLR", {"T_max": 12}, 12),
        (Cosine(0.3, 7, 0.01), "CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}, 8),
    ],
    ids=repr,
)
def test_rates_are_those_of_pytorch(
    ours: Schedule, theirs: str, settings: dict[str, Any], epochs: int
) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = getattr(torch.optim.lr_scheduler, theirs)(optimizer, **settings)
    expected = []
    for _ in range(epochs):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert all_rates(ours, epochs) == near(expected, LEARNING_RATE)


@pytest.mark.parametrize("start_factor", [1 / 3, 0.01, 1.0])
def test_warm_up_is_that_of_pytorch(start_factor: float) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    updates, epochs = 4, 6
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    rising = torch.optim.lr_scheduler.LinearLR(
        optimizer, start_factor=start_factor, total_iters=2 * updates
    )
    falling = torch.optim.lr_scheduler.StepLR(optimizer, step_size=updates, gamma=0.5)
    scheduler = torch.optim.lr_scheduler.SequentialLR(
        optimizer, [rising, falling], milestones=[2 * updates]
    )
    expected = []
    for _ in range(updates * epochs):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    ours = Warmup(2, then=Step(0.3, every=1, factor=0.5), start_factor=start_factor)
    assert all_rates(ours, epochs, updates) == near(expected, LEARNING_RATE)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"patience": 0},
        {"patience": 2, "factor": 0.5},
        {"patience": 1, "threshold": 0.1},
        {"patience": 1, "threshold": 0.0, "min_rate": 0.02},
    ],
    ids=str,
)
def test_plateaus_are_those_of_pytorch(settings: dict[str, Any]) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = {("min_lr" if name == "min_rate" else name): v for name, v in settings.items()}
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, **theirs)
    schedule = ReduceOnPlateau(0.3, **settings)
    state = schedule.start()
    expected, rates = [], []
    for epoch, loss in enumerate(LOSSES):
        expected.append(optimizer.param_groups[0]["lr"])
        rates.append(schedule.rates(epoch, 3, state))
        scheduler.step(loss)
        state = json.loads(json.dumps(schedule.after(epoch, loss, state)))
    assert rates == near(expected, LEARNING_RATE)
    if settings:
        assert len(set(rates)) > 2  # otherwise the case proves nothing


# ---- differences from PyTorch ----


def test_the_cosine_stays_at_its_end() -> None:
    assert all_rates(Cosine(0.3, 3, 0.02), 6)[3:] == [0.02] * 3
    assert Cosine(0.3, 3).at(1e6) == 0.0


def test_rates_are_the_same_in_all_updates_of_an_epoch() -> None:
    for schedule in (Step(0.1, 3), Exponential(0.1, 0.7), Cosine(0.1, 6), ReduceOnPlateau(0.1)):
        for epoch in range(5):
            assert schedule.rates(epoch, 9) == schedule.at(epoch) == schedule.at(epoch + 0.9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_rates_are_those_at_the_times_of_the_updates(schedule: Schedule) -> None:
    for updates in (1, 4, 7):
        expected = [schedule.at(e + k / updates) for e in range(9) for k in range(updates)]
        assert all_rates(schedule, 9, updates) == expected


def test_a_warm_up_may_last_a_part_of_an_epoch() -> None:
    schedule = Warmup(0.5, then=Step(0.8, every=2, factor=0.5), start_factor=0.25)
    assert all_rates(schedule, 3, 4) == near([0.2, 0.5, *[0.8] * 6, *[0.4] * 4], LEARNING_RATE)
    # `then` counts from the epoch in which the warm-up ends
    schedule = Warmup(1.5, then=Step(0.8, every=1, factor=0.5), start_factor=0.25)
    assert all_rates(schedule, 4, 2) == near(
        [0.2, 0.4, 0.6, 0.8, 0.4, 0.4, 0.2, 0.2], LEARNING_RATE
    )


def test_a_plateau_watches_after_the_warm_up_only() -> None:
    plateau = ReduceOnPlateau(0.5, patience=0)
    schedule = Warmup(2, then=plateau)
    state = schedule.start()
    assert state == plateau.start()
    for epoch, loss in enumerate([9.0, 9.0, 9.0]):
        state = schedule.after(epoch, loss, state)
        assert schedule.at(epoch + 1, state) == (0.5 if epoch else near(0.5 * 2 / 3, LEARNING_RATE))
    assert schedule.at(4, schedule.after(3, 9.0, state)) == 0.05


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_state_is_new_and_can_be_written(schedule: Schedule) -> None:
    state = schedule.start()
    for epoch, loss in enumerate(LOSSES):
        before = dict(state)
        after = schedule.after(epoch, loss, state)
        assert state == before
        assert json.loads(json.dumps(after)) == after
        state = after


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_settings_tell_schedules_apart(schedule: Schedule) -> None:
    settings = schedule.settings()
    assert json.loads(json.dumps(settings)) == settings
    others = [other.settings() for other in SCHEDULES if other != schedule]
    assert len(others) == len(SCHEDULES) - 1
    assert settings not in others


def test_numbers_and_functions_are_schedules() -> None:
    assert all_rates(schedules.named("learning_rate", 0.25), 3, 2) == [0.25] * 6
    assert all_rates(schedules.named("learning_rate", inverse), 3) == [0.1, 0.05, 0.1 / 3]
    assert schedules.named("learning_rate", inverse).settings() == {
        "name": "function",
        "function": f"{__name__}.inverse",
    }
    step = Step(0.1, 2)
    assert schedules.named("learning_rate", step) is step


# ---- arguments ----

NOT_POSITIVE = [
    (0.0, ValueError),
    (-0.1, ValueError),
    (math.nan, ValueError),
    (math.inf, ValueError),
    ("0.1", TypeError),
    (True, TypeError),
    (None, TypeError),
]
NOT_A_COUNT = [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
GOOD: dict[type[Schedule], dict[str, Any]] = {
    Step: {"rate": 0.1, "every": 2},
    Exponential: {"rate": 0.1, "factor": 0.5},
    Cosine: {"rate": 0.1, "epochs": 3},
    Warmup: {"epochs": 2, "then": 0.1},
    ReduceOnPlateau: {"rate": 0.1},
}
BAD: dict[tuple[type[Schedule], str], list[tuple[Any, Any]]] = {
    (Step, "rate"): NOT_POSITIVE,
    (Step, "every"): NOT_A_COUNT,
    (Step, "factor"): NOT_POSITIVE,
    (Exponential, "rate"): NOT_POSITIVE,
    (Exponential, "factor"): NOT_POSITIVE,
    (Cosine, "rate"): NOT_POSITIVE,
    (Cosine, "epochs"): NOT_A_COUNT,
    (Cosine, "final"): NOT_POSITIVE[1:],
    (Warmup, "epochs"): NOT_POSITIVE,
    (Warmup, "then"): [*NOT_POSITIVE, (Cosine, TypeError), (Schedule(), TypeError)],
    (Warmup, "start_factor"): [*NOT_POSITIVE, (1.1, ValueError)],
    (ReduceOnPlateau, "rate"): NOT_POSITIVE,
    (ReduceOnPlateau, "factor"): [*NOT_POSITIVE, (1.0, ValueError)],
    (ReduceOnPlateau, "patience"): NOT_A_COUNT[1:],
    (ReduceOnPlateau, "threshold"): [*NOT_POSITIVE[1:], (1.0, ValueError)],
    (ReduceOnPlateau, "min_rate"): [*NOT_POSITIVE[1:], (0.2, ValueError)],
}


@pytest.mark.parametrize(
    ("kind", "name", "value", "error"),
    [
        pytest.param(kind, name, value, error, id=f"{kind.__name__}-{name}={value!r}")
        for (kind, name), values in BAD.items()
        for value, error in values
    ],
)
def test_bad_arguments_are_named(
    kind: type[Schedule], name: str, value: object, error: Any
) -> None:
    kind(**GOOD[kind])
    with pytest.raises(error, match=rf"\b{name}\b"):
        kind(**{**GOOD[kind], name: value})


@pytest.mark.parametrize("value", [None, "cosine", Cosine, Schedule(), [0.1], True, 1j], ids=repr)
def test_what_is_not_a_learning_rate_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match=r"\blearning_rate\b"):
        Trainer(learning_rate=value)


# ---- in a training ----

SIZES = (23, 4, 2, 9, 1)


@pytest.mark.kernel
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(
    "learning_rate", [Step(0.1, 2), Exponential(0.1, 0.5), Cosine(0.1, 3), inverse], ids=repr
)
def test_an_epoch_with_a_schedule_is_one_with_its_rate(learning_rate: Any, batch_size: int) -> None:
    # plain SGD has no state, so epochs one by one equal one fit
    model, again, (x, y) = network(SIZES), network(SIZES), batch(SIZES)
    settings: dict[str, Any] = {"batch_size": batch_size, "shuffle": False}
    history = Trainer(epochs=5, learning_rate=learning_rate, **settings).fit(model, x, y)
    schedule = schedules.named("learning_rate", learning_rate)
    rates = [schedule.at(epoch) for epoch in range(5)]
    assert history.learning_rate == rates
    for rate in rates:
        if rate > 0:
            Trainer(epochs=1, learning_rate=rate, **settings).fit(again, x, y)
    assert bits(model) == bits(again)


@pytest.mark.kernel
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.0, weight_decay=1e-3)])
def test_a_warm_up_gives_every_update_its_rate(
    optimizer: SGD, batch_size: int, threads: int
) -> None:
    model, again, (x, y) = network(SIZES), network(SIZES), batch(SIZES)
    settings: dict[str, Any] = {
        "batch_size": batch_size,
        "shuffle": False,
        "optimizer": optimizer,
        "threads": threads,
    }
    schedule = Warmup(1.5, then=0.1, start_factor=0.01)
    history = Trainer(epochs=3, learning_rate=schedule, **settings).fit(model, x, y)
    updates = -(-len(x) // batch_size)
    rates = all_rates(schedule, 3, updates)
    assert history.learning_rate == rates[updates - 1 :: updates]
    assert len(set(rates)) > updates
    for update, rate in enumerate(rates):
        rows = slice(update % updates * batch_size, (update % updates + 1) * batch_size)
        Trainer(epochs=1, learning_rate=rate, **settings).fit(again, x[rows], y[rows])
    assert bits(model) == bits(again)


@pytest.mark.parametrize("validated", [False, True])
def test_a_plateau_watches_the_validation_loss_or_the_training_loss(validated: bool) -> None:
    model, (x, y) = network(SIZES), batch(SIZES)
    data = {"validation_data": batch((11, 4, 2, 9, 1), seed=5)} if validated else {}
    schedule = ReduceOnPlateau(0.05, factor=0.5, patience=0, threshold=0.05)
    history = Trainer(epochs=12, learning_rate=schedule, shuffle=False).fit(model, x, y, **data)
    state, expected = schedule.start(), []
    for epoch, loss in enumerate(history.validation_loss if validated else history.loss):
        expected.append(schedule.at(epoch, state))
        state = schedule.after(epoch, loss, state)
    assert history.learning_rate == expected
    assert len(set(expected)) > 2  # otherwise the case proves nothing


def test_a_second_fit_starts_the_schedule_again() -> None:
    model, (x, y) = network(SIZES), batch(SIZES)
    trainer = Trainer(epochs=4, learning_rate=ReduceOnPlateau(0.1, patience=0, threshold=0.9))
    assert trainer.fit(model, x, y).learning_rate == trainer.fit(model, x, y).learning_rate


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rate_of_zero_changes_no_parameter(optimizer: str) -> None:
    model, (x, y) = network(SIZES), batch(SIZES)
    before = bits(model)
    history = Trainer(epochs=2, learning_rate=lambda epoch: 0, optimizer=optimizer).fit(model, x, y)
    assert bits(model) == before
    assert history.learning_rate == [0.0, 0.0]


@pytest.mark.parametrize(
    ("rate", "error"),
    [
        (-1e-9, ValueError),
        (math.nan, ValueError),
        (math.inf, ValueError),
        ("0.1", TypeError),
        (None, TypeError),
        (True, TypeError),
    ],
    ids=repr,
)
def test_a_bad_rate_names_the_epoch(rate: Any, error: Any) -> None:
    model, good, (x, y) = network(SIZES), network(SIZES), batch(SIZES)
    message = re.escape("the learning rate of epoch 2 (counted from 0) must be")
    with pytest.raises(error, match=message):
        Trainer(learning_rate=lambda epoch: rate if epoch == 2 else 0.1, shuffle=False).fit(
            model, x, y
        )
    Trainer(epochs=2, learning_rate=0.1, shuffle=False).fit(good, x, y)
    assert bits(model) == bits(good)
    growing = Exponential(0.1, 1e200)
    with pytest.raises(ValueError, match=message):
        growing.rates(2, 1)


def test_rates_may_be_numpys() -> None:
    model, again, (x, y) = network(SIZES), network(SIZES), batch(SIZES)
    rates = np.array([0.1, 0.05])
    Trainer(epochs=2, learning_rate=lambda epoch: rates[epoch], seed=0).fit(model, x, y)
    Trainer(epochs=2, learning_rate=Step(0.1, 1, 0.5), seed=0).fit(again, x, y)
    assert bits(model) == bits(again)


def test_trainers_with_schedules_can_be_compared() -> None:
    assert Trainer(learning_rate=Cosine(0.1, 3)) == Trainer(learning_rate=Cosine(0.1, 3))
    assert Trainer(learning_rate=Cosine(0.1, 3)) != Trainer(learning_rate=Cosine(0.1, 4))
    assert Trainer(learning_rate=1).learning_rate == 1.0
    assert "learning_rate=Step(rate=0.1, every=2, factor=0.1)" in repr(
        Trainer(learning_rate=Step(0.1, 2))
    )
