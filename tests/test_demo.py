"""The demo from nothing to a page, on the beginnings of two chorales and with a tiny network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from omegaconf import DictConfig, OmegaConf

from src.demo import read_user_recording
from tests.processes import Done, run_python


def run(tmp_path: Path, **environment: str) -> Done:
    return run_python(
        "-m", "src.demo", f"output={tmp_path / 'demo'}",
        f"paths.cache_dir={tmp_path / 'cache'}", "data.reader.options.max_seconds=12",
        "data.split.full.train=[bwv253_ach_bleib_bei_uns]",
        "data.split.full.val=[bwv386_nun_danket_alle_gott]",
        "data.split.full.test=[bwv434_wer_nur_den_lieben_gott]",
        "model.estimator.encoder_width=16", "model.estimator.decoder_width=16",
        "data.batch_size=2", "trainer.max_time=null", "trainer.max_steps=2", "threads=1",
        **environment,
    )  # fmt: skip


@pytest.mark.slow
def test_demo_ends_with_a_page_of_stems(tmp_path: Path) -> None:
    t = np.arange(32_000) / 16_000
    sf.write(tmp_path / "mine.wav", 0.3 * np.sin(2 * np.pi * 220 * t), 16_000)
    (tmp_path / "mine.csv").write_text("time,low\n0,220\n2,220\n")
    done = run(tmp_path, UMSS_DEMO_INPUT=str(tmp_path / "mine.wav"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "demo" / "index.html").read_text()
    for file in ("bwv434_wer_nur_den_lieben_gott_alto.wav", "mine_low.wav"):
        assert list((tmp_path / "demo").rglob(file)), file
    for title in ("exact F0: bwv434_wer_nur_den_lieben_gott", "Your recording: mine"):
        assert title in page
    for method in ("mixture", "comb", "trained model", "oracle", "model, estimated F0"):
        assert method in done.stdout
    assert len(list((tmp_path / "demo").rglob("bwv434_*_f0.png"))) == 1


@pytest.mark.slow
def test_recording_without_f0_gets_estimated_tracks(tmp_path: Path) -> None:
    t = np.arange(32_000) / 16_000
    sf.write(tmp_path / "mine.wav", 0.3 * np.sin(2 * np.pi * 220 * t), 16_000)
    done = run(tmp_path, UMSS_DEMO_INPUT=str(tmp_path / "mine.wav"), UMSS_DEMO_SINGERS="2")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "demo" / "your_recording"
    for file in ("mine_f0.csv", "mine_f0.png", "mine_singer1.wav", "mine_singer2.wav"):
        assert (folder / file).is_file(), file
    assert "singer2" in (tmp_path / "demo" / "index.html").read_text()


def settings(path: Path, **changes: object) -> DictConfig:
    return OmegaConf.create({"input": str(path), "f0": None, "input_singers": 4} | changes)


def test_your_recording_is_checked_before_the_long_part(tmp_path: Path) -> None:
    assert read_user_recording(OmegaConf.create({"input": None})) is None
    path = tmp_path / "mine.wav"
    with pytest.raises(ValueError, match="no such audio file"):
        read_user_recording(settings(path))
    sf.write(path, np.zeros(16_000), 16_000)
    assert read_user_recording(settings(path)) == (path, None)
    with pytest.raises(ValueError, match="1 to 16"):
        read_user_recording(settings(path, input_singers=40))
    with pytest.raises(ValueError, match="no such F0 file"):
        read_user_recording(settings(path, f0=str(tmp_path / "none.csv")))
    (tmp_path / "mine.csv").write_text("time,low\n0,220\n2,220\n")
    read = read_user_recording(settings(path, input_singers=40))
    assert read is not None and read[1] is not None
    assert read[1].names == ("low",)
