"""What is edited in a separated recording, checked and worked out before anything is rendered."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import resample
from ..dsp.refining import refine_f0
from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from ..f0.contours import MAX_SINGERS, F0Contours
from ..outputs import DESCRIBING, MIX, make_slug
from ..resynthesis import VoiceFile, synthesise
from .edits import RENDERINGS, Edit, EditError, build_edit
from .stems import compare_spectra, edit_stem
from .targets import build_target
from .voices import edit_voices

Signal = NDArray[np.float32]
Track = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
_RESERVED = (MIX, "residual", "parameters", "f0", "synthesised")


@dataclass(frozen=True)
class Plan:
    """The edits of a recording.

    Attributes:
        given: [J, N] Hz on the 16-ms grid, the F0s with which the recording was separated.
        f0: what the singers sing: the same, as the separation tuned them, and of those that are
            edited as their stems say (`src.dsp.refining`).
        edits: by singer, in the recording's order; new voices follow.
        targets: [N] Hz by singer, 0 = silent: the F0s that edited and new voices get.
        rendering: "stem" or "synthesis".
        voices: the edited models of the voices; None where the method has none.
        parameters: the edited arrays by name, those of `voices` if there are any.
        load: gives the stem [C, T] of a singer of the recording.
        rate: of the stems, Hz.
    """

    given: NDArray[Any]
    f0: F0Contours
    edits: Mapping[str, Edit]
    targets: Mapping[str, Track]
    rendering: str
    voices: VoiceFile | None
    parameters: Arrays
    load: Callable[[str], Signal]
    rate: int

    @property
    def names(self) -> tuple[str, ...]:
        """The singers of the result: those of the recording, then new ones."""
        return (*self.f0.names, *(name for name in self.edits if name not in self.f0.names))

    @property
    def contours(self) -> F0Contours:
        """The F0 tracks of the result."""
        tracks = []
        for name in self.names:
            source = self.edits[name].find_source(name) if name in self.edits else name
            own = self._get_track(source)
            target = self.targets.get(name, own)
            stays = np.array_equal(target, own)
            tracks.append(self.given[self.f0.names.index(source)] if stays else target)
        f0 = np.stack(tracks, axis=1).astype(np.float32)
        notes = self.f0.accompaniment
        return F0Contours(self.f0.times, f0, self.names, accompaniment=notes)

    def render(self, singer: str, sung: Signal | None) -> Signal:
        """Render an edited or new voice.

        Args:
            singer: its name.
            sung: [T] the voice as its edited model sings it, for rendering="synthesis".

        Returns:
            [C, T].
        """
        edit = self.edits[singer]
        source = edit.find_source(singer)
        stem = self.load(source)
        if self.rendering == "synthesis" and not edit.only_gain:
            assert sung is not None
            return place_in_channels(sung, stem)
        own = self._get_track(source)
        tilt = None
        if edit.timbre is not None:
            tilt = compare_spectra(
                stem, own, self.load(edit.timbre), self._get_track(edit.timbre), self.rate
            )
        return edit_stem(stem, own, self.targets[singer], edit, self.rate, tilt)

    def synthesise(self) -> dict[str, Signal]:
        """Synthesise the edited and new voices from their edited models: [T] by singer."""
        if self.voices is None:
            return {}
        rows = [self.voices.names.index(name) for name in self.edits]
        pieces = [piece[rows] for piece in synthesise(self.voices)]
        return dict(zip(self.edits, np.concatenate(pieces, axis=-1), strict=True))

    def _get_track(self, singer: str) -> Track:
        track: Track = self.f0.f0[:, self.f0.names.index(singer)].astype(np.float64)
        return track


def build_plan(
    names: Sequence[str],
    arrays: Arrays,
    voices: VoiceFile | None,
    settings: Mapping[str, Any],
    load: Callable[[str], Signal],
    rate: int,
    rendering: str = "stem",
) -> Plan:
    """Check edits and work out the F0s that they lead to.

    Args:
        names: J singers.
        arrays: of the separation by name, [J, N] or [J, N, size] or [J, windows, size].
        voices: the models of the voices; None where the method has none.
        settings: of `Edit`, by singer or new voice.
        load: gives the stem [C, T] of a singer of the recording.
        rate: of the stems, Hz.
        rendering: "stem": the separated stem is moved along its own partials; "synthesis": the
            models of the voices sing.

    Raises:
        EditError: edits that cannot be made.
    """
    if rendering not in RENDERINGS:
        raise EditError(f"rendering={rendering}: choose one of {', '.join(RENDERINGS)}")
    if rendering == "synthesis" and voices is None:
        raise EditError(
            "rendering=synthesis: the method of this separation has no voices that sing by "
            "themselves; use rendering=stem, or separate with separator=umss_fit"
        )
    if not isinstance(settings, Mapping) or not settings:
        raise EditError(
            f"no edits are given; e.g. edits.{make_slug(names[0])}.transpose=2 moves {names[0]} "
            "up by two semitones"
        )
    tuned = arrays["tuned_f0"][..., 0] if "tuned_f0" in arrays else arrays["f0"]
    edits = _order(_name_edits(settings, tuple(names)), names)
    sources = {edit.find_source(name) for name, edit in edits.items()}
    tracks = [
        _refine(load(name), track, rate) if name in sources else track
        for name, track in zip(names, tuned, strict=True)
    ]
    f0 = F0Contours.on_grid(
        np.stack(tracks, axis=1).astype(np.float32), tuple(names), hop=HOP, rate=RATE
    )
    targets = {name: build_target(edit, name, f0) for name, edit in edits.items()}
    ratios = {}
    for name, target in targets.items():
        own = f0.f0[:, f0.names.index(edits[name].find_source(name))].astype(np.float64)
        ratios[name] = np.where(own > 0, target / np.where(own > 0, own, 1.0), 1.0)
    edited = None
    if voices is not None:
        try:
            edited = edit_voices(voices, edits, ratios)
        except UmssError as error:
            raise EditError(str(error)) from error
    if edited is None:
        parameters: Arrays = {"f0": _edit_f0(arrays["f0"], f0.names, targets)}
    else:
        parameters = {k: v for k, v in edited.arrays.items() if k not in DESCRIBING}
    return Plan(arrays["f0"], f0, edits, targets, rendering, edited, parameters, load, rate)


def _refine(stem: Signal, track: NDArray[Any], rate: int) -> Track:
    """Move a track [N] in Hz to what its stem [C, T] sings."""
    mono = resample(stem.mean(axis=0), rate, RATE)
    return refine_f0(mono, track.astype(np.float64), rate=RATE, hop=HOP / RATE)


def _edit_f0(
    f0: NDArray[Any], names: Sequence[str], targets: Mapping[str, Track]
) -> NDArray[np.float32]:
    """F0 tracks [J, N] with those of edited and new singers."""
    rows = dict(zip(names, f0, strict=True)) | dict(targets)
    return np.stack([np.asarray(row, np.float32) for row in rows.values()])


def _name_edits(settings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Edit]:
    """Edits by the singers' full names."""
    edits: dict[str, Edit] = {}
    for given, fields in settings.items():
        new = isinstance(fields, Mapping) and fields.get("copy_of") is not None
        name = _find_name(str(given), names, new=new)
        if name in edits:
            raise EditError(f"{given}: {name} is edited twice; give one of these edits")
        edit = build_edit(name, fields)
        changes = {}
        for field in ("copy_of", "timbre"):
            value = getattr(edit, field)
            if value is not None:
                changes[field] = _find_name(value, names, field=f"{name}.{field}")
        edits[name] = Edit(**{**edit.__dict__, **changes})
    if len(names) + sum(name not in names for name in edits) > MAX_SINGERS:
        raise EditError(f"with new voices there are more than {MAX_SINGERS} singers; add fewer")
    return edits


def _find_name(given: str, names: Sequence[str], *, new: bool = False, field: str = "") -> str:
    """Find the singer of a name as users type it: in any case, with _ for blanks."""
    wanted = make_slug(given)
    found = [name for name in names if name == given] or [
        name for name in names if make_slug(name) == wanted
    ]
    if new:
        if found or wanted in _RESERVED:
            raise EditError(
                f"{given}: a new voice (copy_of) needs a name of its own; this one is taken"
            )
        return given
    if len(found) == 1:
        return found[0]
    place = f"{field}={given}" if field else given
    near = difflib.get_close_matches(wanted, [make_slug(name) for name in names], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise EditError(
        f"{place}: there is no singer of this name{hint} (there are {', '.join(names)}; a new "
        "voice says copy_of which singer it is made)"
    )


def _order(edits: Mapping[str, Edit], names: Sequence[str]) -> dict[str, Edit]:
    """Edits in the recording's order, then those of new voices."""
    known = {name: edits[name] for name in names if name in edits}
    return known | {name: edit for name, edit in edits.items() if name not in known}


def place_in_channels(sung: Signal, stem: Signal) -> Signal:
    """Give a voice [T] the place among the channels that a stem [C, T] has: [C, T]."""
    mono = stem.mean(axis=0)
    power = float(np.dot(mono, mono))
    if power <= 0.0:
        return np.repeat(sung[None], len(stem), axis=0)
    gains = (stem @ mono) / power
    return (gains[:, None] * sung).astype(np.float32)
