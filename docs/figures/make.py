"""Figures of the README and of the documentation, from the generated choir: nothing to download.

    python docs/figures/make.py [NAME ...]

writes docs/figures/NAME.png: overview, voice, comb, salience, partials, hpss. A minute on two
cores.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray
from PIL import Image
from umss.arrays import separate_array
from umss.baselines.masks import CombSeparator
from umss.data.readers import build_reader
from umss.dsp.allpole import allpole_ola
from umss.dsp.harmonic import harmonic_source
from umss.dsp.hpss import hpss as split_spectrogram
from umss.dsp.lpc import lpc_response, lsf_from_increments, lsf_to_lpc
from umss.dsp.noise import fir_filter, rolloff_fir
from umss.dsp.stft import istft, stft
from umss.f0.contours import F0Contours
from umss.f0.estimate import F0Estimate, F0Estimator
from umss.f0.network import VoiceSalience
from umss.f0.tracker import VoiceTracker
from umss.fit.separator import FitSeparator
from umss.plots import COLOURS, compute_decibels, draw_salience

FOLDER = Path(__file__).parent
RATE = 16_000
HOP = 256
SONG = "bwv253_ach_bleib_bei_uns"
SECONDS = 8.0
NAMES = ("soprano", "alto", "tenor", "bass")


@cache
def choir() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Stems [J, T] of the beginning of a generated chorale, and their exact F0 [J, N]."""
    reader = build_reader("generated", max_seconds=SECONDS)
    song = next(s for s in reader.songs() if s.name == SONG)
    stems = np.stack([reader.load_stem(song, stem) for stem in song.stems])
    tracks = [reader.exact_f0(song, stem) for stem in song.stems]
    return stems, np.stack([t for t in tracks if t is not None])


@cache
def estimate() -> F0Estimate:
    """F0 of the four singers, estimated from their mixture."""
    estimator = F0Estimator(VoiceSalience(), VoiceTracker(), retune=True)
    return estimator(choir()[0].sum(axis=0), 4, NAMES)


def figure_of(width: float, height: float) -> Figure:
    """A figure in inches that needs no display."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def spectrogram(axes: Axes, audio: NDArray[np.float32], *, high: float = 4000.0) -> None:
    """A spectrogram in greys over logarithmic frequency."""
    levels, hop = compute_decibels(audio, RATE)
    bins = np.arange(len(levels)) * RATE / 2 / (len(levels) - 1)
    times = np.arange(levels.shape[1]) * hop / RATE
    low = int(np.searchsorted(bins, 60.0))
    axes.pcolormesh(
        times, bins[low:], levels[low:], cmap="gray_r", vmin=-60, vmax=0, rasterized=True
    )
    axes.set_yscale("log", base=2)
    axes.set_ylim(80.0, high)
    axes.yaxis.set_major_locator(FixedLocator([100, 200, 400, 800, 1600, 3200]))
    axes.yaxis.set_major_formatter("{x:.0f}")
    axes.yaxis.set_minor_locator(NullLocator())


def tracks_on(axes: Axes, contours: F0Contours, *, only: int | None = None) -> None:
    """F0 tracks in the singers' colours."""
    for j, (name, track) in enumerate(zip(contours.names, contours.f0.T, strict=True)):
        if only in (None, j):
            axes.plot(
                contours.times,
                np.where(track > 0, track, np.nan),
                color=COLOURS[j],
                linewidth=2.0,
                label=name,
            )


def overview() -> Figure:
    """A mixture with estimated tracks above, what is separated from it below."""
    mixture = choir()[0].sum(axis=0)
    contours = estimate().contours
    result = separate_array(mixture, RATE, contours, FitSeparator())
    figure = figure_of(9.0, 5.6)
    rows = figure.add_gridspec(2, 4, height_ratios=[1.5, 1.0])
    top = figure.add_subplot(rows[0, :])
    spectrogram(top, mixture)
    tracks_on(top, contours)
    top.set_title("one recording, and the F0 that umss finds in it", fontsize=11)
    top.set_ylabel("frequency (Hz)")
    top.set_xlabel("time (s)")
    top.legend(loc="upper right", ncols=4, fontsize=9, framealpha=0.9)
    for j, name in enumerate(NAMES):
        axes = figure.add_subplot(rows[1, j])
        spectrogram(axes, result.stems[name])
        axes.set_title(name, color=COLOURS[j], fontsize=11)
        axes.set_xlabel("time (s)")
        if j:
            axes.set_yticklabels([])
        else:
            axes.set_ylabel("frequency (Hz)")
    return figure


def voice() -> Figure:
    """How one voice is made: harmonics, roll-off, all-pole filter."""
    n_samples = RATE
    n_frames = -(-n_samples // HOP)
    f0 = torch.full((1, 1, n_frames), 220.0)
    harmonics = harmonic_source(f0, torch.ones_like(f0), n_samples=n_samples, hop=HOP, rate=RATE)
    excitation = fir_filter(harmonics, rolloff_fir(rate=RATE))
    # Formants of an open vowel: two line spectral frequencies close together make a resonance.
    wanted = torch.tensor([620, 780, 1100, 1280, 2350, 2600, 3200, 3500, 4600, 5600, 6600, 7300])
    edges = torch.cat([torch.zeros(1), wanted / 8000.0, torch.ones(1)]) * torch.pi
    lsf = lsf_from_increments(edges.diff().expand(1, 1, n_frames, -1))
    coefficients = lsf_to_lpc(lsf)
    voiced = allpole_ola(excitation, coefficients, hop=HOP)
    figure = figure_of(9.0, 3.2)
    parts: tuple[tuple[str, Any], ...] = (
        ("harmonics, rolled off", excitation),
        ("all-pole filter", None),
        ("voice", voiced),
    )
    for axes, (title, signal) in zip(figure.subplots(1, 3, sharey=True), parts, strict=True):
        if signal is None:
            level = 20 * torch.log10(lpc_response(coefficients[0, 0, 0], 2048).abs())
            axes.plot(np.arange(1025) * RATE / 2048, level - level.max(), color=COLOURS[1])
            for position, w in enumerate(lsf[0, 0, 0] / torch.pi * RATE / 2):
                axes.axvline(
                    float(w), color=COLOURS[0], linewidth=0.9, linestyle=("-", ":")[position % 2]
                )
        else:
            middle = signal[0, 0, 4096 : 4096 + 4096] * torch.hann_window(4096)
            level = 20 * torch.log10(torch.fft.rfft(middle).abs() + 1e-9)
            axes.plot(
                np.arange(2049) * RATE / 4096, level - level.max(), color=COLOURS[1], linewidth=0.8
            )
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("frequency (Hz)")
        axes.set_xlim(0, 5000)
        axes.set_ylim(-65, 6)
    figure.axes[0].set_ylabel("level (dB)")
    return figure


def comb() -> Figure:
    """From F0 to a mask: the comb of one singer, the mask, and the filtered mixture."""
    stems, f0 = choir()
    mixture = stems.sum(axis=0)
    first = int(2.0 * RATE)
    cut = slice(first, first + 4 * RATE)
    frames = slice(first // HOP, first // HOP + 250)
    separator = CombSeparator(mask="power")
    batch = torch.from_numpy(np.ascontiguousarray(mixture[cut]))[None]
    result = separator(batch, torch.from_numpy(np.ascontiguousarray(f0[:, frames]))[None])
    assert result.synthesised is not None
    figure = figure_of(9.0, 3.2)
    axes = figure.subplots(1, 4, sharey=True)
    spectrogram(axes[0], mixture[cut])
    spectrogram(axes[1], result.synthesised[0, 1].numpy())
    masks = result.masks[0, 1].numpy()
    bins = np.arange(len(masks)) * RATE / 2 / (len(masks) - 1)
    times = np.arange(masks.shape[1]) * separator.mask_hop / RATE
    axes[2].pcolormesh(times, bins[8:], masks[8:], cmap="gray_r", vmin=0, vmax=1, rasterized=True)
    spectrogram(axes[3], result.sources[0, 1].numpy())
    titles = ("mixture", "alto's harmonics", "alto's mask", "mixture, masked")
    for one, title in zip(axes, titles, strict=True):
        one.set_title(title, fontsize=11)
        one.set_xlabel("time (s)")
    axes[0].set_ylabel("frequency (Hz)")
    return figure


def salience() -> Figure:
    """What the F0 network hears, and whom the tracker gives it to."""
    found = estimate()
    figure = draw_salience(found.salience, found.contours)
    figure.set_size_inches(9.0, 4.0)
    return figure


def partials() -> Figure:
    """Two partials 6 Hz apart: a mask shares out the bin, least squares tells them apart."""
    window = 4096  # 256 ms
    t = np.arange(window) / RATE
    frequencies, levels = (440.0, 446.0), (1.0, 0.35)
    parts = [
        a * np.sin(2 * np.pi * f * t + 0.7 * k)
        for k, (f, a) in enumerate(zip(frequencies, levels, strict=True))
    ]
    mixture = np.sum(parts, axis=0)
    taper = np.hanning(window)
    basis = np.stack([g(2 * np.pi * f * t) for f in frequencies for g in (np.cos, np.sin)], axis=1)
    amplitudes = np.linalg.lstsq(basis * taper[:, None], mixture * taper, rcond=None)[0]
    solved = [basis[:, 2 * k : 2 * k + 2] @ amplitudes[2 * k : 2 * k + 2] for k in range(2)]
    spectra = [np.abs(np.fft.rfft(p * taper)) for p in parts]
    share = spectra[1] ** 2 / (spectra[0] ** 2 + spectra[1] ** 2)
    masked = np.fft.irfft(np.fft.rfft(mixture * taper) * share)
    middle = slice(window // 2 - 200, window // 2 + 200)
    figure = figure_of(9.0, 3.0)
    for axes, (title, estimate_) in zip(
        figure.subplots(1, 2, sharey=True),
        (("ideal power mask", masked), ("least squares on known frequencies", solved[1] * taper)),
        strict=True,
    ):
        target = parts[1] * taper
        error = 10 * np.log10((target**2).sum() / ((estimate_ - target) ** 2).sum())
        axes.plot(
            1000 * t[middle], target[middle], color="0.6", linewidth=4, label="weaker partial"
        )
        axes.plot(1000 * t[middle], estimate_[middle], color=COLOURS[0], label="estimate")
        ratio = f"{error:.0f} dB" if error < 100 else "exact"
        axes.set_title(f"{title}: {ratio}", fontsize=11)
        axes.set_xlabel("time (ms)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def clap(n_samples: int) -> NDArray[np.float32]:
    """Bursts of noise of 20 ms, every half second."""
    rng = np.random.default_rng(0)
    burst = rng.normal(size=RATE // 10) * np.exp(-np.arange(RATE // 10) / (0.02 * RATE))
    claps = np.zeros(n_samples)
    for start in range(RATE // 4, n_samples - len(burst), RATE // 2):
        claps[start : start + len(burst)] += 0.5 * burst
    return claps.astype(np.float32)


def hpss() -> Figure:
    """A choir and clapping, and what the decomposition makes of them."""
    voices = choir()[0].sum(axis=0)[: 4 * RATE]
    mixture = torch.from_numpy(voices + clap(len(voices)))
    parts = split_spectrogram(stft(mixture, hop=512), margin=(1.0, 5.0), residual=True)
    figure = figure_of(9.0, 3.2)
    axes = figure.subplots(1, 4, sharey=True)
    sounds = [mixture, *(istft(part, len(mixture), hop=512) for part in parts)]
    titles = ("choir and clapping", "harmonic", "percussive", "residual")
    for one, sound, title in zip(axes, sounds, titles, strict=True):
        spectrogram(one, sound.numpy(), high=8000.0)
        one.set_title(title, fontsize=11)
        one.set_xlabel("time (s)")
    axes[0].set_ylabel("frequency (Hz)")
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    f.__name__: f for f in (overview, voice, comb, salience, partials, hpss)
}


def main(names: list[str]) -> None:
    """Draw the figures of these names, or all."""
    for name in names or list(FIGURES):
        path = FOLDER / f"{name}.png"
        raw = io.BytesIO()
        FIGURES[name]().savefig(raw)
        # 128 colours are enough for greys and lines, and a third of the size.
        few = Image.open(raw).convert("RGB").quantize(128, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
        print(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    torch.manual_seed(0)
    main(sys.argv[1:])
