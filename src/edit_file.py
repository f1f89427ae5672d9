"""Edits from file to file: `umss edit choir_parameters.npz edits.alto.transpose=2`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from rich.progress import track

from .audio import AudioFile, Examination, examine_audio, load_audio, open_audio
from .editing.edits import EditError
from .editing.pitch import FRAMES
from .editing.plan import build_plan
from .editing.targets import count_frames
from .errors import UmssError
from .f0.contour_files import write_f0
from .files import check_existing, check_folder, check_space, name_failed_file
from .formats.write import remove_empty_folders
from .listening.files import name_page, tidy_folder
from .outputs import MIX, find_place, find_stems, name_outputs, write_parameters
from .resynthesis import ParametersError, VoiceFile, build_voices, has_voices, read_parameters
from .separated_files import find_former
from .staging import stage
from .wav_writing import WavWriter, write_wav_atomic
from .writing.stems import encode_stems
from .writing.tags import Tags, read_tags
from .writing.writer import Format

Signal = NDArray[np.float32]
BLOCK = 1 << 18  # samples that are added to the mix at a time

log = logging.getLogger(__name__)


def edit_file(
    parameters: Path,
    edits: Mapping[str, Any],
    folder: Path,
    *,
    rendering: str = "stem",
    residual: bool = True,
    overwrite: bool = False,
    progress: bool = True,
    format: str = "wav32f",
    bitrate: int = 320,
) -> dict[str, Path]:
    """Edit singers of a separation; the stems lie beside the file of parameters.

    All files of the separation are written anew: edited and new voices, the others as they are, to
    the byte where format, bitrate and level remain, and NAME_mix.wav, everything together.

    Args:
        parameters: NAME_parameters.npz, as `umss separate` or an earlier edit wrote it.
        edits: fields of `src.editing.edits.Edit`, by singer or new voice.
        folder: where the files go.
        rendering: "stem" or "synthesis", see `src.editing.plan.build_plan`.
        residual: the mix has the residual too.
        overwrite: replace existing files.
        progress: show a progress bar.
        format: of the sound: "wav32f", "wav24", "wav16", "flac" or "mp3". Where a format cannot
            hold what is above full scale, all files are lowered together, with a warning.
        bitrate: kbit/s of MP3.

    Returns:
        The files by singer, "residual", "parameters", "f0" and "mix".

    Raises:
        ParametersError: the file of parameters cannot be used, or stems of it are missing.
        EditError: edits that cannot be made.
        OutputExistsError: an output exists and `overwrite` is false.
        WriteError: the files cannot be written.
    """
    form = Format(format, bitrate)
    arrays, voices = _read(parameters)
    names = tuple(str(name) for name in arrays["names"])
    beside = find_place(parameters, arrays)
    stem, filename = beside.track, beside.filename
    given = find_stems(beside, names)
    stems = [given[name] for name in (*names, "residual")]
    found = check_stems(parameters, stems, arrays["f0"].shape[1])
    form.check(found.rate, found.channels, parameters)

    def load(name: str) -> Signal:
        return load_audio(given[name])[0]

    plan = build_plan(names, arrays, voices, edits, load, found.rate, rendering)
    paths = name_outputs(
        folder, stem, plan.names,
        with_f0=True, with_mix=True, ending=form.ending, filename=filename,
    )  # fmt: skip
    check_existing(paths.values(), overwrite=overwrite)
    check_space(folder, 4 * found.frames * found.channels * (len(plan.names) + 2))
    former = find_former(folder, stem, paths.values(), filename=filename)
    tags = read_tags(given[names[0]]).leave_out_voice(names[0])
    with stage(folder, stem) as place, name_failed_file(folder / stem):
        final = {name: place.place(path) for name, path in paths.items()}
        temporary = dict(final)
        sounds = (*plan.names, "residual", MIX)
        if form.clips:  # what they must be lowered by shows at the end
            temporary |= {name: final[name].with_suffix(".float.wav") for name in sounds}
        for name in (*names, "residual"):
            if name not in plan.edits:
                _copy(given[name], temporary[name], found)
        sung = plan.synthesise() if rendering == "synthesis" else {}
        steps: Any = plan.edits
        if progress:
            steps = track(steps, "editing", total=len(plan.edits), transient=True)
        for name in steps:
            edited = plan.render(name, sung.get(name))
            texts = _name_voice(tags, name, stem)
            write_wav_atomic(temporary[name], edited, found.rate, texts=texts)
        parts = [temporary[name] for name in (*plan.names, *(["residual"] if residual else []))]
        _write_mix(temporary[MIX], parts, found.frames, _name_voice(tags, MIX, stem))
        if form.clips:
            peak = max(_find_peak(temporary[name]) for name in sounds)
            named = {name: tags.name_voice(name, stem) for name in sounds}
            floats = {name: temporary[name] for name in sounds}
            kept = [name for name in (*names, "residual") if name not in plan.edits]
            encoded = {name: given[name] for name in kept if form.is_that_of(given[name])}
            encode_stems(floats, final, peak, form, found.frames, named, stem, encoded)
        write_f0(temporary["f0"], plan.contours)
        write_parameters(
            temporary["parameters"],
            plan.names,
            plan.parameters,
            frames_per_second=float(arrays["frames_per_second"]),
            description=str(arrays["description"]),
            filename=filename,
        )
        place.publish(paths.values(), remove=former)
    remove_empty_folders(folder, stem, filename)
    tidy_folder(name_page(folder, stem, filename))
    return paths


def _name_voice(tags: Tags, voice: str, otherwise: str) -> dict[str, str]:
    """The texts of a file, none where the recording has no tags."""
    return tags.name_voice(voice, otherwise).list_texts() if tags else {}


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], VoiceFile | None]:
    """Read a file of parameters, and build the models of its voices if there are any."""
    arrays = read_parameters(path)
    try:
        voices = build_voices(arrays) if has_voices(arrays) else None
        tracks = arrays.get("f0", np.zeros(0))
        names = arrays.get("names", np.zeros(0))
        if names.ndim != 1 or tracks.ndim != 2 or len(names) != len(tracks):
            raise UmssError("its F0 tracks are missing, or do not fit its names")
    except UmssError as error:
        raise ParametersError(f"{path}: {error}; separate the recording again") from error
    return arrays, voices


def check_stems(parameters: Path, paths: Sequence[Path], n_frames: int) -> Examination:
    """Check that all stems are there and fit together; returns what was found in the last."""
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ParametersError(
            f"{parameters}: beside it there must be the stems of the separation; missing: "
            f"{', '.join(missing)}; keep all its files in one folder, or separate again"
        )
    found = [examine_audio(path, listened=False) for path in paths]
    for path, one in zip(paths, found, strict=True):
        if (one.rate, one.channels, one.frames) != (
            found[-1].rate, found[-1].channels, found[-1].frames,
        ):  # fmt: skip
            raise EditError(
                f"{path}: {one.channels} channels of {one.frames} samples at {one.rate} Hz, unlike "
                f"{paths[-1].name}; give the stems as umss separate wrote them"
            )
    if abs(count_frames(found[-1].frames, found[-1].rate) - n_frames) > 1:
        raise EditError(
            f"{parameters}: its F0 lasts {n_frames / FRAMES:.1f} s, the stems "
            f"{found[-1].frames / found[-1].rate:.1f} s; they are of different separations"
        )
    return found[-1]


def _copy(source: Path, target: Path, found: Examination) -> None:
    """Copy a stem; one that is no WAV file is decoded."""
    if source.suffix == target.suffix == ".wav":
        shutil.copyfile(source, target)
        return
    with open_audio(source) as audio:
        texts = read_tags(source).list_texts()
        writer = WavWriter(target, found.rate, found.channels, found.frames, texts)
        try:
            for block in audio.blocks():
                writer.write(block)
            writer.close()
        finally:
            writer.abandon()


def _write_mix(path: Path, parts: Sequence[Path], n_samples: int, texts: Mapping[str, str]) -> None:
    """Write the sum of files, block by block."""
    with ExitStack() as stack:
        sources = [stack.enter_context(open_audio(part)) for part in parts]
        writer = WavWriter(path, sources[0].rate, sources[0].channels, n_samples, texts)
        try:
            for block in _add(sources):
                writer.write(block)
            writer.close()
        finally:
            writer.abandon()


def _add(sources: Sequence[AudioFile]) -> Iterator[Signal]:
    while True:
        blocks = [source.read(BLOCK) for source in sources]
        if not blocks[0].shape[-1]:
            return
        total: Signal = np.sum(blocks, axis=0, dtype=np.float32)
        yield total


def _find_peak(path: Path) -> float:
    """The largest magnitude of a file."""
    with open_audio(path) as audio:
        return max((float(np.abs(block).max()) for block in audio.blocks()), default=0.0)


def main(cfg: DictConfig) -> None:
    check_folder(Path(cfg.output))
    edits = OmegaConf.to_container(cfg.edits, resolve=True) if cfg.edits else {}
    assert isinstance(edits, dict)
    paths = edit_file(
        Path(cfg.parameters),
        {str(name): fields for name, fields in edits.items()},
        Path(cfg.output),
        rendering=cfg.rendering,
        residual=cfg.residual,
        overwrite=cfg.overwrite,
        format=cfg.format,
        bitrate=cfg.bitrate,
    )
    for written in paths.values():
        log.info("wrote %s", written)
