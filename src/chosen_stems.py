"""Which files of sound a separation writes: all, those of some singers, or one and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import UmssError
from .filenames import FILENAME, name_file
from .outputs import make_slug, name_rest
from .windows import Audio

RESIDUAL = "residual"
QUARTET = ("soprano", "alto", "tenor", "bass")


@dataclass(frozen=True)
class Chosen:
    """The files of sound that are written.

    Attributes:
        names: J singers, from the highest down.
        only: those whose files are written, without the residual; empty = all, and the residual.
        alone: the singer who is written beside the sum of everything else; None = nobody.
    """

    names: tuple[str, ...]
    only: tuple[str, ...] = ()
    alone: str | None = None

    @classmethod
    def of(
        cls, names: Sequence[str], only: Sequence[str] | None = None, two_stems: str | None = None
    ) -> Chosen:
        """Find the singers by their names, or by how these stand in the names of files.

        Raises:
            UmssError: there is no such singer, or `check_choice` refuses it.
        """
        check_choice(only, two_stems)
        found = [_find(name, names, "only") for name in only or ()]
        alone = None if two_stems is None else _find(two_stems, names, "two_stems")
        return cls(tuple(names), tuple(name for name in names if name in found), alone)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the files hold, in their order."""
        if self.alone is not None:
            return (self.alone, name_rest(self.alone))
        return self.only or (*self.names, RESIDUAL)

    def name_paths(
        self,
        paths: dict[str, Path],
        folder: Path,
        track: str,
        ending: str,
        filename: str = FILENAME,
    ) -> dict[str, Path]:
        """Those of a separation's files that are written, and the rest's; see `src.outputs`."""
        kept = {
            label: path
            for label, path in paths.items()
            if label in self.labels or label not in (*self.names, RESIDUAL)
        }
        if self.alone is not None:
            rest = name_rest(self.alone)
            kept[rest] = name_file(folder, track, make_slug(rest), ending, filename)
        return kept

    def pick(self, stems: Sequence[Audio], residual: Audio, whole: Audio) -> list[Audio]:
        """The signals [C, n] of the files, one per label.

        Args:
            stems: [C, n] of each singer.
            residual: [C, n].
            whole: [C, n], what all of them sum to.
        """
        if self.alone is not None:
            stem = stems[self.names.index(self.alone)]
            return [stem, whole - stem]
        if self.only:
            return [stems[self.names.index(name)] for name in self.only]
        return [*stems, residual]


def check_choice(only: Sequence[str] | None, two_stems: str | None) -> None:
    """Refuse a choice of files that can be met by no singers.

    Raises:
        UmssError: names the setting.
    """
    if only is not None and not only:
        raise UmssError("only=[]: name the singers whose files are written, or leave it out")
    if isinstance(only, str):
        raise UmssError(f"only={only}: give a list of singers, e.g. only=[{only}]")
    if only is not None and two_stems is not None:
        raise UmssError(f"only={list(only)} and two_stems={two_stems}: give one of the two")


def _find(wanted: str, names: Sequence[str], setting: str) -> str:
    matching = [name for name in names if make_slug(name) == make_slug(wanted)]
    if not matching:
        raise UmssError(
            f"{setting}={wanted}: there is no singer of this name; the singers are "
            f"{', '.join(names)}; names=[soprano,alto,tenor,bass] names four from the highest down"
        )
    return matching[0]


def suggest_names(
    wanted: Sequence[str], n_singers: int | str, names: Sequence[str] | None
) -> list[str] | None:
    """The names of the singers: as given, or a quartet's where one of its voices is asked for.

    Args:
        wanted: singers who are asked for.
        n_singers: J, or "auto".
        names: given by the user, None = none.
    """
    quartet = {make_slug(name) for name in wanted} & set(QUARTET)
    if names is None and quartet and n_singers in (4, "auto"):
        return list(QUARTET)
    return None if names is None else list(names)
