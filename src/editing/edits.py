"""What may be changed about a singer, and reading it from settings."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import UmssError
from .pitch import build_scale, read_key

RENDERINGS = ("stem", "synthesis")
ALIGNMENTS = ("dtw", "stretch", "none")
_MOST_SEMITONES = 36.0
_MOST_DB = 80.0


class EditError(UmssError):
    """An edit that cannot be made; the message names the singer, the field and the remedy."""


@dataclass(frozen=True)
class Intonation:
    """Where the notes of a singer are pulled.

    Attributes:
        to: "equal" (temperament), "just" (pure intervals above the tonic of `key`), a scale, e.g.
            "D major", or "score".
        strength: 0 = as sung, 1 = the middle of every note is in tune.
        key: the tonic of "just", e.g. "D".
        a4: Hz of A4; without effect for "score", which is laid into the recording's tuning.
        score: MIDI or MusicXML file, for "score".
    """

    to: str = "equal"
    strength: float = 1.0
    key: str | None = None
    a4: float = 440.0
    score: str | None = None


@dataclass(frozen=True)
class Edit:
    """What is changed about one singer, in this order.

    Attributes:
        copy_of: the singer from whom this new voice is made; None = an edit of a singer.
        contour: F0 to sing instead, a file: CSV, MIDI or MusicXML, in the recording's time. Its
            column or part of the singer's name counts, or the only one.
        intonation: where notes are pulled; "equal" is short for {"to": "equal"}.
        vibrato: factor on the vibrato; 0 = straight, 1 = as it is.
        degrees: degrees of `scale` that every note moves, 2 = a third above.
        scale: key of `degrees`, e.g. "D major".
        transpose: semitones.
        cents: hundredths of a semitone, besides.
        formants: semitones that the formants move, whatever the pitch does.
        timbre: another singer, whose mean spectrum the voice gets.
        harmonics: dB, of what has pitch.
        noise: dB, of what has none: breath, and consonants while there is pitch.
        gain: dB, of the whole.
    """

    copy_of: str | None = None
    contour: str | None = None
    intonation: Intonation | None = None
    vibrato: float = 1.0
    degrees: int = 0
    scale: str | None = None
    transpose: float = 0.0
    cents: float = 0.0
    formants: float = 0.0
    timbre: str | None = None
    harmonics: float = 0.0
    noise: float = 0.0
    gain: float = 0.0

    def find_source(self, singer: str) -> str:
        """Find the singer from whose stem this edit of a singer, or this new voice, is made."""
        return self.copy_of or singer

    @property
    def semitones(self) -> float:
        """The transposition, semitones."""
        return self.transpose + self.cents / 100.0

    @property
    def only_gain(self) -> bool:
        """Whether nothing changes but the level."""
        return self == Edit(copy_of=self.copy_of, gain=self.gain)


# Least and greatest value of numbers.
_BOUNDS = {
    "vibrato": (0.0, 10.0),
    "degrees": (-21, 21),
    "transpose": (-_MOST_SEMITONES, _MOST_SEMITONES),
    "cents": (-3600.0, 3600.0),
    "formants": (-12.0, 12.0),
    "harmonics": (-_MOST_DB, 40.0),
    "noise": (-_MOST_DB, 40.0),
    "gain": (-_MOST_DB, 40.0),
    "intonation.strength": (0.0, 1.0),
    "intonation.a4": (300.0, 600.0),
}


def build_edit(singer: str, settings: Any) -> Edit:
    """Build an edit from settings by name.

    Args:
        singer: whose edit it is, for messages.
        settings: values by the names of `Edit`.

    Raises:
        EditError: an unknown name, or a value that is not possible.
    """
    if isinstance(settings, Edit):
        return settings
    if not isinstance(settings, Mapping):
        raise EditError(
            f"{singer}={settings}: an edit has fields, e.g. {singer}.transpose=2 (in Python "
            f'{singer}={{"transpose": 2}})'
        )
    values = _convert(Edit, singer, settings)
    intonation = values.get("intonation")
    if isinstance(intonation, str):
        values["intonation"] = _build_intonation(singer, {"to": intonation})
    elif isinstance(intonation, Mapping):
        values["intonation"] = _build_intonation(singer, intonation)
    edit = Edit(**values)
    if edit.degrees and edit.scale is None:
        raise EditError(
            f"{singer}.degrees={edit.degrees}: degrees of which scale? Give {singer}.scale, e.g. "
            f"'D major'; or {singer}.transpose in semitones"
        )
    if edit.scale is not None:
        _check_key(f"{singer}.scale", edit.scale)
    return edit


def _build_intonation(singer: str, settings: Mapping[str, Any]) -> Intonation:
    name = f"{singer}.intonation"
    values = _convert(Intonation, name, settings)
    found = Intonation(**values)
    if found.to == "score":
        if found.score is None:
            raise EditError(f"{name}.to=score: give the file as {name}.score")
    else:
        if found.score is not None:
            raise EditError(f"{name}.score has an effect with {name}.to=score only; set that")
        try:
            build_scale(found.to, found.key, found.a4)
        except UmssError as error:
            raise EditError(
                f"{name}.to={found.to}: {error}; besides keys, equal, just and score are known"
            ) from error
    return found


def _check_key(name: str, text: str) -> None:
    try:
        read_key(text)
    except UmssError as error:
        raise EditError(f"{name}: {error}") from error


def _convert(kind: type, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check names and kinds of settings for a dataclass; null means the default."""
    known = {field.name: field for field in fields(kind)}
    values = {}
    for key, value in settings.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise EditError(f"{name} has no {key!r}{hint} (there are {', '.join(known)})")
        if value is not None:
            default = known[key].default
            assert default is not MISSING
            path = f"{name}.{key}"
            values[key] = _check_value(path, key, value, default, f"{kind.__name__.lower()}.{key}")
    return values


def _check_value(path: str, key: str, value: Any, default: Any, place: str) -> Any:
    if isinstance(value, Path):
        value = str(value)
    if default is None or isinstance(default, str):
        nested = key == "intonation" and isinstance(value, (Mapping, Intonation))
        if not nested and (not isinstance(value, str) or not value.strip()):
            raise EditError(f"{path}={value!r}: give a text")
        return value
    whole = isinstance(default, int)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or (whole and value != int(value)):
        raise EditError(f"{path}={value}: give a {'whole ' if whole else ''}number")
    least, most = _BOUNDS.get(place, _BOUNDS.get(key, (-math.inf, math.inf)))
    if not least <= value <= most:
        raise EditError(f"{path}={value}: give a number from {least:g} to {most:g}")
    return int(value) if whole else float(value)
