"""Import times."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from bench.peers import crnn
from bench.workloads import Array


class Import:
    """A new interpreter that imports one module and exits; "python" imports nothing."""

    def __init__(self, module: str) -> None:
        statement = "pass" if module == "python" else f"import {module}"
        self.command = [sys.executable, "-c", statement]
        if module == "crnn":
            crnn.package()
        elif module != "python" and importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}")

    def reset(self) -> None:
        pass

    def run(self, units: int) -> None:
        for _ in range(units):
            subprocess.run(self.command, check=True)

    def result(self) -> dict[str, Array]:
        return {}
