"""One truth per setting: what stands in conf is also the default in code."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

from src.configuration import FOLDER, compose_config
from src.fit.separator import FitSeparator
from src.fit.umss import UmssFitSeparator
from src.models.estimator import ParameterEstimator
from src.models.salience_f0 import SalienceF0
from src.models.source_filter import SourceFilterVoice
from src.models.unet import ConditionedUnet

# Settings whose value in conf is not the code's default, and why.
MEANT_TO_DIFFER = {
    "data.split": "names the songs of one data set",
    "data.f0_augmentation.jitter_cents": "conf says how large errors are once they are asked for",
    "data.f0_augmentation.detune_cents": "likewise; in code every error is 0 until it is named",
    "data.f0_augmentation.octave_rate": "likewise",
    "data.f0_augmentation.dropped_rate": "likewise",
    "data.f0_augmentation.false_rate": "likewise",
}
# Arguments that are keyword arguments of another class, which has the defaults.
ARGUMENTS_OF = {
    "voice": SourceFilterVoice,
    "estimator": ParameterEstimator,
    "unet": ConditionedUnet,
    "salience": SalienceF0,
}


def nodes(content: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All nodes with a `_target_` of ours."""
    if isinstance(content, dict):
        if str(content.get("_target_", "")).startswith("umss."):
            yield place, content
        for key, value in content.items():
            yield from nodes(value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from nodes(value, f"{place}[{index}]")


def defaults(target: Any) -> dict[str, Any]:
    """Default values of a class's or function's arguments, by name."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def plain(value: Any) -> Any:
    """A default as the configuration would write it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "_target_"}
    return value


def differences(name: str, choices: dict[str, str]) -> list[str]:
    config = compose_config(name, choices=choices)
    raw = OmegaConf.to_container(config, resolve=False)
    found = []
    for place, node in nodes(raw):
        own = defaults(get_object(node["_target_"]))
        for key, value in node.items():
            interpolated = isinstance(value, str) and "${" in value
            nested = isinstance(value, dict) and "_target_" in value
            if key.startswith("_") or key not in own or interpolated:
                continue
            if nested and not dataclasses.is_dataclass(own[key]):
                continue  # an object of its own, which stands among the nodes
            if f"{place}.{key}" in MEANT_TO_DIFFER:
                continue
            if own[key] is None and key in ARGUMENTS_OF and isinstance(value, dict):
                inner = defaults(ARGUMENTS_OF[key])
                found += [
                    f"{place}.{key}.{k}: {v!r} in conf, {plain(inner[k])!r} in code"
                    for k, v in value.items()
                    if inner.get(k) is not None
                    and "${" not in str(v)
                    and plain(v) != plain(inner[k])
                ]
                continue
            if plain(value) != plain(own[key]):
                found.append(f"{place}.{key}: {value!r} in conf, {plain(own[key])!r} in code")
    return found


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        *(("separate", {"separator": p.stem}) for p in sorted((FOLDER / "separator").glob("*"))),
        *(("train", {"model": p.stem}) for p in sorted((FOLDER / "model").glob("*"))),
        ("f0", {}), ("evaluate", {}), ("train_f0", {}),
    ],
)  # fmt: skip
def test_what_stands_in_conf_is_the_default_in_code(name: str, choices: dict[str, str]) -> None:
    assert differences(name, choices) == []


def described(separator: Any) -> dict[str, Any]:
    """All settings of a separator that are plain values, and its opinions' trackers."""
    values = {k: v for k, v in vars(separator).items() if k not in ("opinions", "network")}
    opinions = separator.opinions
    trackers = {
        name: (type(e.model), vars(e.assigner), e.retune, e.preprocess)
        for name, e in opinions.estimators.items()
    }
    return {**values, "trackers": trackers, "readiness": opinions.readiness}


@pytest.mark.parametrize(("name", "kind"), [("fit", FitSeparator), ("umss_fit", UmssFitSeparator)])
def test_a_separator_without_arguments_is_that_of_the_command(name: str, kind: type) -> None:
    configured = instantiate(compose_config("separate", choices={"separator": name}).separator)
    assert type(configured) is kind
    assert described(configured) == described(kind())
