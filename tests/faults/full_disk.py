"""A full disk while a model is saved: OSError, the old file unchanged, no temporary file left.

    python -m tests.faults.full_disk [--sizes 40]

As root on Linux, the disk is really full (a tmpfs of 300 KiB). Otherwise file size is limited.
"""

from __future__ import annotations

import argparse
import errno
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crnn import RNN

from .measuring import where


@contextmanager
def small_disk() -> Iterator[tuple[Path, bool]]:
    """A folder, and whether it is a separate file system."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "crnn", folder]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
            yield Path(folder), False
            return
        try:
            yield Path(folder), True
        finally:
            subprocess.run(["umount", folder], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, default=40)
    arguments = parser.parse_args()
    print(where())
    old, new = RNN(1, 100, 1, seed=0), RNN(1, 200, 1, seed=1)
    saved = refused = 0
    with small_disk() as (folder, real):
        path, filler = folder / "model.safetensors", folder / "filler"
        old.save(path)
        before = path.read_bytes()
        for i in range(arguments.sizes):
            path.write_bytes(before)
            room = 250_000 * i // arguments.sizes  # from 0 to more than the file needs
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            if real:
                filler.write_bytes(bytes(250_000 - room))
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
            try:
                new.save(path)
                saved += 1
                assert RNN.load(path).hidden_size == 200
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EFBIG):
                    raise
                refused += 1
                assert path.read_bytes() == before, "the old file changed"
            finally:
                if real:
                    filler.unlink()
                else:
                    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert os.listdir(folder) == [path.name], "a temporary file was left"
        path.write_bytes(before)
        new.save(path)
        assert RNN.load(path).hidden_size == 200
    assert saved > 0 < refused
    kind = "a full tmpfs" if real else "RLIMIT_FSIZE"
    print(
        f"{kind}, {arguments.sizes} amounts of free space: {refused} saves refused with an "
        f"OSError, the old file unchanged and no other file left; {saved} fitted and were complete"
    )


if __name__ == "__main__":
    main()
