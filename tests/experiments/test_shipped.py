"""The exported model: small, loadable, and nearly the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from experiments.shipped.export import export
from src.models.loading import SHIPPED, CheckpointError, load_model
from src.models.umss import UmssSeparator
from tests.tiny_training import tiny_model


def test_export_keeps_the_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = tiny_model()
    source = tmp_path / "best.ckpt"
    torch.save(
        {
            "state_dict": model.state_dict(),
            "hyper_parameters": dict(model.hparams),
            "optimizer_states": [torch.zeros(100_000)],
        },
        source,
    )
    target = export(source, tmp_path / "small.ckpt")
    assert target.stat().st_size < 0.6 * source.stat().st_size
    restored = load_model(target)
    for name, value in model.state_dict().items():
        stored = restored.state_dict()[name]
        assert stored.dtype == value.dtype
        torch.testing.assert_close(stored, value, rtol=2**-11, atol=1e-7)
    with pytest.raises(FileExistsError, match=r"small\.ckpt: exists"):
        export(source, target)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        export(tmp_path / "none.ckpt", tmp_path / "other.ckpt")
    with torch.no_grad():
        next(model.parameters()).fill_(1e6)
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}, source)
    with pytest.raises(ValueError, match="beyond the range of half precision"):
        export(source, tmp_path / "other.ckpt")
    assert not (tmp_path / "other.ckpt").exists()


def test_the_shipped_model_is_small_and_takes_any_number_of_singers() -> None:
    assert SHIPPED.stat().st_size <= 12e6
    separator = UmssSeparator()
    mixture = torch.sin(0.2 * torch.arange(4000)).unsqueeze(0)
    for n_singers in (2, 6):
        f0 = 110.0 * torch.arange(n_singers, 0, -1.0).view(1, -1, 1).expand(-1, -1, 16)
        result = separator(mixture, f0)
        assert result.sources.shape == (1, n_singers, 4000)
        assert torch.isfinite(result.sources).all()
