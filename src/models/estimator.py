"""The network that estimates voice parameters from a mixture and its F0s (paper Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from src.dsp.stft import frame_stft
from src.models.gru import SplitInputGRU
from src.models.source_filter import ControlSpec

# MIDI note numbers of 20 Hz and 8 kHz: F0 in this range is scaled to [0, 1].
_MIDI_20_HZ = 15.486821
_MIDI_8_KHZ = 119.213095


def normalise_f0(f0: Tensor) -> Tensor:
    """F0 in Hz to MIDI note number, scaled so that 20 Hz ... 8 kHz is [0, 1].

    Silent frames (0 Hz) count as MIDI note 0, which lies clearly below every voiced value.
    """
    midi = 69.0 + 12.0 * torch.log2(f0.clamp(min=1e-3) / 440.0)
    midi = torch.where(f0 > 0, midi, torch.zeros_like(f0))
    return (midi - _MIDI_20_HZ) / (_MIDI_8_KHZ - _MIDI_20_HZ)


def log_spectrogram(mixture: Tensor, *, n_fft: int, hop: int) -> Tensor:
    """Log-magnitude spectrogram, standardised over all bins and frames of each mixture.

    Args:
        mixture: [B, T].

    Returns:
        [B, N, F]; zero where the mixture is silent throughout.
    """
    magnitude = frame_stft(mixture, n_fft=n_fft, hop=hop).abs()
    log_magnitude = magnitude.clamp(min=1e-5).log().transpose(1, 2)
    mean = log_magnitude.mean(dim=(1, 2), keepdim=True)
    variance = log_magnitude.var(dim=(1, 2), keepdim=True, correction=0)
    return (log_magnitude - mean) / (variance + 1e-5).sqrt()


def _mlp(n_inputs: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in (n_inputs, width, width):
        layers += [nn.Linear(size, width), nn.LayerNorm(width), nn.LeakyReLU(inplace=True)]
    return nn.Sequential(*layers)


class MixtureEncoder(nn.Module):
    """Log spectrogram [B, N, F] to latent mixture [B, N, latent]."""

    def __init__(self, n_bins: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_bins))
        self.shift = nn.Parameter(torch.zeros(n_bins))
        self.gru1 = nn.GRU(n_bins, hidden, batch_first=True)
        self.gru2 = nn.GRU(hidden, hidden, batch_first=True)
        self.gru3 = nn.GRU(hidden, hidden, batch_first=True)
        self.project = nn.Linear(hidden, latent)

    def forward(self, spectrogram: Tensor) -> Tensor:
        x, _ = self.gru1(spectrogram * self.scale + self.shift)
        second, _ = self.gru2(x)
        third, _ = self.gru3(second)
        projected: Tensor = self.project(second + third)
        return projected


class SourceDecoder(nn.Module):
    """Latent mixture and one F0 track per source to one representation per source.

    What depends on the mixture alone (its MLP and its share of the recurrent layer's input) is
    computed once per mixture, not once per source.
    """

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.f0_mlp = _mlp(1, width)
        self.latent_mlp = _mlp(latent, width)
        self.gru = SplitInputGRU(width, width, width)
        self.output_mlp = _mlp(width, width)

    def forward(self, latent: Tensor, f0: Tensor) -> Tensor:
        """latent [B, N, latent] and normalised f0 [B, J, N] to [B, J, N, width]."""
        sources = self.f0_mlp(f0.unsqueeze(-1))
        decoded: Tensor = self.output_mlp(self.gru(sources, self.latent_mlp(latent)))
        return decoded


class ParameterEstimator(nn.Module):
    """Mixture and F0 tracks to the parameters that the voices declare.

    5.57 million weights at the default size; none depends on the number of sources J, which is free
    at every call.

    Args:
        controls: what the voice model declares (`SourceFilterVoice.controls`).
        n_fft: FFT size of the input spectrogram.
        hop: samples per frame.
        encoder_width: units of the encoder's recurrent layers.
        latent: size of the latent mixture.
        decoder_width: units of the decoder.
    """

    def __init__(
        self,
        controls: Sequence[ControlSpec],
        *,
        n_fft: int = 512,
        hop: int = 256,
        encoder_width: int = 256,
        latent: int = 128,
        decoder_width: int = 512,
    ) -> None:
        super().__init__()
        self.controls = tuple(controls)
        self.n_fft = n_fft
        self.hop = hop
        self.encoder = MixtureEncoder(n_fft // 2 + 1, encoder_width, latent)
        self.decoder = SourceDecoder(latent, decoder_width)
        self.frame_heads = nn.ModuleDict(
            {c.name: nn.Linear(decoder_width, c.size) for c in self.controls if c.per_frame}
        )
        self.excerpt_heads = nn.ModuleDict(
            {
                c.name: nn.GRU(decoder_width, c.size, batch_first=True)
                for c in self.controls
                if not c.per_frame
            }
        )

    def forward(self, mixture: Tensor, f0: Tensor) -> dict[str, Tensor]:
        """Estimate the parameters.

        Args:
            mixture: [B, T].
            f0: [B, J, N] Hz, 0 where silent, N = ceil(T / hop).

        Returns:
            By name, [B, J, N, size] per frame or [B, J, size] per excerpt.

        Raises:
            ValueError: batch or frames of mixture and F0 do not fit.
        """
        n_frames = -(-mixture.shape[-1] // self.hop)
        if f0.ndim != 3 or f0.shape[0] != mixture.shape[0] or f0.shape[-1] != n_frames:
            raise ValueError(
                f"f0 must be [B, J, N] = [{mixture.shape[0]}, J, {n_frames}] for a mixture of "
                f"{mixture.shape[-1]} samples, got {list(f0.shape)}"
            )
        latent = self.encoder(log_spectrogram(mixture, n_fft=self.n_fft, hop=self.hop))
        sources = self.decoder(latent, normalise_f0(f0))
        result: dict[str, Tensor] = {}
        for control in self.controls:
            if control.per_frame:
                logits = self.frame_heads[control.name](sources)
            else:
                logits = self._last_output(self.excerpt_heads[control.name], sources)
            result[control.name] = control.activate(logits)
        return result

    @staticmethod
    def _last_output(gru: nn.Module, sources: Tensor) -> Tensor:
        """Output of the last frame: [B, J, N, width] to [B, J, size]."""
        _, last = gru(sources.flatten(0, 1))
        summary: Tensor = last[0].unflatten(0, sources.shape[:2])
        return summary
