"""Optimisers and clipping by norm against the reference and PyTorch, and equal bits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import children
import numpy as np
import pytest
import reference
from networks import UNSCALED, bits, network
from samples import Array, Sizes, batch, size_name
from tolerances import (
    AUTOGRAD,
    FLOAT32_OPTIMISED,
    FLOAT64_OPTIMISED,
    FLOAT64_TRAINED,
    OPTIMISED_BY_TORCH,
    assert_close,
    near,
)

from crnn import RNN, Trainer, TrainingDiverged, _batches, _cell, _samples, _threads, optimizers
from crnn.losses import MSE
from crnn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

EITHER = (TypeError, ValueError)

# Every argument with a value other than its default, and every branch of the kernels.
CASES: list[Optimizer] = [
    SGD(),
    SGD(weight_decay=0.1),
    SGD(momentum=0.9),
    SGD(momentum=0.8, weight_decay=0.05),
    SGD(momentum=0.9, nesterov=True),
    SGD(momentum=0.7, nesterov=True, weight_decay=0.1),
    RMSprop(),
    RMSprop(alpha=0.8, eps=1e-3, weight_decay=0.1),
    RMSprop(momentum=0.9),
    RMSprop(alpha=0.9, eps=1e-4, momentum=0.5, weight_decay=0.05),
    Adam(),
    Adam(betas=(0.7, 0.95), eps=1e-3, weight_decay=0.1),
    AdamW(),
    AdamW(betas=(0.8, 0.9), eps=1e-4, weight_decay=0.3),
]


def case_id(case: object) -> str:
    return repr(case) if isinstance(case, Optimizer) else str(case)


def reference_of(optimizer: Optimizer, learning_rate: float) -> reference.Optimiser:
    """The reference's optimiser with these settings."""
    settings = optimizer.settings()
    return reference.optimizer(settings.pop("name"), learning_rate, **settings)


def batches(x: Array, y: Array, batch_size: int, epochs: int) -> Iterator[tuple[Array, Array]]:
    """The batches of several epochs in the order of the rows."""
    for _ in range(epochs):
        for start in range(0, len(x), batch_size):
            yield x[start : start + batch_size], y[start : start + batch_size]


# ---- optimisers as objects ----


@pytest.mark.parametrize("optimizer", CASES, ids=case_id)
def test_settings_are_the_name_and_the_arguments(optimizer: Optimizer) -> None:
    settings = json.loads(json.dumps(optimizer.settings()))
    kind = type(optimizers.named("optimizer", settings.pop("name")))
    assert kind is type(optimizer)
    assert kind(**settings) == optimizer


@pytest.mark.parametrize("name", optimizers.NAMES)
def test_a_name_stands_for_the_defaults(name: str) -> None:
    optimizer = optimizers.named("optimizer", name)
    assert optimizer == type(optimizer)()
    assert optimizer.name == name
    assert optimizers.named("optimizer", optimizer) is optimizer


def test_defaults_are_those_of_pytorch() -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    weight = [torch.zeros(1, requires_grad=True)]
    for kind in (SGD, RMSprop, Adam, AdamW):
        defaults = getattr(torch.optim, kind.__name__)(weight, lr=0.1).defaults
        settings = kind().settings()
        name = settings.pop("name")
        expected = {key: defaults[key] for key in settings}
        if "betas" in expected:
            expected["betas"] = list(expected["betas"])
        assert settings == expected, name


NOT_A_PART = [
    (-0.1, ValueError),
    (1.0, ValueError),
    (math.nan, ValueError),
    ("0.9", TypeError),
    (True, TypeError),
    (None, TypeError),
]
NEGATIVE = [case for case in NOT_A_PART if case[0] != 1.0] + [(math.inf, ValueError)]
BAD: dict[tuple[type[Optimizer], str], list[tuple[Any, Any]]] = {
    (SGD, "momentum"): NEGATIVE,
    (SGD, "nesterov"): [(1, TypeError), (None, TypeError), ("yes", TypeError), (True, ValueError)],
    (SGD, "weight_decay"): NEGATIVE,
    (RMSprop, "alpha"): NOT_A_PART,
    (RMSprop, "eps"): [*NEGATIVE, (0.0, ValueError)],
    (RMSprop, "weight_decay"): NEGATIVE,
    (RMSprop, "momentum"): NEGATIVE,
    (Adam, "betas"): [
        *[((0.9, bad), error) for bad, error in NOT_A_PART],
        *[((bad, 0.9), error) for bad, error in NOT_A_PART],
        (0.9, TypeError),
        ("ab", TypeError),
        ((0.9,), ValueError),
        ((0.9, 0.9, 0.9), ValueError),
    ],
    (Adam, "eps"): [*NEGATIVE, (0.0, ValueError)],
    (Adam, "weight_decay"): NEGATIVE,
    (AdamW, "weight_decay"): NEGATIVE,
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
    kind: type[Optimizer], name: str, value: object, error: Any
) -> None:
    with pytest.raises(error, match=rf"\b{name}\b"):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("Adam", ValueError),
        ("", ValueError),
        (None, TypeError),
        (0.1, TypeError),
        (Adam, TypeError),
        (Optimizer(), TypeError),
        (["adam"], TypeError),
    ],
    ids=repr,
)
def test_what_is_not_an_optimiser_is_named(value: Any, error: Any) -> None:
    with pytest.raises(error, match=r"\boptimizer\b"):
        Trainer(optimizer=value)


def test_an_eps_that_rounds_to_0_in_float32_is_refused() -> None:
    sizes = (4, 3, 1, 5, 1)
    for optimizer in (Adam(eps=1e-60), RMSprop(eps=1e-60)):
        model, (x, y) = network(sizes, "float32"), batch(sizes, "float32")
        before = bits(model)
        with pytest.raises(ValueError, match="optimizer's eps must not round to 0 in float32"):
            Trainer(optimizer=optimizer).fit(model, x, y)
        assert bits(model) == before
        Trainer(epochs=1, optimizer=optimizer).fit(network(sizes), *batch(sizes))


# ---- the rules ----


def train_reference(
    model: RNN,
    x: Array,
    y: Array,
    optimiser: reference.Optimiser,
    batch_size: int,
    epochs: int,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> tuple[dict[str, Array], list[float]]:
    """The parameters after the epochs, and the norm of every gradient."""
    values, norms = reference.double(model.state_dict()), []
    for rows, targets in batches(x, y, batch_size, epochs):
        _, d = reference.gradients(values, rows, targets)
        norms.append(reference.norm(d))
        d, _ = reference.clip(reference.clip_norm(d, clip_norm), clip_value)
        values = optimiser.step(values, d)
    return values, norms


@pytest.mark.kernel
@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    [
        ((23, 7, 3, 13, 2), 5),
        ((6, 9, 1, 33, 1), 1),  # nothing is packed
        ((70, 3, 2, 17, 3), 70),  # several shards
    ],
    ids=str,
)
@pytest.mark.parametrize("optimizer", CASES, ids=case_id)
def test_every_optimiser_equals_the_reference(
    optimizer: Optimizer, sizes: Sizes, batch_size: int, clip_norm: float | None
) -> None:
    model, (x, y) = network(sizes), batch(sizes)
    expected, _ = train_reference(
        model, x, y, reference_of(optimizer, 0.003), batch_size, 4, clip_norm
    )
    Trainer(
        epochs=4,
        batch_size=batch_size,
        learning_rate=0.003,
        optimizer=optimizer,
        clip_value=None,
        clip_norm=clip_norm,
        shuffle=False,
    ).fit(model, x, y)
    assert_close(model.parameters(), expected, FLOAT64_OPTIMISED)


@pytest.mark.kernel
@pytest.mark.parametrize("optimizer", CASES, ids=case_id)
def test_float32_follows_the_float64_reference(optimizer: Optimizer) -> None:
    sizes = (45, 6, 3, 32, 2)
    model, (x, y) = network(sizes, "float32"), batch(sizes, "float32")
    expected, _ = train_reference(
        model, x.astype(float), y.astype(float), reference_of(optimizer, 0.003), 16, 3, 0.5
    )
    Trainer(
        epochs=3,
        batch_size=16,
        learning_rate=0.003,
        optimizer=optimizer,
        clip_norm=0.5,
        shuffle=False,
    ).fit(model, x, y)
    assert_close(model.parameters(), expected, FLOAT32_OPTIMISED)


@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize("optimizer", CASES, ids=case_id)
def test_twenty_steps_agree_with_pytorch(optimizer: Optimizer, clip_norm: float | None) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    sizes = (19, 5, 2, 11, 2)
    model, (x, y) = network(sizes), batch(sizes)
    w = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in model.state_dict().items()
    }
    settings = optimizer.settings()
    settings.pop("name")
    theirs = getattr(torch.optim, type(optimizer).__name__)(list(w.values()), lr=0.01, **settings)
    steps = 0
    for rows, targets in batches(x, y, 5, epochs=5):
        _, d = reference.gradients(
            {name: t.detach().numpy() for name, t in w.items()}, rows, targets
        )
        for name, t in w.items():
            t.grad = torch.tensor(d[name])
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(w.values()), clip_norm)
        theirs.step()
        steps += 1
    assert steps == 20
    Trainer(
        epochs=5,
        batch_size=5,
        learning_rate=0.01,
        optimizer=optimizer,
        clip_value=None,
        clip_norm=clip_norm,
        shuffle=False,
    ).fit(model, x, y)
    expected = {name: t.detach().numpy() for name, t in w.items()}
    assert_close(model.parameters(), expected, OPTIMISED_BY_TORCH)


NETWORKS: dict[str, dict[str, Any]] = {
    "layers and directions": {"num_layers": 2, "bidirectional": True, "output": "all"},
    "tokens": {"tokens": True},
    "tokens in both directions": {"tokens": True, "bidirectional": True},
}


def data_of(model: RNN, samples: int, timesteps: int) -> tuple[Array, Array]:
    """Inputs, of tokens or numbers, and targets of a network."""
    rng = np.random.default_rng(4)
    each = (samples, timesteps)
    y = rng.standard_normal((*(each if model.output == "all" else each[:1]), model.output_size))
    if model.tokens:
        return rng.integers(0, model.input_size - 1, each), y  # the last token never occurs
    return rng.standard_normal((*each, model.input_size)), y


@pytest.mark.kernel
@pytest.mark.parametrize("optimizer", [SGD(weight_decay=0.1), SGD(0.9), RMSprop(), Adam(), AdamW()])
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_parameter_of_every_network_is_trained(kind: str, optimizer: Optimizer) -> None:
    model, other = (RNN(5, 19, 2, dtype="float64", seed=0, **NETWORKS[kind]) for _ in range(2))
    x, y = data_of(model, 21, 4)
    ours = reference_of(optimizer, 0.01)
    norms = []
    for rows, targets in batches(x, y, 8, epochs=3):
        _, d = other.gradients(rows, targets)
        norms.append(reference.norm(d))
        other.load_state_dict(ours.step(other.state_dict(), reference.clip_norm(d, 0.5)))
    history = Trainer(
        epochs=3,
        batch_size=8,
        learning_rate=0.01,
        optimizer=optimizer,
        clip_norm=0.5,
        shuffle=False,
    ).fit(model, x, y)
    assert_close(model.parameters(), other.state_dict(), FLOAT64_OPTIMISED)
    for (mean, largest), start in zip(history.gradient_norm, (0, 3, 6), strict=True):
        assert mean == near(np.mean(norms[start : start + 3]), FLOAT64_OPTIMISED)
        assert largest == near(max(norms[start : start + 3]), FLOAT64_OPTIMISED)
    padding = np.ones_like(model._weights.flat)
    for view in model._weights.views(padding).values():
        view[...] = 0
    assert padding.any()
    assert not (padding * model._weights.flat).any()


# ---- clipping by norm ----


@pytest.mark.kernel
@pytest.mark.parametrize("batch_size", [1, 8])
def test_clipping_acts_by_norm_first_and_then_by_value(batch_size: int) -> None:
    sizes = (24, 5, 2, 9, 1)
    model, (x, y) = network(sizes), batch(sizes)
    expected, norms = train_reference(
        model, x, y, reference.SGD(0.05), batch_size, 2, clip_norm=1.3, clip_value=0.1
    )
    history = Trainer(
        epochs=2,
        batch_size=batch_size,
        learning_rate=0.05,
        clip_norm=1.3,
        clip_value=0.1,
        shuffle=False,
    ).fit(model, x, y)
    assert_close(model.parameters(), expected, FLOAT64_TRAINED)
    assert min(history.clipped_fraction) > 0
    halves = np.array(norms).reshape(2, -1)
    assert [mean for mean, _ in history.gradient_norm] == near(halves.mean(1), FLOAT64_TRAINED)
    assert [most for _, most in history.gradient_norm] == near(halves.max(1), FLOAT64_TRAINED)
    assert halves.min() < 1.3 < halves.max()  # some are clipped, some are not


def test_the_norm_is_that_of_pytorch() -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    sizes = (24, 5, 2, 9, 1)
    model, (x, y) = network(sizes), batch(sizes)
    _, d = model.gradients(x, y)
    w = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in d.values()]
    for t, g in zip(w, d.values(), strict=True):
        t.grad = torch.tensor(g)
    expected = float(torch.nn.utils.clip_grad_norm_(w, 0.01))
    history = Trainer(
        epochs=1, batch_size=24, clip_norm=0.01, learning_rate=1.0, shuffle=False
    ).fit(model, x, y)
    assert history.gradient_norm[0] == near((expected, expected), AUTOGRAD)
    before = network(sizes).state_dict()
    clipped = {name: before[name] - value for name, value in model.parameters().items()}
    assert_close(clipped, dict(zip(d, (t.grad.numpy() for t in w), strict=True)), AUTOGRAD)


@pytest.mark.kernel
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_infinite_clip_norm_watches_and_changes_no_bit(optimizer: str, dtype: str) -> None:
    sizes = (70, 5, 2, 21, 1)
    x, y = batch(sizes, dtype)
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 60, "optimizer": optimizer, "seed": 1}
    for clip_value in (None, 0.05):
        plain, watched = network(sizes, dtype), network(sizes, dtype)
        without = Trainer(clip_value=clip_value, **settings).fit(plain, x, y)
        history = Trainer(clip_norm=math.inf, clip_value=clip_value, **settings).fit(watched, x, y)
        assert bits(plain) == bits(watched)
        assert without.gradient_norm == []
        assert len(history.gradient_norm) == 3
        assert all(0 < mean <= largest for mean, largest in history.gradient_norm)
        assert history.clipped_fraction == without.clipped_fraction


@pytest.mark.kernel
@pytest.mark.parametrize("optimizer", [SGD(), SGD(0.9, nesterov=True), RMSprop(), AdamW()])
@pytest.mark.parametrize("kind", [None, *NETWORKS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads(
    dtype: str, kind: str | None, optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_threads, "WORK_PER_THREAD", 1)

    def trained(threads: int) -> Any:
        model = RNN(5, 67, 2, dtype=dtype, seed=0, **NETWORKS.get(kind or "", {}))
        x, y = data_of(model, 131, 3)
        history = Trainer(
            epochs=2, batch_size=113, optimizer=optimizer, clip_norm=0.3, seed=2, threads=threads
        ).fit(model, x, y)
        return bits(model), history.loss, history.gradient_norm

    assert trained(1) == trained(2) == trained(3)


FUSED = [isa for isa in _cell.available() if isa != "portable"]


@pytest.mark.skipif(
    len(FUSED) < 2,
    reason="this machine has fewer than two instruction sets with fused multiply-adds",
)
def test_bits_do_not_depend_on_the_instruction_set() -> None:
    # widths whose padding depends on the vector's length: rows of 24 or 20, 32 or 24, 80 or 72
    script = f"""
    import hashlib
    from crnn.optimizers import SGD, RMSprop, Adam, AdamW
    for dtype in ("float32", "float64"):
        for hidden in (13, 17, 70):
            for kind in {[{}, *NETWORKS.values()]!r}:
                for optimizer in {CASES!r}:
                    model = crnn.RNN(5, hidden, 3, dtype=dtype, seed=0, **kind)
                    rng = np.random.default_rng(0)
                    x = rng.standard_normal((50, 3, 5))
                    if model.tokens:
                        x = rng.integers(0, 5, (50, 3))
                    y = rng.standard_normal((50, 3, 3) if model.output == "all" else (50, 3))
                    made = noted("Training")
                    history = crnn.Trainer(
                        epochs=2, batch_size=40, optimizer=optimizer, clip_norm=0.3, seed=0
                    ).fit(model, x, y)
                    found = hashlib.sha256(repr((history.loss, history.gradient_norm)).encode())
                    moments = made[-1][0].moments
                    for arrays in (model.parameters(), *moments.values()):
                        for name, array in arrays.items():
                            found.update(name.encode() + array.tobytes())
                    print(dtype, hidden, kind, optimizer, found.hexdigest())
    """
    first, *others = (children.run(script, env={"CRNN_ISA": isa}).splitlines() for isa in FUSED)
    assert len(first) == 2 * 3 * 4 * len(CASES)
    for other in others:
        assert [pair for pair in zip(first, other, strict=True) if pair[0] != pair[1]] == []


def test_clip_value_is_off_where_only_clip_norm_is_given() -> None:
    assert Trainer().clip_value == 1.0
    assert Trainer(clip_norm=2.0).clip_value is None
    assert Trainer(clip_norm=2.0, clip_value=0.5).clip_value == 0.5
    assert Trainer(clip_value=None).clip_value is None
    assert Trainer() == Trainer(clip_value=1.0)
    assert Trainer(clip_norm=2.0) == Trainer(clip_norm=2.0, clip_value=None)
    assert "clip_value=1.0, clip_norm=None" in repr(Trainer())
    assert Trainer(clip_norm=math.inf).clip_norm == math.inf


@UNSCALED
@pytest.mark.parametrize("clip_norm", [0.5, math.inf])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_a_norm_that_is_not_finite_is_a_divergence(batch_size: int, clip_norm: float) -> None:
    # finite losses and gradients: y - t = 1e150, and Wy = 1e60 makes the square of dWx overflow
    model = RNN(1, 3, 1, dtype="float64", seed=0)
    state = model.state_dict()
    state["Wy"][:] = 1e60
    model.load_state_dict(state)
    x, y = np.zeros((20, 4, 1)), np.full((20, 1), 1e150)
    before = bits(model)
    with pytest.raises(TrainingDiverged) as caught:
        Trainer(batch_size=batch_size, clip_norm=clip_norm, seed=0).fit(model, x, y)
    assert (caught.value.epoch, caught.value.batch) == (1, 1)
    assert bits(model) == before


# ---- the state in a checkpoint ----


def training_of(
    model: RNN, x: Array, y: Array, batch_size: int, optimizer: Optimizer, clip_norm: float | None
) -> tuple[_cell.Training, Array]:
    """A training on all rows, and the plan of its epoch."""
    samples, wanted = _samples.Samples(x), _samples.Samples(y[:, np.newaxis])
    training = _cell.Training(
        model._weights,
        samples,
        wanted,
        batch_size,
        1,
        optimizer=optimizer,
        clip_norm=clip_norm,
        loss=MSE(),
    )
    valid = np.full((1, 1), y.shape[1])
    return training, _batches.Batches(len(x), batch_size, valid, x.shape[1]).plan(None)


@pytest.mark.kernel
@pytest.mark.parametrize("clip_norm", [None, 0.2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", CASES, ids=case_id)
def test_moments_and_updates_are_all_that_an_optimiser_knows(
    optimizer: Optimizer, dtype: str, clip_norm: float | None
) -> None:
    sizes = (23, 4, 2, 9, 1)
    x, y = batch(sizes, dtype)
    whole, halves = network(sizes, dtype), network(sizes, dtype)
    crew = _cell.Crew(1)
    training, plan = training_of(whole, x, y, 5, optimizer, clip_norm)
    for _ in range(4):
        training.begin_epoch(plan, rates=0.01)
        crew.run(training)
    moments: dict[str, dict[str, Array]] = {}
    updates = 0
    for _ in range(2):
        training, plan = training_of(halves, x, y, 5, optimizer, clip_norm)
        for moment, arrays in moments.items():
            for name, saved in arrays.items():
                training.moments[moment][name][...] = saved
        training.updates_done = updates
        for _ in range(2):
            training.begin_epoch(plan, rates=0.01)
            crew.run(training)
        moments = {
            moment: {name: array.copy() for name, array in arrays.items()}
            for moment, arrays in training.moments.items()
        }
        updates = training.updates_done
    assert updates == 20
    assert bits(whole) == bits(halves)


def test_only_the_moments_that_a_rule_has_are_kept() -> None:
    sizes = (23, 4, 2, 9, 1)
    x, y = batch(sizes)
    for optimizer, names in [
        (SGD(), set()),
        (SGD(momentum=0.9), {"m"}),
        (RMSprop(), {"v"}),
        (RMSprop(momentum=0.9), {"m", "v"}),
        (Adam(), {"m", "v"}),
        (AdamW(), {"m", "v"}),
    ]:
        model = network(sizes)
        training, _ = training_of(model, x, y, 5, optimizer, None)
        assert set(training.moments) == names
        for arrays in training.moments.values():
            shapes = {name: array.shape for name, array in arrays.items()}
            assert shapes == {name: array.shape for name, array in model.parameters().items()}


def test_a_batch_of_one_stores_no_gradient_in_plain_sgd_only() -> None:
    sizes = (5, 4, 2, 9, 1)
    x, y = batch(sizes)
    for optimizer, clip_norm, direct in [
        (SGD(), None, True),
        (SGD(), math.inf, False),
        (SGD(weight_decay=0.1), None, False),
        (SGD(momentum=0.9), None, False),
        (Adam(), None, False),
    ]:
        training, _ = training_of(network(sizes), x, y, 1, optimizer, clip_norm)
        assert (training.gradient is None) == direct


def test_one_rate_for_each_row_of_the_plan() -> None:
    sizes = (23, 4, 2, 9, 1)
    training, plan = training_of(network(sizes), *batch(sizes), 5, SGD(), None)
    with pytest.raises(ValueError, match="5 updates and 4 learning rates"):
        training.begin_epoch(plan, rates=np.ones(4))


@pytest.mark.parametrize("sizes", [(20, 3, 2, 7, 1)], ids=size_name)
def test_a_trainer_with_an_optimiser_can_be_compared(sizes: Sizes) -> None:
    assert Trainer(optimizer=Adam()) == Trainer(optimizer=Adam())
    assert Trainer(optimizer=Adam()) != Trainer(optimizer=AdamW(weight_decay=0.0))
    named, given, (x, y) = network(sizes), network(sizes), batch(sizes)
    Trainer(epochs=2, optimizer="rmsprop", seed=0).fit(named, x, y)
    Trainer(epochs=2, optimizer=RMSprop(), seed=0).fit(given, x, y)
    assert bits(named) == bits(given)
