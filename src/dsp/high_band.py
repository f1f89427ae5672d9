"""Who sings what is above the band of the models: the high band shared out among voices.

Voices are separated below half the models' sample rate. What a recording has above, the high band,
is shared out here by what is known of every voice below, and by the F0s: partials lie at multiples
of the F0 at any frequency; breath sounds while a voice has a pitch; consonants are loudest where
its pitch pauses for a moment. How loud a voice is above is extrapolated from its upper octave.

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
PAUSE = 0.25  # seconds: consonants are that near to a pitch
COMPRESSION = 0.85  # exponent of the ratio of two voices' levels
SMOOTHING = 3.0  # frames over which levels are smoothed
# Power relative to a voice's level: of partials, of breath, of consonants, and of what is there
# although nothing is known.
PARTIALS, BREATH, CONSONANTS, UNKNOWN = 1.0, 0.03, 3.0, 0.02


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
    frames = torch.arange(1 + high.shape[-1] // step, dtype=torch.float64) * (step / rate)
    track = interpolate_tracks(f0, frames * (stem_rate / hop))
    voiced = track > 0
    consonants = CONSONANTS * find_consonants(voiced, rate / step)
    shares = high.new_empty(len(stems), *high.shape)
    for channel in range(len(high)):
        level, course = measure_upper_octave(stems[:, channel], voiced, frames * stem_rate)
        partials = PARTIALS * level * course
        steady = level * (BREATH * course * voiced + consonants + UNKNOWN)

        def model(voice: int, partials: Tensor = partials, steady: Tensor = steady) -> Tensor:
            """Model the power [F, N] of a voice."""
            comb = compute_comb(track[voice], frequencies[lowest:])
            return torch.addcmul(steady[voice], comb, partials[voice])

        # Computed twice, as those of all voices need more memory than everything else.
        total = sum((model(voice) for voice in range(1, len(stems))), start=model(0))
        spectrum = stft(high[channel], n_fft=n_fft, hop=step)[lowest:]
        for voice in range(len(stems)):
            share = model(voice).div_(total).sqrt_() * spectrum
            whole = torch.nn.functional.pad(share, (0, 0, lowest, 0))
            shares[voice, channel] = istft(whole, high.shape[-1], n_fft=n_fft, hop=step)
    return shares


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
        The level [J, 1] while there is a pitch, relative to the loudest voice and compressed; and
        its course [J, N] relative to the mean of these frames, compressed too.
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
    level = level.clamp(min=1e-4).pow(COMPRESSION)
    relative = course / mean.clamp(min=tiny)
    return level, relative.clamp(max=1e4).sqrt()


def _smooth(x: Tensor, sigma: float) -> Tensor:
    """Smooth [J, N] over N with a Gaussian of `sigma` frames; ends are held."""
    radius = round(4 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    padded = torch.nn.functional.pad(x.unsqueeze(1), (radius, radius), mode="replicate")
    return torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None]).squeeze(1)
