"""Steps of jobs that write results: edits, practice tracks, a page, data, intonation, a ZIP."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

from ..edit_file import edit_file
from ..errors import UmssError
from ..f0.contour_files import read_f0
from ..files import replace_when_complete, write_json
from ..intonation.measures import measure_intonation
from ..listening.page import write_page
from ..listening.results import describe_recording, make_page
from ..outputs import Place as Separated
from ..outputs import find_stems, name_outputs
from ..practice_file import practice
from .place import Place, Report, guess_progress, read_examination
from .renaming import link_or_copy, rename_separation

_DATASET_NOTES = """\
Recordings with corrected F0 (mixtures/): umss train data=mixtures data.root=.../mixtures
Separated singers (folder/):              umss evaluate data=folder data.root=.../folder
Names of voices other than soprano, alto, tenor, bass need data.parts=[...], from the highest down.
"""


def rename(place: Place, report: Report) -> dict[str, Any]:
    """Give the files of a separation the singers' present names."""
    report(0.0, "renaming")
    rename_separation(place.folder / "separated", place.stem, place.names)
    return {}


def edit(place: Place, report: Report) -> dict[str, Any]:
    """Write the edited stems."""
    report(0.0, "editing")
    if not place.edits:
        raise UmssError("there are no edits: change something first")
    folder = place.folder / "edited"
    expected = 2.0 + 0.2 * len(place.edits) * (place.frames or 0) * 0.016
    with guess_progress(report, "editing", expected):
        paths = edit_file(
            _need_parameters(place), place.edits, folder, overwrite=True, progress=False
        )
    names = [name for name in paths if name not in ("residual", "parameters", "f0", "mix")]
    notes = {"edits": place.edits, "tracks": _stamp(_need_parameters(place)), "names": names}
    write_json(folder / "edits.json", notes)
    return {}


def rehearse(place: Place, report: Report) -> dict[str, Any]:
    """Write practice tracks."""
    report(0.0, "mixing practice tracks")
    folder = place.folder / "practice"
    options = dict(place.options.get("practice") or {})
    shutil.rmtree(folder, ignore_errors=True)
    expected = 3.0 + 0.15 * len(place.names) * (place.frames or 0) * 0.016
    with guess_progress(report, "mixing practice tracks", expected):
        try:
            practice(_need_parameters(place), folder, overwrite=True, title=place.title, **options)
        except TypeError as error:
            raise UmssError(f"practice: {error}") from error
    return {}


def write_listening_page(place: Place, report: Report) -> dict[str, Any]:
    """Write a page to listen to."""
    report(0.0, "writing the page")
    found = read_examination(place)
    stems = find_stems(Separated(place.folder / "separated", place.stem), place.names)
    _need_parameters(place)
    recording = describe_recording(
        place.title,
        found.rate,
        place.recording,
        {name: stems[name] for name in place.names},
        stems["residual"],
        read_f0(place.folder / "separated" / f"{place.stem}_f0.csv"),
        seconds=found.frames / found.rate,
    )
    shutil.rmtree(place.folder / "page", ignore_errors=True)
    with guess_progress(report, "writing the page", 2.0 + 0.1 * found.frames / found.rate):
        write_page(place.folder / "page" / f"{place.stem}_listen.html", make_page(recording))
    return {}


def write_dataset(place: Place, report: Report) -> dict[str, Any]:
    """Lay the recording out for data=mixtures (with its tracks) and data=folder (its stems)."""
    report(0.0, "writing the data set")
    folder = place.folder / "dataset"
    shutil.rmtree(folder, ignore_errors=True)
    mixtures = folder / "mixtures"
    mixtures.mkdir(parents=True)
    name = f"{place.stem}{place.recording.suffix.lower()}"
    link_or_copy(place.recording, mixtures / name)
    shutil.copyfile(place.tracks, mixtures / f"{place.stem}_f0.csv")
    table = f"file,n_singers\n{name},{len(place.names)}\n"
    (mixtures / "singers.csv").write_text(table, encoding="utf-8")
    parameters = place.folder / "separated" / f"{place.stem}_parameters.npz"
    if parameters.is_file():
        song = folder / "folder" / place.stem
        song.mkdir(parents=True)
        stems = name_outputs(place.folder / "separated", place.stem, place.names)
        for singer in place.names:
            link_or_copy(stems[singer], song / stems[singer].name.removeprefix(f"{place.stem}_"))
    (folder / "README.txt").write_text(_DATASET_NOTES, encoding="utf-8")
    return {}


def judge(place: Place, report: Report) -> dict[str, Any]:
    """Write how well the singers sang: a page and tables."""
    report(0.0, "measuring the intonation")
    folder = place.folder / "intonation"
    measures = measure_intonation(read_f0(place.tracks), score=place.score)
    shutil.rmtree(folder, ignore_errors=True)
    report(0.5, "drawing the intonation")
    measures.save(folder, place.stem, overwrite=True)
    return {}


def pack(place: Place, report: Report) -> dict[str, Any]:
    """Write one ZIP file of results."""
    folders = {
        "stems": "separated", "edited": "edited", "practice": "practice", "page": "page",
        "f0": "tracks", "dataset": "dataset", "intonation": "intonation",
    }  # fmt: skip
    wanted = place.options.get("zip") or ["stems", "f0"]
    files: list[tuple[Path, str]] = []
    for kind in wanted:
        if kind not in folders:
            raise UmssError(f"zip: choose from {', '.join(folders)}")
        files += _list_packed(place, place.folder / folders[kind], kind)
    if not files:
        raise UmssError("there is nothing to pack yet: separate the recording first")
    total = sum(path.stat().st_size for path, _ in files) or 1
    target = place.folder / "zip" / f"{place.stem}.zip"
    done = 0
    with (
        replace_when_complete(target) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for path, name in files:
            report(done / total, f"packing {path.name}")
            archive.write(path, name)
            done += path.stat().st_size
    return {}


def _list_packed(place: Place, folder: Path, kind: str) -> list[tuple[Path, str]]:
    if kind == "f0":
        return [(place.tracks, f"f0/{place.tracks.name}")] if place.tracks.is_file() else []
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    inner = [path.relative_to(folder) for path in paths]
    return [
        (path, f"{kind}/{name}")
        for path, name in zip(paths, inner, strict=True)
        if name.parts[0] != "windows" and name.suffix not in (".json", ".zip")
    ]


def _need_parameters(place: Place) -> Path:
    path = place.folder / "separated" / f"{place.stem}_parameters.npz"
    if not path.is_file():
        raise UmssError("separate the recording first")
    return path


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns
