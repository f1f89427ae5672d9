"""What libsndfile does not read: M4A, WMA, the sound of videos, by ffmpeg where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import soundfile as sf

from .decoding import Decoder, name_for_soundfile


class DecodingError(Exception):
    """ffmpeg does not read the file either; its reason."""


def has_ffmpeg() -> bool:
    """Whether there is an ffmpeg to be called."""
    return shutil.which("ffmpeg") is not None


def open_with_ffmpeg(path: Path) -> Decoder:
    """Decode the first sound track of a file into a temporary file, and open that.

    Raises:
        DecodingError: ffmpeg does not read it, or finds no sound in it.
        OSError: there is no space for the temporary file.
    """
    handle, name = tempfile.mkstemp(prefix="umss-", suffix=".w64")
    os.close(handle)
    decoded = Path(name)
    try:
        # Playlists could name other files and places: only this one is read.
        command = [
            "ffmpeg", "-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file",
            "-i", f"file:{os.path.abspath(path)}", "-map", "0:a:0", "-vn",
            "-c:a", "pcm_f32le", "-bitexact", "-f", "w64", os.fspath(decoded),
        ]  # fmt: skip
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            words = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
            raise DecodingError(words[-1] if words else f"exit status {done.returncode}")
        source = sf.SoundFile(name_for_soundfile(decoded))
    except (sf.LibsndfileError, RuntimeError) as error:
        raise DecodingError(str(error)) from error
    finally:
        decoded.unlink(missing_ok=True)  # what is open stays readable
    return Decoder(source, source.frames)
