"""What is evaluated: the data sets and methods of ablation.yaml, selected by name and built."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader, Subset

from src.data.datamodule import MixtureDataModule
from src.data.items import collate
from src.errors import UmssError
from src.evaluate import describe_protocol, to_plain
from src.separator import Separator

HERE = Path(__file__).parent
PLAN = HERE / "ablation.yaml"
CONF = HERE.parents[1] / "conf"
# Names are names of files too.
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class DataSet:
    """Mixtures that every method separates.

    Attributes:
        name: on the command line, in tables and files.
        title: in words.
        overrides: of conf/evaluate.yaml.
        use: "validation": choices may be made on it; "test": they may not.
        every: of the test excerpts, every n-th one is used.
        root: command line option that names its folder; None: it needs none.
    """

    name: str
    title: str
    overrides: tuple[str, ...]
    use: str = "test"
    every: int = 1
    root: str | None = None


@dataclass(frozen=True)
class Method:
    """A separator with its settings.

    Attributes:
        name: on the command line, in tables and files.
        group: heading under which it stands.
        overrides: of conf/evaluate.yaml, such as separator=fit.
        checkpoint: whether it needs one.
    """

    name: str
    group: str
    overrides: tuple[str, ...]
    checkpoint: bool = False


@dataclass(frozen=True)
class Plan:
    """Data sets and methods, in the order of the tables.

    Attributes:
        common: overrides of conf/evaluate.yaml for everything.
        references: methods that all others are compared with.
    """

    data: tuple[DataSet, ...]
    methods: tuple[Method, ...]
    common: tuple[str, ...]
    references: tuple[str, ...]


Named = TypeVar("Named", DataSet, Method)


def read_plan(path: Path = PLAN) -> Plan:
    """A plan from its YAML file.

    Raises:
        ValueError: a name twice or not fit for a file, a reference that is no method, unknown
            fields, or an `every` below 1.
    """
    content: Any = OmegaConf.to_container(OmegaConf.load(path))
    try:
        data = tuple(DataSet(**_split(entry)) for entry in content["data"])
        methods = tuple(
            Method(group=group["group"], **_split(entry))
            for group in content["methods"]
            for entry in group["entries"]
        )
        references = tuple(content["references"])
    except (KeyError, TypeError) as error:
        raise UmssError(f"{path}: a field is missing or unknown ({error})") from error
    for what in (data, methods):
        names = [entry.name for entry in what]
        for name in names:
            if names.count(name) > 1 or not _NAME.fullmatch(name):
                raise UmssError(
                    f"{path}: the name {name!r} occurs twice, or is not made of letters, digits "
                    "and . _ + - only; choose another one"
                )
    for entry in data:
        if not isinstance(entry.every, int) or entry.every < 1:
            raise UmssError(f"{path}: {entry.name}.every={entry.every} must be 1 or more")
    select(methods, references, "references")
    return Plan(data, methods, tuple(shlex.split(content.get("common") or "")), references)


def _split(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "overrides": tuple(shlex.split(entry["overrides"]))}


def select(entries: Sequence[Named], patterns: Sequence[str] | None, what: str) -> list[Named]:
    """The entries whose names match a pattern such as fit*, in their own order; None = all.

    Raises:
        ValueError: a pattern that nothing matches.
    """
    if patterns is None:
        return list(entries)
    for pattern in patterns:
        if not any(fnmatchcase(entry.name, pattern) for entry in entries):
            known = ", ".join(entry.name for entry in entries)
            raise UmssError(f"{what}: nothing is called {pattern}; there are {known}")
    return [e for e in entries if any(fnmatchcase(e.name, pattern) for pattern in patterns)]


def compose_evaluation(overrides: Sequence[str]) -> DictConfig:
    """conf/evaluate.yaml with overrides, as `python -m src.evaluate` composes it."""
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        cfg = compose("evaluate", list(overrides))
    if cfg.f0 is not None:  # as src.evaluate.run
        cfg.data.f0 = cfg.f0
    return cfg


def root_override(entry: DataSet, roots: Mapping[str, str | None]) -> list[str]:
    """The override that tells a data set its folder.

    Raises:
        ValueError: no folder was given.
    """
    if entry.root is None:
        return []
    folder = roots.get(entry.root)
    if folder is None:
        raise UmssError(
            f"{entry.name} needs --{entry.root} DIR; give it, or choose others with --data"
        )
    return [f"data.root={folder}"]


class Evaluations:
    """One data set, opened once, and the separators that it is given to.

    Args:
        entry: the data set.
        common: overrides for everything.
        roots: folders by command line option.
        checkpoint: trained model of the methods that need one.
    """

    def __init__(
        self,
        entry: DataSet,
        common: Sequence[str] = (),
        roots: Mapping[str, str | None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.entry = entry
        self.overrides = [*common, *entry.overrides, *root_override(entry, roots or {})]
        self.checkpoint = checkpoint
        self.cfg = compose_evaluation(self.overrides)
        self.seeds = [int(seed) for seed in self.cfg.seeds]
        self.data: MixtureDataModule = instantiate(self.cfg.data, _convert_="all")
        self.protocol = {
            **describe_protocol(self.data, self.cfg.multif0),
            "every": entry.every,
            "seeds": self.seeds,
        }

    @cached_property
    def loader(self) -> DataLoader:
        """Batches of every n-th excerpt; each time the same."""
        self.data.prepare("test")
        self.data.setup("test")
        excerpts = self.data.test_set
        assert excerpts is not None
        every = Subset(excerpts, range(0, len(excerpts), self.entry.every))
        return DataLoader(every, batch_size=self.data.batch_size, collate_fn=collate)

    def configuration(self, method: Method) -> DictConfig:
        """The separator's part of the configuration."""
        more = [*method.overrides]
        if method.checkpoint:
            more.append(f"separator.checkpoint='{self.checkpoint}'")
        return compose_evaluation([*self.overrides, *more]).separator

    def digest(self, method: Method, errors: Mapping[str, float] | None = None) -> str:
        """Stands for everything that decides about the scores, but for the code."""
        settings = to_plain(self.configuration(method))
        if method.checkpoint:
            assert self.checkpoint is not None
            content = self.checkpoint.read_bytes()
            settings["checkpoint"] = hashlib.sha256(content).hexdigest()
        text = json.dumps([settings, self.protocol, dict(errors or {})], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def separator(self, method: Method) -> Separator:
        """The method, ready to separate."""
        separator: Separator = instantiate(self.configuration(method))
        return separator
