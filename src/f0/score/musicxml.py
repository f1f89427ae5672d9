"""Parts of MusicXML files."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..names import clean_name
from .parts import DEFAULT_TEMPO, Note, Part, ScoreError, build_clock

LARGEST = 64 * 2**20  # bytes of XML; choral scores have a few
MOST_OPEN_REPEATS = 8  # ends of repeats in one part with no start before them
MOST_REPEATS = 300  # the sum of what repeats say of themselves
_LIMITS = {
    "fifths": 14, "chromatic": 127, "octave-change": 10, "diatonic": 127, "octave": 20,
    "beats": 999, "beat-type": 999, "multiple-rest": 9999, "staves": 99, "alter": 9
}  # fmt: skip
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")


def read_musicxml(path: Path) -> list[Part]:
    """Read the parts of a MusicXML file, packed (.mxl) or not.

    Raises:
        ScoreError: too large, packed without a score, or with declarations that no score needs.
        Exception: of any type, from music21 or the XML parser, if the file is malformed.
    """
    from music21 import stream
    from music21.musicxml.xmlToM21 import MusicXMLImporter  # takes a second

    root = _parse(path)
    drums = _find_percussion(root)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about details of notation
        importer = MusicXMLImporter()
        importer.xmlRoot = root
        importer.xmlRootToScore(root, importer.stream)
        score = _unfold(importer.stream).toSoundingPitch()
        marks = [
            (float(start), float(mark.getQuarterBPM() or DEFAULT_TEMPO))
            for start, _, mark in score.metronomeMarkBoundaries()
        ]
    clock = build_clock(marks)
    parts = []
    for part in score.getElementsByClass(stream.Part):
        notes = []
        for element in part.recurse().notes:
            length = float(element.quarterLength)
            pitches = getattr(element, "pitches", ())
            if not length or not pitches:  # ornaments; drums
                continue
            container = element.activeSite
            voice = str(container.id) if isinstance(container, stream.Voice) else None
            start = float(element.getOffsetInHierarchy(part))
            notes += [
                Note(clock(start), clock(start + length), float(pitch.ps), voice)
                for pitch in pitches
            ]
        name = clean_name(part.partName or "")
        parts.append(Part(name, tuple(notes), percussion=not drums.isdisjoint(part.groups)))
    return parts


def _unfold(score: Any) -> Any:
    """Write out the repeats of a score; leave it unchanged if music21 cannot interpret them."""
    from music21.exceptions21 import Music21Exception

    try:
        return score.expandRepeats()
    except Music21Exception:
        return score


def _parse(path: Path) -> ElementTree.Element:
    data = _unpack(path) if zipfile.is_zipfile(path) else _read_limited(path)
    text = _decode(data).lstrip("\ufeff \t\r\n")
    # Entities can expand without end; no notation program writes any.
    if "<!ENTITY" in text:
        raise ScoreError(
            f"{path}: the file declares entities of its own, which are not read; export it again "
            "from a notation program"
        )
    # Encodings that the parser does not know are decoded already.
    root = ElementTree.fromstring(text)
    if root.tag == "score-timewise":
        raise ScoreError(
            f"{path}: the score is ordered by measures (score-timewise); export it part by part "
            "(score-partwise), as notation programs do unless told otherwise"
        )
    if root.tag != "score-partwise":
        raise ScoreError(
            f"{path}: this is XML but no MusicXML score (it begins with <{root.tag[:40]}>); export "
            "MusicXML from a notation program"
        )
    _check_numbers(path, root)
    for part in root.findall("part"):
        _write_starts(path, part)
    return root


def _read_limited(path: Path) -> bytes:
    size = path.stat().st_size
    if size > LARGEST:
        raise ScoreError(_say_too_large(path))
    return path.read_bytes()


def _say_too_large(path: Path) -> str:
    return f"{path}: holds more than {LARGEST >> 20} MB of XML; export the voices only"


def _unpack(path: Path) -> bytes:
    """Unpack the score of an .mxl file: the one that its container names, or the first."""
    with zipfile.ZipFile(path) as archive:
        names = [
            name
            for name in archive.namelist()
            if not name.startswith("META-INF") and name.endswith((".xml", ".musicxml", ".mxl"))
        ]
        if "META-INF/container.xml" in archive.namelist():
            with archive.open("META-INF/container.xml") as stream:
                container = _decode(stream.read(2**16))
            named = re.search(r"full-path\s*=\s*[\"']([^\"']+)", container)
            if named and named.group(1) in archive.namelist():
                names.insert(0, named.group(1))
        if not names:
            raise ScoreError(f"{path}: the archive holds no score; export it again as .mxl")
        with archive.open(names[0]) as stream:  # what it says of its size may be wrong
            data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ScoreError(_say_too_large(path))
    return data


def _decode(data: bytes) -> str:
    """Decode by the byte order mark, zero bytes, or the encoding that is declared."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    if b"\0" in data[:4]:
        return data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le")
    declared = _ENCODING.search(data[:1000])
    for encoding in ("utf-8", declared.group(1).decode() if declared else "cp1252"):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("cp1252", errors="replace")


def _write_starts(path: Path, part: ElementTree.Element) -> None:
    """Write the starts of repeats that are left to the reader: after the repeat before.

    music21 would go back to the beginning of the piece, at each repeat twice as long as before.
    """
    measures = part.findall("measure")
    start: ElementTree.Element | None = None
    open_ended = 0
    for measure, following in zip(measures, [*measures[1:], None], strict=True):
        ways = [repeat.get("direction") for repeat in measure.iterfind("barline/repeat")]
        if "forward" in ways:
            start = None
        if "backward" not in ways:
            continue
        if start is not None:
            barline = ElementTree.Element("barline", {"location": "left"})
            barline.append(ElementTree.Element("repeat", {"direction": "forward"}))
            start.insert(0, barline)
        elif "forward" not in ways:
            open_ended += 1
        endings = [*measure.iterfind("barline/ending")]
        if following is not None:
            endings += following.iterfind("barline/ending")
        start = None if endings else following
    if open_ended > MOST_OPEN_REPEATS:
        raise ScoreError(
            f"{path}: its repeats have ends but no starts, so their order is unclear; write the "
            "starts in a notation program, or write the repeats out"
        )


def _check_numbers(path: Path, root: ElementTree.Element) -> None:
    """Refuse numbers that are typing errors at best, over which music21 would count for hours."""
    repeats = 0.0
    for element in root.iter():
        if element.tag == "repeat":
            repeats += max(_find_numbers(element.get("times")), default=0.0)
        limit = _LIMITS.get(element.tag) if isinstance(element.tag, str) else None
        if limit is not None and any(x > limit for x in _find_numbers(element.text)):
            raise ScoreError(
                f"{path}: {(element.text or '').strip()[:20]!r} is too large for <{element.tag}>; "
                "correct it in a notation program"
            )
    if repeats > MOST_REPEATS:
        raise ScoreError(
            f"{path}: {repeats:.0f} repetitions are written (times=), too many to be sung; correct "
            "them in a notation program"
        )


def _find_numbers(text: str | None) -> list[float]:
    """The numbers without sign in a text such as `3+2`; infinity in place of endless digits."""
    if text is None or len(text) > 400:
        return [] if text is None else [float("inf")]
    return [float(number) for number in re.findall(r"[0-9]+(?:\.[0-9]+)?(?:[eE][0-9]+)?", text)]


def _find_percussion(root: ElementTree.Element) -> set[str]:
    """Find the identifiers of parts that are percussion by their clef or instruments."""
    found = set()
    for part in root.findall("part"):
        signs = {sign.text for sign in part.iterfind("measure/attributes/clef/sign")}
        if signs == {"percussion"}:
            found.add(part.get("id", ""))
    for part in root.iterfind("part-list/score-part"):
        channels = {channel.text for channel in part.iterfind("midi-instrument/midi-channel")}
        if channels == {"10"} and part.find("midi-instrument/midi-unpitched") is not None:
            found.add(part.get("id", ""))
    return found
