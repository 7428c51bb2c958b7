"""x and y of any memory layout give the results of contiguous copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import UNSCALED, bits, network, same_bits
from samples import Array

from crnn import Trainer, _samples

pytestmark = [pytest.mark.kernel, UNSCALED]

# Values of x are at most 8 in steps of 1/8, exact in float16, and whole numbers for integer types.
# So all conversions are exact and the bits must be equal.
STEP, LARGEST = 0.125, 64

FLOATS = ["float16", "float32", "float64", "longdouble"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def fortran(a: Array) -> Array:
    return np.asfortranarray(a)


def reversed_rows(a: Array) -> Array:
    return a[::-1].copy()[::-1]


def reversed_everywhere(a: Array) -> Array:
    every = (slice(None, None, -1),) * a.ndim
    return a[every].copy()[every]


def every_third(a: Array) -> Array:
    """Every third element along every axis of a larger array."""
    wide = np.full([3 * n for n in a.shape], 77, dtype=a.dtype)
    third = (slice(None, None, 3),) * a.ndim
    wide[third] = a
    return wide[third]


def middle(a: Array) -> Array:
    """The middle of a larger array."""
    wide = np.full([n + 3 for n in a.shape], 77, dtype=a.dtype)
    inside = tuple(slice(1, n + 1) for n in a.shape)
    wide[inside] = a
    return wide[inside]


def swapped_axes(a: Array) -> Array:
    """The first and the last axis are swapped in memory."""
    return np.ascontiguousarray(np.moveaxis(a, 0, -1)).transpose(a.ndim - 1, *range(a.ndim - 1))


def read_only(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


def swapped_bytes(a: Array) -> Array:
    return a.astype(a.dtype.newbyteorder())


def unaligned(a: Array) -> Array:
    """The same elements one byte after an aligned address."""
    memory = np.zeros(a.nbytes + 1, dtype=np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def unaligned_swapped_strided(a: Array) -> Array:
    """A field of packed records: odd strides and addresses, the other byte order."""
    kind = np.dtype([("flag", "u1"), ("value", a.dtype.newbyteorder())])
    records = np.zeros(a.shape, dtype=kind)
    records["value"] = a
    return records["value"]


VIEWS: list[Callable[[Array], Array]] = [
    fortran,
    reversed_rows,
    reversed_everywhere,
    every_third,
    middle,
    swapped_axes,
    read_only,
    swapped_bytes,
    unaligned,
    unaligned_swapped_strided,
]


def results(x: Any, y: Any, sizes: tuple[int, int, int], dtype: str) -> list[Any]:
    """All results of a model for x and y, as bytes."""
    inputs, hidden, outputs = sizes
    model = network((0, 0, inputs, hidden, outputs), dtype)
    loss, d = model.gradients(x, y)
    found: list[Any] = [model.predict(x).tobytes(), model.loss(x, y), loss]
    found += [g.tobytes() for g in d.values()]
    history = Trainer(epochs=1, batch_size=3, seed=1).fit(model, x, y, validation_data=(x, y))
    return [*found, bits(model), history.loss, history.validation_loss, history.clipped_fraction]


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 5)),
    hidden=st.sampled_from([1, 4, 9, 17]),
    outputs=st.integers(1, 3),
    dtypes=st.tuples(st.sampled_from(FLOATS + INTEGERS), st.sampled_from(FLOATS + INTEGERS)),
    views=st.tuples(st.sampled_from(VIEWS), st.sampled_from(VIEWS)),
    model_dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**16),
)
def test_any_view_of_any_type(
    shape: tuple[int, int, int],
    hidden: int,
    outputs: int,
    dtypes: tuple[str, str],
    views: tuple[Callable[[Array], Array], Callable[[Array], Array]],
    model_dtype: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    x, y = (
        np.asarray(
            rng.integers(0, LARGEST + 1, size=size) * (STEP if dtype in FLOATS else 1), dtype=dtype
        )
        for size, dtype in zip((shape, (shape[0], outputs)), dtypes, strict=True)
    )
    sizes = (shape[2], hidden, outputs)
    x_view, y_view = views[0](x), views[1](y)
    assert (x_view == x).all()  # the views themselves are right
    assert (y_view == y).all()
    before = x_view.tobytes(), y_view.tobytes()
    found = results(x_view, y_view, sizes, model_dtype)
    assert found == results(x.astype(model_dtype), y.astype(model_dtype), sizes, model_dtype)
    assert (x_view.tobytes(), y_view.tobytes()) == before


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_every_view_of_every_type_once(dtype: str, view: Callable[[Array], Array]) -> None:
    rng = np.random.default_rng(0)
    low = 0 if dtype.startswith("u") else -LARGEST
    scale = STEP if dtype in FLOATS else 1
    x = np.asarray(rng.integers(low, LARGEST, size=(7, 4, 3)) * scale, dtype=dtype)
    y = np.asarray(rng.integers(low, LARGEST, size=(7, 2)) * scale, dtype=dtype)
    expected = results(x.astype("float32"), y.astype("float32"), (3, 9, 2), "float32")
    assert results(view(x), view(y), (3, 9, 2), "float32") == expected


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 1, 2)], ids=str)
def test_broadcast_views_of_stride_zero(axes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    shape = (8, 5, 3)
    x = np.broadcast_to(
        rng.standard_normal([1 if axis in axes else n for axis, n in enumerate(shape)]), shape
    )
    y = np.broadcast_to(rng.standard_normal((1, 2)), (8, 2))
    assert all(x.strides[axis] == 0 for axis in axes)
    assert results(x, y, (3, 9, 2), "float64") == results(x.copy(), y.copy(), (3, 9, 2), "float64")


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_overlapping_windows(dtype: str, features: int) -> None:
    series = np.random.default_rng(0).integers(-50, 50, size=(40, features)).astype(dtype)
    x = np.lib.stride_tricks.sliding_window_view(series, 7, axis=0)[:-1].swapaxes(1, 2)
    y = series[7:]
    assert x.shape == (33, 7, features)
    sizes = (features, 9, features)
    expected = results(x.astype("float64"), y.astype("float64"), sizes, "float64")
    assert results(x, y, sizes, "float64") == expected


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_flat_x_and_y(view: Callable[[Array], Array]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 5)), rng.standard_normal(8)
    expected = results(x[:, :, np.newaxis].copy(), y[:, np.newaxis].copy(), (1, 9, 1), "float64")
    assert results(view(x), view(y), (1, 9, 1), "float64") == expected


@pytest.mark.parametrize("view", [np.ascontiguousarray, swapped_bytes])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_half_is_read_as_numpy_reads_it(dtype: str, view: Callable[[Array], Array]) -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    assert (np.abs(halves[halves != 0]).min(), halves.max()) == (2.0**-24, 65504.0)
    model = network((1, 1, 1, 3, 1), dtype)
    weights = model.parameters()
    weights["b_l0"][:] = 0.0
    for scale in (1e-5, 1e5):  # the first shows the largest values, the second the smallest
        weights["Wx_l0"][:] = scale
        expected = model.predict(halves.astype(dtype)[:, np.newaxis, np.newaxis])
        assert same_bits(model.predict(view(halves)[:, np.newaxis, np.newaxis]), expected)
        stream = model.stream(len(halves))
        assert same_bits(stream.step(view(halves)[:, np.newaxis]), expected)


def test_float64_rounds_to_float32_as_numpy_does() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 5, 3)) / 3.0, rng.standard_normal((8, 2)) / 3.0
    expected = results(x.astype("float32"), y.astype("float32"), (3, 9, 2), "float32")
    assert results(x, y, (3, 9, 2), "float32") == expected


def test_large_integers_round_as_numpy_does() -> None:
    # 2^24 + 1 is no float32, 2^53 + 1 no float64: both are rounded to even
    for dtype, edge in (("float32", 2**24), ("float64", 2**53)):
        x = np.array([[[edge + 1]], [[edge + 3]], [[-edge - 1]]], dtype=np.int64)
        model = network((0, 0, 1, 4, 1), dtype)
        model.parameters()["Wx_l0"][:] /= edge  # so that tanh does not saturate
        assert same_bits(model.predict(x), model.predict(x.astype(dtype)))
        unsigned = x[:2].astype(np.uint64) + np.uint64(2**63)
        model.parameters()["Wx_l0"][:] /= 2**63 / edge
        assert same_bits(model.predict(unsigned), model.predict(unsigned.astype(dtype)))


def test_memory_mapped_files(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 5, 3)), rng.standard_normal((8, 2))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    assert results(*mapped, (3, 9, 2), "float64") == results(x, y, (3, 9, 2), "float64")


@settings(max_examples=60, deadline=None)
@given(
    views=st.tuples(st.sampled_from(VIEWS), st.sampled_from(VIEWS)),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_state_dicts_may_be_any_view(
    views: tuple[Callable[[Array], Array], Callable[[Array], Array]], dtype: str
) -> None:
    model, other = network((0, 0, 3, 5, 2), dtype, seed=1), network((0, 0, 3, 5, 2), dtype, seed=2)
    state = other.state_dict()
    state["Wh_l0"], state["by"] = views[0](state["Wh_l0"]), views[1](state["by"])
    model.load_state_dict(state)
    assert bits(model) == bits(other)


def test_what_compiled_code_reads_by_its_address_is_aligned() -> None:
    """A load from another address is undefined: UBSan reports it, and some processors fault."""
    values = unaligned(np.arange(12.0).reshape(4, 3))
    like = _samples.inputs("x", np.zeros((4, 2, 1)), 1)
    y = _samples.targets("y", values, like, 3, every=False, classes=False)
    h0 = _samples.initial_state("h0", values[None], 1, 4, 3, values.dtype)
    assert h0 is not None
    for found in (_samples.rows(y, values.dtype), h0):
        assert found.flags.aligned
        np.testing.assert_array_equal(found.ravel(), values.ravel())
