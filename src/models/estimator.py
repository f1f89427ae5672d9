"""The network that estimates voice parameters from a mixture and its F0s (paper Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..dsp.stft import frame_stft
from ..errors import UmssError
from ..ranges import check_whole
from .gru import SequenceGRU, SplitInputGRU
from .mlp import NormalisedMLP
from .source_filter import ControlSpec

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


def compute_log_spectrogram(mixture: Tensor, *, n_fft: int, hop: int) -> Tensor:
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


class MixtureEncoder(nn.Module):
    """Log spectrogram [N, B, F] to latent mixture [N, B, latent]."""

    def __init__(self, n_bins: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_bins))
        self.shift = nn.Parameter(torch.zeros(n_bins))
        self.gru1 = SequenceGRU(n_bins, hidden)
        self.gru2 = SequenceGRU(hidden, hidden)
        self.gru3 = SequenceGRU(hidden, hidden)
        self.project = nn.Linear(hidden, latent)

    def forward(self, spectrogram: Tensor) -> Tensor:
        second = self.gru2(self.gru1(spectrogram * self.scale + self.shift))
        projected: Tensor = self.project(second + self.gru3(second))
        return projected


class SourceDecoder(nn.Module):
    """Latent mixture and one F0 track per source to one representation per source.

    Time is the first dimension, as the recurrent layers want it: no large tensor is transposed.
    What depends on the mixture alone (its MLP and its share of the recurrent layer's input) is
    computed once per mixture, not once per source.
    """

    def __init__(self, latent: int, width: int, *, recompute: bool = False) -> None:
        super().__init__()
        self.recompute = recompute
        self.f0_mlp = NormalisedMLP(1, width)
        self.latent_mlp = NormalisedMLP(latent, width)
        self.gru = SplitInputGRU(width, width, width)
        self.output_mlp = NormalisedMLP(width, width)

    def forward(self, latent: Tensor, f0: Tensor) -> Tensor:
        """latent [N, B, latent] and normalised f0 [N, B, J] to [N, B, J, width]."""
        sources = self._run(self.f0_mlp, f0.unsqueeze(-1))
        sources = self._run(self.gru, sources, self._run(self.latent_mlp, latent))
        return self._run(self.output_mlp, sources)

    def _run(self, layers: nn.Module, *inputs: Tensor) -> Tensor:
        """Apply layers; with `recompute`, keep only what went in for the backward pass."""
        outputs: Tensor
        if self.recompute and torch.is_grad_enabled():
            outputs = checkpoint(layers, *inputs, use_reentrant=False, preserve_rng_state=False)
        else:
            outputs = layers(*inputs)
        return outputs


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
        recompute: compute the decoder's inner values again in the backward pass instead of keeping
            them (activation checkpointing): less memory per source, a longer step.

    Raises:
        UmssError: a size out of range.
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
        recompute: bool = False,
    ) -> None:
        super().__init__()
        check_whole("n_fft", n_fft, 16, 2**20)
        check_whole("hop", hop, 1, n_fft)
        for name, width in (
            ("encoder_width", encoder_width),
            ("latent", latent),
            ("decoder_width", decoder_width),
        ):
            check_whole(name, width, 1, 65_536)
        self.controls = tuple(controls)
        self.n_fft = n_fft
        self.hop = hop
        self.encoder = MixtureEncoder(n_fft // 2 + 1, encoder_width, latent)
        self.decoder = SourceDecoder(latent, decoder_width, recompute=recompute)
        self.frame_heads = nn.ModuleDict(
            {c.name: nn.Linear(decoder_width, c.size) for c in self.controls if c.per_frame}
        )
        self.excerpt_heads = nn.ModuleDict(
            {c.name: SequenceGRU(decoder_width, c.size) for c in self.controls if not c.per_frame}
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
            raise UmssError(
                f"f0 must be [B, J, N] = [{mixture.shape[0]}, J, {n_frames}] for a mixture of "
                f"{mixture.shape[-1]} samples, got {list(f0.shape)}"
            )
        spectrogram = compute_log_spectrogram(mixture, n_fft=self.n_fft, hop=self.hop)
        latent = self.encoder(spectrogram.transpose(0, 1).contiguous())
        sources = self.decoder(latent, normalise_f0(f0).permute(2, 0, 1).contiguous())
        result: dict[str, Tensor] = {}
        for control in self.controls:
            if control.per_frame:
                logits = self.frame_heads[control.name](sources).permute(1, 2, 0, 3)
            else:
                logits = self._take_last(self.excerpt_heads[control.name], sources)
            result[control.name] = control.activate(logits)
        return result

    @staticmethod
    def _take_last(gru: nn.Module, sources: Tensor) -> Tensor:
        """Output of the last frame: [N, B, J, width] to [B, J, size]."""
        summary: Tensor = gru(sources.flatten(1, 2))[-1].unflatten(0, sources.shape[1:3])
        return summary
