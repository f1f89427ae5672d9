"""The page of a report: one HTML file with everything in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import jinja2
import matplotlib
from matplotlib.figure import Figure

from .content import Section

TEMPLATE = "report.html.j2"


def render_svg(figure: Figure) -> str:
    """A figure as SVG text; the same figure gives the same text."""
    buffer = io.StringIO()
    # Letters as shapes: they look the same without the font.
    with matplotlib.rc_context({"svg.hashsalt": "umss", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def render_page(
    sections: Sequence[Section], svgs: dict[str, str], *, title: str, summary: str
) -> str:
    """HTML without any reference to the outside.

    Args:
        sections: content of the page.
        svgs: SVG text of every picture, by its stem.
        title: of the page.
        summary: one sentence below the title.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("src", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # As an image, an SVG keeps its ids and styles to itself.
    images = {
        stem: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
        for stem, svg in svgs.items()
    }
    template = environment.get_template(TEMPLATE)
    return template.render(title=title, summary=summary, sections=sections, images=images)
