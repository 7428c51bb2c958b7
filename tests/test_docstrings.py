"""Every example in a public docstring prints the output that it shows."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import crnn

MODULES = [
    module.name for module in pkgutil.iter_modules(crnn.__path__) if module.name != "__main__"
]
# Modules without examples: they have nothing public, or only collect names of others.
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
    "_members",
    "_qr",
    "_series",
    "_scaling",
    "_scores",
    "_settings",
}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name: str) -> None:
    if name in ("plots", "_figure"):
        pytest.importorskip("matplotlib", reason="the examples need Matplotlib")
    if name == "table":
        pytest.importorskip("pandas", reason="the example needs pandas")
    if name == "estimators":
        pytest.importorskip("sklearn", reason="the examples need scikit-learn")
    outcome = doctest.testmod(importlib.import_module(f"crnn.{name}"))
    assert outcome.failed == 0
    assert (outcome.attempted > 0) == (name not in WITHOUT)


def test_every_public_name_is_listed() -> None:
    assert set(crnn.__all__) <= set(dir(crnn))
