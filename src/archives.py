"""Reads files of weights and of arrays that somebody else may have made or damaged.

Nothing stored in them is executed, no more memory is taken than their size on disk allows, and
changed bytes are noticed (PyTorch's own reader does not look at the checksums).
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .errors import UmssError

# Silence compresses a thousandfold; a file this small may be all silence.
_SMALL = 256 * 2**20
_COMPRESSION = 100


class ArchiveError(UmssError):
    """A file that cannot be read; the message is the reason alone, callers name file and remedy."""


def read_tensors(path: Path) -> Any:
    """What `torch.save` wrote: tensors and plain values, on the CPU.

    Raises:
        ArchiveError: another kind of file, or a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # PyTorch does not compress, so a larger claim is a lie.
            _check_size(archive, 2 * path.stat().st_size + 2**20)
            damaged = archive.testzip()
        if damaged is not None:
            raise ArchiveError("the file is damaged")
        return torch.load(path, map_location="cpu", weights_only=True)
    except (ArchiveError, MemoryError):
        raise
    except Exception as error:  # torch.load raises half a dozen kinds for files it does not know
        raise ArchiveError(type(error).__name__) from error


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file by name.

    Raises:
        ArchiveError: another kind of file, a damaged one, or one that holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            limit = max(_SMALL, _COMPRESSION * path.stat().st_size)
            _check_size(archive, limit)
            return {
                info.filename.removesuffix(".npy"): _decode(archive.read(info), info.filename)
                for info in archive.infolist()
            }
    except (ArchiveError, MemoryError):
        raise
    except Exception as error:  # zipfile and zlib raise many kinds for damaged files
        raise ArchiveError(str(error) or type(error).__name__) from error


def _check_size(archive: zipfile.ZipFile, limit: int) -> None:
    total = sum(info.file_size for info in archive.infolist())
    if total > limit:
        raise ArchiveError(f"it claims to hold {total / 1e9:.1f} GB, far more than its size allows")


def _decode(content: bytes, name: str) -> NDArray[Any]:
    """One array in NumPy's format."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ArchiveError(f"{name} has an unknown format")
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise ArchiveError(f"{name} holds Python objects, which could run anything")
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or size != len(content) - stream.tell():
        raise ArchiveError(f"{name} does not hold as many values as it claims")
    flat = np.frombuffer(content, dtype, math.prod(shape), stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def find_bad_values(tensors: Mapping[str, Any]) -> str | None:
    """Name of the first tensor that holds NaN or infinite values, None if there is none."""
    return next(
        (
            str(name)
            for name, value in tensors.items()
            if isinstance(value, torch.Tensor)
            and value.is_floating_point()
            and not bool(torch.isfinite(value).all())
        ),
        None,
    )
