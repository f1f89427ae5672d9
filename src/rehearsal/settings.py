"""What practice tracks are made of, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..errors import UmssError
from ..f0.contours import F0Contours
from ..writing.tags import Tags
from ..writing.writer import Format
from .mixing import TRACKS, Mixing, Reader


@dataclass(frozen=True)
class Stems:
    """The stems of a separation.

    Attributes:
        name: of the recording; begins the names of files.
        voices: J names.
        rate: sample rate in Hz.
        channels: number of channels, 1 or 2.
        n_samples: samples per channel.
        contours: F0 of the voices.
        open: opens readers of the J stems and, if wanted, of the residual after them.
        tags: of the recording.
    """

    name: str
    voices: tuple[str, ...]
    rate: int
    channels: int
    n_samples: int
    contours: F0Contours
    open: Callable[[ExitStack], list[Reader]]
    tags: Tags = field(default_factory=Tags)


@dataclass(frozen=True)
class Settings:
    """What is made of the stems; see `conf/practice.yaml`.

    Attributes:
        voices: names, None = all.
        tracks: of "loud", "without", "split".
        mixing: gains and places.
        speed: per cent, 50 to 100.
        transpose: semitones.
        tempo: beats per minute of the count-in, at the recording's speed; None = found.
        count_in: four clicks before the first note.
        start_pitch: the first note of the voice before the clicks.
        loudness: LUFS of all tracks, less if peaks would exceed -1 dBTP.
        form: of the files.
        zip: also one file of all.
    """

    voices: Sequence[str] | None = None
    tracks: Sequence[str] = ("loud", "without", "split")
    mixing: Mixing = field(default_factory=Mixing)
    speed: float = 100.0
    transpose: float = 0.0
    tempo: float | None = None
    count_in: bool = True
    start_pitch: bool = True
    loudness: float = -16.0
    form: Format = field(default_factory=lambda: Format("mp3", 192))
    zip: bool = True

    def check(self, stems: Stems) -> None:
        """Refuse settings that cannot be met.

        Raises:
            UmssError: names the setting.
        """
        if not 50.0 <= self.speed <= 100.0:
            raise UmssError(f"speed={self.speed:g}: give per cent from 50 to 100")
        if not -12.0 <= self.transpose <= 12.0:
            raise UmssError(f"transpose={self.transpose:g}: give semitones from -12 to 12")
        unknown = [track for track in self.tracks if track not in TRACKS]
        if unknown or not self.tracks:
            raise UmssError(f"tracks={list(self.tracks)}: choose from {', '.join(TRACKS)}")
        for voice in self.voices or ():
            if voice not in stems.voices:
                raise UmssError(
                    f"voices: there is no singer {voice!r}; there are {', '.join(stems.voices)}"
                )
        self.form.check(stems.rate, 2, stems.name)
