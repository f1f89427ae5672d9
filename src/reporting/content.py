"""The content of a report, before it is written to a page and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from ..errors import UmssError
from ..metrics.tables import EvaluationTable

ERROR_KINDS = ("offset_hz", "octave_rate", "swap_rate", "dropped_rate", "false_rate")
"""Sizes of the errors of `src.f0.errors.F0Errors`; its other fields are lengths of stretches."""


SMALL = 6.0
"""Inches below which a figure takes half of a printed page."""


@dataclass(frozen=True)
class Grid:
    """A table for readers, and its numbers for a CSV file.

    Attributes:
        stem: name of its CSV file, without an ending.
        caption: one sentence above the table.
        header: column titles; the first column holds names, the others numbers.
        rows: cells.
        data: content of the CSV file; None = no file.
        folded: hidden until the reader opens it.
        text: every column holds words instead of numbers.
    """

    stem: str
    caption: str
    header: list[str]
    rows: list[list[str]]
    data: pd.DataFrame | None = None
    folded: bool = False
    text: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, the name of its files without an ending, and its caption."""

    stem: str
    caption: str
    figure: Figure

    @property
    def small(self) -> bool:
        """Whether two of them fit side by side."""
        return float(self.figure.get_figwidth()) < SMALL


@dataclass(frozen=True)
class Part:
    """A heading with paragraphs, a command, figures and tables below it, in this order."""

    title: str
    text: list[str] = field(default_factory=list)
    command: str = ""
    pictures: list[Picture] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """All parts about one number of singers, or about how the report was made."""

    anchor: str
    title: str
    parts: list[Part]


@dataclass(frozen=True, eq=False)
class Group:
    """The evaluations of mixtures of one number of singers.

    Attributes:
        n_singers: J.
        methods: evaluations to compare, by name, in the order of the report.
        disturbed: evaluations with errors in F0, in the same order.
    """

    n_singers: int
    methods: dict[str, EvaluationTable]
    disturbed: list[EvaluationTable]

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Tables of frames of the methods to compare, by name."""
        return {name: table.frames for name, table in self.methods.items()}


def list_error_sizes(table: EvaluationTable) -> dict[str, float]:
    """List the kinds of errors in the F0 of an evaluation with their sizes."""
    errors = table.f0_errors
    return {kind: float(errors[kind]) for kind in ERROR_KINDS if float(errors.get(kind, 0)) > 0}


def group_tables(
    tables: Sequence[EvaluationTable], order: Sequence[str] | None = None
) -> list[Group]:
    """Group evaluations by number of singers, fewest first.

    Args:
        tables: evaluations of distinct names, numbers of singers and F0 errors.
        order: names in the wanted order; others follow in the order of `tables`, and names
            without an evaluation are ignored.

    Raises:
        UmssError: no tables, or two to compare have the same name and number of singers.
    """
    if not tables:
        raise UmssError("tables=[]: name at least one folder written by src.evaluate")
    rank = {name: position for position, name in reversed(list(enumerate(order or ())))}
    ordered = sorted(tables, key=lambda table: rank.get(table.name, len(rank)))  # stable
    groups = []
    for n_singers in sorted({table.n_singers for table in ordered}):
        group = Group(n_singers, {}, [])
        for table in (t for t in ordered if t.n_singers == n_singers):
            if list_error_sizes(table):
                group.disturbed.append(table)
            elif group.methods.setdefault(table.name, table) is not table:
                raise UmssError(
                    f"{group.methods[table.name].path} and {table.path}: two evaluations named "
                    f"{table.name!r} with {n_singers} singers; leave one out or rename one"
                )
        groups.append(group)
    return groups
