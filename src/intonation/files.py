"""The files about how well an ensemble sang."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..files import check_existing, name_failed_file, write_text
from ..staging import stage
from .measures import IntonationMeasures
from .page import render_page

TABLES = ("singers", "ensemble", "notes", "chords", "unisons", "tuning")


def name_files(folder: Path, name: str) -> dict[str, Path]:
    """Where the page and the tables go, by "page" and the names of the tables."""
    tables = {table: folder / f"{name}_intonation_{table}.csv" for table in TABLES}
    return {"page": folder / f"{name}_intonation.html", **tables}


def write_measures(
    folder: Path, name: str, measures: IntonationMeasures, *, overwrite: bool = False
) -> dict[str, Path]:
    """Write the page and the tables, all or none (`IntonationMeasures.save`)."""
    paths = name_files(folder, name)
    check_existing(paths.values(), overwrite=overwrite)
    tables: dict[str, pd.DataFrame] = {table: getattr(measures, table) for table in TABLES}
    with stage(folder, f"{name}_intonation") as place, name_failed_file(paths["page"]):
        for table, content in tables.items():
            text = content.to_csv(index=False, float_format="%.6g", lineterminator="\n")
            write_text(place.place(paths[table]), text)
        page = render_page(measures, name, [paths[table].name for table in TABLES])
        write_text(place.place(paths["page"]), page)
        place.publish(paths.values())
    return paths
