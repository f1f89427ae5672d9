"""Statistics of evaluation tables against textbook formulas and simulated experiments."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from src.metrics.stats import COLUMNS, choose_paired_unit, compare, describe

pytestmark = pytest.mark.filterwarnings("error")


def table(
    values: object = 5.0,
    *,
    n_mixtures: int = 7,
    n_excerpts: int = 3,
    n_frames: int = 4,
    seeds: tuple[int, ...] = (0,),
) -> pd.DataFrame:
    """An evaluation table with two voices; `values` is a number or one per row."""
    rows = [
        {"song": "song", "mixture": f"mixture{m}", "excerpt": e, "start": 64_000 * e, "source": j,
         "voice": "SA"[j], "singer": "1", "frame": f, "seed": s, "energy": 50.0, "kept": True}
        for m, e, j, f, s in itertools.product(
            range(n_mixtures), range(n_excerpts), range(2), range(n_frames), seeds
        )
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(si_sdr=values)


def random(mean: float, spread: float, seed: int, **shape: object) -> pd.DataFrame:
    empty = table(**shape)  # type: ignore[arg-type]
    noise = np.random.default_rng(seed).normal(size=len(empty))
    return empty.assign(si_sdr=mean + spread * noise)


def test_unit_is_the_mixture_where_there_are_enough_in_common() -> None:
    seven, five = table(n_mixtures=7), table(n_mixtures=5)
    assert choose_paired_unit({"a": seven, "b": seven}) == "mixture"
    assert choose_paired_unit({"a": seven, "b": five}) == "excerpt"
    six = seven[seven["mixture"] != "mixture0"]
    assert choose_paired_unit({"a": seven, "b": six}) == "mixture"
    assert choose_paired_unit({"a": seven[seven["mixture"] != "mixture6"], "b": six}) == "excerpt"
    silent = seven.assign(kept=~seven["mixture"].isin(["mixture0", "mixture1"]))
    assert choose_paired_unit({"a": silent}) == "excerpt"


def test_description_of_kept_frames() -> None:
    frames = random(3.0, 2.0, 0, seeds=(0, 1))
    frames.loc[::5, "kept"] = False
    frames.loc[::5, "si_sdr"] = np.nan
    values = frames.loc[frames["kept"], "si_sdr"].to_numpy()
    row = describe({"comb": frames}).iloc[0]
    assert (row["method"], row["n_frames"], row["unit"]) == ("comb", len(values), "mixture")
    assert row["n_units"] == 7 and row["note"] == ""
    assert row["mean"] == pytest.approx(values.mean())
    found = row[["q25", "median", "q75"]].to_numpy(dtype=float)
    np.testing.assert_allclose(found, np.percentile(values, [25, 50, 75]))
    assert row["ci_low"] < row["mean"] < row["ci_high"]


def test_confidence_interval_covers_the_truth_although_frames_depend_on_each_other() -> None:
    """Frames of a mixture share its level; drawing frames would be far too sure."""
    hits, width, naive = 0, 0.0, 0.0
    for trial in range(30):
        rng = np.random.default_rng(trial)
        frames = table(n_mixtures=20, n_excerpts=1, n_frames=5)
        level = np.repeat(rng.normal(size=20), 10)
        frames["si_sdr"] = 5.0 + 2.0 * level + 0.5 * rng.normal(size=len(frames))
        row = describe({"a": frames}).iloc[0]
        hits += row["ci_low"] <= 5.0 <= row["ci_high"]
        width += row["ci_high"] - row["ci_low"]
        naive += 2 * 1.96 * frames["si_sdr"].std() / math.sqrt(len(frames))
    assert hits >= 25  # 95 % of 30 are 28.5
    assert width > 2 * naive


def test_bootstrap_is_deterministic_and_follows_its_seed() -> None:
    frames = random(3.0, 2.0, 0, n_mixtures=20)
    one, two = describe({"a": frames}, seed=1), describe({"a": frames}, seed=1)
    pd.testing.assert_frame_equal(one, two)
    assert describe({"a": frames}, seed=2)["ci_low"][0] != one["ci_low"][0]


@pytest.mark.parametrize("spread", [2.0, 6.0])
def test_tests_over_frames_against_their_formulas(spread: float) -> None:
    a, b = random(5.0, 2.0, 0, seeds=(0, 1)), random(4.5, spread, 1)
    x, y = a["si_sdr"].to_numpy(), b["si_sdr"].to_numpy()
    row = compare({"a": a, "b": b}).iloc[0]
    n, m, u, v = len(x), len(y), x.var(ddof=1), y.var(ddof=1)
    pooled = ((n - 1) * u + (m - 1) * v) / (n + m - 2)
    if spread == 2.0:
        assert row["test"] == "Student" and row["levene_p"] >= 0.05
        error, df = math.sqrt(pooled * (1 / n + 1 / m)), n + m - 2
    else:
        assert row["test"] == "Welch" and row["levene_p"] < 0.05
        error = math.sqrt(u / n + v / m)
        df = error**4 / ((u / n) ** 2 / (n - 1) + (v / m) ** 2 / (m - 1))
    difference = x.mean() - y.mean()
    assert (row["n_a"], row["n_b"]) == (n, m)
    assert row["difference"] == pytest.approx(difference)
    assert row["t"] == pytest.approx(difference / error)
    assert row["df"] == pytest.approx(df)
    # Two-sided p of Student's distribution through the incomplete beta function.
    expected = special.betainc(df / 2, 0.5, df / (df + row["t"] ** 2))
    assert row["p"] == pytest.approx(expected)
    half = error * stats.t.ppf(0.975, df)
    assert row["ci_low"] == pytest.approx(difference - half)
    assert row["ci_high"] == pytest.approx(difference + half)
    assert row["cohen_d"] == pytest.approx(difference / math.sqrt(pooled))
    wins = np.sign(x[:, None] - y[None]).mean() / 2 + 0.5
    assert row["superiority"] == pytest.approx(wins)


def test_paired_tests_against_their_formulas() -> None:
    a, b = random(5.0, 2.0, 0, seeds=(0, 1)), random(4.5, 2.0, 1)
    b.loc[b["frame"] == 3, "kept"] = False
    row = compare({"a": a, "b": b}).iloc[0]
    d = (
        a.groupby("mixture")["si_sdr"].mean() - b[b["kept"]].groupby("mixture")["si_sdr"].mean()
    ).to_numpy()
    assert (row["unit"], row["n_units"]) == ("mixture", 7)
    assert row["unit_difference"] == pytest.approx(d.mean())
    t = d.mean() / (d.std(ddof=1) / math.sqrt(7))
    assert row["paired_t_p"] == pytest.approx(special.betainc(3, 0.5, 6 / (6 + t**2)))
    # Exact: all 2^7 signs of the ranks.
    ranks = np.argsort(np.argsort(np.abs(d))) + 1
    sums = [ranks @ np.array(signs) for signs in itertools.product([-1, 1], repeat=7)]
    observed = abs(ranks @ np.sign(d))
    assert row["wilcoxon_p"] == pytest.approx(np.mean(np.abs(sums) >= observed))


def test_adjusted_p_values_are_benjamini_and_hochbergs() -> None:
    tables = {name: random(mean, 2.0, i) for i, (name, mean) in enumerate(
        {"a": 5.0, "b": 5.1, "c": 4.0, "d": 6.5}.items())}  # fmt: skip
    found = compare(tables)
    assert list(zip(found["a"], found["b"], strict=True)) == list(itertools.combinations("abcd", 2))
    assert tuple(found.columns) == COLUMNS
    for column in ("p", "paired_t_p", "wilcoxon_p"):
        p = found[column].to_numpy()
        order = np.argsort(p)[::-1]
        adjusted, smallest = np.empty(6), 1.0
        for rank, index in zip(range(6, 0, -1), order, strict=True):
            smallest = min(smallest, p[index] * 6 / rank)
            adjusted[index] = smallest
        np.testing.assert_allclose(found[f"{column}_adjusted"], adjusted)


def test_tests_over_frames_are_too_sure_where_frames_depend_on_each_other() -> None:
    """Under no difference, a test at 5 % should find one in 5 % of the cases."""
    found = {"p": 0, "paired_t_p": 0}
    for trial in range(40):
        rng = np.random.default_rng(trial)
        tables = {}
        for name in "ab":
            frames = table(n_mixtures=10, n_excerpts=1, n_frames=5)
            frames["si_sdr"] = np.repeat(rng.normal(size=10), 10) + rng.normal(size=100) * 0.3
            tables[name] = frames
        row = compare(tables).iloc[0]
        for column in found:
            found[column] += row[column] < 0.05
    assert found["paired_t_p"] <= 6
    assert found["p"] >= 12


def test_identical_and_constant_methods() -> None:
    frames = random(5.0, 2.0, 0)
    tables = {
        "a": frames, "same": frames.copy(), "shifted": frames.assign(si_sdr=frames["si_sdr"] + 1.0),
        "one": table(1.0), "again": table(1.0), "two": table(2.0),
    }  # fmt: skip
    found = compare(tables).set_index(["a", "b"])
    assert not found.select_dtypes("number").isna().any().any()
    assert (found["note"] == "").all()
    for pair in (("a", "same"), ("one", "again")):
        row = found.loc[pair]
        assert row[["t", "difference", "cohen_d"]].tolist() == [0, 0, 0]
        assert row[["p", "paired_t_p", "wilcoxon_p", "levene_p"]].tolist() == [1, 1, 1, 1]
        assert row["superiority"] == 0.5
    apart = found.loc[("one", "two")]
    assert (apart["t"], apart["cohen_d"], apart["p"]) == (-math.inf, -math.inf, 0.0)
    assert (apart["ci_low"], apart["ci_high"], apart["superiority"]) == (-1.0, -1.0, 0.0)
    assert found.loc[("a", "shifted"), "paired_t_p"] == 0.0
    assert found.loc[("a", "shifted"), "wilcoxon_p"] == pytest.approx(2 / 2**7)
    assert found.loc[("a", "one"), "test"] == "Welch"
    described = describe(tables).set_index("method")
    assert described.loc["one", ["ci_low", "mean", "ci_high"]].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("n_excerpts", [2, 3, 5])
def test_few_units_and_ties(n_excerpts: int) -> None:
    shape = {"n_mixtures": 1, "n_excerpts": n_excerpts}
    a = table(**shape)
    a["si_sdr"] = a["excerpt"].astype(float) % 2
    found = compare({"a": a, "b": table(0.0, **shape), "c": random(0, 1, 0, **shape)})
    assert (found["unit"] == "excerpt").all() and (found["n_units"] == n_excerpts).all()
    assert not found.select_dtypes("number").isna().any().any()
    assert found[["p", "paired_t_p", "wilcoxon_p"]].to_numpy().min() >= 0
    assert not describe({"a": a})[["ci_low", "ci_high"]].isna().any().any()


def test_missing_values_are_explained() -> None:
    one = random(5.0, 1.0, 0, n_mixtures=1, n_excerpts=1)
    row = compare({"a": one, "b": random(4.0, 1.0, 1, n_mixtures=1, n_excerpts=1)}).iloc[0]
    assert row["n_units"] == 1 and math.isnan(row["paired_t_p"]) and row["p"] < 1
    assert "one unit in common" in row["note"]
    assert math.isnan(row["paired_t_p_adjusted"]) and not math.isnan(row["p_adjusted"])
    described = describe({"a": one}).iloc[0]
    assert math.isnan(described["ci_low"]) and "one excerpt" in described["note"]
    row = compare({"a": one, "b": one[:1]}).iloc[0]
    assert math.isnan(row["p"]) and "one frame" in row["note"]
    other = one.assign(mixture="another")
    assert "no unit in common" in compare({"a": one, "b": other}).iloc[0]["note"]
    assert compare({"a": one}).empty


def test_unusable_input_names_the_method() -> None:
    good = random(5.0, 1.0, 0)
    with pytest.raises(ValueError, match="no evaluation tables"):
        compare({})
    with pytest.raises(ValueError, match="^bad: no column sdr"):
        compare({"good": good.assign(sdr=1.0), "bad": good}, metric="sdr")
    with pytest.raises(ValueError, match="^bad: no kept frame"):
        describe({"bad": good.assign(kept=False)})
    infinite = good.assign(si_sdr=good["si_sdr"].where(good["mixture"] != "mixture3", np.inf))
    with pytest.raises(ValueError, match=r"^bad: .* infinite in song song, mixture mixture3"):
        compare({"good": good, "bad": infinite})
