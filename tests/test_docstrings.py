"""Every example in a public docstring prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import crnn

MODULES = [
    module.name for module in pkgutil.iter_modules(crnn.__path__) if module.name != "__main__"
]
# Those whose docstrings hold no example: nothing in them is public, or they only gather others.
WITHOUT = {
    "_arguments",
    "_batches",
    "_checkpoint",
    "_columns",
    "_dates",
    "_demo",
    "_figure",
    "_fit",
    "_numbers",
    "_rows",
    "_samples",
    "_combination",
    "_combination_file",
    "_forecaster_0_1",
    "_series",
    "_scaling",
    "_scores",
    "_settings",
}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name: str) -> None:
    if name in ("plots", "_figure"):
        pytest.importorskip("matplotlib", reason="the examples draw, and Matplotlib is missing")
    if name == "table":
        pytest.importorskip("pandas", reason="the example reads a file, and pandas is missing")
    if name == "estimators":
        pytest.importorskip("sklearn", reason="they are scikit-learn's, which is missing")
    outcome = doctest.testmod(importlib.import_module(f"crnn.{name}"))
    assert outcome.failed == 0
    assert (outcome.attempted > 0) == (name not in WITHOUT)


def test_every_public_name_is_listed() -> None:
    assert set(crnn.__all__) <= set(dir(crnn))
