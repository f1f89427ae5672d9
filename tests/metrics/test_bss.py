"""BSS Eval by museval: batching and windows, checked against its defining property."""

from __future__ import annotations

import torch

from src.metrics.bss import bss_eval


def test_scores_follow_the_added_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(2, 2, 32_000, generator=generator)
    noise = torch.randn(2, 2, 32_000, generator=generator)
    scores = bss_eval(sources + 0.1 * noise, sources)
    assert set(scores) == {"sdr", "isr", "sir", "sar"}
    assert scores["sdr"].shape == (2, 2, 2)
    # White noise at 0.1 is 20 dB down; the distortion filter explains almost none of it.
    torch.testing.assert_close(scores["sdr"].mean().item(), 20.0, atol=0.5, rtol=0)
    leak = bss_eval(sources + 0.1 * sources.flip(1), sources)
    torch.testing.assert_close(leak["sir"].mean().item(), 20.0, atol=0.5, rtol=0)
    assert (leak["sar"] > 40).all()
