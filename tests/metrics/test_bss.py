"""BSS Eval: museval against its defining property, the fast implementation against museval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import soundfile as sf
import torch
from scipy.signal import lfilter

from src.metrics.bss import BSS_METRICS, bss_eval, choose_bss_engine
from src.metrics.fast_bss import fast_bss_eval, find_distortion_filters
from src.metrics.toeplitz import multiply_block_toeplitz, solve_block_toeplitz


def voices(n_sources: int, seconds: float = 2.0, seed: int = 0) -> torch.Tensor:
    """Harmonic tones with vibrato in a little noise, through a resonance: [J, T] float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(16_000 * seconds)) / 16_000
    found = []
    for j in range(n_sources):
        f0 = 130.0 * 1.5**j * (1 + 0.01 * np.sin(2 * np.pi * 5 * t + j))
        phase = 2 * np.pi * np.cumsum(f0) / 16_000
        tones = sum(np.sin(i * phase + rng.uniform(0, 6)) / i for i in range(1, 15))
        noise = 0.003 * rng.normal(size=len(t))
        found.append(0.1 * lfilter([1], [1, -1.6, 0.8], 0.1 * tones + noise))
    return torch.tensor(np.array(found), dtype=torch.float32)


def separated(sources: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """Estimates with leakage, a changed colour and noise."""
    noise = torch.randn(sources.shape, generator=torch.Generator().manual_seed(seed))
    coloured = sources + 0.2 * sources.roll(3, dims=-1)
    return coloured + 0.1 * sources.sum(-2, keepdim=True) + 0.002 * noise


def assert_same(estimates: torch.Tensor, sources: torch.Tensor) -> None:
    found = bss_eval(estimates, sources, engine="fast")
    expected = bss_eval(estimates, sources, engine="museval")
    for name in BSS_METRICS:
        assert found[name].dtype == torch.float64
        torch.testing.assert_close(
            found[name], expected[name], rtol=0, atol=1e-3, equal_nan=True, msg=name
        )


def test_scores_follow_the_added_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(2, 2, 32_000, generator=generator)
    noise = torch.randn(2, 2, 32_000, generator=generator)
    for engine in ("museval", "fast"):
        scores = bss_eval(sources + 0.1 * noise, sources, engine=engine)
        assert set(scores) == {"sdr", "isr", "sir", "sar"}
        assert scores["sdr"].shape == (2, 2, 2)
        # White noise at 0.1 is 20 dB down; the distortion filter explains almost none of it.
        torch.testing.assert_close(scores["sdr"].mean().item(), 20.0, atol=0.5, rtol=0)
        leak = bss_eval(sources + 0.1 * sources.flip(1), sources, engine=engine)
        torch.testing.assert_close(leak["sir"].mean().item(), 20.0, atol=0.5, rtol=0)
        assert (leak["sar"] > 40).all()


@pytest.mark.parametrize("n_sources", [1, 2, 3, 4])
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_fast_agrees_with_museval(n_sources: int) -> None:
    sources = voices(n_sources)
    assert_same(separated(sources)[None], sources[None])


def test_fast_agrees_with_museval_on_real_singers(shared_dir: Path) -> None:
    names = [f"{part}_3" for part in ("soprano", "alto", "tenor", "bass")]
    folder = shared_dir / "data" / "csd_nino_dios"
    files = [next(folder.rglob(f"*{name}*.flac"), None) for name in names]
    if None in files:
        pytest.skip("no stems of singer 3")
    audio = []
    for file in files:
        samples, rate = sf.read(file, start=30 * 44_100, frames=3 * 44_100, dtype="float32")
        audio.append(torch.from_numpy(np.interp(
            np.arange(3 * 16_000) * rate / 16_000, np.arange(len(samples)), samples
        )).float())  # fmt: skip
    sources = torch.stack(audio)[:, :40_000]  # two windows and a half
    assert_same(separated(sources)[None], sources[None])


def test_silent_windows_are_undefined_in_the_same_places() -> None:
    sources = voices(2, 4.0)
    estimates = separated(sources)
    sources[0, 16_000:32_000] = 0.0  # a silent target
    estimates[1, 32_000:48_000] = 0.0  # a silent estimate
    sources[1, 48_000:63_999] = 0.0  # all but one sample
    assert_same(estimates[None], sources[None])
    undefined = bss_eval(estimates[None], sources[None], engine="fast")["sdr"].isnan()[0]
    assert undefined.tolist() == [[False, True, True, False]] * 2


@pytest.mark.parametrize("engine", ["museval", "fast"])
def test_silent_excerpts_do_not_stop_the_others(engine: str) -> None:
    sources = voices(2).repeat(3, 1, 1)
    estimates = separated(sources)
    sources[0, 1], estimates[1, 0] = 0.0, 0.0
    scores = bss_eval(estimates, sources, engine=engine)
    for values in scores.values():
        assert values[:2].isnan().all() and not values[2].isnan().any()


@pytest.mark.parametrize("engine", ["museval", "fast"])
@pytest.mark.parametrize(("n_samples", "frames"), [(15_999, 0), (16_000, 1), (33_000, 2)])
def test_only_whole_windows_count(engine: str, n_samples: int, frames: int) -> None:
    sources = voices(2, 33_000 / 16_000)[None, :, :n_samples]
    scores = bss_eval(separated(sources), sources, engine=engine)
    assert scores["sir"].shape == (1, 2, frames)
    assert bss_eval(sources[:0], sources[:0], engine=engine)["sdr"].shape == (0, 2, frames)


def test_filters_are_least_squares() -> None:
    sources = voices(2, 0.1).double()
    estimates = separated(voices(2, 0.1)).double()
    every, own = (x[0] for x in find_distortion_filters(estimates[None], sources[None], 8))
    columns = [scipy.linalg.toeplitz(np.r_[s.numpy(), np.zeros(7)], np.zeros(8)) for s in sources]
    for j, estimate in enumerate(estimates):
        padded = np.r_[estimate.numpy(), np.zeros(7)]
        wanted = np.linalg.lstsq(np.hstack(columns), padded, rcond=None)[0]
        np.testing.assert_allclose(every[j].flatten().numpy(), wanted, rtol=1e-6, atol=1e-8)
        wanted = np.linalg.lstsq(columns[j], padded, rcond=None)[0]
        np.testing.assert_allclose(own[j].numpy(), wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("n_sources", "n_right"), [(1, 1), (1, 3), (3, 2)])
def test_block_toeplitz_systems_against_dense_ones(n_sources: int, n_right: int) -> None:
    generator = torch.Generator().manual_seed(0)
    signals = torch.randn(2, n_sources, 60, generator=generator, dtype=torch.float64)
    right = torch.randn(2, 12, n_sources, n_right, generator=generator, dtype=torch.float64)
    padded = torch.nn.functional.pad(signals, (0, 11))
    blocks = torch.stack([padded[..., :60] @ padded[..., m : m + 60].mT for m in range(12)], 1)
    found = solve_block_toeplitz(blocks, right)
    for p in range(2):
        delayed = np.concatenate([
            scipy.linalg.toeplitz(np.r_[s.numpy(), np.zeros(11)], np.zeros(12))
            for s in signals[p]
        ], axis=1)  # fmt: skip
        matrix = delayed.T @ delayed  # unknowns: all delays of one source, then of the next
        columns = right[p].permute(1, 0, 2).reshape(-1, n_right).numpy()
        expected = np.linalg.solve(matrix, columns)
        solution = found[p].permute(1, 0, 2).reshape(-1, n_right).numpy()
        np.testing.assert_allclose(solution, expected, rtol=1e-9, atol=1e-12)
        product = multiply_block_toeplitz(blocks, found)[p].permute(1, 0, 2)
        np.testing.assert_allclose(product.reshape(-1, n_right).numpy(), matrix @ solution)


def test_singular_systems_fall_back_to_least_squares() -> None:
    one = torch.randn(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    signals = torch.nn.functional.pad(torch.stack([one, one]), (0, 11))
    blocks = torch.stack([signals[:, :60] @ signals[:, m : m + 60].T for m in range(12)])[None]
    right = blocks[..., :1].contiguous()  # what the first source correlates with both
    found = solve_block_toeplitz(blocks, right)
    torch.testing.assert_close(multiply_block_toeplitz(blocks, found), right)


def test_sources_that_equal_each_other_still_have_scores() -> None:
    one = voices(1, 1.0)
    sources = torch.cat([one, one])[None]
    scores = fast_bss_eval(separated(sources), sources)
    assert torch.isfinite(scores["sdr"]).all() and torch.isfinite(scores["isr"]).all()
    # Nothing can be interference that the own source does not explain.
    assert (scores["sir"] > 40).all()


def test_same_scores_again_and_whatever_the_batch() -> None:
    sources = voices(2).repeat(2, 1, 1)
    sources[1] *= 0.01
    estimates = separated(sources)
    both, again = fast_bss_eval(estimates, sources), fast_bss_eval(estimates, sources)
    for name in BSS_METRICS:
        assert torch.equal(both[name], again[name])
        alone = fast_bss_eval(estimates[1:], sources[1:])[name]
        torch.testing.assert_close(both[name][1:], alone, rtol=0, atol=1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_same_scores_on_cuda() -> None:
    sources = voices(4)[None]
    estimates = separated(sources)
    here, there = fast_bss_eval(estimates, sources), fast_bss_eval(estimates.cuda(), sources.cuda())
    for name in BSS_METRICS:
        torch.testing.assert_close(there[name].cpu(), here[name], rtol=0, atol=1e-6)


def test_choices() -> None:
    choices = {False: None, None: None, True: "museval", "museval": "museval", "fast": "fast"}
    assert {choice: choose_bss_engine(choice) for choice in choices} == choices
    with pytest.raises(ValueError, match="bss=quick: choose false, museval or fast"):
        choose_bss_engine("quick")
    with pytest.raises(ValueError, match="bss=quick"):
        bss_eval(torch.ones(1, 1, 10), torch.ones(1, 1, 10), engine="quick")
    with pytest.raises(ValueError, match=r"must both be \[B, J, T\]"):
        fast_bss_eval(torch.ones(1, 2, 10), torch.ones(1, 1, 10))
