"""F0 estimated from mixtures: computed when first needed, stored with the prepared songs.

One file per mixture and estimator, `f0_estimated_<digest>_<mixture>.npy` (float32 [N, J] in Hz,
columns in the order of the song's voices). Whose each track is, is decided once for the whole song,
by the F0 of the stems: names follow singers, whose lines may cross. The digest covers the
estimator's configuration, weights and code, so that a changed estimator never reads the tracks of
another one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..f0.contours import F0Contours
from ..f0.estimate import F0Estimate, F0Estimator
from ..f0.matching import match_tracks
from ..f0.score.reading import ScoreError
from ..f0.stems import StemF0
from ..files import replace_when_complete
from .mixtures import Mixture, mix
from .prepared import F0Kind, hold_lock
from .readers.base import DataError
from .store import PreparedSet, PreparedSong

log = logging.getLogger(__name__)

# Code and weights that estimated tracks depend on, as paths in this package.
_DECISIVE = ("f0", "dsp/hpss.py", "dsp/median.py", "dsp/stft.py", "dsp/tracks.py", "audio.py")


class EstimatorRecipe:
    """A multi-F0 estimator that is built when it is first needed.

    If all tracks are stored already, only the fingerprint is needed and no network is loaded.

    Args:
        config: configuration of the estimator with its `_target_`, as in conf/multif0.

    Raises:
        DataError: another kind of value.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        if not isinstance(config, Mapping):
            raise DataError(f"data.estimator.config={config}: choose it by multif0=..., see --help")
        self.config = dict(config)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the configuration, the files that it names (weights) and the code."""
        code = Path(__file__).parents[1]
        # Compiled files (of Python and numba) change although the sources do not.
        files = sorted(
            path
            for place in _DECISIVE
            for path in ((code / place).rglob("*") if (code / place).is_dir() else [code / place])
            if path.is_file() and "__pycache__" not in path.parts
        )
        parts = {str(p.relative_to(code)): _digest_file(p) for p in files}
        text = json.dumps([_read_contents(self.config), parts], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def build(self) -> F0Estimator:
        """Build the estimator.

        Raises:
            DataError: the configuration reads stored tracks instead of estimating.
        """
        estimator = instantiate(self.config)
        if isinstance(estimator, StoredTracks):
            raise DataError(f"multif0 does not estimate; set data.f0={estimator.kind} instead")
        built: F0Estimator = estimator
        return built


class StoredTracks:
    """Takes the place of an estimator but reads stored tracks of the data set, for comparison.

    Args:
        kind: "cached" (published tracks, or exact F0) or "stems" (F0 of the isolated stems).
    """

    def __init__(self, kind: F0Kind) -> None:
        if kind not in ("cached", "stems"):
            raise DataError(f"multif0.kind={kind}: use cached or stems")
        self.kind: F0Kind = kind

    def __call__(self, audio: NDArray[np.float32], n_singers: int, *_: Any, **__: Any) -> Any:
        """Refuse to estimate: stored tracks cannot be found from audio alone.

        Raises:
            DataError: always.
        """
        raise DataError(
            f"multif0={self.kind} takes tracks that lie with a data set and cannot estimate any; "
            "use it with src.evaluate_f0, or set multif0=default"
        )


def estimate_mixtures(
    prepared: PreparedSet,
    mixtures: Collection[Mixture],
    recipe: EstimatorRecipe,
    *,
    progress: bool = True,
) -> None:
    """Estimate the F0 of mixtures that have no tracks of this estimator yet.

    The estimator gets only the sum of the stems, or the recording of a song without stems and the
    score beside it; the stems then say whose each of its tracks is. Every mixture is written as
    soon as it is done, so an interrupted call loses at most one mixture. A second process waits and
    finds the work done.

    Args:
        prepared: the songs, opened with the recipe's fingerprint.
        mixtures: the mixtures that are needed, possibly repeated.
        recipe: the estimator.
        progress: show a progress bar.

    Raises:
        DataError: the folder cannot be written, or recordings without any F0.
        UmssError: the estimator cannot be built or cannot do these mixtures.
    """
    if not _find_missing(prepared, mixtures):
        return
    try:
        with hold_lock(prepared.folder):
            todo = _find_missing(prepared, mixtures)
            estimator = recipe.build()
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            with Progress(*columns, TimeElapsedColumn(), disable=not progress) as bar:
                task = bar.add_task("estimating F0", total=len(todo))
                silent = []
                for song, mixture in todo:
                    bar.update(task, description=f"estimating F0: {escape(song.name)}")
                    if not _estimate(song, mixture, estimator):
                        silent.append(str(song.entry["recording"]))
                    bar.advance(task)
            # At the end, so that all of them are named and the others are done.
            if silent:
                raise DataError(
                    f"{', '.join(silent)}: no F0 was found (no singing?); remove what is no "
                    "singing, or lay a CSV file of the same name with the F0 beside it"
                )
    except FileNotFoundError:
        raise  # missing weights: the message says where they should be
    except OSError as error:
        raise DataError(
            f"{prepared.folder}: cannot keep the estimated F0 there ({error}); set "
            "paths.cache_dir to a folder with space that you may write to"
        ) from error


def _find_missing(
    prepared: PreparedSet, mixtures: Collection[Mixture]
) -> list[tuple[PreparedSong, Mixture]]:
    pairs = [(prepared.song(mixture.song), mixture) for mixture in dict.fromkeys(mixtures)]
    return [(song, m) for song, m in pairs if not song.has_f0(m.keys, "estimated")]


def _estimate(song: PreparedSong, mixture: Mixture, estimator: F0Estimator) -> bool:
    """Estimate and store; false for a recording in which nothing was found, which is not stored."""
    parts = [part for part, _ in mixture.keys]
    estimate = _follow_score(song, mixture, estimator) or estimator(
        mix(song, mixture), len(parts), parts
    )
    if not song.has_stems and not estimate.contours.voiced.any():
        return False
    for warning in estimate.warnings:
        log.warning("%s, %s: %s", song.name, mixture.name, warning)
    path = song.estimated_path(mixture.keys)
    with replace_when_complete(path) as temporary:
        np.save(temporary, _order_by_stems(song, mixture, estimate.contours))
    return True


def _order_by_stems(
    song: PreparedSong, mixture: Mixture, contours: F0Contours
) -> NDArray[np.float32]:
    """Order tracks like the voices of the mixture that they resemble as a whole, [N, J] in Hz."""
    f0 = contours.to_frames(song.n_frames)
    if not song.has_stems:
        return f0
    keys = song.sort_high_to_low(mixture.keys)
    if song.has_f0(keys, "stems"):
        stems = song.f0(keys, "stems")
    else:
        detect = StemF0()
        stems = np.stack([detect(np.array(song.audio(key))) for key in keys], axis=1)
    return f0[:, match_tracks(stems, f0)]


def _follow_score(
    song: PreparedSong, mixture: Mixture, estimator: F0Estimator
) -> F0Estimate | None:
    """Estimate by the score that lies beside a recording; None if there is none."""
    written = None if song.has_stems else song.score()
    if written is None:
        return None
    parts = tuple(part for part, _ in mixture.keys)
    score = F0Contours.on_grid(written, parts)
    try:
        return estimator(mix(song, mixture), len(parts), parts, score=score)
    except ScoreError as error:
        raise DataError(f"{song.entry['recording']}: {error}") from error


def _read_contents(value: Any) -> Any:
    """Replace paths of files in a configuration by digests of their contents."""
    if isinstance(value, Mapping):
        return {key: _read_contents(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_read_contents(entry) for entry in value]
    if isinstance(value, str) and Path(value).is_file():
        return _digest_file(Path(value))
    return value


def _digest_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
