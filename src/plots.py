"""Pictures of separated singing: spectrograms with F0 tracks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

FRAME_SECONDS = 0.016
LOWEST_HZ, HIGHEST_HZ = 60.0, 4000.0
TICKS_HZ = (100, 200, 400, 800, 1600, 3200)
RANGE_DB = 70.0
# Columns that a picture can show; longer recordings get a coarser time grid, not more memory.
MAX_COLUMNS = 2000
# Okabe and Ito's palette, told apart with any colour vision and on grey; highest voice first.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", (0, (6, 2)), (0, (2, 1)))


def decibel_spectrogram(
    audio: NDArray[np.float32], rate: int, *, window_seconds: float = 0.128
) -> tuple[NDArray[np.float32], int]:
    """Magnitude spectrogram in dB relative to its maximum, floored at -70 dB.

    Args:
        audio: [T], not empty.
        rate: sample rate in Hz.
        window_seconds: length of the Hann window.

    Returns:
        [F, N] values in [-70, 0] (all -70 for silence), and the hop in samples.
    """
    n_fft = 2 ** round(np.log2(window_seconds * rate))
    hop = max(round(FRAME_SECONDS * rate / 2), -(-len(audio) // MAX_COLUMNS))
    if hop <= n_fft:
        magnitude = np.abs(librosa.stft(audio, n_fft=n_fft, hop_length=hop))
    else:
        # Very long recordings: only the frames that are drawn are computed.
        padded = np.pad(audio, n_fft // 2)
        frames = np.stack([padded[s : s + n_fft] for s in range(0, len(audio), hop)], axis=1)
        window = librosa.filters.get_window("hann", n_fft)[:, None]
        magnitude = np.abs(np.fft.rfft(frames * window, axis=0))
    peak = float(magnitude.max())
    floor = 10.0 ** (-RANGE_DB / 20.0)
    relative = magnitude / peak if peak > 0 else np.zeros_like(magnitude)
    return (20.0 * np.log10(np.maximum(relative, floor))).astype(np.float32), hop


def spectrogram_figure(
    audio: ArrayLike,
    rate: int,
    f0: ArrayLike | None = None,
    *,
    names: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Spectrogram over time and logarithmic frequency, 60 Hz to 4 kHz, with F0 tracks on it.

    Args:
        audio: [T] samples.
        rate: sample rate in Hz.
        f0: [J, N] or [N] Hz, frame n at n * 16 ms; no line where 0 (or NaN).
        names: one per track, for the legend; by default singer1, singer2, ...
        title: above the picture.

    Raises:
        ValueError: shapes do not fit, no samples, or samples that are not finite.
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"audio must be [T] and not empty, got {list(samples.shape)}")
    if not np.isfinite(samples).all():
        raise ValueError("audio holds NaN or infinite samples")
    tracks = np.zeros((0, 0)) if f0 is None else np.atleast_2d(np.asarray(f0, dtype=np.float64))
    if tracks.ndim != 2:
        raise ValueError(f"f0 must be [J, N] or [N], got {list(tracks.shape)}")
    names = tuple(names) or tuple(f"singer{j + 1}" for j in range(len(tracks)))
    if f0 is not None and len(names) != len(tracks):
        raise ValueError(f"{len(tracks)} F0 tracks need as many names, got {list(names)}")

    # `Figure` with its own canvas: no global state, works in threads and without a display.
    figure = Figure(figsize=(10.0, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    levels, hop = decibel_spectrogram(samples, rate)
    image = librosa.display.specshow(
        levels,
        sr=rate,
        hop_length=hop,
        x_axis="time",
        y_axis="log",
        ax=axes,
        cmap="gray_r",
        vmin=-RANGE_DB,
        vmax=0.0,
        rasterized=True,
    )
    axes.set_yscale("log", base=2)
    axes.set_ylim(LOWEST_HZ, min(HIGHEST_HZ, rate / 2))
    axes.yaxis.set_major_locator(FixedLocator(TICKS_HZ))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:.0f}")
    duration = len(samples) / rate
    axes.set_xlim(0.0, duration)
    axes.set_xlabel("Time (s)" if duration < 60 else "Time (min:s)")
    axes.set_ylabel("Frequency (Hz)")
    axes.set_title(title)
    for j, (name, track) in enumerate(zip(names, tracks, strict=False)):
        voiced = np.where(track > 0, track, np.nan)
        axes.plot(
            FRAME_SECONDS * np.arange(len(track)),
            voiced,
            color=COLOURS[j % len(COLOURS)],
            linestyle=DASHES[j // len(COLOURS) % len(DASHES)],
            linewidth=1.8,
            label=f"F0 {name}",
            path_effects=[Stroke(linewidth=3.4, foreground="white"), Normal()],
        )
    colour_bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=30)
    colour_bar.set_label("Level (dB re maximum)")
    if len(tracks):
        # Outside the axes: inside, it would hide the singing.
        figure.legend(loc="outside lower center", ncols=min(len(tracks), 6), frameon=False)
    return figure


def save_figure(path: str | Path, figure: Figure, overwrite: bool = False) -> None:
    """Write a figure, complete or not at all; the file's ending chooses the format.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
        ValueError: an ending that matplotlib does not know.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: exists; choose another output or set overwrite=true")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        figure.savefig(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
