"""Every setting has one value: what the configuration says is what the code takes by default."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, get_object, instantiate
from omegaconf import OmegaConf
from torch import nn

from src.configuration import FOLDER, compose_config
from src.errors import UmssError
from src.fit.separator import FitOptions, FitSeparator
from src.fit.umss import UmssFitSeparator
from src.models.estimator import ParameterEstimator
from src.models.fd_lit import F0_WEIGHTS
from src.models.salience_f0 import RANGES, THRESHOLDS, SalienceF0
from src.models.source_filter import SourceFilterVoice
from src.models.unet import ConditionedUnet

# Files that differ from the code on purpose.
VARIANTS = {
    "data/bcbq": "song lists of this data set",
    "data/choralsynth": "song lists of this data set",
    "data/csd": "the reference protocol cuts this data set's test excerpts elsewhere",
    "data/folder": "where the user's folder lies",
    "data/generated": "song lists of this data set",
    "data/mixtures": "F0 is estimated, because there are no stems",
    "data/several": "song lists of these data sets",
    "multif0/harmonic": "multif0=default with another input",
    "separator/nmf1_published": "separator=nmf1 with nothing tuned",
    "separator/nmf2_published": "separator=nmf2 with nothing tuned",
    "multif0/published": "the published method, which does not tune tracks",
    "multif0/voas": "the published method, which does not tune tracks",
    "trainer/ddp": "several GPUs",
    "trainer/ddp_cpu": "several processes",
}
# Plain dictionaries that end as keyword arguments of something else.
KEYWORDS: dict[str, Any] = {
    "estimator": ParameterEstimator,
    "salience": SalienceF0,
    "unet": ConditionedUnet,
    "voice": SourceFilterVoice,
}
# What None, the default of the code, stands for.
_NO_LISTS = {"train": None, "val": None, "test": None}
STANDS_FOR = {
    "f0_weights": F0_WEIGHTS,
    "ranges": RANGES,
    "split": {"full": _NO_LISTS, "small": _NO_LISTS},
    "thresholds": THRESHOLDS,
}
GROUPS = ("callbacks", "data", "logger", "model", "multif0", "separator", "trainer")
FILES = [
    f"{group}/{path.stem}"
    for group in GROUPS
    for path in sorted((FOLDER / group).glob("*.yaml"))
    if f"{group}/{path.stem}" not in VARIANTS
]
COMMANDS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
_MISSING = inspect.Parameter.empty


def raw(file: str) -> Any:
    """A file of the configuration with its own defaults list, interpolations unresolved."""
    group, _ = file.split("/")
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        return OmegaConf.to_container(compose(overrides=[f"+{file.replace('/', '=')}"]))[group]


def defaults_of(target: Any) -> dict[str, Any]:
    """Defaults by name of a function or class; of `**options`, those of the class above."""
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD and inspect.isclass(target):
            found = defaults_of(target.__mro__[1]) | found
        else:
            found[name] = parameter.default
    return found


def takes_anything(target: Any) -> bool:
    """Whether a function hands unknown options on, e.g. to Weights & Biases."""
    kinds = [parameter.kind for parameter in inspect.signature(target).parameters.values()]
    return not inspect.isclass(target) and inspect.Parameter.VAR_KEYWORD in kinds


def nodes_in(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [x for x in value.values() if isinstance(x, dict)]


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): plain(x) for key, x in value.items()}
    return [plain(x) for x in value] if isinstance(value, (list, tuple)) else value


def differences(node: Any, place: str) -> Iterator[str]:
    """Settings of a configuration that differ from the defaults of its targets."""
    if not isinstance(node, dict):
        return
    name = node.get("_target_", "")
    if name.startswith("umss."):
        yield from _against(get_object(name), name, node, place)
    for key, value in node.items():
        yield from differences(value, f"{place}.{key}")


def _against(target: Any, name: str, node: dict[str, Any], place: str) -> Iterator[str]:
    defaults = defaults_of(target)
    for key, value in node.items():
        if key.startswith("_") or (key not in defaults and takes_anything(target)):
            continue
        if key not in defaults:
            yield f"{place}.{key} is no setting of {name}"
        elif isinstance(value, dict) and any("_target_" in x for x in (value, *nodes_in(value))):
            continue  # compared by themselves, and below as objects
        elif isinstance(value, dict) and key in KEYWORDS and defaults[key] is None:
            yield from _against(KEYWORDS[key], name, value, f"{place}.{key}")
        elif not (isinstance(value, str) and "${" in value) and defaults[key] is not _MISSING:
            default = STANDS_FOR.get(key) if defaults[key] is None else defaults[key]
            if plain(value) != plain(default):
                yield f"{place}.{key} is {value!r}, but {default!r} in {name}"


@pytest.mark.parametrize("file", FILES)
def test_the_configuration_holds_the_defaults_of_the_code(file: str) -> None:
    assert not list(differences(raw(file), file))


@pytest.mark.parametrize("command", COMMANDS)
def test_settings_beside_the_groups_do_too(command: str) -> None:
    assert not list(
        differences(OmegaConf.to_container(OmegaConf.load(FOLDER / f"{command}.yaml")), command)
    )


@pytest.mark.parametrize("file", sorted(VARIANTS))
def test_variants_set_nothing_that_there_is_not(file: str) -> None:
    assert not [x for x in differences(raw(file), file) if "is no setting" in x]


def test_differences_are_found() -> None:
    node = {"_target_": "umss.baselines.masks.CombSeparator", "mask": "power", "colour": 1}
    assert list(differences({"a": node}, "x")) == [
        "x.a.mask is 'power', but 'magnitude' in umss.baselines.masks.CombSeparator",
        "x.a.colour is no setting of umss.baselines.masks.CombSeparator",
    ]


def described(value: Any) -> Any:
    """What an object is made of, as plain values that can be compared."""
    if isinstance(value, nn.Module):
        return type(value).__name__, {k: v.tolist() for k, v in value.state_dict().items()}
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: described(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(x) for x in value]
    if type(value).__module__.startswith("umss") and hasattr(value, "__dict__"):
        return type(value).__name__, described(vars(value))
    return value


@pytest.mark.parametrize(
    "name", ["comb", "fit", "hpss_comb", "mixture", "nmf1", "nmf2", "oracle", "umss", "umss_fit"]
)
def test_separators_of_the_code_are_those_of_the_commands(name: str) -> None:
    config = raw(f"separator/{name}")
    assert described(get_class(config["_target_"])()) == described(instantiate(config))


def test_parts_of_the_default_fit_can_be_left_out_and_changed() -> None:
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        overrides = ["opinions=null", "partials=null", "tuning.window=4096", "spectra.domain=2"]
        config = compose(
            "separate", ["input=x", "separator=fit", *(f"separator.{x}" for x in overrides)]
        )
    separator = instantiate(config.separator)
    assert isinstance(separator, FitSeparator)
    assert separator.opinions is None and separator.partials is None
    assert separator.tuning is not None and separator.tuning.window == 4096
    assert separator.spectra.domain == 2


def test_options_that_are_handed_on_are_all_options() -> None:
    own = defaults_of(FitSeparator).keys() - {"device"}
    assert FitOptions.__annotations__.keys() == own
    assert defaults_of(UmssFitSeparator).keys() > own


def test_chunks_and_commands_agree() -> None:
    from src.api import estimate_f0, separate
    from src.arrays import separate_array
    from src.chunks import separate_chunks

    config = OmegaConf.load(FOLDER / "separate.yaml")
    for function in (separate_chunks, separate_array):
        for key in ("window_seconds", "overlap_seconds", "chunk_seconds", "seed", "full_band"):
            assert defaults_of(function)[key] == config[key]
    choices = {
        name: choice
        for x in config.defaults
        if not isinstance(x, str)
        for name, choice in x.items()
    }
    assert defaults_of(separate)["method"] == choices["separator"]
    assert defaults_of(separate)["multif0"] == choices["multif0"]
    assert defaults_of(separate)["n_singers"] == config.n_singers
    f0 = OmegaConf.load(FOLDER / "f0.yaml")
    assert defaults_of(estimate_f0)["n_singers"] == f0.n_singers


def test_variants_exist() -> None:
    assert all((Path(FOLDER) / f"{file}.yaml").is_file() for file in VARIANTS)


def test_only_recordings_are_counted() -> None:
    assert compose_config("separate", settings={"n_singers": "auto"}).n_singers == "auto"
    assert compose_config("f0", overrides=["n_singers=auto"]).n_singers == "auto"
    for command in ("train", "evaluate", "evaluate_f0"):
        with pytest.raises(UmssError, match="data set are made of as many singers as is said"):
            compose_config(command, settings={"n_singers": "auto"})
