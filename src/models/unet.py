"""The F0-conditioned U-Net of Petermann et al. (ISMIR 2020), the paper's supervised baseline.

A convolutional encoder and decoder with skip connections turns the magnitude spectrogram of a
mixture into a mask for one target voice. A small network reads the target's F0 track and computes,
for every frame, the scale and shift (FiLM) that tell the U-Net which voice is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..dsp.stft import istft, stft
from ..dsp.tracks import resample_f0
from ..errors import UmssError
from ..ranges import check_number, check_whole
from .unet_control import ControlNetwork, Modulation, ReleasedControl

_KERNEL = 5
_DROPOUT_LAYERS = 3


def drop_channels(x: Tensor, draws: Tensor, rate: float) -> Tensor:
    """Dropout of whole feature maps with given random numbers.

    Args:
        x: [B, C, F, N].
        draws: [B, at least C], uniform in [-1, 1).
        rate: share of the feature maps that become zero; the others grow by 1 / (1 - rate).
    """
    kept = draws[:, : x.shape[1], None, None] >= 2.0 * rate - 1.0
    return x * (kept.to(x.dtype) / (1.0 - rate))


class ConditionedUnet(nn.Module):
    """Mixture magnitudes and the F0 track of one voice to the mask of that voice.

    Encoder: convolutions of 5 x 5 with stride 2, batch normalisation, leaky ReLU.
    Decoder: transposed convolutions, batch normalisation, ReLU, dropout of feature maps in the
    first three layers, the encoder's features beside the decoder's. Any number of bins and frames
    works: every layer halves, rounding up, and the decoder returns to the same sizes.

    Args:
        n_fft: FFT size of the spectrograms, samples.
        hop: their hop and that of F0, samples.
        channels: feature maps of the encoder's layers.
        control_channels: widths of the control network.
        film: where the control acts: on the "input" (scale and shift per bin and frame, as in the
            code published with the UMSS paper), in every layer of the "encoder" (per feature map
            and frame, after batch normalisation), or "both".
        control: "normalised" (`ControlNetwork`, scale about 1) or "released" (`ReleasedControl`,
            scale and shift without a start near the identity).
        leak: slope of the encoder's leaky ReLU below 0. The released code has 1 by a slip, which
            leaves the encoder linear apart from batch normalisation.
        dropout: share of feature maps dropped in training.

    Raises:
        ValueError: unknown `film` or `control`, no channels, or a dropout outside of [0, 1).
    """

    def __init__(
        self,
        *,
        n_fft: int = 1024,
        hop: int = 256,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        control_channels: Sequence[int] = (16, 64, 256),
        film: str = "input",
        control: str = "normalised",
        leak: float = 0.2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if control not in ("normalised", "released"):
            raise UmssError(f"model.unet.control must be normalised or released; got {control!r}")
        check_number("model.unet.leak", leak, 0.0, 1.0)
        if film not in ("input", "encoder", "both"):
            raise UmssError(f"model.unet.film must be input, encoder or both; got {film!r}")
        check_whole("model.unet.n_fft", n_fft, 16, 2**20)
        check_whole("model.unet.hop", hop, 1, 2**20)
        for name, widths in (("channels", channels), ("control_channels", control_channels)):
            if isinstance(widths, str) or len(widths) > 32:
                raise UmssError(f"model.unet.{name}={widths!r}: give a list of up to 32 numbers")
            for width in widths:
                check_whole(f"model.unet.{name}", width, 1, 65_536)
        if not channels or not control_channels:
            raise UmssError("model.unet: channels and control_channels need at least one number")
        if not 0.0 <= dropout < 1.0:
            raise UmssError(f"model.unet.dropout must be at least 0 and below 1; got {dropout}")
        self.n_fft = n_fft
        self.hop = hop
        self.leak = leak
        self.dropout = dropout
        widths = [1, *channels]
        self.encoder = nn.ModuleList(
            nn.Conv2d(n_in, n_out, _KERNEL, stride=2, padding=_KERNEL // 2)
            for n_in, n_out in zip(widths, channels, strict=False)
        )
        self.encoder_norms = nn.ModuleList(nn.BatchNorm2d(n) for n in channels)
        # Every layer but the first reads the skip connection beside the layer before it.
        outputs = widths[-2::-1]
        inputs = [channels[-1], *(2 * n for n in outputs)]
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(n_in, n_out, _KERNEL, stride=2, padding=_KERNEL // 2)
            for n_in, n_out in zip(inputs, outputs, strict=False)
        )
        self.decoder_norms = nn.ModuleList(nn.BatchNorm2d(n) for n in outputs[:-1])
        self._dropped = outputs[:-1][:_DROPOUT_LAYERS]
        released = control == "released"
        self.control = (ReleasedControl if released else ControlNetwork)(control_channels)

        def build_film(rows: int) -> Modulation:
            return Modulation(control_channels[-1], rows, around_one=not released)

        self.input_film = build_film(n_fft // 2 + 1) if film != "encoder" else None
        self.encoder_film = nn.ModuleList(map(build_film, channels)) if film != "input" else None
        # Feature maps side by side in memory: what the CPU's bfloat16 convolutions are fast on.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def compute_spectrum(self, signal: Tensor) -> Tensor:
        """Complex STFT [..., F, N] of signals [..., T]."""
        return stft(signal, n_fft=self.n_fft, hop=self.hop)

    def estimate_masks(self, magnitudes: Tensor, f0: Tensor) -> Tensor:
        """One mask per voice, each estimated for itself; they need not sum to one.

        Shape:
            - magnitudes: [B, F, N] of the mixtures
            - f0: [B, J, frames] Hz
            - output: [B, J, F, N], 0 to 1
        """
        n_sources = f0.shape[1]
        repeated = magnitudes.repeat_interleave(n_sources, dim=0)
        masks: Tensor = self(repeated, extend_f0(f0.flatten(0, 1), magnitudes.shape[-1]))
        return masks.unflatten(0, (len(f0), n_sources))

    def filter(self, mixture: Tensor, f0: Tensor) -> Tensor:
        """Mixtures [B, T] through the mask of every voice: [B, J, T]."""
        spectrum = self.compute_spectrum(mixture)
        filtered = self.estimate_masks(spectrum.abs(), f0) * spectrum.unsqueeze(1)
        return istft(filtered, mixture.shape[-1], n_fft=self.n_fft, hop=self.hop)

    @property
    def n_draws(self) -> tuple[int, int]:
        """Layers with dropout, and the most feature maps that one of them has."""
        return len(self._dropped), max(self._dropped, default=0)

    def forward(self, magnitudes: Tensor, f0: Tensor, draws: Tensor | None = None) -> Tensor:
        """Estimate masks.

        Args:
            magnitudes: [B, F, N] of the mixtures; their level does not matter.
            f0: [B, N] of the targets in Hz, 0 where silent.
            draws: [B, layers, maps] (see `n_draws`), random numbers in [-1, 1) for dropout; without
                them nothing is dropped.

        Returns:
            [B, F, N] float32, 0 to 1.

        Raises:
            ValueError: shapes that do not fit.
        """
        expected = [len(f0), self.n_fft // 2 + 1, f0.shape[-1]]
        if f0.ndim != 2 or list(magnitudes.shape) != expected:
            raise UmssError(
                f"magnitudes must be [B, F, N] with F = {self.n_fft // 2 + 1} and f0 [B, N]; "
                f"got {list(magnitudes.shape)} and {list(f0.shape)}"
            )
        control = self.control(f0)
        peak = magnitudes.amax(dim=(1, 2), keepdim=True)
        x = magnitudes / peak.masked_fill(peak == 0, 1.0)
        if self.input_film is not None:
            scale, shift = self.input_film(control)
            x = x * scale + shift
        x = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        sizes, skips = [x.shape[-2:]], []
        for layer, (convolve, norm) in enumerate(
            zip(self.encoder, self.encoder_norms, strict=True)
        ):
            x = norm(convolve(x))
            if self.encoder_film is not None:
                # A layer's frame m is centred on frame 2 m of the layer before.
                control = control[..., ::2]
                scale, shift = self.encoder_film[layer](control)
                x = x * scale.unsqueeze(2) + shift.unsqueeze(2)
            x = nn.functional.leaky_relu(x, self.leak)
            skips.append(x)
            sizes.append(x.shape[-2:])
        return self._decode(skips, sizes, draws)

    def _decode(self, skips: list[Tensor], sizes: list[torch.Size], draws: Tensor | None) -> Tensor:
        x = skips[-1]
        for layer, deconvolve in enumerate(self.decoder):
            if layer:
                x = torch.cat([x, skips[-1 - layer]], dim=1)
            x = deconvolve(x, output_size=sizes[-2 - layer])
            if layer < len(self.decoder_norms):
                x = torch.relu(self.decoder_norms[layer](x))
                if draws is not None and layer < _DROPOUT_LAYERS:
                    x = drop_channels(x, draws[:, layer], self.dropout)
        return torch.sigmoid(x.squeeze(1).float())


def extend_f0(f0: Tensor, n_frames: int) -> Tensor:
    """F0 [..., N] for the frames of the centred STFT, which may have one more; it repeats the last.

    Raises:
        ValueError: a number of frames that belongs to another recording.
    """
    if f0.shape[-1] not in (n_frames, n_frames - 1):
        raise UmssError(
            f"f0 must have {n_frames - 1} or {n_frames} frames for a spectrogram of {n_frames}, "
            f"got {f0.shape[-1]}"
        )
    return resample_f0(f0, n_frames)
