"""Training modules: they learn, take any number of singers, and notice when a run diverges."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from src.dsp.separation_loss import separation_loss
from src.dsp.stft import soft_masks, stft
from src.errors import TrainingDivergedError, UmssError
from tests.processes import run_python
from tests.tiny_training import tiny_model

T, N = 8000, 32


def batch(n_singers: int, n_mixtures: int = 2) -> dict[str, Any]:
    """Sung chords: harmonic tones with exact F0."""
    t = torch.arange(T) / 16_000
    base = torch.tensor([440.0, 330.0, 220.0, 110.0])[:n_singers]
    base = base * torch.linspace(1.0, 1.1, n_mixtures)[:, None]
    phase = 2 * torch.pi * base[..., None] * t
    sources = sum(torch.sin(i * phase) / i for i in range(1, 6))
    assert isinstance(sources, torch.Tensor)
    sources = sources / sources.sum(1).abs().amax(-1)[:, None, None]
    return {
        "mixture": sources.sum(1),
        "sources": sources,
        "f0": base[..., None].expand(-1, -1, N).contiguous(),
        "seed": torch.arange(n_mixtures),
    }


@pytest.mark.parametrize("kind", ["us", "sv"])
def test_training_lowers_the_loss_and_serves_any_number_of_singers(kind: str) -> None:
    torch.manual_seed(0)
    model, data = tiny_model(kind), batch(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = model._step(data)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]

    more = batch(3)
    sources, parameters = model(more["mixture"], more["f0"], more["seed"])
    assert sources.shape == (2, 3, T)
    assert parameters["lsf_increments"].shape == (2, 3, N, 7)
    assert torch.isfinite(sources).all()


def test_us_ignores_the_stems_and_sv_does_not() -> None:
    torch.manual_seed(0)
    data = batch(2)
    swapped = {**data, "sources": data["sources"].flip(1)}
    us, sv = tiny_model("us"), tiny_model("sv")
    assert float(us._step(data)) == float(us._step(swapped))
    assert float(sv._step(data)) != float(sv._step(swapped))
    del swapped["sources"]
    us._step(swapped)


def test_loss_is_the_same_whatever_was_drawn_before() -> None:
    torch.manual_seed(0)
    model, data = tiny_model().eval(), batch(2)
    with torch.no_grad():
        first = model._step(data)
        torch.randn(1000)
        assert torch.equal(first, model._step(data))
        other_noise = model._step({**data, "seed": data["seed"] + 1})
    assert not torch.equal(first, other_noise)


@pytest.mark.slow
def test_loss_is_the_same_in_another_process() -> None:
    code = (
        "import torch; torch.manual_seed(0)\n"
        "from tests.models.test_lit import batch\n"
        "from tests.tiny_training import tiny_model\n"
        "with torch.no_grad(): print(float(tiny_model()._step(batch(2))))"
    )
    losses = [float(run_python("-c", code, check=True).stdout) for _ in range(2)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0] > 0


def fit(model: pl.LightningModule, epochs: int = 1) -> pl.Trainer:
    items = [{key: value[0] for key, value in batch(2).items()}]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
    )
    trainer.fit(model, DataLoader(items), DataLoader(items))  # type: ignore[arg-type]
    return trainer


@pytest.mark.filterwarnings("ignore")
def test_learning_rate_is_a_function_of_the_epoch() -> None:
    model = tiny_model(lr=1e-3, lr_decay=0.5, lr_decay_epochs=2)
    trainer = fit(model, epochs=4)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(5e-4)
    assert float(trainer.callback_metrics["train/lr"]) == pytest.approx(5e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_divergence_stops_before_it_reaches_the_weights(where: str) -> None:
    model = tiny_model()
    compute = model.loss

    def diverging(sources: torch.Tensor, data: dict[str, Any]) -> torch.Tensor:
        value = compute(sources, data)
        # sqrt has a finite value but an infinite slope at zero.
        return value * float("nan") if where == "loss" else value + (value - value.detach()).sqrt()

    model.loss = diverging  # type: ignore[method-assign]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(TrainingDivergedError, match=r"epoch 1; run again with a lower"):
        fit(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_values_seen_late_still_stop_before_a_checkpoint() -> None:
    model = tiny_model()
    # What an accelerator leaves behind between two looks.
    model._unseen = [("training loss", torch.tensor(1.0)), ("gradient", torch.tensor(torch.inf))]
    with pytest.raises(TrainingDivergedError, match="the gradient became inf"):
        model.on_train_epoch_end()
    model.on_train_epoch_end()


def test_mask_weight_adds_the_separation() -> None:
    data = batch(2)
    plain, weighted = tiny_model("sv"), tiny_model("sv", mask_weight=0.5)
    weighted.load_state_dict(plain.state_dict())
    sources, _ = plain(data["mixture"], data["f0"], data["seed"])
    masks = soft_masks(stft(sources).abs(), power=2.0)
    separation = separation_loss(masks, stft(data["mixture"]), stft(data["sources"]))
    difference = weighted._step(data) - plain._step(data)
    torch.testing.assert_close(difference, 0.5 * separation, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="without supervision"):
        tiny_model("us", mask_weight=0.5)


@pytest.mark.parametrize("n_singers", [1, 2, 3])
def test_the_sum_over_sources_is_their_number_times_the_mean(n_singers: int) -> None:
    data, losses = batch(n_singers), []
    for choice in (False, True):
        torch.manual_seed(0)
        losses.append(tiny_model("sv", sum_over_sources=choice)._step(data))
    torch.testing.assert_close(losses[1], n_singers * losses[0])


def test_no_sum_over_sources_without_supervision() -> None:
    with pytest.raises(UmssError, match=r"model.sum_over_sources=true: .*model=sv only"):
        tiny_model("us", sum_over_sources=True)
