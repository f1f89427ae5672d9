"""The quality experiments: plan, paired intervals, rows that are kept, tables and curves."""

from __future__ import annotations

import itertools
import math
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from scipy import stats

from experiments.quality import ablation, f0_errors, recipes, reverberation
from experiments.quality.plan import (
    DataSet,
    Evaluations,
    compose_evaluation,
    read_plan,
    root_override,
    select,
)
from experiments.quality.results import Results, difference
from src.evaluate import run as evaluate_config
from tests.tiny_training import compose_config, write_choir


def frames_table(values: dict[tuple[str, int], list[float]], voice: str = "alto") -> pd.DataFrame:
    """Kept frames by (mixture, excerpt), and one silent frame in each."""
    rows = [
        {
            "song": "one", "mixture": mixture, "excerpt": excerpt, "voice": voice, "frame": n,
            "seed": 0, "kept": True, "si_sdr": value,
        }
        for (mixture, excerpt), scores in values.items()
        for n, value in enumerate(scores)
    ]  # fmt: skip
    silent = [
        {**row, "frame": 9, "kept": False, "si_sdr": -80.0} for row in rows if not row["frame"]
    ]
    return pd.DataFrame(rows + silent)


def test_interval_is_the_paired_t_interval_over_equal_excerpts() -> None:
    rng = np.random.default_rng(0)
    method, reference = rng.normal(5, 2, (2, 7, 4))
    tables = [
        frames_table({("a", i): list(row) for i, row in enumerate(scores)})
        for scores in (method, reference)
    ]
    paired = stats.ttest_rel(method.mean(1), reference.mean(1))
    interval = paired.confidence_interval(0.95)
    found = difference(*tables)
    assert found[0] == pytest.approx(float((method - reference).mean()))
    assert found[1:] == pytest.approx((float(interval.low), float(interval.high)))
    assert difference(tables[0].sample(frac=1, random_state=1), tables[1]) == pytest.approx(found)


def test_interval_by_hand_with_unequal_excerpts() -> None:
    """Sums 3, 4, 2 of 1, 2, 2 frames: mean 9 / 5; deviations 1.2, 0.4, -1.6."""
    zero = {("a", 1): [0.0], ("a", 2): [0.0, 0.0], ("a", 3): [0.0], ("b", 3): [0.0]}
    some = {("a", 1): [3.0], ("a", 2): [1.0, 3.0], ("a", 3): [-1.0], ("b", 3): [3.0]}
    mean, low, high = difference(frames_table(some), frames_table(zero))
    assert mean == pytest.approx(1.8)
    # 4.303: Student's 97.5 % quantile with two degrees of freedom.
    reach = 4.302653 * math.sqrt(3 / 2 * (1.2**2 + 0.4**2 + 1.6**2)) / 5
    assert (low, high) == pytest.approx((1.8 - reach, 1.8 + reach), rel=1e-6)


def test_seeds_are_averaged_and_one_excerpt_has_no_interval() -> None:
    reference = frames_table({("a", 1): [1.0, 2.0]})
    seeds = pd.concat(
        [frames_table({("a", 1): x}).assign(seed=s) for s, x in enumerate(([2.0, 3.0], [4.0, 5.0]))]
    )
    mean, low, high = difference(seeds, reference)
    assert mean == pytest.approx(2.0)
    assert math.isnan(low) and math.isnan(high)
    with pytest.raises(ValueError, match="on other excerpts"):
        difference(frames_table({("a", 2): [1.0, 2.0]}), reference)
    silent = reference.assign(kept=False)
    with pytest.raises(ValueError, match="nothing to compare"):
        difference(silent, silent)


@pytest.mark.slow
def test_the_plan_composes() -> None:
    plan = read_plan()
    assert len(plan.methods) >= len(plan.data)
    found = {}
    # Composing takes its time: every method with one data set, every data set at least once.
    for method, entry in zip(plan.methods, itertools.cycle(plan.data)):
        cfg = compose_evaluation([*plan.common, *entry.overrides, *method.overrides])
        assert cfg.data.batch_size == 4
        assert entry.name.endswith(cfg.data.f0) and f"j{cfg.data.n_singers}" in entry.name
        assert (entry.use == "validation") == ("nd12" in entry.name)
        assert ("checkpoint" in cfg.separator) == method.checkpoint, method.name
        found[method.name] = cfg.separator
    default = found["fit-alone"]
    smoothness = ("envelope_smoothness", "level_smoothness", "noise_smoothness")
    factors = {"alone-domain-1.5": 1.5**-2, "alone-domain-2": 0.25, "alone-hop-256": 2}
    for name, separator in found.items():
        if name.startswith("alone-"):
            assert separator.opinions is None
            assert any(separator[k] != default[k] for k in default), f"{name} changes nothing"
        for setting in smoothness if name in factors else ():
            expected = factors[name] * default.spectra[setting]
            assert separator.spectra[setting] == pytest.approx(expected, rel=1e-3)


def test_every_recipe_composes_and_is_another() -> None:
    script = Path(ablation.__file__).with_name("recipes.sh").read_text()
    lines = [shlex.split(x)[1:] for x in script.splitlines() if x.startswith("recipe ")]
    fixed = ["experiment=with_stems", "data.root=/", "data.singers=[1]"]
    base = compose_config("train", fixed)
    found = [compose_config("train", [*fixed, *overrides]) for _, *overrides in lines]
    assert found[0] == base
    assert len({yaml.safe_dump(OmegaConf.to_container(x)) for x in found}) == len(lines) > 5


def test_unknown_names_and_missing_folders() -> None:
    plan = read_plan()
    assert [m.name for m in select(plan.methods, ["comb*"], "--methods")] == [
        "comb", "comb-power", "comb-power-hold",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"--methods: nothing is called combs; there are comb, "):
        select(plan.methods, ["comb", "combs"], "--methods")
    with pytest.raises(ValueError, match=r"nd3j4-cached needs --csd DIR"):
        root_override(select(plan.data, ["nd3j4-cached"], "--data")[0], {"csd": None})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"references": ["none"]}, "references: nothing is called none"),
        ({"data": [{"name": "a/b", "title": "", "overrides": ""}]}, "letters, digits"),
        ({"data": [{"name": "a", "titel": "", "overrides": ""}]}, "titel"),
        ({"data": [{"name": "a", "title": "", "overrides": "", "every": 0}]}, r"a\.every=0"),
        ({"methods": [{"group": "A", "entries": [{"name": "x", "overrides": ""}] * 2}]}, "twice"),
    ],
)
def test_bad_plans(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "plan.yaml"
    content = {
        "references": [], "data": [],
        "methods": [{"group": "A", "entries": [{"name": "x", "overrides": ""}]}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump({**content, **change}))
    with pytest.raises(ValueError, match=message):
        read_plan(path)


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """A plan for a choir of two songs, six mixtures of two, three excerpts of a second each."""
    write_choir(tmp_path / "choir")
    content = {
        "common": (
            f"data.root={tmp_path / 'choir'} paths.cache_dir={tmp_path / 'cache'} "
            "data.excerpt_seconds=1 data.progress=false data.batch_size=4 seeds=[0] n_singers=2"
        ),
        "references": ["comb", "fit"],
        "data": [
            {"name": "one", "title": "One", "overrides": "data=folder data.split.full.test=[one]",
             "every": 4},
            {"name": "far", "title": "Far", "overrides": "data=csd", "root": "csd"},
        ],
        "methods": [
            {"group": "A", "entries": [
                {"name": "comb", "overrides": "separator=comb"},
                {"name": "fit", "overrides": "separator=comb separator.mask=power"},
            ]},
            {"group": "B", "entries": [
                {"name": "mixture", "overrides": "separator=mixture"},
                {"name": "umss", "overrides": "separator=umss", "checkpoint": True},
            ]},
        ],
    }  # fmt: skip
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def call(plan: Path, *arguments: str, program: object = ablation) -> Path:
    """Run a program on the plan; the folder of its results."""
    output = plan.parent / "out"
    program.main(  # type: ignore[attr-defined]
        [
            *arguments, "--plan", str(plan), "--output", str(output),
            "--frames", str(plan.parent / "frames"),
        ]
    )  # fmt: skip
    return output


@pytest.mark.slow
def test_rows_match_the_evaluation_and_are_kept(
    plan_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    out = call(plan_file, "--data", "one", "--methods", "mixture", "umss")
    assert "one, umss: skipped, it needs --checkpoint" in caplog.text
    alone = pd.read_csv(out / "results.csv")
    assert list(alone["method"]) == ["mixture"]
    assert alone["minus_comb"].isna().all()
    call(plan_file, "--data", "one")
    table = pd.read_csv(out / "results.csv").set_index("method")
    assert list(table.index) == ["comb", "fit", "mixture"]  # in the order of the plan
    assert (table["runs"] == 1).all()

    # The same scores as `umss evaluate` on every fourth of 18 excerpts.
    choir = plan_file.parent / "choir"
    overrides = [
        "data=folder", f"data.root={choir}", "data.split.full.test=[one]", "seeds=[0]",
        "data.excerpt_seconds=1", "data.progress=false", "n_singers=2",
        f"paths.cache_dir={plan_file.parent / 'cache'}",
    ]  # fmt: skip
    excerpts = [(m, e) for m in range(6) for e in range(3)][::4]
    means = {}
    for name, more in (("comb", ()), ("mixture", ("separator=mixture",))):
        folder = plan_file.parent / "reference" / name
        evaluate_config(compose_config("evaluate", [*overrides, *more, f"output={folder}"]))
        frames = pd.read_csv(folder / "frames.csv")
        number = frames["mixture"].map({m: i for i, m in enumerate(frames["mixture"].unique())})
        pairs = zip(number, frames["excerpt"], strict=True)
        chosen = np.array([pair in excerpts for pair in pairs])
        kept = frames[chosen & frames["kept"]]
        means[name] = kept["si_sdr"].mean()
        assert table.loc[name, "mean"] == pytest.approx(means[name], rel=1e-4)
        assert table.loc[name, "n_frames"] == len(kept) == 10
    # The mixture was evaluated before the comb: its difference has been filled in.
    assert table.loc["mixture", "minus_comb"] == pytest.approx(
        means["mixture"] - means["comb"], rel=1e-3
    )
    assert table.loc["mixture", "minus_comb_low"] < table.loc["mixture", "minus_comb"]
    assert np.isnan(table.loc["comb", "minus_comb"])

    before = (out / "results.csv").read_text()
    caplog.clear()
    call(plan_file, "--data", "one")
    assert (out / "results.csv").read_text() == before
    assert caplog.text.count("done already") == 3
    call(plan_file, "--data", "one", "--methods", "mixture", "--again")
    assert list(pd.read_csv(out / "results.csv")["runs"]) == [1, 1, 2]

    # Other settings are another evaluation, and differences to them are gone until both have it.
    plan_file.write_text(plan_file.read_text().replace("every: 4", "every: 5"))
    caplog.clear()
    call(plan_file, "--data", "one", "--methods", "comb")
    assert "was evaluated with other settings" in caplog.text
    assert "on other excerpts" in caplog.text
    assert np.isnan(pd.read_csv(out / "results.csv")["minus_comb"].to_numpy()).all()

    call(plan_file, "--table")
    text = (out / "RESULTS.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {9}
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        "**A**",
        "comb",
        "fit",
        "**B**",
        "mixture",
    ]
    assert "one of every 5 excerpts" in text and "Far" not in text


def test_mistakes_end_in_a_message(plan_file: Path) -> None:
    for arguments, message in (
        (("--methods", "com"), "nothing is called com"),
        (("--data", "two"), "--data: nothing is called two; there are one, far"),
        (("--data", "far"), "far needs --csd DIR"),
        (("--table",), "evaluate first"),
    ):
        with pytest.raises(SystemExit, match=message):
            call(plan_file, *arguments)


@pytest.mark.slow
def test_errors_in_f0(plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f0_errors, "SIZES", {"octave_rate": (0.5, 1.0)})
    arguments = ("--data", "one", "--methods", "comb", "mixture")
    out = call(plan_file, *arguments, program=f0_errors)
    table = pd.read_csv(out / "f0_errors.csv")
    means = table.pivot(index="size", columns="method", values="mean")
    assert means["comb"].is_monotonic_decreasing and means["comb"][0.0] > means["comb"][1.0] + 3
    assert np.ptp(means["mixture"]) == pytest.approx(0.0, abs=1e-6)
    assert (out / "f0_errors.png").read_bytes()[:4] == b"\x89PNG"
    curve = f0_errors.curves(table.to_dict("records"))
    assert list(curve[curve["label"] == "comb"]["size"]) == [0.0, 0.5, 1.0]
    before = (out / "f0_errors.csv").read_bytes()
    call(plan_file, *arguments, program=f0_errors)
    assert (out / "f0_errors.csv").read_bytes() == before
    with pytest.raises(ValueError, match="evaluate first"):
        f0_errors.curves([])


@pytest.mark.slow
def test_reverberation(plan_file: Path) -> None:
    arguments = ("--data", "one", "--methods", "comb", "mixture")
    out = call(plan_file, *arguments, program=reverberation)
    table = pd.read_csv(out / "reverberation.csv")
    means = table.pivot(index="decay", columns="method", values="mean")
    assert list(means.index) == [0.8, 1.8, 3.0]
    assert means["comb"][0.8] > means["comb"][1.8:].max()


def test_rooms_are_the_same_for_every_method() -> None:
    sources = torch.randn(2, 3, 16_000, generator=torch.Generator().manual_seed(0))
    batches = [{"mixture": sources.sum(dim=1), "sources": sources, "start": torch.zeros(2)}] * 2
    once, again = (
        list(reverberation.in_rooms(batches, decay=0.5, direct=0.0, seed=0)) for _ in range(2)
    )
    for first, second in zip(once, again, strict=True):
        assert torch.equal(first["mixture"], second["mixture"])
        torch.testing.assert_close(first["sources"].sum(dim=1), first["mixture"])
        # As much energy again as the direct sound's, and not the same in every mixture.
        assert 1.4 < first["sources"].square().sum() / sources.square().sum() < 2.2
    assert not torch.equal(once[0]["mixture"], once[1]["mixture"])


def test_a_reference_without_its_frames_leaves_no_old_difference(tmp_path: Path) -> None:
    results = Results(tmp_path / "r.csv", ("data", "method"), ["comb"])
    row = {"data": "d", "mean": 1.0, "digest": "0123"}
    results.put({**row, "method": "fit", "minus_comb": 3.0})
    results.put({**row, "method": "comb"})
    notes: list[str] = []
    results.compare(results.rows[1], lambda name: None, notes.append)
    results.write(lambda r: r["method"])
    stored = Results(tmp_path / "r.csv", ("data", "method"), ["comb"])
    fit = stored.find(data="d", method="fit")
    assert fit is not None and math.isnan(fit["minus_comb"]) and fit["digest"] == "0123"
    assert notes == ["fit minus comb: no frames of both; evaluate again"]


def test_digests(plan_file: Path) -> None:
    plan = read_plan(plan_file)
    one = Evaluations(plan.data[0], plan.common)
    comb, fit = (select(plan.methods, [name], "")[0] for name in ("comb", "fit"))
    assert one.digest(comb) == Evaluations(plan.data[0], plan.common).digest(comb)
    other = DataSet(**{**vars(plan.data[0]), "every": 2})
    digests = {
        one.digest(comb), one.digest(fit), one.digest(comb, {"octave_rate": 0.1}),
        Evaluations(other, plan.common).digest(comb),
    }  # fmt: skip
    assert len(digests) == 4


def test_recipes_are_compared_with_the_first_one(tmp_path: Path) -> None:
    levels = {"with_stems": 0.0, "another": 0.5}
    for data, (name, level) in itertools.product(recipes.DATA, levels.items()):
        (tmp_path / data / name).mkdir(parents=True)
        frames = frames_table({("a", i): [i + level, 2.0 * i] for i in range(4)})
        frames.to_csv(tmp_path / data / name / "frames.csv", index=False)
    found = recipes.table(tmp_path).set_index(["data", "recipe"])
    assert found.index.tolist()[1::2] == [("singer_2", "another"), ("generated", "another")]
    assert found["mean"].tolist() == pytest.approx([2.25, 2.5] * 2)
    assert found["minus_base"].tolist()[1::2] == pytest.approx([0.25] * 2)
    assert found["minus_base"].isna().tolist() == [True, False] * 2
    (tmp_path / "generated" / "with_stems" / "frames.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"run recipes\.sh"):
        recipes.table(tmp_path)
