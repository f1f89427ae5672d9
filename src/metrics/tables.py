"""Reads evaluation tables from disk and checks that they are complete and comparable.

A table is a folder with `frames.csv` and `summary.json`, as `umss evaluate` writes it.
"""

from __future__ import annotations

import csv
import glob
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UmssError, shorten_reason
from .bss import BSS_METRICS

FRAMES, SUMMARY = "frames.csv", "summary.json"
ROW = ["song", "mixture", "excerpt", "start", "source", "voice", "frame"]
"""Columns that say what a row is a score of; together with the seed they are unique."""
REQUIRED = [*ROW, "singer", "seed", "energy", "kept", "si_sdr", "spectral_snr"]
"""Columns without which a file is no evaluation table."""
FIELDS = ("name", "n_singers", "protocol")
"""Fields without which a summary cannot be compared with others."""
MOST_SINGERS = 32
TEXT = ("song", "mixture", "voice", "singer")


@dataclass(frozen=True, eq=False)
class EvaluationTable:
    """One evaluation: one method, one set of mixtures.

    Attributes:
        path: its folder.
        name: name of the method.
        summary: content of summary.json.
        frames: content of frames.csv, one row per mixture, excerpt, voice, frame and seed.
    """

    path: Path
    name: str
    summary: dict[str, Any]
    frames: pd.DataFrame

    @property
    def n_singers(self) -> int:
        """J."""
        return int(self.summary["n_singers"])

    @property
    def f0_errors(self) -> dict[str, float]:
        """Errors that were added to the F0 tracks; empty if there were none."""
        return dict(self.summary.get("f0_errors") or {})


def read_tables(folders_or_globs: Sequence[str | Path]) -> list[EvaluationTable]:
    """Read evaluation tables.

    Args:
        folders_or_globs: folders of evaluations, folders that contain such folders at any depth, or
            patterns of either such as `outputs/*-j4` (`**` = any depth). A folder that is named
            twice is read once.

    Returns:
        The tables, those of one pattern or parent folder in the order of their paths.

    Raises:
        FileNotFoundError: no evaluation was found, or one of its two files is missing.
        UmssError: a broken file, a missing column or field, a kept row without a score, a repeated
            row, or two tables of the same name, number of singers and F0 errors.
    """
    if isinstance(folders_or_globs, (str, Path)):
        folders_or_globs = [folders_or_globs]
    folders: dict[Path, Path] = {}
    for entry in folders_or_globs:
        for folder in _find_evaluations(entry):
            folders.setdefault(folder.resolve(), folder)
    if not folders:
        raise FileNotFoundError("no evaluation given; name folders written by src.evaluate")
    tables = [_read(folder) for folder in folders.values()]
    seen: dict[tuple[Any, ...], EvaluationTable] = {}
    for table in tables:
        key = (table.name, table.n_singers, json.dumps(table.f0_errors, sort_keys=True))
        other = seen.setdefault(key, table)
        if other is not table:
            raise UmssError(
                f"{other.path} and {table.path}: two evaluations of {table.name!r} with "
                f"{table.n_singers} singers and the same F0 errors; leave one out, or give one "
                "another name= when evaluating"
            )
    return tables


def check_comparable(tables: Sequence[EvaluationTable]) -> None:
    """Check that tables with the same number of singers hold scores of the same frames.

    Protocols must be equal, and every seed of every table must have the same rows, with the same
    rows kept. Tables of different numbers of singers are not compared.

    Raises:
        UmssError: two tables differ; the message names them, their first difference and a remedy.
    """
    first: dict[int, EvaluationTable] = {}
    rows: dict[int, pd.Series] = {}
    for table in tables:
        reference = first.setdefault(table.n_singers, table)
        both = f"{reference.path} and {table.path} cannot be compared"
        difference = find_difference(reference.summary["protocol"], table.summary["protocol"])
        if difference is not None:
            raise UmssError(
                f"{both}: protocol.{difference}; evaluate both on the same data, or report on "
                "them separately"
            )
        for seed, of_seed in table.frames.groupby("seed"):
            kept = of_seed.set_index(ROW)["kept"].sort_index()
            expected = rows.setdefault(table.n_singers, kept)
            if kept.index.equals(expected.index) and np.array_equal(kept, expected):
                continue
            raise UmssError(
                f"{both}: {_describe_first_difference(expected, kept, reference, table, seed)}; "
                "evaluate both again with the same version and the same data"
            )


def _find_evaluations(entry: str | Path) -> list[Path]:
    """Find the folders of evaluations that match an argument of `read_tables`."""
    path = Path(entry)
    found = [path] if path.exists() else [Path(p) for p in glob.glob(str(entry), recursive=True)]
    folders: set[Path] = set()
    for match in found:
        if match.is_file():
            if match.name in (FRAMES, SUMMARY):
                folders.add(match.parent)
        elif (match / FRAMES).exists() or (match / SUMMARY).exists():
            folders.add(match)
        else:
            folders |= {file.parent for file in match.rglob(FRAMES)}
    if not folders:
        raise FileNotFoundError(
            f"{entry}: no evaluation there; name a folder that holds {FRAMES} and {SUMMARY}, a "
            "folder of such folders, or a pattern"
        )
    return sorted(folders)


def _read(folder: Path) -> EvaluationTable:
    for name in (FRAMES, SUMMARY):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name}: missing; evaluate again with overwrite=true, or leave the "
                "folder out"
            )
    summary = _read_summary(folder / SUMMARY)
    return EvaluationTable(folder, str(summary["name"]), summary, _read_frames(folder / FRAMES))


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UmssError(
            f"{path}: not readable as JSON ({shorten_reason(error)}); evaluate again"
        ) from error
    missing = [k for k in FIELDS if not isinstance(summary, dict) or k not in summary]
    if missing:
        raise UmssError(
            f"{path}: no field {', '.join(missing)}; written by another program or an older "
            "version, evaluate again"
        )
    singers = summary["n_singers"]
    errors, speed = summary.get("f0_errors") or {}, summary.get("speed") or {}
    for field, good in (
        ("name", isinstance(summary["name"], str) and summary["name"].strip() != ""),
        ("n_singers", type(singers) is int and 1 <= singers <= MOST_SINGERS),
        ("protocol", isinstance(summary["protocol"], dict)),
        ("f0_errors", isinstance(errors, dict) and all(map(_is_number, errors.values()))),
        ("speed", isinstance(speed, dict)),
    ):
        if not good:
            raise UmssError(
                f"{path}: {field}={summary.get(field)!r} is not what an evaluation writes; "
                "evaluate again"
            )
    for field, value in speed.items():
        if field != "device" and value is not None and not _is_number(value):
            raise UmssError(f"{path}: speed.{field}={value!r} is not a number; evaluate again")
    return dict(summary)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _read_frames(path: Path) -> pd.DataFrame:
    try:
        # Names such as "1" or "NA" must be read as text.
        frames = pd.read_csv(
            path,
            dtype=dict.fromkeys(TEXT, "str"),
            keep_default_na=False,
            na_values={c: ["", "nan", "NaN"] for c in _list_numeric_columns(path)},
        )
    except (ValueError, OSError, OverflowError, csv.Error) as error:
        raise UmssError(
            f"{path}: not readable as a table ({shorten_reason(error)}); evaluate again"
        ) from error
    missing = [column for column in REQUIRED if column not in frames]
    if missing:
        raise UmssError(f"{path}: no column {', '.join(missing)}; evaluate again")
    if frames.empty:
        raise UmssError(f"{path}: no rows; evaluate again")
    if frames["kept"].dtype != bool:
        raise UmssError(f"{path}: column kept holds more than True and False; evaluate again")
    scores = [c for c in frames.columns if c not in (*TEXT, "kept")]
    for column in scores:
        if not pd.api.types.is_numeric_dtype(frames[column]):
            bad = pd.to_numeric(frames[column], errors="coerce").isna()
            raise UmssError(
                f"{path}: column {column} is not a number in {_describe_row(frames, bad)}"
            )
        if column in BSS_METRICS:  # undefined where any source is silent
            continue
        bad = frames["kept"] & ~np.isfinite(frames[column])
        if bad.any():
            raise UmssError(
                f"{path}: column {column} is NaN or infinite in {_describe_row(frames, bad)}, "
                "which is kept; evaluate again"
            )
    whole = [c for c in ("excerpt", "start", "source", "frame", "seed") if c in frames]
    for column in whole:
        values = frames[column]
        bad = ~(np.isfinite(values) & (np.floor(values) == values) & (values.abs() < 2**53))
        if bad.any():
            raise UmssError(
                f"{path}: column {column} is not a whole number in {_describe_row(frames, bad)}; "
                "evaluate again"
            )
        frames[column] = values.astype(np.int64)
    twice = frames.duplicated([*ROW, "seed"])
    if twice.any():
        raise UmssError(f"{path}: {_describe_row(frames, twice)} is there twice; evaluate again")
    return frames


def _list_numeric_columns(path: Path) -> list[str]:
    header = pd.read_csv(path, nrows=0, keep_default_na=False).columns
    return [column for column in header if column not in TEXT]


def _describe_row(frames: pd.DataFrame, where: pd.Series) -> str:
    """Describe the first row of a selection; line 1 of the file is its header."""
    position = int(np.flatnonzero(where.to_numpy())[0])
    row = frames.iloc[position]
    return (
        f"line {position + 2} (song {row['song']}, mixture {row['mixture']}, excerpt "
        f"{row['excerpt']}, voice {row['voice']}, frame {row['frame']}, seed {row['seed']})"
    )


def find_difference(
    one: Any,
    other: Any,
    name: str = "",
    *,
    names: tuple[str, str] = ("the first", "the second"),
) -> str | None:
    """Find the first field in which two structures differ, with both values; None if equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            inner = f"{name}.{key}" if name else str(key)
            if key in one and key in other:
                difference = find_difference(one[key], other[key], inner, names=names)
                if difference is not None:
                    return difference
            else:
                found = [repr(d[key]) if key in d else "not given" for d in (one, other)]
                return f"{inner} is {found[0]} in {names[0]}, {found[1]} in {names[1]}"
        return None
    if one == other:
        return None
    return f"{name} is {one!r} in {names[0]}, {other!r} in {names[1]}"


def _describe_first_difference(
    expected: pd.Series,
    found: pd.Series,
    reference: EvaluationTable,
    table: EvaluationTable,
    seed: Any,
) -> str:
    def name_row(key: tuple[Any, ...]) -> str:
        return ", ".join(f"{name} {value}" for name, value in zip(ROW, key, strict=True))

    for there, lacking, have, have_not in (
        (expected, found, reference, table),
        (found, expected, table, reference),
    ):
        extra = there.index.difference(lacking.index)
        if len(extra):
            where = f" (seed {seed})" if table in (have, have_not) else ""
            row = name_row(extra[0])
            return f"the row {row} is in {have.path} but not in {have_not.path}{where}"
    key = expected.index[np.flatnonzero(expected.to_numpy() != found.to_numpy())[0]]
    return f"the row {name_row(key)} is kept in one and silent in the other"
