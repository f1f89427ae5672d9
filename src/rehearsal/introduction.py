"""What sounds before the music: the pitch to begin with, and a count-in of four clicks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLICKS = 4
_TONE = 1.5  # seconds
_GAP = 0.4  # seconds between the tone and the first click
_CLICK = 0.03  # seconds
_PARTIALS = (1.0, 0.35, 0.12, 0.05)  # of the tone
_HIGH, _LOW = 1500.0, 1000.0  # Hz, of the first click and the others


def build_introduction(
    rate: int, first: float, beat: float, pitch: float | None, *, count_in: bool = True
) -> tuple[NDArray[np.float32], int]:
    """Build tone and clicks for music whose first note comes after `first` seconds.

    The clicks are so placed that the first note falls where a fifth click would. The music begins
    when it must for that; where it has a long beginning without notes, clicks sound over it.

    Args:
        rate: sample rate in Hz.
        first: seconds from the beginning of the music to its first note.
        beat: seconds from click to click.
        pitch: Hz of the tone, None for none.
        count_in: whether there are clicks.

    Returns:
        The sound [n], whose clicks have a peak of 1, and the sample at which the music begins.
    """
    tone = _TONE + _GAP if pitch is not None else 0.0
    clicks = CLICKS if count_in else 0
    begin = max(0.0, tone + clicks * beat - first)  # of the music
    counted = begin + first - clicks * beat  # the first click
    sound = np.zeros(round((begin + first) * rate) + 1, np.float32)
    for k in range(clicks):
        _add(sound, _click(rate, _LOW if k else _HIGH), counted + k * beat, rate)
    if pitch is not None:
        _add(sound, _sound(rate, pitch), max(0.0, counted - tone), rate)
    return sound, round(begin * rate)


def _click(rate: int, hertz: float) -> NDArray[np.float64]:
    t = np.arange(round(_CLICK * rate)) / rate
    wave = np.sin(2 * np.pi * hertz * t) * np.exp(-t / (_CLICK / 5))
    click: NDArray[np.float64] = wave / np.abs(wave).max()
    return click


def _sound(rate: int, hertz: float) -> NDArray[np.float64]:
    """A soft tone: few partials, slow beginning and end; a quarter as high as a click."""
    t = np.arange(round(_TONE * rate)) / rate
    kept = [(k, a) for k, a in enumerate(_PARTIALS, start=1) if k * hertz < 0.45 * rate]
    wave = sum(a * np.sin(2 * np.pi * k * hertz * t) for k, a in kept)
    fade = np.clip(np.minimum(t / 0.08, (_TONE - t) / 0.4), 0.0, 1.0)
    tone: NDArray[np.float64] = 0.25 * wave * np.sin(0.5 * np.pi * fade) ** 2
    return tone


def _add(sound: NDArray[np.float32], part: NDArray[np.float64], seconds: float, rate: int) -> None:
    start = round(seconds * rate)
    end = min(start + len(part), len(sound))
    sound[start:end] += part[: end - start].astype(np.float32)
