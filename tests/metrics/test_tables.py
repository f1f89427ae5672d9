"""Reading evaluation tables, and telling whether they may be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.metrics.tables import check_comparable, read_tables

PROTOCOL = {"data": "csd", "n_singers": 2, "singers": {"nino_dios": [4]}, "songs": ["nino_dios"]}


def frames(seeds: tuple[int, ...] = (0,)) -> pd.DataFrame:
    rows = [
        {"song": "01", "mixture": "S_1+A_1", "excerpt": e, "start": 64_000 * e, "source": j,
         "voice": "SA"[j], "singer": "1", "frame": f, "seed": s, "energy": 50.0, "kept": f != 3,
         "si_sdr": 5.0, "si_sdr_improvement": 4.0, "spectral_snr": 6.0, "sdr": np.nan}
        for e in range(2) for j in range(2) for f in range(4) for s in seeds
    ]  # fmt: skip
    return pd.DataFrame(rows)


def write(folder: Path, table: pd.DataFrame | None = None, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    (frames() if table is None else table).to_csv(folder / "frames.csv", index=False)
    summary = {"name": folder.name, "n_singers": 2, "protocol": PROTOCOL} | changes
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_tables_come_back_as_written(tmp_path: Path) -> None:
    folder = write(tmp_path / "comb", f0_errors={"octave_rate": 0.1})
    (found,) = read_tables([folder])
    assert (found.path, found.name, found.n_singers) == (folder, "comb", 2)
    assert found.f0_errors == {"octave_rate": 0.1}
    pd.testing.assert_frame_equal(found.frames, frames(), check_dtype=False)
    assert found.frames["song"][0] == "01"  # text, though it looks like a number
    assert found.frames["kept"].dtype == bool


def test_folders_parents_files_and_patterns(tmp_path: Path) -> None:
    for name in ("b", "a", "deep/c"):
        write(tmp_path / "grid" / name)
    names = {
        "parent": [tmp_path / "grid"],
        "pattern": [str(tmp_path / "grid" / "*")],
        "recursive": [str(tmp_path / "**" / "frames.csv")],
        "twice": [tmp_path / "grid", tmp_path / "grid" / "a", tmp_path / "grid" / "b" / ".." / "b"],
        "one": tmp_path / "grid",
    }
    for entries in names.values():
        assert [t.name for t in read_tables(entries)] == ["a", "b", "c"]  # type: ignore[arg-type]
    order = [tmp_path / "grid" / name for name in ("deep", "b")]
    assert [t.name for t in read_tables(order)] == ["c", "b"]


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for entry in ("nowhere", "empty", "x*"):
        with pytest.raises(FileNotFoundError, match="no evaluation there"):
            read_tables([tmp_path / entry])
    with pytest.raises(FileNotFoundError, match="no evaluation given"):
        read_tables([])


@pytest.mark.parametrize("name", ["frames.csv", "summary.json"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "comb")
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}: missing"):
        read_tables([folder])
    # Below a parent folder frames.csv is what makes an evaluation: other programs write summaries.
    message = "summary.json: missing" if name == "summary.json" else "no evaluation there"
    with pytest.raises(FileNotFoundError, match=message):
        read_tables([tmp_path])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not readable as a table"),
        ('song,mixture\n"1', "not readable as a table"),
        ("song,mixture\n1,2,3,4\n1", "no column excerpt"),
        ("a,b\n1,2\n", "no column song, mixture, excerpt"),
        (frames()[:0].to_csv(index=False), "no rows"),
        (frames().assign(kept="maybe").to_csv(index=False), "column kept"),
        (frames().assign(si_sdr="loud").to_csv(index=False), "si_sdr is not a number in line 2"),
    ],
)
def test_broken_tables(tmp_path: Path, content: str, message: str) -> None:
    folder = write(tmp_path / "comb")
    (folder / "frames.csv").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_tables([folder])
    assert str(folder / "frames.csv") in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_undefined_scores_in_kept_rows(tmp_path: Path, value: float) -> None:
    table = frames()
    table.loc[3, "si_sdr"] = value  # frame 3: silent
    write(tmp_path / "good", table)
    assert len(read_tables([tmp_path / "good"])) == 1
    table.loc[10, "si_sdr"] = value
    write(tmp_path / "bad", table)
    with pytest.raises(
        ValueError, match=r"bad/frames.csv: column si_sdr .* line 12 \(song 01, .* frame 2, seed 0"
    ):
        read_tables([tmp_path / "bad"])


def test_a_row_that_is_there_twice(tmp_path: Path) -> None:
    write(tmp_path / "comb", pd.concat([frames(), frames()[4:5]]))
    with pytest.raises(ValueError, match=r"line 18 .* is there twice"):
        read_tables([tmp_path])


def test_broken_summaries(tmp_path: Path) -> None:
    folder = write(tmp_path / "comb")
    for content, message in (("{", "not readable as JSON"), ("[1]", "no field name, n_singers"),
                             ('{"name": "a", "n_singers": 2}', "no field protocol")):  # fmt: skip
        (folder / "summary.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            read_tables([folder])


def test_two_tables_of_one_name(tmp_path: Path) -> None:
    write(tmp_path / "one", name="comb")
    write(tmp_path / "wrong", name="comb", f0_errors={"octave_rate": 0.1})
    write(tmp_path / "more", name="comb", n_singers=4)
    assert len(read_tables([tmp_path])) == 3
    write(tmp_path / "two", name="comb")
    with pytest.raises(ValueError, match=r"one and .*two: two evaluations of 'comb'.*name="):
        read_tables([tmp_path])


def test_comparable_tables(tmp_path: Path) -> None:
    write(tmp_path / "comb")
    write(tmp_path / "umss", frames((0, 1, 2)).sample(frac=1.0, random_state=0))
    write(tmp_path / "quartet", frames()[:4], n_singers=4, protocol={"data": "bcbq"})
    check_comparable(read_tables([tmp_path]))
    check_comparable([])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "bcbq"}, "protocol.data is 'csd' in the first, 'bcbq' in the second"),
        ({"singers": {"nino_dios": [3]}}, r"singers.nino_dios is \[4\] in the first, \[3\]"),
        ({"multif0": {"threshold": 1}}, "protocol.multif0 is not given in the first"),
    ],
)
def test_other_protocols(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", protocol=PROTOCOL | changes)
    with pytest.raises(ValueError, match=message) as error:
        check_comparable(read_tables([tmp_path]))
    assert f"{tmp_path / 'a'} and {tmp_path / 'b'}" in str(error.value)


@pytest.mark.parametrize("shorter", ["a", "b"])
def test_rows_that_one_table_lacks(tmp_path: Path, shorter: str) -> None:
    longer = "b" if shorter == "a" else "a"
    write(tmp_path / shorter, frames()[frames().index != 9])
    write(tmp_path / longer)
    wanted = (
        r"song 01, mixture S_1\+A_1, excerpt 1, start 64000, source 0, voice S, frame 1 is in "
        rf"\S+/{longer} but not in \S+/{shorter}"
    )
    with pytest.raises(ValueError, match=wanted):
        check_comparable(read_tables([tmp_path]))


def test_rows_that_one_seed_lacks(tmp_path: Path) -> None:
    table = frames((0, 1))
    write(tmp_path / "a")
    write(tmp_path / "b", table[~((table["seed"] == 1) & (table["frame"] == 2))])
    with pytest.raises(ValueError, match=r"frame 2 is in \S+/a but not in \S+/b \(seed 1\)"):
        check_comparable(read_tables([tmp_path]))


def test_rows_that_are_kept_in_one_only(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", frames().assign(kept=True))
    with pytest.raises(ValueError, match="frame 3 is kept in one and silent in the other"):
        check_comparable(read_tables([tmp_path]))
