"""What is computed once for a project, and may be deleted: pictures, sound, salience."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..f0.salience import Salience
from ..files import replace_when_complete, write_json
from .arrays import open_array
from .ridges import Ridges

PIECE_SECONDS = 10.0


class Cache:
    """The files of the folder `cache` of a project.

    Args:
        folder: the folder; it need not exist.
        frames: of the recording, N; None = not known yet.
    """

    def __init__(self, folder: Path, frames: int | None) -> None:
        self.folder = folder
        self.frames = frames

    @property
    def samples_path(self) -> Path:
        """The recording as one channel at 16 kHz, float32 [T]."""
        return self.folder / "mono.npy"

    @property
    def opened(self) -> bool:
        """Whether the recording's sound and pictures are there."""
        return self.samples_path.is_file() and (self.folder / "sound.json").is_file()

    def name_piece(self, kind: str, k: int) -> Path:
        """Where a piece of sound or of a picture lies."""
        return self.folder / kind / f"{k:04d}.{'flac' if kind == 'sound' else 'png'}"

    def load_samples(self) -> NDArray[np.float32] | None:
        """The recording [T] at 16 kHz, read where it is needed; None = it is not there."""
        if not self.samples_path.is_file():
            return None
        samples: NDArray[np.float32] = open_array(self.samples_path)
        return samples

    def save_salience(self, salience: Salience) -> None:
        """Save salience on the 16-ms grid."""
        assert self.frames is not None
        wanted = np.arange(self.frames) * 0.016
        nearest = np.clip(
            np.searchsorted(salience.times, wanted - 1e-6), 0, len(salience.times) - 1
        )
        values = np.clip(salience.values, 1e-6, 1 - 1e-6).astype(np.float64)
        odds = (np.log(values) - np.log1p(-values)).astype(np.float16)
        path = self.folder / "salience.npy"
        with replace_when_complete(path) as temporary:
            np.save(temporary, np.ascontiguousarray(odds[:, nearest]), allow_pickle=False)
        described = {
            "lowest": float(salience.frequencies[0]),
            "cents": salience.cents_per_bin,
        }
        write_json(self.folder / "salience.json", described)

    def load_ridges(self) -> Ridges | None:
        """The salience; None = there is none, or it belongs to another length."""
        path = self.folder / "salience.npy"
        try:
            described = json.loads((self.folder / "salience.json").read_text(encoding="utf-8"))
            odds = open_array(path)
        except (OSError, ValueError):
            return None
        if odds.ndim != 2 or odds.shape[1] != self.frames:
            return None
        return Ridges(odds, float(described["lowest"]), float(described["cents"]))

    def read_loudest(self) -> float | None:
        """The level that is white in the spectrogram, dB; None = there is no spectrogram."""
        try:
            text = (self.folder / "spectrogram" / "picture.json").read_text(encoding="utf-8")
            return float(json.loads(text)["loudest"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def describe_pictures(self) -> dict[str, Any] | None:
        """The pictures that there are, for the page; None = none."""
        kinds = {}
        for kind in ("spectrogram", "salience"):
            try:
                text = (self.folder / kind / "picture.json").read_text(encoding="utf-8")
                kinds[kind] = json.loads(text)
            except (OSError, ValueError):
                continue
        if not kinds:
            return None
        version = "-".join(str(kinds[kind].pop("made", "")) for kind in kinds)
        return {"piece": PIECE_SECONDS, "version": version, "kinds": kinds}
