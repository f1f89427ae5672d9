"""The steps of jobs, as the child process does them: what decodes, estimates, separates, writes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate

from ..audio import examine_audio, load_mono
from ..configuration import compose_config
from ..dsp.tracks import RATE
from ..errors import UmssError
from ..f0.contour_files import read_f0, write_f0
from ..f0.estimate import SHORTEST, expect_parts
from ..f0.places import open_channels
from ..f0.salience import Salience
from ..f0.score.reading import read_score
from ..files import replace_when_complete, write_json
from ..listening.content import Recording, Track
from ..listening.pictures import find_peaks
from ..listening.sound import choose_gain, choose_rate, encode_flac, measure, read_pieces
from ..progress import listen
from .arrays import open_array
from .cache import PIECE_SECONDS
from .operations import read_locks
from .pictures import draw_saliences, draw_spectrograms
from .place import Place, Report, read_examination
from .result_steps import (
    edit,
    judge,
    pack,
    rehearse,
    rename,
    write_dataset,
    write_listening_page,
)
from .separating import separate_project
from .stale import Settings

HEADROOM = 0.7  # stems may be louder than the recording


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
    samples = open_array(folder / "mono.npy")
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
    with listen(lambda share: report(share, "finding the pitches")):
        estimate = estimator(
            np.array(samples),
            number,
            names,
            score=score,
            alignment=wanted["score_alignment"],
            channels=open_channels(place.recording, read_examination(place)),
        )
    file = wanted["file"]
    base = place.folder / "tracks"
    _keep_salience(place, estimate.salience, report)
    contours = estimate.contours
    if contours.confidence is not None:
        with replace_when_complete(base / f"{file}_confidence.txt") as temporary:
            np.savetxt(temporary, contours.confidence, fmt="%.3f", delimiter=",")
    write_json(
        base / f"{file}.json", {"warnings": estimate.warnings, "confidence": estimate.confidence}
    )
    write_f0(base / f"{file}.csv", contours, overwrite=True)
    return {"tracks": file, "names": list(contours.names)}


def compute_salience(place: Place, report: Report) -> dict[str, Any]:
    """Compute the salience alone, for tracks that came from elsewhere."""
    samples = place.cache.load_samples()
    if samples is None:
        raise UmssError("the recording must be opened first")
    report(0.0, "listening for pitches")
    estimator = instantiate(compose_config("separate").multif0)
    padded = np.pad(np.array(samples), (0, max(0, SHORTEST - len(samples))))
    with listen(lambda share: report(share, "listening for pitches")):
        salience = estimator.model(padded)
    _keep_salience(place, salience, report)
    return {}


def _keep_salience(place: Place, salience: Salience, report: Report) -> None:
    """Save salience, and draw it."""
    cache = place.cache
    cache.save_salience(salience)
    ridges = cache.load_ridges()
    if ridges is not None:
        report(0.95, "drawing the salience")
        shutil.rmtree(cache.folder / "salience", ignore_errors=True)
        draw_saliences(ridges, cache.folder / "salience")


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
        held=read_locks(place.held, len(contours.f0)) if place.held else None,
        whole=bool(wanted.get("whole", False)),
        report=report,
    )
    return {"windows": count}


STEPS: dict[str, Callable[[Place, Report], dict[str, Any]]] = {
    "open": open_recording,
    "f0": find_pitches,
    "salience": compute_salience,
    "separate": separate,
    "rename": rename,
    "edit": edit,
    "practice": rehearse,
    "page": write_listening_page,
    "dataset": write_dataset,
    "intonation": judge,
    "zip": pack,
}


def _hash(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size
