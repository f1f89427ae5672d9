"""The report as files: complete, self-contained, repeatable, and honest about bad input."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.metrics.tables import EvaluationTable, read_tables
from src.reporting.provenance import quote_command
from src.reporting.write import write_report
from tests.reporting.fake_tables import frames_of, speed, two_methods, write_table


class Page(HTMLParser):
    """What a page shows and what it refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.text: dict[str, list[str]] = {}
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.text.setdefault(self.open[-1], []).append(data.strip())


def full_set(root: Path) -> list[EvaluationTable]:
    """Two numbers of singers, errors in F0, synthesis, BSS Eval, speed."""
    for n in (2, 4):
        for key, (name, level) in enumerate({"model": 7.0, "comb": 5.0, "mixture": -5.0}.items()):
            frames = frames_of(
                level, n_singers=n, key=key, excerpts=2, synth=key == 0, bss=key < 2,
                seeds=(0, 1) if key == 0 else (0,),
            )  # fmt: skip
            folder = root / f"{name}-j{n}"
            write_table(folder, name, frames, n_singers=n, speed=speed(0.1 * key))
    for size in (0.1, 0.2):
        frames = frames_of(5 - 10 * size, key=1, excerpts=2)
        errors = {"octave_rate": size, "octave_seconds": 0.5}
        write_table(root / f"comb-octave{size}", "comb", frames, f0_errors=errors)
    return read_tables([root])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    page = write_report(
        full_set(root / "in"), root / "out", title="A <title> & more", order=["comb"]
    )
    assert page == root / "out" / "report.html"
    return root / "out"


def test_files_are_there_and_no_others(report: Path) -> None:
    files = {path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file()}
    per_group = {"evaluations", "kinds", "methods", "metrics", "protocol", "songs", "speed",
                 "synthesis", "tests", "voices"}  # fmt: skip
    tables = {f"tables/j{n}_{name}.csv" for n in (2, 4) for name in per_group}
    tables |= {"tables/j4_f0_errors.csv", "tables/j4_evaluations_f0_errors.csv"}
    figures = {"si_sdr", "p_values_frames", "p_values_paired", "spectral_snr"}
    stems = {f"figures/j{n}_{name}" for n in (2, 4) for name in figures} | {"figures/j4_f0_errors"}
    pictures = {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg")}
    assert files == {"report.html"} | tables | pictures


def test_page_is_whole_and_refers_to_nothing_outside(report: Path) -> None:
    page = Page(report / "report.html")
    assert not page.open  # everything is closed
    assert not {"script", "link", "iframe", "style"} & set(page.tags) - {"style"}
    assert all(r.startswith(("#", "data:image/svg+xml;base64,")) for r in page.references)
    assert page.tags.count("img") == 9
    content = (report / "report.html").read_text(encoding="utf-8")
    assert "@import" not in content and "url(" not in content
    assert page.text["h1"] == ["A <title> & more"]
    assert page.text["h2"] == ["Mixtures of 2 singers", "Mixtures of 4 singers", "What was run"]
    assert page.text["h3"].count("Errors in F0") == 1
    assert page.text["h3"].count("Masked and synthesised estimates") == 2
    assert any("Frames are not independent" in text for text in page.text["p"])
    # Anchors of the contents exist.
    for target in (r[1:] for r in page.references if r.startswith("#")):
        assert f'id="{target}"' in content


def test_embedded_figures_are_the_svg_files(report: Path) -> None:
    content = (report / "report.html").read_text(encoding="utf-8")
    found = [base64.b64decode(b) for b in re.findall(r"svg\+xml;base64,([\w+/=]+)", content)]
    files = [path.read_bytes() for path in (report / "figures").glob("*.svg")]
    assert sorted(found) == sorted(files)


def test_numbers_of_the_page_are_those_of_the_tables(report: Path) -> None:
    methods = pd.read_csv(report / "tables" / "j4_methods.csv")
    assert list(methods["method"]) == ["comb", "mixture", "model"]
    frames = frames_of(7.0, excerpts=2, synth=True, bss=True, seeds=(0, 1))
    expected = frames.loc[frames["kept"], "si_sdr"].mean()
    assert methods.set_index("method").loc["model", "mean"] == pytest.approx(expected, rel=1e-5)
    cells = Page(report / "report.html").text["td"]
    assert f"{expected:.2f}" in cells
    pairs = pd.read_csv(report / "tables" / "j2_tests.csv")
    assert list(zip(pairs["a"], pairs["b"], strict=True)) == [
        ("comb", "mixture"), ("comb", "model"), ("mixture", "model"),
    ]  # fmt: skip
    curve = pd.read_csv(report / "tables" / "j4_f0_errors.csv")
    assert list(curve["size"]) == [0.0, 0.1, 0.2]


def test_same_tables_same_files(tmp_path: Path) -> None:
    tables = two_methods(tmp_path / "in", excerpts=1, synth=True)
    for name in ("one", "two"):
        write_report(tables, tmp_path / name, command="the same")
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert other.read_bytes() == path.read_bytes(), path


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    tables = two_methods(tmp_path / "in", excerpts=1)
    write_report(tables, tmp_path / "out", formats=[])
    assert not (tmp_path / "out" / "figures").exists()
    table = tmp_path / "out" / "tables" / "j4_methods.csv"
    before = table.read_text()
    with pytest.raises(FileExistsError, match=r"report\.html.*overwrite=true"):
        write_report(tables, tmp_path / "out", formats=[])
    (tmp_path / "out" / "report.html").unlink()
    table.write_text("mine")
    with pytest.raises(FileExistsError, match=r"j4_methods\.csv.*overwrite=true"):
        write_report(tables, tmp_path / "out", formats=[])
    assert table.read_text() == "mine"
    assert not (tmp_path / "out" / "report.html").exists()
    write_report(tables, tmp_path / "out", formats=[], overwrite=True)
    assert table.read_text() == before
    assert not list((tmp_path / "out").rglob(".*"))  # no temporary files


def test_one_method_has_no_tests_and_optional_parts_are_left_out(tmp_path: Path) -> None:
    frames = frames_of(5.0, n_singers=1, songs=("one",), excerpts=1)
    frames = frames.drop(columns=["si_sdr_improvement", "mel_cepstral_distance", "harmonic_share"])
    write_table(tmp_path / "a", "a<b>", frames, n_singers=1)
    page = Page(write_report(read_tables([tmp_path / "a"]), tmp_path / "out", formats=["png"]))
    assert page.text["h3"] == [
        "Methods", "Distribution of SI-SDR", "Voices and songs", "Other metrics", "1 singer",
        "This report again",
    ]  # fmt: skip
    assert page.text["h2"][0] == "Mixtures of 1 singer"
    assert "a<b>" in page.text["td"]  # escaped, not a tag
    assert "improvement" not in page.text["th"]


def test_disturbed_evaluations_alone(tmp_path: Path) -> None:
    frames = frames_of(1.0, excerpts=1)
    write_table(tmp_path / "a", "comb", frames, f0_errors={"swap_rate": 0.1})
    page = Page(write_report(read_tables([tmp_path / "a"]), tmp_path / "out", formats=[]))
    assert page.text["h3"] == ["Errors in F0", "4 singers", "This report again"]


def test_many_songs_are_rows(tmp_path: Path) -> None:
    songs = [f"song {i}" for i in range(9)]
    tables = two_methods(tmp_path / "in", songs=songs, excerpts=1)
    page = Page(write_report(tables, tmp_path / "out", formats=[]))
    assert all(song in page.text["td"] and song not in page.text["th"] for song in songs)


def test_tables_that_do_not_belong_together(tmp_path: Path) -> None:
    two_methods(tmp_path / "in", excerpts=1)
    frames = frames_of(5.0, excerpts=1)
    write_table(tmp_path / "in" / "c", "c", frames, protocol={"f0": "estimated"})
    with pytest.raises(ValueError, match=r"protocol\.f0"):
        write_report(read_tables([tmp_path / "in"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_method_without_a_frame_and_unknown_formats(tmp_path: Path) -> None:
    frames = frames_of(5.0, excerpts=1)
    frames["kept"] = False
    frames["si_sdr"] = np.nan
    write_table(tmp_path / "a", "silent", frames)
    with pytest.raises(ValueError, match=r"silent: no kept frame"):
        write_report(read_tables([tmp_path / "a"]), tmp_path / "out")
    with pytest.raises(ValueError, match=r"formats: gif: choose of png, svg, pdf"):
        write_report(read_tables([tmp_path / "a"]), tmp_path / "out", formats=["gif"])
    with pytest.raises(ValueError, match=r"tables=\[\]"):
        write_report([], tmp_path / "out")


def test_provenance_names_settings_but_no_folders_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    separator = {
        "_target_": "src.models.umss.UmssSeparator",
        "checkpoint": "/home/someone/models/best.ckpt",
        "mask": "power",
        "chunk": None,
    }
    protocol = {"options": {"root": "/home/someone/data", "parts": ["b", "a"]}, "empty": []}
    frames = frames_of(5.0, excerpts=1)
    write_table(Path("in/my run"), "a", frames, protocol=protocol, separator=separator)
    tables = read_tables(["in/my run"])
    page = Page(write_report(tables, "out", formats=[]))
    cells = page.text["td"]
    assert "UmssSeparator, checkpoint …/best.ckpt, mask power" in cells
    assert "in/my run" in cells
    assert cells[cells.index("options.parts") + 1] == "b, a"
    assert cells[cells.index("options.root") + 1] == "…/data"
    assert "empty" not in cells
    (command,) = page.text["pre"]
    assert command == """umss report 'tables=["in/my run"]' output=out overwrite=true"""
    assert "/home" not in Path("out/report.html").read_text()
    assert quote_command(["tables=[a/*]"]) == "umss report 'tables=[a/*]'"


def test_pages_to_listen_to_are_linked(tmp_path: Path) -> None:
    tables = two_methods(tmp_path / "My results #1")
    (tables[0].path / "listen.html").write_text("")
    page = Page(write_report(tables, tmp_path / "report", formats=()))
    (link,) = (r for r in page.references if "listen" in r)
    assert link.startswith("../My%20results%20%231/") and link.endswith("/listen.html")
    assert f"{tables[0].name} (4 singers)" in page.text["a"]
