"""The differentiable source-filter voice (paper section III-A)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..dsp.allpole import allpole_ola
from ..dsp.control import exponential_sigmoid, upsample
from ..dsp.harmonic import harmonic_source
from ..dsp.lattice import allpole_lattice
from ..dsp.lpc import lpc_to_reflection, lsf_from_increments, lsf_to_lpc, reflection_to_lpc
from ..dsp.noise import (
    fir_filter,
    frequency_sampled_fir,
    rolloff_fir,
    uniform_noise,
    varying_fir_filter,
)
from ..errors import UmssError
from ..ranges import check_number, check_whole

# Controls that the noise alone hears.
NOISE_CONTROLS = ("noise_gain", "noise_magnitudes")


@dataclass(frozen=True)
class ControlSpec:
    """One parameter that a voice needs from outside.

    Attributes:
        name: key of the parameter.
        size: values per frame, or per excerpt.
        per_frame: whether the parameter changes from frame to frame.
        maximum: upper bound of its exponential sigmoid; None for tanh (reflection coefficients).
        slope: factor on the logits before the sigmoid.
    """

    name: str
    size: int
    per_frame: bool
    maximum: float | None
    slope: float = 1.0

    def activate(self, logits: Tensor) -> Tensor:
        """Network outputs to parameter values."""
        if self.maximum is None:
            # Kept off 1, to which tanh rounds far out: there the filter stops being stable.
            return (1.0 - 1e-6) * torch.tanh(logits.double())
        return exponential_sigmoid(logits, maximum=self.maximum, slope=self.slope)


class SourceFilterVoice(nn.Module):
    """Harmonics plus noise through an all-pole filter: J voices of B mixtures at once.

    Holds no learned weights. What it must be given besides F0 stands in `controls`.

    Args:
        rate: sample rate in Hz.
        hop: samples per frame.
        order: K, order of the all-pole filter.
        n_noise_magnitudes: L, samples of the noise filter's magnitude response.
        max_harmonics: upper bound on the number of harmonics.
        f0_edges: F0 between voiced and silent frames, "hold" or "glide" (the paper), see
            `src.dsp.harmonic.interpolate_f0`.
        minimum_gap: least distance of neighbouring line spectral frequencies, as a fraction of
            their mean distance. 0 is the paper; the default keeps resonances from blowing up
            early in training.
        parameterisation: "lsf" (the paper) or "reflection" (its alternative).
        filtering: "ola" (the paper: frames from zero state, `src.dsp.allpole`) or "samplewise" (one
            recursion with reflection coefficients interpolated to samples, `src.dsp.lattice`).
            Getting those from line spectral frequencies loses digits for the sharpest filters: keep
            `minimum_gap` above zero with "samplewise".
        harmonic_filter: r(t) of the paper: "fixed" (its experiments: flat, then -6 dB per octave),
            or `n_harmonic_magnitudes` magnitudes from outside, "constant" over an excerpt or
            "varying" from frame to frame (the options of section III-B).
        n_harmonic_magnitudes: samples of its magnitude response, if it is not fixed.
        noise_filter: d(t) of the paper, "constant" over an excerpt (its experiments) or "varying".

    Attributes:
        settings: these arguments by name.

    Raises:
        UmssError: an option that there is not, or a number out of range.
    """

    rolloff: Tensor

    def __init__(
        self,
        *,
        rate: int = 16_000,
        hop: int = 256,
        order: int = 20,
        n_noise_magnitudes: int = 40,
        max_harmonics: int = 101,
        f0_edges: str = "hold",
        minimum_gap: float = 0.1,
        parameterisation: str = "lsf",
        filtering: str = "ola",
        harmonic_filter: str = "fixed",
        n_harmonic_magnitudes: int = 65,
        noise_filter: str = "constant",
    ) -> None:
        super().__init__()
        if parameterisation not in ("lsf", "reflection"):
            raise UmssError(
                f"parameterisation must be 'lsf' or 'reflection', got {parameterisation!r}"
            )
        if filtering not in ("ola", "samplewise"):
            raise UmssError(f"filtering must be 'ola' or 'samplewise', got {filtering!r}")
        if f0_edges not in ("hold", "glide"):
            raise UmssError(f"f0_edges must be 'hold' or 'glide', got {f0_edges!r}")
        if harmonic_filter not in ("fixed", "constant", "varying"):
            raise UmssError(
                f"harmonic_filter must be 'fixed', 'constant' or 'varying', got {harmonic_filter!r}"
            )
        if noise_filter not in ("constant", "varying"):
            raise UmssError(f"noise_filter must be 'constant' or 'varying', got {noise_filter!r}")
        check_whole("rate", rate, 1000, 400_000)
        check_whole("hop", hop, 1, 65_536)
        check_whole("order", order, 1, 1000)
        check_whole("n_noise_magnitudes", n_noise_magnitudes, 2, 10_000)
        check_whole("n_harmonic_magnitudes", n_harmonic_magnitudes, 2, 10_000)
        check_whole("max_harmonics", max_harmonics, 1, 10_000)
        check_number("minimum_gap", minimum_gap, 0.0, 1.0)
        self.settings: dict[str, Any] = {
            "rate": rate,
            "hop": hop,
            "order": order,
            "n_noise_magnitudes": n_noise_magnitudes,
            "max_harmonics": max_harmonics,
            "f0_edges": f0_edges,
            "minimum_gap": minimum_gap,
            "parameterisation": parameterisation,
            "filtering": filtering,
            "harmonic_filter": harmonic_filter,
            "n_harmonic_magnitudes": n_harmonic_magnitudes,
            "noise_filter": noise_filter,
        }
        self.rate = rate
        self.hop = hop
        self.max_harmonics = max_harmonics
        self.f0_edges = f0_edges
        self.minimum_gap = minimum_gap
        self.parameterisation = parameterisation
        self.filtering = filtering
        self.harmonic_filter = harmonic_filter
        if parameterisation == "lsf":
            envelope = ControlSpec("lsf_increments", order + 1, True, maximum=2.0)
        else:
            envelope = ControlSpec("reflection", order, True, maximum=None)
        self.controls: tuple[ControlSpec, ...] = (
            ControlSpec("harmonic_amplitude", 1, True, maximum=2.0),
            ControlSpec("noise_gain", 1, True, maximum=1.0),
            envelope,
            _describe_filter("noise_magnitudes", n_noise_magnitudes, noise_filter),
        )
        if harmonic_filter != "fixed":
            self.controls += (
                _describe_filter("harmonic_magnitudes", n_harmonic_magnitudes, harmonic_filter),
            )
        self.register_buffer("rolloff", rolloff_fir(rate=rate), persistent=False)

    def forward(
        self, f0: Tensor, controls: Mapping[str, Tensor], seed: Tensor, n_samples: int
    ) -> Tensor:
        """Synthesise the voices.

        Args:
            f0: [B, J, N] Hz, 0 where silent.
            controls: values by name, [B, J, N, size] per frame or [B, J, size] per excerpt.
            seed: [B] int64, seeds of the noise.
            n_samples: T, with N = ceil(T / hop).

        Returns:
            [B, J, T] float32.
        """
        return self.filter(self.build_excitation(f0, controls, seed, n_samples), controls)

    def build_excitation(
        self, f0: Tensor, controls: Mapping[str, Tensor], seed: Tensor, n_samples: int
    ) -> Tensor:
        """Harmonics through the roll-off filter plus gained, filtered noise (paper eq. 4)."""
        harmonics = harmonic_source(
            f0,
            controls["harmonic_amplitude"].squeeze(-1),
            n_samples=n_samples,
            hop=self.hop,
            rate=self.rate,
            max_harmonics=self.max_harmonics,
            edges=self.f0_edges,
        )
        if self.harmonic_filter != "fixed":
            harmonics = self._shape(harmonics, controls["harmonic_magnitudes"])
        else:
            harmonics = fir_filter(harmonics, self.rolloff)
        noise = uniform_noise(seed, f0.shape[1], n_samples).to(harmonics.dtype)
        noise = self._shape(noise, controls["noise_magnitudes"])
        gain = upsample(controls["noise_gain"].squeeze(-1), hop=self.hop, n_samples=n_samples)
        return harmonics + gain * noise

    def _shape(self, signal: Tensor, magnitudes: Tensor) -> Tensor:
        """Filter [B, J, T] by magnitudes [B, J, L] of the excerpt, or [B, J, N, L] per frame."""
        taps = frequency_sampled_fir(magnitudes)
        if taps.ndim > signal.ndim:
            return varying_fir_filter(signal, taps, hop=self.hop)
        return fir_filter(signal, taps)

    def filter(self, excitation: Tensor, controls: Mapping[str, Tensor]) -> Tensor:
        """Apply the time-varying all-pole filter (paper eq. 2, 3)."""
        if self.parameterisation == "lsf":
            lsf = lsf_from_increments(controls["lsf_increments"], minimum_gap=self.minimum_gap)
            coefficients = lsf_to_lpc(lsf)
            if self.filtering == "ola":
                return allpole_ola(excitation, coefficients, hop=self.hop)
            return allpole_lattice(excitation, lpc_to_reflection(coefficients), hop=self.hop)
        reflection = controls["reflection"]
        if self.filtering == "ola":
            return allpole_ola(excitation, reflection_to_lpc(reflection), hop=self.hop)
        return allpole_lattice(excitation, reflection, hop=self.hop)


def _describe_filter(name: str, size: int, kind: str) -> ControlSpec:
    """The magnitudes of a filter, with the activation of the reference."""
    return ControlSpec(name, size, kind == "varying", maximum=2.0, slope=2.5)
