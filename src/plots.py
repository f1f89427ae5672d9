"""Pictures of singing: spectrograms and salience, with F0 tracks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from .errors import OutputExistsError, UmssError
from .f0.contours import F0Contours
from .f0.names import name_singers
from .f0.salience import Salience
from .files import replace_when_complete

FRAME_SECONDS = 0.016
LOWEST_HZ, HIGHEST_HZ = 60.0, 4000.0
TICKS_HZ = (100, 200, 400, 800, 1600, 3200)
TICK_NOTES = ("A", "E")  # notes with a tick on the frequency axis of F0 plots
F0_MARGIN = 1.35  # free space above and below the tracks, as a frequency ratio
RANGE_DB = 70.0
# Columns that a picture can show; longer recordings get a coarser time grid, not more memory.
MAX_COLUMNS = 2000
# Okabe and Ito's palette, told apart with any colour vision and on grey; highest voice first.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", (0, (6, 2)), (0, (2, 1)))


def compute_decibels(
    audio: NDArray[np.float32], rate: int, *, window_seconds: float = 0.128
) -> tuple[NDArray[np.float32], int]:
    """Compute a magnitude spectrogram in dB relative to its maximum, floored at -70 dB.

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


def draw_spectrogram(
    audio: ArrayLike,
    rate: int,
    f0: ArrayLike | None = None,
    *,
    names: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw a spectrogram over time and logarithmic frequency, 60 Hz to 4 kHz, with F0 tracks on it.

    Args:
        audio: [T] samples.
        rate: sample rate in Hz.
        f0: [J, N] or [N] Hz, frame n at n * 16 ms; no line where 0 (or NaN).
        names: one per track, for the legend; by default singer1, singer2, ...
        title: title above the plot.

    Raises:
        UmssError: shapes do not fit, no samples, or samples that are not finite.
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise UmssError(f"audio must be [T] and not empty, got {list(samples.shape)}")
    if not np.isfinite(samples).all():
        raise UmssError("audio holds NaN or infinite samples")
    tracks = np.zeros((0, 0)) if f0 is None else np.atleast_2d(np.asarray(f0, dtype=np.float64))
    if tracks.ndim != 2:
        raise UmssError(f"f0 must be [J, N] or [N], got {list(tracks.shape)}")
    names = tuple(names) or name_singers(len(tracks))
    if f0 is not None and len(names) != len(tracks):
        raise UmssError(f"{len(tracks)} F0 tracks need as many names, got {list(names)}")

    # `Figure` with its own canvas: no global state, works in threads and without a display.
    figure = Figure(figsize=(10.0, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    levels, hop = compute_decibels(samples, rate)
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
    axes.set_title(_as_plain_text(title))
    times = FRAME_SECONDS * np.arange(tracks.shape[1], dtype=np.float64)
    _draw_tracks(
        axes, times, tracks.astype(np.float64), [f"F0 {name}" for name in names[: len(tracks)]]
    )
    colour_bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=30)
    colour_bar.set_label("Level (dB re maximum)")
    _add_legend(figure, len(tracks))
    return figure


def draw_salience(salience: Salience, contours: F0Contours, title: str = "") -> Figure:
    """Draw salience over time and logarithmic frequency, with the F0 tracks on it.

    Args:
        salience: of a recording; in long ones, a column shows the maximum of several frames.
        contours: F0 tracks.
        title: title above the plot.
    """
    figure, axes = _draw_f0_axes(contours, salience, title)
    block = -(-len(salience.times) // MAX_COLUMNS)
    starts = np.arange(0, len(salience.times), block)
    values = np.maximum.reduceat(salience.values, starts, axis=1)
    half_bin = 2.0 ** (salience.cents_per_bin / 2400)
    rows = np.append(salience.frequencies / half_bin, salience.frequencies[-1] * half_bin)
    step = salience.times[1] - salience.times[0] if len(salience.times) > 1 else FRAME_SECONDS
    columns = np.append(salience.times[starts], salience.times[-1] + step) - step / 2
    image = axes.pcolormesh(columns, rows, values, cmap="gray_r", vmin=0, vmax=1, rasterized=True)
    figure.colorbar(image, ax=axes, pad=0.01, aspect=30).set_label("Salience")
    return figure


def draw_contours(contours: F0Contours, title: str = "") -> Figure:
    """Draw F0 tracks over time and logarithmic frequency.

    Args:
        contours: F0 tracks.
        title: title above the plot.
    """
    return _draw_f0_axes(contours, None, title)[0]


def _draw_f0_axes(
    contours: F0Contours, salience: Salience | None, title: str
) -> tuple[Figure, Axes]:
    """Draw tracks on salience; the frequency axis covers the tracks, or everything without any."""
    figure = Figure(figsize=(10.0, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    voiced = contours.f0[contours.voiced]
    low, high = (voiced.min(), voiced.max()) if len(voiced) else (LOWEST_HZ, 1000.0)
    low, high = low / F0_MARGIN, high * F0_MARGIN
    end = contours.times[-1]
    if salience is not None:
        whole = len(voiced) == 0
        low = salience.frequencies[0] if whole else max(low, salience.frequencies[0])
        high = salience.frequencies[-1] if whole else min(high, salience.frequencies[-1])
        end = max(end, salience.times[-1])
    axes.set_yscale("log", base=2)
    axes.set_ylim(low, high)
    notes = [f"{name}{octave}" for octave in range(0, 9) for name in TICK_NOTES]
    hertz = {note: float(librosa.note_to_hz(note)) for note in notes}
    shown = sorted((f, note) for note, f in hertz.items() if low <= f <= high)
    axes.yaxis.set_major_locator(FixedLocator([f for f, _ in shown]))
    axes.yaxis.set_major_formatter(FixedFormatter([f"{note}  {f:.0f}" for f, note in shown]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlim(0.0, max(float(end), FRAME_SECONDS))
    axes.set_xlabel("Time (s)")
    axes.set_ylabel("F0 (note, Hz)")
    axes.set_title(_as_plain_text(title))
    stride = max(1, len(contours.times) // (4 * MAX_COLUMNS))
    tracks = contours.f0.T[:, ::stride].astype(np.float64)
    _draw_tracks(axes, contours.times[::stride], tracks, contours.names, 1.2, halo=0.3)
    _add_legend(figure, contours.n_singers)
    return figure, axes


def _draw_tracks(
    axes: Axes,
    times: NDArray[np.float64],
    tracks: NDArray[np.float64],
    labels: Sequence[str],
    linewidth: float = 1.8,
    halo: float = 0.8,
) -> None:
    """Draw F0 tracks [J, N] in Hz as lines with a white edge of `halo` points; gaps at 0 or NaN."""
    for j, (label, track) in enumerate(zip(labels, tracks, strict=True)):
        axes.plot(
            times,
            np.where(track > 0, track, np.nan),
            color=COLOURS[j % len(COLOURS)],
            linestyle=DASHES[j // len(COLOURS) % len(DASHES)],
            linewidth=linewidth,
            label=_as_plain_text(label),
            path_effects=[Stroke(linewidth=linewidth + 2 * halo, foreground="white"), Normal()],
        )


def _add_legend(figure: Figure, n_tracks: int) -> None:
    if n_tracks:
        # Outside the axes: inside, it would hide the singing.
        figure.legend(loc="outside lower center", ncols=min(n_tracks, 6), frameon=False)


def save_figure(path: str | Path, figure: Figure, overwrite: bool = False) -> None:
    """Write a figure; the file's ending chooses the format. A crash leaves no incomplete file.

    Raises:
        OutputExistsError: the file exists and `overwrite` is false.
        ValueError: an ending that matplotlib does not know.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path}: exists; choose another output or set overwrite=true")
    with replace_when_complete(path) as temporary:
        figure.savefig(temporary)


def _as_plain_text(text: str) -> str:
    """Draw a name as it is: `$` would begin a formula, bytes that are no text have no sign."""
    drawable = text.encode("utf-8", errors="backslashreplace").decode()
    return drawable.replace("$", r"\$")
