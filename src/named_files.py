"""The files that a separation writes: which they are, by what is wanted, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .chosen_stems import Chosen
from .filenames import FILENAME, check_filename
from .formats.write import label_f0_files, name_f0_files
from .listening.files import name_page
from .outputs import name_outputs, name_synthesised


class NamedFiles(NamedTuple):
    """The files of a separation.

    Attributes:
        paths: all of them: by singer, "residual" or the rest's name, "parameters", "f0", "mix", by
            NAME_synthesised and "synthesised", by FORMAT or FORMAT/NAME those of the F0, "page".
        tracks: those of the F0 in other formats, by format and singer (`src.formats.write`).
        chosen: which files of sound are among them.
    """

    paths: dict[str, Path]
    tracks: dict[tuple[str, str], Path]
    chosen: Chosen


def name_files(
    folder: Path,
    track: str,
    names: Sequence[str],
    *,
    ending: str = "wav",
    filename: str = FILENAME,
    only: Sequence[str] | None = None,
    two_stems: str | None = None,
    with_f0: bool = False,
    with_mix: bool = False,
    synthesised: bool = False,
    page: bool = False,
    f0_formats: Sequence[str] = (),
) -> NamedFiles:
    """Name the files of a separation.

    Args:
        folder: of all outputs.
        track: the recording's name without ending.
        names: of the singers.
        ending: of files of sound, without dot.
        filename: how files are named (`src.filenames`).
        only, two_stems: the singers whose files are written (`src.chosen_stems`).
        with_f0, with_mix, synthesised, page: whether there are these files.
        f0_formats: other formats of the F0 tracks.

    Raises:
        UmssError: no such singer, pattern or format.
        ContourError: two singers whose names lead to the same file name.
    """
    check_filename(filename)
    chosen = Chosen.of(names, only, two_stems)
    paths = name_outputs(
        folder, track, names,
        with_f0=with_f0, with_mix=with_mix, ending=ending, filename=filename,
    )  # fmt: skip
    paths = chosen.name_paths(paths, folder, track, ending, filename)
    if synthesised:
        sung = name_synthesised(folder, track, names, ending=ending, filename=filename)
        paths["synthesised"] = sung.pop("synthesised")
        paths |= {f"{name}_synthesised": path for name, path in sung.items()}
    others = [kind for kind in f0_formats if not (with_f0 and kind == "csv")]
    tracks = name_f0_files(folder, track, names, others, filename)
    paths |= label_f0_files(tracks)
    if page:
        paths["page"] = name_page(folder, track, filename)
    return NamedFiles(paths, tracks, chosen)
