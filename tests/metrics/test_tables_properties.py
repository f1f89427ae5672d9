"""Evaluations that were damaged: a report of what is there, or one sentence that names the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from src.metrics.tables import FRAMES, SUMMARY, read_tables
from src.reporting.write import write_report
from tests.doors import JUNK, assert_one_sentence, damaged, few_and_many, snapshot, with_junk
from tests.reporting.fake_tables import speed, two_methods, write_table


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    (good, _) = two_methods(folder, n_singers=2, songs=("locus",), excerpts=2)
    write_table(folder / "third-j2", "third", good.frames, n_singers=2, speed=speed(0.5))
    return folder


def copy_of(whole: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    return folder


CELLS = st.one_of(
    st.sampled_from(["", "nan", "inf", "-inf", "x", "1e400", "-1", "0.5", '"', "a,b", "True",
                     "99999999999999999999", "ü", "1_000"]),
    st.text(max_size=5),
)  # fmt: skip


def spoil(folder: Path, data: st.DataObject) -> None:
    """Change one of the files of an evaluation."""
    kind = data.draw(st.sampled_from(["bytes", "summary", "summary", "cell", "cell", "column",
                                      "rows", "twice", "folder", "remove"]))  # fmt: skip
    place = folder / data.draw(st.sampled_from(["good-j2", "third-j2"]))
    frames, summary = place / FRAMES, place / SUMMARY
    lines = frames.read_text().splitlines()
    if kind == "bytes":
        path = data.draw(st.sampled_from([frames, summary]))
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    elif kind == "summary":
        content = json.loads(summary.read_text())
        changed: Any = data.draw(st.one_of(with_junk(content), JUNK))
        summary.write_text(json.dumps(changed))
    elif kind == "cell":
        row = data.draw(st.integers(0, len(lines) - 1))
        cells = lines[row].split(",")
        cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(CELLS)
        lines[row] = ",".join(cells)
        frames.write_text("\n".join(lines), encoding="utf-8")
    elif kind == "column":
        gone = data.draw(st.integers(0, lines[0].count(",")))
        rows = [line.split(",") for line in lines]
        frames.write_text("\n".join(",".join(r[:gone] + r[gone + 1 :]) for r in rows))
    elif kind == "rows":
        frames.write_text("\n".join(lines[: data.draw(st.integers(0, len(lines) - 1))]))
    elif kind == "twice":
        frames.write_text("\n".join([*lines, data.draw(st.sampled_from(lines))]))
    else:
        path = data.draw(st.sampled_from([frames, summary]))
        path.unlink()
        if kind == "folder":
            path.mkdir()


def check_damaged_evaluations(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    # Drawing takes longer than the rest, and asks for nothing that was not computed before.
    monkeypatch.setattr("src.reporting.write.render_svg", lambda figure: "<svg/>")
    folder = copy_of(whole, tmp_path)
    spoil(folder, data)
    before = snapshot(folder)
    output = tmp_path / "report"
    shutil.rmtree(output, ignore_errors=True)
    try:
        tables = read_tables([folder])
        for table in tables:
            kept = table.frames[table.frames["kept"]]
            assert np.isfinite(kept["si_sdr"]).all()
            assert table.name and table.n_singers > 0
        page = write_report(tables, output, formats=())
    except (ValueError, OSError) as error:
        assert_one_sentence(error, str(folder), "good", "third")
        assert not output.exists()
    else:
        assert page.stat().st_size > 1000
    assert snapshot(folder) == before


globals().update(few_and_many(check_damaged_evaluations))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_singers", "four"), ("n_singers", None), ("n_singers", 0), ("n_singers", 1e9),
        ("n_singers", True), ("name", None), ("name", ""), ("name", ["a"]), ("protocol", []),
        ("f0_errors", [1]), ("f0_errors", {"octave_rate": "x"}), ("speed", 3),
        ("speed", {"seconds": "x"}),
    ],
)  # fmt: skip
def test_fields_of_other_kinds_are_named(
    field: str, value: Any, whole: Path, tmp_path: Path
) -> None:
    folder = copy_of(whole, tmp_path)
    path = folder / "good-j2" / SUMMARY
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ValueError, match=field) as caught:
        read_tables([folder])
    assert_one_sentence(caught.value, str(path))


@pytest.mark.parametrize("value", ["0.5", "nan", "inf", "1e300", "x"])
@pytest.mark.parametrize("column", ["seed", "excerpt", "frame", "source", "start"])
def test_numbers_that_are_not_whole_are_named(
    column: str, value: str, whole: Path, tmp_path: Path
) -> None:
    folder = copy_of(whole, tmp_path)
    path = folder / "good-j2" / FRAMES
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[3][lines[0].index(column)] = value
    path.write_text("\n".join(map(",".join, lines)))
    with pytest.raises(ValueError, match=column) as caught:
        read_tables([folder])
    assert_one_sentence(caught.value, str(path))
