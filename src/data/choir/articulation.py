"""Syllables to a sequence of sounds in seconds: consonants before the beat, vowels on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .lyrics import Syllable
from .phonemes import CONSONANTS, GLIDES, VOWELS, Sound
from .timing import SungNote

LARGEST_SHARE = 0.5  # of a syllable's time may go to consonants
GLIDE_SECONDS = 0.13  # the second vowel of a diphthong, at the end of the syllable


@dataclass(frozen=True)
class Segment:
    """A sound from `start` to `end` seconds; `vowel` is the (F1, F2, F3) it is coloured by."""

    start: float
    end: float
    sound: Sound
    vowel: tuple[float, float, float]


def _find_formants(vowel: str, last: bool = False) -> tuple[float, float, float]:
    return VOWELS[GLIDES[vowel][1 if last else 0]] if vowel in GLIDES else VOWELS[vowel]


def _list_sounds(names: tuple[str, ...]) -> list[Sound]:
    return [sound for name in names for sound in CONSONANTS[name]]


def _sum_seconds(sounds: list[Sound]) -> float:
    return sum(sound.seconds for sound in sounds)


def _lay(
    sounds: list[Sound], start: float, scale: float, vowel: tuple[float, float, float]
) -> list[Segment]:
    segments = []
    for sound in sounds:
        end = start + sound.seconds * scale
        segments.append(Segment(start, end, sound, vowel))
        start = end
    return segments


def articulate(phrase: list[SungNote]) -> list[Segment]:
    """Turn the notes of a phrase into segments, without gaps from its first to its last sound.

    The consonants that open a syllable end where its note begins, so the vowel is on the beat;
    those that close it come before the consonants of the next. Where a syllable is too short,
    consonants shrink to `LARGEST_SHARE` of it.
    """
    heads = [i for i, note in enumerate(phrase) if note.syllable is not None]
    syllables: list[Syllable] = [s for note in phrase if (s := note.syllable) is not None]
    onsets = [_list_sounds(syllable.onset) for syllable in syllables]
    segments: list[Segment] = []
    scale = 1.0
    for k, (head, syllable) in enumerate(zip(heads, syllables, strict=True)):
        start = phrase[head].start
        stop = phrase[heads[k + 1]].start if k + 1 < len(heads) else phrase[-1].end
        coda = _list_sounds(syllable.coda)
        following = onsets[k + 1] if k + 1 < len(heads) else []
        wanted = _sum_seconds(coda) + _sum_seconds(following)
        if k == 0:
            opening = _find_formants(syllable.vowel)
            segments += _lay(onsets[0], start - _sum_seconds(onsets[0]), 1.0, opening)
        scale = min(1.0, LARGEST_SHARE * (stop - start) / wanted) if wanted > 0 else 1.0
        vowel_end = stop - wanted * scale
        glide = min(GLIDE_SECONDS, 0.4 * (vowel_end - start)) if syllable.vowel in GLIDES else 0.0
        target = _find_formants(syllable.vowel)
        closing = _find_formants(syllable.vowel, last=True)
        sound = Sound(vowel_end - start, voice=1.0)
        segments.append(Segment(start, vowel_end - glide, sound, target))
        if glide > 0:
            segments.append(Segment(vowel_end - glide, vowel_end, sound, closing))
        segments += _lay(coda, vowel_end, scale, closing)
        if following:
            colour = _find_formants(syllables[k + 1].vowel)
            segments += _lay(following, vowel_end + _sum_seconds(coda) * scale, scale, colour)
    return segments


def inhale(after: float, before: float, rng: np.random.Generator) -> Segment | None:
    """Place a breath in the gap between `after` and `before` seconds; None if it is too short."""
    start, end = after + 0.10, before - 0.06
    start = max(start, end - rng.uniform(0.28, 0.50))
    if end - start < 0.12:
        return None
    level = float(rng.uniform(0.18, 0.45))
    sound = Sound(end - start, breath=level, formants=(620.0, 1500.0, 2600.0), pull=1.0)
    return Segment(start, end, sound, VOWELS["@"])
