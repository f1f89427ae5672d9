"""Reading checkpoints, with messages that say what is wrong with one."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ..archives import ArchiveError, find_bad_values, read_tensors
from ..configuration import list_choices
from ..errors import UmssError, shorten_reason
from .source_filter_model import SourceFilterModel

# A hyper-parameter that one kind of model alone has, and the separator that takes such models.
_SEPARATORS = {"salience": "fd", "voice": "umss", "unet": "unet"}

# What building a model from settings of any kind may raise.
_MISFITS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError,
    RuntimeError,
)  # fmt: skip
# Sizes up to this are built without asking whether the file holds as many weights.
_ORDINARY = 2048

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
        model = _build(kind, {name: hyper_parameters[name] for name in known}, state)
    except _MISFITS as error:
        raise _report_misfit(path, error, hyper_parameters, kind) from error
    return model.eval().requires_grad_(False)


def _build(kind: type[Model], settings: dict[str, Any], state: Any) -> Model:
    """A model with the settings and the weights of a checkpoint."""
    if _find_largest(settings) > _ORDINARY:
        # Weights that the file does not hold must not take memory.
        with torch.device("meta"):
            sizes = {name: value.shape for name, value in kind(**settings).state_dict().items()}
        if any(name not in state or state[name].shape != size for name, size in sizes.items()):
            raise UmssError("its settings do not fit its weights")
    model = kind(**settings)
    _load_state(model, state)
    return model


def _load_state(model: nn.Module, state: Any) -> None:
    """Give a model weights.

    Raises:
        UmssError: names the weights that are no numbers. Of other misfits, PyTorch's own errors.
    """
    bad = find_bad_values(state)
    if bad is not None:
        raise UmssError(f"{bad} holds NaN or infinite numbers")
    for name, value in model.state_dict().items():
        given = state.get(name, value)
        if given.is_floating_point() != value.is_floating_point() or given.is_complex():
            raise UmssError(f"{name} holds numbers of type {given.dtype}")
    model.load_state_dict(state)


def _find_largest(value: Any) -> float:
    """The largest whole number in settings, but for sample rates."""
    if isinstance(value, dict):
        return max((_find_largest(v) for k, v in value.items() if k != "rate"), default=0)
    if isinstance(value, (list, tuple)):
        return max(map(_find_largest, value), default=0)
    return value if isinstance(value, int) else 0


def _report_misfit(
    path: str | Path, error: Exception, hyper_parameters: Any, kind: type
) -> CheckpointError:
    hint = _suggest_separator(hyper_parameters, kind)
    remedy = hint or "; use a file written by `umss train` for this separator"
    return CheckpointError(
        f"{path}: the checkpoint holds another kind of model or is damaged "
        f"({shorten_reason(error)}){remedy}"
    )


def _read(path: Path, experiment: str, field: str) -> tuple[Any, Any]:
    """Hyper-parameters and weights of a checkpoint file, named by a field of the configuration."""
    if path.is_dir():
        raise CheckpointError(
            f"{path}: no such checkpoint, but a folder; set {field} to a file in it, e.g. "
            f"{path / 'best.ckpt'}"
        )
    if not path.is_file():
        # The folder of a training begins with the name of its experiment.
        known = {name: name for name in list_choices("experiment")}
        known |= {f"paper_{name}": f"paper/{name}" for name in list_choices("experiment/paper")}
        trained = [name for name in known if f"{name}-j" in str(path)]
        advised = known.get(max(trained, key=len, default=""), experiment)
        raise CheckpointError(
            f"{path}: no such checkpoint; train one with `umss train experiment={advised}`, or "
            f"set {field} to the file"
        )
    try:
        content = read_tensors(path)
        if not isinstance(content, dict):
            raise TypeError
        hyper_parameters = content["hyper_parameters"]
        state = content["state_dict"]
    except (ArchiveError, LookupError, TypeError) as error:
        reason = str(error) if isinstance(error, ArchiveError) else "it lacks what one holds"
        raise CheckpointError(
            f"{path}: not a checkpoint of this program ({reason}); "
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
        _load_state(model, state)
    except _MISFITS as error:
        raise CheckpointError(
            f"init={path}: holds the weights of another network ({shorten_reason(error)}); choose "
            "the model that it was trained with (model=..., model.estimator, model.voice)"
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
        settings = {name: hyper_parameters[name] for name in ("voice", "estimator", "fft_sizes")}
        model = _build(SourceFilterModel, settings, state)
    except _MISFITS as error:
        raise _report_misfit(path, error, hyper_parameters, SourceFilterModel) from error
    return model.eval().requires_grad_(False)
