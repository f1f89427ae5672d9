"""What a configuration may build: classes of this package, a few others, and what the user trusts.

A `_target_` in a configuration names what is called with the settings beside it, so a configuration
from somebody else could run anything. Every composed configuration is checked before anything in it
is built.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, ListConfig, OmegaConf

from .errors import UmssError

TRUST = "UMSS_TRUST"
TARGET = "_target_"

_FOLDER = Path(__file__).parent
# Where the classes lie that a configuration builds. Those of other modules write files.
_OWN = re.compile(r"(?:umss|src)\.((?:baselines|data|dsp|f0|fit|models|training)(?:\.\w+)+)\.(\w+)")
# Beside classes.
_OWN_OTHERS = (
    "dsp.hpss.harmonic_part",
    "sweeps.SweepSummary",
    "training.progress.build_progress",
    "training.wandb_logging.build_logger",
)
_LIGHTNING = re.compile(r"pytorch_lightning\.(Trainer|(callbacks|loggers)\.[A-Z]\w*)")
# Hydra takes its launchers and sweepers from these places only.
_PLUGIN = re.compile(r"(hydra_plugins|hydra\._internal\.core_plugins)\.\w+(\.\w+)*")
_LOGGING = re.compile(
    r"(logging\.(handlers\.)?\w*(Handler|Formatter|Filter)|colorlog\.ColoredFormatter)"
)
_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")


def check_targets(config: DictConfig) -> None:
    """Refuse a configuration that would build or call something else than it should.

    Args:
        config: a whole configuration, with Hydra's own part or without.

    Raises:
        UmssError: names the setting, what it would call, and how to allow it.
    """
    for key, name, value in _walk(config):
        place = f"{key}.{name}" if key else name
        if name == TARGET:
            _check_target(place, value)
        elif key.startswith(("hydra.job_logging", "hydra.hydra_logging")):
            _check_logging(place, name, value)


@contextmanager
def check_when_loaded() -> Iterator[None]:
    """Check every configuration that Hydra composes meanwhile, before it builds parts of its own.

    Hydra builds its callbacks and its logging before the command begins.
    """
    original = ConfigLoaderImpl.load_configuration

    def load(self: ConfigLoaderImpl, *arguments: Any, **options: Any) -> DictConfig:
        config = original(self, *arguments, **options)
        check_targets(config)
        return config

    ConfigLoaderImpl.load_configuration = load  # type: ignore[method-assign]
    try:
        yield
    finally:
        ConfigLoaderImpl.load_configuration = original  # type: ignore[method-assign]


def is_own_module(name: str) -> bool:
    """Whether it is one of this package's modules that are run by `python -m`."""
    match = re.fullmatch(r"(?:umss|src)\.(\w+)", name)
    return match is not None and (_FOLDER / f"{match[1]}.py").is_file()


def _walk(config: DictConfig) -> Iterator[tuple[str, str, Any]]:
    """Every (key of the parent, name, value) with what references lead to."""
    # The nodes themselves are kept: an id is used again when its node is gone.
    seen: dict[int, Any] = {}
    rest: list[tuple[str, Any]] = [("", config)]
    while rest:
        key, node = rest.pop()
        if id(node) in seen or node._is_none() or node._is_missing():
            continue
        seen[id(node)] = node
        names: Any = node.keys() if isinstance(node, DictConfig) else range(len(node))
        for name in names:
            if OmegaConf.is_missing(node, name):
                continue
            try:
                value = node[name]
            except Exception:  # a reference to nothing: it fails again where it is used
                continue
            if isinstance(value, dict | list):
                value = OmegaConf.create(value)
            if isinstance(value, DictConfig | ListConfig):
                rest.append((f"{key}.{name}" if key else str(name), value))
            if not isinstance(value, DictConfig | ListConfig) or name == TARGET:
                yield key, str(name), value


def _check_target(place: str, value: Any) -> None:
    if value is None or _is_allowed(place, str(value)):
        return
    package = str(value).partition(".")[0]
    if package in ("umss", "src"):
        raise UmssError(f"{place}={value}: this program has no such class to build; see conf")
    if package in sys.stdlib_module_names or package == "hydra":
        raise UmssError(
            f"{place}={value}: a configuration may build classes of this program only; leave this "
            "setting out, and distrust the file that has it"
        )
    raise UmssError(
        f"{place}={value}: a configuration may build classes of this program only; if you trust "
        f"the package {package}, set the environment variable {TRUST}={package} (several: "
        f"{TRUST}=one,other)"
    )


def _is_allowed(place: str, target: str) -> bool:
    if _is_own(target) or _LIGHTNING.fullmatch(target) or _is_trusted(target):
        return True
    return place in (f"hydra.launcher.{TARGET}", f"hydra.sweeper.{TARGET}") and bool(
        _PLUGIN.fullmatch(target)
    )


def _is_own(target: str) -> bool:
    """Whether it is a class that a module of this package defines, not one that it imports."""
    if target.partition(".")[0] in ("umss", "src") and target.partition(".")[2] in _OWN_OTHERS:
        return True
    match = _OWN.fullmatch(target)
    if match is None:
        return False
    path = _FOLDER.joinpath(*match[1].split(".")).with_suffix(".py")
    # Read, not imported: the command may need only a part of what is configured.
    return path.is_file() and bool(
        re.search(rf"^class {match[2]}\b", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    )


def _is_trusted(target: str) -> bool:
    """Whether it belongs to a package that the user trusts, not to one that this one imports."""
    trusted = [name.strip() for name in os.environ.get(TRUST, "").split(",") if name.strip()]
    if not _is_below(target, trusted):
        return False
    found = _locate(target)
    if found is None:
        return True  # there is none: Hydra says so
    home = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None)
    same = [*trusted, *(f"umss{name[3:]}" for name in trusted if name.partition(".")[0] == "src")]
    return isinstance(home, str) and _is_below(home, [*same, *_list_modules(same)])


def _list_modules(trusted: list[str]) -> list[str]:
    """Modules of trusted names such as package.module.Class."""
    return [name.rpartition(".")[0] for name in trusted if name.rpartition(".")[2][:1].isupper()]


def _is_below(name: str, packages: list[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _locate(target: str) -> Any:
    """What a dotted name stands for; None if there is no such thing."""
    parts = target.split(".")
    found: Any = None
    for k in range(1, len(parts) + 1):
        try:
            found = importlib.import_module(".".join(parts[:k]))
        except Exception:  # whatever the module does when it is imported: Hydra reports it
            for part in parts[k - 1 :]:
                found = getattr(found, part, None)
            return found
    return found


def _check_logging(place: str, name: str, value: Any) -> None:
    text = str(value)
    if (name in ("()", "class") and not _LOGGING.fullmatch(text)) or (
        text.startswith("ext://") and text not in _STREAMS
    ):
        raise UmssError(
            f"{place}={text}: logging takes handlers and formatters of Python's own module "
            "logging only; leave this setting out"
        )
