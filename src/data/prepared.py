"""Prepared data: every stem once as 16-kHz float32 on disk, memory-mapped, with its F0.

`prepare` decodes, checks and resamples a reader's songs into

    <cache_dir>/<reader>-<digest>/index.json                  written last, atomically
                                  <song>-<digest>/audio_<part>_<singer>.npy      float32 [T]
                                                  f0_stems_<part>_<singer>.npy   float32 [N]
                                                  f0_exact_<part>_<singer>.npy   float32 [N]
                                                  f0_cached_<J>.npy              float32 [M, N, J]
                                                  f0_estimated_<digest>_<mixture>.npy    [N, J]
                                                  score.npy                      float32 [N', J]

so that training and evaluation never decode audio. A second call does nothing for songs whose
sources (size, modification time, options) are unchanged. F0 frame n is at sample 256 n. Tracks
estimated from mixtures are added by `src.data.estimated`, for the mixtures that are needed. A
recording without stems is the only audio of its song, called mixture; the F0 that lies beside it is
stored like cached tracks, a score on its own time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import filelock
import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..f0.stems import StemF0
from ..files import replace_when_complete, write_text
from .checks import (
    Note,
    check_parts,
    check_rates,
    check_silence,
    check_stem,
    find_common_length,
    fit_f0,
    is_silent,
    locate_stem,
)
from .index import FORMAT, INDEX, read_index
from .readers.base import HOP, DataError, Reader, Song, Stem, StemKey
from .recordings import describe_recording, name_keys, refuse_without_stems, store_neighbours
from .store import PreparedSet, PreparedSong, check_kind, name_stem

__all__ = ["PreparedSet", "PreparedSong", "locate_prepared", "prepare"]

log = logging.getLogger(__name__)

F0Kind = Literal["cached", "stems", "estimated"]


def locate_prepared(reader: Reader, cache_dir: str | Path) -> Path:
    """Locate the folder below `cache_dir` for this reader, location and options."""
    return Path(os.path.realpath(Path(cache_dir).expanduser())) / (
        f"{reader.name}-{_digest([reader.location(), reader.options()])}"
    )


def prepare(
    reader: Reader,
    cache_dir: str | Path,
    f0: F0Kind = "cached",
    *,
    songs: Collection[str] | None = None,
    allow_silent: bool = False,
    progress: bool = True,
) -> PreparedSet:
    """Decode, check, resample and store songs and their F0; unchanged songs are skipped.

    Safe against interruption (the index is written last) and against a second process preparing
    the same data (a file lock; the second one waits and finds the work done).

    Args:
        reader: the data set.
        cache_dir: folder of all prepared data sets.
        f0: "cached" stores the tracks that come with the data (mixture tracks or exact F0);
            "stems" also estimates the F0 of every isolated stem. ("estimated" F0 is written
            by `src.data.estimated`, which needs to know the mixtures.)
        songs: names of the songs to prepare; None = all. Other prepared songs are kept.
        allow_silent: accept stems without any sound (a warning instead of an error).
        progress: show a progress bar.

    Returns:
        The set of all songs prepared so far.

    Raises:
        DataError: the data or the cache folder cannot be used.
        AudioError: a file cannot be decoded.
    """
    check_kind(f0)
    if f0 != "estimated" and not reader.has_stems:
        raise refuse_without_stems("f0", reader.location(), f0)
    if f0 == "cached" and not {"cached", "exact"} & set(reader.f0_kinds):
        raise DataError(
            f"{reader.location()}: the {reader.name} data come without F0; set data.f0=stems to "
            "estimate it from the isolated stems, or data.f0=estimated to do so from the mixtures"
        )
    wanted = [song for song in reader.songs() if songs is None or song.name in songs]
    folder = locate_prepared(reader, cache_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder):
            _Preparation(reader, folder, f0, allow_silent).run(wanted, progress)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot prepare the data there ({error}); set paths.cache_dir to a folder "
            "with space that you may write to"
        ) from error
    return PreparedSet.open(folder)


class _Preparation:
    """One call of `prepare`, while it holds the lock."""

    def __init__(self, reader: Reader, folder: Path, f0: F0Kind, allow_silent: bool) -> None:
        self.reader = reader
        self.folder = folder
        self.f0 = f0
        self.allow_silent = allow_silent
        self.index = read_index(folder) or {
            "format": FORMAT,
            "reader": reader.name,
            "license": reader.license,
            "location": reader.location(),
            "songs": {},
        }

    def run(self, songs: list[Song], progress: bool) -> None:
        """Bring every song up to date, with one progress step per stem."""
        self._remove_remains()
        todo = {song.name: self._find_missing(song) for song in songs}
        total = sum(len(s.stems) * len(todo[s.name]) for s in songs)
        if total == 0:
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), disable=not progress) as bar:
            task = bar.add_task(f"preparing {self.reader.name}", total=total)
            for song in songs:
                if not todo[song.name]:
                    continue
                bar.update(task, description=f"preparing {self.reader.name}: {escape(song.name)}")
                if "audio" in todo[song.name]:
                    self._write_song(song, lambda: bar.advance(task))
                if "stems" in todo[song.name]:
                    self._write_stem_f0(song, lambda: bar.advance(task))

    def _remove_remains(self) -> None:
        """Remove what killed processes left; whoever holds the lock is alone here."""
        for leftover in self.folder.glob(".tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for pattern in (".index.*.json", "*/.f0_*.npy"):
            for leftover in self.folder.glob(pattern):
                leftover.unlink(missing_ok=True)

    def _find_missing(self, song: Song) -> list[str]:
        entry = self.index["songs"].get(song.name)
        fresh = (
            entry is not None
            and entry["fingerprint"] == _digest(self.reader.fingerprint(song))
            and (self.folder / entry["folder"]).is_dir()
        )
        if not fresh:
            return ["audio", "stems"] if self.f0 == "stems" else ["audio"]
        check_silence(song, entry["silent"], allow_silent=self.allow_silent)
        wanted = ["stems"] if self.f0 == "stems" and not entry["stems"] else []
        damage = PreparedSong(self.folder / entry["folder"], entry).find_damage()
        if "audio" in damage and not (entry["stems"] or self.f0 == "stems"):
            damage.remove("stems")
        return damage or wanted

    def _write_song(self, song: Song, advance: Callable[[], None]) -> None:
        """Decode, check and store a song in a fresh folder; then point the index at it."""
        fingerprint = _digest(self.reader.fingerprint(song))
        scratch = Path(tempfile.mkdtemp(prefix=".tmp-", dir=self.folder))
        scratch.chmod(0o755)
        try:
            n_samples, silent, notes = self._write_audio(song, scratch, advance)
            n_frames = -(-n_samples // HOP)
            if song.has_stems:
                cached = self._write_cached_f0(song, scratch, n_frames)
            else:
                cached, remarks = store_neighbours(self.reader, song, scratch, n_samples)
                notes += remarks
            entry = {
                "name": song.name,
                "position": [s.name for s in self.reader.songs()].index(song.name),
                "fingerprint": fingerprint,
                "folder": f"{_slug(song.name)}-{_digest([song.name, fingerprint])}",
                "parts": song.parts,
                "keys": name_keys(song),
                **describe_recording(song),
                "n_samples": n_samples,
                "stems": False,
                "exact": self._write_exact_f0(song, scratch, n_frames),
                "cached": cached,
                "silent": silent,
                "notes": notes,
            }
            old = self.index["songs"].get(song.name, {}).get("folder")
            target = self.folder / str(entry["folder"])
            shutil.rmtree(target, ignore_errors=True)
            scratch.rename(target)
            self._commit(song.name, entry)
            if old is not None and old != entry["folder"]:
                shutil.rmtree(self.folder / old, ignore_errors=True)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _write_audio(
        self, song: Song, scratch: Path, advance: Callable[[], None]
    ) -> tuple[int, list[str], list[Note]]:
        """Store all stems; returns the song's length in samples, its silent stems, and notes."""
        lengths: dict[Stem, int] = {}
        rates: dict[Stem, int] = {}
        silent: list[str] = []
        notes: list[Note] = []
        for stem in song.stems:
            loaded = self.reader.read_stem(song, stem)
            lengths[stem], rates[stem] = loaded.audio.size, loaded.rate
            notes += check_stem(song, stem, loaded)
            if is_silent(loaded):
                silent.append(locate_stem(song, stem))
            np.save(scratch / f"audio_{name_stem(stem.key)}.npy", loaded.audio)
            advance()
        n_samples, cut = find_common_length(self.reader, song, lengths)
        notes += check_silence(song, silent, allow_silent=self.allow_silent)
        notes += check_parts(song) + check_rates(song, rates) + cut
        for level, text in notes:
            log.log(logging.WARNING if level == "warning" else logging.INFO, text)
        return n_samples, silent, notes

    def _write_exact_f0(self, song: Song, scratch: Path, n_frames: int) -> bool:
        for stem in song.stems:
            track = self.reader.exact_f0(song, stem)
            if track is None:
                return False
            path = scratch / f"f0_exact_{name_stem(stem.key)}.npy"
            np.save(path, fit_f0(track, n_frames, locate_stem(song, stem)))
        return True

    def _write_cached_f0(self, song: Song, scratch: Path, n_frames: int) -> dict[str, Any]:
        groups: dict[int, dict[tuple[StemKey, ...], NDArray[np.float32]]] = {}
        present = {stem.key for stem in song.stems}
        for keys in self.reader.cached_mixtures(song):
            track = self.reader.cached_f0(song, keys) if present.issuperset(keys) else None
            if track is not None:
                groups.setdefault(len(keys), {})[keys] = fit_f0(track, n_frames, song.name)
        for n_singers, group in groups.items():
            np.save(scratch / f"f0_cached_{n_singers}.npy", np.stack(list(group.values())))
        return {str(n_singers): list(group) for n_singers, group in groups.items()}

    def _write_stem_f0(self, song: Song, advance: Callable[[], None]) -> None:
        entry = self.index["songs"][song.name]
        folder = self.folder / entry["folder"]
        prepared = PreparedSong(folder, entry)
        estimate = StemF0()
        for key in prepared.keys:
            path = folder / f"f0_stems_{name_stem(key)}.npy"
            with replace_when_complete(path) as temporary:
                np.save(temporary, estimate(np.array(prepared.audio(key))))
            advance()
        self._commit(song.name, {**entry, "stems": True})

    def _commit(self, name: str, entry: dict[str, Any]) -> None:
        """Make a song visible: one atomic replacement of the index."""
        # Through JSON and back, so that entries in memory equal those read from disk.
        self.index["songs"][name] = json.loads(json.dumps(entry))
        write_text(self.folder / INDEX, json.dumps(self.index, indent=1))


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Lock the folder against other processes; the system frees the lock of a killed process."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=1)
    except filelock.Timeout:
        log.info("another process is preparing %s; waiting for it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "song"
