"""Lightning data module: a reader's songs, prepared, split and served as mixtures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset

from .estimated import EstimatorRecipe, estimate_mixtures
from .excerpts import FixedExcerpts, Regions
from .f0_augmentation import F0Augmentation
from .items import Item
from .mixing import Mixing
from .mixtures import Mixture, Singers, choose_mixtures, choose_training_singers, find_mixtures
from .prepared import F0Kind, PreparedSet, PreparedSong, locate_prepared, prepare
from .readers import READERS, build_reader
from .readers.base import HOP, RATE, DataError, Reader
from .recordings import refuse_without_stems, require_length
from .sampler import EpochSampler
from .splits import STAGES, Split, Use, choose_test_set, divide_songs, split_songs
from .training import PER_PART, TrainingSet, build_loader, build_sampler, build_training_set

Opened = TypeVar("Opened", bound=TrainingSet | FixedExcerpts)


class MixtureDataModule(pl.LightningDataModule):
    """Mixtures of J singers for training, validation and test.

    Batches are dicts (see `src.data.items.Item`): mixture [B, T], sources [B, J, T] (not of
    recordings without stems), f0 [B, J, N] in Hz, seed [B], excerpt [B], start [B],
    full_mix_peak [B]; song, mixture_name, parts and singers are lists of length B.

    Args:
        reader: {"name": ..., "options": {...}}: the reader (see `src.data.readers.READERS`) and
            its own options; or just its name.
        n_singers: J; recordings without stems have their own, see
            `src.data.readers.mixtures.MixturesReader`, and every batch has one J.
        cache_dir: folder of the prepared data.
        root: folder of the data; `generated` needs none, `several` has one per data set instead.
        parts: voice names from the highest to the lowest (reader `folder` only).
        size: "full" or "small": song lists of `split` and excerpts per epoch.
        f0: kind of F0: "cached" (comes with the data, or exact), "stems" (estimated from the
            isolated stems) or "estimated" (estimated from the mixtures by `estimator`).
        estimator: multi-F0 estimator, for "estimated" F0.
        singers: singers for training and test: None = all, a list, or {song: list}.
        cross_singers: training mixes any singers (otherwise one singer number per mixture).
        val_cross_singers, test_cross_singers: the same for validation and test.
        val_singers: singers held out from training for validation.
        split: {"full": lists, "small": lists}, see `src.data.splits.split_songs`.
        val_fraction: share of every song for validation where `split` names no validation songs.
        excerpt_seconds: length of an excerpt.
        test_set: name of a published test set (`Reader.test_sets`), which decides about songs and
            singers of the test; None: those of `split` and `singers`.
        test_first_excerpt, test_start_offset: see `src.data.excerpts.FixedExcerpts`; 1 and -256
            are the reference test protocol.
        batch_size, num_workers, pin_memory: see `torch.utils.data.DataLoader`.
        mixing: dynamic mixing of training mixtures, see `src.data.mixing`.
        f0_augmentation: errors in the F0 of training excerpts, see `src.data.f0_augmentation`.
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
        f0: F0Kind = "stems",
        estimator: EstimatorRecipe | None = None,
        singers: Singers = None,
        cross_singers: bool = True,
        val_cross_singers: bool = False,
        test_cross_singers: bool = False,
        val_singers: Collection[int | str] | None = None,
        split: Mapping[str, Mapping[str, Any]] | None = None,
        val_fraction: float = 0.2,
        excerpt_seconds: float = 4.0,
        test_set: str | None = None,
        test_first_excerpt: int = 0,
        test_start_offset: int = 0,
        batch_size: int = 16,
        num_workers: int = 0,
        pin_memory: bool = False,
        seed: int = 0,
        allow_silent: bool = False,
        progress: bool = True,
        mixing: Mixing | None = None,
        f0_augmentation: F0Augmentation | None = None,
    ) -> None:
        super().__init__()
        if size not in PER_PART:
            raise DataError(f"data.size={size}: choose full or small")
        self.excerpt_samples = round(excerpt_seconds * RATE)
        if self.excerpt_samples < HOP:
            raise DataError(f"data.excerpt_seconds={excerpt_seconds}: must be at least 0.016")
        if isinstance(val_singers, (str, int)):
            raise DataError(f"data.val_singers={val_singers}: expected a list, e.g. [3]")
        self.mixing = mixing or Mixing()
        choice: Mapping[str, Any] = {"name": reader} if isinstance(reader, str) else reader
        self.reader_name = str(choice["name"])
        if self.mixing.n_singers and not READERS.get(self.reader_name, Reader).has_stems:
            raise refuse_without_stems("mixing", str(root))
        self.mixing.check(f0=f0, cross_singers=cross_singers)
        self.f0_augmentation = f0_augmentation or F0Augmentation()
        options = choice.get("options") or {}
        if not isinstance(options, Mapping):
            raise DataError(f"data.reader.options={options}: give settings, e.g. {{seed: 1}}")
        self.reader_options = {str(name): value for name, value in options.items()}
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
        self.test_set_name = test_set
        self.test_first_excerpt = test_first_excerpt
        self.test_start_offset = test_start_offset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.seed = seed
        self.allow_silent = allow_silent
        self.progress = progress
        self.train_set: TrainingSet | None = None
        self.val_set: FixedExcerpts | None = None
        self.test_set: FixedExcerpts | None = None

    def build_reader(self) -> Reader:
        """Build the reader of this data set, which finds and checks its files.

        Raises:
            DataError: the data are missing or malformed.
        """
        return build_reader(self.reader_name, self.root, **self.reader_options)

    def require_stems(self, purpose: str) -> None:
        """Refuse recordings without stems for a purpose that needs them.

        Raises:
            DataError: there are such recordings, or the data are missing or malformed.
        """
        reader = self.build_reader()
        if not reader.has_stems:
            raise refuse_without_stems(purpose, reader.location())

    def choose_split(self, reader: Reader) -> Split:
        """Choose the songs for training, validation and test."""
        names = [song.name for song in reader.songs()]
        split = split_songs(names, self.lists, held_out=bool(self.val_singers))
        if self.test_set_name is None:
            return split
        chosen = choose_test_set(reader, self.test_set_name)
        return replace(split, test=tuple(chosen), test_singers=chosen)

    def prepare_data(self) -> None:
        """Prepare the songs of the trainer's stage; all songs if there is no trainer."""
        state = None if self.trainer is None else self.trainer.state.fn
        self.prepare(None if state is None else state.value)

    def prepare(self, stage: str | None = None) -> PreparedSet:
        """Prepare the songs of a stage ("fit", "validate", "test"; None = all of them).

        Estimated F0 is prepared only for the mixtures of the stage.
        """
        reader = self.build_reader()
        split = self.choose_split(reader)
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
        recipe = self._require_recipe()
        prepared = PreparedSet.open(prepared.folder, estimator=recipe.fingerprint)
        wanted = []
        for use in uses:
            songs, singers, cross_singers = self._choose_cast(prepared, split, use)
            regions = divide_songs(prepared, split, self.val_fraction, use)
            require_length(songs, regions, self.excerpt_samples)
            for _, mixtures in find_mixtures(songs, self.n_singers, singers, cross_singers):
                wanted += mixtures
        estimate_mixtures(prepared, wanted, recipe, progress=self.progress)
        return prepared

    def _require_recipe(self) -> EstimatorRecipe:
        if self.estimator is None:
            raise DataError("data.f0=estimated needs data.estimator, see conf/multif0")
        return self.estimator

    def _choose_cast(
        self, prepared: PreparedSet, split: Split, use: Use
    ) -> tuple[list[PreparedSong], Singers, bool]:
        """Choose songs and singers of a use, and whether any singers may be combined."""
        songs = [prepared.song(name) for name in getattr(split, use)]
        if use == "train":
            return (
                songs,
                choose_training_singers(songs, self.singers, self.val_singers),
                self.cross_singers,
            )
        if use == "val":
            return songs, self.val_singers or self.singers, self.val_cross_singers
        return songs, split.test_singers or self.singers, self.test_cross_singers

    def list_mixtures(
        self, prepared: PreparedSet, use: Use
    ) -> list[tuple[PreparedSong, list[Mixture]]]:
        """List the songs of a use and their mixtures that have F0.

        Raises:
            DataError: there are none.
        """
        split = self.choose_split(self.build_reader())
        songs, singers, cross_singers = self._choose_cast(prepared, split, use)
        return choose_mixtures(songs, self.n_singers, self.f0, singers, cross_singers)

    def setup(self, stage: str | None = None) -> None:
        """Open the prepared songs and list the excerpts of a stage."""
        reader = self.build_reader()
        split = self.choose_split(reader)
        prepared = PreparedSet.open(
            locate_prepared(reader, self.cache_dir),
            estimator=self._require_recipe().fingerprint if self.f0 == "estimated" else None,
        )
        uses = STAGES[stage]
        if "train" in uses:
            songs, singers, cross_singers = self._choose_cast(prepared, split, "train")
            self.train_set = build_training_set(
                songs,
                self.n_singers,
                self.f0,
                size=self.size,
                cross_singers=cross_singers,
                mixing=self.mixing,
                f0_augmentation=self.f0_augmentation,
                seed=self.seed,
                singers=singers,
                regions=divide_songs(prepared, split, self.val_fraction, "train"),
                excerpt_samples=self.excerpt_samples,
            )
        if "val" in uses:
            regions = divide_songs(prepared, split, self.val_fraction, "val")
            self.val_set = self._build_fixed(prepared, split, "val", regions=regions)
        if "test" in uses:
            self.test_set = self._build_fixed(
                prepared,
                split,
                "test",
                first_excerpt=self.test_first_excerpt,
                start_offset=self.test_start_offset,
            )

    def _build_fixed(
        self,
        prepared: PreparedSet,
        split: Split,
        use: Use,
        *,
        regions: Regions | None = None,
        first_excerpt: int = 0,
        start_offset: int = 0,
    ) -> FixedExcerpts:
        """Build the excerpts of validation or test; arguments as in `FixedExcerpts`."""
        songs, singers, cross_singers = self._choose_cast(prepared, split, use)
        return FixedExcerpts(
            songs,
            self.n_singers,
            self.f0,
            seed=self.seed,
            singers=singers,
            cross_singers=cross_singers,
            regions=regions,
            excerpt_samples=self.excerpt_samples,
            first_excerpt=first_excerpt,
            start_offset=start_offset,
        )

    def train_dataloader(self) -> DataLoader[Item]:
        """Shuffled training excerpts, new ones in every epoch."""
        dataset = self._require_ready(self.train_set)
        sampler = build_sampler(len(dataset), self.mixing, self.batch_size, seed=self.seed)
        return self._build_loader(dataset, sampler)

    def val_dataloader(self) -> DataLoader[Item]:
        """Validation excerpts."""
        dataset = self._require_ready(self.val_set)
        return self._build_loader(
            dataset, EpochSampler(len(dataset), seed=self.seed, shuffle=False)
        )

    def test_dataloader(self) -> DataLoader[Item]:
        """Test excerpts, each exactly once (ranks may differ by one item)."""
        dataset = self._require_ready(self.test_set)
        sampler = EpochSampler(len(dataset), seed=self.seed, shuffle=False, pad=False)
        return self._build_loader(dataset, sampler)

    @staticmethod
    def _require_ready(dataset: Opened | None) -> Opened:
        if dataset is None:
            raise RuntimeError("call prepare_data() and setup() before asking for a loader")
        return dataset

    def _build_loader(self, dataset: Dataset[Item], sampler: EpochSampler) -> DataLoader[Item]:
        return build_loader(
            dataset,
            sampler,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            seed=self.seed,
        )
