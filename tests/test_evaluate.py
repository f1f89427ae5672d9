"""The evaluation road, on the real singers of the Choral Singing Dataset where they are at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.evaluate import identity_of
from src.evaluate import run as evaluate_config
from src.f0.errors import F0Errors
from src.metrics.tables import check_comparable, read_tables
from tests.tiny_training import ROOT, compose_config, write_choir


def run(*overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "src.evaluate", *overrides],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("separator", "n_singers", "mean", "median"),
    [("oracle", 4, 10.19, 10.50), ("comb", 4, 5.05, 6.05), ("mixture", 2, None, None)],
)
def test_reference_protocol_on_real_singers(
    shared_dir: Path,
    tmp_path: Path,
    separator: str,
    n_singers: int,
    mean: float | None,
    median: float | None,
) -> None:
    """Counts of the protocol, and the means of singer 3 as measured when it was first followed.

    A bank of single sinusoids with the published code's time offsets gave 4.96 / 5.91 dB for the
    comb; the common time grid accounts for the difference.
    """
    arguments = (
        f"separator={separator}", "data=csd", f"data.root={shared_dir}/data/csd_nino_dios",
        "data.singers=[3]", f"n_singers={n_singers}", "f0=cached", f"output={tmp_path / 'out'}",
        f"paths.cache_dir={tmp_path / 'cache'}",
    )  # fmt: skip
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    frames = pd.read_csv(tmp_path / "out" / "frames.csv")
    pairs = {4: 1, 3: 4, 2: 6}[n_singers]
    assert len(frames) == 24 * 4 * n_singers * pairs
    assert sorted(frames["excerpt"].unique()) == list(range(1, 25))
    assert (frames["start"] == 64_000 * frames["excerpt"] - 256).all()
    assert not frames.duplicated(["mixture", "excerpt", "voice", "frame", "seed"]).any()
    assert (frames["kept"] == (frames["energy"] >= 10)).all()
    # The silence rule looks at the four-voice mix whatever J is.
    assert frames["kept"].sum() == 370 * pairs * n_singers // 4

    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    kept = frames[frames["kept"]]
    assert summary["si_sdr"]["n"] == len(kept)
    assert summary["si_sdr"]["mean"] == pytest.approx(kept["si_sdr"].mean())
    assert set(summary["si_sdr"]["voices"]) == {"soprano", "alto", "tenor", "bass"}
    if mean is not None:
        assert summary["si_sdr"]["mean"] == pytest.approx(mean, abs=0.05)
        assert summary["si_sdr"]["median"] == pytest.approx(median, abs=0.05)

    again = run(*arguments)
    assert again.returncode == 1
    assert "overwrite=true" in again.stderr


def test_generated_data_without_any_download(tmp_path: Path) -> None:
    done = run(
        "separator=comb", "data.reader.options.max_seconds=9", "n_singers=2",
        "data.split.full.test=[bwv434_wer_nur_den_lieben_gott]", f"output={tmp_path / 'out'}",
        f"paths.cache_dir={tmp_path / 'cache'}", "f0_errors.octave_rate=0.5",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frames = pd.read_csv(tmp_path / "out" / "frames.csv")
    assert frames["mixture"].nunique() == 6
    assert np.isfinite(frames["si_sdr"]).all()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["f0_errors"]["octave_rate"] == 0.5
    assert summary["si_sdr"]["mean"] < 10  # about 15 with exact F0


def settings(tmp_path: Path, *more: str) -> list[str]:
    """Overrides for an evaluation in a second."""
    choir = tmp_path / "choir"
    if not choir.exists():
        write_choir(choir)
    return [
        "data=folder", f"data.root={choir}", "data.excerpt_seconds=1", "data.progress=false",
        "data.split.full.test=[one]", f"paths.cache_dir={tmp_path / 'cache'}",
        f"paths.output_dir={tmp_path}", "n_singers=2", *more,
    ]  # fmt: skip


def evaluated(tmp_path: Path, *more: str) -> dict[str, Any]:
    return evaluate_config(compose_config("evaluate", settings(tmp_path, *more), tmp_path / "run"))


def test_summary_says_what_was_evaluated_how_and_how_fast(tmp_path: Path) -> None:
    summary = evaluated(tmp_path, "bss=fast", "data.test_first_excerpt=1")
    folder = tmp_path / "evaluation" / "comb-folder-j2"  # a folder for every method
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert summary["name"] == "comb" and summary["seeds"] == [0] and summary["bss"] == "fast"
    assert summary["protocol"] == {
        "data": "folder", "options": {"parts": None}, "n_singers": 2, "f0": "stems",
        "excerpt_seconds": 1.0, "test_first_excerpt": 1, "test_start_offset": 0, "singers": None,
        "cross_singers": False, "songs": ["one"],
    }  # fmt: skip
    frames = pd.read_csv(folder / "frames.csv")
    assert {"sdr", "si_sdr_improvement", "harmonic_share"} <= set(frames)
    speed = summary["speed"]
    # Six mixtures of two of the four voices, two excerpts of a second each.
    assert speed["audio_seconds"] == len(frames) / 2 == 12
    assert speed["real_time_factor"] == pytest.approx(speed["seconds"] / 12)
    assert speed["peak_memory_gb"] > 0.1 and speed["device"] == "cpu"
    assert summary["si_sdr_improvement"]["mean"] > 0
    assert summary["si_sdr_by_kind"]["harmonic"]["n"] > 0
    estimated = evaluated(tmp_path, "separator=mixture", "name=lower bound")
    assert estimated["name"] == "lower bound"
    assert (tmp_path / "evaluation" / "lower bound-folder-j2" / "frames.csv").exists()


def test_tables_are_deterministic_and_comparable(tmp_path: Path) -> None:
    for name in ("comb", "again"):
        evaluated(tmp_path, f"name={name}", f"output={tmp_path / 'out' / name}")
    one, two = ((tmp_path / "out" / n / "frames.csv").read_bytes() for n in ("comb", "again"))
    assert one == two
    tables = read_tables([tmp_path / "out"])
    check_comparable(tables)
    evaluated(tmp_path, "data.split.full.test=[two]", "name=c", f"output={tmp_path / 'out' / 'c'}")
    with pytest.raises(ValueError, match=r"protocol.songs is \['one'\].*\['two'\]"):
        check_comparable(read_tables([tmp_path / "out"]))


def test_the_same_evaluation_is_skipped_and_another_refused(tmp_path: Path) -> None:
    skip = "skip_existing=true"
    first = evaluated(tmp_path, skip)
    frames = tmp_path / "evaluation" / "comb-folder-j2" / "frames.csv"
    summary = frames.with_name("summary.json")
    frames.write_text("left alone")
    assert evaluated(tmp_path, skip, "data.batch_size=3") == first
    assert frames.read_text() == "left alone"
    for change, message in (
        ("separator.mask=power", "separator.mask is 'magnitude' in that one, 'power' in this one"),
        ("data.split.full.test=[two]", "protocol.songs"),
        ("seeds=[0]", "configured_seeds"),
        ("seed=1", "seed is 0"),
        ("bss=fast", "bss is None"),
        ("f0_errors.swap_rate=0.5", "f0_errors is not given in that one"),
    ):
        with pytest.raises(FileExistsError, match=message) as error:
            evaluated(tmp_path, skip, "name=comb", change)
        assert "overwrite=true" in str(error.value)
    with pytest.raises(FileExistsError, match="holds an evaluation"):
        evaluated(tmp_path)
    assert frames.read_text() == "left alone"

    evaluated(tmp_path, skip, "overwrite=true")
    complete = frames.read_text()
    assert complete.startswith("song,")
    for missing in (frames, summary):  # interrupted
        missing.unlink()
        evaluated(tmp_path, skip)
        assert frames.read_text() == complete and summary.exists()
    summary.write_text("{")
    with pytest.raises(FileExistsError, match="not readable"):
        evaluated(tmp_path, skip)


def test_another_model_in_the_same_checkpoint_file_is_another_evaluation(tmp_path: Path) -> None:
    def identity(content: bytes) -> dict[str, Any]:
        (tmp_path / "best.ckpt").write_bytes(content)
        change = ["separator=umss", f"separator.checkpoint={tmp_path / 'best.ckpt'}"]
        cfg = compose_config("evaluate", settings(tmp_path, *change), tmp_path / "run")
        return identity_of(cfg, {}, F0Errors())

    assert identity(b"one") == identity(b"one") != identity(b"two")


def test_a_sweep_gets_the_mean_of_every_job(tmp_path: Path) -> None:
    done = run(
        "-m", *settings(tmp_path), "method=comb,mixture", "separator.mask=magnitude",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    jobs = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("sweep/*/job.json"))]
    means = [
        json.loads((tmp_path / "evaluation" / f"{name}-folder-j2" / "summary.json").read_text())
        for name in ("comb", "mixture")
    ]
    assert [job["value"] for job in jobs] == [mean["si_sdr"]["mean"] for mean in means]


def test_missing_data_is_one_message(tmp_path: Path) -> None:
    done = run("data=csd", f"data.root={tmp_path / 'nowhere'}", f"output={tmp_path / 'out'}")
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
