"""The page about how well an ensemble sang: one HTML file that needs no others."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from ..reporting.cells import format_number
from ..reporting.content import Part, Picture
from ..reporting.page import render_svg
from .estimates import Estimate
from .figures import DARK, LIGHT, Drawing, draw_deviations, draw_entries, draw_tuning, draw_vibrato
from .measures import IntonationMeasures
from .summary import (
    build_chords_grid,
    build_ratios_grid,
    build_singers_grid,
    build_unisons_grid,
)

TEMPLATE = "intonation.html.j2"
DRAWINGS: dict[str, Drawing] = {
    "deviations": draw_deviations,
    "tuning": draw_tuning,
    "entries": draw_entries,
    "vibrato": draw_vibrato,
}
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fact:
    """A number about all together: its name, itself, its unit, and what belongs to it."""

    name: str
    value: str
    unit: str
    detail: str


def render_page(measures: IntonationMeasures, name: str, files: list[str]) -> str:
    """Render the page.

    Args:
        measures: what it says.
        name: of the recording.
        files: names of the tables beside it.
    """
    parts = _build_parts(measures)
    images = {
        picture.stem: {
            "light": _encode(render_svg(picture.figure)),
            "dark": _encode(render_svg(DRAWINGS[picture.stem](measures, DARK))),
        }
        for part in parts
        for picture in part.pictures
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE.parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    notes = measures.notes
    minutes, seconds = divmod(round(float(notes["end"].max() - notes["start"].min())), 60)
    length = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return environment.get_template(TEMPLATE).render(
        title=f"How well we sang: {name}",
        lead=f"{', '.join(measures.names)}: {len(notes)} notes in {length}.",
        css=Markup(_read(_HERE.parent / "listening" / "page.css") + _read(_HERE / "page.css")),
        script=Markup(_read(_HERE / "page.js")),
        facts=_list_facts(measures),
        remarks=measures.remarks,
        parts=parts,
        images=images,
        files=files,
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").rstrip() + "\n"


def _encode(svg: str) -> str:
    # In an <img>, the ids and styles of an SVG cannot clash with those of others.
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _list_facts(measures: IntonationMeasures) -> list[Fact]:
    rows = [
        ("Drift", measures.drift, "cents per minute", 1),
        ("From pure intervals", measures.purity, "cents", 1),
        ("Unisons apart", measures.unison, "cents", 1),
        ("Octaves apart", measures.octave, "cents", 1),
        ("Entries apart", measures.together, "ms", 0),
    ]
    return [
        Fact(name, format_number(found.value, digits), unit, _detail(found, digits))
        for name, found, unit, digits in rows
        if found.count and found.value == found.value
    ]


def _detail(found: Estimate, digits: int) -> str:
    if found.low != found.low:
        return f"of {found.count}"
    ends = " … ".join(format_number(x, digits) for x in (found.low, found.high))
    return f"{ends}, of {found.count}"


def _build_parts(measures: IntonationMeasures) -> list[Part]:
    def show(stem: str, caption: str) -> list[Picture]:
        return [Picture(stem, caption, DRAWINGS[stem](measures, LIGHT))]

    parts = [
        Part(
            "Singers",
            [
                "Equal: from equal temperament, just: from pure intervals in the chord, both in "
                "the ensemble's own tuning of the moment, so that no drift of all counts. Scatter: "
                "how far single notes are from the singer's own mean (cents)."
            ],
            pictures=show(
                "deviations", "Every note (dots), and means with 95 % intervals (diamonds)."
            ),
            grids=[build_singers_grid(measures)],
        ),
        Part(
            "The tuning of all",
            pictures=show(
                "tuning",
                "Notes (dots) against equal temperament at A4 = 440 Hz; the tuning that most "
                "singers share (line), and its drift (dashed).",
            ),
        ),
    ]
    if measures.notes["entry_ms"].notna().any():
        caption = "Every entry (dots), and means with 95 % intervals (diamonds)."
        parts.append(Part("Entries", pictures=show("entries", caption)))
    if len(measures.chords):
        chords = build_chords_grid(measures)
        if chords.rows:
            text = [
                "A chord is held by two singers or more for a fifth of a second or longer. It "
                "may be as high as it likes: what counts are the intervals in it."
            ]
            parts.append(Part("Chords", text, grids=[chords, build_ratios_grid()]))
    if len(measures.unisons):
        parts.append(Part("Unisons and octaves", grids=[build_unisons_grid(measures)]))
    if (measures.notes["vibrato_hz"] > 0).any():
        caption = "Notes with vibrato: how fast, and how far to either side."
        parts.append(Part("Vibrato", pictures=show("vibrato", caption)))
    return parts
