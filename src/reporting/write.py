"""Writes a report: the page, its tables as CSV, its figures as images."""

from __future__ import annotations

import html
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from ..errors import UmssError
from ..files import check_existing, write_text
from ..listening.files import EVALUATION
from ..metrics.tables import EvaluationTable, check_comparable
from ..plots import save_figure
from ..staging import stage
from .content import Grid, Group, Picture, group_tables, list_error_sizes
from .page import render_page, render_svg
from .provenance import build_provenance_section, write_command
from .sections import build_group_section

log = logging.getLogger(__name__)

PAGE = "report.html"
FORMATS = ("png", "svg", "pdf")


def write_report(
    tables: Sequence[EvaluationTable],
    output: str | Path,
    *,
    title: str = "Separation of singers",
    order: Sequence[str] | None = None,
    formats: Sequence[str] = ("png", "svg"),
    overwrite: bool = False,
    seed: int = 0,
    command: str | None = None,
) -> Path:
    """Write `report.html`, `tables/*.csv` and `figures/*`.

    Args:
        tables: evaluations, see `src.metrics.tables.read_tables`. Those with the same number of
            singers must hold the same frames. Those with errors in their F0 are not compared, but
            shown as curves over the size of the errors.
        output: folder of the report.
        title: title of the page.
        order: names of methods in the wanted order; others follow as given.
        formats: formats of the separate figures: "png", "svg", "pdf", or none.
        overwrite: replace files of an earlier report.
        seed: seed of the bootstrap.
        command: command that makes this report again, shown on the page; by default a call with
            all folders.

    Returns:
        Path of the page.

    Raises:
        UmssError: no tables, tables that cannot be compared, a table without a kept frame, an
            unknown format, or a name twice.
        OutputExistsError: a file of the report exists and `overwrite` is false.
    """
    unknown = [f for f in formats if f not in FORMATS]
    if unknown:
        raise UmssError(f"formats: {', '.join(map(str, unknown))}: choose of {', '.join(FORMATS)}")
    output = Path(output)
    page = output / PAGE
    check_existing([page], overwrite=overwrite)  # before the slow part
    groups = group_tables(tables, order)
    check_comparable(tables)
    missing = set(order or ()) - {table.name for table in tables}
    if missing:
        log.warning("order: no evaluation is named %s", ", ".join(sorted(missing)))

    sections = [build_group_section(group, seed=seed) for group in groups]
    sections.append(build_provenance_section(groups, command or write_command(tables, output)))
    parts = [part for section in sections for part in section.parts]
    grids = {
        output / "tables" / f"{grid.stem}.csv": grid
        for part in parts
        for grid in part.grids
        if grid.data is not None
    }
    pictures = {
        output / "figures" / f"{picture.stem}.{ending}": picture
        for part in parts
        for picture in part.pictures
        for ending in dict.fromkeys(formats)
    }
    check_existing([*grids, *pictures], overwrite=overwrite)
    svgs = {p.stem: render_svg(p.figure) for part in parts for p in part.pictures}
    files = [*grids, *pictures]
    former = _find_former(page) - set(files)
    names = [path.relative_to(output).as_posix() for path in files]
    with stage(output, "report") as place:
        for path, grid in grids.items():
            write_text(place.place(path), _to_csv(grid))
        for path, picture in pictures.items():
            _write_picture(place.place(path), picture, svgs)
        text = render_page(
            sections,
            svgs,
            title=title,
            summary=_summarise(groups),
            files=names,
            pages=_find_pages(tables, output),
        )
        write_text(place.place(page), text)
        place.publish([*files, page], remove=former)
    return page


def _find_pages(tables: Sequence[EvaluationTable], output: Path) -> dict[str, str]:
    """Find the pages to listen to that evaluations have: their addresses, seen from the report."""
    pages = {}
    for table in tables:
        page = table.path / EVALUATION
        if page.is_file():
            address = os.path.relpath(page.resolve(), output.resolve())
            kind = ", errors in F0" if list_error_sizes(table) else ""
            pages[f"{table.name} ({table.n_singers} singers{kind})"] = quote(os.fsencode(address))
    return pages


def _find_former(page: Path) -> set[Path]:
    """Find the files of an earlier report, which its page lists."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return set()
    listed = re.search(r'<meta name="umss-files" content="([^"]*)">', text)
    names = html.unescape(listed[1]).split("|") if listed else []
    # Only what a report writes, whatever the page says.
    plain = [name for name in names if re.fullmatch(r"(tables|figures)/[\w.+-]+", name)]
    return {path for name in plain if (path := page.parent / name).is_file()}


def _to_csv(grid: Grid) -> str:
    assert isinstance(grid.data, pd.DataFrame)
    return str(grid.data.to_csv(index=False, float_format="%.6g"))


def _write_picture(path: Path, picture: Picture, svgs: dict[str, str]) -> None:
    if path.suffix == ".svg":
        write_text(path, svgs[picture.stem])
    else:
        save_figure(path, picture.figure, overwrite=True)


def _summarise(groups: Sequence[Group]) -> str:
    """Summarise the content of the report in one sentence."""
    methods = dict.fromkeys(name for group in groups for name in group.methods)
    disturbed = sum(len(group.disturbed) for group in groups)
    singers = " and ".join(str(group.n_singers) for group in groups)
    words = f"{len(methods)} method" + ("s" if len(methods) != 1 else "")
    words += f" on mixtures of {singers} singers"
    if disturbed:
        words += f", and {disturbed} evaluation" + ("s" if disturbed > 1 else "")
        words += " with errors put into F0"
    return f"{words}."
