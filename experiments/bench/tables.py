"""Results as Markdown tables; every function takes the content of one JSON file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.bench.cases import Case
from experiments.bench.figures import STYLES, base_of
from experiments.bench.training_step import BASE, KINDS, along

Results = Mapping[str, Any]


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def good(results: Results) -> list[Case]:
    """The cases that gave a result."""
    return [case for case in results["cases"] if "error" not in case]


def seconds(case: Mapping[str, Any]) -> str:
    """Median and quartiles."""
    values = (_short(case[key]) for key in ("median_s", "q1_s", "q3_s"))
    if case["repeats"] < 2:
        return next(values)
    return "{} ({} to {})".format(*values)


def _short(value: float) -> str:
    """Two to four significant digits, never an exponent."""
    size = abs(value)
    digits = next((d for d, least in enumerate((100, 10, 1, 0.1)) if size >= least), 4)
    # Adding zero turns a rounded "-0.0000" into "0.0000".
    return f"{round(value, digits) + 0.0:.{digits}f}"


def steps_table(results: Results) -> str:
    """All steps, and how they compare with the literal form and the network at the same point."""
    cases = good(results)
    point = ("n_singers", "batch", "excerpt_s", "threads")
    by = {(c["kind"], *(c[k] for k in point)): c for c in cases}
    rows = []
    keys = {tuple(c[k] for k in point) for c in cases}
    base = [results["base"][k] for k in point]
    # Variations of the singers first, then those of each further factor.
    for key in sorted(keys, key=lambda k: (*(k[i] != base[i] for i in (3, 2, 1)), k)):
        for kind in KINDS:
            case = by.get((kind, *key))
            if case is None:
                continue
            literal, network = by.get(("literal", *key)), by.get(("network", *key))
            rows.append(
                [
                    *(f"{value:g}" for value in key),
                    STYLES[kind][2],
                    seconds(case),
                    f"{case['peak_gb']:.2f}",
                    _ratio(literal, case),
                    _ratio(case, network),
                ]
            )
    header = ["J", "batch", "excerpt, s", "threads", "step", "time, s (quartiles)", "peak, GB"]
    return markdown([*header, "times as fast as literal", "times the floor"], rows)


def _ratio(above: Case | None, below: Case | None) -> str:
    if above is None or below is None or above is below:
        return "-"
    return f"{above['median_s'] / below['median_s']:.2f}"


def marks(training: Results | None, separation: Results | None) -> str:
    """The marks that the project has set itself, and whether they are met.

    Those of the step count at its usual base point only.
    """
    rows = []

    def add(what: str, sign: str, bound: float, value: float | None) -> None:
        row = [what, f"{sign} {bound:g}"]
        if value is None:
            rows.append([*row, "not measured", "-"])
            return
        met = value >= bound if sign == "≥" else value <= bound
        rows.append([*row, f"{value:.3g}", "yes" if met else "no"])

    if training and base_of(training) == BASE:
        kinds = ("umss", "literal", "network", "umss-medium", "network-medium")
        found = {k: along(training["cases"], k, "n_singers", BASE) for k in kinds}
        at = {k: {c["n_singers"]: c for c in cases} for k, cases in found.items()}
        ours, literal, floor, medium, floor_medium = (
            _value(at[k].get(BASE.n_singers), "median_s") for k in kinds
        )
        for what, time, bare in (
            ("step", medium, floor_medium),
            ("step, matmul_precision=highest", ours, floor),
        ):
            add(f"{what}: times as fast as the literal form", "≥", 15, _divided(literal, time))
            add(f"{what}: times the network alone", "≤", 1.6, _divided(time, bare))
        for j, bound in ((4, 2.5), (8, 4.0)):
            peak = _value(at["umss"].get(j), "peak_gb")
            add(f"step: peak memory with {j} singers, GB", "≤", bound, peak)
    if separation:
        by = {c["recording_s"]: c for c in good(separation) if c["kind"] == "umss"}
        share, peak = _value(by.get(4.0), "real_time_factor"), _value(by.get(600.0), "peak_gb")
        add("separation of 4 s: share of its length", "≤", 0.06, share)
        add("separation of 10 min: peak memory, GB", "≤", 1.2, peak)
    return markdown(["mark", "wanted", "measured", "met"], rows)


def _value(case: Case | None, key: str) -> float | None:
    return None if case is None else float(case[key])


def _divided(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None else above / below


def fits_table(results: Results) -> str:
    """Straight lines through time and memory."""
    units = {"n_singers": "singer", "excerpt_s": "second of excerpt"}
    rows = []
    for fit in results["fits"]:
        for key, unit in (("time_ms", "ms"), ("memory_gb", "GB")):
            line = fit[key]
            rows.append(
                [
                    STYLES[fit["kind"]][2],
                    f"{_short(line['slope'])} {unit} per {units[fit['factor']]}",
                    f"{_short(line['intercept'])} {unit}",
                    f"{line['r2']:.4f}",
                    str(fit["points"]),
                ]
            )
    return markdown(["step", "slope", "intercept", "R²", "points"], rows)


def parts_table(results: Results) -> str:
    """Forward and backward time of every part of a step."""
    split = results["parts"]
    rows = [
        [
            name,
            f"{1e3 * part['forward_s']:.1f}",
            f"{1e3 * part['backward_s']:.1f}" if part["backward_s"] else "-",
            f"{100 * part['share']:.0f} %",
        ]
        for name, part in split["parts"].items()
    ]
    rows.append(["not accounted for", "", "", f"{100 * split['rest_share']:.0f} %"])
    return markdown(["part", "forward, ms", "backward, ms", "share of the step"], rows)


RECORDING = ["J", "recording, s", "time, s (quartiles)", "share of its length", "peak, GB"]


def _recording(case: Case) -> list[str]:
    """The cells under `RECORDING`."""
    return [
        str(case["n_singers"]),
        f"{case['recording_s']:g}",
        seconds(case),
        f"{case['real_time_factor']:.3f}",
        f"{case['peak_gb']:.2f}",
    ]


def separation_table(results: Results) -> str:
    """From file to files."""
    rows = [
        ["trained model" if c["kind"] == "umss" else str(c["kind"]), *_recording(c)]
        for c in good(results)
    ]
    return markdown(["method", *RECORDING], rows)


def f0_table(results: Results) -> str:
    """Estimation of F0 tracks."""
    return markdown(RECORDING, map(_recording, good(results)))


def data_table(results: Results) -> str:
    """Loading beside the training step; a note on the loss's target follows."""
    cases = good(results)
    rows = [
        [
            str(c["workers"]),
            f"{1e3 * c['load']['median_s']:.1f}",
            f"{1e3 * c['wait']['median_s']:.1f}",
            _short(c["step"]["median_s"]),
            f"{100 * c['waiting_share']:.2f} %",
        ]
        for c in cases
        if c["kind"] == "loading"
    ]
    text = markdown(
        ["workers", "load a batch, ms", "step waits, ms", "step, s", "share of training waited"],
        rows,
    )
    for c in cases:
        if c["kind"] == "target":
            text += (
                f"\n\nThe target's Fourier transforms take {1e3 * c['target']['median_s']:.0f} ms, "
                f"{100 * c['share']:.0f} % of the loss (forward and backward, "
                f"{1e3 * c['loss']['median_s']:.0f} ms)."
            )
    return text


def nmf_table(results: Results) -> str:
    """NMF baselines."""
    rows = [
        [
            c["kind"].upper(),
            str(c["n_singers"]),
            seconds(c),
            f"{c['real_time_factor']:.3f}",
            f"{c['song_real_time_factor']:.3f}",
            f"{c['peak_gb']:.2f}",
        ]
        for c in good(results)
    ]
    header = ["method", "J", "4 s: time, s (quartiles)", "share of its length"]
    return markdown([*header, "96 s in batches: share of its length", "peak, GB"], rows)


def hpss_table(results: Results) -> str:
    """Harmonic-percussive decomposition here and in librosa."""
    rows = [
        [
            f"{c['recording_s']:g}",
            c["spectrum"],
            "`src.dsp.hpss`" if c["kind"] == "hpss" else c["kind"],
            str(c["threads"]),
            seconds(c),
            _short(c["cpu_s"]),
        ]
        for c in good(results)
    ]
    header = ["recording, s", "spectrum", "program", "threads", "time, s (quartiles)"]
    return markdown([*header, "processor time, s"], rows)


def bss_table(results: Results) -> str:
    """BSS Eval here and in museval."""
    rows = [
        [
            str(c["n_singers"]),
            str(c["batch"]),
            _short(c["museval"]["cpu_s"]),
            _short(c["fast"]["cpu_s"]),
            f"{c['cpu_speedup']:.1f}",
            f"{c['largest_difference_db']:.0e}",
        ]
        for c in good(results)
    ]
    header = ["J", "batch", "museval: processor time per 4 s, s", "`bss=fast`, s"]
    return markdown([*header, "times as fast", "largest difference, dB"], rows)
