"""The benchmark of the training step: grid, lines, parts, tables; no test asserts a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
import torch

from experiments.bench import cases, parts, report, tables, training_step
from experiments.bench.figures import FIGURES
from experiments.bench.inputs import random_batch
from experiments.bench.training_step import BASE, Point


def made_up(kind: str, point: Point, median: float, peak: float) -> dict[str, Any]:
    times = {f"{q}_s": median for q in ("min", "q1", "median", "q3", "max")}
    return {
        "kind": kind, "n_singers": point.n_singers, "batch": point.batch,
        "excerpt_s": point.excerpt_s, "threads": point.threads, "repeats": 3, **times,
        "cpu_s": 2 * median, "peak_gb": peak, "resting_gb": 0.5,
    }  # fmt: skip


def made_up_results() -> dict[str, Any]:
    """Times in which the step costs 1 s and 0.25 s a singer, at 16 times less than the literal."""
    found = []
    for kind, factor in (("network", 1 / 1.25), ("umss", 1.0), ("literal", 16.0)):
        for p in training_step.grid(kind):
            median = factor * (1.0 + 0.25 * p.n_singers) * p.batch / 16 * p.excerpt_s / 4
            median *= 1.8 if p.threads == 1 else 1.0
            found.append(made_up(kind, p, median, 0.4 + p.n_singers / 2))
    part = {"forward_s": 0.5, "backward_s": 1.0, "share": 0.75}
    return {
        "machine": {
            "cpu": "A CPU", "cores": 2, "system": "Linux", "torch": "2", "load_average_before": 0.1,
            "allocator": {"library": "glibc"},
        },
        "base": vars(BASE),
        "cases": found,
        "fits": training_step.fits(found, BASE),
        "parts": {"step_s": 2.0, "rest_share": 0.25, "parts": {"loss": part}},
    }  # fmt: skip


# --- the grid of training steps


def test_grid_varies_one_factor_at_a_time_and_spares_the_literal_form() -> None:
    points = training_step.grid("umss")
    assert points[0] == BASE and len(set(points)) == len(points)
    for p in points:
        changed = [k for k, v in vars(BASE).items() if getattr(p, k) != v]
        assert len(changed) <= 1 or (len(changed) == 2 and p.batch == 1 and "n_singers" in changed)
    assert {p.n_singers for p in points} == {1, 2, 4, 8}
    literal = training_step.grid("literal")
    assert {p.n_singers for p in literal if p.batch == 16} == {1, 2, 4}
    assert {p.excerpt_s for p in literal} == {2.0, 4.0} and {p.batch for p in literal} == {1, 4, 16}
    assert {p.threads for p in training_step.grid("umss-bf16")} == {1, 2}


def test_fit_is_that_of_scipy_and_refuses_two_points() -> None:
    x = [1.0, 2.0, 4.0, 8.0]
    y = [1.3, 1.9, 3.2, 7.0]
    found, wanted = training_step.line_fit(x, y), scipy.stats.linregress(x, y)
    assert found["slope"] == pytest.approx(wanted.slope)
    assert found["intercept"] == pytest.approx(wanted.intercept)
    assert found["r2"] == pytest.approx(wanted.rvalue**2)
    assert training_step.line_fit(x, [2.0] * 4)["r2"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least 3"):
        training_step.line_fit([1, 2], [1, 2])


def test_fits_take_the_cases_along_one_factor() -> None:
    found = {(f["kind"], f["factor"]): f for f in made_up_results()["fits"]}
    over_singers = found["umss", "n_singers"]
    assert over_singers["points"] == 4
    assert over_singers["time_ms"]["slope"] == pytest.approx(250.0)
    assert over_singers["time_ms"]["intercept"] == pytest.approx(1000.0)
    assert over_singers["memory_gb"]["slope"] == pytest.approx(0.5)
    assert found["umss", "excerpt_s"]["time_ms"]["slope"] == pytest.approx(500.0)
    assert ("literal", "excerpt_s") not in found  # two points only


def test_failed_cases_are_left_out() -> None:
    results = made_up_results()
    results["cases"].append({**vars(BASE), "kind": "umss", "n_singers": 16, "error": "killed"})
    assert len(training_step.along(results["cases"], "umss", "n_singers", BASE)) == 4
    assert "16" not in tables.steps_table({**results, "cases": results["cases"][-1:]})


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="one of network, umss"):
        training_step.build("voice")


@pytest.mark.parametrize("kind", training_step.KINDS)
def test_every_kind_of_step_changes_the_weights(kind: str) -> None:
    model = training_step.build(kind)
    batch = random_batch(1, 2, 0.128)
    before = [p.detach().clone() for p in model.estimator.parameters()]
    step = training_step.stepper(model, kind, batch, model.configure_optimizers())
    assert cases.timed(step, repeats=1, warm_up=0)["median_s"] > 0
    changed = [
        not torch.equal(p, q) for p, q in zip(before, model.estimator.parameters(), strict=True)
    ]
    assert all(changed)


def test_kinds_start_from_the_same_weights() -> None:
    ours = training_step.build("umss").state_dict()
    for name, value in training_step.build("network").state_dict().items():
        assert torch.equal(value, ours[name])


# --- parts


def test_parts_compute_what_the_step_computes() -> None:
    model = training_step.build("umss")
    batch = random_batch(2, 2, 0.512)
    found = parts.build_parts(model, batch)
    with torch.no_grad():
        sources, controls = model(batch["mixture"], batch["f0"], batch["seed"])
        wanted = model.loss(sources, batch)
    decoded = found["decoder and heads"]()
    for value, (name, control) in zip(decoded, controls.items(), strict=True):
        torch.testing.assert_close(value, control, msg=name)
    excitation = found["harmonic source"]()[0] + found["noise"]()[0]
    filtered = found["all-pole filter"]()[0]
    torch.testing.assert_close(filtered, sources, rtol=1e-4, atol=1e-5)
    leaf = model.voice.build_excitation(batch["f0"], controls, batch["seed"], sources.shape[-1])
    torch.testing.assert_close(excitation, leaf, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["loss"]()[0], wanted, rtol=1e-4, atol=1e-5)


def test_measured_parts_and_rest_sum_to_the_step() -> None:
    found = parts.measure(n_singers=1, batch=1, excerpt_s=0.256, repeats=1)
    shares = [part["share"] for part in found["parts"].values()]
    assert sum(shares) + found["rest_share"] == pytest.approx(1.0)
    assert list(found["parts"])[-1] == "optimiser" and min(shares) > 0


# --- tables and figures


def test_marks() -> None:
    text = tables.marks(made_up_results(), None)
    full = "step, matmul_precision=highest"
    assert f"| {full}: times as fast as the literal form | ≥ 15 | 16 | yes |" in text
    assert f"| {full}: times the network alone | ≤ 1.6 | 1.25 | yes |" in text
    assert "| step: times the network alone | ≤ 1.6 | not measured | - |" in text
    assert "| step: peak memory with 4 singers, GB | ≤ 2.5 | 2.4 | yes |" in text
    assert "| step: peak memory with 8 singers, GB | ≤ 4 | 4.4 | no |" in text
    # Seconds and gigabytes of another point are no mark.
    other = {**made_up_results(), "base": vars(Point(4, 1, 4.0, 2))}
    assert "step" not in tables.marks(other, None)
    assert "not measured | - |" in tables.marks({**made_up_results(), "cases": []}, None)


def test_table_of_steps_compares_within_a_point() -> None:
    rows = [line.split(" | ") for line in tables.steps_table(made_up_results()).splitlines()[2:]]
    ours = next(r for r in rows if r[:5] == ["| 4", "16", "4", "2", "this implementation"])
    assert ours[5:] == ["2.00 (2.00 to 2.00)", "2.40", "16.00", "1.25 |"]
    eight = next(r for r in rows if r[0] == "| 8" and r[4] == "this implementation")
    assert eight[7] == "-"  # the literal form is not measured there


def test_report_of_made_up_results(tmp_path: Path) -> None:
    results = made_up_results()
    (tmp_path / "training_step.json").write_text(json.dumps(results))
    report.write(tmp_path, tmp_path / "out")
    text = (tmp_path / "out/README.md").read_text()
    linked = [line.split("](")[1][:-1] for line in text.splitlines() if line.startswith("![")]
    assert len(linked) == len(FIGURES)
    for name in linked:
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    assert "nan" not in text and "None" not in text
    assert "A CPU; 2 cores" in text and "glibc" in text
    first = text
    report.write(tmp_path, tmp_path / "out")
    assert (tmp_path / "out/README.md").read_text() == first


def test_report_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match="make bench"):
        report.write(tmp_path, tmp_path)
    results = made_up_results()
    results["cases"] = [{**results["cases"][0], "error": "the process was killed"}]
    results["fits"], results["parts"] = [], {"error": "no parts"}
    (tmp_path / "training_step.json").write_text(json.dumps(results))
    report.write(tmp_path, tmp_path)
    assert "the process was killed" in (tmp_path / "README.md").read_text()
    assert "no figure of singers" in capsys.readouterr().out
    (tmp_path / "nmf.json").write_text(json.dumps({"nmf1": {}}))
    with pytest.raises(ValueError, match=r"nmf\.json: not written by these benchmarks"):
        report.write(tmp_path, tmp_path)


def test_short_numbers() -> None:
    values = (1234.5, 123.4, 12.34, 1.234, 0.1234, 0.01234, -12.34, -1e-9, 0.0)
    wanted = "1234 123 12.3 1.23 0.123 0.0123 -12.3 0.0000 0.0000"
    assert " ".join(map(tables._short, values)) == wanted
