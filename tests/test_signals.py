"""How often compiled code checks for signals, counted in readings of the clock, not in seconds.

Between two checks the main thread adds up its work, and reads the clock after enough work. So the
number of readings shows how much work a signal may wait for, on any machine and under any load.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import children
import compiler
import pytest

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        not (sys.platform == "linux" and sys.maxsize > 2**32),
        reason="replaces clock_gettime of the C library, which needs 64-bit Linux",
    ),
    pytest.mark.skipif(
        "san" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers replace clock_gettime too"
    ),
]

CLOCK = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

long readings;
long step = -1; /* nanoseconds from one reading to the next; below 0: real time */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const long reading = __atomic_fetch_add(&readings, 1, __ATOMIC_RELAXED);
    if (step < 0)
        return (int)syscall(SYS_clock_gettime, clock, now);
    now->tv_sec = 1000000 + reading * step / 1000000000L;
    now->tv_nsec = reading * step % 1000000000L;
    return 0;
}
"""

# Multiply-adds that a signal may wait for: 10 ms on a slow processor without vectors, which does
# one per nanosecond. That is a tenth of the promised time.
PATIENCE = 1e7


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that counts how often the clock is read."""
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(CLOCK)
    library = folder / "clock.so"
    compiler.build(library, "-shared", "-fPIC", "-O1", folder / "clock.c")
    return library


def readings(clock: Path, script: str) -> list[int]:
    """The output of a script. Its `count(call)` prints the clock readings during the call."""
    preamble = f"""
import ctypes
total, step = (ctypes.c_long.in_dll(ctypes.CDLL({str(clock)!r}), n) for n in ("readings", "step"))
assert total.value > 0, "the clock is not counted"

def count(call):
    before = total.value
    call()
    print(total.value - before)

def data(rows, steps, hidden):
    x = np.zeros((rows, steps, 1), np.float32)
    return crnn.RNN(1, hidden, 1, seed=0), x, np.zeros(rows, np.float32)
"""
    printed = children.run(preamble + script, env={"LD_PRELOAD": str(clock)})
    return [int(line) for line in printed.split()]


@pytest.mark.parametrize(("rows", "steps", "hidden"), [(1, 10_000, 128), (40, 1000, 64)])
def test_predicting_and_training_check_for_signals_often(
    clock: Path, rows: int, steps: int, hidden: int
) -> None:
    forward, gradients, fit = readings(
        clock,
        f"""
model, x, y = data({rows}, {steps}, {hidden})
trainer = crnn.Trainer(epochs=1, batch_size={rows}, threads=1)
count(lambda: model.predict(x, threads=1))
count(lambda: model.gradients(x, y, threads=1))
count(lambda: trainer.fit(model, x, y))
""",
    )
    work = rows * steps * hidden * hidden
    assert forward > work / PATIENCE
    # back-propagation through the cell is as much work as the forward pass; the sums of the
    # weights' gradients run in longer pieces
    assert gradients > 1.8 * forward
    assert fit > 1.8 * forward


def test_signals_are_checked_after_a_tenth_of_a_second(clock: Path) -> None:
    # a check reads the clock once more: without passing time there is no check; if 0.1 s pass
    # between readings, each reading leads to a check
    still, fast = readings(
        clock,
        """
model, x, y = data(40, 2000, 64)
step.value = 0
count(lambda: model.gradients(x, y, threads=1))
step.value = 100_000_000
count(lambda: model.gradients(x, y, threads=1))
""",
    )
    assert still > 100
    assert fast > 1.9 * still


@pytest.mark.parametrize(("steps", "inputs"), [(50_000, 1), (50, 1000), (2, 25_000)])
def test_the_check_for_nan_checks_for_signals_too(clock: Path, steps: int, inputs: int) -> None:
    (found,) = readings(
        clock,
        f"""
x = np.broadcast_to(np.zeros(1, np.float32), (1000, {steps}, {inputs}))
count(lambda: crnn._cell.first_unfit(
    crnn._samples.Samples(x), np.float32, -np.inf, np.inf, False))
""",
    )
    assert found > 1000 * steps * inputs / PATIENCE
