"""Splits and the data module: who is trained on, who is not, and what the loaders give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize
from hydra.utils import instantiate
from torch.utils.data import DataLoader, Dataset

from src.data.datamodule import MixtureDataModule
from src.data.excerpts import FixedExcerpts, TrainExcerpts
from src.data.readers import generated
from src.data.readers.base import DataError
from src.data.splits import split_in_time, split_songs
from tests.data.songs import SATB, FakeSong, WriteStem

NAMES = ["BC_01", "BC_02", "BC_08", "BC_09", "BQ_01", "BQ_08", "BQ_09"]


def places(dataset: Dataset[Any] | None, epochs: int = 3) -> set[tuple[str, tuple[str, ...]]]:
    assert isinstance(dataset, (TrainExcerpts, FixedExcerpts))
    items = [dataset[(e, i)] for e in range(epochs) for i in range(len(dataset))]
    return {(item["song"], item["singers"]) for item in items}


def test_lists_by_name_pattern_and_position() -> None:
    split = split_songs(NAMES, {"val": ["B?_0[89]"], "test": ["BC_02"]}, held_out=False)
    assert split.train == ("BC_01", "BQ_01")
    assert split.val == ("BC_08", "BC_09", "BQ_08", "BQ_09")
    assert not split.in_time
    split = split_songs(NAMES, {"train": [0], "val": [1, -1]}, held_out=False)
    assert (split.train, split.val) == (("BC_01",), ("BC_02", "BQ_09"))
    assert split.test == tuple(NAMES)


def test_without_lists_songs_are_split_in_time() -> None:
    assert split_songs(["a"], {}, held_out=False).in_time
    assert not split_songs(["a"], {}, held_out=True).in_time
    train, val = split_in_time([FakeSong("a", 103, "1")], 0.2)
    assert train["a"][1] == val["a"][0]
    assert train["a"][1] % 256 == 0
    assert val["a"][1] == 103 * 16_000
    assert abs(val["a"][0] / 16_000 - 0.8 * 103) < 0.02
    with pytest.raises(DataError, match="val_fraction"):
        split_in_time([], 1.0)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"val": ["BX_01"]}, "asks for song 'BX_01', which is not there; the songs are BC_01"),
        ({"val": [7]}, "asks for song 7"),
        ({"train": [0], "val": [0]}, "BC_01 both in train and in val"),
        ({"train": [0], "test": ["BC*"]}, "BC_01 both in train and in test"),
        ({"val": ["*"]}, "no song is left for training"),
        ({"val": []}, "the list val is empty"),
        ({"validation": []}, "unknown entries"),
    ],
)
def test_impossible_lists(lists: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_songs(NAMES, lists, held_out=False)


def csd(root: Path, cache: Path, **options: Any) -> MixtureDataModule:
    options = {"n_singers": 4, "f0": "cached", "progress": False, **options}
    return MixtureDataModule({"name": "csd"}, cache_dir=cache, root=root, **options)


@pytest.mark.parametrize(("n_singers", "n_mixtures"), [(4, 1), (2, 6)])
@pytest.mark.parametrize("singers", [[4], ["4"], None, {"some_singers": [4]}])
def test_evaluation_of_one_unknown_singer(
    csd_root: Path, tmp_path: Path, n_singers: int, n_mixtures: int, singers: Any
) -> None:
    module = csd(
        csd_root, tmp_path / "cache", n_singers=n_singers, singers=singers,
        test_first_excerpt=1, test_start_offset=-256,
    )  # fmt: skip
    module.prepare("test")
    module.setup("test")
    assert module.test_set is not None
    assert len(module.test_set) == 24 * n_mixtures
    batch = next(iter(module.test_dataloader()))
    assert batch["excerpt"][:3].tolist() == [1, 2, 3]
    assert batch["start"][0] == 64_000 - 256
    expected = torch.tensor([400.0, 300.0, 200.0, 100.0])[:n_singers] + 249 / 1e4
    torch.testing.assert_close(batch["f0"][0, :, 0], expected)
    if n_singers == 4:
        assert (batch["full_mix_peak"] == 1).all()


def test_evaluation_without_cached_f0_says_what_to_set(csd_root: Path, tmp_path: Path) -> None:
    module = csd(csd_root, tmp_path / "cache", n_singers=3)
    module.prepare("test")
    with pytest.raises(DataError, match=r"some for n_singers=\[2, 4\]\); set data.f0=stems"):
        module.setup("test")
    module = csd(csd_root, tmp_path / "cache", singers=[1, 2])
    with pytest.raises(DataError, match="no singer 1, 2 in some_singers; available: 4"):
        module.setup("test")


def test_training_on_real_singers(shared_dir: Path, tmp_path: Path) -> None:
    root = shared_dir / "data" / "csd_nino_dios"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    module = csd(root, tmp_path, size="small")
    module.prepare_data()
    module.setup("fit")
    assert isinstance(module.train_set, TrainExcerpts)
    assert isinstance(module.val_set, FixedExcerpts)
    assert (len(module.train_set), len(module.val_set)) == (96, 15)
    last = max(module.train_set[(e, i)]["start"] for e in range(3) for i in range(96))
    assert last + 64_000 <= min(module.val_set[i]["start"] for i in range(15))
    assert len(places(module.train_set)) > 40  # of 81 casts
    assert places(module.val_set) == {("nino_dios", (s,) * 4) for s in "123"}

    held = csd(root, tmp_path, singers=[1, 2], val_singers=[3])
    held.setup("fit")
    assert {s for _, cast in places(held.train_set) for s in cast} == {"1", "2"}
    assert {s for _, cast in places(held.val_set) for s in cast} == {"3"}
    held = csd(root, tmp_path, val_singers=["3"])
    held.setup("fit")
    assert {s for _, cast in places(held.train_set) for s in cast} == {"1", "2"}
    with pytest.raises(DataError, match="leaves no singer"):
        csd(root, tmp_path, val_singers=[1, 2, 3]).setup("fit")

    alone = csd(root, tmp_path, n_singers=2, cross_singers=False)
    alone.setup("fit")
    assert all(len(set(cast)) == 1 for _, cast in places(alone.train_set))
    three = csd(root, tmp_path, n_singers=3)
    with pytest.raises(DataError, match=r"n_singers=\[2, 4\]\); set data.f0=stems"):
        three.setup("fit")


def test_bad_options(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="choose full or small"):
        csd(tmp_path, tmp_path, size="medium")
    with pytest.raises(DataError, match="expected a list"):
        csd(tmp_path, tmp_path, val_singers=3)
    with pytest.raises(DataError, match="excerpt_seconds"):
        csd(tmp_path, tmp_path, excerpt_seconds=0)
    with pytest.raises(RuntimeError, match="setup"):
        csd(tmp_path, tmp_path).train_dataloader()


@pytest.fixture
def short_choir(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The generated choir, silenced: names as they are, 12 s of nothing much, quickly made."""
    import numpy as np

    def sing(name: str, *, rate: int, **_: Any) -> Any:
        rng = np.random.default_rng(len(name))
        audio = 0.1 * rng.standard_normal((4, 12 * rate)).astype(np.float32)
        f0 = np.full((4, 750), 200, np.float32)
        return generated.GeneratedSong(name, SATB, ("1", "2", "3", "4"), audio, f0)

    monkeypatch.setattr(generated, "generate_song", sing)
    return list(generated.SONGS)


def config(data: str, *overrides: str) -> MixtureDataModule:
    with initialize(version_base="1.3", config_path="../../conf"):
        cfg = compose("prepare", [f"data={data}", "data.progress=false", *overrides])
    module = instantiate(cfg.data)
    assert isinstance(module, MixtureDataModule)
    return module


@pytest.mark.parametrize(("size", "counts"), [("full", (12, 2, 2)), ("small", (1, 1, 2))])
def test_generated_sets(
    short_choir: list[str], tmp_path: Path, size: str, counts: tuple[int, ...]
) -> None:
    module = config("generated", f"data.size={size}", f"paths.cache_dir={tmp_path}")
    split = module.choose_split(module.build_reader())
    assert (len(split.train), len(split.val), len(split.test)) == counts
    assert not {*split.train, *split.val} & set(split.test)
    assert not set(split.train) & set(split.val)
    module.prepare_data()
    module.setup()
    assert module.train_set is not None
    assert len(module.train_set) == counts[0] * (4 if size == "full" else 12)
    assert {song for song, _ in places(module.test_set)} == set(split.test)


def test_only_what_a_stage_needs_is_prepared(short_choir: list[str], tmp_path: Path) -> None:
    module = config("generated", "data.size=small", f"paths.cache_dir={tmp_path}")
    assert len(module.prepare("fit").songs) == 2
    assert len(module.prepare("test").songs) == 4


def test_paper_split_of_bought_songs(tmp_path: Path, write_stem: WriteStem) -> None:
    for collection, parts in (("BC", SATB), ("BQ", ("tenor", "lead", "baritone", "bass"))):
        for number in (1, 2, 3, 8, 9):
            for part in parts:
                write_stem(tmp_path / collection / f"{number:02d}_x" / f"{part}.wav", 0.1)
    module = config("bcbq", f"data.root={tmp_path}")
    split = module.choose_split(module.build_reader())
    assert split.train == ("BC_01", "BC_02", "BC_03", "BQ_01", "BQ_02", "BQ_03")
    assert split.val == ("BC_08", "BC_09", "BQ_08", "BQ_09")
    module = config("bcbq", f"data.root={tmp_path}", "data.size=small")
    split = module.choose_split(module.build_reader())
    assert (split.train, split.val) == (("BC_01",), ("BC_02",))


@pytest.mark.parametrize("size", ["full", "small"])
def test_choralsynth_split(shared_dir: Path, size: str) -> None:
    root = shared_dir / "data" / "choralsynth"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    module = config("choralsynth", f"data.root={root}", f"data.size={size}")
    split = module.choose_split(module.build_reader())
    assert len(split.train) == (16 if size == "full" else 1)


def test_a_folder_of_ones_own(tmp_path: Path, write_stem: WriteStem) -> None:
    for voice in ("high", "low"):
        write_stem(tmp_path / "songs" / "duet" / f"{voice}.wav", 25.0)
    module = config(
        "folder", f"data.root={tmp_path / 'songs'}", "data.parts=[high,low]", "n_singers=2",
        f"paths.cache_dir={tmp_path / 'cache'}",
    )  # fmt: skip
    module.prepare_data()
    module.setup()
    assert places(module.test_set) == {("duet", ("1", "1"))}
    assert isinstance(module.val_set, FixedExcerpts)
    assert len(module.val_set) == 1


class Listener(pl.LightningModule):
    """Learns nothing, notes which items it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.heard: list[list[int]] = []

    def training_step(self, batch: dict[str, Any]) -> torch.Tensor:
        self.heard[-1] += batch["seed"].tolist()
        return self.weight.sum()

    def on_train_epoch_start(self) -> None:
        self.heard.append([])

    def validation_step(self, batch: dict[str, Any]) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_resumes_with_the_same_excerpts(short_choir: list[str], tmp_path: Path) -> None:
    def train(epochs: int, checkpoint: Path | None = None) -> tuple[Listener, pl.Trainer]:
        module = config("generated", "data.size=small", f"paths.cache_dir={tmp_path / 'cache'}")
        listener = Listener()
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=tmp_path,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(listener, datamodule=module, ckpt_path=checkpoint, weights_only=True)
        return listener, trainer

    whole, _ = train(3)
    part, trainer = train(1)
    trainer.save_checkpoint(tmp_path / "part.ckpt")
    resumed, _ = train(3, tmp_path / "part.ckpt")
    assert len({tuple(epoch) for epoch in whole.heard}) == 3
    assert part.heard + resumed.heard == whole.heard


def test_loader_workers(csd_root: Path, tmp_path: Path) -> None:
    batches = []
    for workers in (0, 1):
        module = csd(csd_root, tmp_path / "cache", num_workers=workers, batch_size=2)
        module.prepare_data()
        module.setup("fit")
        loader = module.train_dataloader()
        assert isinstance(loader, DataLoader)
        state = torch.get_rng_state()
        batches.append(next(iter(loader)))
        assert torch.equal(state, torch.get_rng_state())  # nothing drawn from the global state
    torch.testing.assert_close(batches[0]["mixture"], batches[1]["mixture"])
