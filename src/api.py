"""Separation and F0 estimation of recordings in memory: what `import umss` offers.

Defaults come from `conf`, as those of the commands do, so that both give the same stems.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import ArrayLike, NDArray
from omegaconf import DictConfig
from torch import Tensor

from .arrays import check_rate, read_samples, separate_array
from .audio import load_audio, mix_for_listening, resample
from .configuration import compose_config
from .dsp.tracks import RATE
from .errors import UmssError
from .f0.contour_files import read_contours
from .f0.contours import F0Contours
from .f0.estimate import F0Estimate, F0Estimator, NumberOfSingers, expect_parts, settle_number
from .f0.places import hold_channels
from .f0.score.reading import SCORE_SUFFIXES, read_score
from .resynthesis import check_voices
from .separated import SeparatedRecording
from .separator import Separator
from .writing.tags import Tags, read_tags


def separate(
    audio: ArrayLike | Tensor | str | Path,
    rate: int | None = None,
    *,
    n_singers: NumberOfSingers = 4,
    names: Sequence[str] | None = None,
    f0: F0Contours | ArrayLike | str | Path | None = None,
    method: str | Separator = "umss_fit",
    multif0: str | Mapping[str, Any] = "default",
    **options: Any,
) -> SeparatedRecording:
    """Separate a recording into its singers.

    Args:
        audio: [T] or [C, T] samples, as NumPy array or torch tensor; or the path of an audio file.
        rate: sample rate in Hz; of a file, its own.
        n_singers: J, or "auto": as many as are heard, 1 to 8; without effect where `f0` holds
            tracks.
        names: J names from the highest singer down, for estimated F0; by default singer1, ...
        f0: None = estimated; the path of a CSV file of F0 tracks, or of a score (MIDI, MusicXML)
            that leads the estimation; `F0Contours`; or an array [J, N] in Hz on the 16-ms grid,
            0 where silent, rows from the highest voice down.
        method: "umss_fit", "fit", "umss", "comb", "nmf1", ... (the files in conf/separator); or a
            `Separator` of your own.
        multif0: how F0 is estimated (the files in conf/multif0), or settings of the default that
            are changed, e.g. `{"accompaniment": None}`.
        options: any other option of `umss separate` by name, e.g. `seed=1`, `window_seconds=9.0`,
            `score_alignment="none"`, `separator={"mask": "magnitude"}`.

    Returns:
        Stems and residual, of the kind that came in: tensors for a tensor, else NumPy arrays.

    Raises:
        UmssError: empty, wrongly shaped or not finite input, F0 that does not fit, or an unknown
            option or method, or one that `SeparatedRecording.save` takes.

    Example:
        >>> import numpy as np
        >>> import umss
        >>> t = np.arange(16000) / 16000
        >>> audio = np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 165 * t)
        >>> f0 = np.repeat([[440.0], [165.0]], 63, axis=1)
        >>> result = umss.separate(audio, 16000, f0=f0, method="comb")
        >>> list(result.stems), result.residual.shape
        (['singer1', 'singer2'], (16000,))
    """
    _refuse_options_of_files(options)
    choices = {"separator": method} if isinstance(method, str) else {}
    config = _compose("separate", choices, n_singers, names, multif0, options)
    if isinstance(audio, (str, Path)):
        if rate is not None:
            raise UmssError("rate belongs to an array; a file says itself which rate it has")
        samples, rate = load_audio(audio)
        samples = samples[0] if len(samples) == 1 else samples
        name = Path(audio).stem
    else:
        samples, name = read_samples(audio), "recording"
    rate = check_rate(rate)
    separator: Separator = (
        method if isinstance(method, Separator) else instantiate(config.separator)
    )
    if config.synthesised:
        check_voices(separator)
    warnings: list[str] = []
    confidence: float | None = None
    tracks: F0Contours | ArrayLike
    if f0 is None or (isinstance(f0, (str, Path)) and _is_score(f0)):
        parts = _plain(config.score_parts)
        score = None if f0 is None else read_score(f0, expect_parts(n_singers), parts)
        estimate = _estimate(samples, rate, config, names, score=score)
        tracks, warnings = estimate.contours, estimate.warnings
        confidence = estimate.confidence
    elif isinstance(f0, (str, Path)):
        tracks = read_contours(Path(f0))
    else:
        tracks = f0
    result = separate_array(
        samples,
        rate,
        tracks,
        separator,
        window_seconds=config.window_seconds,
        overlap_seconds=config.overlap_seconds,
        chunk_seconds=config.chunk_seconds,
        seed=config.seed,
        full_band=config.full_band,
    )
    convert = torch.from_numpy if isinstance(audio, Tensor) else _same
    return SeparatedRecording(
        stems={singer: convert(stem) for singer, stem in result.stems.items()},
        residual=convert(result.residual),
        f0=result.f0,
        parameters={key: convert(value) for key, value in result.parameters.items()},
        rate=rate,
        warnings=warnings,
        name=name,
        synthesised={singer: convert(voice) for singer, voice in result.synthesised.items()},
        description=result.description,
        confidence=confidence,
        tags=read_tags(Path(audio)) if isinstance(audio, (str, Path)) else Tags(),
        source=Path(audio) if isinstance(audio, (str, Path)) else None,
    )


def estimate_f0(
    audio: ArrayLike | Tensor | str | Path,
    rate: int | None = None,
    *,
    n_singers: NumberOfSingers = 4,
    names: Sequence[str] | None = None,
    score: str | Path | None = None,
    multif0: str | Mapping[str, Any] = "default",
    **options: Any,
) -> F0Estimate:
    """Estimate the F0 of every singer of a recording.

    Args:
        audio: [T] or [C, T] samples; or the path of an audio file.
        rate: sample rate in Hz; of a file, its own.
        n_singers: J, 1 to 16, or "auto": as many as are heard, 1 to 8.
        names: J names from the highest singer down; by default singer1, ...
        score: a MIDI or MusicXML file that leads the estimation.
        multif0: how F0 is estimated (the files in conf/multif0), or settings of the default that
            are changed, e.g. `{"accompaniment": None}`.
        options: any other option of `umss f0` by name, e.g. `score_parts=[1, 2]`.

    Returns:
        `contours` (times in seconds, F0 in Hz, 0 where silent), `salience`, `warnings`, and the
        `confidence` in a number of singers that was counted.

    Raises:
        UmssError: unusable audio, settings or score.
    """
    config = _compose("f0", {}, n_singers, names, multif0, options)
    if isinstance(audio, (str, Path)):
        samples, rate = load_audio(audio)
    else:
        samples = read_samples(audio)
    settle_number(n_singers, names)
    parts = _plain(config.score_parts)
    read = None if score is None else read_score(score, expect_parts(n_singers), parts)
    return _estimate(samples, check_rate(rate), config, names, score=read)


def _compose(
    command: str,
    choices: dict[str, str],
    n_singers: NumberOfSingers,
    names: Sequence[str] | None,
    multif0: str | Mapping[str, Any],
    options: dict[str, Any],
) -> DictConfig:
    """The configuration of a command as it was called in Python."""
    settings: dict[str, Any] = {"n_singers": n_singers}
    settings["names"] = None if names is None else list(names)
    if isinstance(multif0, str):
        choices = {**choices, "multif0": multif0}
    else:
        settings["multif0"] = dict(multif0)
    return compose_config(command, choices=choices, settings={**settings, **options})


def _refuse_options_of_files(options: dict[str, Any]) -> None:
    """Refuse what says how files are written, since none are written here.

    Raises:
        UmssError: there is such an option.
    """
    # `synthesised` also makes voices that can be written.
    of_files = inspect.signature(SeparatedRecording.save).parameters.keys() - {"synthesised"}
    wrong = [name for name in options if name in of_files]
    if wrong:
        raise UmssError(
            f"{wrong[0]}= says how files are written; give it to the result: "
            f"result.save(folder, {wrong[0]}={options[wrong[0]]!r})"
        )


def _estimate(
    samples: NDArray[np.float32],
    rate: int,
    config: Mapping[str, Any],
    names: Sequence[str] | None,
    *,
    score: F0Contours | None,
) -> F0Estimate:
    """F0 of samples [T] or [C, T] by the configuration of `umss separate` or `umss f0`."""
    estimator: F0Estimator = instantiate(config["multif0"])
    channels, heard = None, samples
    if samples.ndim == 2:
        mix = mix_for_listening(samples, rate)
        channels, heard = hold_channels(samples, rate, mix), mix.apply(samples)
    return estimator(
        resample(heard, rate, RATE),
        config["n_singers"],
        names,
        score=score,
        alignment=config["score_alignment"],
        channels=channels,
    )


def _is_score(path: str | Path) -> bool:
    return Path(path).suffix.lower() in SCORE_SUFFIXES


def _plain(parts: Any) -> list[Any] | None:
    return None if parts is None else list(parts)


def _same(array: Any) -> Any:
    return array
