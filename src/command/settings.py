"""Options as settings: what `umss separate --names a,b choir.wav` is as `names=[a,b]`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..arguments import quote
from ..errors import UmssError

# Settings in messages, and the options that the musicians' form has for them.
_OPTIONS = {
    "n_singers": "--singers",
    "names": "--names",
    "f0": "--f0",
    "format": "--format",
    "bitrate": "--bitrate",
    "filename": "--filename",
    "output": "--out",
    "overwrite": "--overwrite",
    "only": "--only",
    "two_stems": "--two-stems",
    "separator": "--method",
    "separator.device": "--device",
    "device": "--device",
}
_SETTING = re.compile(
    r"(?<![\w./-])(set )?(" + "|".join(map(re.escape, _OPTIONS)) + r")=(\[[^\]]*\]|true\b)?"
)


@dataclass(frozen=True)
class Options:
    """What the user wants; None or false where nothing was said.

    Attributes:
        singers: a number, or "auto".
        out: the folder of all outputs.
        names: of the singers, from the highest down.
        f0: file of F0 tracks.
        score: MIDI or MusicXML file.
        only: singers whose files are written.
        two_stems: the singer who is written beside the rest.
        format, bitrate, filename, method, device: as the settings.
        fast: keep to one opinion about F0.
        overwrite, page, quiet: as said.
        practice: also write practice tracks.
        dry_run: only say what would be done.
        jobs: recordings at a time.
    """

    singers: str = "auto"
    out: str | None = None
    names: str | None = None
    f0: str | None = None
    score: str | None = None
    only: tuple[str, ...] = ()
    two_stems: str | None = None
    format: str | None = None
    bitrate: int | None = None
    filename: str | None = None
    method: str | None = None
    device: str | None = None
    fast: bool = False
    overwrite: bool = False
    page: bool = False
    practice: bool = False
    quiet: bool = False
    dry_run: bool = False
    jobs: int = 1

    def check(self, n_recordings: int) -> None:
        """Refuse options that do not go together; all else is checked where settings are.

        Raises:
            UmssError: names the options.
        """
        if self.f0 is not None and self.score is not None:
            raise UmssError("--f0 and --score: give one of the two")
        if n_recordings > 1 and (self.f0 or self.score):
            option = "--f0" if self.f0 else "--score"
            raise UmssError(
                f"{option} belongs to one recording, and there are {n_recordings}; separate that "
                "one by itself"
            )
        if self.score is not None:
            _check_kind(self.score, score=True)
        elif self.f0 is not None:
            _check_kind(self.f0, score=False)
        if self.bitrate is not None and self.format != "mp3":
            raise UmssError("--bitrate is that of MP3 files; add --format mp3")
        if self.practice and (self.only or self.two_stems):
            raise UmssError(
                "--practice needs the files of all singers; leave out --only and --two-stems"
            )

    def list_settings(self) -> list[str]:
        """The settings of all recordings, NAME=VALUE with text quoted for Hydra.

        Raises:
            UmssError: a list of names that is none.
        """
        texts = {
            "output": self.out,
            "f0": self.f0 or self.score,
            "two_stems": self.two_stems,
            "format": self.format,
            "filename": self.filename,
            "separator.device": self.device,
        }
        lists = {"names": _split(self.names, "--names"), "only": _split_all(self.only, "--only")}
        switches = {"overwrite": self.overwrite, "page": self.page}
        settings = [
            f"n_singers={quote(self.singers) if not self.singers.isdigit() else self.singers}"
        ]
        if self.method is not None:
            settings.append(f"separator={quote(self.method)}")
        settings += [f"{name}={quote(text)}" for name, text in texts.items() if text is not None]
        settings += [
            f"{name}=[{','.join(map(quote, entries))}]"
            for name, entries in lists.items()
            if entries
        ]
        settings += [] if self.bitrate is None else [f"bitrate={self.bitrate}"]
        settings += [f"{name}=true" for name, wanted in switches.items() if wanted]
        settings += ["separator.opinions=null"] if self.fast else []
        settings += ["progress=false"] if self.quiet or self.jobs > 1 else []
        return settings


def _check_kind(path: str, *, score: bool) -> None:
    from ..f0.score.reading import SCORE_SUFFIXES

    if (Path(path).suffix.lower() in SCORE_SUFFIXES) == score:
        return
    if score:
        raise UmssError(f"--score {path}: a score is MIDI or MusicXML; give F0 tracks as --f0")
    raise UmssError(f"--f0 {path}: this is a score; give it as --score")


def _split(text: str | None, option: str) -> list[str]:
    if text is None:
        return []
    entries = [entry.strip() for entry in text.strip("[]").split(",")]
    if not all(entries):
        raise UmssError(
            f"{option} {text}: give names with commas between, e.g. {option} soprano,alto"
        )
    return entries


def _split_all(texts: Sequence[str], option: str) -> list[str]:
    return [entry for text in texts for entry in _split(text, option)]


def speak_of_options(message: str, recording: str = "") -> str:
    """A message with options in the place of settings: `--overwrite` for `overwrite=true`.

    Args:
        message: as it comes from the settings' side.
        recording: a name in the message that stays as it is.
    """
    if recording and recording in message:
        before, _, after = message.partition(recording)
        return speak_of_options(before) + recording + speak_of_options(after)
    return _SETTING.sub(_replace, message)


def _replace(match: re.Match[str]) -> str:
    said, name, value = match[1] or "", match[2], match[3] or ""
    option = _OPTIONS[name]
    if value == "true":
        return f"add {option}" if said else option
    option = f"{said}{option}"
    listed = ",".join(entry.strip().strip("'\"") for entry in value.strip("[]").split(","))
    follows = match.string[match.end() : match.end() + 1]
    return f"{option} {listed}" if value or follows.strip() else option


def show(settings: Sequence[str]) -> str:
    """The command line in the other form, `umss separate NAME=VALUE ...`, as one types it."""
    plain = [re.sub(r'"((?:[^"\\]|\\.)*)"', _unquote, setting) for setting in settings]
    return shlex.join(["umss", "separate", *plain])


def _unquote(match: re.Match[str]) -> str:
    return match[1].replace('\\"', '"').replace("\\\\", "\\")
