"""Voices from parameters: `umss resynthesise parameters=choir_parameters.npz`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from omegaconf import DictConfig

from .cli import launch
from .files import check_existing, check_space, name_failed_file
from .outputs import find_place, name_synthesised
from .resynthesis import add_sum, read_voices, synthesise
from .staging import stage
from .wav_writing import WavWriter
from .windows import Audio

log = logging.getLogger(__name__)


def write_voices(pieces: Iterable[Audio], paths: Sequence[Path], rate: int, n_samples: int) -> None:
    """Write pieces [J, n] into one file per voice, and their sum into the last."""
    writers: list[WavWriter] = []
    try:
        for path in paths:
            writers.append(WavWriter(path, rate, 1, n_samples))
        for piece in pieces:
            for writer, signal in zip(writers, add_sum(piece), strict=True):
                writer.write(signal)
        for writer in writers:
            writer.close()
    finally:
        for writer in writers:
            writer.abandon()


def resynthesise_file(path: Path, folder: Path, *, overwrite: bool = False) -> dict[str, Path]:
    """Synthesise the voices of a file of parameters, and their sum, into WAV files.

    Args:
        path: NAME_parameters.npz, as a separation wrote it.
        folder: where NAME_SINGER_synthesised.wav and NAME_synthesised.wav go.
        overwrite: replace existing files.

    Returns:
        The files by name of the voice, and the sum's as "synthesised".

    Raises:
        ParametersError: the file cannot be used.
        OutputExistsError: an output exists and `overwrite` is false.
        WriteError: the files cannot be written.
    """
    found = read_voices(path)
    _, stem, filename = find_place(path, found.arrays)
    paths = name_synthesised(folder, stem, found.names, filename=filename)
    check_existing(paths.values(), overwrite=overwrite)
    check_space(folder, 4 * found.n_samples * (len(found.names) + 1))
    with stage(folder, f"{stem}_synthesised") as place, name_failed_file(folder / stem):
        temporary = [place.place(target) for target in paths.values()]
        write_voices(synthesise(found), temporary, found.rate, found.n_samples)
        place.publish(paths.values())
    return paths


def main(cfg: DictConfig) -> None:
    paths = resynthesise_file(Path(cfg.parameters), Path(cfg.output), overwrite=cfg.overwrite)
    for written in paths.values():
        log.info("wrote %s", written)


if __name__ == "__main__":
    launch("resynthesise")
