"""The demo from nothing to a page, on the beginnings of two chorales and with a tiny network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).parents[1]


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-m", "src.demo", f"output={tmp_path / 'demo'}",
            f"paths.cache_dir={tmp_path / 'cache'}", "data.reader.options.max_seconds=12",
            "data.split.full.train=[bwv253_ach_bleib_bei_uns]",
            "data.split.full.val=[bwv386_nun_danket_alle_gott]",
            "data.split.full.test=[bwv434_wer_nur_den_lieben_gott]",
            "model.estimator.encoder_width=16", "model.estimator.decoder_width=16",
            "data.batch_size=2", "trainer.max_time=null", "+trainer.max_steps=2", "threads=1",
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.slow
def test_demo_ends_with_a_page_of_stems(tmp_path: Path) -> None:
    t = np.arange(32_000) / 16_000
    sf.write(tmp_path / "mine.wav", 0.3 * np.sin(2 * np.pi * 220 * t), 16_000)
    (tmp_path / "mine.csv").write_text("time,low\n0,220\n2,220\n")
    done = run(tmp_path, UMSS_DEMO_INPUT=str(tmp_path / "mine.wav"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "demo" / "index.html").read_text()
    for file in ("bwv434_wer_nur_den_lieben_gott_alto.wav", "mine_low.wav", "mine_low.png"):
        assert file in page
        assert list((tmp_path / "demo").rglob(file)), file
    for method in ("mixture", "comb", "trained model", "oracle"):
        assert method in done.stdout


@pytest.mark.slow
def test_recording_without_f0_is_left_out_and_said_so(tmp_path: Path) -> None:
    sf.write(tmp_path / "mine.wav", np.zeros(16_000), 16_000)
    done = run(tmp_path, UMSS_DEMO_INPUT=str(tmp_path / "mine.wav"))
    assert done.returncode == 0, done.stderr
    assert "left out" in done.stdout
    assert (tmp_path / "demo" / "index.html").is_file()
