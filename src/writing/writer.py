"""Writing audio files block by block: WAV with 16, 24 or 32 bits, FLAC, MP3."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..decoding import name_for_soundfile
from ..errors import UmssError
from ..files import replace_when_complete
from ..wav_writing import LARGEST_WAV, clear_time, raise_system_errors
from .tags import Tags, build_flac_picture, build_id3, read_bitrate

ENDINGS = {"wav16": "wav", "wav24": "wav", "wav32f": "wav", "flac": "flac", "mp3": "mp3"}
_SUBTYPES = {
    "wav16": "PCM_16", "wav24": "PCM_24", "wav32f": "FLOAT", "flac": "PCM_24",
    "mp3": "MPEG_LAYER_III",
}  # fmt: skip
_BITS = {"wav16": 16, "wav24": 24, "flac": 24}
_WIDTHS = {"wav16": 2, "wav24": 3, "wav32f": 4}
# kbit/s of MP3. Below, encoders have no room to state the length, so files begin late.
BITRATES = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
# The most and the least at sample rates from 32, from 16 and from 8 kHz on.
_RANGES = {32_000: (320, 32), 16_000: (160, 8), 8_000: (64, 8)}
# Factors by which LAME makes everything softer below 256 kbit/s.
_SOFTER = {224: 0.98, 192: 0.97}
_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@dataclass(frozen=True)
class Format:
    """The format of an audio file.

    Attributes:
        name: "wav16", "wav24", "wav32f" (float), "flac" (24 bits) or "mp3".
        bitrate: kbit/s of MP3, constant; where a sample rate has less at most, that.

    Raises:
        UmssError: no such format or bitrate.
    """

    name: str = "wav32f"
    bitrate: int = 320

    def __post_init__(self) -> None:
        if self.name not in ENDINGS:
            raise UmssError(f"format={self.name}: choose one of {', '.join(ENDINGS)}")
        if self.name == "mp3" and self.bitrate not in BITRATES:
            raise UmssError(
                f"bitrate={self.bitrate}: choose one of {', '.join(map(str, BITRATES))} kbit/s"
            )

    @property
    def ending(self) -> str:
        """The ending of file names, without dot."""
        return ENDINGS[self.name]

    @property
    def clips(self) -> bool:
        """Whether it cannot hold samples above full scale."""
        return self.name != "wav32f"

    def limit_bitrate(self, rate: int) -> int:
        """The kbit/s of an MP3 file at a sample rate in Hz."""
        most = next(found[0] for lowest, found in _RANGES.items() if rate >= lowest)
        return min(self.bitrate, most)

    def is_that_of(self, path: Path) -> bool:
        """Whether an audio file has this format, so that to write it anew would only harm it.

        Raises:
            RuntimeError: it is no file that libsndfile reads.
        """
        if path.suffix != f".{self.ending}":
            return False
        with sf.SoundFile(name_for_soundfile(path)) as file:
            found, rate = file.subtype, file.samplerate
        if self.name != "mp3" or found != _SUBTYPES["mp3"]:
            return bool(found == _SUBTYPES[self.name])
        return read_bitrate(path) == self.limit_bitrate(rate)

    def check(self, rate: int, channels: int, what: str | Path) -> None:
        """Refuse a recording that the format cannot hold.

        Raises:
            UmssError: names the remedy.
        """
        if self.name == "mp3" and (rate not in _MP3_RATES or channels > 2):
            raise UmssError(
                f"{what}: MP3 cannot hold {channels} channels at {rate} Hz (at most two, at "
                f"{', '.join(map(str, _MP3_RATES))} Hz); choose format=flac"
            )
        if self.name == "flac" and (channels > 8 or rate > 655_350):
            raise UmssError(
                f"{what}: FLAC cannot hold {channels} channels at {rate} Hz; choose format=wav24"
            )


class AudioWriter:
    """Writes an audio file block by block; the same samples give the same bytes.

    16 bits are dithered with triangular noise of two steps, which is drawn anew in the same way for
    every file; samples that are exactly 0 stay so. 24 bits need no dither, MP3 has no steps.

    Args:
        path: the file; it is replaced.
        form: its format.
        rate: sample rate in Hz.
        channels: number of channels C.
        n_samples: samples per channel that will be written, or more.
        tags: what the file says about itself; WAV holds no cover.
        seed: of the noise; files that are played together need different ones.

    Raises:
        UmssError: the format cannot hold the sample rate or so many channels.
        OSError: the system does not write, here and in all methods.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        rate: int,
        channels: int,
        n_samples: int,
        tags: Tags | None = None,
        seed: int = 0,
    ) -> None:
        form.check(rate, channels, path)
        self.path = path
        self.form = form
        self.channels = channels
        self._tags = tags or Tags()
        self._louder = 1.0
        self._generator = np.random.default_rng(seed)
        kind, options = form.name.upper(), {}
        if form.name == "mp3":
            kilobits = form.limit_bitrate(rate)
            self._louder = 1.0 / _SOFTER.get(kilobits, 0.95 if kilobits < 256 else 1.0)
            level = _find_level(kilobits, rate)
            options = {"bitrate_mode": "CONSTANT", "compression_level": level}
        elif form.name != "flac":
            large = _WIDTHS[form.name] * channels * n_samples + (1 << 16) >= LARGEST_WAV
            kind = "RF64" if large else "WAV"
        with raise_system_errors(path):
            self._file = sf.SoundFile(
                name_for_soundfile(path), "w", rate, channels, _SUBTYPES[form.name],
                format=kind, **options,
            )  # fmt: skip
            if form.name != "mp3" and kind != "RF64":  # which holds no tags
                for name, text in self._tags.list_texts().items():
                    setattr(self._file, name, text)

    def write(self, samples: NDArray[np.float32]) -> None:
        """Write the next samples [C, n]; the caller sees to it that formats hold their level."""
        block = np.ascontiguousarray(samples.T, dtype=np.float32)
        if self.form.clips:
            block = np.clip(block, -1.0, 1.0)
        with raise_system_errors(self.path):
            self._file.write(self._quantise(block))

    def _quantise(self, block: NDArray[np.float32]) -> NDArray[np.generic]:
        """Samples [n, C] as the whole numbers that the file holds, in the high bits."""
        bits = _BITS.get(self.form.name)
        if bits is None:
            return block * np.float32(self._louder)
        steps = block.astype(np.float64) * 2.0 ** (bits - 1)
        if bits == 16:
            noise = self._generator.random((*steps.shape, 2))
            steps += np.where(block == 0, 0.0, noise[..., 0] - noise[..., 1])
        top = 2 ** (bits - 1)
        whole = np.clip(np.rint(steps), -top, top - 1).astype(np.int32)
        return whole.astype(np.int16) if bits == 16 else whole << 8

    def close(self) -> None:
        """Complete the file."""
        with raise_system_errors(self.path):
            self._file.close()
        if self.form.name == "wav32f":
            clear_time(self.path)
        elif self.form.name == "mp3":
            _insert(self.path, build_id3(self._tags), 0)
        elif self.form.name == "flac":
            _insert(self.path, build_flac_picture(self._tags), 42)  # after the stream's own block

    def abandon(self) -> None:
        """Close the file, whatever state it is in."""
        with suppress(OSError, RuntimeError):
            self._file.close()


def _find_level(kilobits: int, rate: int) -> float:
    """What libsndfile calls the level of compression: its bitrates from the highest down to 1."""
    most, least = next(found for lowest, found in _RANGES.items() if rate >= lowest)
    # libsndfile cuts off decimals; the level 1 fails.
    return min(max((most - kilobits - 0.5) / (most - least), 0.0), 0.999)


def _insert(path: Path, data: bytes, place: int) -> None:
    """Insert bytes into a file."""
    if not data:
        return
    with (
        replace_when_complete(path) as temporary,
        path.open("rb") as source,
        temporary.open("wb") as target,
    ):
        target.write(source.read(place))
        target.write(data)
        shutil.copyfileobj(source, target, 1 << 20)


def write_audio(
    path: Path,
    blocks: Iterable[NDArray[np.float32]],
    form: Format,
    rate: int,
    channels: int,
    n_samples: int,
    tags: Tags | None = None,
    seed: int = 0,
) -> None:
    """Write blocks [C, n] as one file, complete or not at all; see `AudioWriter`."""
    with replace_when_complete(path) as temporary:
        writer = AudioWriter(temporary, form, rate, channels, n_samples, tags, seed)
        try:
            for block in blocks:
                writer.write(block)
            writer.close()
        finally:
            writer.abandon()
