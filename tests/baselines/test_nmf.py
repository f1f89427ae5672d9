"""KL-NMF against references, and NMF1 on voices made by adding sinusoids."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from src.baselines.masks import CombSeparator, MixtureSeparator
from src.baselines.nmf import Nmf1Separator, compute_kl_divergence, factorise_by_kl
from src.metrics.frames import si_sdr

CONF = Path(__file__).parents[2] / "conf"
N_FRAMES = 125
T = 256 * N_FRAMES


def problem(seed: int = 0, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """V [3, 20, 30], W [3, 20, 5] and H [3, 5, 30], a third of W and H being 0."""
    generator = torch.Generator().manual_seed(seed)
    v, w, h = (
        torch.rand(*shape, generator=generator, dtype=dtype)
        for shape in ((3, 20, 30), (3, 20, 5), (3, 5, 30))
    )
    return [v.square(), torch.where(w < 1 / 3, 0.0, w), torch.where(h < 1 / 3, 0.0, h)]


def literal(
    v: np.ndarray, w: np.ndarray, h: np.ndarray, n: int, prior: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The update equations, entry by entry."""
    scale = w.sum(0)
    w, h = w / scale, h * scale[:, None]
    start = w.copy()
    for _ in range(n):
        ratio, old = v / (w @ h), h.copy()
        for r, t in np.ndindex(*h.shape):
            h[r, t] = old[r, t] * (w[:, r] * ratio[:, t]).sum() / w[:, r].sum()
        ratio, old = v / (w @ h), w.copy()
        for f, r in np.ndindex(*w.shape):
            heard = old[f, r] * (h[r] * ratio[f]).sum()
            w[f, r] = (heard + prior * start[f, r]) / (h[r].sum() + prior)
    return w, h


@pytest.mark.parametrize("prior", [0.0, 3.0])
def test_updates_equal_the_equations(prior: float) -> None:
    v, w, h = problem()
    v, w, h = v[:1, :6, :8], w[:1, :6, :3] + 0.1, h[:1, :3, :8] + 0.1
    w1, h1, _ = factorise_by_kl(v, w, h, 4, prior=prior)
    w2, h2 = literal(v[0].numpy(), w[0].numpy(), h[0].numpy(), 4, prior)
    np.testing.assert_allclose(w1[0] @ h1[0], w2 @ h2, rtol=1e-12)
    np.testing.assert_allclose(w1[0], w2 / w2.sum(0), rtol=1e-12)


def test_equals_sklearn() -> None:
    v, w, h = problem()
    v, w, h = v + 0.01, w + 0.05, h + 0.05
    product = torch.matmul(*factorise_by_kl(v, w, h, 25)[:2])
    for b in range(3):
        # Transposed, because sklearn updates its first factor first and we the activations.
        reference = NMF(
            5, init="custom", solver="mu", beta_loss="kullback-leibler", max_iter=25, tol=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            first = reference.fit_transform(
                v[b].T.numpy(),
                W=np.ascontiguousarray(h[b].T.numpy()),
                H=np.ascontiguousarray(w[b].T.numpy()),
            )
        np.testing.assert_allclose(product[b].T, first @ reference.components_, rtol=1e-6)


@pytest.mark.parametrize("fixed", [0, 5])
@pytest.mark.parametrize("prior", [0.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_objective_never_rises(seed: int, prior: float, fixed: int) -> None:
    _, _, objective = factorise_by_kl(*problem(seed), 60, prior=prior, fixed_iterations=fixed)
    assert objective.shape == (61, 3)
    assert torch.isfinite(objective).all()
    assert (objective.diff(dim=0) <= 1e-12 * objective[0]).all()
    assert (objective[-1] < 0.9 * objective[0]).all()


def test_the_objective_is_the_divergence_of_what_is_returned() -> None:
    v, w, h = problem()
    w, h = w + 0.1, h + 0.1
    after_w, after_h, objective = factorise_by_kl(v, w, h, 7)
    for n, (a, b) in ((0, (w, h)), (7, (after_w, after_h))):
        model = a @ b
        expected = (v * torch.log(v / model) - v + model).sum(dim=(1, 2))
        torch.testing.assert_close(objective[n], expected)
        torch.testing.assert_close(compute_kl_divergence(v, model, floor=1e-300), expected)


def test_zeros_stay_zeros_and_columns_sum_to_one() -> None:
    v, w, h = problem()
    for prior in (0.0, 1.0):
        after_w, after_h, _ = factorise_by_kl(v, w, h, 30, prior=prior)
        assert (after_w[w == 0] == 0).all() and (after_h[h == 0] == 0).all()
        torch.testing.assert_close(after_w.sum(dim=1), torch.ones(3, 5, dtype=torch.float64))
    same_w, same_h, objective = factorise_by_kl(v, w, h, 0)
    torch.testing.assert_close(same_w @ same_h, w @ h)
    assert len(objective) == 1


def test_fixed_templates_and_a_strong_prior_keep_the_templates() -> None:
    v, w, h = problem()
    start = w / w.sum(dim=1, keepdim=True)
    torch.testing.assert_close(factorise_by_kl(v, w, h, 9, fixed_iterations=9)[0], start)
    held = factorise_by_kl(v, w, h, 9, prior=1e9)[0]
    torch.testing.assert_close(held, start, rtol=1e-6, atol=1e-9)
    free = factorise_by_kl(v, w, h, 9)[0]
    v, w, h = (x[:1].repeat(3, 1, 1) for x in (v, w, h))
    graded = factorise_by_kl(v, w, h, 9, prior=torch.tensor([0.0, 3.0, 30.0]))[0]
    torch.testing.assert_close(graded[0], free[0])
    moved = (graded - start[:1]).abs().sum(dim=(1, 2))
    assert moved[0] > moved[1] > moved[2] > 0


def test_mixtures_of_a_batch_do_not_touch_each_other_and_padding_does_nothing() -> None:
    v, w, h = problem()
    together = torch.matmul(*factorise_by_kl(v, w, h, 10, prior=0.5)[:2])
    zeros_w, zeros_h = torch.zeros_like(w[:, :, :2]), torch.zeros_like(h[:, :2])
    padded = factorise_by_kl(
        v, torch.cat([w, zeros_w], 2), torch.cat([h, zeros_h], 1), 10, prior=0.5
    )
    torch.testing.assert_close(padded[0] @ padded[1], together)
    for b in range(3):
        alone = factorise_by_kl(v[b : b + 1], w[b : b + 1], h[b : b + 1], 10, prior=0.5)
        torch.testing.assert_close(alone[0] @ alone[1], together[b : b + 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_silence_gives_zeros_and_no_nan(dtype: torch.dtype) -> None:
    v, w, h = problem(dtype=dtype)
    v[0] = 0.0
    v[1, :, 4:9] = 0.0
    v[2] *= 1e-20
    w[1, :, 2] = 0.0
    h[1, 3] = 0.0
    for prior in (0.0, 1.0):
        after_w, after_h, objective = factorise_by_kl(v, w, h, 20, prior=prior)
        for tensor in (after_w, after_h, objective):
            assert torch.isfinite(tensor).all()
        assert (after_h[0] == 0).all() and (after_h[1, :, 4:9] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, w, h: (v[0], w, h, 1), r"must be \[B, F, N\]"),
        (lambda v, w, h: (v, w[:, :, :2], h, 1), r"got \[3, 20, 30\], \[3, 20, 2\]"),
        (lambda v, w, h: (v, w, h, -1), "n_iterations must not be negative"),
        (lambda v, w, h: (-v, w, h, 1), "V must hold no negative"),
        (lambda v, w, h: (v, w, h * float("nan"), 1), "H must hold no negative values and no NaN"),
    ],
)
def test_wrong_factors_are_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        factorise_by_kl(*change(*problem()))


def voice(
    hertz: float, formant: float, seed: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A vibrato tone with a formant: signal [T] and F0 [N]."""
    t = np.arange(T) / 16_000
    f0 = hertz * 2 ** (30 / 1200 * np.sin(2 * np.pi * 5.0 * t + seed))
    phase = 2 * np.pi * np.cumsum(f0) / 16_000
    signal = np.zeros(T)
    for i in range(1, int(7000 / hertz)):
        level = (0.1 + 3 * np.exp(-(((i * hertz - formant) / 250) ** 2))) / i
        signal += level * np.sin(i * phase + rng.uniform(0, 2 * np.pi))
    return signal / np.abs(signal).max() * (1.2 + np.sin(2 * np.pi * t + seed)) / 2, f0[::256]


@pytest.fixture(scope="module")
def choir() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mixtures [2, T], F0 [2, 2, N] and sources [2, 2, T]."""
    rng = np.random.default_rng(0)
    voices = [
        voice(hertz, formant, i, rng)
        for i, (hertz, formant) in enumerate([(349.2, 700), (155.6, 500), (311.1, 900), (233, 600)])
    ]
    sources = torch.tensor(np.stack([v[0] for v in voices]), dtype=torch.float32)
    f0 = torch.tensor(np.stack([v[1] for v in voices]), dtype=torch.float32)
    return sources.view(2, 2, T).sum(dim=1), f0.view(2, 2, -1), sources.view(2, 2, T)


@pytest.mark.parametrize("settings", [{}, {"prior_frames": 0.0}, {"per_source": True}])
def test_separates_better_than_the_comb(settings, choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, sources = choir
    separator = Nmf1Separator(**settings)
    assert not separator.stochastic and not separator.needs_sources
    result = separator(mixture, f0)
    assert result.masks.shape == (2, 2, 1025, 1 + T // 256)
    assert result.synthesised is None
    low = si_sdr(MixtureSeparator()(mixture, f0).sources, sources)
    comb = si_sdr(CombSeparator()(mixture, f0).sources, sources)
    reached = si_sdr(result.sources, sources)
    assert (reached - low).min() > 8.0
    assert reached.mean() > comb.mean()


def test_masks_share_everything_where_somebody_sings(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, _ = choir
    for mask in ("magnitude", "power"):
        result = Nmf1Separator(mask=mask, n_iterations=5)(mixture, f0)
        assert (result.masks >= 0).all()
        torch.testing.assert_close(
            result.masks.sum(dim=1), torch.ones_like(result.masks[:, 0]), rtol=1e-5, atol=0
        )
        torch.testing.assert_close(result.sources.sum(dim=1), mixture, rtol=0, atol=1e-5)
    bare = Nmf1Separator(n_iterations=5, floor=0.0)(mixture, f0).masks.sum(dim=1)
    assert (bare == 0).any() and bare.max() <= 1 + 1e-5


def test_the_level_of_the_mixture_does_not_matter(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, _ = choir
    separator = Nmf1Separator()
    usual = separator(mixture, f0).masks
    for level in (1e-6, 1e4):
        masks = separator(level * mixture, f0).masks
        torch.testing.assert_close(masks, usual, rtol=0, atol=1e-3)


def test_the_same_again_and_no_matter_what_is_in_the_batch(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, _ = choir
    separator = Nmf1Separator()
    masks = separator(mixture, f0, seed=1).masks
    assert torch.equal(separator(mixture, f0, seed=2).masks, masks)
    alone = separator(mixture[1:], f0[1:]).masks
    torch.testing.assert_close(alone, masks[1:], rtol=0, atol=1e-3)


def test_silent_mixtures_frames_and_voices(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, _ = choir
    mixture, f0 = mixture.clone(), f0.clone()
    mixture[0] = 0.0
    mixture[1, 8000:16_000] = 0.0
    f0[1, 1] = 0.0
    result = Nmf1Separator()(mixture, f0)
    assert torch.isfinite(result.sources).all() and torch.isfinite(result.masks).all()
    assert (result.sources[0] == 0).all() and (result.sources[1, 1] == 0).all()
    nobody = Nmf1Separator()(mixture, torch.zeros_like(f0))
    assert (nobody.sources == 0).all()  # all stays in the residual


@pytest.mark.parametrize("n_samples", [1, 255, 256, 257, 5000])
def test_one_voice_of_any_length(n_samples: int) -> None:
    x = torch.randn(1, n_samples, generator=torch.Generator().manual_seed(0))
    f0 = torch.full((1, 1, -(-n_samples // 256)), 200.0)
    result = Nmf1Separator(n_iterations=3)(x, f0)
    assert result.masks.shape == (1, 1, 1025, 1 + n_samples // 256)
    torch.testing.assert_close(result.sources[:, 0], x, rtol=0, atol=1e-5)


def test_voices_on_one_pitch_get_the_same(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, _ = choir
    twice = f0[:, :1].repeat(1, 2, 1)
    masks = Nmf1Separator(n_iterations=5)(mixture, twice).masks
    torch.testing.assert_close(masks, torch.full_like(masks, 0.5))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="prior_frames and floor must not be negative"):
        Nmf1Separator(prior_frames=-1.0)
    with pytest.raises(ValueError, match="mask must be one of"):
        Nmf1Separator(mask="binary")


def test_the_configuration_holds_the_defaults() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", overrides=["separator=nmf1"])
    assert vars(instantiate(config.separator)) == vars(Nmf1Separator())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gives_the_same(choir) -> None:  # type: ignore[no-untyped-def]
    mixture, f0, _ = choir
    cpu = Nmf1Separator()(mixture, f0).masks
    gpu = Nmf1Separator()(mixture.cuda(), f0.cuda()).masks
    assert gpu.is_cuda
    torch.testing.assert_close(gpu.cpu(), cpu, rtol=0, atol=1e-2)
