"""Fetch and convert the weights of published networks: `umss published-weights`.

The authors of the multi-F0 network (Cuesta, McFee, Gómez 2020; MIT licence) and of the voice
assignment network (Cuesta, Gómez 2022; MIT licence) keep their Keras models on GitHub. This module
converts each to an .npz file of arrays, which the rest of the project reads without Keras. The
arrays are checked against a digest, so that a changed or damaged file is refused.

Without a network, download the files by hand and name them: `models=[late_deep] source=FILE`.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...archives import ArchiveError, read_arrays
from ...errors import UmssError, shorten_reason
from ...files import replace_when_complete

# HDF5 files of weights are hardly compressed at all.
_COMPRESSION = 20

Arrays = dict[str, NDArray[np.float32]]


class ConversionError(UmssError):
    """A published model that cannot be downloaded or used; the message says what to do."""


@dataclass(frozen=True)
class PublishedModel:
    """A published Keras model.

    Attributes:
        repository: its repository on GitHub.
        commit: commit of the repository that holds the file.
        file: path of the file in the repository.
        target: path of the converted file below the models' folder.
        convert: renames the arrays of the Keras model for the converted file.
        digest: digest of the converted arrays, see `digest`.
    """

    repository: str
    commit: str
    file: str
    target: str
    convert: Callable[[Arrays], Arrays]
    digest: str

    @property
    def url(self) -> str:
        """Address of the file."""
        return f"https://github.com/{self.repository}/raw/{self.commit}/{self.file}"


def digest(arrays: Arrays) -> str:
    """Compute SHA-256 over the sorted names, the shapes and the float32 values, hexadecimal."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name], dtype="<f4")
        total.update(f"{name} {values.shape}\n".encode())
        total.update(values.tobytes())
    return total.hexdigest()


def rename_late_deep(arrays: Arrays) -> Arrays:
    """Rename arrays by what a layer does; Keras numbers them in the order of their creation.

    Args:
        arrays: named layer/array, e.g. conv1a/kernel. The batch normalisations are numbered:
            seven of branch a (magnitude), seven of branch b (phase differential), three after them.
    """
    norms = sorted({name.split("/")[0] for name in arrays if _is_norm(name)}, key=_read_number)
    branches = {"a": "magnitude", "b": "phase_differential"}
    names = [f"{branch}.bn{index}" for branch in branches.values() for index in range(7)]
    renamed = dict(zip(norms, [*names, "bn7", "bn8", "bn9"], strict=False))
    for letter, branch in branches.items():
        for layer in ("conv1", "conv2", "conv3", "conv4", "harm1", "harm2"):
            renamed[layer + letter] = f"{branch}.{layer}"
    converted = {}
    for name, values in arrays.items():
        layer, array = name.split("/")
        converted[f"{renamed.get(layer, layer)}.{array}"] = values
    return converted


def rename_voas(arrays: Arrays) -> Arrays:
    """Keep the names that Keras gave, with its suffix."""
    return {f"{name}:0": values for name, values in arrays.items()}


MODELS = {
    "late_deep": PublishedModel(
        repository="helenacuesta/multif0-estimation-polyvocals",
        commit="de35ccb28f1566410bf6bcf33e4ca94312bb7e1c",
        file="models/exp3multif0.h5",
        target="cuesta2020_late_deep/late_deep.npz",
        convert=rename_late_deep,
        digest="d79f18418689c27e30344e4c40c869b2e6f4026cb5a69844291c25db1492e0a0",
    ),
    "voas_cnn": PublishedModel(
        repository="helenacuesta/voas-vocal-quartets",
        commit="4768bf18a84cf88f7c9737dc6f27167d29d8fcee",
        file="models/voas_cnn.h5",
        target="voas_cnn/voas_cnn.npz",
        convert=rename_voas,
        digest="16f07fa58b98238c328466dd8ba40a1114cdfde090d564c9b775ef1c65163e1a",
    ),
}


def read_keras(path: Path) -> Arrays:
    """Read the arrays of a Keras model or of its weights, named layer/array, from an HDF5 file.

    Raises:
        ConversionError: h5py is not installed, or the file is missing or not an HDF5 file.
    """
    h5py = _import_h5py()
    if not path.is_file():
        raise ConversionError(f"{path}: no such file")
    arrays: Arrays = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            parts = name.split("/")
            if item.dtype.kind not in "fiu" or item.external or item.is_virtual:
                return  # no weights: names, or numbers that lie in other files
            total.append(item.size * item.dtype.itemsize)
            if sum(total) > _COMPRESSION * path.stat().st_size + 2**20:
                raise ConversionError(
                    f"{path}: claims to hold more than its size allows; download it again"
                )
            arrays[f"{parts[0]}/{parts[-1].removesuffix(':0')}"] = np.asarray(item, np.float32)

    total: list[int] = []
    try:
        with h5py.File(path, "r") as file:
            # A whole model keeps its weights in a group, beside the optimiser's state.
            file.get("model_weights", file).visititems(collect)
    except ConversionError:
        raise
    except (OSError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ConversionError(
            f"{path}: not an HDF5 file, or a damaged one ({shorten_reason(error)}); download it "
            "again"
        ) from error
    return arrays


def _import_h5py() -> ModuleType:
    try:
        import h5py  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise ConversionError(
            "reading Keras models needs h5py, which nothing else here does: "
            "pip install 'umss[published]'"
        ) from error
    return cast(ModuleType, h5py)


def fetch(model: PublishedModel, folder: Path) -> Path:
    """Download a model's file into a folder.

    Raises:
        ConversionError: the download failed, for example without a network.
    """
    import pooch  # type: ignore[import-untyped, unused-ignore]

    try:
        # The converted arrays have a digest; the file itself needs none.
        name = pooch.retrieve(model.url, known_hash=None, fname="model.h5", path=folder)
    except (OSError, ValueError) as error:
        raise ConversionError(
            f"could not download {model.url} ({error}); download it by hand and pass "
            f"source=PATH/{Path(model.file).name}"
        ) from error
    return Path(name)


def install(
    name: str, folder: Path, *, source: Path | None = None, overwrite: bool = False
) -> tuple[Path, bool]:
    """Convert a published model, unless the converted file exists.

    Args:
        name: late_deep or voas_cnn.
        folder: folder of all models; the file is written where the configuration expects it.
        source: the Keras file, or a folder that holds it; None downloads it.
        overwrite: replace an existing file.

    Returns:
        The .npz file, and whether it was written now.

    Raises:
        ConversionError: an unknown name, a failed download, or other contents than published.
    """
    if name not in MODELS:
        raise ConversionError(f"unknown model {name!r}; there are {', '.join(MODELS)}")
    model = MODELS[name]
    target = folder / model.target
    if target.exists() and not overwrite:
        if _is_published(target, model):
            return target, False
        raise ConversionError(f"{target}: exists and holds other weights; pass overwrite=true")
    _import_h5py()  # fails before the download if h5py is missing
    with tempfile.TemporaryDirectory() as temporary:
        if source is None:
            path = fetch(model, Path(temporary))
        else:
            path = source / Path(model.file).name if source.is_dir() else source
        arrays = _convert(path, model)
    found = digest(arrays)
    if found != model.digest:
        raise ConversionError(
            f"{source or model.url}: not the published weights of {name} (digest {found[:12]}…, "
            f"expected {model.digest[:12]}…); get {model.url}"
        )
    _write(target, arrays)
    return target, True


def _convert(path: Path, model: PublishedModel) -> Arrays:
    arrays = read_keras(path)
    if not all(name.count("/") == 1 for name in arrays):
        raise ConversionError(f"{path}: holds arrays that belong to no layer; get {model.url}")
    return model.convert(arrays)


def _is_published(path: Path, model: PublishedModel) -> bool:
    try:
        return digest(read_arrays(path)) == model.digest
    except (ArchiveError, ValueError, TypeError):
        return False


def _write(path: Path, arrays: Arrays) -> None:
    with replace_when_complete(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def _is_norm(name: str) -> bool:
    return name.startswith("batch_normalization")


def _read_number(layer: str) -> int:
    """Read the number at the end of a layer's name; the first of a kind may have none."""
    digits = re.search(r"_(\d+)$", layer)
    return int(digits[1]) if digits else 0
