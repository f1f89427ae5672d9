"""The singers of the generated choir: four choirs of four, hand-set and all different."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Singer:
    """What makes one singer sound unlike another.

    Attributes
    ----------
    tract : formant frequencies relative to an average male voice
    bandwidth : formant bandwidths relative to the table in `phonemes`
    rd : glottal shape at middle effort (Fant 1995): 0.5 pressed and bright, 2 soft and breathy
    ring : 0..1, how far formants 3 to 5 cluster into a singer's formant
    breath : aspiration noise relative to the voice
    vibrato_hz, vibrato_cents, vibrato_delay : rate, peak deviation, onset in seconds
    glide : time constant of the portamento in seconds
    early : mean onset relative to the conductor in seconds; negative is early
    looseness : standard deviation of onsets in seconds
    tuning, mistune : mean and standard deviation of the intonation in cents
    wander : standard deviation of slow pitch drift in cents
    jitter, shimmer : standard deviation per glottal cycle, relative
    seat : 0..1, place in the room (changes the early reflections and the distance)
    scoop : how far notes begin below their pitch, relative to a trained choir singer
    """

    part: str
    number: str
    tract: float
    bandwidth: float
    rd: float
    ring: float
    breath: float
    vibrato_hz: float
    vibrato_cents: float
    vibrato_delay: float
    glide: float
    early: float
    looseness: float
    tuning: float
    mistune: float
    wander: float
    jitter: float
    shimmer: float
    seat: float
    scoop: float = 1.0


SINGERS: tuple[Singer, ...] = (
    #      part      no   tract  bw    rd   ring  breath vib Hz cents delay glide early  loose
    Singer("soprano", "1", 1.16, 1.00, 0.90, 0.25, 0.050, 5.6, 38, 0.25, 0.026, -0.004, 0.015,
           3, 7, 8, 0.0030, 0.025, 0.12),
    Singer("soprano", "2", 1.20, 1.20, 1.25, 0.05, 0.080, 5.2, 20, 0.40, 0.034, 0.010, 0.022,
           -4, 10, 10, 0.0045, 0.040, 0.28),
    Singer("soprano", "3", 1.13, 0.90, 0.75, 0.45, 0.040, 6.1, 55, 0.15, 0.022, 0.002, 0.013,
           5, 8, 7, 0.0030, 0.025, 0.05),
    Singer("soprano", "4", 1.22, 1.10, 1.05, 0.15, 0.065, 4.9, 28, 0.30, 0.030, -0.010, 0.018,
           0, 9, 9, 0.0040, 0.035, 0.20),
    Singer("alto", "1", 1.10, 1.00, 0.85, 0.20, 0.050, 5.4, 30, 0.25, 0.030, 0.004, 0.016,
           2, 7, 8, 0.0035, 0.030, 0.36),
    Singer("alto", "2", 1.13, 1.15, 1.15, 0.05, 0.080, 5.0, 18, 0.35, 0.036, 0.012, 0.024,
           -5, 10, 11, 0.0050, 0.040, 0.45),
    Singer("alto", "3", 1.07, 0.90, 0.70, 0.40, 0.040, 5.8, 45, 0.20, 0.024, -0.006, 0.014,
           4, 8, 7, 0.0030, 0.025, 0.31),
    Singer("alto", "4", 1.15, 1.25, 0.95, 0.10, 0.065, 5.2, 25, 0.30, 0.028, 0.000, 0.019,
           -1, 9, 9, 0.0045, 0.035, 0.40),
    Singer("tenor", "1", 1.02, 1.00, 0.75, 0.45, 0.035, 5.5, 35, 0.25, 0.028, 0.000, 0.015,
           3, 8, 8, 0.0035, 0.030, 0.60),
    Singer("tenor", "2", 1.05, 1.20, 1.00, 0.10, 0.060, 5.1, 18, 0.40, 0.034, 0.012, 0.022,
           -3, 10, 10, 0.0050, 0.045, 0.70),
    Singer("tenor", "3", 0.99, 0.85, 0.60, 0.70, 0.025, 5.9, 50, 0.20, 0.022, -0.006, 0.013,
           6, 7, 7, 0.0030, 0.025, 0.55),
    Singer("tenor", "4", 1.03, 1.10, 0.85, 0.25, 0.045, 5.3, 26, 0.30, 0.030, 0.006, 0.018,
           -2, 9, 9, 0.0040, 0.035, 0.65),
    Singer("bass", "1", 0.94, 1.00, 0.72, 0.45, 0.030, 5.2, 28, 0.25, 0.030, 0.004, 0.016,
           0, 7, 8, 0.0040, 0.035, 0.85),
    Singer("bass", "2", 0.97, 1.20, 1.00, 0.10, 0.055, 4.8, 15, 0.40, 0.038, 0.014, 0.024,
           -6, 10, 11, 0.0055, 0.050, 0.95),
    Singer("bass", "3", 0.91, 0.85, 0.60, 0.65, 0.022, 5.6, 42, 0.20, 0.026, -0.002, 0.014,
           3, 8, 7, 0.0035, 0.030, 0.80),
    Singer("bass", "4", 0.95, 1.10, 0.85, 0.25, 0.042, 5.0, 22, 0.35, 0.032, 0.008, 0.020,
           -2, 9, 9, 0.0045, 0.040, 0.90),
)  # fmt: skip


def list_singers(part: str) -> tuple[Singer, ...]:
    """List the singers of a part, in the order of their numbers."""
    return tuple(singer for singer in SINGERS if singer.part == part)


def draw_singer(part: str, rng: np.random.Generator) -> Singer:
    """Draw a random singer, for training sets that need many different voices.

    Ranges are slightly wider than those of the hand-set singers, mainly towards less control: more
    vibrato, drift and mistuning, more breath.
    """
    tracts = [singer.tract for singer in list_singers(part)]
    u = rng.uniform
    return Singer(
        part=part,
        number="0",
        tract=u(min(tracts) - 0.05, max(tracts) + 0.05),
        bandwidth=u(0.8, 1.5),
        rd=u(0.5, 1.7),
        ring=u(0.0, 0.8),
        breath=float(np.exp(u(np.log(0.015), np.log(0.15)))),
        vibrato_hz=u(4.4, 6.6),
        vibrato_cents=u(0.0, 70.0),
        vibrato_delay=u(0.05, 0.5),
        glide=u(0.018, 0.06),
        early=u(-0.03, 0.03),
        looseness=u(0.01, 0.04),
        tuning=u(-15.0, 15.0),
        mistune=u(5.0, 25.0),
        wander=u(5.0, 22.0),
        jitter=u(0.002, 0.008),
        shimmer=u(0.02, 0.07),
        seat=u(0.0, 1.0),
    )


def draw_wide_singer(part: str, rng: np.random.Generator) -> Singer:
    """Draw a random singer of any style, for training sets that must not be a choir only.

    From children to large basses whatever the part, vibrato from none to 150 cents, straight
    onsets to the scoops and glides of popular music, clear voices to whispering ones.
    """
    u = rng.uniform

    def even(low: float, high: float) -> float:
        """Draw evenly in the logarithm."""
        return float(np.exp(u(np.log(low), np.log(high))))

    lowest, highest = {"bass": (0.85, 1.15), "tenor": (0.88, 1.25)}.get(part, (0.95, 1.45))
    straight = rng.random() < 0.25
    return Singer(
        part=part,
        number="0",
        tract=even(lowest, highest),
        bandwidth=u(0.7, 1.7),
        rd=u(0.45, 2.1),
        ring=u(0.0, 0.9),
        breath=even(0.012, 0.35),
        vibrato_hz=u(4.0, 7.5),
        vibrato_cents=u(0.0, 10.0) if straight else u(10.0, 150.0),
        vibrato_delay=u(0.0, 0.6),
        glide=even(0.012, 0.12),
        early=u(-0.05, 0.05),
        looseness=u(0.01, 0.07),
        tuning=u(-30.0, 30.0),
        mistune=u(3.0, 35.0),
        wander=u(3.0, 30.0),
        jitter=u(0.001, 0.011),
        shimmer=u(0.01, 0.1),
        seat=u(0.0, 1.0),
        scoop=even(0.3, 4.0),
    )
