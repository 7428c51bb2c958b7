"""The fuzz targets on a few hundred random inputs, and every input that fuzzing found."""

from __future__ import annotations

from itertools import islice

import fuzz
import numpy as np
import pytest
from networks import UNSCALED

from crnn import RNN, Trainer


@UNSCALED
@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_random_inputs_break_nothing(target: str) -> None:
    if target == "csv":
        pytest.importorskip("pandas", reason="reading files needs the extra crnn[table]")
    outcomes = {fuzz.TARGETS[target](data) for data in islice(fuzz.random_inputs(0), 300)}
    assert len(outcomes) > 1, "all inputs have the same outcome: they do not reach the target"


@pytest.mark.parametrize("size", [n for n in fuzz.HUGE if n >= 2**44])
def test_a_size_that_no_memory_holds_is_refused(size: int) -> None:
    # fuzzing found an OverflowError here that named no argument
    for sizes in ((size, 4, 1), (1, size, 1), (1, 4, size)):
        with pytest.raises((ValueError, MemoryError)):
            RNN(*sizes)


def test_a_batch_size_beyond_c_is_the_whole_data() -> None:
    # fuzzing found an OverflowError here too
    x, y = np.ones((3, 2, 1)), np.ones(3)
    models = [RNN(1, 4, 1, seed=0) for _ in range(2)]
    for model, batch_size in zip(models, (3, 2**63), strict=True):
        Trainer(epochs=2, batch_size=batch_size, seed=0).fit(model, x, y)
    assert fuzz.bits(models[0]) == fuzz.bits(models[1])
