"""Tables of a report against sums over single rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.reporting.cells import MINUS, NOTHING, cross, format_number, format_probability
from src.reporting.content import Group, group_tables, list_error_sizes
from src.reporting.robustness import find_combined_errors, tabulate_robustness
from src.reporting.scores import (
    break_down,
    break_down_by_kind,
    tabulate_methods,
    tabulate_metrics,
    tabulate_speed,
    tabulate_synthesis,
)
from tests.reporting.fake_tables import (
    EvaluationTable,
    frames_of,
    read_tables,
    speed,
    two_methods,
    write_table,
)


def kept_scores(frames: pd.DataFrame, metric: str = "si_sdr", **where: object) -> list[float]:
    """Scores row by row, without pandas' grouping."""
    return [
        row[metric]
        for row in frames.to_dict("records")
        if row["kept"] and all(row[key] == value for key, value in where.items())
    ]


def test_methods_table_counts_kept_frames_and_adds_the_improvement() -> None:
    tables = {"a": frames_of(5.0, seeds=(0, 1)), "b": frames_of(3.0, key=1)}
    del tables["b"]["si_sdr_improvement"]
    # What is not kept must not matter.
    tables["a"].loc[~tables["a"]["kept"], ["si_sdr", "si_sdr_improvement"]] = -1e6
    table = tabulate_methods(tables).set_index("method")
    scores = kept_scores(tables["a"])
    assert table.loc["a", "n_frames"] == len(scores) == 2 * 2 * 3 * 15
    assert table.loc["a", "mean"] == pytest.approx(math.fsum(scores) / len(scores))
    assert table.loc["a", "median"] == pytest.approx(np.median(scores))
    assert table.loc["a", "ci_low"] < table.loc["a", "mean"] < table.loc["a", "ci_high"]
    gains = kept_scores(tables["a"], "si_sdr_improvement")
    assert table.loc["a", "improvement"] == pytest.approx(np.mean(gains))
    assert np.isnan(table.loc["b", "improvement"])


@pytest.mark.parametrize("column", ["voice", "song"])
def test_breakdown_has_every_value_of_every_method(column: str) -> None:
    tables = {"a": frames_of(5.0), "b": frames_of(3.0, key=1)}
    table = break_down(tables, column)
    assert list(table[column].unique()) == list(tables["a"][column].unique())
    assert len(table) == 2 * tables["a"][column].nunique()
    for row in table.to_dict("records"):
        scores = kept_scores(tables[row["method"]], **{column: row[column]})
        assert row["n_frames"] == len(scores)
        assert row["mean"] == pytest.approx(np.mean(scores))
        assert (row["q25"], row["q75"]) == pytest.approx(tuple(np.percentile(scores, [25, 75])))


def test_a_voice_that_is_silent_everywhere_has_no_row() -> None:
    frames = frames_of(5.0)
    frames.loc[frames["voice"] == "bass", "kept"] = False
    assert list(break_down({"a": frames}, "voice")["voice"]) == ["soprano", "alto", "tenor"]


def test_kinds_split_at_half_the_energy_and_need_both() -> None:
    frames = frames_of(5.0)
    frames["harmonic_share"] = 0.9
    assert break_down_by_kind({"a": frames}).empty
    frames.loc[frames["voice"] == "alto", "harmonic_share"] = 0.4999
    frames.loc[frames["voice"] == "bass", "harmonic_share"] = 0.5
    table = break_down_by_kind({"a": frames}).set_index("kind")
    assert table.loc["noise", "mean"] == pytest.approx(np.mean(kept_scores(frames, voice="alto")))
    assert table["n_frames"].sum() == frames["kept"].sum()
    assert break_down_by_kind({"a": frames.drop(columns="harmonic_share")}).empty


def test_metrics_are_those_that_a_table_has_and_nan_is_left_out() -> None:
    some = frames_of(3.0, bss=True, key=1)
    some.loc[some["voice"] == "alto", "sir"] = np.nan
    table = tabulate_metrics({"plain": frames_of(5.0), "bss": some})
    assert set(table.loc[table["method"] == "plain", "metric"]) == {
        "si_sdr", "si_sdr_improvement", "spectral_snr", "mel_cepstral_distance",
    }  # fmt: skip
    row = table[(table["metric"] == "sir") & (table["method"] == "bss")].iloc[0]
    scores = [s for s in kept_scores(some, "sir") if not math.isnan(s)]
    assert row["n_frames"] == len(scores) < some["kept"].sum()
    assert row["mean"] == pytest.approx(np.mean(scores))
    all_nan = some.assign(sir=np.nan)
    assert "sir" not in set(tabulate_metrics({"bss": all_nan})["metric"])


def test_synthesis_compares_the_same_frames() -> None:
    frames = frames_of(5.0, synth=True)
    table = tabulate_synthesis({"model": frames, "comb": frames_of(2.0)})
    assert list(table["method"]) == ["model"]
    row = table.iloc[0]
    masked = np.mean(kept_scores(frames, "spectral_snr"))
    synthesised = np.mean(kept_scores(frames, "synth_spectral_snr"))
    assert row["difference"] == pytest.approx(masked - synthesised)
    assert tabulate_synthesis({"comb": frames_of(2.0)}).empty


def test_speed_of_the_methods_that_measured_it(tmp_path: Path) -> None:
    write_table(tmp_path / "a", "a", frames_of(5.0, excerpts=1), speed=speed(0.25))
    write_table(tmp_path / "b", "b", frames_of(5.0, excerpts=1))
    tables = {table.name: table for table in read_tables([tmp_path])}
    table = tabulate_speed(tables)
    assert list(table["method"]) == ["a"]
    assert table.loc[0, "real_time_factor"] == 0.25
    assert table.loc[0, "device"] == "cpu"


def test_groups_are_ordered_and_keep_disturbed_evaluations_apart(tmp_path: Path) -> None:
    for n in (4, 2):
        for name in ("a", "b", "c"):
            frames = frames_of(1.0, n_singers=n, excerpts=1)
            write_table(tmp_path / f"{name}{n}", name, frames, n_singers=n)
    frames = frames_of(0.0, excerpts=1)
    write_table(tmp_path / "wrong", "b", frames, f0_errors={"swap_rate": 0.1, "swap_seconds": 1.0})
    none = {"swap_rate": 0.0, "offset_hz": 0.0, "swap_seconds": 1.0}
    write_table(tmp_path / "right", "d", frames, f0_errors=none)
    tables = read_tables([tmp_path])
    two, four = group_tables(tables, ["c", "nowhere", "b"])
    assert (two.n_singers, four.n_singers) == (2, 4)
    assert list(two.methods) == ["c", "b", "a"]
    assert list(four.methods) == ["c", "b", "a", "d"]
    assert [t.name for t in four.disturbed] == ["b"] and not two.disturbed
    assert list_error_sizes(four.disturbed[0]) == {"swap_rate": 0.1}
    with pytest.raises(ValueError, match=r"tables=\[\]"):
        group_tables([])
    twice = EvaluationTable(tmp_path / "else", "a", tables[0].summary, tables[0].frames)
    with pytest.raises(ValueError, match="two evaluations named 'a'"):
        group_tables([*tables, twice])


def disturbed(root: Path, name: str, level: float, seeds: tuple[int, ...] = (0,), **errors: float):
    folder = root / f"{name}-{'-'.join(f'{k}{v}' for k, v in errors.items())}"
    lengths = {"octave_seconds": 0.5, "swap_seconds": 1.0, "voicing_seconds": 0.1}
    frames = frames_of(level, excerpts=1, seeds=seeds)
    write_table(folder, name, frames, f0_errors={**lengths, **errors})


def group(root: Path) -> Group:
    (found,) = group_tables(read_tables([root]))
    return found


def test_curves_begin_at_the_clean_evaluation_with_the_same_seeds(tmp_path: Path) -> None:
    clean = frames_of(6.0, excerpts=1, seeds=(0, 1, 2))
    write_table(tmp_path / "comb", "comb", clean)
    for size, level in ((0.2, 1.0), (0.05, 5.0)):
        disturbed(tmp_path, "comb", level, octave_rate=size)
    disturbed(tmp_path, "comb", 4.0, offset_hz=5.0)
    disturbed(tmp_path, "other", 2.0, offset_hz=5.0)  # without a clean evaluation
    disturbed(tmp_path, "comb", 0.0, offset_hz=5.0, swap_rate=0.1)
    table = tabulate_robustness(group(tmp_path))
    curves = {
        key: list(curve["size"]) for key, curve in table.groupby(["kind", "label"], sort=False)
    }
    assert curves == {
        ("offset_hz", "comb"): [0.0, 5.0],
        ("offset_hz", "other"): [5.0],
        ("octave_rate", "comb"): [0.0, 0.05, 0.2],
    }
    octave = table[table["kind"] == "octave_rate"].set_index("size")
    assert octave.loc[0.0, "mean"] == pytest.approx(np.mean(kept_scores(clean, seed=0)))
    # The generator moves all scores with the level.
    assert list(octave["loss"]) == pytest.approx([0.0, 1.0, 5.0])
    assert table.loc[table["label"] == "other", "loss"].isna().all()
    combined = find_combined_errors(group(tmp_path))
    assert list(combined["errors"]) == ["offset_hz 5, swap_rate 0.1"]


def test_stretches_of_other_lengths_are_other_curves(tmp_path: Path) -> None:
    disturbed(tmp_path, "comb", 3.0, swap_rate=0.1)
    disturbed(tmp_path, "comb", 2.0, swap_rate=0.1, swap_seconds=4.0)
    labels = tabulate_robustness(group(tmp_path))["label"]
    assert sorted(labels) == ["comb, 1 s", "comb, 4 s"]


def test_no_errors_no_curves(tmp_path: Path) -> None:
    (found,) = group_tables(two_methods(tmp_path, excerpts=1))
    assert tabulate_robustness(found).empty
    assert find_combined_errors(found).empty


def test_numbers_as_they_are_shown() -> None:
    assert format_number(-1.234) == f"{MINUS}1.23"
    assert format_number(-0.001) == "0.00"
    assert format_number(float("nan")) == format_number(None) == NOTHING
    assert [format_probability(p) for p in (1.0, 0.0312, 0.0009, 0.0, float("nan"))] == [
        "1.000", "0.031", f"9e{MINUS}4", f"<1e{MINUS}99", NOTHING,
    ]  # fmt: skip
    table = pd.DataFrame(
        {"m": ["a", "a", "b"], "v": ["x", "y", "y"], "mean": [1, 2, 3.0], "median": [1, 2, 3.0]}
    )
    grid = cross("stem", "caption", table, "m", "v")
    assert grid.header == ["m", "x", "y"]
    assert grid.rows == [["a", "1.00 (1.00)", "2.00 (2.00)"], ["b", NOTHING, "3.00 (3.00)"]]
