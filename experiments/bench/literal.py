"""The paper's equations as they stand, as a yardstick.

Every harmonic has a phase and a signal of its own (eq. 5, 6), filters run in a Python loop over the
samples of their frames (eq. 2, 3), and the network sees the latent mixture once per source, as its
figure draws it (Fig. 3). Used by the benchmarks only; `src.models` computes the same signals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from src.dsp.control import upsample
from src.dsp.harmonic import count_harmonics, interpolate_f0
from src.dsp.lpc import lsf_from_increments, lsf_to_lpc
from src.dsp.noise import fir_filter, frequency_sampled_fir, uniform_noise
from src.models.estimator import SourceDecoder
from src.models.lit import UnsupervisedTraining
from src.models.source_filter import SourceFilterVoice


def literal_model() -> UnsupervisedTraining:
    """The training module of `src.models.lit` with the literal network and voice inside."""
    model = UnsupervisedTraining()
    model.voice = LiteralVoice()
    decoder = LiteralDecoder(128, 512)
    decoder.load_state_dict(model.estimator.decoder.state_dict())
    model.estimator.decoder = decoder
    return model


class LiteralDecoder(SourceDecoder):
    """The decoder on the latent mixture repeated for every source, with PyTorch's own GRU."""

    def forward(self, latent: Tensor, f0: Tensor) -> Tensor:
        repeated = latent.unsqueeze(2).expand(-1, -1, f0.shape[2], -1)
        inputs = [self.f0_mlp(f0.unsqueeze(-1)), self.latent_mlp(repeated)]
        gru = self.gru
        flat = torch.cat(inputs, dim=-1).flatten(1, 2)
        weights: list[Tensor] = [gru.weight_ih, gru.weight_hh, gru.bias_ih, gru.bias_hh]
        start = flat.new_zeros(1, flat.shape[1], gru.hidden)
        output, _ = torch.gru(flat, start, weights, True, 1, 0.0, self.training, False, False)
        decoded: Tensor = self.output_mlp(output.unflatten(1, f0.shape[1:]))
        return decoded


class LiteralVoice(SourceFilterVoice):
    """The voice with every harmonic as a signal of its own and filters stepped sample by sample."""

    def build_excitation(
        self, f0: Tensor, controls: Mapping[str, Tensor], seed: Tensor, n_samples: int
    ) -> Tensor:
        amplitude = controls["harmonic_amplitude"].squeeze(-1)
        count = count_harmonics(f0, rate=self.rate, max_harmonics=self.max_harmonics)
        number = torch.arange(1, self.max_harmonics + 1, dtype=f0.dtype)
        present = (number <= count.unsqueeze(-1)).to(f0.dtype)
        levels = amplitude.unsqueeze(-1) / count.clamp(min=1).unsqueeze(-1) * present
        levels = upsample(levels.transpose(-1, -2), hop=self.hop, n_samples=n_samples)
        fundamental = interpolate_f0(f0, hop=self.hop, n_samples=n_samples).to(f0.dtype)
        frequency = number[:, None] * fundamental.unsqueeze(-2)
        phase = 2.0 * math.pi * (frequency / self.rate).cumsum(dim=-1)
        bank = torch.sin(phase) * (frequency < 0.5 * self.rate)
        harmonics = fir_filter((levels * bank).sum(dim=-2), self.rolloff)
        noise = uniform_noise(seed, f0.shape[1], n_samples)
        noise = fir_filter(noise, frequency_sampled_fir(controls["noise_magnitudes"]))
        gain = upsample(controls["noise_gain"].squeeze(-1), hop=self.hop, n_samples=n_samples)
        return harmonics + gain * noise

    def filter(self, excitation: Tensor, controls: Mapping[str, Tensor]) -> Tensor:
        lsf = lsf_from_increments(controls["lsf_increments"], minimum_gap=self.minimum_gap)
        a = lsf_to_lpc(lsf).to(excitation.dtype)
        a = torch.cat([a, a[..., -1:, :]], dim=-2)
        total = (a.shape[-2] + 1) * self.hop
        padded = torch.nn.functional.pad(
            excitation, (self.hop, total - self.hop - excitation.shape[-1])
        )
        frames = padded.unfold(-1, 2 * self.hop, self.hop)
        order = a.shape[-1]
        past = [torch.zeros_like(frames[..., 0])] * order
        outputs = []
        for t in range(2 * self.hop):
            recent = torch.stack(past[-order:][::-1], dim=-1)
            value = frames[..., t] - (a * recent).sum(dim=-1)
            outputs.append(value)
            past = [*past[1:], value]
        windowed = torch.stack(outputs, dim=-1) * torch.hann_window(
            2 * self.hop, dtype=excitation.dtype
        )
        columns = windowed.flatten(0, 1).transpose(1, 2)
        signal = torch.nn.functional.fold(
            columns, (1, total), (1, 2 * self.hop), stride=(1, self.hop)
        )
        lead = excitation.shape[:2]
        return signal.reshape(*lead, total)[..., self.hop : self.hop + excitation.shape[-1]]
