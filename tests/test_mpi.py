"""Data-parallel training over MPI, with the program of the documentation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import same_bits
from samples import Array
from tolerances import SHARED_BATCHES, relative_error

import crnn
from crnn import RNN, Trainer

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "beyond-one-machine.md"
LINES = 30  # at most; the recipe has fewer

# The program is unchanged. This is appended to save its parameters.
REPORT = """
np.savez(sys.argv[1] + str(comm.rank), **model.state_dict())
"""


def program() -> str:
    """The recipe."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if "mpi4py" in block]
    return str(found)


def launcher() -> list[str]:
    """The command that starts a program with several ranks, without their number."""
    beside = os.path.dirname(sys.executable)  # for an MPI from a wheel
    found = shutil.which("mpiexec", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip("no mpiexec: MPICH or Open MPI is not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    extra = []
    if "Open MPI" in version.stdout or "OpenRTE" in version.stdout:
        extra = ["--oversubscribe", "--allow-run-as-root"]
    return [found, *extra, "-n"]


def ranks_of(command: list[str]) -> list[str]:
    """The number of ranks that rank 0 of two sees: 1 if mpiexec and mpi4py use other MPIs."""
    script = "from mpi4py.MPI import COMM_WORLD as c; c.rank or print(c.size)"
    done = subprocess.run(
        [*command, "2", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"mpiexec cannot start two ranks: {done.stderr[-500:]}")
    return done.stdout.split()


@pytest.fixture(scope="module")
def mpi() -> list[str]:
    """The launcher of the MPI that mpi4py uses."""
    if not PAGE.exists():
        pytest.skip("the page is not here")
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    command = launcher()
    if ranks_of(command) != ["2"]:
        pytest.skip("mpiexec and mpi4py belong to different MPIs")
    return command


def trained(command: list[str], ranks: int, folder: Path) -> list[dict[str, Array]]:
    """The final parameters of each rank."""
    folder.mkdir()
    script = folder / "train.py"
    script.write_text("import sys\n" + program() + REPORT)
    subprocess.run(
        [*command, str(ranks), sys.executable, str(script), str(folder / "rank")],
        env={**os.environ, "PYTHONPATH": str(Path(crnn.__file__).parent.parent)},
        timeout=300,
        check=True,
    )
    return [dict(np.load(folder / f"rank{rank}.npz")) for rank in range(ranks)]


def in_one_process() -> dict[str, Array]:
    """The training of the recipe, by `fit` in one process."""
    series = crnn.dataset.mackey_glass(1000, seed=0)
    x, y = crnn.dataset.windows((series - series.mean()) / series.std(), timesteps=50)
    model = RNN(1, 64, 1, dtype="float64", seed=0)
    Trainer(5, batch_size=32, optimizer="adam", learning_rate=2e-3, clip_norm=1.0, seed=0).fit(
        model, x, y
    )
    return model.state_dict()


def test_the_recipe_is_short() -> None:
    if not PAGE.exists():
        pytest.skip("the page is not here")
    assert len(program().strip().splitlines()) < LINES


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_train_what_one_process_trains(mpi: list[str], ranks: int, tmp_path: Path) -> None:
    expected = in_one_process()
    first, again = (trained(mpi, ranks, tmp_path / name) for name in ("first", "again"))
    for parameters in first:
        for name, array in expected.items():
            assert relative_error(parameters[name], array) < SHARED_BATCHES, name
    for parameters in [*first[1:], *again]:
        assert all(same_bits(parameters[name], first[0][name]) for name in expected)
