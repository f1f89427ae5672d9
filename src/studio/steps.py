"""The steps of jobs, as the child process does them: what decodes, estimates, separates, writes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from hydra.utils import instantiate

from ..audio import Examination, examine_audio, load_mono
from ..configuration import compose_config
from ..dsp.tracks import RATE
from ..edit_file import edit_file
from ..errors import UmssError
from ..f0.contours import read_f0, write_f0
from ..f0.estimate import expect_parts
from ..f0.score.reading import read_score
from ..files import replace_when_complete, write_json
from ..hearing import Mix
from ..listening.content import Recording, Track
from ..listening.page import write_page
from ..listening.pictures import find_peaks
from ..listening.results import describe_recording, make_page
from ..listening.sound import choose_gain, choose_rate, encode_flac, measure, read_pieces
from ..outputs import find_stems, name_outputs
from ..practice_file import practice
from .cache import PIECE_SECONDS, Cache
from .pictures import draw_saliences, draw_spectrograms
from .separating import Report, Settings, separate_project

HEADROOM = 0.7  # stems may be louder than the recording
_DATASET_NOTES = """\
Recordings with corrected F0 (mixtures/): umss train data=mixtures data.root=.../mixtures
Separated singers (folder/):              umss evaluate data=folder data.root=.../folder
Names of voices other than soprano, alto, tenor, bass need data.parts=[...], from the highest down.
"""


@dataclass(frozen=True)
class Place:
    """Where a project's files are.

    Attributes:
        folder: of the project.
        stem: how names of files begin.
        recording: the recording.
        title: of the recording.
        digest: its SHA-256.
        tracks: the tracks as they are now.
        score: the score, if there is one.
        names: the singers.
        frames: of the recording, if they are known.
        settings: of the project.
        edits: of the project.
        options: of this step.
    """

    folder: Path
    stem: str
    recording: Path
    title: str
    digest: str | None
    tracks: Path
    score: Path | None
    names: tuple[str, ...]
    frames: int | None
    settings: dict[str, Any]
    edits: dict[str, Any]
    options: dict[str, Any]

    @classmethod
    def read(cls, content: dict[str, Any]) -> Place:
        """Read what the server sent."""
        paths = {key: Path(content[key]) for key in ("folder", "recording", "tracks")}
        score = None if content["score"] is None else Path(content["score"])
        return cls(**{**content, **paths, "score": score, "names": tuple(content["names"])})

    @property
    def cache(self) -> Cache:
        """What may be deleted."""
        return Cache(self.folder / "cache", self.frames)


def open_recording(place: Place, report: Report) -> dict[str, Any]:
    """Decode the recording once: its length, its sound in pieces, its picture."""
    report(0.0, "opening the recording")
    found = examine_audio(place.recording)
    digest, size = _hash(place.recording)
    report(0.2, "reading the recording")
    folder = place.folder / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    samples = load_mono(place.recording, RATE, mix=found.mix)
    with replace_when_complete(folder / "mono.npy") as temporary:
        np.save(temporary, samples, allow_pickle=False)
    report(0.4, "drawing the recording")
    shutil.rmtree(folder / "spectrogram", ignore_errors=True)
    draw_spectrograms(
        samples,
        folder / "spectrogram",
        lambda share: report(0.4 + 0.3 * share, "drawing the recording"),
    )
    report(0.7, "preparing the sound")
    track = Track("Recording", place.recording, "mixture")
    measured = measure(Recording(place.title, found.rate, [track]))
    gain = HEADROOM * choose_gain(measured)
    rate = choose_rate(found.rate)
    peaks = []
    for k, piece in enumerate(read_pieces(track, found.rate, round(PIECE_SECONDS * rate))):
        with replace_when_complete(folder / "sound" / f"{k:04d}.flac") as temporary:
            temporary.write_bytes(encode_flac(piece, rate, gain))
        peaks.append(find_peaks(piece, rate, gain).tobytes())
    with replace_when_complete(folder / "peaks.u8") as temporary:
        temporary.write_bytes(b"".join(peaks))
    sound = {
        "rate": rate,
        "length": measured[0].length,
        "channels": measured[0].channels,
        "gain": gain,
        "source": {"frames": found.frames, "rate": found.rate, "channels": found.channels},
        "mix": None if found.mix.weights is None else found.mix.weights.tolist(),
        "notes": list(found.mix.notes),
    }
    write_json(folder / "sound.json", sound)
    return {
        "sha256": digest,
        "bytes": size,
        "samples": found.frames,
        "rate": found.rate,
        "channels": found.channels,
        "seconds": found.frames / found.rate,
    }


def find_pitches(place: Place, report: Report) -> dict[str, Any]:
    """Estimate the tracks; they are written beside those that there are."""
    samples = place.cache.load_samples()
    if samples is None:
        raise UmssError("the recording must be opened first")
    wanted = {**place.settings, **place.options}
    number, names = wanted["n_singers"], wanted["names"]
    if names is not None and number != "auto" and len(names) != number:
        names = None
    settings = {"n_singers": number, "names": names}
    config = compose_config("separate", settings=settings)
    score = None
    if place.score is not None:
        score = read_score(place.score, expect_parts(number))
    report(0.0, "finding the pitches")
    estimator = instantiate(config.multif0)
    with _guess_progress(report, "finding the pitches", 2.0 + 0.08 * len(samples) / RATE):
        estimate = estimator(
            np.array(samples), number, names, score=score, alignment=wanted["score_alignment"]
        )
    file = wanted["file"]
    base = place.folder / "tracks"
    cache = place.cache
    cache.save_salience(estimate.salience, file)
    ridges = cache.load_ridges()
    if ridges is not None:
        report(0.95, "drawing the salience")
        shutil.rmtree(cache.folder / "salience", ignore_errors=True)
        draw_saliences(ridges, cache.folder / "salience")
    contours = estimate.contours
    if contours.confidence is not None:
        with replace_when_complete(base / f"{file}_confidence.txt") as temporary:
            np.savetxt(temporary, contours.confidence, fmt="%.3f", delimiter=",")
    write_json(
        base / f"{file}.json", {"warnings": estimate.warnings, "confidence": estimate.confidence}
    )
    write_f0(base / f"{file}.csv", contours, overwrite=True)
    return {"tracks": file, "names": list(contours.names)}


def separate(place: Place, report: Report) -> dict[str, Any]:
    """Separate the recording, or the windows whose tracks have changed."""
    report(0.0, "preparing to separate")
    contours = read_f0(place.tracks)
    if not contours.voiced.any():
        raise UmssError("every singer is silent throughout: there is nothing to separate")
    wanted = {**place.settings, **place.options}
    separator = instantiate(
        compose_config("separate", choices={"separator": wanted["method"]}).separator
    )
    count = separate_project(
        place.recording,
        read_examination(place),
        place.stem,
        contours,
        separator,
        Settings(wanted["method"], wanted["seed"]),
        place.folder / "separated",
        place.digest or "",
        whole=bool(wanted.get("whole", False)),
        report=report,
    )
    return {"windows": count}


def read_examination(place: Place) -> Examination:
    """What was found in the recording when it was opened."""
    sound = json.loads((place.folder / "cache" / "sound.json").read_text(encoding="utf-8"))
    weights = None if sound["mix"] is None else np.array(sound["mix"], np.float32)
    mix = Mix() if weights is None else Mix(weights)
    return Examination(mix=mix, **sound["source"])


def edit(place: Place, report: Report) -> dict[str, Any]:
    """Write the edited stems."""
    report(0.0, "editing")
    if not place.edits:
        raise UmssError("there are no edits: change something first")
    folder = place.folder / "edited"
    expected = 2.0 + 0.2 * len(place.edits) * (place.frames or 0) * 0.016
    with _guess_progress(report, "editing", expected):
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
    with _guess_progress(report, "mixing practice tracks", expected):
        try:
            practice(_need_parameters(place), folder, overwrite=True, title=place.title, **options)
        except TypeError as error:
            raise UmssError(f"practice: {error}") from error
    return {}


def write_listening_page(place: Place, report: Report) -> dict[str, Any]:
    """Write a page to listen to."""
    report(0.0, "writing the page")
    found = read_examination(place)
    stems = find_stems(place.folder / "separated", place.stem, place.names)
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
    with _guess_progress(report, "writing the page", 2.0 + 0.1 * found.frames / found.rate):
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
    _link(place.recording, mixtures / name)
    shutil.copyfile(place.tracks, mixtures / f"{place.stem}_f0.csv")
    table = f"file,n_singers\n{name},{len(place.names)}\n"
    (mixtures / "singers.csv").write_text(table, encoding="utf-8")
    parameters = place.folder / "separated" / f"{place.stem}_parameters.npz"
    if parameters.is_file():
        song = folder / "folder" / place.stem
        song.mkdir(parents=True)
        stems = name_outputs(place.folder / "separated", place.stem, place.names)
        for singer in place.names:
            _link(stems[singer], song / stems[singer].name.removeprefix(f"{place.stem}_"))
    (folder / "README.txt").write_text(_DATASET_NOTES, encoding="utf-8")
    return {}


def pack(place: Place, report: Report) -> dict[str, Any]:
    """Write one ZIP file of results."""
    folders = {
        "stems": "separated", "edited": "edited", "practice": "practice", "page": "page",
        "f0": "tracks", "dataset": "dataset",
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


STEPS: dict[str, Callable[[Place, Report], dict[str, Any]]] = {
    "open": open_recording,
    "f0": find_pitches,
    "separate": separate,
    "edit": edit,
    "practice": rehearse,
    "page": write_listening_page,
    "dataset": write_dataset,
    "zip": pack,
}


def _need_parameters(place: Place) -> Path:
    path = place.folder / "separated" / f"{place.stem}_parameters.npz"
    if not path.is_file():
        raise UmssError("separate the recording first")
    return path


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns


def _hash(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the system has no such links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def _guess_progress(report: Report, said: str, expected: float) -> Iterator[None]:
    """Report progress by the clock while something works that cannot say how far it is."""
    ended = threading.Event()
    begin = monotonic()

    def tell() -> None:
        while not ended.wait(0.5):
            passed = (monotonic() - begin) / expected
            report(min(0.9 * passed, 1 - 0.5 / (1 + passed)), said)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
