"""Damaged and odd audio files: all samples, or one sentence that names the file."""

from __future__ import annotations

import io
import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.audio import AudioError, examine_audio, load_audio

SETTINGS = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
FORMATS = {
    "wav": ("WAV", "PCM_16"), "float.wav": ("WAV", "FLOAT"), "wavex.wav": ("WAVEX", "PCM_24"),
    "flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS"),
    "aiff": ("AIFF", "PCM_16"), "au": ("AU", "PCM_16"), "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"), "caf": ("CAF", "PCM_16"),
}  # fmt: skip
RATE = 16_000
NOISE = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))


def encode(ending: str) -> bytes:
    buffer = io.BytesIO()
    form, subtype = FORMATS[ending]
    sf.write(buffer, NOISE, RATE, format=form, subtype=subtype)
    return buffer.getvalue()


WHOLE = {ending: encode(ending) for ending in FORMATS}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of some format: cut, with other bytes in its head or anywhere, joined, or rubbish."""
    ending = draw(st.sampled_from(sorted(FORMATS)))
    content = bytearray(WHOLE[ending])
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["head", "anywhere", "cut", "insert", "join", "zero"]))
        size = max(1, len(content))
        place = draw(st.integers(0, min(size, 200) - 1 if kind == "head" else size - 1))
        if kind in ("head", "anywhere"):
            value = draw(st.binary(min_size=1, max_size=8))
            content[place : place + len(value)] = value
        elif kind == "cut":
            del content[place:]
        elif kind == "insert":
            content[place:place] = draw(st.binary(max_size=64))
        elif kind == "zero":
            content[place : place + 64] = bytes(64)
        else:
            content += WHOLE[draw(st.sampled_from(sorted(FORMATS)))]
    return f"x.{ending}", bytes(content)


def read_or_refuse(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            found = examine_audio(path)
            samples, rate = load_audio(path)
        except AudioError as error:
            message = str(error)
        else:
            message = name
            assert samples.shape == (found.channels, found.frames) and rate == found.rate > 0
            assert np.isfinite(samples).all() and samples.size
        assert name in message and "\n" not in message
        assert path.read_bytes() == content


@given(damaged())
@settings(max_examples=60, **SETTINGS)
def test_damaged_files(file: tuple[str, bytes]) -> None:
    logging.disable(logging.WARNING)
    try:
        read_or_refuse(*file)
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.slow
@given(damaged())
@settings(max_examples=1500, **SETTINGS)
def test_many_damaged_files(file: tuple[str, bytes]) -> None:
    test_damaged_files.hypothesis.inner_test(file)  # type: ignore[attr-defined]


@given(st.sampled_from(sorted(FORMATS)), st.floats(0.05, 0.95))
@settings(max_examples=60, **SETTINGS)
def test_a_truncated_file_is_refused_or_reported(ending: str, share: float) -> None:
    """Nothing is cut silently."""
    content = WHOLE[ending]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{ending}"
        path.write_bytes(content[: round(share * len(content))])
        messages: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("umss.audio")
        logger.addHandler(handler)
        try:
            samples, _ = load_audio(path)
        except AudioError as error:
            messages.append(str(error))
        else:
            if samples.shape[-1] > len(NOISE) - 0.1 * RATE:  # a tenth of a second is let pass
                return
        finally:
            logger.removeHandler(handler)
        assert any(path.name in message for message in messages), (ending, share)
