"""What is evaluated: the rows and methods of rows.yaml, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import yaml

from src.errors import UmssError

HERE = Path(__file__).parent
PLAN = HERE / "rows.yaml"
GROUPS = (
    "plain", "unison", "crossing", "section", "room", "stereo", "accompaniment", "number", "noise",
)  # fmt: skip
USES = ("development", "test")
STEREO = ("panned", "spaced", "coincident", "mono")
BESIDE = ("organ", "piano")
AROUND = ("speech", "applause")
# Names are names of files too.
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class Singer:
    """One singer of a row, and what is done to the recording.

    Attributes:
        voice: csd/PART_NUMBER, choralsynth/PIECE/PART or choir/SONG/SEED/PART.
        start: s, where the excerpt begins; None: where the row's does.
        transpose: semitones, formants stay.
        formants: semitones that the formants move by themselves.
        mirror: whether the line is turned upside down around its median.
        speed: semitones by which the recording is played faster, formants and all.
        late: s.
        gain: dB.
    """

    voice: str
    start: float | None = None
    transpose: float = 0.0
    formants: float = 0.0
    mirror: bool = False
    speed: float = 0.0
    late: float = 0.0
    gain: float = 0.0


@dataclass(frozen=True)
class Room:
    """The room of a row.

    Attributes:
        kind: image (a shoebox) or noise (decaying).
        decay: time of 60 dB, s.
        direct: dB of the direct sound over the reflections.
    """

    kind: str
    decay: float
    direct: float


@dataclass(frozen=True)
class Beside:
    """Sound that nobody asks for.

    Attributes:
        kind: organ, piano (during the music); speech, applause (before or after it).
        level: dB over the singers together.
        seconds: length before or after the music.
        lines: voices whose lines an instrument plays; none: those of the singers, note by note.
    """

    kind: str
    level: float = 0.0
    seconds: float = 2.5
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """A mixture that every method separates.

    Attributes:
        name: on the command line, in tables and files.
        group: one of `GROUPS`.
        use: "development": choices may be made on it; "test": they may not.
        parts: singers of every stem that is wanted back, several for a section.
        start: s, where excerpts begin.
        seconds: length of the music.
        room, stereo, beside, before, after: see rows.yaml.
        seed: of everything that is drawn.
    """

    name: str
    group: str
    use: str
    parts: tuple[tuple[Singer, ...], ...]
    start: float = 8.0
    seconds: float = 8.0
    room: Room | None = None
    stereo: str | None = None
    beside: Beside | None = None
    before: Beside | None = None
    after: Beside | None = None
    seed: int = 0

    @property
    def singers(self) -> tuple[Singer, ...]:
        """All singers, part by part."""
        return tuple(singer for part in self.parts for singer in part)

    @property
    def roots(self) -> set[str]:
        """The data sets that it is made of."""
        return {singer.voice.split("/")[0] for singer in self.singers} - {"choir"}


@dataclass(frozen=True)
class Method:
    """What separates.

    Attributes:
        name: on the command line, in tables and files.
        separator: one of conf/separator.
        f0: own (estimated from the mixture) or stems (the bound).
        without: the part of the default that is left out, in words; None: it is a method of its
            own.
        settings: of `umss.separate`, by name.
    """

    name: str
    separator: str
    f0: str = "own"
    without: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Rows and methods, in the order of the tables."""

    rows: tuple[Row, ...]
    methods: tuple[Method, ...]


def read_plan(path: Path = PLAN) -> Plan:
    """A plan from its YAML file.

    Raises:
        UmssError: unknown fields or values, a name twice or not fit for a file.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = tuple(_build_row(path, entry) for entry in content["rows"])
    methods = tuple(_build(path, Method, entry) for entry in content["methods"])
    for entries in (rows, methods):
        names = [entry.name for entry in entries]
        for name in names:
            if names.count(name) > 1 or not _NAME.fullmatch(name):
                raise UmssError(
                    f"{path}: the name {name!r} occurs twice, or is not made of letters, digits "
                    "and . _ + - only; choose another one"
                )
    for method in methods:
        _check(path, method.name, "f0", method.f0, ("own", "stems"))
    return Plan(rows, methods)


def _build_row(path: Path, entry: Mapping[str, Any]) -> Row:
    name = entry.get("name")
    values = dict(entry)
    values["parts"] = tuple(
        tuple(_build_singer(path, one) for one in (part if isinstance(part, list) else [part]))
        for part in entry.get("parts") or ()
    )
    if entry.get("room") is not None:
        values["room"] = _build(path, Room, entry["room"])
        _check(path, name, "room.kind", values["room"].kind, ("image", "noise"))
    for place, kinds in (("beside", BESIDE), ("before", AROUND), ("after", AROUND)):
        if entry.get(place) is not None:
            values[place] = _build(path, Beside, entry[place])
            _check(path, name, f"{place}.kind", values[place].kind, kinds)
    row = _build(path, Row, values)
    _check(path, name, "group", row.group, GROUPS)
    _check(path, name, "use", row.use, USES)
    if row.stereo is not None:
        _check(path, name, "stereo", row.stereo, STEREO)
    if not row.parts:
        raise UmssError(f"{path}: {name}.parts is empty; name the singers")
    return row


def _build_singer(path: Path, entry: Any) -> Singer:
    return _build(path, Singer, {"voice": entry} if isinstance(entry, str) else entry)


Built = TypeVar("Built")


def _build(path: Path, kind: type[Built], values: Mapping[str, Any]) -> Built:
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise UmssError(f"{path}: unknown field {unknown[0]!r}; there are {', '.join(known)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise UmssError(f"{path}: {dict(values)} lacks a field ({error})") from error


def _check(path: Path, name: Any, key: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UmssError(f"{path}: {name}.{key}={value!r}: choose from {', '.join(known)}")


Named = TypeVar("Named", Row, Method)


def select(entries: Sequence[Named], patterns: Sequence[str] | None, what: str) -> list[Named]:
    """The entries whose names match a pattern such as unison*, in their own order; None = all.

    Rows are also chosen by their group.

    Raises:
        UmssError: a pattern that nothing matches.
    """
    if patterns is None:
        return list(entries)

    def matches(entry: Named, pattern: str) -> bool:
        return fnmatchcase(entry.name, pattern) or getattr(entry, "group", None) == pattern

    for pattern in patterns:
        if not any(matches(entry, pattern) for entry in entries):
            known = ", ".join(entry.name for entry in entries)
            raise UmssError(f"{what}: nothing is called {pattern}; there are {known}")
    return [e for e in entries if any(matches(e, pattern) for pattern in patterns)]
