"""valgrind on the kernels' self-test, and on training and prediction: no report in crnn's code.

    python -m tests.faults.memcheck [--only selftest|package]

valgrind has no AVX-512, so this tests AVX2 and portable. Python's own reports are filtered: one
counts only if its innermost function, or the caller of malloc or memcpy there, is crnn's.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from glob import glob
from pathlib import Path

from crnn import _cell

from .measuring import where

ROOT = Path(__file__).parents[2]
FRAME = re.compile(r"==\d+==    (?:at|by) 0x[0-9A-F]+: (.*)")
NOT_ITS_OWN = re.compile(r"vg_replace|vgpreload|libc\.so|ld-linux|string_fortified")

PROGRAM = """
import numpy as np, crnn
rng = np.random.default_rng(0)
for dtype in ("float32", "float64"):
    for inputs, hidden, outputs in ((1, 1, 1), (3, 17, 2), (2, 37, 1)):
        x = rng.normal(size=(37, 5, inputs)).astype(dtype)
        y = rng.normal(size=(37, outputs)).astype(dtype)
        model = crnn.RNN(inputs, hidden, outputs, dtype=dtype, seed=0)
        for optimizer in ("sgd", "adam"):
            for batch_size in (1, 7, 37):
                crnn.Trainer(epochs=1, batch_size=batch_size, optimizer=optimizer).fit(model, x, y)
        model.predict(x), model.gradients(x[::-1], y[::-1])
        for rows in (1, 3):
            stream = model.stream(rows)
            stream.step(x[:rows, 0]), stream.step(x[:rows, 1].astype(">i2")), stream.reset()
from crnn import _threads
_threads.WORK_PER_THREAD = 1
crnn.Trainer(epochs=2, batch_size=37, threads=3, optimizer="adam").fit(model, x, y)
model.predict(x, threads=3)
print(crnn.cpu_info()["isa"])
"""


def reports(log: str) -> list[list[str]]:
    """The frames of each report, innermost first."""
    found: list[list[str]] = []
    within = False
    for line in log.splitlines():
        frame = FRAME.match(line)
        if frame is None:
            within = False
        elif within:
            found[-1].append(frame[1])
        else:
            found.append([frame[1]])
            within = True
    return found


def ours(frames: list[str]) -> bool:
    own = [frame for frame in frames if not NOT_ITS_OWN.search(frame)]
    return bool(own) and bool(re.search(r"_cell\.|crnn|selftest|kernels_|algorithm\.h", own[0]))


def valgrind(*command: str, **environment: str) -> tuple[int, str, list[list[str]]]:
    """The command's exit code and output, and all reports."""
    with tempfile.NamedTemporaryFile("r") as log:
        done = subprocess.run(
            ["valgrind", "--leak-check=no", "--error-limit=no", f"--log-file={log.name}", *command],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, reports(log.read())


def selftest() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "selftest")
        kernels = sorted(glob(str(ROOT / "crnn/_kernels/*.c")))
        flags = ["-std=c11", "-g", "-O2", "-ffp-contract=off", "-D_GNU_SOURCE"]
        flags.append(f"-I{ROOT}/crnn/_kernels")
        subprocess.run(
            ["cc", *flags, str(ROOT / "tests/selftest.c"), *kernels, "-lm", "-o", program],
            check=True,
        )
        _, output, found = valgrind(program)
    # valgrind has only 64 bits for the long double of the test's tanh: it shows up to 3 ulp.
    failed = [line for line in output.splitlines() if line.startswith("FAILED")]
    assert all(line.split()[2:4] == ["f64", "tanh"] for line in failed), failed
    assert found == [], "\n".join("\n  ".join(frames) for frames in found[:5])
    print(f"self-test under valgrind: no report; {output.strip().splitlines()[-1]}")


def package() -> None:
    for isa in ("avx2", "portable"):
        if isa in _cell.available():
            code, output, found = valgrind(sys.executable, "-c", PROGRAM, CRNN_ISA=isa)
            assert code == 0, f"exit code {code}"
            own = [frames for frames in found if ours(frames)]
            assert own == [], "\n".join("\n  ".join(frames) for frames in own[:5])
            print(
                f"training, predicting and streaming under valgrind, {output.strip()}: "
                f"no report in crnn's code ({len(found)} in the interpreter's and others')"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("selftest", "package"))
    only = parser.parse_args().only
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed")
    print(where())
    for name, part in (("selftest", selftest), ("package", package)):
        if only in (None, name):
            part()


if __name__ == "__main__":
    main()
