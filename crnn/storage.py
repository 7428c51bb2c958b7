"""Read and write model files.

A file is one valid safetensors file (https://huggingface.co/docs/safetensors). Format version 1:

    bytes 0 to 7        n, the length of the header, unsigned, little-endian
    bytes 8 to 7 + n    the header, a JSON object; spaces at its end make 8 + n a multiple of 64
    the rest            the arrays without gaps, little-endian, C order; wider types first, then
                        by name, so that each starts at a multiple of its item's size

The header holds the dtype, shape and byte range of each array. Under `__metadata__` it holds four
strings: `crnn_format` (the version), `kind`, `settings` (a JSON object) and `sha256`. The last is
the SHA-256, in lower-case hexadecimal, of the whole file with these 64 digits replaced by zeros.
The JSON is ASCII with sorted keys and without spaces, so equal content gives equal bytes. A header
that differs in any byte from what `write` would produce is refused. This excludes duplicate keys,
gaps and overlaps.

The digest detects damage, not malice: anyone who makes a file can also make its digest. So nothing
is allocated until the header matches the file's size, and nothing is unpickled. Reading takes time
and memory in proportion to the file's size, whatever the header says.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import re
import stat
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from crnn._arguments import Array, choice

_LOADERS = {
    "network": "crnn.RNN.load",
    "forecaster": "crnn.Forecaster.load or `crnn predict`",
    "checkpoint": "a version of crnn that resumes training",
}
_FINITE_KINDS = {"network", "forecaster"}  # a checkpoint's history may hold an infinite loss
_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
}
_VERSION = "1"
_BLANK = "0" * 64
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_MAX_HEADER = 2**20  # bytes; a network's header has about 600
_MAX_DIMENSIONS = 32  # NumPy 1's limit; it bounds the time to multiply a hostile shape
_MAX_NESTING = 32
# A JSON string, or a bracket outside of strings. A string that is not closed extends to the end of
# the text, so that the scan takes linear time.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)

_Layout = list[tuple[str, str, list[int]]]  # name, key of _DTYPES, shape


def write(
    path: str | os.PathLike[str], kind: str, arrays: dict[str, Array], settings: dict[str, Any]
) -> None:
    """Write arrays and settings to one file, completely or not at all.

    The bytes go to a new file in the same folder and are flushed to the disk. Then the new file
    replaces the old one, with the same permissions as far as the umask allows. If anything fails,
    the old file is unchanged and the new one is removed. Symbolic links are followed.

    Parameters
    ----------
    path : str or os.PathLike
        The file to create or to replace.
    kind : {"network", "forecaster", "checkpoint"}
        The content of the file.
    arrays : dict of str to ndarray
        float32, float64 or int64, of any shape, strides and byte order. A name is a letter followed
        by letters, digits, ``_`` and ``.``.
    settings : dict
        Values that JSON restores exactly: only string keys, no tuples, no NaN. At most about a
        megabyte together with the names.

    Raises
    ------
    TypeError
        If an array has another dtype or a setting is not a JSON value.
    ValueError
        If the kind is unknown, a name or a setting cannot be stored, an array of a network or a
        forecaster holds NaN or infinity, or `path` exists and is not a regular file.
    OSError
        If the file system reports an error: no such folder, no permission, disk full.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "small.safetensors"
    ...     write(path, "network", {"by": np.array([0.5])}, {"bias": True})
    ...     read(path, "network")
    ({'by': array([0.5])}, {'bias': True})
    """
    choice("kind", kind, _LOADERS)
    target = os.path.realpath(_checked(path))
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG | 0o666
    if not stat.S_ISREG(mode):
        raise ValueError(f"{target}: is not a regular file and is not replaced")
    if os.name == "nt":
        mode |= stat.S_IWRITE  # Windows neither renames nor deletes a read-only file
    blocks = _encode(kind, arrays, settings)
    folder = os.path.dirname(target)
    new = os.path.join(folder, f".crnn-{os.urandom(8).hex()}.tmp")
    try:
        with open(new, "xb", opener=lambda name, flags: os.open(name, flags, mode & 0o666)) as file:
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, target)
    except BaseException as error:
        with _ignoring_system_errors():
            os.unlink(new)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = os.fspath(path)  # the caller does not know the temporary name
            del error.filename2
        raise
    if os.name == "posix":
        # The new file is complete and in place. This makes its name survive a power cut. Some
        # network file systems refuse it, and the folder may be unreadable.
        with _ignoring_system_errors():
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def _ignoring_system_errors() -> Iterator[None]:
    """Ignore errors of the system, but not what a signal handler raises."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read a file that `write` wrote, and refuse any other.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    kind : {"network", "forecaster", "checkpoint"}
        The content that it must have.

    Returns
    -------
    arrays : dict of str to ndarray
        New arrays, aligned, writable and in the machine's byte order.
    settings : dict
        The settings.

    Raises
    ------
    ValueError
        If the file is damaged, not written by crnn, of a newer format, of another kind, or not a
        regular file. The message names the path and the reason.
    OSError
        If the file cannot be opened or read; FileNotFoundError if there is none.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +ELLIPSIS
    ...     path = pathlib.Path(folder) / "small.safetensors"
    ...     write(path, "network", {"by": np.array([0.5])}, {"bias": True})
    ...     read(path, "checkpoint")
    Traceback (most recent call last):
    ValueError: ...small.safetensors: holds a network, not a checkpoint: crnn.RNN.load loads it
    """
    choice("kind", kind, _LOADERS)
    name = _checked(path)
    try:
        with open(name, "rb", opener=_open_without_waiting) as file:
            found, arrays, text = _decode(file)
        if found not in _LOADERS:
            raise ValueError(f"is of the kind {found!r:.40}, not one of {list(_LOADERS)}")
        if found != kind:
            raise ValueError(f"holds a {found}, not a {kind}: {_LOADERS[found]} loads it")
        if kind in _FINITE_KINDS:
            _refuse_non_finite(arrays)
        settings = _parse(text)
        if _dump(settings) != text:
            raise ValueError("has settings that crnn does not write")
        return arrays, settings
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _checked(path: str | os.PathLike[str]) -> str:
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"path must be a str or os.PathLike, got {path!r:.80}") from None
    if not name:
        raise ValueError("path must name a file, got an empty one")
    return name


def _encode(kind: str, arrays: dict[str, Array], settings: dict[str, Any]) -> list[bytes]:
    """Build the file's bytes: the header, then each array."""
    codes = {dtype: code for code, dtype in _DTYPES.items()}
    copies: dict[str, Array] = {}  # copies, because another thread may train the network meanwhile
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("<")
        if dtype not in codes:
            raise TypeError(f"{name} must be float32, float64 or int64, got {array.dtype}")
        copies[name] = np.array(array, dtype=dtype)
    if kind in _FINITE_KINDS:
        _refuse_non_finite(copies)
    text = _dump(settings)
    if _parse(text) != settings:
        raise ValueError(f"settings must come back equal from JSON, got {settings!r:.80}")
    layout = _in_order([(n, codes[a.dtype], list(a.shape)) for n, a in copies.items()])
    metadata = {"crnn_format": _VERSION, "kind": kind, "settings": text, "sha256": _BLANK}
    blocks = [_header(layout, metadata), *(copies[name].tobytes() for name, _, _ in layout)]
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    blocks[0] = _header(layout, {**metadata, "sha256": digest.hexdigest()})
    return blocks


def _decode(file: io.BufferedReader) -> tuple[str, dict[str, Array], str]:
    """Return kind, arrays and settings after checking the digest."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file")
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    room = status.st_size - 8 - length
    if len(prefix) < 8 or room < 0 or length > _MAX_HEADER:
        raise ValueError(
            f"is not a crnn file, or is cut short: it has {status.st_size} bytes, and they begin "
            f"with a header length of {length}"
        )
    header = file.read(length)
    entries = _parse(header.decode("utf-8", "replace"))
    metadata = entries.pop("__metadata__", None)
    if not isinstance(metadata, dict) or "crnn_format" not in metadata:
        raise ValueError("was not written by crnn: its header names no crnn_format")
    if metadata["crnn_format"] != _VERSION:
        raise ValueError(
            f"has format version {metadata['crnn_format']!r:.40}, and this crnn reads version "
            f"{_VERSION}: upgrade crnn"
        )
    keys = {"crnn_format", "kind", "settings", "sha256"}
    if metadata.keys() != keys or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"is damaged: its metadata must be the strings {sorted(keys)}")
    layout = _in_order([_entry(name, entry) for name, entry in entries.items()])
    if _header(layout, metadata) != prefix + header:
        raise ValueError("is damaged: its header is not one that crnn writes")
    size = sum(math.prod(shape) * _DTYPES[code].itemsize for _, code, shape in layout)
    if size != room:
        raise ValueError(f"is damaged: its arrays have {size} bytes, and {room} are there")

    arrays = {}
    digest = hashlib.sha256(_header(layout, {**metadata, "sha256": _BLANK}))
    for name, code, shape in layout:
        array = np.empty(shape, _DTYPES[code].newbyteorder("="))
        memory = array.reshape(-1).view(np.uint8).data
        if file.readinto(memory) != memory.nbytes:
            raise ValueError("became shorter during reading")
        digest.update(memory)
        if not _DTYPES[code].isnative:  # swapped in place, which needs no more memory
            array.byteswap(inplace=True)
        arrays[name] = array
    if digest.hexdigest() != metadata["sha256"]:
        raise ValueError("is damaged: its content does not match its SHA-256")
    return metadata["kind"], arrays, metadata["settings"]


def _in_order(layout: _Layout) -> _Layout:
    return sorted(layout, key=lambda entry: (-_DTYPES[entry[1]].itemsize, entry[0]))


def _entry(name: str, entry: Any) -> tuple[str, str, list[int]]:
    """Check the header's entry of an array, except its byte range, which `_header` computes."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"array {name!r:.80} must have dtype, shape and data_offsets")
    code, shape = entry["dtype"], entry["shape"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise ValueError(f"array {name!r:.80} has dtype {code!r:.40}, not one of {list(_DTYPES)}")
    if (
        not isinstance(shape, list)
        or len(shape) > _MAX_DIMENSIONS
        or not all(type(n) is int and 0 <= n <= sys.maxsize for n in shape)
    ):
        raise ValueError(f"array {name!r:.80} has an impossible shape")
    return name, code, shape


def _header(layout: _Layout, metadata: dict[str, str]) -> bytes:
    """Build the beginning of the file, up to the first array."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, code, shape in layout:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r:.80} is not the name of an array")
        begin, end = end, end + math.prod(shape) * _DTYPES[code].itemsize
        entries[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    text = _dump(entries).encode("ascii")
    text += b" " * (-(8 + len(text)) % 64)
    if len(text) > _MAX_HEADER:
        raise ValueError(f"settings and names take {len(text)} bytes, the limit is {_MAX_HEADER}")
    return len(text).to_bytes(8, "little") + text


def _refuse_non_finite(arrays: dict[str, Array]) -> None:
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"array {name} holds NaN or infinity")


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _parse(text: str) -> dict[str, Any]:
    """Read a JSON object that is at most `_MAX_NESTING` brackets deep."""
    depth = 0  # json itself may crash if the recursion limit was raised
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth > _MAX_NESTING:
            raise ValueError(f"is nested more than {_MAX_NESTING} brackets deep")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is damaged or not a crnn file: its JSON is invalid ({error})") from None
    if type(value) is not dict:
        raise ValueError("is damaged or not a crnn file: its JSON is not an object")
    return value


def _open_without_waiting(name: str, flags: int) -> int:
    """Open as usual, but do not wait for a FIFO's writer: the file is refused afterwards."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
