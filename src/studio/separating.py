"""Separating a project, and again only where its tracks have changed.

Windows lie on a fixed grid and each is separated by itself (`src.chunks`), so a window whose F0 is
as it was gives what it gave. Of every window the two ends that are cross-faded with its neighbours
are kept beside the stems. Where some windows are separated anew, the stems are copied and written
over in their places only; every other sample stays, to the byte, and all are those of a separation
from the beginning.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import Examination, count_resampled, open_audio
from ..chunks import (
    Parameters,
    SeparatedWindow,
    find_covered,
    find_sung,
    separate_windows,
)
from ..f0.contour_files import write_f0
from ..f0.contours import F0Contours
from ..files import check_space, name_failed_file, write_json
from ..outputs import name_outputs, write_parameters
from ..resynthesis import describe, read_parameters
from ..separator import Separator
from ..staging import Stage, stage
from ..windows import Audio, Window, cut_windows, silence_between, silence_outside
from ..writing.stems import StemWriters
from ..writing.writer import Format
from .held import HeldOpinions, cut_held, hold
from .operations import list_locks
from .stale import NOTES, Former, Settings, find_changed_windows, find_former, find_let_go
from .wav_places import WavPlaces

_WINDOWS = "windows"

Report = Callable[[float, str], None]


def separate_project(
    recording: Path,
    found: Examination,
    stem: str,
    contours: F0Contours,
    separator: Separator,
    settings: Settings,
    folder: Path,
    digest: str,
    *,
    held: NDArray[np.bool_] | None = None,
    whole: bool = False,
    report: Report = lambda share, said: None,
) -> int:
    """Separate a recording, or the windows of it whose tracks have changed.

    Args:
        recording: the file.
        found: in it.
        stem: how the names of files begin.
        contours: tracks on the 16-ms grid, from the highest voice to the lowest.
        separator: the method.
        settings: what else decides the result.
        folder: where the files are, and go.
        digest: SHA-256 of the recording.
        held: [N, J], true where the method must keep the tracks; None = nowhere.
        whole: everything anew.
        report: told how far it is, 0 to 1, and what is done.

    Returns:
        How many windows were separated.

    Raises:
        UmssError: see `src.separate_file.separate_file`.
    """
    seconds = found.frames / found.rate
    grid = settings.grid
    notes = settings.note(contours.names, digest)
    former = None if whole else find_former(folder, stem)
    paths = name_outputs(folder, stem, contours.names, with_f0=True)
    if former is not None and (
        any(former.notes.get(key) != value for key, value in notes.items())
        or former.contours.f0.shape != contours.f0.shape
        or not _is_complete(former, paths, grid.count(seconds))
    ):
        former = None
    wanted = np.ones(grid.count(seconds), np.bool_)
    if former is not None:
        also = find_let_go(former, held)
        wanted = find_changed_windows(former.contours, contours, grid, seconds, also)
    check_space(folder, 4 * found.frames * found.channels * (contours.n_singers + 1))
    with stage(folder, stem) as place, name_failed_file(folder / stem):
        work = _Work(recording, found, contours, separator, settings, former, place, paths)
        opinions = hold(separator)
        if opinions is not None:
            now = np.zeros(contours.f0.shape, np.bool_) if held is None else held
            notes["held"] = list_locks(now)
            work.held = (opinions, now)
        work.begin(stem)
        work.run(wanted, report)
        work.finish(notes)
        targets = [*paths.values(), folder / NOTES, *work.windows]
        there = {p for p in folder.rglob("*") if p.is_file() and ".umss-part" not in str(p)}
        place.publish(targets, remove=sorted(there - {*targets}))
    return int(wanted.sum())


def _is_complete(former: Former, paths: Mapping[str, Path], count: int) -> bool:
    ends = [former.folder / _WINDOWS / f"{k:04d}.npy" for k in range(count)]
    return all(path.is_file() for path in (*paths.values(), *ends))


class _Work:
    """One separation in progress: files that are written over in places."""

    def __init__(
        self,
        recording: Path,
        found: Examination,
        contours: F0Contours,
        separator: Separator,
        settings: Settings,
        former: Former | None,
        place: Stage,
        paths: Mapping[str, Path],
    ) -> None:
        self.recording, self.found, self.contours = recording, found, contours
        self.separator, self.settings, self.former = separator, settings, former
        self.place, self.paths = place, paths
        self.grid = settings.grid
        self.overlap = round(self.grid.overlap * found.rate)
        fade = np.sin(0.5 * np.pi * (np.arange(self.overlap) + 0.5) / max(self.overlap, 1)) ** 2
        self.fade = fade.astype(np.float32)
        self.covered = find_covered(contours, found.frames / found.rate)
        self.sung = find_sung(contours)
        self.parameters: dict[int, Parameters] = {}
        self.windows: list[Path] = []
        self.files: dict[str, WavPlaces] = {}
        self.held: tuple[HeldOpinions, NDArray[np.bool_]] | None = None

    def begin(self, stem: str) -> None:
        """Put files in place that have everything but the windows to come."""
        names = (*self.contours.names, "residual")
        made = {name: self.place.place(self.paths[name]) for name in names}
        if self.former is not None:
            for name, target in made.items():
                shutil.copyfile(self.paths[name], target)
        else:
            channels = dict.fromkeys(names, self.found.channels)
            writers = StemWriters(
                made, channels, self.found.rate, self.found.frames, Format(), self.recording
            )
            try:
                left = self.found.frames
                while left:
                    n = min(left, 1 << 18)
                    writers.write([np.zeros((self.found.channels, n), np.float32)] * len(names))
                    left -= n
                writers.close()
            finally:
                writers.abandon()
        self.files = {name: WavPlaces(path, self.found.channels) for name, path in made.items()}

    def run(self, wanted: NDArray[np.bool_], report: Report) -> None:
        """Separate the wanted windows and write them into their places."""
        done, total = 0, int(wanted.sum())
        folder = self.place.folder.parent / _WINDOWS
        tail: Audio | None = None  # of the window before; None: it is as it was
        anew = False
        position = 0
        with open_audio(self.recording) as source:
            for window in cut_windows(source.read, source.rate, self.grid):
                k = window.index
                target = folder / f"{k:04d}.npy"
                self.windows.append(target)
                kept = window.choose_kept(self.grid, source.rate)
                audio = window.audio[:, kept]
                if k < len(wanted) and wanted[k]:
                    report(done / total, f"separating, window {done + 1} of {total}")
                    result = self._separate(window)
                    stems, ends = result.stems[..., kept], self._cut_ends(result, window, kept)
                    if k and not anew:
                        tail = self._read_ends(folder, k - 1)[..., self.overlap :]
                    self._write(self._fade(stems, tail), audio, position)
                    self.parameters[k] = self._collect(result, window)
                    _save(self.place.place(target), ends)
                    tail, anew, done = ends[..., self.overlap :], True, done + 1
                else:
                    assert self.former is not None
                    old = folder / f"{k:04d}.npy"
                    shutil.copyfile(old, self.place.place(target))
                    if anew:
                        head = self._read_ends(folder, k)[..., : self.overlap]
                        head = head[..., : audio.shape[-1]]
                        self._write(self._fade(head, tail), audio[:, : head.shape[-1]], position)
                    anew, tail = False, None
                position += audio.shape[-1]
        report(1.0, "writing the stems")

    def _separate(self, window: Window) -> SeparatedWindow:
        if self.held is not None:
            opinions, held = self.held
            frames = self.separator.rate / self.separator.hop
            n_samples = count_resampled(
                window.audio.shape[-1], self.found.rate, self.separator.rate
            )
            count = -(-n_samples // self.separator.hop)
            opinions.held = cut_held(held, round(window.start * frames), count)
        return next(
            separate_windows(
                [window],
                self.found.rate,
                self.contours,
                self.separator,
                self.settings.seed,
                self.found.mix,
                full_band=True,
            )
        )

    def _cut_ends(self, result: SeparatedWindow, window: Window, kept: slice) -> Audio:
        """The head of a window [J, C, overlap] and its tail; zeros where it is shorter."""
        stems = result.stems
        head = stems[..., kept.start : kept.start + self.overlap]
        tail = stems[..., kept.stop :] if kept.stop is not None else stems[..., :0]
        parts = []
        for part in (head, tail):
            missing = self.overlap - part.shape[-1]
            parts.append(np.pad(part, ((0, 0), (0, 0), (0, missing))))
        ends: Audio = np.concatenate(parts, axis=-1)
        return ends

    def _read_ends(self, folder: Path, k: int) -> Audio:
        ends: Audio = np.load(folder / f"{k:04d}.npy", allow_pickle=False)
        return ends

    def _fade(self, stems: Audio, tail: Audio | None) -> Audio:
        """Fade the end of the window before into the beginning of this one."""
        if tail is None:
            return stems
        faded = stems.copy()
        head = faded[..., : self.overlap]
        n = head.shape[-1]
        head[...] = tail[..., :n] + self.fade[:n] * (head - tail[..., :n])
        return faded

    def _write(self, stems: Audio, audio: Audio, position: int) -> None:
        """Write stems [J, C, n] and what they leave of the audio [C, n] from a sample on."""
        rate = self.found.rate
        stems = silence_between(stems, position / rate, rate, self.sung)
        stems = silence_outside(stems, position / rate, rate, self.covered)
        rest: Audio = audio - stems.sum(axis=0)
        for file, signal in zip(self.files.values(), (*stems, rest), strict=True):
            file.write(position, signal)

    def _collect(self, result: SeparatedWindow, window: Window) -> Parameters:
        frames = window.choose_kept(self.grid, self.separator.rate / self.separator.hop)
        kept = {
            name: value[:, frames] if value.shape[1] > 1 else value
            for name, value in result.parameters.items()
        }
        kept["f0"] = result.f0[:, frames]
        if self.separator.describe_voice() is not None:
            kept |= result.collect_beside(frames)
        return kept

    def finish(self, notes: Mapping[str, Any]) -> None:
        """Write the parameters and the notes."""
        for file in self.files.values():
            file.close()
        parts = [self.parameters.get(k) for k in range(len(self.windows))]
        if self.former is not None:
            parts = _fill(parts, self.former, self.paths["parameters"])
        whole = [part for part in parts if part is not None]
        joined = {name: np.concatenate([part[name] for part in whole], axis=1) for name in whole[0]}
        write_parameters(
            self.place.place(self.paths["parameters"]),
            self.contours.names,
            joined,
            frames_per_second=self.separator.rate / self.separator.hop,
            description=describe(
                self.separator,
                self.grid,
                rate=self.found.rate,
                n_samples=self.found.frames,
                seed=self.settings.seed,
                covered=self.covered,
            ),
        )
        write_f0(self.place.place(self.paths["f0"]), self.contours, overwrite=True)
        sizes = [{name: value.shape[1] for name, value in part.items()} for part in whole]
        write_json(self.place.place(self.place.folder.parent / NOTES), {**notes, "sizes": sizes})


def _fill(
    parts: Sequence[Parameters | None], former: Former, path: Path
) -> list[Parameters | None]:
    """The parameters of all windows: those that are there, else the former ones."""
    arrays = read_parameters(path)
    at = dict.fromkeys(former.notes["sizes"][0], 0)
    filled: list[Parameters | None] = []
    for part, sizes in zip(parts, former.notes["sizes"], strict=True):
        old = {name: arrays[name][:, at[name] : at[name] + n] for name, n in sizes.items()}
        filled.append(old if part is None else part)
        at = {name: at[name] + n for name, n in sizes.items()}
    return filled


def _save(path: Path, array: Audio) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
