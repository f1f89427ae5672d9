"""NMF2 against the same equations written as plain loops over full matrices in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from src.baselines.masks import MixtureSeparator
from src.baselines.source_filter_model import (
    BlockFactor,
    SourceFilterModel,
    build_smooth_atoms,
    compute_divergence,
    fit,
)
from src.baselines.source_filter_nmf import Nmf2Separator, find_pitch_index
from src.metrics.frames import si_sdr

Array = np.ndarray
F, P, K, U, R, N, Q, BLOCK = 17, 8, 3, 14, 9, 24, 2, 8


def random_factors(seed: int = 0) -> dict[str, Array]:
    """V [Q, F, N] and the full factors; H_S and H_O are zero but for a moving neighbourhood."""
    rng = np.random.default_rng(seed)

    def band(rows: int) -> Array:
        centre = np.linspace(1, rows - 2, N)
        return (np.abs(np.arange(rows)[:, None] - centre) <= 2).astype(float)

    v = rng.gamma(0.5, 1.0, (Q, F, N)) * rng.uniform(0.1, 3.0, (Q, 1, N))
    v[0, 3:5, 2:6] = 0.0
    return {
        "v": v,
        "atoms": build_smooth_atoms(F, P).numpy(),
        "hg": rng.uniform(0.1, 1.0, (Q, P, K)),
        "hp": rng.uniform(0.1, 1.0, (Q, K, N)),
        "ws": rng.uniform(0.0, 1.0, (Q, F, U)) ** 4,
        "hs": band(U) * rng.uniform(0.1, 1.0, (Q, U, N)),
        "wo": rng.uniform(0.0, 1.0, (Q, F, R)) * (rng.uniform(size=(Q, F, R)) > 0.4),
        "ho": band(R) * rng.uniform(0.1, 1.0, (Q, R, N)),
    }


def as_model(x: dict[str, Array], floor: float) -> tuple[Tensor, SourceFilterModel]:
    t = {name: torch.tensor(value) for name, value in x.items()}
    source = BlockFactor.of(t["hs"], BLOCK)
    model = SourceFilterModel(
        atoms=t["atoms"],
        filters=t["hg"].mT.contiguous(),
        gains=t["hp"].mT.unflatten(1, (-1, BLOCK)).contiguous(),
        glottal=source.pick(t["ws"].mT),
        source=source,
        templates=t["wo"].mT.contiguous(),
        others=BlockFactor.of(t["ho"], BLOCK),
        floor=floor,
    )
    return t["v"].mT.unflatten(1, (-1, BLOCK)).contiguous(), model


def reference_fit(x: dict[str, Array], floor: float, n: int, kind: str) -> tuple[Array, Array]:
    """Target and residual power [Q, F, N] after n iterations, one factor and frame at a time."""
    beta, exponent = (1, 1.0) if kind == "kl" else (0, 0.5)
    target, rest = np.zeros((Q, F, N)), np.zeros((Q, F, N))
    for q in range(Q):
        v, atoms = x["v"][q], x["atoms"]
        hg, hp, ws, hs, wo, ho = (
            x[name][q].copy() for name in ("hg", "hp", "ws", "hs", "wo", "ho")
        )

        def weights() -> tuple[Array, Array]:
            total = (atoms @ hg @ hp) * (ws @ hs) + wo @ ho + floor  # noqa: B023
            return v * total ** (beta - 2.0), total ** (beta - 1.0)  # noqa: B023

        def step(value: float, up: float, down: float) -> float:
            return value * (up / down) ** exponent if down > 0 else 0.0

        for _ in range(n):
            above, below = weights()
            phi = atoms @ hg @ hp
            for u in range(U):
                for i in range(N):
                    part = ws[:, u] * phi[:, i]
                    hs[u, i] = step(hs[u, i], part @ above[:, i], part @ below[:, i])
            above, below = weights()
            source = ws @ hs
            new = hp.copy()
            for k in range(K):
                for i in range(N):
                    part = (atoms @ hg[:, k]) * source[:, i]
                    new[k, i] = step(hp[k, i], part @ above[:, i], part @ below[:, i])
            hp = new
            above, below = weights()
            new = hg.copy()
            for p in range(P):
                for k in range(K):
                    part = np.outer(atoms[:, p], hp[k]) * source
                    new[p, k] = step(hg[p, k], (part * above).sum(), (part * below).sum())
            hg = new
            hp = hp * hg.sum(axis=0)[:, None]
            hg = hg / hg.sum(axis=0)
            above, below = weights()
            new = ho.copy()
            for r in range(R):
                for i in range(N):
                    up, down = wo[:, r] @ above[:, i], wo[:, r] @ below[:, i]
                    new[r, i] = step(ho[r, i], up, down)
            ho = new
            above, below = weights()
            new = wo.copy()
            for f in range(F):
                for r in range(R):
                    new[f, r] = step(wo[f, r], above[f] @ ho[r], below[f] @ ho[r])
            wo = new
        target[q], rest[q] = (atoms @ hg @ hp) * (ws @ hs), wo @ ho
    return target, rest


def spectrogram(blocks: Tensor) -> Array:
    return blocks.flatten(1, 2).mT.numpy()


@pytest.mark.parametrize("kind", ["kl", "is"])
def test_fit_equals_loops_over_full_matrices(kind: str) -> None:
    x = random_factors()
    power, model = as_model(x, floor=1e-3)
    fit(power, model, 4, kind=kind)
    target, rest = reference_fit(x, 1e-3, 4, kind)
    np.testing.assert_allclose(
        spectrogram(model.compute_target_power()), target, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        spectrogram(model.compute_other_power()), rest, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("kind", ["kl", "is"])
def test_divergence_never_grows(kind: str) -> None:
    power, model = as_model(random_factors(1), floor=1e-4)
    costs = []

    def watch(m: SourceFilterModel) -> None:
        costs.append(
            compute_divergence(
                power, m.compute_target_power() + m.compute_other_power() + m.floor, kind
            )
        )

    watch(model)
    fit(power, model, 60, kind=kind, watch=watch)
    costs_of = torch.stack(costs)
    assert (costs_of.diff(dim=0) <= 1e-10 * costs_of[:-1].abs()).all()
    # It does fit: most of what can be explained is.
    assert ((costs_of[0] - costs_of[-1]) > 0.3 * costs_of[0].abs()).all()


def test_divergence_is_the_textbook_one() -> None:
    v, x = torch.rand(2, 3, 4, 5, dtype=torch.float64), torch.rand(2, 3, 4, 5).double() + 0.1
    kl = (v * (v / x).log() - v + x).sum(dim=(1, 2, 3))
    torch.testing.assert_close(compute_divergence(v, x, "kl"), kl)
    # Up to terms without the model.
    itakura = (v / x - (v / x).log() - 1).sum(dim=(1, 2, 3))
    constant = (v.log() + 1).sum(dim=(1, 2, 3))
    torch.testing.assert_close(compute_divergence(v, x, "is"), itakura + constant)
    assert torch.isfinite(
        compute_divergence(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), "kl")
    ).all()


def test_zeros_stay_zeros() -> None:
    power, model = as_model(random_factors(2), floor=1e-4)
    silent = [model.source.activations == 0, model.others.activations == 0, model.templates == 0]
    assert all(s.any() for s in silent)
    fit(power, model, 5)
    for tensor, zero in zip(
        (model.source.activations, model.others.activations, model.templates), silent, strict=True
    ):
        assert (tensor[zero] == 0).all() and (tensor >= 0).all()


def test_block_factor_is_the_full_product() -> None:
    x = random_factors(3)
    templates, activations = torch.tensor(x["wo"]).mT, torch.tensor(x["ho"])
    factor = BlockFactor.of(activations, BLOCK)
    assert factor.rows.shape[-1] < R
    product = (factor.activations.mT @ factor.pick(templates)).flatten(1, 2).mT
    np.testing.assert_allclose(product.numpy(), x["wo"] @ x["ho"], rtol=1e-12, atol=1e-14)
    data = torch.rand(Q, N // BLOCK, BLOCK, F, dtype=torch.float64)
    collected = factor.collect(factor.activations @ data, R)
    np.testing.assert_allclose(collected.numpy(), x["ho"] @ data.flatten(1, 2).numpy(), rtol=1e-12)


@pytest.mark.parametrize(("n_bins", "n_atoms"), [(513, 30), (513, 120), (17, 4)])
def test_atoms_are_hann_windows_with_75_percent_overlap(n_bins: int, n_atoms: int) -> None:
    atoms = build_smooth_atoms(n_bins, n_atoms).numpy()
    assert atoms.shape == (n_bins, n_atoms)
    np.testing.assert_allclose(atoms.sum(axis=1), 2.0, rtol=1e-12)
    step = (n_bins - 1) / (n_atoms - 3)
    for p in range(n_atoms):
        centre = (p - 1) * step
        positions = (np.arange(n_bins) - centre) / (4 * step) + 0.5
        inside = (positions > 0) & (positions < 1)
        expected = np.where(inside, np.sin(math.pi * positions) ** 2, 0.0)
        np.testing.assert_allclose(atoms[:, p], expected, atol=1e-12)


def test_pitch_index_is_in_twentieths_of_a_semitone() -> None:
    f0 = torch.tensor([440.0, 440.0 * 2 ** (1 / 12), 220.0, 440.0 * 2 ** (0.6 / 240)])
    assert find_pitch_index(f0).tolist() == [0, 20, -240, 1]


T = 16_000


@pytest.fixture(scope="module")
def duet() -> tuple[Tensor, Tensor, Tensor]:
    """Two glottal voices with formants that move: mixture [1, T], F0 [1, 2, 63], sources."""
    t = np.arange(T) / 16_000
    voices, tracks = [], []
    for hertz, formant, seed in ((392.0, 1200.0, 1), (174.6, 600.0, 2)):
        f0 = hertz * 2 ** (30 / 1200 * np.sin(2 * np.pi * 5.0 * t + seed))
        phase = 2 * np.pi * np.cumsum(f0) / 16_000
        signal = np.zeros(T)
        centre = formant * (1 + 0.3 * np.sin(2 * np.pi * t))
        for i in range(1, int(7500 / hertz)):
            level = 1 / i * (0.1 + np.exp(-(((i * hertz - centre) / 400) ** 2)))
            signal += level * np.sin(i * phase + seed * i)
        voices.append(signal / np.abs(signal).max())
        tracks.append(f0[::256])
    sources = torch.tensor(np.stack(voices), dtype=torch.float32)[None]
    return sources.sum(dim=1), torch.tensor(np.stack(tracks), dtype=torch.float32)[None], sources


@pytest.mark.parametrize(("mask", "kind"), [("magnitude", "kl"), ("power", "kl"), ("power", "is")])
def test_separates_two_voices(mask: str, kind: str, duet: tuple[Tensor, Tensor, Tensor]) -> None:
    mixture, f0, sources = duet
    separator = Nmf2Separator(mask=mask, divergence=kind)
    result = separator(mixture, f0, seed=1)
    assert result.masks.shape == (1, 2, 513, 1 + T // 128)
    assert (result.masks >= 0).all() and (result.masks.sum(dim=1) <= 1 + 1e-5).all()
    before = si_sdr(MixtureSeparator()(mixture, f0).sources, sources)
    assert (si_sdr(result.sources, sources) - before).min() > 9.0


def test_masks_follow_the_ratio_of_powers(duet: tuple[Tensor, Tensor, Tensor]) -> None:
    """Power masks are the estimates' share in the power, magnitude masks in its square root."""
    mixture, f0, _ = duet
    magnitude = Nmf2Separator(mask="magnitude", n_iterations=2)(mixture, f0).masks.double()
    power = Nmf2Separator(mask="power", n_iterations=2)(mixture, f0).masks.double()
    expected = magnitude**2 / (magnitude**2).sum(dim=1, keepdim=True).clamp(min=1e-30)
    torch.testing.assert_close(power, expected, rtol=1e-4, atol=1e-6)


def test_wrong_f0_does_not_separate(duet: tuple[Tensor, Tensor, Tensor]) -> None:
    mixture, f0, sources = duet
    separator = Nmf2Separator(n_iterations=5)
    right = si_sdr(separator(mixture, f0).sources, sources).mean()
    assert right > si_sdr(separator(mixture, 1.06 * f0).sources, sources).mean() + 4.0


def test_seeds_and_batches(duet: tuple[Tensor, Tensor, Tensor]) -> None:
    """A mixture's result depends on its own seed alone, not on the batch it is in."""
    mixture, f0, _ = duet
    other = torch.randn(1, T, generator=torch.Generator().manual_seed(0))
    batch = torch.cat([mixture, other, mixture])
    tracks = torch.cat([f0, 0.7 * f0, f0])
    seeds = torch.tensor([3, 4, 5])
    together = Nmf2Separator(n_iterations=2)(batch, tracks, seed=seeds).masks
    again = Nmf2Separator(n_iterations=2)(batch, tracks, seed=seeds).masks
    assert torch.equal(together, again)
    one_by_one = Nmf2Separator(n_iterations=2, max_problems=1)(batch, tracks, seed=seeds).masks
    torch.testing.assert_close(together, one_by_one, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(
        together[:1], Nmf2Separator(n_iterations=2)(mixture, f0, seed=3).masks, rtol=1e-3, atol=1e-5
    )
    assert (together[0] - together[2]).abs().max() > 1e-3


def test_does_not_depend_on_the_level(duet: tuple[Tensor, Tensor, Tensor]) -> None:
    mixture, f0, _ = duet
    separator = Nmf2Separator(n_iterations=3)
    reference = separator(mixture, f0).masks
    for gain in (2.0**-20, 2.0**10):
        torch.testing.assert_close(
            separator(gain * mixture, f0).masks, reference, rtol=1e-4, atol=1e-5
        )


def test_silence_and_silent_voices(duet: tuple[Tensor, Tensor, Tensor]) -> None:
    mixture, f0, _ = duet
    separator = Nmf2Separator(n_iterations=3)
    assert (separator(torch.zeros_like(mixture), f0).sources == 0).all()
    one = torch.stack([f0[:, 0], torch.zeros_like(f0[:, 0])], dim=1)
    result = separator(mixture, one)
    assert torch.isfinite(result.masks).all() and (result.masks[:, 1] == 0).all()
    torch.testing.assert_close(result.sources[:, 0], mixture, rtol=0, atol=1e-3)
    assert (separator(mixture, torch.zeros_like(f0)).masks == 0).all()
    half = f0.clone()
    half[..., 30:] = 0.0
    masks = separator(mixture, half).masks
    assert (masks[..., 70:] == 0).all() and (masks[..., :50].sum(dim=1) > 0.99).all()


def test_glides_next_to_silence_are_not_followed(duet: tuple[Tensor, Tensor, Tensor]) -> None:
    mixture, f0, _ = duet
    tracks = f0.clone()
    tracks[..., 20:26] = 0.0
    gliding = tracks.clone()
    gliding[..., 20], gliding[..., 25] = 0.3 * f0[..., 19], 30.0
    separator = Nmf2Separator(n_iterations=2)
    torch.testing.assert_close(separator(mixture, gliding).masks, separator(mixture, tracks).masks)


@pytest.mark.parametrize("n_samples", [1, 100, 300])
def test_short_mixtures(n_samples: int) -> None:
    x = torch.randn(1, n_samples, generator=torch.Generator().manual_seed(0))
    result = Nmf2Separator(n_iterations=2)(
        x, torch.tensor([[[300.0], [200.0]]]).expand(1, 2, -(-n_samples // 256))
    )
    assert result.sources.shape == (1, 2, n_samples)
    assert torch.isfinite(result.sources).all()
    assert result.masks.shape[-1] == 1 + n_samples // 128


def test_one_voice_gets_everything() -> None:
    x = torch.randn(1, 5000, generator=torch.Generator().manual_seed(0))
    result = Nmf2Separator(n_iterations=2)(x, torch.full((1, 1, 20), 200.0))
    torch.testing.assert_close(result.sources[:, 0], x, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mask": "phase"}, "mask must be one of"),
        ({"n_iterations": 0}, "n_iterations"),
        ({"n_atoms": 3}, "n_atoms"),
        ({"divergence": "euclidean"}, "divergence must be one of"),
        ({"floor": 0.0}, "floor must be"),
        ({"source_semitones": -0.1}, "source_semitones"),
        ({"min_hz": 0.0}, "min_hz must be"),
        ({"max_hz": 8000.0}, "max_hz"),
        ({"n_fft": 32}, "n_fft"),
        ({"mask_hop": 512}, "mask_hop"),
    ],
)
def test_bad_settings(setting: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Nmf2Separator(**setting)  # type: ignore[arg-type]


def test_unknown_divergence_and_too_few_atoms() -> None:
    power, model = as_model(random_factors(), floor=1e-3)
    with pytest.raises(ValueError, match="divergence must be one of"):
        fit(power, model, 1, kind="l2")
    with pytest.raises(ValueError, match="n_atoms must be at least 4"):
        build_smooth_atoms(100, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu(duet: tuple[Tensor, Tensor, Tensor]) -> None:
    mixture, f0, sources = duet
    separator = Nmf2Separator(n_iterations=5)
    here = separator(mixture, f0, seed=2)
    there = separator(mixture.cuda(), f0.cuda(), seed=2)
    torch.testing.assert_close(there.masks.cpu(), here.masks, rtol=0, atol=2e-2)
    a, b = si_sdr(here.sources, sources), si_sdr(there.sources.cpu(), sources)
    torch.testing.assert_close(a, b, rtol=0, atol=0.02)
