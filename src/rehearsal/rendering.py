"""Tracks as files of equal loudness: measured, written, and measured again."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from ..audio import open_audio
from ..writing.loudness import LoudnessMeter, PeakMeter, integrate
from ..writing.tags import Tags
from ..writing.writer import AudioWriter
from .mixing import BLOCK, TRACKS, Signal, mix_blocks
from .settings import Settings, Stems

HIGHEST_PEAK = -1.0  # dBTP
_MP3_MARGIN = 0.5  # dB by which peaks grow when MP3 is decoded, at first
_CLICK_LEVEL = 9.0  # dB of the clicks' peak above the loudness of the music
_OFF = 0.1  # LU by which the loudness of a file may be off
_ATTEMPTS = 3
Key = tuple[int, str]  # number of the voice, and track

log = logging.getLogger(__name__)


class Renderer:
    """The tracks of one run: measured, then written at gains that make them equally loud.

    Attributes:
        target: LUFS of the tracks.
        begin: sample of a file at which the music begins.
    """

    def __init__(
        self,
        stems: Stems,
        settings: Settings,
        introductions: Mapping[int, tuple[Signal, int]],
        targets: Mapping[Key, Path],
    ) -> None:
        self.stems, self.settings, self.targets = stems, settings, targets
        self.introductions = introductions
        self.target = settings.loudness
        self.begin = next(iter(introductions.values()))[1]
        self._voices = list(dict.fromkeys(voice for voice, _ in targets))
        self._tracks = list(dict.fromkeys(track for _, track in targets))

    def write(self) -> tuple[dict[Key, float], float]:
        """Write all tracks.

        Returns:
            The gain of each in dB, and the highest true peak in dBTP.
        """
        loudness, peaks = self._measure()
        clicks = {key: _limit(level) + _CLICK_LEVEL for key, level in loudness.items()}
        loudness = self._add_introductions(clicks)
        peaks = {key: max(peak, clicks[key]) for key, peak in peaks.items()}
        limit = HIGHEST_PEAK - (_MP3_MARGIN if self.settings.form.name == "mp3" else 0.0)
        gains: dict[Key, float] = {}
        highest = -math.inf
        for _ in range(_ATTEMPTS):
            heard = [key for key in loudness if math.isfinite(loudness[key])]
            room = [loudness[key] + limit - peaks[key] for key in heard]
            self.target = min([self.settings.loudness, *room])
            changes = {
                key: self.target - loudness[key] if key in heard else 0.0 for key in loudness
            }
            gains = {key: gains.get(key, 0.0) + change for key, change in changes.items()}
            self._render(gains, clicks)
            loudness, peaks = self._check_files()
            highest = max(peaks.values())
            off = max((abs(loudness[key] - self.target) for key in heard), default=0.0)
            if highest <= HIGHEST_PEAK and off <= _OFF:
                break
            limit = HIGHEST_PEAK - 0.05
        else:
            log.warning(
                "warning: %s: the true peak is %.1f dBTP, and loudness differs by up to %.1f LU; "
                "another format or loudness may do better",
                self.stems.name,
                highest,
                off,
            )
        return gains, highest

    def _mix(self, stack: ExitStack) -> Iterator[dict[Key, Signal]]:
        readers = self.stems.open(stack)
        return mix_blocks(readers, self._voices, self._tracks, self.settings.mixing)

    def _measure(self) -> tuple[dict[Key, float], dict[Key, float]]:
        """Loudness (LUFS) and true peak (dBTP) of the music of every track, at no gain."""
        channels = self.stems.channels
        width = {key: 2 if key[1] == "split" else channels for key in self.targets}
        self._meters = {key: LoudnessMeter(self.stems.rate, n) for key, n in width.items()}
        meters = {key: PeakMeter(n) for key, n in width.items()}
        with ExitStack() as stack:
            for blocks in self._mix(stack):
                for key, block in blocks.items():
                    self._meters[key].measure(block)
                    meters[key].measure(block)
        loudness = {key: meter.integrate() for key, meter in self._meters.items()}
        return loudness, {key: meter.finish() for key, meter in meters.items()}

    def _add_introductions(self, clicks: Mapping[Key, float]) -> dict[Key, float]:
        """The loudness of every track with what sounds before its music."""
        loudness = {}
        for key, meter in self._meters.items():
            sound, begin = self.introductions[key[0]]
            before = LoudnessMeter(self.stems.rate, 1)
            width = 2 if key[1] == "split" else self.stems.channels
            before.measure(math.sqrt(width) * 10 ** (clicks[key] / 20) * sound[None, :begin])
            loudness[key] = integrate(np.concatenate([*before.energies, *meter.energies]))
        return loudness

    def _render(self, gains: Mapping[Key, float], clicks: Mapping[Key, float]) -> None:
        """Write the files at these gains."""
        writers: dict[Key, AudioWriter] = {}
        length = self.begin + self.stems.n_samples
        try:
            for key, path in self.targets.items():
                channels = 2 if key[1] == "split" else self.stems.channels
                tags = self._tag(key)
                writers[key] = AudioWriter(
                    path, self.settings.form, self.stems.rate, channels, length, tags
                )
            sounds = {key: self._scale_introduction(key, gains, clicks) for key in writers}
            for key, writer in writers.items():
                before = sounds[key][None, : self.begin]
                writer.write(np.repeat(before, writer.channels, axis=0))
            position = self.begin

            def write(entry: tuple[Key, Signal]) -> None:
                key, block = entry
                scaled = np.float32(10 ** (gains[key] / 20)) * block
                over = sounds[key][position : position + block.shape[1]]
                scaled[:, : len(over)] += over
                writers[key].write(scaled)

            with ExitStack() as stack, ThreadPoolExecutor(torch.get_num_threads()) as pool:
                for blocks in self._mix(stack):
                    list(pool.map(write, blocks.items()))
                    position += next(iter(blocks.values())).shape[1]
            for writer in writers.values():
                writer.close()
        finally:
            for writer in writers.values():
                writer.abandon()

    def _scale_introduction(
        self, key: Key, gains: Mapping[Key, float], clicks: Mapping[Key, float]
    ) -> Signal:
        factor = np.float32(10 ** ((gains[key] + clicks[key]) / 20))
        return factor * self.introductions[key[0]][0]

    def _tag(self, key: Key) -> Tags:
        voice = self.stems.voices[key[0]]
        return self.stems.tags.name_voice(f"{voice}: {TRACKS[key[1]]}", self.stems.name)

    def _check_files(self) -> tuple[dict[Key, float], dict[Key, float]]:
        """Loudness and true peak of the files as they are decoded."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            found = dict(zip(self.targets, pool.map(_listen, self.targets.values()), strict=True))
        return (
            {key: loudness for key, (loudness, _) in found.items()},
            {key: peak for key, (_, peak) in found.items()},
        )


def _listen(path: Path) -> tuple[float, float]:
    """Loudness in LUFS and true peak in dBTP of a file."""
    with open_audio(path) as source:
        level, peak = LoudnessMeter(source.rate, source.channels), PeakMeter(source.channels)
        for block in source.blocks(BLOCK):
            level.measure(block)
            peak.measure(block)
    return level.integrate(), peak.finish()


def _limit(level: float) -> float:
    """Silent music is counted in as if it were soft."""
    return level if math.isfinite(level) else -40.0
