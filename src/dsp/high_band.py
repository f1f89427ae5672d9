"""Who sings what is above the band of the models: the high band shared out among voices.

Voices are separated below half the models' sample rate. What a recording has above, the high band,
is shared out here by what is known of every voice below, and by what the recording shows above:

- While voices have a pitch, the band's power follows their levels in `UPPER`, with lines at the
  multiples of their F0s, as far as the band has such lines at all (`measure_lines`).
- What exceeds that is noise, above all consonants. It belongs to voices whose pitch pauses for a
  moment. Louder voices get more of it as far as the band follows what is sung below.

Shares are powers: voices are independent, so the powers of J voices, and not their amplitudes, sum
to that of the recording. A stem therefore gets the square root of its share of every
time-frequency cell, and has the level that a voice of this share has. (Masks that sum to one make
stems too quiet where several voices share a cell: four voices of the same power by 6 dB.)
"""

from __future__ import annotations

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from .stft import istft, stft
from .tracks import HOP, RATE, interpolate_tracks

START = 0.9  # of half the models' rate: above, resampling has taken something away
UPPER = (4000.0, 5500.0)  # Hz: where a voice's level is measured that is extrapolated
HOP_SECONDS = 0.008
LINE = 25.0  # Hz: standard deviation of a partial's line
LINES_BELOW = 10_500.0  # Hz: where lines are looked for
LINES_GAIN = 4.0  # factor on the lines that are found, which vibrato and other voices blur
PAUSE = 0.25  # seconds: consonants are that near to a pitch
COMPRESSION = 0.85  # exponent of the ratio of two voices' levels
SMOOTHING = 3.0  # frames over which levels are smoothed
WIDTH = 1000.0  # Hz over which the recording's spectrum is smoothed
BREATH = 0.03  # power between the lines
NOT_PAUSING = 0.03  # share of the noise of a voice whose pitch goes on, against one that pauses
UNKNOWN = 0.02  # of the power: noise at any time


def share_high_band(
    high: Tensor,
    stems: Tensor,
    f0: Tensor,
    *,
    rate: int,
    stem_rate: int = RATE,
    hop: int = HOP,
) -> Tensor:
    """Share the high band of a recording out among its voices.

    Channels are shared out one by one: a voice that is louder in one of them below is so above.

    Args:
        high: [C, n] what the recording has above the stems' band.
        stems: [J, C, T] the separated voices, of the same beginning and duration.
        f0: [J, N] Hz, frame k at sample k * hop of the stems; 0 where silent.
        rate: sample rate of `high` in Hz.
        stem_rate: sample rate of `stems` in Hz.
        hop: samples of a stem from one F0 frame to the next.

    Returns:
        [J, C, n] what each voice has above the band of the stems. Nothing below `START` of it.
    """
    n_fft = 4 * next_fast_len(round(HOP_SECONDS * rate))
    step = n_fft // 4
    frequencies = torch.arange(n_fft // 2 + 1) * (rate / n_fft)
    lowest = int((frequencies < START * stem_rate / 2).sum())
    frequencies = frequencies[lowest:]
    frames = torch.arange(1 + high.shape[-1] // step, dtype=torch.float64) * (step / rate)
    track = interpolate_tracks(f0, frames * (stem_rate / hop))
    pausing = find_consonants(track > 0, rate / step) + NOT_PAUSING
    shares = high.new_empty(len(stems), *high.shape)
    for channel in range(len(high)):
        spectrum = stft(high[channel], n_fft=n_fft, hop=step)[lowest:]
        power = spectrum.abs().square()
        smooth = _average(power, round(WIDTH * n_fft / rate))
        level, course = measure_upper_octave(stems[:, channel], track > 0, frames * stem_rate)
        sung = level.pow(COMPRESSION) * course * (track > 0)
        together = sung.sum(dim=0)
        voiced = together > 1e-3 * together.max().clamp(min=1e-20)
        gain = power.new_zeros(len(power), 1)
        if voiced.any():
            # The median leaves consonants out.
            ratios = smooth[:, voiced] / together[voiced]
            gain = ratios.median(dim=1, keepdim=True).values
        # Combs are computed twice: those of all voices need more memory than everything else.
        comb = torch.zeros_like(power)
        for voice, part in enumerate(sung / together.clamp(min=1e-20)):
            comb.addcmul_(compute_comb(track[voice], frequencies), part)
        near = int((frequencies < LINES_BELOW).sum())
        lines = measure_lines(*(x[:near, voiced] for x in (power, smooth, comb)))
        noise = (smooth - gain * together).clamp_(min=0.0).add_(smooth, alpha=UNKNOWN).add_(1e-30)
        noisy = level.pow(COMPRESSION * lines) * pausing
        noisy = noisy / noisy.sum(dim=0)
        flat = 1.0 - lines + BREATH
        total = comb.mul_(lines).add_(flat).mul_(gain * together).add_(noise)
        for voice in range(len(stems)):
            own = compute_comb(track[voice], frequencies).mul_(lines).add_(flat)
            own.mul_(gain * sung[voice]).addcmul_(noise, noisy[voice])
            share = own.div_(total).clamp_(max=1.0).sqrt_() * spectrum
            whole = torch.nn.functional.pad(share, (0, 0, lowest, 0))
            shares[voice, channel] = istft(whole, high.shape[-1], n_fft=n_fft, hop=step)
    return shares


def measure_lines(power: Tensor, smooth: Tensor, comb: Tensor) -> float:
    """Measure how far spectra follow the combs of voices: 0 not at all, 1 quite.

    Args:
        power: [F, N] of the recording.
        smooth: [F, N] the same, smoothed over frequency.
        comb: [F, N] lines with mean 1.
    """
    measured = (power / smooth.clamp(min=1e-30)).clamp(max=5.0) - 1.0
    expected = comb - 1.0
    slope = (measured * expected).sum() / expected.square().sum().clamp(min=1e-9)
    return float((LINES_GAIN * slope).clamp(0.0, 1.0))


def compute_comb(f0: Tensor, frequencies: Tensor) -> Tensor:
    """Lines at the multiples of an F0 [N], with mean 1 over frequencies [F]: [F, N].

    0 where there is no F0.
    """
    pitch = f0.clamp(min=1.0)
    harmonic = frequencies[:, None] / pitch
    distance = (harmonic - harmonic.round()).mul_(pitch / LINE)
    return distance.square_().mul_(-0.5).exp_().mul_(f0 / (LINE * (2.0 * torch.pi) ** 0.5))


def find_consonants(voiced: Tensor, frames_per_second: float) -> Tensor:
    """How likely voices [J, N] utter consonants, 0 to 1: where the pitch pauses, near to a pitch.

    Shape:
        - voiced: bool [J, N]
        - output: [J, N]
    """
    radius = round(PAUSE * frames_per_second)
    sung = voiced.to(torch.get_default_dtype())
    near = torch.nn.functional.max_pool1d(sung, 2 * radius + 1, stride=1, padding=radius)
    return _smooth(near * (1.0 - sung), 2.0)


def measure_upper_octave(stems: Tensor, voiced: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Measure the power of stems [J, T] in `UPPER`, from which the high band is extrapolated.

    Args:
        stems: [J, T] at `RATE`.
        voiced: bool [J, N], where the voices have a pitch.
        samples: [N] at which samples the frames lie.

    Returns:
        The level [J, 1] while there is a pitch, relative to the loudest voice; and its course
        [J, N], the square root of the power relative to the mean of these frames.
    """
    spectrum = stft(stems, n_fft=512, hop=128).abs().square()
    low, high = (round(edge * 512 / RATE) for edge in UPPER)
    power = spectrum[:, low:high].mean(dim=1)
    nearest = (samples / 128).round().long().clamp(max=power.shape[-1] - 1)
    course = _smooth(power[:, nearest], SMOOTHING)
    mean = (course * voiced).sum(dim=1, keepdim=True) / voiced.sum(dim=1, keepdim=True).clamp(min=1)
    tiny = torch.finfo(mean.dtype).tiny
    level = mean / mean.max().clamp(min=tiny)
    # A voice that is not heard there may still be heard above: at most 40 dB are believed.
    relative = course / mean.clamp(min=tiny)
    return level.clamp(min=1e-4), relative.clamp(max=1e4).sqrt()


def _smooth(x: Tensor, sigma: float) -> Tensor:
    """Smooth [J, N] over N with a Gaussian of `sigma` frames; ends are held."""
    radius = round(4 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    padded = torch.nn.functional.pad(x.unsqueeze(1), (radius, radius), mode="replicate")
    return torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None]).squeeze(1)


def _average(x: Tensor, bins: int) -> Tensor:
    """Average [F, N] over `bins` neighbours in frequency; fewer at the ends."""
    radius = bins // 2
    columns = x.T.unsqueeze(1)
    averaged = torch.nn.functional.avg_pool1d(
        columns, 2 * radius + 1, 1, radius, count_include_pad=False
    )
    return averaged.squeeze(1).T
