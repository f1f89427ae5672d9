"""What a page to listen to shows: recordings with their tracks, remarks and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from ..errors import UmssError

Role = Literal["mixture", "stem", "residual", "reference"]
ROLES = ("mixture", "stem", "residual", "reference")


@dataclass(frozen=True, eq=False)
class Track:
    """One thing to hear.

    Attributes:
        name: shown beside it.
        audio: [T] or [C, T] samples, or the path of an audio file, which is read block by block.
            More than two channels are heard as their mean.
        role: "mixture", "stem", "residual" or "reference" (a true stem, to compare with).
        f0: [N] Hz, 0 where silent, drawn in the picture; None = no pitch is known.
        factor: by which the samples are multiplied, to be heard as loud as the other tracks.

    Raises:
        UmssError: an unknown role, or arrays of other shapes.
    """

    name: str
    audio: Any
    role: Role = "stem"
    f0: NDArray[np.floating] | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise UmssError(f"role={self.role!r} of {self.name}: choose from {', '.join(ROLES)}")
        if not isinstance(self.audio, (str, Path)):
            samples = np.asarray(self.audio)
            if samples.ndim not in (1, 2) or samples.size == 0:
                raise UmssError(
                    f"the audio of {self.name} must be [T] or [C, T] and not empty, got "
                    f"{list(samples.shape)}"
                )
        if self.f0 is not None and np.asarray(self.f0).ndim != 1:
            raise UmssError(
                f"the f0 of {self.name} must be [N], got {list(np.asarray(self.f0).shape)}"
            )


@dataclass(frozen=True)
class Remark:
    """Something to know before listening, e.g. a doubt about F0.

    Attributes:
        text: one sentence.
        spans: where, (begin, end) in seconds; the page leads there.
    """

    text: str
    spans: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Scores:
    """A table of scores.

    Attributes:
        caption: what the numbers are, with their unit.
        columns: headings; the first is that of the rows' names.
        rows: one text per column.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Recording:
    """A recording and what was made of it.

    Attributes:
        title: its name.
        rate: sample rate of all tracks, Hz.
        tracks: of equal lengths, in the order in which they are shown.
        remarks: what to know before listening.
        scores: of this recording, where the truth is known.
        frame_seconds: from one value of F0 to the next.
    """

    title: str
    rate: int
    tracks: Sequence[Track]
    remarks: Sequence[Remark] = ()
    scores: Scores | None = None
    frame_seconds: float = HOP / RATE

    def __post_init__(self) -> None:
        if not self.tracks:
            raise UmssError(f"{self.title}: a page needs a track at least")


@dataclass(frozen=True)
class Page:
    """A page to listen to.

    Attributes:
        title: its heading.
        recordings: one is heard at a time.
        text: one or two sentences below the heading.
        scores: of everything.
    """

    title: str
    recordings: Sequence[Recording]
    text: str = ""
    scores: Scores | None = None

    def __post_init__(self) -> None:
        if not self.recordings:
            raise UmssError("a page needs a recording at least")
