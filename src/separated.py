"""A separated recording in memory, and its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chosen_stems import RESIDUAL, Chosen
from .dsp.tracks import HOP, RATE
from .errors import UmssError
from .f0.contour_files import write_f0
from .f0.contours import F0Contours
from .filenames import FILENAME
from .files import check_existing, check_inputs, name_failed_file
from .formats.write import remove_empty_folders, write_formats
from .listening.content import Page
from .listening.files import name_page, tidy_folder
from .listening.page import build_page
from .listening.results import describe_recording, make_page
from .named_files import name_files
from .outputs import MIX, write_parameters
from .separated_files import find_former
from .staging import stage
from .writing.stems import find_factor
from .writing.tags import Tags
from .writing.writer import Format, write_audio


@dataclass(frozen=True)
class SeparatedRecording:
    """A separated recording in memory.

    Attributes:
        stems: by singer from the highest down, [T] or [C, T] float32, shaped like the input.
        residual: [T] or [C, T], what no singer got; stems and residual sum to the input.
        f0: the F0 tracks that were used.
        parameters: of the voice models by name, [J, N, size] per frame or [J, windows, size]; and
            what else voices are synthesised from again (`src.resynthesis`).
        rate: sample rate in Hz, the input's.
        warnings: what may be wrong with estimated F0, one sentence each.
        name: of the recording; begins the names of the files that `save` writes.
        synthesised: by singer, [T] float32, what the models of the voices sing, mono; empty for
            methods without such models.
        description: how `parameters` become voices, JSON.
        edited: the singers that were edited or added (`umss.edit`).
        confidence: probability that the number of singers is right, 0 to 1, where it was counted
            (`n_singers="auto"`); None where it was given.
        tags: of the file that was separated; `save` writes them with the singer in the title.
        source: the file that was separated, None for an array; `save` never replaces it.
    """

    stems: dict[str, Any]
    residual: Any
    f0: F0Contours
    parameters: dict[str, Any]
    rate: int
    warnings: list[str] = field(default_factory=list)
    name: str = "recording"
    synthesised: dict[str, Any] = field(default_factory=dict)
    description: str = "{}"
    edited: tuple[str, ...] = ()
    confidence: float | None = None
    tags: Tags = field(default_factory=Tags)
    source: Path | None = None

    @property
    def mix(self) -> Any:
        """Stems and residual together, [T] or [C, T]: the recording, with what was edited."""
        return sum(self.stems.values(), self.residual)

    def save(
        self,
        folder: str | Path,
        *,
        overwrite: bool = False,
        synthesised: bool = False,
        page: bool = False,
        f0_formats: Sequence[str] = (),
        format: str = "wav32f",
        bitrate: int = 320,
        filename: str = FILENAME,
        only: Sequence[str] | None = None,
        two_stems: str | None = None,
    ) -> dict[str, Path]:
        """Write the files that `umss separate` writes, by the same rules.

        Args:
            folder: where the files go.
            overwrite: replace existing files.
            synthesised: also write the synthesised voices and their sum.
            f0_formats: other formats of the F0 tracks and their notes (`src.formats.write`).
            format: of the sound: "wav32f", "wav24", "wav16", "flac" or "mp3". Where a format cannot
                hold what is above full scale, all files are lowered together, with a warning.
            bitrate: kbit/s of MP3.
            page: also write a page to listen to, NAME_listen.html.
            filename: how files are named below the folder, e.g. "{track}/{voice}.{ext}": the track
                is `name`, the voice a singer, or residual, f0, parameters, ...
            only: singers whose files are written, without the residual, e.g. ["alto"]; None = all,
                and the residual.
            two_stems: a singer who is written beside the sum of everything else, e.g. "alto":
                NAME_alto.wav and NAME_without_alto.wav.

        Returns:
            The files by singer name, "residual" (with `two_stems`, "without SINGER"), "parameters"
            and "f0", of an edited recording also "mix", by NAME_synthesised and "synthesised" the
            synthesised ones, by FORMAT or FORMAT/NAME those of the F0, and "page".

        Raises:
            FileExistsError: a file exists and `overwrite` is false.
            UmssError: two singers' names lead to the same file name, there is no singer of a name
                that was asked for, or no such pattern, format or bitrate; or a file would replace
                the recording.
        """
        form = Format(format, bitrate)
        if synthesised and not self.synthesised:
            raise UmssError("the method has no voices that sing by themselves; use umss_fit")
        paths, tracks, chosen = name_files(
            Path(folder), self.name, tuple(self.stems),
            ending=form.ending, filename=filename, only=only, two_stems=two_stems, with_f0=True,
            with_mix=bool(self.edited), synthesised=synthesised, page=page, f0_formats=f0_formats,
        )  # fmt: skip
        if self.source is not None:
            check_inputs(paths.values(), self.source)
        check_existing(paths.values(), overwrite=overwrite)
        form.check(self.rate, len(np.atleast_2d(np.asarray(self.residual))), self.name)
        files = set(paths.values())
        arrays = {name: np.asarray(value) for name, value in self.parameters.items()}
        with stage(Path(folder), self.name) as place:
            sound = self._collect(chosen, synthesised=synthesised)
            factor = find_factor(
                max(float(np.abs(a).max()) for a in sound.values()), form, self.name
            )
            for number, (name, array) in enumerate(sound.items()):
                tagged = self.tags or form.name != "wav32f"
                tags = self.tags.name_voice(name, self.name) if tagged else None
                scaled = array if factor == 1.0 else np.float32(factor) * array
                target = place.place(paths[name])
                channels, n_samples = array.shape
                write_audio(
                    target, [scaled], form, self.rate, channels, n_samples, tags, seed=number
                )
            write_f0(place.place(paths["f0"]), self.f0)
            write_formats(tracks, self.f0, self.name, place=place.place)
            with name_failed_file(paths["parameters"]):
                write_parameters(
                    place.place(paths["parameters"]),
                    tuple(self.stems),
                    arrays,
                    frames_per_second=RATE / HOP,
                    description=self.description,
                    confidence=self.confidence,
                    filename=filename,
                )
            if page:
                shown = self._describe_page({label: sound[label] for label in chosen.labels})
                files.update(build_page(paths["page"], shown, place.place))
            former = find_former(
                Path(folder), self.name, files, filter(None, [self.source]), filename
            )
            place.publish(sorted(files), remove=former)
        remove_empty_folders(Path(folder), self.name, filename)
        tidy_folder(name_page(Path(folder), self.name, filename))
        return paths

    def _collect(self, chosen: Chosen, *, synthesised: bool) -> dict[str, NDArray[np.float32]]:
        """The signals [C, T] of the files of sound, by what they hold."""
        stems = [np.asarray(stem) for stem in self.stems.values()]
        mix = np.asarray(self.mix)
        picked = chosen.pick(stems, np.asarray(self.residual), mix)
        signals = dict(zip(chosen.labels, picked, strict=True))
        if self.edited:
            signals[MIX] = mix
        if synthesised:
            signals |= {f"{n}_synthesised": np.asarray(v) for n, v in self.synthesised.items()}
            signals["synthesised"] = np.sum([*map(np.asarray, self.synthesised.values())], axis=0)
        return {label: np.atleast_2d(signal) for label, signal in signals.items()}

    def _describe_page(self, sound: Mapping[str, NDArray[np.float32]]) -> Page:
        """The page to listen to of stems, and the residual where it is among them."""
        mix = np.asarray(self.mix)
        recording = describe_recording(
            self.name,
            self.rate,
            mix,
            {label: signal for label, signal in sound.items() if label != RESIDUAL},
            sound.get(RESIDUAL),
            self.f0,
            seconds=mix.shape[-1] / self.rate,
            warnings=self.warnings,
        )
        return make_page(recording)
