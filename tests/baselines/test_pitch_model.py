"""Templates, activations and shares against brute force, and the preparation of F0 tracks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from src.baselines.pitch_model import build_pitch_model
from src.dsp.tracks import remove_glides, resample_f0


def tracks() -> torch.Tensor:
    """[2, 3, 30] Hz: vibrato, silence, a silent voice, and voices that meet."""
    n = np.arange(30)
    f0 = np.zeros((2, 3, 30))
    f0[0, 0] = 220 * 2 ** (np.sin(n / 3) / 40)
    f0[0, 1, 4:20] = 219.0
    f0[0, 1, 25:] = 3500.0
    f0[1, 2, 10] = 98.0
    f0[1, 0, :5], f0[1, 1, 3:9] = 330.0, 331.0
    return torch.tensor(f0)


def brute_force(  # type: ignore[no-untyped-def]
    f0, *, n_fft, semitones, bins, decay, reach, frames, per_source
) -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray, np.ndarray]:
    """One mixture [J, N], pitch by pitch: (owner, tenths of a semitone), templates, H, shares."""
    n_sources, n_frames = f0.shape
    grid = [
        [round(10 * (69 + 12 * math.log2(x / 440))) if x >= 60 else None for x in row] for row in f0
    ]
    keys = {
        (j if per_source else -1, q + d)
        for j, row in enumerate(grid)
        for q in row
        if q is not None
        for d in range(-reach, reach + 1)
    }
    order = sorted(keys)
    w = np.zeros((n_fft // 2 + 1, len(order)))
    sounds = np.zeros((n_sources, len(order), n_frames))
    for r, (owner, q) in enumerate(order):
        fundamental = 440 * 2 ** ((q / 10 - 69) / 12)
        for h in range(1, 1000):
            if h * fundamental >= 8000:
                break
            half = max(h * fundamental * (2 ** (semitones / 12) - 1), bins * 16_000 / n_fft)
            for k in range(n_fft // 2 + 1):
                hertz = k * 16_000 / n_fft
                nearest = max(1, round(hertz / fundamental))
                if nearest == h and abs(hertz - h * fundamental) < half:
                    w[k, r] = h**-decay
        for j in range(n_sources):
            for n in range(n_frames):
                window = grid[j][max(0, n - frames) : n + frames + 1]
                if owner in (-1, j) and any(x is not None and abs(x - q) <= reach for x in window):
                    sounds[j, r, n] = 1.0
    total = sounds.sum(0)
    return order, w, (total > 0) * 1.0, sounds / np.maximum(total, 1)


@pytest.mark.parametrize("per_source", [False, True])
@pytest.mark.parametrize(
    ("n_fft", "semitones", "bins", "decay", "tolerance", "frames"),
    [(512, 0.5, 1.0, 1.0, 0.0, 0), (1024, 0.1, 2.0, 1.5, 0.2, 2), (512, 2.0, 1.0, 0.0, 0.1, 40)],
)
def test_equals_brute_force(
    n_fft: int,
    semitones: float,
    bins: float,
    decay: float,
    tolerance: float,
    frames: int,
    per_source: bool,
) -> None:
    f0 = tracks()
    model = build_pitch_model(
        f0,
        n_fft=n_fft,
        band_semitones=semitones,
        band_bins=bins,
        shape="flat",
        decay=decay,
        pitch_tolerance=tolerance,
        frame_tolerance=frames,
        per_source=per_source,
    )
    counts = []
    for b in range(2):
        order, w, h, shares = brute_force(
            f0[b].numpy(),
            n_fft=n_fft,
            semitones=semitones,
            bins=bins,
            decay=decay,
            reach=round(10 * tolerance),
            frames=frames,
            per_source=per_source,
        )
        n = len(order)
        counts.append(n)
        hertz = [440 * 2 ** ((q / 10 - 69) / 12) for _, q in order]
        np.testing.assert_allclose(model.pitches[b, :n], hertz, rtol=1e-12)
        np.testing.assert_allclose(model.templates[b, :, :n], w, rtol=1e-12)
        np.testing.assert_array_equal(model.activations[b, :n], h)
        np.testing.assert_allclose(model.shares[b, :, :n], shares, rtol=1e-12)
        for part in (model.pitches[b, n:], model.templates[b, :, n:], model.activations[b, n:]):
            assert (part == 0).all()
        assert (model.shares[b, :, n:] == 0).all()
    assert model.activations.shape[1] == max(counts)


def test_shares_sum_to_one_where_something_sounds_and_to_zero_elsewhere() -> None:
    model = build_pitch_model(tracks().float(), n_fft=2048)
    assert model.templates.dtype == torch.float32
    torch.testing.assert_close(model.shares.sum(dim=1), (model.activations > 0).float())
    # 330 and 331 Hz are half a tenth of a semitone apart: where both sound, they share.
    assert (model.shares[1, :2] == 0.5).any() and (model.shares[1, 2] % 1 == 0).all()


def test_a_band_has_the_form_of_a_hann_windows_transform() -> None:
    n_fft, hertz = 2048, 220.0
    model = build_pitch_model(
        torch.full((1, 1, 4), hertz, dtype=torch.float64),
        n_fft=n_fft,
        decay=1.0,
        band_semitones=0.0,
        pitch_tolerance=0.0,
    )
    t = np.arange(n_fft) / 16_000
    window = np.hanning(n_fft + 1)[:-1]
    for h in (1, 7, 30):
        spectrum = np.abs(np.fft.rfft(window * np.exp(2j * np.pi * h * hertz * t).real))
        near = np.abs(np.arange(n_fft // 2 + 1) * 16_000 / n_fft - h * hertz) < 15.0
        peak = n_fft / 4  # of a sinusoid of amplitude 1 through a Hann window
        np.testing.assert_allclose(
            model.templates[0, near, 0] * h, spectrum[near] / peak, atol=2e-3
        )


def test_templates_are_zero_between_harmonics_and_from_the_nyquist_frequency_on() -> None:
    model = build_pitch_model(torch.full((1, 1, 3), 3000.0), n_fft=2048)
    hertz = torch.arange(1025) * 16_000 / 2048
    near = torch.stack([(hertz - h * 3000.0).abs() < 130.0 for h in (1, 2)]).any(dim=0)
    assert (model.templates[0, ~near] == 0).all() and (model.templates[0] > 0).any()
    assert (model.templates[0, hertz > 6500] == 0).all()  # the third harmonic would be at 9 kHz
    too_high = build_pitch_model(torch.full((1, 1, 3), 8000.0), n_fft=2048)
    assert (too_high.activations == 0).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5)])
def test_silence_leaves_padding_only(shape: tuple[int, int, int]) -> None:
    model = build_pitch_model(torch.zeros(shape), n_fft=256)
    assert model.templates.shape == (shape[0], 129, 1)
    assert model.shares.shape == (*shape[:2], 1, shape[2])
    for tensor in (model.templates, model.activations, model.shares, model.pitches):
        assert (tensor == 0).all()


def test_values_below_the_lowest_pitch_are_silence() -> None:
    f0 = torch.tensor([[[40.0, 59.9, 100.0, 100.0]]])
    model = build_pitch_model(f0, n_fft=1024, frame_tolerance=0, pitch_tolerance=0.0)
    assert model.activations.tolist() == [[[0.0, 0.0, 1.0, 1.0]]]
    assert model.pitches.shape == (1, 1)
    low = build_pitch_model(f0 / 10, n_fft=1024, min_hz=5.0, frame_tolerance=0)
    assert low.activations.any(dim=1).tolist() == [[False, True, True, True]]


@pytest.mark.parametrize(
    ("f0", "settings", "message"),
    [
        (torch.zeros(3, 5), {}, r"f0 must be \[B, J, N\], got \[3, 5\]"),
        (torch.zeros(1, 3, 5), {"n_fft": 1}, "n_fft must be at least 2"),
        (torch.zeros(1, 3, 5), {"pitch_tolerance": -0.1}, "pitch_tolerance .*not be negative"),
        (torch.zeros(1, 3, 5), {"min_hz": 0.0}, "min_hz must be positive"),
        (torch.zeros(1, 3, 5), {"band_bins": 0.5}, "band_bins must be at least 1"),
        (torch.zeros(1, 3, 5), {"shape": "round"}, "shape must be 'lobe' or 'flat', got 'round'"),
    ],
)
def test_wrong_input_is_refused(f0: torch.Tensor, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_pitch_model(f0, **{"n_fft": 512, **settings})  # type: ignore[arg-type]


def test_frames_of_interpolated_silence_are_dropped() -> None:
    def clean(*values: float) -> list[float]:
        return remove_glides(torch.tensor(values)).tolist()

    assert clean(0, 48, 193, 341, 389, 392, 90, 0) == [0, 0, 0, 341, 389, 392, 0, 0]
    assert clean(0, 121, 201, 203, 195, 95, 0) == [0, 0, 201, 203, 195, 0, 0]
    assert clean(0, 200, 205, 203, 0) == [0, 200, 205, 203, 0]  # within a semitone: sung
    assert clean(0, 300, 0) == [0, 300, 0]  # nothing to compare with
    assert clean(100, 200, 200) == [100, 200, 200]  # no silence beside it
    assert clean(0, 30, 0, 59) == [0, 0, 0, 0]
    assert clean(0, 90, 300, 0) == [0, 0, 300, 0]
    assert clean(250) == [250]


def test_f0_on_other_frames() -> None:
    f0 = torch.tensor([0.0, 0.0, 100.0, 400.0, 0.0, 0.0], dtype=torch.float64)
    same = resample_f0(f0, 7)
    assert same.tolist() == [*f0.tolist(), 0.0]
    fine = resample_f0(f0, 12, frame_hop=128)
    assert fine.tolist() == pytest.approx([0, 0, 0, 0, 100, 250, 400, 400, 0, 0, 0, 0])
    coarse = resample_f0(f0, 3, frame_hop=512)
    assert coarse.tolist() == [0.0, 100.0, 0.0]
    held = resample_f0(torch.full((1, 2, 3), 220.0), 9, frame_hop=128)
    torch.testing.assert_close(held, torch.full((1, 2, 9), 220.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gives_the_same() -> None:
    cpu, gpu = (build_pitch_model(tracks().to(d), n_fft=1024) for d in ("cpu", "cuda"))
    for name in ("templates", "activations", "shares"):
        torch.testing.assert_close(getattr(gpu, name).cpu(), getattr(cpu, name))
