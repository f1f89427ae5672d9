"""The conditioned U-Net: against scipy, at any size, and steered by F0 alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from src.f0.published.hcqt import bin_frequencies
from src.models.unet import ConditionedUnet, drop_channels
from src.models.unet_control import (
    ControlNetwork,
    ReleasedControl,
    compute_pitch_classes,
    compute_pitch_salience,
)

TINY: dict[str, Any] = {
    "n_fft": 64,
    "channels": [2, 3, 4],
    "control_channels": [4, 5],
    "film": "both",
}


def tiny(**options: Any) -> ConditionedUnet:
    torch.manual_seed(0)
    return ConditionedUnet(**{**TINY, **options}).eval()


def randomise(model: nn.Module) -> None:
    """Running statistics and scales as after training."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.data.uniform_(0.5, 1.5)


def test_salience_peaks_at_the_bin_of_the_f0() -> None:
    frequencies = bin_frequencies()
    salience = compute_pitch_salience(torch.tensor(frequencies, dtype=torch.float64)[None])
    expected = np.exp(-0.5 * (np.arange(360)[:, None] - np.arange(360)) ** 2)
    np.testing.assert_allclose(salience[0].numpy(), expected, atol=1e-9)
    # Between two bins: both alike.
    between = compute_pitch_salience(
        torch.tensor([[float(np.sqrt(frequencies[99] * frequencies[100]))]])
    )
    assert between[0, 99, 0] == pytest.approx(float(between[0, 100, 0]), rel=1e-3)


def test_salience_of_silence_and_beyond_the_grid_is_zero() -> None:
    salience = compute_pitch_salience(torch.tensor([[0.0, 1.0, 8000.0, 32.7]]))
    assert salience.isfinite().all()
    assert salience[0, :, :3].abs().max() < 1e-12
    assert salience[0, 0, 3] == pytest.approx(1.0)


def test_dropped_feature_maps() -> None:
    draws = torch.rand(500, 8) * 2 - 1
    x = torch.rand(500, 6, 3, 2) + 0.1
    y = drop_channels(x, draws, 0.3)
    zero = (y == 0).flatten(2)
    assert torch.equal(zero.all(-1), zero.any(-1))
    assert float(zero.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.allclose(y[y != 0], (x / 0.7)[y != 0])
    assert torch.equal(drop_channels(x, draws, 0.0), x)


def test_control_follows_the_contour_frame_by_frame() -> None:
    torch.manual_seed(0)
    control = ControlNetwork([4, 6, 5]).eval()
    f0 = torch.full((1, 101), 300.0)
    moved = f0.clone()
    moved[0, 50] = 420.0
    changed = (control(f0) != control(moved)).any(dim=1)[0].nonzero()[:, 0]
    # Three kernels of 9 frames reach 12 frames to both sides: centred, so the grid is kept.
    assert int(changed.min()) >= 38 and int(changed.max()) <= 62
    assert 50 - int(changed.min()) == int(changed.max()) - 50


def reference(model: ConditionedUnet, magnitudes: np.ndarray, f0: torch.Tensor) -> np.ndarray:
    """A U-Net of one layer in float64 with scipy's correlation."""
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    control = model.control(f0).detach().numpy()[0]

    def film(name: str, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        heads = weights[f"{name}.heads.weight"][..., 0] @ features
        heads += weights[f"{name}.heads.bias"][:, None]
        return 1.0 + heads[: len(heads) // 2], heads[len(heads) // 2 :]

    scale, shift = film("input_film", control)
    x = np.pad(magnitudes / magnitudes.max() * scale + shift, 2)
    scale, shift = film("encoder_film.0", control[:, ::2])
    maps = []
    for c, kernel in enumerate(weights["encoder.0.weight"][:, 0]):
        y = correlate2d(x, kernel, mode="valid")[::2, ::2] + weights["encoder.0.bias"][c]
        y = (y - weights["encoder_norms.0.running_mean"][c]) / np.sqrt(
            weights["encoder_norms.0.running_var"][c] + 1e-5
        )
        y = y * weights["encoder_norms.0.weight"][c] + weights["encoder_norms.0.bias"][c]
        y = y * scale[c] + shift[c]
        maps.append(np.where(y > 0, y, 0.2 * y))
    # Transposed convolution: every value adds a kernel to the output.
    n_rows, n_columns = magnitudes.shape
    logits = np.full((n_rows + 8, n_columns + 8), weights["decoder.0.bias"][0])
    for y, kernel in zip(maps, weights["decoder.0.weight"][:, 0], strict=True):
        for (row, column), value in np.ndenumerate(y):
            logits[2 * row : 2 * row + 5, 2 * column : 2 * column + 5] += value * kernel
    return 1.0 / (1.0 + np.exp(-logits[2 : 2 + n_rows, 2 : 2 + n_columns]))


@pytest.mark.parametrize("n_frames", [1, 8, 9])
def test_one_layer_against_scipy(n_frames: int) -> None:
    model = tiny(n_fft=30, channels=[3])
    randomise(model)
    magnitudes = torch.rand(1, 16, n_frames)
    f0 = torch.linspace(100.0, 400.0, n_frames)[None]
    mask = model(magnitudes, f0)[0].detach().numpy()
    expected = reference(model, magnitudes[0].double().numpy(), f0)
    np.testing.assert_allclose(mask, expected, atol=2e-6)


@pytest.mark.parametrize("film", ["input", "encoder", "both"])
@pytest.mark.parametrize("n_frames", [1, 2, 7, 64, 251])
def test_any_length(film: str, n_frames: int) -> None:
    model = tiny(film=film)
    mask = model(torch.rand(2, 33, n_frames), torch.full((2, n_frames), 200.0))
    assert mask.shape == (2, 33, n_frames)
    assert mask.dtype == torch.float32
    assert ((mask > 0) & (mask < 1)).all()


def test_the_published_size() -> None:
    model = ConditionedUnet()
    shapes = [tuple(layer.weight.shape) for layer in model.encoder]
    assert shapes == [
        (16, 1, 5, 5),
        (32, 16, 5, 5),
        (64, 32, 5, 5),
        (128, 64, 5, 5),
        (256, 128, 5, 5),
        (512, 256, 5, 5),
    ]
    outputs = [layer.weight.shape[:2] for layer in model.decoder]
    assert outputs == [(512, 256), (512, 128), (256, 64), (128, 32), (64, 16), (32, 1)]
    assert model.n_draws == (3, 256)
    # Encoder, decoder, control network, and scale and shift of 513 bins from 256 features.
    weights = sum(p.numel() for p in model.parameters())
    assert weights == 4_368_224 + 5_455_089 + 209_520 + 2 * 513 * 257


@pytest.mark.parametrize("film", ["input", "encoder", "both"])
def test_f0_decides_and_every_weight_learns(film: str) -> None:
    model = tiny(film=film).train()
    magnitudes = torch.rand(1, 33, 16).repeat(2, 1, 1)
    f0 = torch.tensor([[220.0], [330.0]]).repeat(1, 16)
    masks = model(magnitudes, f0)
    assert not torch.allclose(masks[0], masks[1])
    masks.square().sum().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # Batch normalisation takes the mean away, so these biases cannot matter.
    norms = {f"{part}.{i}.bias" for part in ("encoder", "decoder") for i in range(3)}
    norms |= {f"control.layers.{i}.bias" for i in range(2)}
    assert set(still) <= norms


def test_mixtures_of_a_batch_do_not_touch_each_other_and_level_does_not_matter() -> None:
    model = tiny()
    randomise(model)
    magnitudes = torch.rand(3, 33, 20)
    f0 = torch.rand(3, 20) * 300 + 80
    together = model(magnitudes, f0)
    for b in range(3):
        alone = model(1e-3 * magnitudes[b : b + 1], f0[b : b + 1])
        assert torch.allclose(alone[0], together[b], atol=1e-5)
    assert model(torch.zeros(1, 33, 20), torch.zeros(1, 20)).isfinite().all()


def test_dropout_comes_from_the_numbers_given() -> None:
    model = tiny()
    magnitudes, f0 = torch.rand(2, 33, 20), torch.full((2, 20), 200.0)
    layers, maps = model.n_draws
    assert (layers, maps) == (2, 3)
    plain = model(magnitudes, f0)
    draws = torch.ones(2, layers, maps)
    torch.randn(10)
    # Everything kept: only the gain of 1 / (1 - rate) is left.
    assert not torch.allclose(model(magnitudes, f0, draws), plain)
    assert torch.equal(tiny(dropout=0.0)(magnitudes, f0, draws), plain)
    half = torch.tensor([1.0, -1.0, 1.0]).expand(2, layers, maps)
    assert torch.equal(model(magnitudes, f0, half), model(magnitudes, f0, half))
    assert not torch.equal(model(magnitudes, f0, half), model(magnitudes, f0, draws))


def test_bfloat16_is_close() -> None:
    model = tiny()
    randomise(model)
    magnitudes, f0 = torch.rand(2, 33, 40), torch.full((2, 40), 200.0)
    exact = model(magnitudes, f0)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = model(magnitudes, f0)
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, exact)
    assert float((coarse - exact).detach().abs().max()) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"film": "decoder"}, r"model\.unet\.film must be input, encoder or both; got 'decoder'"),
        ({"channels": []}, "need at least one number"),
        ({"control_channels": []}, "need at least one number"),
        ({"dropout": 1.0}, r"model\.unet\.dropout must be at least 0 and below 1"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**options)


@pytest.mark.parametrize(("bins", "frames"), [(32, 10), (33, 9)])
def test_wrong_shapes(bins: int, frames: int) -> None:
    with pytest.raises(ValueError, match=r"F = 33 and f0 \[B, N\]; got"):
        tiny()(torch.rand(2, bins, frames), torch.zeros(2, 10))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees() -> None:
    model = tiny()
    randomise(model)
    magnitudes, f0 = torch.rand(2, 33, 40), torch.rand(2, 40) * 300 + 80
    expected = model(magnitudes, f0)
    result = model.cuda()(magnitudes.cuda(), f0.cuda()).cpu()
    assert torch.allclose(result, expected, atol=1e-3)


def test_classes_of_the_released_control() -> None:
    classes = compute_pitch_classes(torch.tensor([[0.0, 32.7, 65.4, 66.0, 8000.0]]))[0]
    # Silence has a class of its own; the nearest bin; what is out of range, the last one.
    assert classes.shape == (361, 5)
    assert classes.argmax(dim=0).tolist() == [0, 1, 61, 62, 360]
    assert torch.equal(classes.amax(dim=0), torch.ones(5))
    assert float(classes[3, 0]) == pytest.approx(math.exp(-4.5))
    assert int((classes[:, 2] > 0).sum()) == 9


def test_the_released_control_is_linear_and_as_large_as_published() -> None:
    torch.manual_seed(0)
    control = ReleasedControl([16, 64, 256])
    # Conv1d(361, 16, 10), Conv1d(16, 64, 10) and Conv1d(64, 256, 10) of the released code.
    wanted = (361 * 16 + 16 * 64 + 64 * 256) * 10 + 16 + 64 + 256
    assert sum(p.numel() for p in control.parameters()) == wanted
    f0 = torch.full((1, 61), 300.0)
    moved = f0.clone()
    moved[0, 30] = 420.0
    changed = (control(f0) != control(moved)).any(dim=1)[0].nonzero()[:, 0]
    # Kernels of ten frames see four before and five after their own.
    assert (int(changed.min()), int(changed.max())) == (15, 42)


def test_released_settings() -> None:
    model = tiny(control="released", leak=1.0, film="input")
    mask = model(torch.rand(2, 33, 9), torch.full((2, 9), 200.0))
    assert mask.shape == (2, 33, 9) and ((mask > 0) & (mask < 1)).all()
    assert model.input_film is not None
    scale, _ = model.input_film(torch.zeros(1, 5, 1))
    assert not torch.allclose(scale, torch.ones_like(scale), atol=0.1)  # no start near 1
    for options, message in (
        ({"control": "none"}, "control must be normalised or released"),
        ({"leak": -0.1}, "model.unet.leak=-0.1: give a number from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            tiny(**options)
