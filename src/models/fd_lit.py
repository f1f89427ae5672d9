"""Training of the fully differentiable model.

The source-filter model of `src.models.lit`, whose F0s come from networks inside it
(`src.models.salience_f0`) instead of from outside. See docs/fd.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ..dsp.spectral_loss import FFT_SIZES
from ..errors import UmssError
from .fd_model import sing_found
from .lit import Batch, UnsupervisedTraining
from .loading import load_model
from .salience_f0 import SalienceF0, VoiceF0, compute_f0_losses

F0_WEIGHTS = {"salience": 1e4, "range": 1e5, "commitment": 1e4}
# Files that only the start of a training reads; a checkpoint holds what came of them.
_FILES = ("late_deep", "voas")


class FdTraining(UnsupervisedTraining):
    """Unsupervised training of separation and F0 together: nothing but mixtures is needed.

    Loss: reconstruction of the mixture (as in US) plus the weighted losses of
    `src.models.salience_f0.compute_f0_losses`. Validation counts the reconstruction alone, so that
    its curve compares with that of US. Batches are those of `SourceFilterTraining`; of their `f0`
    only the number of singers is read.

    Args:
        salience: keyword arguments of `SalienceF0`, plain numbers, strings and dictionaries.
        f0_weights: weights of the losses "salience", "range" and "commitment".
        f0_lr: factor on the learning rate for the F0 networks.
        f0_gradient: factor on the gradient of the reconstruction with respect to F0. Unscaled it
            was several times as large as that of the other F0 losses at the start of a training:
            F0 acts on the phase of all that follows.
        warm_start: checkpoint of a source-filter model (`experiment=us_small`) whose estimator the
            training starts from; of the same `voice` and `estimator`.
        voice, estimator, lr, weight_decay, lr_decay, lr_decay_epochs, fft_sizes, mask_weight: see
            `SourceFilterTraining`.

    Raises:
        ValueError: missing or wrong weights, unknown names of losses, or a `warm_start` that does
            not fit.
    """

    def __init__(
        self,
        *,
        salience: dict[str, Any] | None = None,
        f0_weights: Mapping[str, float] | None = None,
        f0_lr: float = 1.0,
        f0_gradient: float = 0.1,
        warm_start: str | Path | None = None,
        voice: dict[str, Any] | None = None,
        estimator: dict[str, Any] | None = None,
        lr: float = 1e-4,
        weight_decay: float = 1e-5,
        lr_decay: float = 0.98,
        lr_decay_epochs: int = 200,
        fft_sizes: Sequence[int] = FFT_SIZES,
        mask_weight: float = 0.0,
    ) -> None:
        super().__init__(
            voice=voice,
            estimator=estimator,
            lr=lr,
            weight_decay=weight_decay,
            lr_decay=lr_decay,
            lr_decay_epochs=lr_decay_epochs,
            fft_sizes=fft_sizes,
            mask_weight=mask_weight,
        )
        given = dict(F0_WEIGHTS if f0_weights is None else f0_weights)
        if set(given) != set(F0_WEIGHTS):
            raise UmssError(f"f0_weights must name {', '.join(F0_WEIGHTS)}; got {', '.join(given)}")
        self.f0_weights = given
        self.f0_gradient = f0_gradient
        self.salience = SalienceF0(**(salience or {}))
        if warm_start is not None:
            self._start_from(warm_start)
        # A checkpoint must load where these files do not lie.
        self.hparams["salience"] = {
            key: None if key in _FILES else value for key, value in (salience or {}).items()
        }
        self.hparams["warm_start"] = None

    def _start_from(self, path: str | Path) -> None:
        trained = load_model(path)
        try:
            self.estimator.load_state_dict(trained.estimator.state_dict())
        except RuntimeError as error:
            raise UmssError(
                f"model.warm_start={path}: its estimator has another size ({error}); set "
                "model.voice and model.estimator as it was trained with"
            ) from error

    def forward(
        self, mixture: Tensor, f0: Tensor, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Synthesised sources [B, J, T] and their parameters by name, with their F0s.

        Args:
            mixture: [B, T].
            f0: [B, J, N]; only J is read.
            seed: [B].
        """
        return self.synthesise(mixture, self.salience(mixture, f0.shape[1]), seed)

    def synthesise(
        self, mixture: Tensor, found: VoiceF0, seed: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `src.models.fd_model.sing_found`."""
        return sing_found(
            self.voice, self.estimator, mixture, found, seed, f0_gradient=self.f0_gradient
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """All losses by name, unweighted."""
        found = self.salience(batch["mixture"], batch["f0"].shape[1])
        sources, _ = self.synthesise(batch["mixture"], found, batch["seed"])
        reconstruction = self.loss(sources, batch)
        return {"reconstruction": reconstruction, **compute_f0_losses(found, self.salience.mask)}

    def _step(self, batch: Batch) -> Tensor:
        losses = self.losses(batch)
        if self._trainer is not None:
            stage = "train" if self.training else "val"
            for name, value in losses.items():
                self.log(
                    f"{stage}/{name}",
                    value.detach(),
                    on_step=False,
                    on_epoch=True,
                    sync_dist=True,
                    batch_size=len(batch["mixture"]),
                )
        total = losses["reconstruction"]
        if self.training:
            for name, weight in self.f0_weights.items():
                total = total + weight * losses[name]
        return total

    def on_fit_start(self) -> None:
        # The batch normalisations of the F0 networks keep their statistics on purpose.
        warnings.filterwarnings("ignore", message="Found .* in eval mode at the start of training")

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the F0 networks and the rest each by its own norm.

        Spikes of the one then do not shrink the step of the other.
        """
        if not gradient_clip_val or gradient_clip_algorithm == "value":
            super().configure_gradient_clipping(
                optimizer, gradient_clip_val, gradient_clip_algorithm
            )
            return
        for part in (self.salience, self.estimator):
            clip_grad_norm_(part.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        h = self.hparams
        groups = [
            {"params": list(self.estimator.parameters()), "factor": 1.0},
            {
                "params": [p for p in self.salience.parameters() if p.requires_grad],
                "factor": h["f0_lr"],
            },
        ]
        return torch.optim.Adam(
            [group for group in groups if group["params"]],
            lr=h["lr"],
            weight_decay=h["weight_decay"],
            fused=self.device.type == "cuda",
        )

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        for group in optimizer.param_groups:
            group["lr"] *= group["factor"]
