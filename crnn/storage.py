"""The model file: writing, reading, refusing.

A file is one valid safetensors file (https://huggingface.co/docs/safetensors). Format version 1:

    bytes 0 to 7        n, the length of the header, unsigned, little-endian
    bytes 8 to 7 + n    the header, a JSON object; spaces at its end make 8 + n a multiple of 64
    the rest            the arrays without gaps, little-endian, C order; wider types first, then
                        by name, so that each starts at a multiple of its item's size

The header gives each array's dtype, shape and byte range, and under `__metadata__` four strings:
`crnn_format` (the version), `kind`, `settings` (a JSON object) and `sha256`. That is the SHA-256,
in lower-case hexadecimal, of the whole file with its own 64 digits replaced by 64 zeros. JSON is
ASCII, keys sorted, no spaces: equal content makes equal bytes, and a header with one byte other
than `write` would have made it is refused. That leaves no room for keys given twice, for gaps or
for overlaps.

The digest finds damage, not malice: who makes a file can make its digest too. So nothing is
allocated before the header fits the file's size, and nothing is ever unpickled. Reading takes time
and memory in proportion to the file's size, whatever it says.
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
_MAX_DIMENSIONS = 32  # NumPy 1's limit; it keeps the product of a hostile shape cheap
_MAX_NESTING = 32
# A JSON string (to the end of the text when nothing closes it: the scan stays linear), or one
# bracket outside of strings.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)

_Layout = list[tuple[str, str, list[int]]]  # name, key of _DTYPES, shape


def write(
    path: str | os.PathLike[str], kind: str, arrays: dict[str, Array], settings: dict[str, Any]
) -> None:
    """Write arrays and settings to one file, whole or not at all.

    The bytes go to a new file in the same folder and are flushed to the disk; then the new file
    takes the name of the old one, with its permissions as far as the umask allows them. When
    anything fails, the old file stays as it was and no new one stays behind. A link is followed.

    Parameters
    ----------
    path : str or os.PathLike
        The file to make or to replace.
    kind : {"network", "forecaster", "checkpoint"}
        What the file holds.
    arrays : dict of str to ndarray
        float32, float64 or int64, of any shape, strides and byte order. A name is a letter followed
        by letters, digits, ``_`` and ``.``.
    settings : dict
        Values that JSON gives back equal: no tuples, no keys but strings, no NaN. Together with the
        names at most about a megabyte.

    Raises
    ------
    TypeError
        If an array has another dtype or a setting is not a JSON value.
    ValueError
        If the kind is unknown, a name or a setting cannot be kept, an array of a network or a
        forecaster holds NaN or infinity, or `path` is there and not a regular file.
    OSError
        If the file system refuses: no such folder, no permission, disk full.

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
        raise ValueError(f"{target}: is not a regular file, and is not replaced by one")
    if os.name == "nt":
        mode |= stat.S_IWRITE  # a read-only file cannot be renamed there, nor taken away again
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
        with _whether_or_not():
            os.unlink(new)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = os.fspath(path)  # nobody has heard of the new one
            del error.filename2
        raise
    if os.name == "posix":
        # The file is whole and has its name; this decides only whether a power cut can bring the
        # old one back. Some network file systems refuse it, and a folder may be unreadable.
        with _whether_or_not():
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def _whether_or_not() -> Iterator[None]:
    """The system may refuse what is done; what a signal's handler raises is raised."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read what `write` wrote, or refuse.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    kind : {"network", "forecaster", "checkpoint"}
        What it must hold.

    Returns
    -------
    arrays : dict of str to ndarray
        New arrays, aligned, writable and in the machine's byte order.
    settings : dict
        The settings.

    Raises
    ------
    ValueError
        If the file is damaged, not `crnn`'s, of a newer format, of another kind, or not a regular
        file. The message names the path and what is wrong.
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
    """Make the file's bytes: the header, then each array."""
    codes = {dtype: code for code, dtype in _DTYPES.items()}
    copies: dict[str, Array] = {}  # what is checked is what is written, whoever trains meanwhile
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
    """Give kind, arrays and settings, once the digest has been found right."""
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
            raise ValueError("became shorter while it was read")
        digest.update(memory)
        if not _DTYPES[code].isnative:  # swapped where it lies: reading takes a file's own size
            array.byteswap(inplace=True)
        arrays[name] = array
    if digest.hexdigest() != metadata["sha256"]:
        raise ValueError("is damaged: its content does not have the SHA-256 that it names")
    return metadata["kind"], arrays, metadata["settings"]


def _in_order(layout: _Layout) -> _Layout:
    return sorted(layout, key=lambda entry: (-_DTYPES[entry[1]].itemsize, entry[0]))


def _entry(name: str, entry: Any) -> tuple[str, str, list[int]]:
    """Check what the header says of one array, but for its byte range, which `_header` makes."""
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
    """Make the file's beginning, up to the first array."""
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
    depth = 0  # counted here: under a recursion limit that somebody raised, json itself may crash
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth > _MAX_NESTING:
            raise ValueError(f"is nested more than {_MAX_NESTING} brackets deep")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is damaged or not a crnn file: its JSON is none ({error})") from None
    if type(value) is not dict:
        raise ValueError("is damaged or not a crnn file: its JSON is not an object")
    return value


def _open_without_waiting(name: str, flags: int) -> int:
    """Open as usual, but a FIFO that nobody writes to at once: it is refused afterwards."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
