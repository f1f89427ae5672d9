"""Where the configuration lies, and reading it without a command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .errors import UmssError, shorten_reason
from .settings import check_settings, find_kinds
from .targets import check_targets

# Inside the package where it is installed; beside `src` in a checkout.
_HERE = Path(__file__).resolve().parent
FOLDER = next(
    (place for place in (_HERE / "conf", _HERE.parent / "conf") if place.is_dir()), _HERE / "conf"
)


def list_choices(group: str) -> list[str]:
    """Names that a group of the configuration offers, e.g. the methods in "separator".

    Files whose names begin with "_" are what others have in common.
    """
    return sorted(path.stem for path in (FOLDER / group).glob("[!_]*.yaml"))


def compose_config(
    name: str,
    *,
    choices: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> DictConfig:
    """The configuration of a command as its command line would have it.

    Args:
        name: of the command's file in `conf`, e.g. "separate".
        choices: by group, which of its files, e.g. {"separator": "fit"}.
        settings: values in place of the configuration's; mappings change what they name.
        overrides: further ones in Hydra's own notation.

    Raises:
        UmssError: a choice or setting that there is not.
    """
    chosen = []
    for group, choice in (choices or {}).items():
        known = list_choices(group)
        if choice not in known:
            raise UmssError(f"{group}={choice!r} is unknown; choose from {', '.join(known)}")
        chosen.append(f"{group}={choice}")
    with initialize_config_dir(str(FOLDER), version_base="1.3", job_name="umss"):
        config = hydra_compose(name, [*chosen, *overrides])
    for key, value in (settings or {}).items():
        if key not in config:
            names = ", ".join(str(k) for k in config if k not in ("paths", "input", "output"))
            raise UmssError(f"there is no setting {key!r}; the settings are {names}")
        try:
            OmegaConf.update(config, key, value, merge=True)
        except OmegaConfBaseException as error:
            raise UmssError(f"{key}={value!r}: {shorten_reason(error)}") from error
    check_targets(config)
    check_settings(config, find_kinds(FOLDER, name))
    return config
