"""Reading checkpoints, with messages that say what is wrong with one."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ..configuration import list_choices
from ..errors import UmssError
from .source_filter_model import SourceFilterModel

# A hyper-parameter that one kind of model alone has, and the separator that takes such models.
_SEPARATORS = {"salience": "fd", "voice": "umss", "unet": "unet"}

# Trained on singers that may be redistributed, see docs/model_card.md.
SHIPPED = Path(__file__).parent / "voices.ckpt"


class CheckpointError(UmssError):
    """A checkpoint that cannot be used; the message names the file and the remedy."""


Model = TypeVar("Model", bound=nn.Module)


def load_module(path: str | Path, kind: type[Model], *, experiment: str) -> Model:
    """Rebuild a trained model from a checkpoint file.

    Only tensors and plain values are read: no code stored in the file is executed, and the class to
    build is chosen by the caller, not by the file.

    Args:
        path: file written by `umss train`.
        kind: class to build.
        experiment: an experiment that trains one, for the message.

    Raises:
        CheckpointError: missing file, not a checkpoint, or one of another model.
    """
    hyper_parameters, state = _read(Path(path), experiment, "separator.checkpoint")
    try:
        if _suggest_separator(hyper_parameters, kind):
            raise UmssError("its settings are those of another one")
        # Those of the training (learning rate, ...) are left out.
        known = inspect.signature(kind).parameters.keys() & hyper_parameters.keys()
        model = kind(**{name: hyper_parameters[name] for name in known})
        model.load_state_dict(state)
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint holds another kind of model ({error})"
            f"{_suggest_separator(hyper_parameters, kind)}"
        ) from error
    return model.eval().requires_grad_(False)


def _read(path: Path, experiment: str, field: str) -> tuple[Any, Any]:
    """Hyper-parameters and weights of a checkpoint file, named by a field of the configuration."""
    if not path.is_file():
        # The folder of a training begins with the name of its experiment.
        trained = [name for name in list_choices("experiment") if f"{name}-j" in str(path)]
        advised = max(trained, key=len, default=experiment)
        raise CheckpointError(
            f"{path}: no such checkpoint; train one with `umss train experiment={advised}`, or "
            f"set {field} to the file"
        )
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        hyper_parameters = content["hyper_parameters"]
        state = content["state_dict"]
    except Exception as error:  # torch.load raises half a dozen kinds for files it does not know
        raise CheckpointError(
            f"{path}: not a checkpoint of this program ({type(error).__name__}); "
            "use a .ckpt file written by `umss train`"
        ) from error
    return hyper_parameters, state


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Give a model the weights of a checkpoint file, of US, SV or any other training.

    Raises:
        CheckpointError: missing file, not a checkpoint, or weights of another network.
    """
    _, state = _read(Path(path), "us_small", "init")
    try:
        model.load_state_dict(state)
    except (TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"init={path}: holds the weights of another network ({error}); choose the model that "
            "it was trained with (model=..., model.estimator, model.voice)"
        ) from error


def _suggest_separator(hyper_parameters: Any, kind: type) -> str:
    """What to add to the message if the checkpoint fits a separator that we know."""
    expected = inspect.signature(kind).parameters
    for name, separator in _SEPARATORS.items():
        if isinstance(hyper_parameters, dict) and name in hyper_parameters.keys() - expected.keys():
            return f"; use it with separator={separator}"
    return ""


def load_model(path: str | Path | None = None) -> SourceFilterModel:
    """Rebuild a trained source-filter model from a checkpoint file.

    Args:
        path: file written by `umss train experiment=us_small` or another US or SV training; None =
            the model of this package.

    Returns:
        The network, in evaluation mode and without gradients: `model(mixture, f0, seed)`.

    Raises:
        CheckpointError: missing file, not a checkpoint, or one of another model.
    """
    path = SHIPPED if path is None else Path(path)
    hyper_parameters, state = _read(path, "us_small", "separator.checkpoint")
    try:
        if "voice" not in hyper_parameters or "salience" in hyper_parameters:
            raise UmssError("its settings have no voice, or F0 networks of their own")
        model = SourceFilterModel(
            voice=hyper_parameters["voice"],
            estimator=hyper_parameters["estimator"],
            fft_sizes=hyper_parameters["fft_sizes"],
        )
        model.load_state_dict(state)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint holds another kind of model ({error})"
            f"{_suggest_separator(hyper_parameters, SourceFilterModel)}"
        ) from error
    return model.eval().requires_grad_(False)
