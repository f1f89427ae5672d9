"""F0 networks inside a model: the published networks, hard decisions, gradients, the time grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from src.f0.contours import F0Contours
from src.f0.published.cuesta import CuestaLateDeep, LateDeep
from src.f0.published.hcqt import bin_frequencies, frame_times
from src.f0.published.keras_layers import WeightsError
from src.f0.published.voas import VoasAssigner, VoasCnn
from src.f0.salience import Salience
from src.models.fd_decisions import (
    choose_strongest,
    find_parabola_top,
    replace_gradient,
    resample_decisions,
)
from src.models.fd_layers import FourierConv, TrainableWeights, read_or_draw_weights
from src.models.salience_f0 import (
    RANGES,
    THRESHOLDS,
    SalienceF0,
    VoiceF0,
    build_range_mask,
    compute_f0_losses,
)
from tests.f0 import random_weights


@pytest.fixture
def tiny() -> SalienceF0:
    torch.manual_seed(0)
    return SalienceF0()


def sung(f0: np.ndarray, rate: int = 16_000) -> np.ndarray:
    """A voice with ten harmonics, float32 [T]."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    return np.sum([np.sin(i * phase) / i for i in range(1, 11)], axis=0).astype(np.float32)


@pytest.mark.parametrize(("tall", "wide"), [(70, 3), (41, 1), (5, 3)])
def test_fourier_conv_is_a_convolution(tall: int, wide: int) -> None:
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(tall, wide, 3, 4, generator=generator)
    bias = torch.randn(4, generator=generator)
    layer = FourierConv(kernel, bias, n_bins=40)
    x = torch.randn(2, 3, 40, 7, generator=generator, requires_grad=True)
    weight = kernel.permute(3, 2, 0, 1).double().requires_grad_()
    reference = x.detach().double().requires_grad_()
    before = (tall - 1) // 2
    padded = torch.nn.functional.pad(reference, (wide // 2, wide // 2, before, tall - 1 - before))
    expected = torch.nn.functional.conv2d(padded, weight, bias.double())
    found = layer(x)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
    target = torch.randn(expected.shape, generator=generator)
    (found * target).sum().backward()
    (expected * target).sum().backward()
    assert layer.kernel.grad is not None and weight.grad is not None
    assert x.grad is not None and reference.grad is not None and layer.bias.grad is not None
    close = {"rtol": 1e-4, "atol": 1e-3}
    torch.testing.assert_close(layer.kernel.grad.permute(3, 2, 0, 1).double(), weight.grad, **close)
    torch.testing.assert_close(x.grad.double(), reference.grad, **close)
    torch.testing.assert_close(layer.bias.grad, target.sum((0, 2, 3)), **close)


def test_networks_that_learn_are_the_published_ones(tmp_path: Path) -> None:
    deep = random_weights.save(tmp_path / "deep.npz", random_weights.late_deep())
    voas = random_weights.save(tmp_path / "voas.npz", random_weights.voas())
    torch.manual_seed(0)
    level, advance = torch.randn(2, 5, 360, 4), torch.randn(2, 5, 360, 4)
    trainable = LateDeep(TrainableWeights(deep)).requires_grad_(True)
    found = trainable(level, advance)
    torch.testing.assert_close(found, LateDeep.load(deep)(level, advance), rtol=1e-3, atol=1e-4)
    # All weights: the published file holds 1.2 million beside the statistics.
    statistics = sum(
        value.size for key, value in random_weights.late_deep().items() if "mov" in key
    )
    stored = sum(value.size for value in random_weights.late_deep().values()) - statistics
    assert sum(p.numel() for p in trainable.parameters()) == stored
    split = VoasCnn(TrainableWeights(voas)).requires_grad_(True)
    expected = VoasCnn.load(voas)(found.detach())
    torch.testing.assert_close(split(found.detach()), expected, rtol=1e-3, atol=1e-4)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights"):
        read_or_draw_weights(tmp_path / "none.npz")
    with pytest.raises(WeightsError, match="no such weights"):
        SalienceF0(late_deep=tmp_path / "none.npz")


def test_a_decision_is_the_maximum_if_it_reaches_the_threshold() -> None:
    model = SalienceF0(refine=False)
    voices = torch.rand(2, 4, 360, 5, generator=torch.Generator().manual_seed(0)) * 0.9
    least = torch.tensor([THRESHOLDS[v] for v in ("soprano", "alto", "tenor", "bass")])
    voices[0, :, :, 0] = least[:, None] - 0.01
    voices[1, :, 100, 1] = 0.95
    f0, voicing, place = model.decide(voices)
    expected = bin_frequencies()[voices.numpy().argmax(axis=2)]
    assert (f0[0, :, 0] == 0).all() and (voicing[0, :, 0] == 0).all()
    expected[0, :, 0] = 0
    np.testing.assert_allclose(f0.numpy(), expected, rtol=1e-6)
    assert set(voicing.unique().tolist()) == {0.0, 1.0}
    assert (place[1, :, 1] == 100).all()


def test_a_peak_between_two_bins() -> None:
    bins = torch.arange(360.0)
    for top in (100.0, 100.3, 99.7, 100.5):
        salience = (0.9 - 0.01 * (bins - top) ** 2).clamp(min=0)[:, None]
        place = salience.argmax(dim=0)
        assert place + find_parabola_top(salience, place) == pytest.approx(top, abs=1e-4)
    edges = torch.zeros(360, 2)
    edges[0, 0] = edges[-1, 1] = 1.0
    assert (find_parabola_top(edges, edges.argmax(dim=0)) == 0).all()
    assert (find_parabola_top(torch.ones(360, 1), torch.tensor([50])) == 0).all()


def test_straight_through_has_one_value_and_another_gradient() -> None:
    x = torch.tensor([0.2, 0.7], requires_grad=True)
    found = replace_gradient((x > 0.5).float(), x**2)
    assert found.tolist() == [0.0, 1.0]
    found.sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())


def test_gradient_of_f0_is_that_of_the_softmax_mean() -> None:
    model = SalienceF0(temperature=0.1)
    voices = torch.rand(1, 4, 360, 2, generator=torch.Generator().manual_seed(1))
    voices.requires_grad_()
    f0, _, place = model.decide(voices)
    (f0[0, 2, 1].log2() * 1200).backward()
    assert voices.grad is not None
    map_ = voices.detach()[0, 2, :, 1].double()
    weights = torch.softmax(map_ / 0.1, 0)
    cents = 20.0 * torch.arange(360)
    expected = weights * (cents - (weights * cents).sum()) / 0.1
    torch.testing.assert_close(
        voices.grad[0, 2, :, 1].double(),
        expected,
        rtol=1e-3,
        atol=1e-4 * float(expected.abs().max()),
    )
    assert voices.grad[0, :2].abs().max() == 0 and voices.grad[0, 2, :, 0].abs().max() == 0
    # More salience above the pitch raises it.
    assert (voices.grad[0, 2, place[0, 2, 1] + 1, 1] > 0) == (
        cents[place[0, 2, 1] + 1] > (weights * cents).sum()
    )
    voices.grad = None
    model.decide(voices)[1].sum().backward()
    assert voices.grad is not None
    assert torch.equal(voices.grad.sum(2), torch.ones(1, 4, 2))
    assert torch.equal(voices.grad.argmax(2), place)


def test_within_ranges() -> None:
    voices = torch.full((1, 4, 360, 1), 0.5)
    voices[:, :, 10] = 0.9  # below all ranges
    assert (SalienceF0().decide(voices)[2] == 10).all()
    f0 = SalienceF0(within_ranges=True).decide(voices)[0][0, :, 0]
    for value, (low, high) in zip(f0.tolist(), RANGES.values(), strict=True):
        assert low * 0.98 < value < high * 1.02


def test_frames_agree_with_the_contours() -> None:
    rng = np.random.default_rng(0)
    f0 = rng.uniform(100, 800, (60, 4)).astype(np.float32)
    f0[rng.random((60, 4)) < 0.3] = 0.0
    n_frames = int(60 * 256 / 22_050 * 16_000 / 256) - 1
    contours = F0Contours(frame_times(60), f0, ("a", "b", "c", "d"))
    expected = contours.to_frames(n_frames).T
    track = torch.from_numpy(f0.T.copy())
    found, voicing = resample_decisions(track, (track > 0).float(), n_frames)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert np.array_equal(voicing.numpy() > 0, expected > 0)
    beyond, _ = resample_decisions(track[:, :3], (track[:, :3] > 0).float(), 40)
    assert torch.equal(beyond[:, -1], track[:, 2])


def test_gradient_through_the_time_grid() -> None:
    track = torch.tensor([[200.0, 210.0, 0.0, 190.0, 180.0]], dtype=torch.float64)
    voiced = (track > 0).double()
    assert gradcheck(
        lambda x: resample_decisions(x * voiced, voiced, 4)[0], (track.requires_grad_(),)
    )


def test_ranges_are_those_of_the_publication() -> None:
    mask = build_range_mask([RANGES[v] for v in ("soprano", "alto", "tenor", "bass")])
    for row, (first, last) in zip(
        mask, [(179, 285), (152, 260), (129, 225), (88, 189)], strict=True
    ):
        inside = row.nonzero().flatten()
        assert (int(inside[0]), int(inside[-1])) == (first, last)
        assert len(inside) == last - first + 1
    with pytest.raises(ValueError, match=r"\[500, 400\] must be"):
        build_range_mask([(500, 400)])


def test_losses_are_zero_for_what_they_ask_for() -> None:
    mask = build_range_mask([RANGES[v] for v in ("soprano", "alto", "tenor", "bass")])
    committed = torch.zeros(1, 4, 360, 3)
    for voice, place in enumerate((200, 180, 150, 110)):
        committed[:, voice, place] = 1.0
    good = VoiceF0(committed, committed, committed.sum(1), committed, committed)
    assert all(float(value) == 0 for value in compute_f0_losses(good, mask).values())
    outside = committed.clone()
    outside[:, 3, 110], outside[:, 3, 300] = 0.0, 0.5  # a bass at 1046 Hz
    losses = compute_f0_losses(
        VoiceF0(outside, outside, committed.sum(1), outside, committed), mask
    )
    cells = 360 * 3
    assert float(losses["salience"]) == pytest.approx(3 * (1 + 0.25) / cells)
    assert float(losses["range"]) == pytest.approx(3 * 0.25 / (4 * cells))
    assert float(losses["commitment"]) == pytest.approx(3 * (1 + 0.25) / (4 * cells))


def test_the_voices_found_most_often() -> None:
    voicing = torch.tensor([[1, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1.0]])[None]
    peak = torch.tensor([0.5, 0.9, 0.9, 0.6])[None, :, None].expand(1, 4, 3)
    assert choose_strongest(voicing, peak, 2).tolist() == [[0, 3]]
    assert choose_strongest(voicing, peak, 3).tolist() == [[0, 2, 3]]
    assert choose_strongest(voicing, peak, 1).tolist() == [[3]]
    assert choose_strongest(voicing, peak, 4).tolist() == [[0, 1, 2, 3]]


def test_mixtures_to_voices_of_any_number(tiny: SalienceF0) -> None:
    mixture = torch.randn(2, 2000, generator=torch.Generator().manual_seed(0))
    for n_singers in (1, 3, 4):
        found = tiny(mixture, n_singers)
        assert found.f0.shape == found.voicing.shape == (2, n_singers, 8)
        assert (found.f0 >= 0).all() and torch.isfinite(found.f0).all()
        # Voices that were not chosen commit to silence.
        sings = found.committed.amax((2, 3)).sum(1)
        assert (sings <= n_singers).all()
        assert (found.committed.sum(2) <= 1).all()
    with pytest.raises(ValueError, match="n_singers=5"):
        tiny(mixture, 5)
    silent = tiny(torch.zeros(1, 600), 2)
    assert torch.isfinite(silent.f0).all() and torch.isfinite(silent.voices).all()


@pytest.mark.slow
def test_recomputing_changes_nothing(tiny: SalienceF0) -> None:
    mixture = torch.randn(2, 1500, generator=torch.Generator().manual_seed(1))
    gradients = []
    for recompute in (False, True):
        tiny.recompute = recompute
        tiny.zero_grad()
        found = tiny(mixture, 4)
        (found.f0.sum() * 1e-3 + found.salience.square().sum()).backward()
        gradients.append([p.grad.clone() for p in tiny.parameters() if p.grad is not None])
    tiny.recompute = False
    assert len(gradients[0]) == len(gradients[1]) > 50
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(a.abs().max()) + 1e-9)


def test_what_learns_and_what_stays(tiny: SalienceF0) -> None:
    assert all(p.requires_grad for p in tiny.parameters())
    voices = SalienceF0(train="voices")
    assert {n.split(".")[0] for n, p in voices.named_parameters() if p.requires_grad} == {"voas"}
    assert not any(p.requires_grad for p in SalienceF0(train="none").parameters())
    norms = [m for m in tiny.train().modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": "some"}, "train must be"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"thresholds": {"soprano": 0.1}}, "thresholds must name soprano, alto, tenor, bass"),
        ({"ranges": {}}, "ranges must name .* got none"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SalienceF0(**options)  # type: ignore[arg-type]


def published(shared_dir: Path) -> dict[str, str]:
    models = shared_dir / "models"
    return {
        "late_deep": str(models / "cuesta2020_late_deep" / "late_deep.npz"),
        "voas": str(models / "voas_cnn" / "voas_cnn.npz"),
    }


def test_published_weights_find_the_notes_at_the_right_time(shared_dir: Path) -> None:
    """The same F0s as by the estimators of src.f0, and the step of a voice at its frame."""
    weights = published(shared_dir)
    n_samples = 16_000
    step = 40 * 256  # frame 40 is the first of the second note
    # No octaves and fifths: a network may take one voice for a partial of another.
    soprano = np.where(np.arange(n_samples) < step, 493.88, 554.37)
    lower = [np.full(n_samples, f0) for f0 in (311.13, 196.0, 110.0)]
    mixture = np.sum([sung(f0) for f0 in (soprano, *lower)], axis=0)
    mixture = (mixture / np.abs(mixture).max()).astype(np.float32)
    model = SalienceF0(**weights, refine=False)
    with torch.no_grad():
        found = model(torch.from_numpy(mixture)[None], 4)
    # soxr and torchaudio resample a little differently, so the saliences are not quite equal ...
    salience = CuestaLateDeep(weights["late_deep"])(mixture)
    own_salience = found.salience[0].numpy()
    assert np.abs(own_salience - salience.values).mean() < 1e-3
    # ... but what is made of a salience is the same.
    given = Salience(own_salience, salience.frequencies, salience.times)
    tracks = VoasAssigner(weights["voas"])(given, 4)
    names = ("soprano", "alto", "tenor", "bass")
    expected = F0Contours(salience.times, tracks, names).to_frames(63).T
    own = found.f0[0].numpy()
    inside = np.arange(63) * 256 / 16_000 <= salience.times[-1]  # later frames are held
    np.testing.assert_allclose(own[:, inside], expected[:, inside], rtol=1e-5)
    assert (own > 0).mean() > 0.5
    # The note changes at 0.64 s, HCQT frame 55.1.
    low, high = (round(60 * np.log2(f0 / 32.7)) for f0 in (493.88, 554.37))
    first = int((own_salience[high] > own_salience[low]).nonzero()[0][0])
    assert abs(first - step / 16_000 * 22_050 / 256) <= 2
    assert (own_salience[high, 60:80] > own_salience[low, 60:80]).all()
    track = own[0, 44:60]
    assert np.abs(1200 * np.log2(track[track > 0] / 554.37)).max() < 25
