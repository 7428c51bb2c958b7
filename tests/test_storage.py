"""crnn.storage: written files are read back unchanged, all others are refused.

`sealed` implements the format from its description, with the digest. So forged files here have a
correct digest, and the check under test must refuse them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from crnn import RNN, storage
from crnn.storage import read, write

Array = np.ndarray[Any, np.dtype[Any]]

KINDS = ["network", "forecaster", "checkpoint"]
BLANK = "0" * 64
MEBIBYTE = 2**20
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions, links and devices")

ARRAYS: dict[str, Array] = {
    "Wx_l0": np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5,
    "by": np.array([0.1, -1e300]),
}
SETTINGS = {"input_size": 2, "dtype": "float32", "scaling": [0.25, None, True]}


def honest() -> dict[str, Any]:
    """The header of a network with arrays `a` (float32, 2) and `b` (float64, 1), no digest."""
    return {
        "__metadata__": {
            "crnn_format": "1",
            "kind": "network",
            "settings": '{"bias":true}',
            "sha256": BLANK,
        },
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
        "b": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]},
    }


DATA = np.array([0.5], "<f8").tobytes() + np.array([1, -2], "<f4").tobytes()


def compact(header: object) -> str:
    return json.dumps(header, sort_keys=True, separators=(",", ":"))


def sealed(header: object, data: bytes = DATA) -> bytes:
    """A file of this header (JSON text, or a value for it) and data, with the right digest."""
    text = (header if isinstance(header, str) else compact(header)).encode()
    text += b" " * (-(8 + len(text)) % 64)
    prefix = len(text).to_bytes(8, "little")
    digest = hashlib.sha256(prefix + text + data).hexdigest().encode()
    return prefix + text.replace(BLANK.encode(), digest) + data


def changed(path: str, value: object) -> dict[str, Any]:
    """The valid header with the value at `path` ("a/shape/0") replaced or added."""
    header = honest()
    *parents, last = path.split("/")
    place: Any = header
    for key in parents:
        place = place[key]
    place[int(last) if isinstance(place, list) else last] = value
    return header


def without(path: str) -> dict[str, Any]:
    header = honest()
    *parents, last = path.split("/")
    place: Any = header
    for key in parents:
        place = place[key]
    del place[last]
    return header


def refusal(path: Path, kind: str = "network") -> str:
    """The message of read's error, which must name the path."""
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        read(path, kind)
    return str(caught.value).removeprefix(f"{path}: ")


def swap_dtypes(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.dtype[Any]]:
    """Give files the other byte order; return their types."""
    swapped = {code: dtype.newbyteorder() for code, dtype in storage._DTYPES.items()}
    monkeypatch.setattr(storage, "_DTYPES", swapped)
    return swapped


def assert_same(found: dict[str, Array], expected: dict[str, Array]) -> None:
    """Equal names, types, shapes and bits, except byte order; new, aligned, writable arrays."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        native = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
        assert (found[name].dtype, found[name].shape) == (native.dtype, native.shape)
        assert found[name].tobytes() == native.tobytes()
        flags = found[name].flags
        assert (flags.owndata, flags.writeable, flags.aligned, flags.c_contiguous) == (True,) * 4
        assert found[name].dtype.isnative


class TestRoundTrip:
    @pytest.mark.parametrize("kind", KINDS)
    def test_everything_written_is_read_back(self, tmp_path: Path, kind: str) -> None:
        write(tmp_path / "m", kind, ARRAYS, SETTINGS)
        arrays, found = read(tmp_path / "m", kind)
        assert_same(arrays, ARRAYS)
        assert found == SETTINGS

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros(0),
            np.zeros((0, 5), np.float32),
            np.zeros((3, 0, 2)),
            np.float64(1.5).reshape(()),
            np.arange(5),
            np.arange(6, dtype=">f4").reshape(2, 3),
            np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            np.arange(12.0)[::-3],
            np.broadcast_to(np.float32(2), (3, 2)),
            np.frombuffer(b"x" + bytes(16), np.float64, 2, offset=1),
            np.zeros((1,) * 32),
        ],
        ids=lambda a: f"{a.dtype.str}{a.shape}",
    )
    def test_any_shape_and_layout(self, tmp_path: Path, array: Array) -> None:
        arrays = {"first": array, "last": np.ones(1, np.float32)}
        write(tmp_path / "m", "network", arrays, {})
        assert_same(read(tmp_path / "m", "network")[0], arrays)

    def test_no_arrays_and_no_settings(self, tmp_path: Path) -> None:
        write(tmp_path / "m", "network", {}, {})
        assert read(tmp_path / "m", "network") == ({}, {})

    def test_str_and_bytes_paths_and_links(self, tmp_path: Path) -> None:
        write(str(tmp_path / "m"), "network", ARRAYS, SETTINGS)
        assert_same(read(str(tmp_path / "m"), "network")[0], ARRAYS)
        with pytest.raises(TypeError):
            read(3, "network")  # type: ignore[arg-type]

    @given(data=st.data())
    @settings(max_examples=60, deadline=None)
    def test_properties(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        """Any arrays and settings: read returns the same bits; written again, the same file."""
        path = tmp_path_factory.getbasetemp() / "property"
        kind = data.draw(st.sampled_from(KINDS))
        finite = kind != "checkpoint"
        array = st.sampled_from(["<f4", ">f4", "<f8", ">f8", "<i8", ">i8"]).flatmap(
            lambda dtype: npst.arrays(
                dtype,
                npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
                elements={"allow_nan": not finite, "allow_infinity": not finite}
                if "f" in dtype
                else None,
            )
        )
        turned = st.tuples(array, st.booleans()).map(lambda each: each[0].T if each[1] else each[0])
        names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.]*", fullmatch=True)
        leaf = (
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text()
        )
        value = st.recursive(
            leaf, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=12
        )
        arrays = data.draw(st.dictionaries(names, turned, max_size=6))
        wanted = data.draw(st.dictionaries(st.text(), value, max_size=5))

        write(path, kind, arrays, wanted)
        content = path.read_bytes()
        found_arrays, found = read(path, kind)
        assert_same(found_arrays, arrays)
        assert found == wanted
        write(path, kind, dict(reversed(found_arrays.items())), dict(reversed(found.items())))
        assert path.read_bytes() == content

    def test_a_network_may_not_hold_what_is_not_finite(self, tmp_path: Path) -> None:
        for bad in (np.nan, np.inf, -np.inf):
            arrays = {"by": np.array([0.0, bad])}
            for kind in ("network", "forecaster"):
                with pytest.raises(ValueError, match="by holds NaN or infinity"):
                    write(tmp_path / "m", kind, arrays, {})
            write(tmp_path / "m", "checkpoint", arrays, {})
            assert_same(read(tmp_path / "m", "checkpoint")[0], arrays)


class TestFormat:
    def test_the_bytes_of_version_1(self, tmp_path: Path) -> None:
        """A file of the documented format, made without crnn: any change of the format fails."""
        arrays = {"a": np.array([1, -2], np.float32), "b": np.array([0.5])}
        write(tmp_path / "m", "network", arrays, {"bias": True})
        content = (tmp_path / "m").read_bytes()
        assert content == sealed(honest())
        length = int.from_bytes(content[:8], "little")
        assert (8 + length) % 64 == 0
        header = json.loads(content[8 : 8 + length])
        blank = content.replace(header["__metadata__"]["sha256"].encode(), BLANK.encode())
        assert hashlib.sha256(blank).hexdigest() == header["__metadata__"]["sha256"]
        assert hashlib.sha256(content).hexdigest().startswith("d83ff4596d443c4cad9da57a371c83e2")

    def test_a_machine_of_the_other_byte_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Simulated by a file of the other byte order: machine and file differ in both cases."""
        swapped = swap_dtypes(monkeypatch)
        data = np.array([0.5], swapped["F64"]).tobytes()
        data += np.array([1, -2], swapped["F32"]).tobytes()
        (tmp_path / "m").write_bytes(sealed(honest(), data))
        arrays, _ = read(tmp_path / "m", "network")
        assert_same(arrays, {"a": np.array([1, -2], np.float32), "b": np.array([0.5])})

    def test_a_text_like_the_blank_digest_does_no_harm(self, tmp_path: Path) -> None:
        write(tmp_path / "m", "network", {}, {"column": BLANK})
        assert read(tmp_path / "m", "network")[1] == {"column": BLANK}

    @given(
        arrays=st.dictionaries(
            st.sampled_from(["Wx_l0", "Wh_l0", "b_l0", "Wy", "by"]),
            st.sampled_from(["<f4", "<f8", "<i8"]).flatmap(
                lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0))
            ),
        )
    )
    @settings(max_examples=50, deadline=None)
    def test_the_safetensors_library_reads_it(
        self, tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Array]
    ) -> None:
        library = pytest.importorskip(
            "safetensors", reason="compares with the safetensors library, which is not installed"
        )
        path = tmp_path_factory.getbasetemp() / "library"
        write(path, "checkpoint", arrays, SETTINGS)
        with library.safe_open(path, framework="numpy") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        native = {name: a.astype(a.dtype.newbyteorder("=")) for name, a in arrays.items()}
        assert_equal_bits(found, native)
        assert (metadata["crnn_format"], metadata["kind"]) == ("1", "checkpoint")
        assert json.loads(metadata["settings"]) == SETTINGS

    def test_a_file_of_the_safetensors_library_is_foreign(self, tmp_path: Path) -> None:
        library = pytest.importorskip(
            "safetensors.numpy",
            reason="compares with the safetensors library, which is not installed",
        )
        for metadata in (None, {"format": "np"}):
            library.save_file(ARRAYS, tmp_path / "m", metadata=metadata)
            assert "not written by crnn" in refusal(tmp_path / "m")


def assert_equal_bits(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


class TestKinds:
    @pytest.mark.parametrize(
        ("kind", "loader"),
        [
            ("network", "crnn.RNN.load"),
            ("forecaster", "crnn.Forecaster.load or `crnn predict`"),
            ("checkpoint", "a version of crnn that resumes training"),
        ],
    )
    def test_another_kind_names_its_loader(self, tmp_path: Path, kind: str, loader: str) -> None:
        write(tmp_path / "m", kind, ARRAYS, SETTINGS)
        for other in set(KINDS) - {kind}:
            assert refusal(tmp_path / "m", other) == (
                f"holds a {kind}, not a {other}: {loader} loads it"
            )

    def test_an_unknown_kind(self, tmp_path: Path) -> None:
        for call in (lambda: write(tmp_path / "m", "model", {}, {}), lambda: read("m", "model")):
            with pytest.raises(ValueError, match="kind must be one of"):
                call()
        assert not list(tmp_path.iterdir())


class TestBadArguments:
    @pytest.mark.parametrize(
        "array",
        [
            np.zeros(2, np.float16),
            np.zeros(2, np.int32),
            np.zeros(2, bool),
            np.zeros(2, complex),
            np.array(["text"]),
            np.array([object()]),
            np.zeros(2, [("a", "f4")]),
            np.zeros(2, "M8[s]"),
        ],
        ids=lambda a: str(a.dtype),
    )
    def test_array_types(self, tmp_path: Path, array: Array) -> None:
        with pytest.raises(TypeError, match="Wy must be float32, float64 or int64"):
            write(tmp_path / "m", "checkpoint", {"Wy": array}, {})
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        "name", ["", "../up", "/etc/passwd", "C:\\x", "a/b", "__metadata__", "a b", "é", "a\n", "0"]
    )
    def test_array_names(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match="is not the name of an array"):
            write(tmp_path / "m", "network", {name: np.zeros(1)}, {})
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (float("nan"), ValueError),
            (float("inf"), ValueError),
            ((1, 2), ValueError),
            ({1: 2}, ValueError),
            (np.float32(1), TypeError),
            (np.zeros(1), TypeError),
            ({1, 2}, TypeError),
            (b"bytes", TypeError),
            ("x" * MEBIBYTE, ValueError),
            ([[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]], ValueError),
        ],
        ids=lambda v: repr(v)[:20],
    )
    def test_settings(self, tmp_path: Path, value: object, error: type[Exception]) -> None:
        with pytest.raises(error):
            write(tmp_path / "m", "network", ARRAYS, {"setting": value})
        assert not list(tmp_path.iterdir())


class TestDamage:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Path:
        path = tmp_path / "small"
        write(path, "network", {"by": np.array([0.5], np.float32)}, {"bias": True})
        return path

    def test_every_flipped_bit(self, small: Path) -> None:
        content = small.read_bytes()
        assert len(content) < 400
        with open(small, "r+b", buffering=0) as file:
            for position, byte in enumerate(content):
                for bit in range(8):
                    file.seek(position)
                    file.write(bytes([byte ^ 1 << bit]))
                    refusal(small)
                file.seek(position)
                file.write(bytes([byte]))
        read(small, "network")

    def test_every_truncation(self, small: Path) -> None:
        content = small.read_bytes()
        for length in range(len(content)):
            small.write_bytes(content[:length])
            refusal(small)

    def test_bytes_appended_prepended_or_removed(self, small: Path) -> None:
        content = small.read_bytes()
        for extra in (b"\0", b" ", b"}", bytes(64), content):
            small.write_bytes(content + extra)
            assert "are there" in refusal(small)
            small.write_bytes(extra + content)
            refusal(small)
        for position in range(len(content)):
            small.write_bytes(content[:position] + content[position + 1 :])
            refusal(small)

    def test_two_arrays_exchanged(self, tmp_path: Path) -> None:
        arrays = {"a": np.zeros(8), "b": np.ones(8)}
        write(tmp_path / "m", "network", arrays, {})
        content = (tmp_path / "m").read_bytes()
        (tmp_path / "m").write_bytes(content[:-128] + content[-64:] + content[-128:-64])
        assert "does not match its SHA-256" in refusal(tmp_path / "m")

    def test_a_file_that_shrinks_during_reading(
        self, small: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        size = small.stat().st_size
        os.truncate(small, size - 1)
        real = os.fstat

        def before(descriptor: int) -> os.stat_result:
            values = list(real(descriptor))
            values[stat.ST_SIZE] = size
            return os.stat_result(values)

        monkeypatch.setattr(os, "fstat", before)
        assert "became shorter" in refusal(small)

    @given(data=st.data())
    @settings(max_examples=200, deadline=None)
    def test_any_spliced_file(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        """Replace some bytes by others: an error, unless the file is unchanged."""
        path = tmp_path_factory.getbasetemp() / "spliced"
        content = sealed(honest())
        begin = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(begin, len(content)))
        spliced = content[:begin] + data.draw(st.binary(max_size=80)) + content[end:]
        path.write_bytes(spliced)
        if spliced == content:
            read(path, "network")
        else:
            refusal(path)


def metadata_of(**values: object) -> dict[str, Any]:
    header = honest()
    header["__metadata__"].update(values)
    return header


def settings_of(text: str) -> bytes:
    return sealed(metadata_of(settings=text))


def named(name: str) -> bytes:
    entry = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
    return sealed({**NO_ARRAY, name: entry})


def only(shape: list[int], size: int, data: bytes = DATA) -> bytes:
    entry = {"dtype": "F64", "shape": shape, "data_offsets": [0, size]}
    return sealed({**NO_ARRAY, "a": entry}, data)


NO_ARRAY = {"__metadata__": honest()["__metadata__"]}
NESTED = "[" * 100_000 + "]" * 100_000
HOSTILE: dict[str, tuple[bytes, str]] = {
    # not of this format at all
    "empty": (b"", "cut short"),
    "seven bytes": (bytes(7), "cut short"),
    "zeros": (bytes(1000), "its JSON is invalid"),
    "text": (b"date,value\n1700,5\n" * 100, "not a crnn file"),
    "zip": (b"PK\x03\x04" + bytes(1000), "not a crnn file"),
    "header of no length": (bytes(8) + b"{}", "its JSON is invalid"),
    "header of 2**64 - 1 bytes": (b"\xff" * 8 + b"{}", "18446744073709551615"),
    "header of 2**62 bytes": ((2**62).to_bytes(8, "little") + b"{}", "4611686018427387904"),
    "header of 2 MiB": (
        (2 * MEBIBYTE).to_bytes(8, "little") + b" " * 2 * MEBIBYTE,
        "header length of 2097152",
    ),
    "byte order mark": (sealed("\ufeff" + compact(honest())), "its JSON is invalid"),
    # JSON
    "list": (sealed("[]"), "not an object"),
    "two values": (sealed(compact(honest()) + "{}"), "its JSON is invalid"),
    "deep": (sealed('{"a":' + NESTED + "}"), "nested more than"),
    "deep and open": (sealed("[" * 500_000), "nested more than"),
    "deep after strings": (sealed('{"]]]\\"]]":"}}","a":' + NESTED + "}"), "nested more than"),
    "key twice": (
        sealed(compact(honest()).replace('"a":', '"a":{},"a":', 1)),
        "header is not one that crnn writes",
    ),
    "digest twice": (
        sealed(compact(honest()).replace('"sha256":', f'"sha256":"{BLANK}","sha256":')),
        "header is not one that crnn writes",
    ),
    "NaN": (sealed(compact(changed("a/shape/0", float("nan")))), "impossible shape"),
    "space inside": (sealed(json.dumps(honest(), sort_keys=True)), "not one that crnn writes"),
    "other order": (
        sealed(json.dumps(dict(reversed(honest().items())), separators=(",", ":"))),
        "not one that crnn writes",
    ),
    "escaped letter": (
        sealed(compact(honest()).replace('"network"', '"\\u006eetwork"')),
        "not one that crnn writes",
    ),
    "not UTF-8": (
        sealed(compact(honest())).replace(b"network", b"networ\xff"),
        "not one that crnn writes",
    ),
    "space in front": (sealed(" " + compact(honest())), "not one that crnn writes"),
    "too much padding": (sealed(compact(honest()) + " " * 64), "not one that crnn writes"),
    # metadata
    "no metadata": (sealed(without("__metadata__")), "not written by crnn"),
    "metadata a list": (sealed(changed("__metadata__", ["crnn_format"])), "not written by crnn"),
    "foreign metadata": (sealed(changed("__metadata__", {"format": "pt"})), "not written by crnn"),
    "newer": (sealed(metadata_of(crnn_format="2")), "version '2'.*reads version 1: upgrade crnn"),
    "newer and other": (
        sealed({"__metadata__": {"crnn_format": "2"}, "x": {"dtype": "BF16"}}),
        "upgrade crnn",
    ),
    "version a number": (sealed(metadata_of(crnn_format=1)), "version 1, and"),
    "no settings": (sealed(without("__metadata__/settings")), "must be the strings"),
    "more metadata": (sealed(metadata_of(more="x")), "must be the strings"),
    "settings no string": (sealed(metadata_of(settings={})), "must be the strings"),
    "no digest": (sealed(metadata_of(sha256="")), "does not match its SHA-256"),
    "unknown kind": (sealed(metadata_of(kind="virus")), "of the kind 'virus'"),
    # settings
    "settings not JSON": (settings_of("bias"), "its JSON is invalid"),
    "settings a list": (settings_of("[]"), "not an object"),
    "settings with a key twice": (settings_of('{"a":1,"a":1}'), "settings that crnn does not"),
    "settings with NaN": (settings_of('{"a":NaN}'), "Out of range"),
    "settings with 1e999": (settings_of('{"a":1e999}'), "Out of range"),
    "settings with a huge integer": (
        settings_of('{"a":' + "9" * 5000 + "}"),
        "its JSON is invalid",
    ),
    "settings deep": (settings_of('{"a":' + NESTED + "}"), "nested more than"),
    # arrays
    "no array at all": (sealed(NO_ARRAY, b"x"), "have 0 bytes, and 1 are there"),
    "entry no object": (sealed(changed("a", [])), "must have dtype, shape"),
    "entry without shape": (sealed(without("a/shape")), "must have dtype, shape"),
    "entry with more": (sealed(changed("a/more", 1)), "must have dtype, shape"),
    "half precision": (sealed(changed("a/dtype", "F16")), "dtype 'F16', not one of"),
    "strings": (sealed(changed("a/dtype", "STR")), "dtype 'STR', not one of"),
    "dtype of NumPy": (sealed(changed("a/dtype", "|O")), "not one of"),
    "dtype a list": (sealed(changed("a/dtype", ["F32"])), "not one of"),
    "dtype of the same size": (sealed(changed("a/dtype", "I32")), "not one of"),
    "shape a number": (sealed(changed("a/shape", 2)), "impossible shape"),
    "shape of text": (sealed(changed("a/shape/0", "2")), "impossible shape"),
    "shape of a bool": (sealed(changed("a/shape/0", True)), "impossible shape"),
    "shape of a float": (sealed(changed("a/shape/0", 2.0)), "impossible shape"),
    "negative shape": (sealed(changed("a/shape", [-1, -2])), "impossible shape"),
    "huge shape": (sealed(changed("a/shape", [2**40, 2**20])), "not one that crnn writes"),
    "shape of 2**63": (sealed(changed("a/shape", [2**63])), "impossible shape"),
    "shape of many digits": (sealed(changed("a/shape", [int("9" * 4000)])), "impossible shape"),
    "many dimensions": (sealed(changed("a/shape", [2**62] * 10_000)), "impossible shape"),
    "shape that overflows to 2": (
        sealed(changed("a/shape", [2**32, 2**32, 2])),
        "not one that crnn writes",
    ),
    "huge shape of nothing": (only([0, 2**62], 0, b""), "array is too big"),
    "huge and consistent": (
        only([2**60], 2**63),
        "have 9223372036854775808 bytes, and 16 are there",
    ),
    "other shape": (sealed(changed("a/shape", [3])), "not one that crnn writes"),
    "overlap": (sealed(changed("a/data_offsets", [0, 8])), "not one that crnn writes"),
    "overlap in part": (sealed(changed("a/data_offsets", [4, 12])), "not one that crnn writes"),
    "hole": (sealed(changed("a/data_offsets", [12, 20]), DATA + bytes(4)), "not one that crnn"),
    "range beyond the end": (sealed(changed("a/data_offsets", [16, 24])), "not one that crnn"),
    "range backwards": (sealed(changed("a/data_offsets", [16, 8])), "not one that crnn writes"),
    "negative range": (sealed(changed("a/data_offsets", [-8, 0])), "not one that crnn writes"),
    "range of text": (sealed(changed("a/data_offsets", "8-16")), "not one that crnn writes"),
    "data too short": (sealed(honest(), DATA[:-1]), "have 16 bytes, and 15 are there"),
    "data too long": (sealed(honest(), DATA + b"\0"), "have 16 bytes, and 17 are there"),
    "path upwards": (named("../../etc/passwd"), "'../../etc/passwd' is not the name of an array"),
    "path from the root": (named("/etc/passwd"), "is not the name of an array"),
    "drive": (named("C:\\x"), "is not the name of an array"),
    "name with a line end": (named("a\n"), "is not the name of an array"),
    "name of nothing": (named(""), "is not the name of an array"),
    "long name": (named("/" * 500_000), "is not the name of an array"),
    "NaN weight": (
        sealed(honest(), np.array([np.nan], "<f8").tobytes() + DATA[8:]),
        "array b holds NaN or infinity",
    ),
    "infinite weight": (
        sealed(honest(), DATA[:8] + np.array([1, np.inf], "<f4").tobytes()),
        "array a holds NaN or infinity",
    ),
}

# Headers of one megabyte that are the most expensive JSON. Their messages are above.
BOMBS: dict[str, bytes] = {
    "empty objects": settings_of('{"a":[' + ",".join(["{}"] * 300_000) + ",NaN]}"),
    "empty objects in the header": sealed('{"a":[' + ",".join(["{}"] * 300_000) + "]}"),
    "numbers": sealed('{"a":[' + ",".join(["1000"] * 200_000) + "]}"),
    "keys": sealed("{" + ",".join(f'"{n}":[]' for n in range(80_000)) + "}"),
    "brackets": sealed("[" * 1_000_000),
    "escaped quotes": sealed('{"' + '\\"' * 500_000),
    "quotes": sealed('"' * 1_000_000),
    "digits": sealed('{"a":' + "9" * 1_000_000 + "}"),
    "exponent": settings_of('{"a":1e' + "9" * 1_000_000 + "}"),
    "dimensions": only([2**62] * 40_000, 0),
}


class TestHostileFiles:
    def test_the_honest_file_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "m").write_bytes(sealed(honest()))
        arrays, found = read(tmp_path / "m", "network")
        assert_same(arrays, {"b": np.array([0.5]), "a": np.array([1, -2], np.float32)})
        assert found == {"bias": True}

    @pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE)
    def test_refused(self, tmp_path: Path, content: bytes, reason: str) -> None:
        """Files with a correct digest: each test is for the check in its name."""
        path = tmp_path / "hostile"
        path.write_bytes(content)
        message = refusal(path)
        assert re.search(reason, message), message
        assert len(message) < 400
        assert "\n" not in message

    @pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
    def test_refused_in_bounded_memory(self, tmp_path: Path, content: bytes) -> None:
        """48 MiB, mostly in the parser, for the largest header, 1 MiB."""
        path = tmp_path / "bomb"
        path.write_bytes(content)
        assert peak(lambda: refusal(path)) < 48 * MEBIBYTE

    @pytest.mark.parametrize("name", ["huge and consistent", "huge shape", "header of 2**62 bytes"])
    def test_nothing_is_allocated_on_a_claim(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "claim"
        path.write_bytes(HOSTILE[name][0])
        assert peak(lambda: refusal(path)) < MEBIBYTE

    @pytest.mark.parametrize("order", ["the machine's", "the other"])
    def test_an_honest_file_takes_its_own_size(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
    ) -> None:
        """The arrays, and one byte per element during the check for NaN."""
        write(tmp_path / "m", "network", {"a": np.zeros(MEBIBYTE)}, {})
        if order == "the other":  # zero has the same bytes in both orders
            swap_dtypes(monkeypatch)
        assert peak(lambda: read(tmp_path / "m", "network")) < 10 * MEBIBYTE

    def test_a_raised_recursion_limit_changes_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "m").write_bytes(sealed("[" * 1_000_000))
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(10**6)
        try:
            assert "nested more than" in refusal(tmp_path / "m")
        finally:
            sys.setrecursionlimit(limit)

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_a_pickle_is_not_unpickled(self, tmp_path: Path, protocol: int) -> None:
        marker = tmp_path / "marker"
        payload = pickle.dumps(Payload(str(marker)), protocol)
        pickle.loads(payload)  # the attack works, so the check below can fail
        marker.rmdir()
        for content in (payload, sealed(honest(), payload), sealed(payload.decode("latin-1"))):
            (tmp_path / "m").write_bytes(content)
            refusal(tmp_path / "m")
            assert not marker.exists()


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


def peak(action: Callable[[], object]) -> int:
    """Peak memory of Python and NumPy during `action`, in bytes above the start."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestPaths:
    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "m", "network")
        path = tmp_path / "no" / "m"
        with pytest.raises(FileNotFoundError) as caught:
            write(path, "network", ARRAYS, SETTINGS)
        assert str(caught.value).endswith(f": {str(path)!r}")

    @pytest.mark.parametrize(("path", "error"), [("", ValueError), (3, TypeError)])
    def test_no_path(self, path: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match="path must"):
            read(path, "network")
        with pytest.raises(error, match="path must"):
            write(path, "network", ARRAYS, SETTINGS)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match=re.escape(tmp_path.name)):
            read(tmp_path, "network")
        with pytest.raises(ValueError, match="not a regular file"):
            write(tmp_path, "network", ARRAYS, SETTINGS)
        assert not list(tmp_path.iterdir())

    @posix
    def test_a_fifo(self, tmp_path: Path) -> None:
        """Without a writer: a normal open would wait forever."""
        os.mkfifo(tmp_path / "fifo")
        assert refusal(tmp_path / "fifo") == "is not a regular file"
        with pytest.raises(ValueError, match="not a regular file"):
            write(tmp_path / "fifo", "network", ARRAYS, SETTINGS)
        assert stat.S_ISFIFO(os.stat(tmp_path / "fifo").st_mode)

    @posix
    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
    def test_a_device(self, tmp_path: Path, device: str) -> None:
        """Through a link, so that a wrong write would replace only the link."""
        link = tmp_path / "device"
        link.symlink_to(device)
        assert refusal(link) == "is not a regular file"
        if not os.access("/dev", os.W_OK):  # as root, a failure would replace the device
            with pytest.raises(ValueError, match="not a regular file"):
                write(link, "network", ARRAYS, SETTINGS)

    @posix
    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        link, target = tmp_path / "link", tmp_path / "folder" / "target"
        link.symlink_to(target)
        for _ in range(2):  # the first creates the target, the second replaces it
            write(link, "network", ARRAYS, SETTINGS)
            assert link.is_symlink()
            assert_same(read(target, "network")[0], ARRAYS)

    @posix
    def test_permissions_follow_the_umask_and_the_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "m"
        umask = os.umask(0o027)
        try:
            write(path, "network", ARRAYS, SETTINGS)
            assert stat.S_IMODE(path.stat().st_mode) == 0o640
            for old, new in [(0o600, 0o600), (0o400, 0o400), (0o777, 0o640)]:
                path.chmod(old)
                write(path, "network", ARRAYS, SETTINGS)
                assert stat.S_IMODE(path.stat().st_mode) == new
        finally:
            os.umask(umask)


class TestWholeOrNotAtAll:
    @pytest.mark.parametrize("there", [True, False], ids=["old file", "no old file"])
    @pytest.mark.parametrize(
        "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
    )
    @pytest.mark.parametrize("function", ["fsync", "replace"])
    def test_a_failure_leaves_the_old_file(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        function: str,
        error: BaseException,
        there: bool,
    ) -> None:
        path = tmp_path / "m"
        if there:
            write(path, "network", ARRAYS, SETTINGS)
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

        def failing(*arguments: object) -> None:
            raise error

        monkeypatch.setattr(os, function, failing)
        with pytest.raises(type(error)) as caught:
            write(path, "network", {"by": np.zeros(1)}, {})
        assert caught.value is error
        if isinstance(error, OSError):
            assert error.filename == str(path)
        assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before

    @posix
    def test_what_a_signals_handler_raises_is_raised(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also during the synchronisation of the folder, which may fail without an error."""
        fsync = os.fsync

        def interrupted(descriptor: int) -> None:
            fsync(descriptor)
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise TimeoutError

        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(TimeoutError):
            write(tmp_path / "m", "network", ARRAYS, SETTINGS)
        assert_same(read(tmp_path / "m", "network")[0], ARRAYS)

    def test_flushed_before_it_takes_the_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All bytes are written to a file in the same folder and synchronised before the rename."""
        steps: list[str] = []
        fsync, replace = os.fsync, os.replace

        def watched_fsync(descriptor: int) -> None:
            folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            steps.append("folder" if folder else f"file of {os.fstat(descriptor).st_size} bytes")
            fsync(descriptor)

        def watched_replace(new: str, target: str) -> None:
            assert Path(new).parent == Path(target).parent == tmp_path.resolve()
            steps.append("name")
            replace(new, target)

        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "replace", watched_replace)
        path = tmp_path / "m"
        write(path, "network", ARRAYS, SETTINGS)
        expected = [f"file of {path.stat().st_size} bytes", "name"]
        assert steps == expected + ["folder"] * (os.name == "posix")
        assert list(tmp_path.iterdir()) == [path]

    @posix
    def test_a_folder_that_cannot_be_synchronised_is_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fsync = os.fsync

        def no_folders(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", no_folders)
        write(tmp_path / "m", "network", ARRAYS, SETTINGS)
        assert_same(read(tmp_path / "m", "network")[0], ARRAYS)

    def test_a_refused_array_leaves_the_old_file(self, tmp_path: Path) -> None:
        write(tmp_path / "m", "network", ARRAYS, SETTINGS)
        with pytest.raises(ValueError, match="NaN"):
            write(tmp_path / "m", "network", {"by": np.array([np.nan])}, {})
        assert_same(read(tmp_path / "m", "network")[0], ARRAYS)
        assert [each.name for each in tmp_path.iterdir()] == ["m"]

    @posix
    def test_a_full_file_system(self, tmp_path: Path) -> None:
        """A process whose files may have 64 KiB saves 800 KB over a small file."""
        path = tmp_path / "m"
        write(path, "network", ARRAYS, SETTINGS)
        code = """
import resource, sys
import numpy as np
from crnn.storage import write
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    write(sys.argv[1], "network", {"a": np.zeros(100_000)}, {})
except OSError as error:
    sys.exit(f"errno {error.errno}")
"""
        child = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
        assert (child.stderr, child.returncode) == (f"errno {errno.EFBIG}\n", 1)
        assert_same(read(path, "network")[0], ARRAYS)
        assert list(tmp_path.iterdir()) == [path]

    def test_arrays_that_change_during_writing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A model that another thread trains is saved in a valid state of one moment."""
        array = np.zeros(1000)

        def changing(function: Callable[..., Any]) -> Callable[..., Any]:
            def changed_after(*arguments: object) -> Any:
                result = function(*arguments)
                array[:] = np.nan
                return result

            return changed_after

        monkeypatch.setattr(np, "isfinite", changing(np.isfinite))
        monkeypatch.setattr(hashlib, "sha256", changing(hashlib.sha256))
        write(tmp_path / "m", "network", {"a": array}, {})
        monkeypatch.undo()
        assert np.isnan(array).all()
        assert_same(read(tmp_path / "m", "network")[0], {"a": np.zeros(1000)})


# ---- settings of networks ----


def test_a_network_of_version_0_1_loads(tmp_path: Path) -> None:
    old = RNN(2, 5, 3, dtype="float64", seed=4)
    wanted = {
        "input_size": 2,
        "hidden_size": 5,
        "output_size": 3,
        "bias": True,
        "dtype": "float64",
        "init": "orthogonal",
        "seed": 4,
    }
    storage.write(tmp_path / "file", "network", old.state_dict(), wanted)
    loaded = RNN.load(tmp_path / "file")
    assert repr(loaded) == repr(old)
    assert (loaded.num_layers, loaded.bidirectional, loaded.output) == (1, False, "last")
    x = np.random.default_rng(0).normal(size=(7, 6, 2))
    assert np.array_equal(loaded.predict(x), old.predict(x))


WHOLE = {
    "layers": {"num_layers": 3, "dropout": 0.25},
    "directions": {"bidirectional": True, "num_layers": 2, "bias": False},
    "steps": {"output": "all", "nonlinearity": "relu", "recurrent_dropout": 0.5},
}


@pytest.mark.parametrize("wanted", WHOLE.values(), ids=WHOLE)
def test_the_whole_networks_settings_are_kept(wanted: dict[str, Any], tmp_path: Path) -> None:
    model = RNN(2, 5, 3, seed=4, **wanted)
    model.save(tmp_path / "file")
    loaded = RNN.load(tmp_path / "file")
    assert repr(loaded) == repr(model)
    for name, value in wanted.items():
        assert getattr(loaded, name) == value
    x = np.random.default_rng(0).normal(size=(7, 6, 2))
    assert np.array_equal(loaded.predict(x), model.predict(x))


def test_a_network_of_tokens_is_kept(tmp_path: Path) -> None:
    model = RNN(11, 5, 3, tokens=True, seed=4)
    model.save(tmp_path / "file")
    x = np.random.default_rng(0).integers(0, 11, (7, 6))
    assert np.array_equal(RNN.load(tmp_path / "file").predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_layers", 2),
        ("num_layers", 10**9),
        ("num_layers", "1"),
        ("bidirectional", True),
        ("bidirectional", 1),
        ("nonlinearity", "sigmoid"),
        ("output", "first"),
        ("tokens", 0),
        ("dropout", 1.0),
        ("recurrent_dropout", "0"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(name: str, value: Any, tmp_path: Path) -> None:
    model = RNN(2, 5, 3, seed=4)
    storage.write(
        tmp_path / "file", "network", model.state_dict(), {**model._settings(), name: value}
    )
    with pytest.raises(ValueError, match="is not a valid network"):
        RNN.load(tmp_path / "file")
