"""The evaluation road, on the real singers of the Choral Singing Dataset where they are at hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from src.evaluate import describe_identity
from src.evaluate import run as evaluate_config
from src.f0.errors import F0Errors
from src.metrics import sharding
from src.metrics.tables import check_comparable, read_tables
from src.models.umss import UmssSeparator
from tests.processes import PATIENCE, ROOT, Done, own_threads, run_python
from tests.tiny_training import compose_config, tiny_model, write_choir


def run(*overrides: str) -> Done:
    return run_python("-m", "src.evaluate", *overrides)


@pytest.mark.slow
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


@pytest.mark.slow
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
        return describe_identity(cfg, {}, F0Errors())

    assert identity(b"one") == identity(b"one") != identity(b"two")


def tiny_checkpoint(path: Path) -> Path:
    """An untrained model in the form of a checkpoint."""
    torch.manual_seed(0)
    model = tiny_model()
    content = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    torch.save(content, path)
    return path


def assert_same_tables(one: Path, two: Path) -> None:
    pd.testing.assert_frame_equal(pd.read_csv(one), pd.read_csv(two), rtol=1e-5, atol=1e-4)


def assert_same_summary(found: Any, expected: Any) -> None:
    """Numbers but for rounding, everything else exactly."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same_summary(found[key], value)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-4)
    else:
        assert found == expected


def without_speed(summary: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in summary.items() if key != "speed"}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["comb", pytest.param("umss", marks=pytest.mark.slow)])
def test_several_processes_write_the_table_of_one(tmp_path: Path, method: str) -> None:
    """Learning-free with BSS Eval; a network with noise of its own and errors in its F0.

    Eighteen excerpts in batches of 4 make five batches, of which the last is short.
    """
    changes = {
        "comb": ["bss=fast"],
        "umss": [
            "separator=umss", f"separator.checkpoint={tiny_checkpoint(tmp_path / 'best.ckpt')}",
            "seeds=[3,1]", "f0_errors.swap_rate=0.3", "f0_errors.octave_rate=0.2",
        ],
    }[method]  # fmt: skip
    summaries = {}
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        summaries[workers] = evaluated(
            tmp_path, *changes, "threads=1", "data.batch_size=4", f"workers={workers}",
            f"output={out}", "name=one",
        )  # fmt: skip
        assert json.loads((out / "summary.json").read_text()) == summaries[workers]
    one, more = summaries.values()
    tables = [tmp_path / f"out{workers}" / "frames.csv" for workers in summaries]
    assert_same_tables(*tables)
    assert_same_summary(without_speed(more), without_speed(one))
    assert one["speed"]["audio_seconds"] == more["speed"]["audio_seconds"] > 0
    assert one["speed"].keys() == more["speed"].keys()
    assert [s["speed"]["workers"] for s in (one, more)] == list(summaries)
    assert more["speed"]["threads"] == 1
    for table in tables:
        check_comparable(read_tables([table.parent]))


def test_processes_share_the_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def instead(task: sharding.Task, **options: Any) -> None:
        asked.append((len(task.batches), options))
        raise KeyboardInterrupt

    monkeypatch.setattr("src.evaluate.evaluate_sharded", instead)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    for change in ("workers=3", "workers=16", "workers=3 threads=5"):
        with pytest.raises(KeyboardInterrupt):
            evaluated(tmp_path, "data.batch_size=4", *change.split())
    assert [options["threads"] for _, options in asked] == [2, 1, 5]
    assert asked[0] == (5, {"workers": 3, "threads": 2, "device": "cpu"})
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with sharding._limit_threads(2):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "2"
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("wrong", ["workers=0", "workers=two", "workers=null", "threads=0"])
def test_numbers_of_processes_that_make_no_sense(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"{wrong.replace('null', 'None')}: give"):
        evaluated(tmp_path, wrong)


def test_processes_of_joblib_start_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiprocessing.get_start_method", lambda allow_none: "loky")
    with pytest.raises(ValueError, match="workers=2 does not work inside hydra/launcher=joblib"):
        evaluated(tmp_path, "workers=2")
    assert evaluated(tmp_path, "workers=1")["speed"]["workers"] == 1


@pytest.mark.slow
def test_an_error_in_a_process_is_one_message_and_leaves_no_table(tmp_path: Path) -> None:
    """Excerpts shorter than a frame are noticed while they are scored, and not before."""
    short = (*settings(tmp_path), "data.excerpt_seconds=0.5", "data.batch_size=4")
    with pytest.raises(ValueError, match="shorter than a frame of one second") as alone:
        evaluated(tmp_path, *short[len(settings(tmp_path)) :])
    done = run(*short, "workers=2", f"output={tmp_path / 'out'}")
    assert done.returncode == 1
    assert done.stderr.strip() == f"error: {alone.value}"
    assert not (tmp_path / "out").exists()


def processes_of(parent: int) -> list[int]:
    """Processes that were started by one, other than Python's own helper."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            command = (stat.parent / "cmdline").read_text()
        except OSError:  # ended meanwhile
            continue
        if int(fields[1]) == parent and "resource_tracker" not in command:
            found.append(int(stat.parent.name))
    return found


def alive(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["parent", "worker"])
def test_a_killed_process_leaves_neither_a_table_nor_others(tmp_path: Path, victim: str) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "src.evaluate", *settings(tmp_path, "workers=2", "separator=nmf2"),
        "separator.n_iterations=100000", "data.batch_size=4", f"output={out}",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=ROOT, env=own_threads(), stderr=subprocess.PIPE, text=True
    ) as process:
        workers: list[int] = []
        while len(workers) < 2:
            assert process.poll() is None, "it ended before it could be killed"
            workers = processes_of(process.pid)
            time.sleep(0.05)
        os.kill(process.pid if victim == "parent" else workers[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE)
    if victim == "worker":
        assert process.returncode == 1
        assert "ended before its work was done" in errors and "fewer than workers=2" in errors
    deadline = time.monotonic() + PATIENCE  # a guard: they are gone at once
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))
    assert all(path.name.startswith(".") for path in out.iterdir())  # the next run removes it


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_processes_share_a_gpu(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "best.ckpt")
    tables = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        summary = evaluated(
            tmp_path, "separator=umss", f"separator.checkpoint={checkpoint}", "seeds=[0]",
            "separator.device=cuda", "data.batch_size=4", f"workers={workers}", f"output={out}",
        )  # fmt: skip
        assert summary["speed"]["device"].startswith("cuda")
        tables.append(out / "frames.csv")
    assert_same_tables(*tables)
    assert UmssSeparator(checkpoint, device="cuda").device.type == "cuda"


@pytest.mark.slow
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


@pytest.mark.slow
def test_missing_data_is_one_message(tmp_path: Path) -> None:
    done = run("data=csd", f"data.root={tmp_path / 'nowhere'}", f"output={tmp_path / 'out'}")
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_stft_of_the_spectral_snr_is_part_of_the_protocol(tmp_path: Path) -> None:
    released = ["spectral_snr.n_fft=512", "spectral_snr.hop=256"]
    default, other = evaluated(tmp_path), evaluated(tmp_path, "name=released", *released)
    assert other["protocol"]["spectral_snr"] == {"n_fft": 512, "hop": 256}
    assert "spectral_snr" not in default["protocol"]
    assert other["si_sdr"] == default["si_sdr"]
    assert other["spectral_snr"]["mean"] != default["spectral_snr"]["mean"]
    shared = evaluated(tmp_path, "name=shared", "workers=2", *released)
    assert shared["spectral_snr"] == other["spectral_snr"]
