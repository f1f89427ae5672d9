"""n_singers=auto from the recording to the parameters, in memory and from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import umss

from src.configuration import compose_config
from src.errors import OutputExistsError
from src.find_f0 import main as find_f0
from src.outputs import DESCRIBING
from src.separate_file import main

RATE = 16_000
TONES = {
    "_target_": "src.f0.estimate.F0Estimator",
    "model": {"_target_": "tests.f0.fakes.ToneSalience"},
    "assigner": {"_target_": "tests.f0.fakes.LoudestPeaks"},
    "retune": False,
}


def chord() -> np.ndarray:
    t = np.arange(RATE) / RATE
    return np.asarray([0.2 * np.sin(2 * np.pi * f * t) for f in (440, 220)], np.float32).sum(axis=0)


def test_counted_singers_become_stems_and_are_remembered(tmp_path: Path) -> None:
    sf.write(tmp_path / "duet.wav", chord(), RATE, subtype="FLOAT")
    config = compose_config("separate", choices={"separator": "comb"}, overrides=["n_singers=auto"])
    config.input, config.output = str(tmp_path / "duet.wav"), str(tmp_path)
    config.multif0 = TONES
    main(config)
    with np.load(tmp_path / "duet_parameters.npz") as file:
        assert list(file["names"]) == ["singer1", "singer2"]
        assert 0.8 < file["n_singers_confidence"] <= 1.0
        assert set(file.files) >= set(DESCRIBING)
    assert (tmp_path / "duet_singer2.wav").is_file()
    assert not (tmp_path / "duet_singer3.wav").exists()


def test_files_of_counted_singers_are_in_nobodys_way(tmp_path: Path) -> None:
    sf.write(tmp_path / "duet.wav", chord(), RATE, subtype="FLOAT")
    overrides = ["n_singers=auto", "plot=false", "formats=[tony]"]
    config = compose_config("f0", overrides=overrides)
    config.input, config.output, config.multif0 = str(tmp_path / "duet.wav"), str(tmp_path), TONES
    find_f0(config)
    written = {path.name for path in (tmp_path / "duet_tony").iterdir()}
    assert written == {"singer1.csv", "singer2.csv"}
    with pytest.raises(OutputExistsError, match="singer1"):
        find_f0(config)
    config = compose_config(
        "separate",
        choices={"separator": "comb"},
        overrides=["n_singers=auto", "f0_formats=[tony]", "format=flac", "page=true"],
    )
    config.input, config.output, config.multif0 = str(tmp_path / "duet.wav"), str(tmp_path), TONES
    with pytest.raises(OutputExistsError, match="singer1"):
        main(config)
    config.overwrite = True
    main(config)
    assert {"duet_singer2.flac", "duet_listen.html"} <= {path.name for path in tmp_path.iterdir()}


def test_a_number_that_was_given_has_no_confidence(tmp_path: Path) -> None:
    f0 = np.repeat([[440.0], [220.0]], 63, axis=1)
    result = umss.separate(chord(), RATE, n_singers="auto", f0=f0, method="comb")
    assert list(result.stems) == ["singer1", "singer2"]
    assert result.confidence is None
    paths = result.save(tmp_path)
    with np.load(paths["parameters"]) as file:
        assert "n_singers_confidence" not in file.files
