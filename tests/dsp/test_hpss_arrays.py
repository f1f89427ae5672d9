"""NumPy arrays through HPSS: values, types and layouts are librosa's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from src.dsp.hpss import hpss
from src.errors import UmssError

TYPES = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32",
    "float64", "complex64", "complex128", ">f4", ">f8", ">c8", ">i2",
]  # fmt: skip
SHAPES = [(17, 23), (40, 1), (1, 12), (2, 3, 9, 7), (1, 1), (0, 5), (3, 4, 0)]
KERNELS: list[Any] = [1, 2, 5, 31, (3, 8), [6, 1], (1, np.int64(17))]
POWERS: list[Any] = [1, 2.0, 0.5, 3.3, np.float64(2), np.float32(1.5), math.inf]
MARGINS: list[Any] = [1, 1.0, 1.3, 3.0, (1, 5.0), [2.5, np.float64(1)]]
LAYOUTS = ["C", "F", "reversed", "strided", "read-only", "moved"]
KINDS = ["random", "sparse", "silent", "small"]
COMBINATIONS = [
    (*which, number)
    for number, which in enumerate(
        itertools.product(TYPES, SHAPES, KERNELS, POWERS, MARGINS, [False, True])
    )
]


def draw(shape: Sequence[int], kind: str, type_: str, rng: np.random.Generator) -> NDArray[Any]:
    """Non-negative numbers, or complex ones."""
    values = np.minimum(np.abs(rng.normal(size=shape)) * 30 + 1, 120 + rng.random(shape))
    if kind == "sparse":
        values *= rng.random(shape) < 0.2
    values *= {"silent": 0.0, "small": 1e-30}.get(kind, 1.0)
    if "c" in type_:
        values = values * np.exp(2j * np.pi * rng.random(shape))
    if type_ == "bool":
        return values > 20
    return values.astype(type_)


def lay_out(S: NDArray[Any], layout: str) -> NDArray[Any]:  # noqa: N803
    """The same numbers, otherwise in memory."""
    if layout == "F":
        return np.asfortranarray(S)
    if layout == "reversed":
        return np.ascontiguousarray(S[..., ::-1, ::-1])[..., ::-1, ::-1]
    if layout == "strided":
        wide = np.zeros((*S.shape[:-1], 2 * S.shape[-1]), S.dtype)
        wide[..., ::2] = S
        return wide[..., ::2]
    if layout == "moved":
        return np.ascontiguousarray(np.moveaxis(S, 0, -1)).transpose(S.ndim - 1, *range(S.ndim - 1))
    S = S.copy()
    S.flags.writeable = layout != "read-only"
    return S


def scipy_can(kernel_size: Any, shape: Sequence[int]) -> bool:
    """Whether scipy mirrors rightly: it reads outside the array at sample -4 n, -6 n, ..."""
    pair = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
    return all(int(k) // 2 < 4 * n or not n for k, n in zip(pair, shape[:-3:-1], strict=True))


def compare(
    type_: str, shape: Sequence[int], kernel: Any, power: Any, margin: Any, mask: bool, number: int
) -> float:
    """Compare types, layouts and values; the largest difference, in units of the precision."""
    rng = np.random.default_rng(number)
    S = lay_out(draw(shape, KINDS[rng.integers(4)], type_, rng), LAYOUTS[rng.integers(6)])
    before = S.copy()
    settings: dict[str, Any] = {
        "kernel_size": kernel, "power": power, "margin": margin, "mask": mask
    }  # fmt: skip
    case = (S.dtype, S.shape, S.strides, settings, number)
    expected = librosa.decompose.hpss(S, **settings)
    found = hpss(S, residual=True, **settings)
    assert np.array_equal(S, before), case
    largest = 0.0
    scale = 1.0 if mask else float(np.abs(S).max(initial=0)) or 1.0
    for one, other in zip(expected, found, strict=False):
        assert isinstance(other, np.ndarray) and one.shape == other.shape, case
        assert one.dtype == other.dtype and one.strides == other.strides, case
        if one.dtype.kind in "biu":
            assert np.array_equal(one, other), case
            continue
        # masks of float32 are rounded, also where a power of another type makes them float64
        narrow = np.float32 in (S.dtype.newbyteorder("="), one.dtype) or S.dtype.itemsize < 4
        narrow = narrow or np.complex64 in (S.dtype.newbyteorder("="), one.dtype)
        unit = np.finfo(np.float32 if narrow else np.float64).eps
        largest = max(largest, float(np.abs(one - other).max(initial=0.0)) / scale / unit)
    whole = found[0].astype(complex) + found[1] + found[2]
    target = np.ones(1) if mask else S
    assert np.abs(whole - target).max(initial=0.0) <= 1e-6 * scale, case
    assert all(part.dtype == found[0].dtype and part.shape == S.shape for part in found), case
    return largest


def compare_all(combinations: Sequence[Any]) -> tuple[int, float]:
    """How many combinations scipy can do, and the largest difference."""
    usable = [c for c in combinations if scipy_can(c[2], c[1])]
    return len(usable), max(compare(*c) for c in usable)


def test_a_sample_of_combinations_is_as_in_librosa() -> None:
    chosen = np.random.default_rng(0).permutation(len(COMBINATIONS))[:600]
    count, largest = compare_all([COMBINATIONS[k] for k in chosen])
    assert count > 400 and largest < 8


@pytest.mark.slow
def test_all_combinations_are_as_in_librosa() -> None:
    count, largest = compare_all(COMBINATIONS)
    print(f"{count} combinations; largest difference {largest:.1f} units of the precision")
    assert count > 4000 and largest < 8


def test_masks_are_boolean_at_an_infinite_power() -> None:
    S = draw((9, 11), "sparse", "float32", np.random.default_rng(0))
    for margin in (1.0, 2.0, math.inf, (1.0, math.inf)):
        expected = librosa.decompose.hpss(S, kernel_size=3, power=np.inf, margin=margin, mask=True)
        found = hpss(S, kernel_size=3, power=np.inf, margin=margin, mask=True, residual=True)
        for one, other in zip(expected, found, strict=False):
            assert one.dtype == other.dtype == bool and np.array_equal(one, other)
        assert (np.sum(found, axis=0) == 1).all()


def test_an_infinite_margin_leaves_nothing_where_librosa_has_no_number() -> None:
    S = draw((9, 11), "sparse", "complex64", np.random.default_rng(0))
    assert np.isnan(librosa.decompose.hpss(S, kernel_size=3, margin=np.inf)[0]).all()
    harmonic, percussive, rest = hpss(S, kernel_size=3, margin=np.inf, residual=True)
    assert not harmonic.any() and not percussive.any() and np.array_equal(rest, S)
    assert rest.dtype == np.complex64


def test_whole_margins_do_not_overflow() -> None:
    S = np.full((5, 5), 100, np.uint8)
    expected = hpss(S.astype(np.float32), kernel_size=3, margin=(1, 5), mask=True)
    found = hpss(S, kernel_size=3, margin=(1, 5), mask=True)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_arrays_and_tensors_agree() -> None:
    S = draw((30, 40), "random", "complex64", np.random.default_rng(1))
    for settings in ({}, {"mask": True}, {"margin": 2.0, "power": 3.0}):
        arrays = hpss(S, kernel_size=7, residual=True, **settings)
        tensors = hpss(torch.from_numpy(S), kernel_size=7, residual=True, **settings)
        for a, b in zip(arrays, tensors, strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("S", "message"),
    [
        (np.ones(5), r"S must be a spectrogram \[..., F, N\], got \[5\]"),
        (np.float64(3.0), "S must be a tensor or a NumPy array, got float64"),
        ([[1.0, 2.0]], "S must be a tensor or a NumPy array, got list"),
        (np.full((3, 4), math.nan), "NaN or infinite values"),
        (np.full((3, 4), complex(0, math.inf), np.complex64), "NaN or infinite values"),
        (np.full((3, 4), -1), "S must not be negative"),
        (np.ones((3, 4), np.float16), "single or double precision, got float16; use S.astype"),
        (np.ones((3, 4), np.longdouble), r"single or double precision, got (long|float)"),
        (np.ones((3, 4), object), "got object"),
        (np.full((3, 4), "a"), "S must hold integers or numbers"),
        (np.zeros((3, 4), "M8[s]"), "S must hold integers or numbers"),
    ],
)
def test_wrong_arrays_are_refused(S: Any, message: str) -> None:  # noqa: N803
    with pytest.raises(UmssError, match=message):
        hpss(S)
