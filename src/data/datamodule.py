"""Lightning data module: a reader's songs, prepared, split and served as mixtures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from src.data.estimated import EstimatorRecipe, estimate_mixtures
from src.data.excerpts import FixedExcerpts, Item, Regions, TrainExcerpts, collate
from src.data.mixtures import Mixture, Singers, choose_mixtures, find_mixtures
from src.data.prepared import F0Kind, PreparedSet, PreparedSong, prepare, prepared_folder
from src.data.readers import build_reader
from src.data.readers.base import HOP, RATE, DataError, Reader
from src.data.sampler import EpochSampler
from src.data.splits import Split, split_songs, time_regions

# Random excerpts per 10-s part and epoch (paper: three times more for the small set).
PER_PART = {"full": 4, "small": 12}
Use = Literal["train", "val", "test"]
STAGES: dict[str | None, tuple[Use, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("test",),
    None: ("train", "val", "test"),
}


class MixtureDataModule(pl.LightningDataModule):
    """Mixtures of J singers for training, validation and test.

    Batches are dicts (see `src.data.excerpts.Item`): mixture [B, T], sources [B, J, T], f0
    [B, J, N] in Hz, seed [B], excerpt [B], start [B], full_mix_peak [B]; song, mixture_name,
    parts and singers are lists of length B.

    Args:
        reader: {"name": ..., "options": {...}}: the reader (see `src.data.readers.READERS`) and
            its own options; or just its name.
        n_singers: J.
        cache_dir: where prepared data lie.
        root: folder of the data; `generated` needs none.
        parts: voice names from the highest to the lowest (reader `folder` only).
        size: "full" or "small": song lists of `split` and excerpts per epoch.
        f0: kind of F0, "cached" (lies with the data, or exact), "stems" (of isolated stems) or
            "estimated" (from the mixtures, by `estimator`).
        estimator: the multi-F0 estimator of "estimated".
        singers: singers for training and test: None = all, a list, or {song: list}.
        cross_singers: training mixes any singers (otherwise one singer number per mixture).
        val_cross_singers, test_cross_singers: the same for validation and test.
        val_singers: singers held out from training for validation.
        split: {"full": lists, "small": lists}, see `src.data.splits.split_songs`.
        val_fraction: share of every song for validation where `split` names no validation songs.
        excerpt_seconds: length of an excerpt.
        test_first_excerpt, test_start_offset: see `src.data.excerpts.FixedExcerpts`; 1 and -256
            are the reference test protocol.
        batch_size, num_workers, pin_memory: of the loaders.
        seed: seed of the random excerpts and their order.
        allow_silent: accept silent stems.
        progress: show the progress of the preparation.

    Raises:
        DataError: unusable options or data.
    """

    def __init__(
        self,
        reader: str | Mapping[str, Any],
        n_singers: int,
        cache_dir: str | Path,
        *,
        root: str | Path | None = None,
        parts: Sequence[str] | None = None,
        size: Literal["full", "small"] = "full",
        f0: F0Kind = "cached",
        estimator: EstimatorRecipe | None = None,
        singers: Singers = None,
        cross_singers: bool = True,
        val_cross_singers: bool = False,
        test_cross_singers: bool = False,
        val_singers: Collection[int | str] | None = None,
        split: Mapping[str, Mapping[str, Any]] | None = None,
        val_fraction: float = 0.2,
        excerpt_seconds: float = 4.0,
        test_first_excerpt: int = 0,
        test_start_offset: int = 0,
        batch_size: int = 16,
        num_workers: int = 0,
        pin_memory: bool = False,
        seed: int = 0,
        allow_silent: bool = False,
        progress: bool = True,
    ) -> None:
        super().__init__()
        if size not in PER_PART:
            raise DataError(f"data.size={size}: choose full or small")
        self.excerpt_samples = round(excerpt_seconds * RATE)
        if self.excerpt_samples < HOP:
            raise DataError(f"data.excerpt_seconds={excerpt_seconds}: must be at least 0.016")
        if isinstance(val_singers, (str, int)):
            raise DataError(f"data.val_singers={val_singers}: expected a list, e.g. [3]")
        choice: Mapping[str, Any] = {"name": reader} if isinstance(reader, str) else reader
        self.reader_name = str(choice["name"])
        self.reader_options = dict(choice.get("options") or {})
        self.root = root
        if parts is not None:
            self.reader_options["parts"] = list(parts)
        self.n_singers = n_singers
        self.cache_dir = Path(cache_dir)
        self.size = size
        self.f0: F0Kind = f0
        self.estimator = estimator
        self.singers = singers
        self.cross_singers = cross_singers
        self.val_cross_singers = val_cross_singers
        self.test_cross_singers = test_cross_singers
        self.val_singers = val_singers
        self.lists = dict((split or {}).get(size) or {})
        self.val_fraction = val_fraction
        self.test_first_excerpt = test_first_excerpt
        self.test_start_offset = test_start_offset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.seed = seed
        self.allow_silent = allow_silent
        self.progress = progress
        self.train_set: TrainExcerpts | None = None
        self.val_set: FixedExcerpts | None = None
        self.test_set: FixedExcerpts | None = None

    def build_reader(self) -> Reader:
        """The reader of this data set; finds and checks its files.

        Raises:
            DataError: the data are missing or malformed.
        """
        return build_reader(self.reader_name, self.root, **self.reader_options)

    def song_split(self, reader: Reader) -> Split:
        """Song names for training, validation and test."""
        names = [song.name for song in reader.songs()]
        return split_songs(names, self.lists, held_out=bool(self.val_singers))

    def prepare_data(self) -> None:
        """Prepare the songs that the trainer is about to need (all, without a trainer)."""
        state = None if self.trainer is None else self.trainer.state.fn
        self.prepare(None if state is None else state.value)

    def prepare(self, stage: str | None = None) -> PreparedSet:
        """Prepare the songs of a stage ("fit", "validate", "test"; None = all of them).

        Estimated F0 is prepared for the mixtures that the stage needs, and no others.
        """
        reader = self.build_reader()
        split = self.song_split(reader)
        uses = STAGES[stage]
        prepared = prepare(
            reader,
            self.cache_dir,
            self.f0,
            songs={name for use in uses for name in getattr(split, use)},
            allow_silent=self.allow_silent,
            progress=self.progress,
        )
        if self.f0 != "estimated":
            return prepared
        recipe = self._recipe()
        prepared = PreparedSet.open(prepared.folder, estimator=recipe.fingerprint)
        wanted = []
        for use in uses:
            songs, singers, cross_singers = self._cast(prepared, split, use)
            for _, mixtures in find_mixtures(songs, self.n_singers, singers, cross_singers):
                wanted += mixtures
        estimate_mixtures(prepared, wanted, recipe, progress=self.progress)
        return prepared

    def _recipe(self) -> EstimatorRecipe:
        if self.estimator is None:
            raise DataError("data.f0=estimated needs data.estimator, see conf/multif0")
        return self.estimator

    def _cast(
        self, prepared: PreparedSet, split: Split, use: Use
    ) -> tuple[list[PreparedSong], Singers, bool]:
        """The songs of a use, who sings in them, and whether any of them with any other."""
        songs = [prepared.song(name) for name in getattr(split, use)]
        if use == "train":
            return songs, self._train_singers(songs), self.cross_singers
        if use == "val":
            return songs, self.val_singers or self.singers, self.val_cross_singers
        return songs, self.singers, self.test_cross_singers

    def mixtures(self, prepared: PreparedSet, use: Use) -> list[tuple[PreparedSong, list[Mixture]]]:
        """The songs of a use and their mixtures with F0.

        Raises:
            DataError: there are none.
        """
        split = self.song_split(self.build_reader())
        songs, singers, cross_singers = self._cast(prepared, split, use)
        return choose_mixtures(songs, self.n_singers, self.f0, singers, cross_singers)

    def setup(self, stage: str | None = None) -> None:
        """Open the prepared songs and list the excerpts of a stage."""
        reader = self.build_reader()
        split = self.song_split(reader)
        prepared = PreparedSet.open(
            prepared_folder(reader, self.cache_dir),
            estimator=self._recipe().fingerprint if self.f0 == "estimated" else None,
        )
        uses = STAGES[stage]
        if "train" in uses or "val" in uses:
            self._setup_fit(prepared, split, uses)
        if "test" in uses:
            songs, singers, cross_singers = self._cast(prepared, split, "test")
            self.test_set = FixedExcerpts(
                songs,
                self.n_singers,
                self.f0,
                seed=self.seed,
                singers=singers,
                cross_singers=cross_singers,
                excerpt_samples=self.excerpt_samples,
                first_excerpt=self.test_first_excerpt,
                start_offset=self.test_start_offset,
            )

    def _setup_fit(self, prepared: PreparedSet, split: Split, uses: tuple[str, ...]) -> None:
        train_regions: Regions | None = None
        val_regions: Regions | None = None
        if split.in_time:
            songs = [prepared.song(name) for name in split.val]
            train_regions, val_regions = time_regions(songs, self.val_fraction)
        if "train" in uses:
            songs, singers, cross_singers = self._cast(prepared, split, "train")
            self.train_set = TrainExcerpts(
                songs,
                self.n_singers,
                self.f0,
                seed=self.seed,
                per_part=PER_PART[self.size],
                singers=singers,
                cross_singers=cross_singers,
                regions=train_regions,
                excerpt_samples=self.excerpt_samples,
            )
        songs, singers, cross_singers = self._cast(prepared, split, "val")
        self.val_set = FixedExcerpts(
            songs,
            self.n_singers,
            self.f0,
            seed=self.seed,
            singers=singers,
            cross_singers=cross_singers,
            regions=val_regions,
            excerpt_samples=self.excerpt_samples,
        )

    def _train_singers(self, songs: Sequence[PreparedSong]) -> Singers:
        """Singers for training: those asked for, without those held out."""
        if not self.val_singers:
            return self.singers
        held_out = {str(singer) for singer in self.val_singers}
        if isinstance(self.singers, Mapping):
            return {
                name: [singer for singer in chosen if str(singer) not in held_out]
                for name, chosen in self.singers.items()
            }
        everyone = self.singers or sorted({singer for song in songs for _, singer in song.keys})
        left = [singer for singer in everyone if str(singer) not in held_out]
        if not left:
            raise DataError(
                f"data.val_singers={sorted(held_out)} leaves no singer for training of {everyone}"
            )
        return left

    def train_dataloader(self) -> DataLoader[Item]:
        """Shuffled training excerpts, new ones in every epoch."""
        return self._loader(self.train_set, shuffle=True)

    def val_dataloader(self) -> DataLoader[Item]:
        """Validation excerpts."""
        return self._loader(self.val_set)

    def test_dataloader(self) -> DataLoader[Item]:
        """Test excerpts, each exactly once (ranks may differ by one item)."""
        return self._loader(self.test_set, pad=False)

    def _loader(
        self,
        dataset: TrainExcerpts | FixedExcerpts | None,
        *,
        shuffle: bool = False,
        pad: bool = True,
    ) -> DataLoader[Item]:
        if dataset is None:
            raise RuntimeError("call prepare_data() and setup() before asking for a loader")
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=EpochSampler(len(dataset), seed=self.seed, shuffle=shuffle, pad=pad),
            num_workers=self.num_workers,
            collate_fn=collate,
            pin_memory=self.pin_memory,
            persistent_workers=self.num_workers > 0,
            # Its own generator, or every epoch would draw a worker seed from the global state.
            generator=torch.Generator().manual_seed(self.seed),
        )
