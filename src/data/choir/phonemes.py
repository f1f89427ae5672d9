"""Sounds of sung German as settings of a formant synthesiser.

Formant frequencies are for an average male voice (sung, so less extreme than spoken ones);
`Singer.tract` scales them. Orders of magnitude follow Klatt (1980), "Software for a
cascade/parallel formant synthesizer", JASA 67.
"""

from __future__ import annotations

from dataclasses import dataclass

# F4 .. F10 in Hz, the same for all sounds; the last ones only lift the band below 8 kHz, as the
# formants above a truncated cascade would
UPPER_FORMANTS = (3350.0, 4150.0, 5200.0, 6200.0, 7300.0, 8400.0, 9500.0)
BANDWIDTHS = (85.0, 95.0, 120.0, 170.0, 250.0, 380.0, 500.0, 600.0, 700.0, 800.0)  # B1 .. in Hz
N_FORMANTS = len(BANDWIDTHS)

VOWELS: dict[str, tuple[float, float, float]] = {
    "a": (700, 1180, 2550),
    "E": (530, 1780, 2500),
    "e": (390, 2050, 2600),
    "i": (300, 2150, 2850),
    "I": (380, 1950, 2600),
    "O": (530, 920, 2450),
    "o": (400, 760, 2450),
    "u": (320, 760, 2300),
    "U": (390, 950, 2350),
    "y": (300, 1650, 2200),
    "Q": (400, 1480, 2250),  # ö
    "@": (470, 1450, 2450),  # e of "alle"
    "6": (570, 1250, 2450),  # er of "aller"
}
GLIDES: dict[str, tuple[str, str]] = {"aI": ("a", "I"), "aU": ("a", "U"), "OY": ("O", "I")}


@dataclass(frozen=True)
class Sound:
    """A stretch of a consonant; amplitudes 0..1 relative to a vowel of the same loudness.

    Attributes
    ----------
    seconds : duration before it is fitted into the note
    voice, breath, hiss : amplitudes of the glottal pulses, of noise at the glottis (through the
        whole tract) and of noise at a constriction (through its own two resonances)
    hiss_hz, hiss_bw : centre frequencies and bandwidths of these resonances in Hz
    formants : target of F1..F3 in Hz, or None for those of the neighbouring vowel
    pull : 0..1, weight of `formants` against the neighbouring vowel's
    nasal : frequency of the nasal zero in Hz, 0 for none
    """

    seconds: float
    voice: float = 0.0
    breath: float = 0.0
    hiss: float = 0.0
    hiss_hz: tuple[float, float] = (3000.0, 5000.0)
    hiss_bw: tuple[float, float] = (1500.0, 2000.0)
    formants: tuple[float, float, float] | None = None
    pull: float = 0.5
    nasal: float = 0.0


_S = ((5300.0, 7000.0), (1300.0, 1800.0))
_SH = ((2700.0, 4300.0), (700.0, 1500.0))
_ALVEOLAR = (300.0, 1700.0, 2650.0)
_LABIAL = (300.0, 850.0, 2250.0)
_VELAR = (300.0, 2000.0, 2350.0)


def _build_stop(
    voiced: bool,
    locus: tuple[float, float, float],
    burst: float,
    level: float,
    hz: tuple[float, float],
) -> tuple[Sound, ...]:
    bw = (900.0, 1600.0)
    if voiced:
        return (
            Sound(0.045, voice=0.10, formants=(200, locus[1], locus[2]), pull=0.9),
            Sound(0.010, voice=0.20, hiss=level * 0.6, hiss_hz=hz, hiss_bw=bw, formants=locus),
        )
    return (
        Sound(0.055, formants=locus),
        Sound(0.012, hiss=level, hiss_hz=hz, hiss_bw=bw, formants=locus),
        Sound(burst, breath=0.9, formants=locus, pull=0.4),
    )  # fmt: skip


CONSONANTS: dict[str, tuple[Sound, ...]] = {
    "s": (Sound(0.105, hiss=0.42, hiss_hz=_S[0], hiss_bw=_S[1], formants=_ALVEOLAR),),
    "z": (Sound(0.075, voice=0.25, hiss=0.22, hiss_hz=_S[0], hiss_bw=_S[1], formants=_ALVEOLAR),),
    "S": (Sound(0.115, hiss=0.46, hiss_hz=_SH[0], hiss_bw=_SH[1], formants=_ALVEOLAR),),
    "C": (Sound(0.095, hiss=0.35, hiss_hz=(3300, 5000), hiss_bw=(700, 1800),
                formants=(300, 2100, 2900)),),
    "x": (Sound(0.095, breath=0.3, hiss=0.40, hiss_hz=(1250, 3000), hiss_bw=(450, 1600),
                formants=(450, 1150, 2400), pull=0.3),),
    "f": (Sound(0.095, hiss=0.16, hiss_hz=(3800, 6800), hiss_bw=(4500, 4500), formants=_LABIAL),),
    "v": (Sound(0.060, voice=0.35, hiss=0.05, hiss_hz=(3800, 6800), hiss_bw=(4500, 4500),
                formants=_LABIAL),),
    "h": (Sound(0.065, breath=1.0),),
    "j": (Sound(0.060, voice=0.60, formants=(280, 2150, 2850), pull=0.9),),
    "m": (Sound(0.085, voice=0.50, formants=(270, 1000, 2250), pull=0.85, nasal=1000.0),),
    "n": (Sound(0.075, voice=0.50, formants=(270, 1450, 2500), pull=0.85, nasal=1550.0),),
    "N": (Sound(0.085, voice=0.50, formants=(280, 1900, 2350), pull=0.85, nasal=2900.0),),
    "l": (Sound(0.065, voice=0.60, formants=(340, 1250, 2750), pull=0.85),),
    "r": (Sound(0.020, voice=0.65, formants=(450, 1300, 2100), pull=0.7),
          Sound(0.014, voice=0.20, formants=(400, 1350, 2200), pull=0.7),
          Sound(0.020, voice=0.65, formants=(450, 1300, 2100), pull=0.7)),
    "p": _build_stop(False, _LABIAL, 0.025, 0.20, (900, 2500)),
    "t": _build_stop(False, _ALVEOLAR, 0.030, 0.45, (4000, 5800)),
    "k": _build_stop(False, _VELAR, 0.035, 0.40, (1800, 3800)),
    "b": _build_stop(True, _LABIAL, 0.0, 0.20, (900, 2500)),
    "d": _build_stop(True, _ALVEOLAR, 0.0, 0.40, (3800, 5600)),
    "g": _build_stop(True, _VELAR, 0.0, 0.35, (1700, 3600)),
}  # fmt: skip
