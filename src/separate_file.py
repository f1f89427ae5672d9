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
from .f0.contours import ContourError, F0Contours, read_contours, write_f0
from .f0.estimate import (
    F0Estimate,
    F0Estimator,
    choose_singer_names,
    estimate_file,
    expect_parts,
    settle_number,
)
from .f0.score.reading import SCORE_SUFFIXES, read_score
from .files import check_existing, check_folder, check_space, name_failed_file
from .formats.write import (
    check_formats,
    label_f0_files,
    name_f0_files,
    remove_empty_folders,
    write_formats,
)
from .listening.files import name_page, tidy_folder
from .listening.page import build_page
from .outputs import name_outputs, name_synthesised
from .resynthesis import check_voices, describe
from .separated_files import describe_page, find_former, write_pieces
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
    keep: Iterable[Path] = (),
    synthesised: bool = False,
    confidence: float | None = None,
    page: bool = False,
    warnings: Sequence[str] = (),
    f0_formats: Sequence[str] = (),
    form: Format | None = None,
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
        keep: files that stay even if an earlier separation wrote them, e.g. the F0 file given.
        synthesised: also write what the models of the voices sing, and the sum.
        confidence: of the number of singers, where it was counted; goes into the parameters.
        page: also write a page to listen to, NAME_listen.html.
        warnings: about F0, for the page.
        f0_formats: other formats of the F0 tracks and their notes (`src.formats.write`).
        form: of the sound. Where it cannot hold what is above full scale, all files are lowered
            together, with a warning.
        full_band: see `src.chunks.separate_chunks`.

    Returns:
        The files by singer name, "residual", "parameters" and "f0", by NAME_synthesised and
        "synthesised" the synthesised ones, by FORMAT or FORMAT/NAME those of the F0, and "page".

    Raises:
        AudioError: the input is missing, unreadable or empty.
        OutputExistsError: an output exists and `overwrite` is false.
        ClaimedError: another process is separating this recording into this folder.
        WriteError: the files cannot be written.
        UmssError: other unusable input.
    """
    form = form or Format()
    ending = form.ending
    paths = name_outputs(folder, path.stem, contours.names, with_f0=with_f0, ending=ending)
    if synthesised:
        check_voices(separator)
        sung = name_synthesised(folder, path.stem, contours.names, ending=ending)
        paths["synthesised"] = sung.pop("synthesised")
        paths |= {f"{name}_synthesised": target for name, target in sung.items()}
    others = [kind for kind in f0_formats if not (with_f0 and kind == "csv")]
    tracks = name_f0_files(folder, path.stem, contours.names, others)
    paths |= label_f0_files(tracks)
    if page:
        paths["page"] = name_page(folder, path.stem)
    check_existing(paths.values(), overwrite=overwrite)
    found = examine_audio(path) if examination is None else examination
    form.check(found.rate, found.channels, path)
    seconds = found.frames / found.rate
    _compare_lengths(path, seconds, contours)
    n_files = (contours.n_singers + 1) * (found.channels + synthesised)
    n_heard = (contours.n_singers + 2) * min(found.channels, 2) if page else 0
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
                pieces, temporary, contours, found, separator, description, confidence, path, form
            )
            if with_f0:
                write_f0(temporary["f0"], contours)
            write_formats(tracks, contours, path.stem, place=place.place)
            files = [*paths.values()]
            if page:
                shown = describe_page(path, found, temporary, contours, warnings, factor)
                files += build_page(paths["page"], shown, place.place)[1:]
            former = find_former(folder, path.stem, files, keep)
            place.publish(files, remove=former)
    remove_empty_folders(folder, path.stem)
    tidy_folder(name_page(folder, path.stem))
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


def estimate_contours(cfg: DictConfig) -> tuple[F0Estimate, Examination]:
    """Estimate the F0 tracks of the recording; if `cfg.f0` is a score, it guides the estimation.

    Returns:
        The tracks and what is doubtful about them, and what was found in the file.

    Raises:
        UmssError: unusable recording, settings or score, or no singing in the recording.
        OutputExistsError: an output exists and `cfg.overwrite` is false.
    """
    path = Path(cfg.input)
    names = None if cfg.names is None else list(cfg.names)
    parts = None if cfg.score_parts is None else list(cfg.score_parts)
    settle_number(cfg.n_singers, names)
    wanted = expect_parts(cfg.n_singers)
    score = None if cfg.f0 is None else read_score(cfg.f0, wanted, parts)
    number = settle_number(cfg.n_singers, names, score)
    labels = () if number is None else choose_singer_names(number, names, score)
    # Estimation is slow, so problems that would stop the separation are reported first.
    ending = Format(cfg.format, cfg.bitrate).ending
    paths = name_outputs(Path(cfg.output), path.stem, labels, with_f0=True, ending=ending)
    if cfg.page:
        paths["page"] = name_page(Path(cfg.output), path.stem)
    tracks = name_f0_files(Path(cfg.output), path.stem, labels, cfg.f0_formats or ())
    check_existing([*paths.values(), *tracks.values()], overwrite=cfg.overwrite)
    examination = examine_audio(path)
    estimator: F0Estimator = instantiate(cfg.multif0)
    who = "the singers" if number is None else f"{number} singers"
    log.info("estimating the F0 of %s", who)
    estimate = estimate_file(
        path,
        estimator,
        cfg.n_singers,
        names,
        score=score,
        alignment=cfg.score_alignment,
        mix=examination.mix,
    )
    for message in estimate.list_messages():
        log.warning(message)
    return estimate, examination


def main(cfg: DictConfig) -> None:
    counted = cfg.n_singers == "auto"
    if not counted and not 1 <= cfg.n_singers <= 32:
        raise UmssError(f"n_singers={cfg.n_singers}: give a number from 1 to 32, or auto")
    Grid.of(cfg.window_seconds, cfg.overlap_seconds, cfg.chunk_seconds)  # before the slow part
    check_folder(Path(cfg.output))
    separator: Separator = instantiate(cfg.separator)
    if separator.needs_sources:
        raise UmssError(
            "an oracle needs the true stems and cannot separate a recording; use "
            "separator=fit or separator=umss"
        )
    if cfg.synthesised:
        check_voices(separator)
    check_formats(cfg.f0_formats or ())
    form = Format(cfg.format, cfg.bitrate)
    given = cfg.f0 is not None and Path(cfg.f0).suffix.lower() not in SCORE_SUFFIXES
    examination, confidence, warnings = None, None, []
    if given:
        contours = read_contours(Path(cfg.f0), None if counted else cfg.n_singers)
    else:
        estimate, examination = estimate_contours(cfg)
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
        with_f0=not given,
        examination=examination,
        keep=() if cfg.f0 is None else (Path(cfg.f0),),
        synthesised=cfg.synthesised,
        confidence=confidence,
        page=cfg.page,
        warnings=warnings,
        f0_formats=list(cfg.f0_formats or ()),
        form=form,
        full_band=cfg.full_band,
    )
    for written in paths.values():
        log.info("wrote %s", written)
