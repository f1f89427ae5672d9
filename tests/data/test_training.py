"""Training recipes through the data module: batches of several J, resumed, on several ranks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from src.data.datamodule import MixtureDataModule
from src.data.excerpts import TrainExcerpts
from src.data.f0_augmentation import WrongF0Excerpts
from src.data.mixing import MixedExcerpts
from src.data.sampler import EnsembleSampler, EpochSampler
from src.train import train
from tests.tiny_training import compose_config, overrides, write_choir

# All recipes at once, on two songs of four voices.
RECIPE = [
    "data.mixing.n_singers=[2,3,4,5,6]",
    "data.mixing.pitch_semitones=2",
    "data.mixing.room.share=0.5",
    "data.mixing.room.decay_seconds=[0.1,0.3]",
    "data.f0_augmentation.probability=0.5",
]
SPLIT = ["data.split.full.train=[one,two]", "data.split.full.val=null"]


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_choir(tmp_path_factory.mktemp("data") / "choir", seconds=4)


def module(choir: Path, *changes: str) -> MixtureDataModule:
    """Opened for training: songs one and two, validated on their ends, excerpts of 0.5 s."""
    with initialize(version_base="1.3", config_path="../../conf"):
        cfg = compose(
            "train",
            [*overrides(choir, choir, *SPLIT, "data.excerpt_seconds=0.5"), *changes],
        )
    data = instantiate(cfg.data)
    assert isinstance(data, MixtureDataModule)
    data.prepare("fit")
    data.setup("fit")
    return data


def batches(data: MixtureDataModule, epoch: int) -> list[dict[str, Any]]:
    loader = data.train_dataloader()
    assert isinstance(loader.sampler, EpochSampler)
    loader.sampler.set_epoch(epoch)
    return list(loader)


def test_sampler_gives_every_batch_one_size() -> None:
    counts: Counter[int] = Counter()
    for epoch in range(60):
        sampler = EnsembleSampler(23, [2, 3, 4, 4], 4, seed=7)
        plain = EpochSampler(23, seed=7)
        sampler.set_epoch(epoch)
        plain.set_epoch(epoch)
        items = list(sampler)
        assert len(items) == len(sampler) == 23
        assert [item[:2] for item in items] == list(plain)
        sizes = [size for *_, size in items]
        assert all(len(set(sizes[i : i + 4])) == 1 for i in range(0, 23, 4))
        assert items == list(sampler)
        counts.update(sizes[::4])
    total = sum(counts.values())
    for size, share in ((2, 0.25), (3, 0.25), (4, 0.5)):
        assert abs(counts[size] / total - share) < 0.08


@pytest.mark.parametrize("n", [7, 12, 13])
def test_all_ranks_have_the_same_size_at_every_step(n: int) -> None:
    for epoch in range(5):
        stripes = []
        for rank in range(3):
            sampler = EnsembleSampler(n, [2, 3, 4, 5, 6], 2, seed=1, rank=rank, world=3)
            sampler.set_epoch(epoch)
            stripes.append(list(sampler))
        assert len({tuple(size for *_, size in stripe) for stripe in stripes}) == 1
        assert {item[1] for stripe in stripes for item in stripe} == set(range(n))


def test_batches_of_all_recipes(choir: Path) -> None:
    data = module(choir, *RECIPE)
    assert isinstance(data.train_set, WrongF0Excerpts)
    assert isinstance(data.train_set.excerpts, MixedExcerpts)
    sizes = set()
    for epoch in range(6):
        for batch in batches(data, epoch):
            B, J, T = batch["sources"].shape
            assert batch["mixture"].shape == (B, T) == (2, 8000)
            assert batch["f0"].shape == (B, J, 32)
            torch.testing.assert_close(batch["sources"].sum(1), batch["mixture"], atol=1e-5, rtol=0)
            assert all(len(parts) == J for parts in batch["parts"])
            sizes.add(J)
    assert sizes == {2, 3, 4, 5, 6}
    validation = next(iter(data.val_dataloader()))
    assert validation["sources"].shape[1] == 4
    assert validation["song"][0] == "one"
    again = module(choir, *RECIPE, "data.num_workers=1")
    for here, there in zip(batches(data, 2), batches(again, 2), strict=True):
        for key in ("mixture", "sources", "f0", "seed", "start"):
            torch.testing.assert_close(here[key], there[key])


def test_by_default_nothing_is_mixed(choir: Path) -> None:
    data = module(choir, "data.mixing.gain_db=12", "data.mixing.pitch_semitones=5")
    assert type(data.train_set) is TrainExcerpts
    assert type(data.train_dataloader().sampler) is EpochSampler
    assert {batch["sources"].shape[1] for batch in batches(data, 0)} == {4}
    wrong = module(choir, "data.f0_augmentation.probability=1")
    for a, b in zip(batches(data, 0), batches(wrong, 0), strict=True):
        assert torch.equal(a["sources"], b["sources"])
        assert not torch.equal(a["f0"], b["f0"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.mixing.n_singers=4", "data.mixing.n_singers=4: expected a list"),
        ("data.mixing.room.share=2", "data.mixing.room.share=2"),
        ("data.f0_augmentation.octave_rate=2", "data.f0_augmentation.octave_rate=2"),
        ("data.mixing.n_singers=[9]", "asks for 9 voices, but only 8 stems of one, two"),
    ],
)
def test_bad_settings_are_named(choir: Path, change: str, message: str) -> None:
    with pytest.raises((ValueError, InstantiationException)) as error:
        module(choir, change)
    assert message in str(error.value.__cause__ or error.value)


class Listener(pl.LightningModule):
    """Learns nothing, notes what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.heard: list[tuple[float, ...]] = []

    def training_step(self, batch: dict[str, Any]) -> torch.Tensor:
        sums = [float(batch[key].double().sum()) for key in ("sources", "f0", "seed")]
        self.heard.append((batch["sources"].shape[1], *sums))
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_resumed_training_hears_the_same_batches(choir: Path, tmp_path: Path) -> None:
    def run(epochs: int, checkpoint: Path | None = None) -> tuple[Listener, pl.Trainer]:
        listener = Listener()
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=tmp_path,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            limit_val_batches=0,
        )  # fmt: skip
        data = module(choir, *RECIPE)
        trainer.fit(listener, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        return listener, trainer

    whole, _ = run(3)
    part, trainer = run(1)
    trainer.save_checkpoint(tmp_path / "part.ckpt")
    resumed, _ = run(3, tmp_path / "part.ckpt")
    assert len(whole.heard) == 12
    assert len(set(whole.heard)) == 12
    assert len({heard[0] for heard in whole.heard}) > 2
    assert part.heard + resumed.heard == whole.heard


@pytest.mark.parametrize("model", ["us", "sv"])
def test_one_model_learns_from_duets_to_sextets(choir: Path, tmp_path: Path, model: str) -> None:
    changes = overrides(
        choir, tmp_path, *SPLIT, *RECIPE, f"model={model}", "data.excerpt_seconds=0.5",
        "trainer.max_epochs=1",
    )  # fmt: skip
    result = train(compose_config("train", changes, tmp_path), tmp_path)
    assert result["best_val_loss"] > 0
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()
