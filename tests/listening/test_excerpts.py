"""Pages of excerpts that were evaluated."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from src.errors import UmssError
from tests.listening.reading import read_page
from tests.test_evaluate import evaluated


def test_an_evaluation_can_be_listened_to(tmp_path: Path) -> None:
    evaluated(tmp_path, "page=true", "page_excerpts=5")
    folder = tmp_path / "evaluation" / "comb-folder-j2"
    _, content, pieces = read_page(folder / "listen.html")
    (one,) = content["recordings"]  # there is one song
    assert one["title"] == "one, from 0.0 s"
    roles = [track["role"] for track in one["tracks"]]
    assert roles == ["mixture", "stem", "stem", "residual", "reference", "reference"]
    heard = [sf.read(io.BytesIO(base64.b64decode(t)))[0] for t in pieces["0-0"]["sound"]]
    # Stems and residual are the mixture, and so are the true stems.
    np.testing.assert_allclose(np.sum(heard[1:4], axis=0), heard[0], atol=3 / 32768)
    np.testing.assert_allclose(np.sum(heard[4:], axis=0), heard[0], atol=3 / 32768)
    frames = pd.read_csv(folder / "frames.csv")
    first = frames[frames["kept"] & (frames["song"] == "one") & (frames["excerpt"] == 0)]
    first = first[first["mixture"] == frames["mixture"].iloc[0]]
    text = (folder / "listen.html").read_text(encoding="utf-8")
    for _, kept in first.groupby("source"):
        assert f"<td>{kept['si_sdr'].mean():.2f}</td>" in text
    evaluated(tmp_path, "overwrite=true")
    assert not (folder / "listen.html").exists()  # it was of the earlier evaluation


def test_a_page_without_excerpts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UmssError, match="page_excerpts=0"):
        evaluated(tmp_path, "page=true", "page_excerpts=0")
