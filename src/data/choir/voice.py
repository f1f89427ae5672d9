"""The voice itself: Liljencrants-Fant pulses at the running phase through formant resonators.

Everything runs at 64 kHz. The glottal flow is read from a table at the exact phase and
differenced, which averages the flow derivative over each sample and so suppresses what would
alias into the audible band; the result is decimated afterwards.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit
from scipy.optimize import brentq

SYNTH_RATE = 64000  # Hz
CONTROL_RATE = 1000  # Hz
BLOCK = SYNTH_RATE // CONTROL_RATE  # samples per control value

# Two equal zero pairs, together +11 dB at 4 kHz and +32 dB at 8 kHz: a cascade of ten formants
# lacks the poles above it, whose skirts keep the spectrum of a real tract from falling off.
LIFT_HZ, LIFT_BANDWIDTH = 2400.0, 4100.0  # for a tract of factor 1

RD_MIN, RD_MAX, RD_STEP = 0.3, 2.7, 0.05
TABLE_SIZE = 2048


def compute_lf_flow(rd: float, n_points: int) -> np.ndarray:
    """Compute the glottal flow of one period by the LF model, shape parameter Rd.

    Parameters
    ----------
    rd : 0.3 (pressed) .. 2.7 (breathy), the parameter that moves all others along the main axis
        of natural variation (Fant 1995, "The LF-model revisited", STL-QPSR 36)
    n_points : intervals per period

    Returns
    -------
    float64 [n_points + 1], 0 at both ends; its slope (per period) has the negative peak -1
    """
    ra, rk = (-1 + 4.8 * rd) / 100, (22.4 + 11.8 * rd) / 100
    rg = rk * (0.5 + 1.2 * rk) / 4 / (0.11 * rd - ra * (0.5 + 1.2 * rk))
    tp = 1 / (2 * rg)
    te, ta = min(tp * (1 + rk), 0.97), ra
    eps = brentq(lambda e: e * ta - 1 + np.exp(-e * (1 - te)), 1e-3 / ta, 2 / ta)
    phase = np.linspace(0, 1, n_points + 1)
    omega = np.pi / tp

    def slope(alpha: float, t: np.ndarray) -> np.ndarray:
        opening = np.exp(alpha * (t - te)) * np.sin(omega * t) / -np.sin(omega * te)
        closing = -(np.exp(-eps * (t - te)) - np.exp(-eps * (1 - te))) / (eps * ta)
        return np.where(t < te, opening, closing)

    fine = (np.arange(20000) + 0.5) / 20000  # midpoints: the integral is their mean
    alpha = brentq(lambda a: slope(a, fine).mean(), -60.0, 200.0)
    flow = np.interp(
        phase, np.linspace(0, 1, 20001), np.append(0.0, np.cumsum(slope(alpha, fine)) / 20000)
    )
    return flow - phase * flow[-1]


@lru_cache(maxsize=1)
def build_pulse_table() -> tuple[np.ndarray, np.ndarray]:
    """Build flows for all Rd, float64 [R, TABLE_SIZE + 1], and the peak of each, float64 [R]."""
    n_rows = round((RD_MAX - RD_MIN) / RD_STEP) + 1
    rows = np.stack([compute_lf_flow(RD_MIN + RD_STEP * i, TABLE_SIZE) for i in range(n_rows)])
    return rows, rows.max(axis=1)


def design_resonator(
    hz: np.ndarray, bandwidth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Klatt's digital resonator y = a x + b y1 + c y2, gain 1 at 0 Hz; arrays of any shape."""
    c = -np.exp(-2 * np.pi * bandwidth / SYNTH_RATE)
    b = 2 * np.exp(-np.pi * bandwidth / SYNTH_RATE) * np.cos(2 * np.pi * hz / SYNTH_RATE)
    return 1 - b - c, b, c


def design_upper_lift(tract: float) -> np.ndarray:
    """Coefficients (a, b, c) of the antiresonator at LIFT_HZ times `tract`, float64 [3]."""
    return np.array(design_resonator(np.array(LIFT_HZ * tract), np.array(LIFT_BANDWIDTH * tract)))


@njit(cache=True)
def render(  # type: ignore[no-untyped-def]
    f0, rd, voice, breath, hiss, coefs, zero, hiss_coefs, noise, hiss_noise, jitter, shimmer,
    table, peaks, lift,
):  # fmt: skip
    """Samples at SYNTH_RATE from control tracks at CONTROL_RATE.

    Parameters
    ----------
    f0, rd, voice, breath, hiss : float64 [C + 1], interpolated linearly between control values
    coefs : float64 [C, S, 3] cascade resonators (a, b, c), constant within a block
    zero : float64 [C, 3] the nasal antiresonator, (1, 0, 0) where there is none
    hiss_coefs : float64 [C, 2, 3] two parallel bandpasses (gain, b, c)
    noise, hiss_noise : float32 [C * BLOCK] white noise, unit variance
    jitter, shimmer : float64 [M] relative deviations, one per glottal cycle (cyclic)
    table, peaks : of `build_pulse_table`
    lift : float64 [3] antiresonator for the missing upper formants

    Returns
    -------
    float32 [C * BLOCK]
    """
    n_control, n_sections = coefs.shape[0], coefs.shape[1]
    size = table.shape[1] - 1
    out = np.empty(n_control * 64, np.float32)
    state = np.zeros((n_sections, 2))
    block = np.empty(64)
    h10, h11, h20, h21, w1, w2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    z1, z2, l1, l2, m1, m2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    l_a, l_b, l_c = 1.0 / lift[0], lift[1], lift[2]
    phase, flow = 0.0, 0.0
    cycle = 0
    row = 0
    wobble, level = 1.0, 1.0
    for k in range(n_control):
        z_a, z_b, z_c = 1.0 / zero[k, 0], zero[k, 1], zero[k, 2]
        for i in range(64):
            t = k * 64 + i
            u = i / 64.0
            step = (f0[k] + u * (f0[k + 1] - f0[k])) * wobble / 64000.0
            av = voice[k] + u * (voice[k + 1] - voice[k])
            ah = breath[k] + u * (breath[k + 1] - breath[k])
            phase += step
            if phase >= 1.0:
                phase -= 1.0
                cycle = (cycle + 1) % jitter.shape[0]
                wobble, level = 1.0 + jitter[cycle], 1.0 + shimmer[cycle]
                row = int((rd[k] - 0.3) / 0.05 + 0.5)
                row = min(max(row, 0), table.shape[0] - 1)
            place = phase * size
            cell = int(place)
            now = table[row, cell] + (place - cell) * (table[row, cell + 1] - table[row, cell])
            x = av * level * (now - flow) / step
            flow = now
            if ah > 1e-6:
                open_part = now / peaks[row]
                depth = 0.7 * min(1.0, 2.0 * av)
                x += ah * (1.0 - depth + depth * open_part) * noise[t]
            y = l_a * (x - l_b * l1 - l_c * l2)
            l2 = l1
            l1 = x
            x = l_a * (y - l_b * m1 - l_c * m2)
            m2 = m1
            m1 = y
            block[i] = x
        for s in range(n_sections):
            # a section at a time over the block: its state stays in registers
            r_a, r_b, r_c = coefs[k, s, 0], coefs[k, s, 1], coefs[k, s, 2]
            y1, y2 = state[s, 0], state[s, 1]
            for i in range(64):
                y = r_a * block[i] + r_b * y1 + r_c * y2
                y2 = y1
                y1 = y
                block[i] = y
            state[s, 0], state[s, 1] = y1, y2
        for i in range(64):
            t = k * 64 + i
            x = block[i]
            af = hiss[k] + i / 64.0 * (hiss[k + 1] - hiss[k])
            y = z_a * (x - z_b * z1 - z_c * z2)
            z2 = z1
            z1 = x
            n = af * hiss_noise[t]
            d = n - w2
            w2 = w1
            w1 = n
            p = hiss_coefs[k, 0, 0] * d + hiss_coefs[k, 0, 1] * h10 + hiss_coefs[k, 0, 2] * h11
            h11 = h10
            h10 = p
            q = hiss_coefs[k, 1, 0] * d + hiss_coefs[k, 1, 1] * h20 + hiss_coefs[k, 1, 2] * h21
            h21 = h20
            h20 = q
            out[t] = y + p + q
    return out
