"""The benchmark's yardstick computes the same signals as the fast voice."""

from __future__ import annotations

import torch

from experiments.bench.literal import LiteralVoice
from src.models.source_filter import SourceFilterVoice


def test_literal_and_fast_voice_agree_in_value_and_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    n_frames, n_samples = 20, 20 * 256
    f0 = torch.tensor([[300.0], [90.0]]) * (
        1 + 0.01 * torch.randn(2, n_frames, generator=generator)
    )
    f0[1, 8:12] = 0.0
    signals, gradients = [], []
    for kind in (SourceFilterVoice, LiteralVoice):
        voice = kind()
        generator.manual_seed(1)
        logits = {
            c.name: 0.5
            * torch.randn(1, 2, *([n_frames] if c.per_frame else []), c.size, generator=generator)
            for c in voice.controls
        }
        for value in logits.values():
            value.requires_grad_()
        controls = {c.name: c.activate(logits[c.name]) for c in voice.controls}
        signal = voice(f0[None], controls, torch.tensor([3]), n_samples)
        signal.square().sum().backward()
        signals.append(signal.detach())
        gradients.append(logits)
    # The literal filter runs in float32, which is what the tolerances allow for.
    scale = signals[0].abs().max()
    torch.testing.assert_close(signals[1] / scale, signals[0] / scale, atol=1e-3, rtol=0)
    for name, fast in gradients[0].items():
        assert fast.grad is not None
        level = fast.grad.abs().max()
        torch.testing.assert_close(
            gradients[1][name].grad / level, fast.grad / level, atol=5e-3, rtol=0
        )
