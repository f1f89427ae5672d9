"""Source-filter model of one voice plus a sparse NMF of everything else, and how to fit it.

Durrieu, David and Richard, "A musically motivated mid-level representation for pitch estimation and
musical audio source separation" (IEEE JSTSP 2011). A power spectrogram V [F, N] is modelled as

    V ~ (W_G H_G H_P) * (W_S H_S) + W_O H_O + floor

with fixed smooth atoms W_G, H_G that combines them to K filters, H_P that combines the filters in
every frame, fixed glottal spectra W_S, H_S that says which of them sound, and the rest W_O H_O.
`src.baselines.source_filter_nmf` sets it up from F0 tracks.

Spectrograms here are [Q, C, L, F]: Q problems, N = C L frames in blocks of L, and frequency last. A
block uses a handful of the pitches only, so that products run over these (`BlockFactor`); the
result is that of the full matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UmssError

DIVERGENCES = ("kl", "is")


def build_smooth_atoms(n_bins: int, n_atoms: int) -> Tensor:
    """Shifted Hann windows with 75 % overlap that add up to a constant over all bins (W_G).

    The first and the last atom are centred outside, so that the edges are covered like the middle.

    Returns:
        [F, P] float64, non-negative.

    Raises:
        ValueError: fewer than 4 atoms.
    """
    if n_atoms < 4:
        raise UmssError(f"n_atoms must be at least 4, got {n_atoms}")
    step = max(n_bins - 1, 1) / (n_atoms - 3)
    centres = step * (torch.arange(n_atoms, dtype=torch.float64) - 1.0)
    distance = (torch.arange(n_bins, dtype=torch.float64).unsqueeze(1) - centres) / (2.0 * step)
    return torch.where(distance.abs() < 1.0, 0.5 + 0.5 * torch.cos(math.pi * distance), 0.0)


@dataclass
class BlockFactor:
    """A product of templates and activations that are zero but for a few templates per block.

    Attributes:
        rows: [Q, C, A] int64, the templates that block c of problem q uses.
        activations: [Q, C, A, L], of these templates in the L frames of the block.
    """

    rows: Tensor
    activations: Tensor

    @classmethod
    def of(cls, activations: Tensor, block: int) -> BlockFactor:
        """From activations [Q, R, N], N a multiple of `block`."""
        blocks = activations.unflatten(-1, (-1, block)).transpose(1, 2)
        used = (blocks > 0).any(dim=-1)
        n_used = max(int(used.sum(dim=-1).max()), 1)
        # The rows that fill up a block with few pitches have activations 0, and these remain 0.
        rows = torch.argsort((~used).byte(), dim=-1, stable=True)[..., :n_used]
        return cls(
            rows, blocks.gather(2, rows.unsqueeze(-1).expand(-1, -1, -1, block)).contiguous()
        )

    def pick(self, templates: Tensor) -> Tensor:
        """Rows of templates [Q, R, F] as [Q, C, A, F]."""
        problem = torch.arange(len(self.rows), device=self.rows.device)[:, None, None]
        return templates[problem, self.rows]

    def collect(self, picked: Tensor, n_rows: int) -> Tensor:
        """Sum what belongs to the same template: [Q, C, A, F] to [Q, R, F]."""
        total = picked.new_zeros(len(picked), n_rows, picked.shape[-1])
        flat = self.rows.flatten(1).unsqueeze(-1).expand(-1, -1, picked.shape[-1])
        return total.scatter_add_(1, flat, picked.flatten(1, 2))


@dataclass
class SourceFilterModel:
    """Factors of Q problems of C blocks of L frames; changed in place by `fit`.

    Attributes:
        atoms: [F, P], W_G, fixed.
        filters: [Q, K, P], H_G transposed; columns sum to 1 after the first update.
        gains: [Q, C, L, K], H_P.
        glottal: [Q, C, A, F], the rows of W_S transposed that each block uses, fixed.
        source: H_S.
        templates: [Q, R, F], W_O transposed.
        others: H_O.
        floor: constant power in every bin, which keeps the model positive where no part of it is.
    """

    atoms: Tensor
    filters: Tensor
    gains: Tensor
    glottal: Tensor
    source: BlockFactor
    templates: Tensor
    others: BlockFactor
    floor: float

    def compute_filter_power(self) -> Tensor:
        """W_G H_G H_P: [Q, C, L, F]."""
        shapes = self.filters @ self.atoms.mT
        return torch.matmul(self.gains, shapes.unsqueeze(1))

    def compute_source_power(self) -> Tensor:
        """W_S H_S: [Q, C, L, F]."""
        return self.source.activations.mT @ self.glottal

    def compute_other_power(self) -> Tensor:
        """W_O H_O: [Q, C, L, F]."""
        return self.others.activations.mT @ self.others.pick(self.templates)

    def compute_target_power(self) -> Tensor:
        """Power of the target singer: [Q, C, L, F]."""
        return self.compute_filter_power() * self.compute_source_power()


def compute_divergence(power: Tensor, model: Tensor, kind: str) -> Tensor:
    """Kullback-Leibler or Itakura-Saito divergence of each problem, up to a constant.

    Terms that depend on `power` alone and are infinite in silent bins are left out.

    Shape:
        - power, model: [Q, C, L, F], `model` positive
        - output: [Q]
    """
    if kind == "kl":
        cost = torch.xlogy(power, power) - power * model.log() - power + model
    else:
        cost = power / model + model.log()
    return cost.flatten(1).sum(dim=1)


def fit(
    power: Tensor,
    model: SourceFilterModel,
    n_iterations: int,
    *,
    kind: str = "kl",
    watch: Callable[[SourceFilterModel], None] | None = None,
) -> SourceFilterModel:
    """Fit by multiplicative updates; the divergence never grows, and zeros remain zeros.

    One iteration updates, in Durrieu's order, H_S, H_P, H_G, H_O and W_O. Each is a step of
    majorisation-minimisation (Févotte and Idier, 2011): the exponent is 1 for Kullback-Leibler and
    1/2 for Itakura-Saito.

    Args:
        power: [Q, C, L, F], non-negative.
        model: start; its tensors are replaced.
        kind: "kl" or "is".
        watch: called after every iteration.

    Raises:
        ValueError: unknown divergence.
    """
    if kind not in DIVERGENCES:
        raise UmssError(f"divergence must be one of {', '.join(DIVERGENCES)}; got {kind!r}")
    tiny = torch.finfo(power.dtype).tiny
    phi, source, rest = (
        model.compute_filter_power(),
        model.compute_source_power(),
        model.compute_other_power(),
    )
    rest += model.floor
    above, below = torch.empty_like(power), torch.empty_like(power)

    def weigh() -> None:
        """Numerator and denominator weights of all updates: V / X and 1, or V / X^2 and 1 / X."""
        torch.addcmul(rest, phi, source, out=below)
        if kind == "kl":
            torch.div(power, below, out=above)
        else:
            below.reciprocal_()
            torch.mul(power, below, out=above).mul_(below)

    def divide(numerator: Tensor, denominator: Tensor) -> Tensor:
        quotient = numerator.div_(denominator.clamp(min=tiny))
        return quotient if kind == "kl" else quotient.sqrt_()

    def weigh_both(factor: Tensor) -> tuple[Tensor, Tensor]:
        """Weights times `factor`; overwrites the weights."""
        return above.mul_(factor), factor if kind == "kl" else below.mul_(factor)

    for _ in range(n_iterations):
        weigh()
        up, down = weigh_both(phi)
        model.source.activations *= divide(model.glottal @ up.mT, model.glottal @ down.mT)
        torch.matmul(model.source.activations.mT, model.glottal, out=source)

        weigh()
        up, down = weigh_both(source)
        shapes = (model.filters @ model.atoms.mT).unsqueeze(1)
        model.gains *= divide(up @ shapes.mT, down @ shapes.mT)
        torch.matmul(model.gains, shapes, out=phi)

        weigh()
        up, down = weigh_both(source)
        gains = model.gains.flatten(1, 2).mT
        model.filters *= divide(
            (gains @ up.flatten(1, 2)) @ model.atoms, (gains @ down.flatten(1, 2)) @ model.atoms
        )
        scale = model.filters.sum(dim=-1).clamp(min=tiny)
        model.filters /= scale.unsqueeze(-1)
        model.gains *= scale[:, None, None]
        torch.matmul(model.gains, (model.filters @ model.atoms.mT).unsqueeze(1), out=phi)

        weigh()
        picked = model.others.pick(model.templates)
        lower = picked.sum(dim=-1, keepdim=True) if kind == "kl" else picked @ below.mT
        model.others.activations *= divide(picked @ above.mT, lower)
        torch.matmul(model.others.activations.mT, picked, out=rest)
        rest += model.floor

        weigh()
        played = model.others.activations
        n_rows = model.templates.shape[1]
        lower = played.sum(dim=-1, keepdim=True) if kind == "kl" else played @ below
        model.templates *= divide(
            model.others.collect(played @ above, n_rows), model.others.collect(lower, n_rows)
        )
        torch.matmul(model.others.activations.mT, model.others.pick(model.templates), out=rest)
        rest += model.floor
        if watch is not None:
            watch(model)
    return model
