"""The voices that a fit models: partials, harmonics above them under the fitted envelope, noise.

A mixture is explained as harmonics under envelopes plus noise (`src.fit.spectra`), and the lower
partials as sines with amplitudes and phases of their own (`src.fit.partials`). Here the same model
sings: sines below `highest` Hz, above them the harmonics filtered with the envelope, and each
voice's equal share of the noise's power.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..dsp.harmonic import count_harmonics, harmonic_source
from ..dsp.noise import uniform_noise
from ..dsp.stft import istft, stft
from ..models.source_filter import NOISE_CONTROLS, SourceFilterVoice
from ..ranges import check_number, check_whole
from ..renderer import Change, VoiceParameters
from .partials import PartialSettings, sing_partials
from .reshaping import MAX_HARMONICS, change_fit, measure_colours
from .sines import count_partials
from .spectra import build_mel_cosines


class FitRenderer:
    """`src.renderer.Renderer` of a fit's voices.

    Args:
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        domain: exponent of the magnitudes that were fitted.
        n_fft: FFT size of the filters.
        envelope_cosines, noise_cosines: coefficients of the log envelope and of the log noise.
        partials: arguments of `PartialSettings`; None = harmonics alone.
        network: arguments of `SourceFilterVoice`, where its harmonics are what is filtered; None =
            harmonics of amplitude 1.

    Raises:
        UmssError: a setting out of range.
    """

    def __init__(
        self,
        *,
        rate: int,
        hop: int,
        domain: float,
        n_fft: int,
        envelope_cosines: int,
        noise_cosines: int,
        partials: Mapping[str, Any] | None,
        network: Mapping[str, Any] | None,
    ) -> None:
        check_whole("rate", rate, 1000, 400_000)
        check_whole("hop", hop, 1, 65_536)
        check_whole("n_fft", n_fft, 64, 2**20)
        check_number("domain", domain, 1e-3, 2.0)
        self.rate, self.hop, self.domain, self.n_fft = rate, hop, domain, n_fft
        self.partials = None if partials is None else PartialSettings(**partials)
        self.voice = None if network is None else SourceFilterVoice(**network)
        self.per_frame = {
            "envelope_cosines": envelope_cosines,
            "noise_cosines": noise_cosines,
            "tuned_f0": 1,
        }
        self.per_window = {"scale": 2}
        for spec in self.voice.controls if self.voice is not None else ():
            if spec.name not in NOISE_CONTROLS:
                sizes = self.per_frame if spec.per_frame else self.per_window
                sizes[spec.name] = spec.size
        self.tracks: dict[str, tuple[int, int]] = {}
        if self.partials is not None:
            size = 2 * count_partials(self.partials.highest)
            self.tracks["partials"] = size, self.partials.hop

    @torch.inference_mode()
    def render(
        self,
        f0: Tensor,
        parameters: Mapping[str, Tensor],
        tracks: Mapping[str, Tensor],
        seed: Tensor,
        n_samples: int,
    ) -> Tensor:
        """Synthesise voices [B, J, T].

        `scale` [B, J, 2] is how loud the spectrogram is, in the domain of the fit: relative to that
        of the harmonics, and by itself.
        """
        tuned = parameters["tuned_f0"].squeeze(-1)
        scale = parameters["scale"]
        harmonics = self._filter(
            self._excite(tuned, parameters, seed, n_samples),
            parameters["envelope_cosines"],
            scale[..., 0],
            above=None if self.partials is None else self._find_top(tuned, self.partials.highest),
        )
        noise = uniform_noise(seed, tuned.shape[1], n_samples).to(harmonics)
        level = parameters["scale"][..., 1] / self._measure_noise(tuned.shape[1])
        voices = harmonics + self._filter(noise, parameters["noise_cosines"], level)
        if self.partials is not None:
            voices += sing_partials(
                tuned, tracks["partials"], n_samples, self.partials, rate=self.rate, hop=self.hop
            )
        return voices

    def measure_timbre(self, f0: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Measure the mean envelope, see `src.fit.reshaping`."""
        return measure_colours(self.voice, f0, parameters)

    def change(self, voice: VoiceParameters, ratio: Tensor, change: Change) -> VoiceParameters:
        """Change the parameters of a voice; partials follow the envelope to where they come."""
        return change_fit(
            voice,
            ratio,
            change,
            network=self.voice,
            partials=self.partials,
            domain=self.domain,
            rate=self.rate,
            hop=self.hop,
        )

    def add_voices(self, per_window: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Every voice sings its share of the noise; the shares stay as they are."""
        scale = per_window["scale"].clone()
        n_voices = len(scale)
        scale[..., 1] *= self._measure_noise(n_voices + count) / self._measure_noise(n_voices)
        return {**per_window, "scale": scale}

    def _excite(
        self, f0: Tensor, parameters: Mapping[str, Tensor], seed: Tensor, n_samples: int
    ) -> Tensor:
        """Harmonics before the envelope, [B, J, T]."""
        if self.voice is not None:
            controls = dict(parameters) | {
                spec.name: f0.new_zeros(*f0.shape[: 3 if spec.per_frame else 2], spec.size)
                for spec in self.voice.controls
                if spec.name in NOISE_CONTROLS
            }
            with torch.autocast(f0.device.type, enabled=False):
                voices: Tensor = self.voice(f0, controls, seed, n_samples)
            return voices
        amplitude = count_harmonics(f0, rate=self.rate, max_harmonics=MAX_HARMONICS)
        return harmonic_source(
            f0,
            amplitude,
            n_samples=n_samples,
            hop=self.hop,
            rate=self.rate,
            max_harmonics=MAX_HARMONICS,
        )

    def _find_top(self, f0: Tensor, highest: float) -> Tensor:
        """Find the frequency halfway from the last partial below `highest` Hz to the next."""
        count = torch.ceil(highest / f0.clamp(min=1.0)) - 0.5
        return torch.where(f0 > 0, count * f0, highest)

    def _measure_noise(self, n_voices: int) -> float:
        """Mean of |STFT|^domain of J voices' noise, uniform in [-1, 1), together."""
        power = n_voices * float(torch.hann_window(self.n_fft).square().sum()) / 3.0
        # A bin of noise is complex normal: E |X|^d = E(|X|^2)^(d / 2) Gamma(1 + d / 2).
        return float(power ** (0.5 * self.domain) * math.gamma(1.0 + 0.5 * self.domain))

    def _filter(
        self, signal: Tensor, cosines: Tensor, level: Tensor, *, above: Tensor | None = None
    ) -> Tensor:
        """Filter signals [B, J, T] with log envelopes, zero phase.

        Args:
            signal: [B, J, T].
            cosines: [B, J, N, D] of the log envelopes, in the domain of the fit.
            level: [B, J] factor in that domain.
            above: [B, J, N] Hz, below which nothing passes.
        """
        step = min(self.hop, self.n_fft // 4)
        spectrum = stft(signal, n_fft=self.n_fft, hop=step)
        frames = torch.arange(spectrum.shape[-1], device=signal.device) * step // self.hop
        frames = frames.clamp(max=cosines.shape[2] - 1)
        n_bins = spectrum.shape[-2]
        basis = build_mel_cosines(n_bins, cosines.shape[-1], rate=self.rate).to(cosines)
        gain = torch.exp(cosines[:, :, frames] @ basis.T).mT * level[..., None, None]
        spectrum = spectrum * gain.pow(1.0 / self.domain)
        if above is not None:
            hertz = torch.arange(n_bins, device=signal.device) * (self.rate / self.n_fft)
            spectrum = spectrum * (hertz.unsqueeze(-1) >= above[:, :, None, frames])
        return istft(spectrum, signal.shape[-1], n_fft=self.n_fft, hop=step)
