"""What a recording's lines and decays look like: sections of a choir, and rooms.

The singers of a section scatter around a pitch, so that the harmonics of a part are wider than one
singer's, in proportion to their frequency. A room goes on sounding when a note has ended, and what
it sounds belongs to the voice that caused it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..dsp.stft import soft_masks
from ..errors import UmssError
from .descent import descend, describe
from .spectra import FitSettings, FittedSpectra, Problem, pose_problem

# Cents by which many singers of one part scatter.
_SCATTER = 20.0
# What is tried: cents; seconds in which a room decays by 60 dB; dB of the direct sound over its
# reverberation, and indices of the room that is tried first.
_WIDTHS = (12.0, 20.0)
_SECONDS, _DIRECT = (0.5, 1.0, 1.8, 3.0), (9.0, 6.0, 3.0, 0.0, -3.0)
_FIRST_ROOM = (1, 1)
# One singer's errors of F0 look like a section, too: a part is one if that makes its bins diverge
# less than the share `_SOME`, or `_CHOIR` where all bins together diverge less than `_ALL`.
_SOME, _CHOIR, _ALL = 0.85, 0.97, 0.9
# Bins up to this many Hz decide, after a few iterations of a smaller step.
_HIGHEST, _ITERATIONS, _RATE = 4000.0, 12, 0.03


@dataclass(frozen=True)
class Scene:
    """How B mixtures were sung.

    Attributes:
        cents: [B, J] standard deviation of the pitches of the singers of a part; 0 = one singer.
        seconds: [B] in which the room decays by 60 dB.
        late: [B] energy of the room's reverberation, relative to the direct sound; 0 = no room.
    """

    cents: Tensor
    seconds: Tensor
    late: Tensor


def describe_nothing(f0: Tensor) -> Scene:
    """The scene of tracks [B, J, N] without sections and room."""
    silence = f0.new_zeros(len(f0))
    return Scene(f0.new_zeros(f0.shape[:2]), silence, silence)


def spread_lines(combs: Tensor, cents: Tensor, *, domain: float) -> Tensor:
    """Spread the lines of spectrograms in proportion to their frequency; powers add up.

    As if many copies were added whose pitches are normally distributed.

    Args:
        combs: [B, J, F, N] spectrograms |S|^domain.
        cents: [B, J] standard deviation.
        domain: exponent of the magnitudes.
    """
    if not bool(cents.any()):
        return combs
    spread = combs.clone()
    for index in torch.nonzero(cents > 0).tolist():
        where = tuple(index)
        power = combs[where].pow(2.0 / domain)
        spread[where] = (_build_spread(len(power), cents[where]) @ power).pow(0.5 * domain)
    return spread


def _build_spread(n_bins: int, cents: Tensor) -> Tensor:
    """A matrix [F, F] whose column f is a Gaussian around bin f, of a deviation in cents []."""
    bins = torch.arange(n_bins, dtype=cents.dtype, device=cents.device)
    deviation = bins * (2.0 ** (cents / 1200.0) - 1.0)
    edges = torch.arange(n_bins + 1, dtype=cents.dtype, device=cents.device) - 0.5
    below = torch.erf((edges[:, None] - bins) / (math.sqrt(2.0) * deviation.clamp(min=1e-6)))
    return 0.5 * below.diff(dim=0)


def build_tails(scene: Scene, n_frames: int, *, frame_seconds: float) -> Tensor | None:
    """Build what the energy of every frame leaves in later ones, [B, N, N]; None = nothing at all.

    Row n holds the reverberation of frame n, as an exponential decay that begins a frame later.
    """
    if not bool(scene.late.any()):
        return None
    fall = torch.exp(-6.0 * math.log(10.0) * frame_seconds / scene.seconds.clamp(min=1e-3))
    fall, late = fall.view(-1, 1, 1), scene.late.view(-1, 1, 1)
    frames = torch.arange(n_frames, device=fall.device)
    after = (frames - frames.unsqueeze(-1)).to(fall)
    decay = late * (1.0 - fall) * fall ** (after - 0.5).clamp(min=0.0)
    return torch.where(after > 0, decay, 0.0)


def check_counts(singers_per_part: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """The numbers of singers of all parts; one number stands for every part.

    Raises:
        UmssError: anything but whole numbers from 1.
    """
    if singers_per_part is None:
        return None
    single = not isinstance(singers_per_part, Sequence)
    counts = [singers_per_part] if single else list(singers_per_part)  # type: ignore[arg-type]
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UmssError(
                f"singers_per_part={singers_per_part}: give whole numbers from 1, one per part or "
                "one for all, or null to find them from the recording"
            )
    return tuple(counts)  # type: ignore[arg-type]


def count_to_cents(singers_per_part: tuple[int, ...], n_voices: int) -> list[float]:
    """Convert the numbers of singers of J parts to the deviations of their pitches in cents.

    Raises:
        UmssError: another number of parts.
    """
    counts = singers_per_part * n_voices if len(singers_per_part) == 1 else singers_per_part
    if len(counts) != n_voices:
        raise UmssError(
            f"singers_per_part={list(counts)} has {len(counts)} numbers, but there are {n_voices} "
            "parts; give one number per part, or one for all"
        )
    # n singers scatter around their own mean, not around that of many.
    return [_SCATTER * math.sqrt(1.0 - 1.0 / count) for count in counts]


def find_scene(
    mixture: Tensor,
    combs: Tensor,
    fitted: FittedSpectra,
    settings: FitSettings,
    *,
    rate: int,
    mask_hop: int,
    sections: bool,
    rooms: bool,
) -> Scene:
    """Find sections and rooms: those that make a fit better.

    A fit that knows of neither goes on for a few iterations with wider lines or with a room. A
    voice has the width under which those bins diverge least that are mostly its own.

    Args:
        mixture: [B, F, N] spectrograms that were fitted.
        combs: [B, J, F, N] of single singers.
        fitted: the fit with these combs.
        settings: of the fit.
        rate: sample rate in Hz.
        mask_hop: samples per frame.
        sections, rooms: what is looked for.
    """
    n_bins = min(combs.shape[-2], 1 + round(2 * _HIGHEST / rate * combs.shape[-2]))
    problem = pose_problem(mixture, combs, settings, rate=rate).crop(n_bins)
    frames = mask_hop / rate
    found = [
        _Search(
            problem.choose(b), fitted.envelope[b : b + 1], fitted.noise_envelope[b : b + 1], frames
        ).run(sections, rooms)
        for b in range(len(mixture))
    ]
    cents, seconds, late = zip(*found, strict=True)
    return Scene(*(torch.tensor(x).to(mixture) for x in (cents, seconds, late)))


@dataclass
class _Trial:
    """A scene of one mixture, and the fit's divergence under it.

    Attributes:
        cents: per voice.
        room: index into `_SECONDS` and into `_DIRECT`; None = no room.
        of_voices: [J] divergence in the bins of each voice.
    """

    cents: list[float]
    room: tuple[int, int] | None
    of_voices: Tensor

    @property
    def total(self) -> float:
        return float(self.of_voices.sum())


class _Search:
    """Search of one mixture's scene."""

    def __init__(
        self, problem: Problem, envelope: Tensor, noise: Tensor, frame_seconds: float
    ) -> None:
        self.problem, self.envelope, self.noise = problem, envelope, noise
        self.frame_seconds = frame_seconds
        self.domain = problem.settings.domain
        voices = problem.explain(envelope, noise)[0]
        # Bins that another voice has as much of say nothing about either.
        shares = soft_masks(voices.mT, power=2.0 / self.domain).mT
        self.shares = (2.0 * shares - 1.0).clamp(min=0.0)
        self.widened: dict[tuple[float, ...], Tensor] = {}

    def run(self, sections: bool, rooms: bool) -> tuple[list[float], float, float]:
        """Cents of the parts, seconds and relative energy of the room."""
        n_voices = self.problem.combs.shape[1]
        best = self.try_out([0.0] * n_voices, None)
        if sections and rooms:
            wide, reverberant = self.widen(best), self.try_out(best.cents, _FIRST_ROOM)
            if reverberant.total < min(wide.total, best.total):
                best = self.widen(self.search_room(best))
            else:
                best = self.search_room(wide)
        elif sections:
            best = self.widen(best)
        elif rooms:
            best = self.search_room(best)
        if best.room is None:
            return best.cents, 0.0, 0.0
        seconds, direct = (x[i] for x, i in zip((_SECONDS, _DIRECT), best.room, strict=True))
        return best.cents, seconds, 10.0 ** (-0.1 * direct)

    def widen(self, best: _Trial) -> _Trial:
        """The best width of every voice."""
        for cents in _WIDTHS:
            wide = self.try_out([cents] * len(best.cents), best.room)
            share = 1.0
            if not any(best.cents):
                share = _CHOIR if wide.total < _ALL * best.total else _SOME
            better = wide.of_voices < share * best.of_voices
            if not bool(better.any()):
                break
            best = _Trial(
                [cents if b else c for b, c in zip(better.tolist(), best.cents, strict=True)],
                best.room,
                torch.minimum(wide.of_voices, best.of_voices),
            )
        return best

    def search_room(self, best: _Trial) -> _Trial:
        """The best room, from a middle one step by step to better ones."""
        here = self.try_out(best.cents, _FIRST_ROOM)
        if here.total >= best.total:
            return best
        for axis in (0, 1, 0):
            for step in (1, -1):
                moved = False
                while True:
                    place = list(here.room or _FIRST_ROOM)
                    place[axis] += step
                    if not 0 <= place[axis] < len((_SECONDS, _DIRECT)[axis]):
                        break
                    there = self.try_out(best.cents, (place[0], place[1]))
                    if there.total >= here.total:
                        break
                    here, moved = there, True
                if moved:
                    break
        return here

    def try_out(self, cents: list[float], room: tuple[int, int] | None) -> _Trial:
        """Go on with the fit in another scene."""
        combs = self.problem.combs
        widths = combs.new_tensor([cents])
        if tuple(cents) not in self.widened:
            spread = spread_lines(combs.mT, widths, domain=self.domain)
            self.widened[tuple(cents)] = spread.mT.contiguous()
        tails = None
        if room is not None:
            seconds, direct = (x[i] for x, i in zip((_SECONDS, _DIRECT), room, strict=True))
            scene = Scene(
                widths, *(widths.new_tensor([x]) for x in (seconds, 10.0 ** (-0.1 * direct)))
            )
            tails = build_tails(scene, combs.shape[-2], frame_seconds=self.frame_seconds)
        problem = replace(self.problem, combs=self.widened[tuple(cents)], tails=tails)
        # What sounds is as loud as before: wider lines sum to more, and held notes reverberate.
        envelope = self.envelope.clone()
        tiny = torch.finfo(combs.dtype).tiny
        narrow, wide = (x.mean(dim=(2, 3)).clamp(min=tiny) for x in (combs, problem.combs))
        envelope[:, :, 0] -= (wide / narrow).log().unsqueeze(-1)
        if tails is not None:
            envelope[:, :, 0] -= 0.5 * self.domain * tails[:, 0].sum(dim=-1).log1p().view(1, 1, 1)
        noise = self.noise.clone()
        descend(problem, envelope, noise, _ITERATIONS, _RATE)
        fitted = describe(problem, envelope, noise)
        wet = fitted.voices if fitted.wet is None else fitted.wet
        model = (wet.sum(dim=1) + fitted.noise).mT.clamp(min=1e-6)
        excess = torch.xlogy(problem.target, problem.target / model) - problem.target + model
        return _Trial(cents, room, (self.shares * excess.unsqueeze(1)).sum(dim=(0, 2, 3)))
