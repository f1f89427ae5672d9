"""The files of a recording's stems: in any format, with its tags, and with one level in common."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..audio import open_audio
from ..wav_writing import WavWriter
from .tags import Tags, read_tags
from .writer import Format, write_audio

log = logging.getLogger(__name__)


def find_factor(peak: float, form: Format, name: str) -> float:
    """The factor by which all stems of a recording are lowered, 1 where they fit; it is said.

    Args:
        peak: the largest magnitude of all.
        form: of the files.
        name: of the recording.
    """
    if not form.clips or peak <= 1.0:
        return 1.0
    log.warning(
        "warning: %s: the stems reach %.1f dB above full scale, which %s cannot hold, so all files "
        "are lowered by %.1f dB; format=wav32f keeps their level",
        name,
        20 * math.log10(peak),
        form.name,
        20 * math.log10(peak),
    )
    return 1.0 / peak


def encode_stems(
    sources: Mapping[str, Path],
    targets: Mapping[str, Path],
    peak: float,
    form: Format,
    n_samples: int,
    tags: Mapping[str, Tags],
    name: str,
    encoded: Mapping[str, Path] | None = None,
) -> float:
    """Make files of a format out of float files, which are removed.

    Args:
        sources: float files by label.
        targets: files to write by label.
        peak: the largest magnitude in all of them.
        form: of the files to write.
        n_samples: samples per channel.
        tags: by label.
        name: of the recording, for messages.
        encoded: files that hold the same in this format, by label; they are copied unless all is
            lowered.

    Returns:
        The factor by which all were lowered (`find_factor`).
    """
    encoded = encoded or {}
    factor = np.float32(find_factor(peak, form, name))
    for number, (label, source) in enumerate(sources.items()):
        if factor == 1 and label in encoded:
            shutil.copyfile(encoded[label], targets[label])
            source.unlink()
            continue
        with open_audio(source) as audio:
            blocks = (block if factor == 1 else factor * block for block in audio.blocks())
            write_audio(
                targets[label], blocks, form, audio.rate, audio.channels, n_samples, tags[label],
                number,
            )  # fmt: skip
        source.unlink()
    return float(factor)


class StemWriters:
    """Writes all stems of a recording block by block.

    Formats other than float cannot hold what is above full scale, and whether something is shows
    at the end only: they are made of float files then.

    Args:
        paths: by label, those of other files among them.
        channels: by label, of the files to write.
        rate: sample rate in Hz.
        n_samples: samples per channel.
        form: of the files.
        recording: whose tags the files get, with the label in the title.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        channels: Mapping[str, int],
        rate: int,
        n_samples: int,
        form: Format,
        recording: Path,
    ) -> None:
        self._paths = {label: paths[label] for label in channels}
        self._n_samples, self._form = n_samples, form
        self._recording = recording
        self._direct = form.name == "wav32f"
        known = read_tags(recording)
        self._tags = {
            label: known.name_voice(label, recording.stem)
            for label in channels
            if known or not self._direct
        }
        self._writers: dict[str, WavWriter] = {}
        try:
            for label, path in self._paths.items():
                place = path if self._direct else path.with_name(f"{path.name}.part.wav")
                texts = self._tags[label].list_texts() if label in self._tags else {}
                self._writers[label] = WavWriter(
                    place, rate, channels[label], n_samples, texts if self._direct else {}
                )
        except BaseException:
            self.abandon()
            raise

    def write(self, signals: Sequence[NDArray[np.float32]]) -> None:
        """Write the next samples [C, n] of every stem, in the order of the labels."""
        for writer, signal in zip(self._writers.values(), signals, strict=True):
            writer.write(signal)

    def close(self) -> float:
        """Complete the files; returns the factor by which all were lowered (`find_factor`)."""
        for writer in self._writers.values():
            writer.close()
        if self._direct:
            return 1.0
        return encode_stems(
            {label: writer.path for label, writer in self._writers.items()},
            self._paths,
            max(writer.peak for writer in self._writers.values()),
            self._form,
            self._n_samples,
            self._tags,
            self._recording.name,
        )

    def abandon(self) -> None:
        """Close the files, whatever state they are in."""
        for writer in self._writers.values():
            writer.abandon()
