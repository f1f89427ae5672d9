"""Changes of a fitted voice's parameters: its envelope, its partials, its levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..models.reshaping import N_FFT, change_controls, measure_colour, measure_filter
from ..models.source_filter import SourceFilterVoice
from ..renderer import Change, VoiceParameters
from .partials import PartialSettings
from .sines import count_partials, find_nearest_frames, place_frames
from .spectra import build_mel_cosines

MAX_HARMONICS = 101
_MOST = 3.0  # natural logarithm of the factor by which a partial's amplitude changes at most


def change_fit(
    voice: VoiceParameters,
    ratio: Tensor,
    change: Change,
    *,
    network: SourceFilterVoice | None,
    partials: PartialSettings | None,
    domain: float,
    rate: int,
    hop: int,
) -> VoiceParameters:
    """Change a voice of `src.fit.rendering`.

    Args:
        voice: its parameters.
        ratio: [N] of the F0 it is to have and the one it has.
        change: what else is changed; `timbre` as found by `measure_colours`.
        network: whose harmonics the envelope filters; None = harmonics of amplitude 1.
        partials: how the partials were found; None = there are none.
        domain: exponent of the magnitudes that were fitted.
        rate, hop: of the frames, Hz and samples.
    """
    before = dict(voice.per_frame)
    after = dict(before)
    envelope = before["envelope_cosines"]
    if network is not None:
        timbre = change.timbre
        if timbre is not None:
            timbre = tuple(x[envelope.shape[-1] :] for x in timbre)  # type: ignore[assignment]
        after |= change_controls(network, before, replace(change, timbre=timbre, harmonics=1.0))
    moved = bool((ratio != 1.0).any())
    if moved or change.formants != 1.0:
        envelope = _settle(envelope, before["tuned_f0"][:, 0], change.formants, rate=rate)
    if change.timbre is not None:
        own, wanted = (x[: envelope.shape[-1]] for x in change.timbre)
        envelope = envelope + (wanted - own).to(envelope)
    after["envelope_cosines"] = envelope
    after["noise_cosines"] = _add_level(before["noise_cosines"], change.noise, domain)
    after["tuned_f0"] = before["tuned_f0"] * ratio.unsqueeze(-1).to(before["tuned_f0"])
    levels = [_measure_levels(x, network, domain, rate) for x in (before, after)]
    if not torch.equal(*levels) or not torch.equal(before["tuned_f0"], after["tuned_f0"]):
        makeup = _measure_makeup(levels, [x["tuned_f0"][:, 0] for x in (before, after)], rate)
        levels[1] = levels[1] + makeup.unsqueeze(-1)
        after["envelope_cosines"] = envelope.clone()
        after["envelope_cosines"][:, 0] += domain * makeup.to(envelope)
    tracks = dict(voice.tracks)
    if partials is not None:
        middle = place_frames(voice.n_samples, partials.hop, ratio.device)
        nearest = find_nearest_frames(middle, hop, len(ratio))
        # A partial's frame is long: its middle may lie beside the note.
        nearest = _find_sung(before["tuned_f0"][:, 0])[nearest]
        tracks["partials"] = change.harmonics * _move_partials(
            voice.tracks["partials"],
            *(x["tuned_f0"][nearest, 0] for x in (before, after)),
            *(x[nearest] for x in levels),
            highest=partials.highest,
            rate=rate,
        )
    after["envelope_cosines"] = _add_level(after["envelope_cosines"], change.harmonics, domain)
    return VoiceParameters(voice.f0 * ratio, after, tracks, voice.n_samples)


def measure_colours(
    network: SourceFilterVoice | None, f0: Tensor, parameters: Mapping[str, Tensor]
) -> Tensor:
    """Measure the mean envelope of a voice, without its level, and the network's resonances."""
    envelope = parameters["envelope_cosines"][f0 > 0].double().mean(dim=0)
    envelope[0] = 0.0
    if network is None:
        return envelope
    return torch.cat([envelope, measure_colour(network, f0, parameters)])


def _add_level(cosines: Tensor, factor: float, domain: float) -> Tensor:
    """Multiply amplitudes under log envelopes [N, D] by a factor; the first cosine is 1."""
    level = torch.tensor(factor, dtype=torch.float64).clamp(min=1e-20).log()
    moved = cosines.clone()
    moved[:, 0] += domain * float(level)
    return moved


def _settle(cosines: Tensor, f0: Tensor, factor: float, *, rate: int) -> Tensor:
    """Let log envelopes go straight from harmonic to harmonic, and multiply their frequencies.

    What was fitted is known at the harmonics alone; between them, where other F0s will have theirs,
    the cosines swing.

    Args:
        cosines: [N, D], in the domain of the fit.
        f0: [N] Hz, 0 = silent; there the envelope stays.
        factor: on the frequencies.
        rate: sample rate in Hz.
    """
    n_bins = N_FFT // 2 + 1
    basis = build_mel_cosines(n_bins, cosines.shape[-1], rate=rate).double()
    sung = f0 > 0
    fitted = cosines[sung].double() @ basis.T
    pitch = f0[sung].double().unsqueeze(-1)
    count = torch.ceil(0.5 * rate / pitch).sub(1).clamp(min=1)
    order = torch.arange(1, int(count.max()) + 1 if len(count) else 2, dtype=torch.float64)
    known = _read(fitted, torch.minimum(order, count) * pitch, rate)
    hertz = torch.linspace(0.0, 0.5 * rate, n_bins, dtype=torch.float64) / factor
    place = (hertz / pitch - 1.0).clamp(min=0.0).clamp(max=known.shape[-1] - 1)
    low = place.floor().long().clamp(max=max(known.shape[-1] - 2, 0))
    high = (low + 1).clamp(max=known.shape[-1] - 1)
    below, above = known.gather(-1, low), known.gather(-1, high)
    straight = below + (place - low).clamp(max=1.0) * (above - below)
    settled = cosines.clone()
    settled[sung] = (straight @ torch.linalg.pinv(basis).T).to(cosines)
    return settled


def _measure_levels(
    parameters: Mapping[str, Tensor], network: SourceFilterVoice | None, domain: float, rate: int
) -> Tensor:
    """Logarithms of a harmonic's amplitude over frequency, [N, N_FFT // 2 + 1]."""
    cosines = parameters["envelope_cosines"].double()
    basis = build_mel_cosines(N_FFT // 2 + 1, cosines.shape[-1], rate=rate).double()
    levels = cosines @ basis.T / domain
    if network is None:
        return levels
    # The network shares its amplitude among the harmonics, whose number falls as F0 rises.
    per_harmonic = parameters["harmonic_amplitude"].double() * parameters["tuned_f0"].double()
    return levels + measure_filter(network, parameters) + per_harmonic.clamp(min=1e-20).log()


def _measure_makeup(levels: list[Tensor], f0: list[Tensor], rate: int) -> Tensor:
    """Measure what keeps the power of all harmonics as it was: [N] logarithms of amplitudes.

    Args:
        levels: [N, F] logarithms of amplitudes over frequency, before and after.
        f0: [N] Hz, before and after, 0 = silent.
        rate: sample rate in Hz.
    """
    powers = []
    for level, track in zip(levels, f0, strict=True):
        order = torch.arange(1, MAX_HARMONICS + 1, dtype=torch.float64)
        hertz = track.double().unsqueeze(-1) * order
        power = torch.exp(2.0 * _read(level, hertz, rate))
        powers.append((power * ((hertz > 0) & (hertz < 0.5 * rate))).sum(dim=-1))
    sung = (powers[0] > 0) & (powers[1] > 0)
    ratio = torch.where(sung, powers[0], 1.0) / torch.where(sung, powers[1], 1.0)
    return torch.where(sung, 0.5 * ratio.log(), 0.0).clamp(-_MOST, _MOST)


def _move_partials(
    table: Tensor,
    before: Tensor,
    after: Tensor,
    levels_before: Tensor,
    levels_after: Tensor,
    *,
    highest: float,
    rate: int,
) -> Tensor:
    """Give partials the levels of the envelope at their new frequencies.

    A partial that lay above `highest` Hz and comes to lie below has not been measured: it gets the
    level of the last one that was, as the envelope continues it.

    Args:
        table: [n, 2 P] amplitudes of cosines, then of sines (`src.fit.partials.sing_partials`).
        before, after: [n] F0 in Hz, 0 = silent.
        levels_before, levels_after: [n, F] logarithms of amplitudes over frequency.
        highest: Hz.
        rate: sample rate in Hz.
    """
    count = count_partials(highest)
    order = torch.arange(1, count + 1, dtype=torch.float64)
    own, wanted = (x.double().unsqueeze(-1) * order for x in (before, after))
    change = _read(levels_after, wanted, rate) - _read(levels_before, own, rate)
    measured = own < highest
    pairs = torch.stack([table[:, :count], table[:, count:]]).double()
    moved = pairs * change.clamp(-_MOST, _MOST).exp()
    last = measured.sum(dim=-1).sub(1).clamp(min=0)
    rows = torch.arange(len(table))
    reference = pairs[:, rows, last].square().sum(dim=0).sqrt()
    anchor = _read(levels_before, own[rows, last].unsqueeze(-1), rate)
    continued = (
        reference.unsqueeze(-1)
        * (_read(levels_after, wanted, rate) - anchor).clamp(-_MOST, _MOST).exp()
    )
    missing = ~measured & (wanted < highest) & (pairs == 0).all(dim=0)
    moved[1] = torch.where(missing, continued, moved[1])
    return torch.cat([moved[0], moved[1]], dim=-1).to(table)


def _find_sung(f0: Tensor) -> Tensor:
    """Find for each frame the nearest with pitch, [N]; itself where there is none at all."""
    frames = torch.arange(len(f0))
    sung = torch.nonzero(f0 > 0)[:, 0]
    if not len(sung):
        return frames
    after = torch.searchsorted(sung, frames).clamp(max=len(sung) - 1)
    before = (after - 1).clamp(min=0)
    left, right = sung[before], sung[after]
    return torch.where((frames - left).abs() <= (right - frames).abs(), left, right)


def _read(levels: Tensor, hertz: Tensor, rate: int) -> Tensor:
    """Read levels [n, F] over frequency at frequencies [n, K] in Hz, linearly between bins."""
    last = levels.shape[-1] - 1
    place = (hertz * (2 * last / rate)).clamp(0, last)
    low = place.floor().long().clamp(max=last - 1)
    below, above = levels.gather(-1, low), levels.gather(-1, low + 1)
    return below + (place - low) * (above - below)
