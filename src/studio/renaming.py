"""Singers of a separation get other names, without being separated again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..f0.contour_files import read_f0, write_f0
from ..files import write_json
from ..outputs import DESCRIBING, name_outputs, write_parameters
from ..resynthesis import read_parameters
from ..staging import stage
from .stale import NOTES, find_former


def rename_separation(folder: Path, stem: str, names: Sequence[str]) -> bool:
    """Give the singers of a separation other names.

    Args:
        folder: where its files are.
        stem: how their names begin.
        names: J singers.

    Returns:
        Whether there was anything to rename.
    """
    former = find_former(folder, stem)
    if former is None or len(former.notes["names"]) != len(names):
        return False
    known = list(former.notes["names"])
    if known == list(names):
        return False
    old = name_outputs(folder, stem, known, with_f0=True)
    new = name_outputs(folder, stem, names, with_f0=True)
    arrays = read_parameters(old["parameters"])
    confidence = arrays.get("n_singers_confidence")
    with stage(folder, stem) as place:
        for before, after in zip(known, names, strict=True):
            link_or_copy(old[before], place.place(new[after]))
        write_parameters(
            place.place(new["parameters"]),
            names,
            {name: array for name, array in arrays.items() if name not in DESCRIBING},
            frames_per_second=float(arrays["frames_per_second"]),
            description=str(arrays["description"]),
            confidence=None if confidence is None else float(confidence),
        )
        tracks = read_f0(old["f0"])
        write_f0(
            place.place(new["f0"]),
            replace(tracks, names=tuple(names)),
            overwrite=True,
        )
        write_json(place.place(folder / NOTES), {**former.notes, "names": list(names)})
        targets = [*(new[name] for name in (*names, "parameters", "f0")), folder / NOTES]
        gone = {old[name] for name in known} - {*targets}
        place.publish(targets, remove=sorted(gone))
    return True


def rename_edits(
    edits: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Edits of singers who have other names now.

    Args:
        edits: settings of `umss edit` by singer.
        names: the new name by the former one.
    """
    renamed = {}
    for singer, fields in edits.items():
        changed = dict(fields)
        for field in ("copy_of", "timbre"):
            if fields.get(field) is not None:
                changed[field] = names.get(fields[field], fields[field])
        renamed[names.get(singer, singer)] = changed
    return renamed


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the system has no such links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
