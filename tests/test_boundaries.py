"""Many rows and many steps against the reference, to test the ends of shards, chunks and pieces.

A batch is cut into shards, BPTT into chunks of timesteps, a long sum and a tall step into pieces.
The sizes of the parts depend on tuning, so the tests have many shapes and know no constants. The
networks keep their gradient over all timesteps, so that a loss at a cut is visible.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference
from networks import UNSCALED, bits, lasting_network
from samples import Array, Sizes, lasting_batch, lasting_parameters, size_name
from tolerances import LASTING, LASTING_TRAINED, assert_close, near, relative_error

from crnn import Trainer

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("guards"), UNSCALED]

DTYPES = ["float32", "float64"]

# So large that every parameter changes by far more than its rounding error, and so small that
# training is not chaotic.
RATES = {"sgd": 0.02, "adam": 0.003}

SHAPES: list[Sizes] = [
    (1, 300, 1, 16, 1),
    (1, 100, 2, 130, 1),
    (2, 300, 1, 130, 1),
    (31, 300, 1, 16, 2),
    (32, 100, 1, 16, 1),
    (33, 100, 2, 130, 1),
    (33, 300, 1, 130, 1),
    (33, 300, 1, 4, 1),
    (72, 2, 2, 130, 3),
    (72, 100, 1, 100, 2),
    (128, 300, 2, 16, 1),
    (500, 100, 2, 4, 1),
    (500, 300, 1, 16, 1),
    (4000, 1, 2, 100, 1),
    (4000, 2, 3, 16, 2),
    (4000, 2, 1, 130, 1),
    (4000, 3, 1, 4, 1),
    (4000, 100, 1, 4, 1),
    # x is gathered in pieces of about 65 000 numbers
    (1, 300, 1000, 4, 1),
    (4000, 300, 1, 4, 1),
]


@pytest.mark.parametrize("sizes", [s for s in SHAPES if s[1] >= 100], ids=size_name)
def test_the_first_steps_affect_the_last_loss(sizes: Sizes) -> None:
    # The derivative of the loss with respect to x_t, by complex steps, for the first row. In a
    # network that forgets, an error at a boundary would be invisible, and the other tests prove
    # nothing.
    values, (x, y) = lasting_parameters(sizes), lasting_batch((1, *sizes[1:]))

    def slope(t: int) -> float:
        moved = x.astype(np.complex128)
        moved[0, t, 0] += 1e-30j
        return float(reference.loss(values, moved, y).imag / 1e-30)

    first = np.linalg.norm([slope(t) for t in range(10)])
    last = np.linalg.norm([slope(t) for t in range(sizes[1] - 10, sizes[1])])
    assert first > 0.2 * last


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SHAPES, ids=size_name)
def test_gradients(sizes: Sizes, dtype: str) -> None:
    model, (x, y) = lasting_network(sizes, dtype), lasting_batch(sizes, dtype)
    expected, d_expected = reference.gradients(
        reference.double(model.parameters()), x.astype(float), y.astype(float)
    )
    value, d = model.gradients(x, y)
    assert value == near(float(expected), LASTING[dtype])
    assert_close(d, d_expected, LASTING[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [s for s in SHAPES if s[0] < 4000], ids=size_name)
def test_predict_and_streams(sizes: Sizes, dtype: str) -> None:
    model, (x, _) = lasting_network(sizes, dtype), lasting_batch(sizes, dtype)
    expected = reference.forward(reference.double(model.parameters()), x.astype(float))[1]
    for threads in (1, 3):
        assert relative_error(model.predict(x, threads=threads), expected) < LASTING[dtype]
    stream = model.stream(sizes[0])
    for t in range(sizes[1]):
        y = stream.step(x[:, t])
    assert relative_error(y, expected) < LASTING[dtype]


def trained(
    sizes: Sizes, batch_size: int, dtype: str, optimizer: str
) -> tuple[dict[str, Array], list[float], dict[str, Array], list[float]]:
    """Changes of the parameters in two epochs, and the losses: the package's, the reference's."""
    model, (x, y) = lasting_network(sizes, dtype), lasting_batch(sizes, dtype)
    expected = reference.double(model.parameters())
    before = expected
    optimiser, losses = reference.optimizer(optimizer, RATES[optimizer]), []
    for _ in range(2):
        expected, loss, _ = reference.epoch(
            expected,
            x.astype(float),
            y.astype(float),
            optimiser,
            batch_size=batch_size,
            clip_value=1.0,
        )
        losses.append(float(loss))
    history = Trainer(
        epochs=2,
        batch_size=batch_size,
        learning_rate=RATES[optimizer],
        optimizer=optimizer,
        clip_value=1.0,
        shuffle=False,
        threads=1,
    ).fit(model, x, y)
    moved = {name: value - before[name] for name, value in model.state_dict().items()}
    moved_expected = {name: value - before[name] for name, value in expected.items()}
    return moved, history.loss, moved_expected, losses


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    [
        ((3, 300, 1, 16, 1), 1),
        ((2, 100, 2, 130, 2), 1),
        ((5, 300, 2, 100, 1), 2),
        ((33, 300, 1, 16, 1), 32),
        ((72, 100, 1, 16, 1), 40),  # 32 rows are left, more than a shard has in a batch of 40
        ((72, 100, 2, 130, 2), 40),
        ((165, 20, 2, 16, 1), 128),
        ((600, 20, 1, 16, 1), 500),
        ((4100, 3, 1, 4, 1), 4000),
    ],
    ids=str,
)
def test_training(sizes: Sizes, batch_size: int, optimizer: str, dtype: str) -> None:
    moved, losses, expected, losses_expected = trained(sizes, batch_size, dtype, optimizer)
    assert_close(moved, expected, LASTING_TRAINED[dtype])
    assert losses == near(losses_expected, LASTING_TRAINED[dtype])


@pytest.mark.parametrize("hidden", [4, 16, 100])
@pytest.mark.parametrize("batch_size", [17, 24, 33, 40, 48, 65, 72, 100, 130])
def test_every_length_of_the_last_batch(batch_size: int, hidden: int) -> None:
    # the size of a shard depends on the rows of its batch: the shorter last batch of an epoch may
    # have longer shards than a full batch, or more of them
    for rest in sorted({1, 2, 12, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, batch_size - 1}):
        if rest < batch_size:
            sizes = (batch_size + rest, 4, 1, hidden, 1)
            moved, _, expected, _ = trained(sizes, batch_size, "float64", "sgd")
            assert_close(moved, expected, LASTING_TRAINED["float64"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_change_the_result(dtype: str) -> None:
    # 4000 rows: each shard has several pieces, which threads take in turn
    sizes = (4100, 30, 1, 16, 1)
    x, y = lasting_batch(sizes, dtype)
    found = []
    for threads in (1, 2, 3, 7):
        model = lasting_network(sizes, dtype)
        Trainer(epochs=1, batch_size=4000, seed=0, threads=threads).fit(model, x, y)
        found.append(bits(model))
    assert found == found[:1] * 4
