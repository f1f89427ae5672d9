"""From one recording to one file per singer: `umss separate input=choir.wav n_singers=4`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.markup import escape
from rich.progress import track

from .audio import Examination, examine_audio, open_audio
from .chunks import Grid, Piece, find_covered, separate_chunks
from .errors import UmssError
from .f0.contour_files import read_contours, write_f0
from .f0.contours import ContourError, F0Contours
from .f0.estimate import (
    F0Estimate,
    F0Estimator,
    estimate_file,
)
from .filenames import FILENAME
from .files import check_existing, check_inputs, check_space, name_failed_file
from .formats.write import remove_empty_folders, write_formats
from .listening.files import name_page, tidy_folder
from .listening.page import build_page
from .named_files import name_files
from .progress import show_bar
from .resynthesis import check_voices, describe
from .separated_files import describe_page, find_former, write_pieces
from .separation_plan import Singers, check, has_tracks, list_inputs, name_results
from .separator import Separator
from .staging import stage
from .writing.writer import Format

log = logging.getLogger(__name__)


def separate_file(
    path: Path,
    contours: F0Contours,
    separator: Separator,
    folder: Path,
    *,
    window_seconds: float = 9.0,
    overlap_seconds: float = 1.0,
    chunk_seconds: float = 9.0,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
    with_f0: bool = False,
    examination: Examination | None = None,
    keep: Sequence[Path] = (),
    synthesised: bool = False,
    confidence: float | None = None,
    page: bool = False,
    warnings: Sequence[str] = (),
    f0_formats: Sequence[str] = (),
    form: Format | None = None,
    filename: str = FILENAME,
    only: Sequence[str] | None = None,
    two_stems: str | None = None,
    full_band: bool = True,
) -> dict[str, Path]:
    """Separate a file chunk by chunk into one file per singer, the residual and the parameters.

    Files are 32-bit float WAV (RF64 above 4 GiB), unless another format is wanted, with the input's
    sample rate, channels and tags. They appear in `folder` when all are complete; a failed run
    leaves nothing behind. With `overwrite`, files of an earlier separation of this recording go,
    also those of singers that are no more.

    Args:
        path: the recording.
        contours: F0 tracks, from the highest voice to the lowest.
        separator: the method.
        folder: where the files go.
        window_seconds, overlap_seconds, chunk_seconds, seed: see `src.chunks.separate_chunks`.
        overwrite: replace the files of an earlier separation.
        progress: show a progress bar.
        with_f0: also write the F0 tracks as a CSV file.
        examination: what `src.audio.examine_audio` found; None = it is done here.
        keep: files that are neither replaced nor removed, even if an earlier separation wrote
            them: what else is read, such as the F0 file and other recordings.
        synthesised: also write what the models of the voices sing, and the sum.
        confidence: of the number of singers, where it was counted; goes into the parameters.
        page: also write a page to listen to, NAME_listen.html.
        warnings: about F0, for the page.
        f0_formats: other formats of the F0 tracks and their notes (`src.formats.write`).
        form: of the sound. Where it cannot hold what is above full scale, all files are lowered
            together, with a warning.
        filename: how files are named (`src.filenames`).
        only: singers whose files are written, without the residual; None = all, and the residual.
        two_stems: a singer who is written beside the sum of everything else, without SINGER.
        full_band: see `src.chunks.separate_chunks`.

    Returns:
        The files by what they hold: singers, "residual", "parameters" and "f0", by
        NAME_synthesised and "synthesised" the synthesised ones, by FORMAT or FORMAT/NAME those of
        the F0, and "page".

    Raises:
        AudioError: the input is missing, unreadable or empty.
        OutputExistsError: an output exists and `overwrite` is false.
        ClaimedError: another process is separating this recording into this folder.
        WriteError: the files cannot be written.
        UmssError: other unusable input.
    """
    form = form or Format()
    track_name = path.stem
    if synthesised:
        check_voices(separator)
    paths, tracks, chosen = name_files(
        folder, track_name, contours.names,
        ending=form.ending, filename=filename, only=only, two_stems=two_stems, with_f0=with_f0,
        synthesised=synthesised, page=page, f0_formats=f0_formats,
    )  # fmt: skip
    check_inputs(paths.values(), path, keep)
    check_existing(paths.values(), overwrite=overwrite)
    found = examine_audio(path) if examination is None else examination
    form.check(found.rate, found.channels, path)
    seconds = found.frames / found.rate
    _compare_lengths(path, seconds, contours)
    n_sung = (contours.n_singers + 1) * synthesised
    n_files = len(chosen.labels) * found.channels + n_sung
    n_heard = (len(chosen.labels) + 1) * min(found.channels, 2) if page else 0
    width = 4 if form.name == "wav32f" else 8  # other formats are made of float files
    check_space(folder, found.frames * (width * n_files + 3 * n_heard))
    covered = find_covered(contours, seconds)
    grid = Grid.of(window_seconds, overlap_seconds, chunk_seconds)
    description = describe(
        separator, grid, rate=found.rate, n_samples=found.frames, seed=seed, covered=covered
    )
    with stage(folder, path.stem) as place, open_audio(path) as source:
        pieces: Iterable[Piece] = separate_chunks(
            source.read,
            source.rate,
            contours,
            separator,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
            chunk_seconds=chunk_seconds,
            seed=seed,
            mix=found.mix,
            covered=covered,
            synthesise=synthesised,
            full_band=full_band,
        )
        if progress:
            total = grid.count(seconds)
            pieces = track(pieces, f"separating {escape(path.name)}", total=total, transient=True)
        temporary = {name: place.place(target) for name, target in paths.items()}
        with name_failed_file(folder / path.stem):
            factor = write_pieces(
                pieces, temporary, contours, found, separator, description, confidence, path, form,
                chosen, filename,
            )  # fmt: skip
            if with_f0:
                write_f0(temporary["f0"], contours)
            write_formats(tracks, contours, track_name, place=place.place)
            files = [*paths.values()]
            if page:
                shown = describe_page(path, found, temporary, contours, warnings, factor, chosen)
                files += build_page(paths["page"], shown, place.place)[1:]
            former = find_former(folder, track_name, files, keep, filename)
            place.publish(files, remove=former)
    remove_empty_folders(folder, track_name, filename)
    tidy_folder(name_page(folder, track_name, filename))
    return paths


def _compare_lengths(path: Path, seconds: float, contours: F0Contours) -> None:
    first, last = contours.times[0], contours.duration
    if first > seconds:
        raise ContourError(
            f"the F0 starts at {first:.1f} s, after the end of {path} "
            f"({seconds:.1f} s); does it belong to this recording?"
        )
    if last > seconds + 1.0:
        log.warning(
            "warning: the F0 goes on to %.1f s, %s ends at %.1f s; does it belong to this "
            "recording?",
            last,
            path.name,
            seconds,
        )
    begin, end = find_covered(contours, seconds)
    if begin > 0 or end < seconds:
        log.warning(
            "warning: there is F0 from %.1f to %.1f s only, %s lasts %.1f s; singers are silent "
            "where F0 is missing, the residual has all that sounds there",
            first,
            last,
            path.name,
            seconds,
        )


def estimate_contours(cfg: DictConfig, keep: Sequence[Path] = ()) -> tuple[F0Estimate, Examination]:
    """Estimate the F0 tracks of the recording; if `cfg.f0` is a score, it guides the estimation.

    Args:
        cfg: the settings of a separation.
        keep: see `separate_file`.

    Returns:
        The tracks and what is doubtful about them, and what was found in the file.

    Raises:
        UmssError: unusable recording, settings or score, or no singing in the recording.
        OutputExistsError: an output exists and `cfg.overwrite` is false.
    """
    path = Path(cfg.input)
    singers = Singers.of(cfg)
    # Estimation is slow, so problems that would stop the separation are reported first.
    targets = name_results(cfg, singers.labels).values()
    check_inputs(targets, path, keep)
    check_existing(targets, overwrite=cfg.overwrite)
    examination = examine_audio(path)
    estimator: F0Estimator = instantiate(cfg.multif0)
    who = f"{len(singers.labels)} singers" if singers.labels else "the singers"
    log.info("estimating the F0 of %s", who)
    with show_bar(f"estimating F0: {path.name}", wanted=cfg.progress):
        estimate = estimate_file(
            path,
            estimator,
            cfg.n_singers,
            singers.names,
            score=singers.score,
            alignment=cfg.score_alignment,
            examination=examination,
        )
    for message in estimate.list_messages():
        log.log(logging.WARNING if message.startswith("warning") else logging.INFO, message)
    return estimate, examination


def main(cfg: DictConfig, others: Sequence[Path] = ()) -> dict[str, Path]:
    """Separate a recording.

    Args:
        cfg: the settings.
        others: recordings that are separated, too; no file of them is replaced.
    """
    check(cfg)
    keep = list_inputs(cfg, others)
    separator: Separator = instantiate(cfg.separator)
    if separator.needs_sources:
        raise UmssError(
            "an oracle needs the true stems and cannot separate a recording; use "
            "separator=fit or separator=umss"
        )
    if cfg.synthesised:
        check_voices(separator)
    given = has_tracks(cfg)
    examination, confidence, warnings = None, None, []
    if given:
        number = None if cfg.n_singers == "auto" else cfg.n_singers
        contours = read_contours(Path(cfg.f0), number)
    else:
        estimate, examination = estimate_contours(cfg, keep)
        contours, confidence = estimate.contours, estimate.confidence
        warnings = estimate.warnings
    paths = separate_file(
        Path(cfg.input),
        contours,
        separator,
        Path(cfg.output),
        window_seconds=cfg.window_seconds,
        overlap_seconds=cfg.overlap_seconds,
        chunk_seconds=cfg.chunk_seconds,
        seed=cfg.seed,
        overwrite=cfg.overwrite,
        progress=cfg.progress,
        with_f0=not given,
        examination=examination,
        keep=keep,
        synthesised=cfg.synthesised,
        confidence=confidence,
        page=cfg.page,
        warnings=warnings,
        f0_formats=list(cfg.f0_formats or ()),
        form=Format(cfg.format, cfg.bitrate),
        filename=cfg.filename,
        only=None if cfg.only is None else list(cfg.only),
        two_stems=cfg.two_stems,
        full_band=cfg.full_band,
    )
    for written in paths.values():
        log.info("wrote %s", written)
    return paths
