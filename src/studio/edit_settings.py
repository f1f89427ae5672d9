"""Settings of `umss edit` as the page sends them: no file may be named by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..editing.edits import EditError, Intonation, build_edit
from ..outputs import make_slug

MOST_VOICES = 32


def check_edits(edits: Any, names: Sequence[str]) -> None:
    """Check edits.

    Raises:
        EditError: one that cannot be made, or that would read a file.
    """
    if not isinstance(edits, Mapping) or len(edits) > MOST_VOICES:
        raise EditError("edits are given by singer, e.g. soprano")
    for singer, fields in edits.items():
        edit = build_edit(str(singer)[:60], fields)
        if edit.contour is not None:
            raise EditError(f"{singer}.contour: files are not read here; import tracks instead")
        wanted = edit.intonation
        if isinstance(wanted, Intonation) and wanted.score is not None:
            raise EditError(f"{singer}.intonation.score: files are not read here; use a scale")
        if edit.copy_of is None and singer not in names:
            raise EditError(f"{singer}: there is no singer of this name")
        if edit.copy_of is not None and make_slug(str(singer)) in [make_slug(n) for n in names]:
            raise EditError(f"{singer}: a new voice needs a name of its own; this one is taken")
        for field in ("copy_of", "timbre"):
            other = getattr(edit, field)
            if other is not None and other not in names:
                raise EditError(f"{singer}.{field}={other}: there is no singer of this name")
