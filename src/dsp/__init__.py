"""Differentiable signal processing: pure functions on tensors, no state, no configuration.

All functions share one time grid. A signal of T samples at hop H has N = ceil(T / H) frames, and
frame n describes the samples around n * H. Control signals (F0, amplitudes, filters) have one value
per frame; between frame n and n + 1 they are cross-faded (`control.upsample`), and after the last
frame they are held. Windows that overlap by half are centred on n * H.
"""
