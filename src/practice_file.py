"""Practice tracks: `umss practice choir_parameters.npz`, and `umss.practice(result)`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from .audio import open_audio
from .edit_file import check_stems
from .f0.contours import F0Contours
from .files import check_folder
from .outputs import find_place, find_stems
from .rehearsal.mixing import ArrayReader, Mixing, Reader
from .rehearsal.settings import Settings, Stems
from .rehearsal.tracks import write_practice
from .resynthesis import ParametersError, read_parameters
from .separated import SeparatedRecording
from .writing.tags import read_tags
from .writing.writer import Format

log = logging.getLogger(__name__)


def practice(
    result: SeparatedRecording | str | Path,
    folder: str | Path,
    *,
    voices: Sequence[str] | None = None,
    tracks: Sequence[str] = ("loud", "without", "split"),
    my_gain: float = 0.0,
    others_gain: float = -12.0,
    pan: float = 1.0,
    residual: bool = True,
    speed: float = 100.0,
    transpose: float = 0.0,
    tempo: float | None = None,
    count_in: bool = True,
    start_pitch: bool = True,
    loudness: float = -16.0,
    format: str = "mp3",
    bitrate: int = 192,
    zip: bool = True,
    title: str | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write practice tracks of a separation: each voice loud, left out, and on its own side.

    Args:
        result: what `umss.separate` gave; or the NAME_parameters.npz that `umss separate` wrote,
            beside its stems.
        folder: where NAME_practice, with the tracks and a list, and NAME_practice.zip go.
        voices: for whom; None = all.
        tracks: "loud" (my part loud), "without" (without me), "split" (me left, the others right).
        my_gain: dB of the voice in "loud" and "split".
        others_gain: dB of the others in "loud".
        pan: of "split", 1 = left and right only, 0 = both in the middle.
        residual: the others include what no singer got.
        speed: per cent, 50 to 100; the pitch stays.
        transpose: semitones, -12 to 12; the speed stays.
        tempo: beats per minute of the count-in at full speed; None = found by where notes begin.
        count_in: four clicks; the first note of the piece falls on the fifth.
        start_pitch: the first note of the voice, before the clicks.
        loudness: LUFS of all tracks (ITU-R BS.1770); lower if peaks would exceed -1 dBTP.
        format: "mp3", "flac", "wav16", "wav24" or "wav32f".
        bitrate: kbit/s of MP3.
        zip: also one ZIP file of all.
        title: of the piece; None = as tagged, or the name of the recording.
        overwrite: replace existing files.

    Returns:
        The files by VOICE/TRACK, "list" and "zip".

    Raises:
        UmssError: settings that cannot be met, or unusable files.
        OutputExistsError: a file exists and `overwrite` is false.
    """
    settings = Settings(
        voices=voices,
        tracks=tuple(tracks),
        mixing=Mixing(my_gain, others_gain, pan),
        speed=speed,
        transpose=transpose,
        tempo=tempo,
        count_in=count_in,
        start_pitch=start_pitch,
        loudness=loudness,
        form=Format(format, bitrate),
        zip=zip,
    )
    if isinstance(result, SeparatedRecording):
        stems = _hold_stems(result, residual)
    else:
        stems = _find_stems(Path(result), residual)
    if title is not None:
        stems = replace(stems, tags=replace(stems.tags, title=title))
    return write_practice(stems, Path(folder), settings, overwrite=overwrite)


def _hold_stems(result: SeparatedRecording, residual: bool) -> Stems:
    """The stems of a result in memory."""
    signals = [*result.stems.values(), *([result.residual] if residual else [])]
    arrays = [np.atleast_2d(np.asarray(signal, np.float32)) for signal in signals]
    channels, n_samples = arrays[0].shape

    def open_arrays(_: ExitStack) -> list[Reader]:
        return [ArrayReader(array) for array in arrays]

    return _join_channels(
        Stems(
            result.name, tuple(result.stems), result.rate, channels, n_samples, result.f0,
            open_arrays,
            result.tags,
        )
    )  # fmt: skip


def _find_stems(parameters: Path, residual: bool) -> Stems:
    """The stems beside a file of parameters."""
    arrays = read_parameters(parameters)
    names = tuple(str(name) for name in np.atleast_1d(arrays.get("names", np.zeros(0))))
    tracks = arrays.get("f0", np.zeros(0))
    if not names or tracks.ndim != 2 or len(tracks) != len(names):
        raise ParametersError(
            f"{parameters}: its F0 tracks are missing, or do not fit its names; separate the "
            "recording again"
        )
    beside = find_place(parameters, arrays)
    given = find_stems(beside, names)
    paths = [given[name] for name in (*names, "residual")]
    found = check_stems(parameters, paths, tracks.shape[1])
    used = paths if residual else paths[:-1]

    def open_files(stack: ExitStack) -> list[Reader]:
        return [stack.enter_context(open_audio(path)) for path in used]

    tags = read_tags(paths[0]).leave_out_voice(names[0])
    contours = F0Contours.on_grid(np.ascontiguousarray(tracks.T, dtype=np.float32), names)
    return _join_channels(
        Stems(
            beside.track, names, found.rate, found.channels, found.frames, contours, open_files,
            tags,
        )
    )  # fmt: skip


class _MonoReader:
    """Reads several channels as their mean."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, n: int) -> Any:
        return self._reader.read(n).mean(axis=0, keepdims=True)


def _join_channels(stems: Stems) -> Stems:
    """Stems of more than two channels as one: earphones have two."""
    if stems.channels <= 2:
        return stems

    def open_mono(stack: ExitStack) -> list[Reader]:
        return [_MonoReader(reader) for reader in stems.open(stack)]

    return replace(stems, channels=1, open=open_mono)


def main(cfg: DictConfig) -> None:
    check_folder(Path(cfg.output))
    paths = practice(
        Path(cfg.parameters),
        Path(cfg.output),
        voices=None if cfg.voices is None else list(cfg.voices),
        tracks=list(cfg.tracks or ()),
        my_gain=cfg.my_gain,
        others_gain=cfg.others_gain,
        pan=cfg.pan,
        residual=cfg.residual,
        speed=cfg.speed,
        transpose=cfg.transpose,
        tempo=cfg.tempo,
        count_in=cfg.count_in,
        start_pitch=cfg.start_pitch,
        loudness=cfg.loudness,
        format=cfg.format,
        bitrate=cfg.bitrate,
        zip=cfg.zip,
        title=cfg.title,
        overwrite=cfg.overwrite,
    )
    for written in paths.values():
        log.info("wrote %s", written)
