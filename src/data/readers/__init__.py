"""Readers of data sets, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .base import DataError, Reader
from .bcbq import BcbqReader
from .choralsynth import ChoralSynthReader
from .csd import CsdReader
from .folder import FolderReader
from .generated import GeneratedReader
from .mixtures import MixturesReader
from .several import SeveralReader

READERS: dict[str, type[Reader]] = {
    reader.name: reader
    for reader in (
        GeneratedReader,
        CsdReader,
        BcbqReader,
        ChoralSynthReader,
        FolderReader,
        MixturesReader,
        SeveralReader,
    )
}


def build_reader(name: str, root: str | Path | None = None, **options: Any) -> Reader:
    """Build the reader of that name.

    Args:
        name: a key of `READERS`.
        root: folder of the data; `generated` needs none, `several` has one per data set instead.
        options: the reader's own options.

    Raises:
        DataError: unknown name, missing root or unknown option.
    """
    if name not in READERS:
        raise DataError(f"data reader {name!r}: unknown; there are {', '.join(READERS)}")
    reader = READERS[name]
    options |= reader.root_options(root)
    try:
        return reader(**options)
    except TypeError as error:
        raise DataError(f"data={name}: {error}") from error
