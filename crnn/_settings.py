"""Choices with a name and a few numbers: what losses, optimisers and schedules have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from crnn import _arguments

Kind = TypeVar("Kind", bound="Setting")


@dataclass(frozen=True)
class Setting:
    """A choice that compares, prints and pickles by its name and its numbers."""

    name: ClassVar[str] = ""

    def settings(self) -> dict[str, Any]:
        """Give the name and the numbers, in types that JSON has.

        Returns
        -------
        dict
            ``{"name": ...}`` and the parameters by name.
        """
        numbers = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in numbers.items()}
        return {"name": self.name, **plain}

    def _set(self, name: str, value: object) -> None:
        """Put a checked number in place of what was given."""
        object.__setattr__(self, name, value)


def named(name: str, value: object, kinds: Mapping[str, type[Kind]], what: str) -> Kind:
    """The choice that an argument stands for: one of `kinds`, or the name of one."""
    for kind in kinds.values():
        if type(value) is kind:
            return value
    if isinstance(value, str):
        return kinds[_arguments.choice(name, value, kinds)]()
    raise TypeError(f"{name} must be {what} or one of {list(kinds)}, got {value!r}")
