"""Which values settings may have, where another would fail late, hang or take all memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from omegaconf import ListConfig

from .errors import UmssError

Entry = TypeVar("Entry")

# Least and largest value, by the end of the setting's name. Of lists, of every entry.
BOUNDS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "seeds": (0, 2**32 - 1),
    "threads": (1, 1024),
    "workers": (1, 1024),
    "num_workers": (0, 1024),
    "batch_size": (1, 2**20),
    "max_mixtures": (1, 2**31),
    "port": (0, 65_535),
    "memory_gb": (1, 1e6),
    "upload_gb": (1e-3, 1e6),
    "max_seconds": (1e-3, 1e6),
    "chunk_frames": (1, 2**20),
    "excerpt_seconds": (0.016, 3600),
    "test_start_offset": (-(2**31), 2**31),
    "test_first_excerpt": (0, 2**31),
    "window_seconds": (1e-3, 3600),
    "overlap_seconds": (0, 3600),
    "chunk_seconds": (1e-3, 86_400),
    "assigner.threshold": (0, 1),
    "assigner.n_candidates": (0, 64),
    "assigner.bias": (-100, 100),
    "assigner.ceiling": (-100, 100),
    "assigner.width": (1e-3, 1e6),
    "assigner.leap": (0, 1e6),
    "assigner.leap_slope": (0, 1e6),
    "assigner.onset": (0, 1e6),
    "assigner.range_width": (1e-3, 1e6),
    "assigner.range_cost": (0, 1e6),
    "assigner.local_seconds": (1e-3, 1e6),
    "assigner.crossing": (0, 1e6),
    "assigner.unison": (0, 1e6),
    "assigner.sweeps": (0, 1000),
    "assigner.prior_width": (1e-3, 1e6),
    "assigner.prior_cost": (0, 1e6),
    "preprocess.n_fft": (16, 2**20),
    "preprocess.hop": (1, 2**20),
    "preprocess.seconds": (0.01, 1000),
    "preprocess.direct": (-100, 100),
    "preprocess.least": (0, 1),
    "preprocess.dryness": (0, 1),
    "preprocess.shortest": (0, 1e6),
    "kernel_size": (1, 10_001),
    "separator.noise_level": (-100, 100),
    "finetune_steps": (0, 10**6),
    "finetune_lr": (1e-12, 10),
    "separator.n_fft": (64, 2**20),
    "separator.mask_hop": (1, 2**20),
    "n_iterations": (0, 10**5),
    "fixed_iterations": (0, 10**5),
    "n_atoms": (4, 10_000),
    "n_filters": (1, 1000),
    "max_problems": (1, 10_000),
    "frame_tolerance": (0, 10_000),
    "pitch_tolerance": (0, 48),
    "source_semitones": (0, 48),
    "band_semitones": (0, 48),
    "band_bins": (0, 1000),
    "decay": (-100, 100),
    "min_hz": (1, 8000),
    "max_hz": (1, 8000),
    "stride": (1, 100),
    "max_iterations": (1, 10**6),
    "envelope_cosines": (1, 1000),
    "noise_cosines": (1, 1000),
    "evidence_frames": (0, 10_000),
    "partials.window": (64, 2**20),
    "partials.hop": (1, 2**20),
    "tuning.window": (64, 2**20),
    "tuning.hop": (1, 2**20),
    "places.iterations": (1, 10_000),
    "places.n_fft": (64, 2**20),
    "places.hop": (1, 2**20),
    "readiness": (-100, 100),
    "offset_hz": (0, 8000),
    "tempo": (10, 400),
    "speed": (50, 100),
    "variation.speed": (0, 4),
    "transpose": (-12, 12),
    "pan": (0, 1),
    "my_gain": (-120, 40),
    "others_gain": (-120, 40),
    "loudness": (-60, -5),
}
# Words of which one must be given.
CHOICES: dict[str, tuple[str, ...]] = {
    "score_alignment": ("dtw", "stretch", "none"),
    "matmul_precision": ("highest", "high", "medium"),
    "f0_edges": ("hold", "glide"),
    "format": ("wav16", "wav24", "wav32f", "flac", "mp3"),
    "midi_bend": ("none", "note", "contour"),
    "harmonic_filter": ("fixed", "constant", "varying"),
    "noise_filter": ("constant", "varying"),
    "unet.control": ("normalised", "released"),
}
# Lists, or null. Songs may also be one name or pattern.
_LISTS = (
    "score_parts", "data.parts", "order", "data.val_singers", "formats", "f0_formats", "models",
    "tracks", "data.mixing.n_singers",
)  # fmt: skip
_SONGS = tuple(f"{size}.{use}" for size in ("full", "small") for use in ("train", "val", "test"))
# Lists of whole numbers, never empty.
_WHOLE_LISTS = ("seeds",)
# Exponents of masks; infinite ones make them hard.
_INFINITE = ("power",)
_LARGEST = 1e12


def find_by_end(table: Mapping[str, Entry], key: str) -> Entry | None:
    """The entry of a setting in a table, by its whole name or an end of it."""
    parts = key.split(".")
    return next(
        (table[end] for k in range(len(parts)) if (end := ".".join(parts[k:])) in table), None
    )


def check_value(key: str, value: Any) -> None:
    """Check the value of a setting, of lists every entry.

    Raises:
        UmssError: names the setting and what it takes.
    """
    name = key.rpartition(".")[2]
    choices = find_by_end(CHOICES, key)
    if choices is not None and value is not None and value not in choices:
        raise UmssError(f"{key}={value}: choose one of {', '.join(choices)}")
    if name in _WHOLE_LISTS:
        whole = isinstance(value, ListConfig) and all(type(entry) is int for entry in value)
        if not whole or not value:
            raise UmssError(f"{key}={value}: give a list of whole numbers, e.g. {key}=[0,1]")
    songs = key.endswith(tuple(f"data.split.{end}" for end in _SONGS))
    if (songs and not isinstance(value, str)) or key in _LISTS:
        entries = value if isinstance(value, ListConfig) else [None]
        if value is not None and not all(type(entry) in (str, int) for entry in entries):
            raise UmssError(f"{key}={value}: give a list, e.g. {key}=[1,2], or null")
    bounds = find_by_end(BOUNDS, key)
    for number in value if isinstance(value, ListConfig) else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if bounds is not None and not bounds[0] <= number <= bounds[1]:
            raise UmssError(f"{key}={value}: give a number from {bounds[0]:g} to {bounds[1]:.10g}")
        if math.isnan(number) or (abs(number) > _LARGEST and name not in _INFINITE):
            raise UmssError(f"{key}={value}: give a number that is not infinite, nor so large")
