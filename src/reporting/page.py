"""Renders the page of a report: one HTML file that needs no others."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import matplotlib
from matplotlib.figure import Figure

from .content import Section

TEMPLATE = "report.html.j2"


def render_svg(figure: Figure) -> str:
    """Render a figure as SVG text; equal figures give equal text."""
    buffer = io.StringIO()
    # Text as paths looks the same on machines without the font.
    with matplotlib.rc_context({"svg.hashsalt": "umss", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def render_page(
    sections: Sequence[Section],
    svgs: dict[str, str],
    *,
    title: str,
    summary: str,
    files: Sequence[str] = (),
    pages: Mapping[str, str] | None = None,
) -> str:
    """Render a report as HTML that loads nothing from elsewhere.

    Args:
        sections: content of the page.
        svgs: SVG text of every picture, by its stem.
        title: title of the page.
        summary: one sentence below the title.
        files: what was written beside the page, listed in its head for the next report.
        pages: addresses of pages to listen to, by what is heard there.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # In an <img>, the ids and styles of an SVG cannot clash with those of others.
    images = {
        stem: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
        for stem, svg in svgs.items()
    }
    template = environment.get_template(TEMPLATE)
    return template.render(
        title=title,
        summary=summary,
        sections=sections,
        images=images,
        files="|".join(files),
        pages=pages or {},
    )
