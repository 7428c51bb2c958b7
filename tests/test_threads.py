"""Threads change only the time; forks and other threads do no harm."""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import children
import pytest
from faults.measuring import running_threads, threads_left
from networks import UNSCALED, bits, network, same_bits
from samples import Array, Sizes, batch, size_name

from crnn import RNN, Trainer, TrainingDiverged, _cell, _threads

pytestmark = [pytest.mark.kernel, UNSCALED]

THREADS = [2, 3, 4, 7]

# Small and odd sizes, which may run on one thread whatever `threads` is: one row, one unit, primes,
# fewer rows than threads.
SMALL: list[tuple[Sizes, int]] = [
    ((67, 13, 3, 37, 2), 29),
    ((50, 5, 1, 1, 1), 50),
    ((12, 3, 5, 17, 1), 3),
    ((5, 9, 2, 33, 2), 1),
]

# Odd sizes of 250 to 460 MFLOP per batch, so that several threads have work. B is no multiple of
# shards or tiles. The third and fourth case have a shorter last batch.
LARGE: list[tuple[Sizes, int]] = [
    ((83, 29, 3, 131, 2), 83),
    ((53, 13, 3, 257, 5), 53),
    ((219, 13, 2, 149, 3), 151),
    ((2221, 31, 1, 33, 1), 2003),
]


@pytest.fixture
def crews(monkeypatch: pytest.MonkeyPatch) -> list[_cell.Crew]:
    """All crews so far, to prove that equal bits come from different numbers of threads."""
    crews = []

    class Noted(_cell.Crew):
        def __init__(self, threads: int) -> None:
            super().__init__(threads)
            crews.append(self)

    monkeypatch.setattr(_cell, "Crew", Noted)
    return crews


def started(crews: list[_cell.Crew]) -> int:
    """How many threads they started."""
    return sum(crew.started for crew in crews)


def case_name(case: tuple[Sizes, int]) -> str:
    return f"{size_name(case[0])}-B{case[1]}"


def trained(
    sizes: Sizes, x: Array, y: Array, **settings: Any
) -> tuple[dict[str, bytes], list[float], list[float]]:
    """Parameters and History after one or two epochs, to the bit."""
    model = network(sizes, x.dtype.name)
    history = Trainer(seed=3, clip_value=0.1, **settings).fit(model, x, y)
    return bits(model), history.loss, history.clipped_fraction


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALL, ids=case_name)
def test_small_fits_have_the_same_bits_at_any_thread_count(
    case: tuple[Sizes, int], dtype: str, optimizer: str
) -> None:
    sizes, batch_size = case
    x, y = batch(sizes, dtype)
    settings = {"epochs": 2, "batch_size": batch_size, "optimizer": optimizer}
    expected = trained(sizes, x, y, threads=1, **settings)
    for threads in [*THREADS, None]:
        assert trained(sizes, x, y, threads=threads, **settings) == expected, threads


@pytest.mark.parametrize(("dtype", "optimizer"), [("float32", "adam"), ("float64", "sgd")])
@pytest.mark.parametrize("case", LARGE, ids=case_name)
def test_large_fits_have_the_same_bits_at_any_thread_count(
    case: tuple[Sizes, int], dtype: str, optimizer: str, crews: list[_cell.Crew]
) -> None:
    sizes, batch_size = case
    x, y = batch(sizes, dtype)
    settings = {"epochs": 1, "batch_size": batch_size, "optimizer": optimizer}
    expected = trained(sizes, x, y, threads=1, **settings)
    for threads in [*THREADS, None]:
        crews.clear()
        assert trained(sizes, x, y, threads=threads, **settings) == expected, threads
        assert started(crews) or threads is None


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", THREADS)
def test_so_many_threads_have_the_same_bits_however_small_the_work(
    threads: int,
    dtype: str,
    optimizer: str,
    crews: list[_cell.Crew],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 8 shards of 14 or 15 rows, and 2 in the last batch, where some threads have no work
    sizes = (131, 5, 3, 67, 2)
    x, y = batch(sizes, dtype)
    settings = {"epochs": 3, "batch_size": 113, "optimizer": optimizer}
    expected = trained(sizes, x, y, threads=1, **settings)
    monkeypatch.setattr(_threads, "WORK_PER_THREAD", 1)
    assert trained(sizes, x, y, threads=threads, **settings) == expected
    assert started(crews) == threads - 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALL + LARGE, ids=case_name)
def test_predict_has_the_same_bits_at_any_thread_count(
    case: tuple[Sizes, int], dtype: str, crews: list[_cell.Crew]
) -> None:
    model, (x, _) = network(case[0], dtype), batch(case[0], dtype)
    expected = model.predict(x, threads=1)
    for threads in [*THREADS, None]:
        crews.clear()
        assert same_bits(model.predict(x, threads=threads), expected), threads
        assert started(crews) or threads is None or case in SMALL


def test_validation_has_the_same_bits_at_any_thread_count() -> None:
    sizes, batch_size = LARGE[2]
    x, y = batch(sizes, "float32")
    found = set()
    for threads in (1, *THREADS, None):
        model = network(sizes, "float32")
        history = Trainer(epochs=1, batch_size=batch_size, seed=3, threads=threads).fit(
            model, x, y, validation_data=(x, y)
        )
        found.add((history.loss[0], history.validation_loss[0]))
    assert len(found) == 1


def test_one_thread_is_the_callers(crews: list[_cell.Crew]) -> None:
    # in a pool of workers, more threads than requested are too many
    sizes, batch_size = LARGE[1]
    model, (x, y) = network(sizes), batch(sizes)
    model.predict(x, threads=1)
    assert started(crews) == 0
    trainer = Trainer(epochs=1, batch_size=batch_size, threads=1)
    trainer.fit(model, x, y)
    assert started(crews) == 0
    trainer.fit(model, x, y, validation_data=(x, y))
    assert started(crews) == 0


def test_many_more_threads_than_processors_are_not_started() -> None:
    most = max(16, 4 * _threads.processors())
    assert [_threads.choose(asked, 1e15, 10**9) for asked in (16, most, most + 1, 10**9)] == [
        16,
        most,
        most,
        most,
    ]


def test_each_thread_has_enough_work_and_its_own_piece() -> None:
    enough = _threads.WORK_PER_THREAD
    assert [_threads.choose(8, work * enough, 10) for work in (0, 0.9, 1, 1.9, 2, 5.5, 99)] == [
        1,
        1,
        1,
        1,
        2,
        5,
        8,
    ]
    assert [_threads.choose(8, 1e15, pieces) for pieces in (0, 1, 2, 7, 8, 100)] == [
        1,
        1,
        2,
        7,
        8,
        8,
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", 1),
        ("2", 2),
        ("3", 3),
        (" 2 ", 2),
        ("2,4", 2),
        ("9", 4),  # more than the processors
        ("0", 4),
        ("-1", 4),
        ("", 4),
        ("many", 4),
        ("\u0663", 4),
    ],
)
def test_omp_num_threads_limits_the_default_at_each_call(
    value: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_threads, "processors", lambda: 4)
    work = 1e6 * _threads.WORK_PER_THREAD
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert _threads.choose(None, work, 100) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert _threads.choose(None, work, 100) == expected
    assert _threads.choose(3, work, 100) == 3  # a request is not limited by the default
    assert _threads.choose(None, 1.0, 100) == 1


@pytest.mark.parametrize("call", ["fit", "predict", "gradients"])
def test_omp_num_threads_reaches_every_call(
    call: str, crews: list[_cell.Crew], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = (219, 13, 2, 149, 3)
    x, y = batch(sizes, "float32")
    model = network(sizes, "float32")
    calls: dict[str, Callable[[], object]] = {
        "fit": lambda: Trainer(epochs=1, batch_size=219, seed=0).fit(model, x, y),
        "predict": lambda: model.predict(x),
        "gradients": lambda: model.gradients(x, y),
    }
    monkeypatch.setattr(_threads, "processors", lambda: 3)
    monkeypatch.setattr(_threads, "WORK_PER_THREAD", 1)
    for limit, threads in (("1", 1), ("2", 2), ("4", 3)):
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
        crews.clear()
        calls[call]()
        assert [crew.threads for crew in crews] == [threads]


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        (b"0::/\n", {}, None),
        (b"0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        (b"0::/\n", {"cpu.max": "max 100000\n"}, None),
        (b"0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        (b"0::/a\n", {"a/cpu.max": "200000 100000\n", "cpu.max": "100000 100000\n"}, 1.0),
        (
            b"4:cpu,cpuacct:/a\n1:name=systemd:/b\n",
            {"cpu/a/cpu.cfs_quota_us": "300000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            3.0,
        ),
        (
            b"4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        (b"0::/caf\xe9\n", {"cpu.max": "100000 100000\n"}, 1.0),
        (None, {}, None),
    ],
)
def test_the_quota_of_the_control_groups(
    own: bytes | None, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    root, process = tmp_path / "cgroup", tmp_path / "process"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if own is not None:
        process.write_bytes(own)
    assert _threads._cgroup_quota(root, process) == quota


@pytest.mark.parametrize(
    ("quota", "expected"),
    [(None, 8), (0.5, 1), (1.0, 1), (1.5, 1), (1.99, 1), (2.0, 2), (7.9, 7), (8.0, 8), (64.0, 8)],
)
def test_of_a_quota_only_whole_processors_count(
    quota: float | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_threads, "_cgroup_quota", lambda root, own: quota)
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    else:
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert _threads.processors() == expected
    assert _threads.choose(None, 1e15, 10**9) == expected
    assert _threads.choose(3, 1e15, 10**9) == 3  # a request may exceed the quota


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_divergence_in_any_thread_is_found_in_its_batch(threads: int) -> None:
    sizes = (219, 13, 2, 149, 1)
    x, y = batch(sizes)
    for row, number in ((72, 1), (73, 2), (218, 3)):  # first and last rows of batches of 73
        model, spoiled = network(sizes), y.copy()
        before = bits(model)
        spoiled[row] = 1e200  # finite, and its square is not
        with pytest.raises(TrainingDiverged) as caught:
            Trainer(batch_size=73, shuffle=False, threads=threads).fit(model, x, spoiled)
        assert (caught.value.epoch, caught.value.batch) == (1, number)
        assert bits(model) == before


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux lists them")
def test_no_thread_remains_after_a_call() -> None:
    sizes = (192, 20, 8, 128, 4)
    model, (x, y) = network(sizes, "float32"), batch(sizes, "float32")
    before = running_threads()
    Trainer(epochs=1, batch_size=96, threads=4).fit(model, x, y)
    model.predict(x, threads=4)
    assert threads_left(before) == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_models_trained_at_once_equal_those_trained_alone(threads: int) -> None:
    sizes = (180, 12, 2, 128, 1)
    x, y = batch(sizes, "float32")

    def one(seed: int) -> tuple[dict[str, bytes], list[float], bytes]:
        model = RNN(2, 128, 1, seed=seed)
        history = Trainer(epochs=3, batch_size=90, seed=seed, threads=threads).fit(model, x, y)
        return bits(model), history.loss, model.predict(x, threads=threads).tobytes()

    alone = [one(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(6))) == alone


def test_one_model_predicts_in_several_threads_at_once() -> None:
    sizes = (500, 12, 2, 128, 1)
    model, (x, _) = network(sizes, "float32"), batch(sizes, "float32")
    expected = model.predict(x).tobytes()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: model.predict(x).tobytes(), range(12))) == {expected}


def test_fit_in_a_worker_thread() -> None:
    # only the main thread gets signals: a worker must not check for them
    sizes = (200, 12, 2, 128, 1)
    here, there, (x, y) = network(sizes), network(sizes), batch(sizes)
    trainer = Trainer(epochs=2, batch_size=100, seed=0, threads=2)
    trainer.fit(here, x, y)
    worker = threading.Thread(target=trainer.fit, args=(there, x, y))
    worker.start()
    worker.join(children.HANG)
    assert not worker.is_alive()
    assert bits(there) == bits(here)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has a GIL"
)
def test_importing_every_module_leaves_the_gil_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON_GIL", raising=False)  # the child decides itself
    children.run(
        """
import pkgutil
for module in pkgutil.iter_modules(crnn.__path__):
    if module.name != "__main__":
        __import__(f"crnn.{module.name}")
assert not sys._is_gil_enabled()
"""
    )


FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# An alarm ends a fork that hangs. Its exit code is the result.
FORKED = """
rng = np.random.default_rng(0)
x = rng.standard_normal((200, 20, 3)).astype(np.float32)
y = rng.standard_normal((200, 1)).astype(np.float32)

def work():
    model = crnn.RNN(3, 128, 1, seed=0)
    crnn.Trainer(epochs=2, batch_size=100, seed=0, threads=2).fit(model, x, y)
    return bits(model), model.predict(x, threads=2).tobytes()

def in_fork(expected):
    child = os.fork()
    if child == 0:
        signal.alarm(120)
        os._exit(0 if work() == expected else 3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@FORK
def test_fork_after_threads() -> None:
    children.run(
        FORKED
        + """
expected = work()
assert in_fork(expected) == 0
assert work() == expected
"""
    )


@FORK
def test_fork_while_another_thread_trains() -> None:
    children.run(
        FORKED
        + """
expected = work()
busy = crnn.RNN(3, 128, 1, seed=1)
stop = threading.Event()

def train_on():
    while not stop.is_set():
        crnn.Trainer(epochs=5, batch_size=100, threads=2).fit(busy, x, y)

worker = threading.Thread(target=train_on)
worker.start()
try:
    codes = [in_fork(expected) for _ in range(3)]
finally:
    stop.set()
    worker.join()
assert codes == [0, 0, 0], codes
assert work() == expected
"""
    )
