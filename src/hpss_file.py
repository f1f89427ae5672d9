"""Split a recording into harmonic, percussive and residual files: `umss hpss in.wav`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.markup import escape
from rich.progress import track

from .audio import examine_audio, open_audio
from .cli import launch
from .dsp.hpss import choose_blocks, hpss
from .dsp.stft import WINDOWS, istft, stft
from .errors import UmssError
from .files import check_existing, check_space, name_failed_file
from .staging import stage
from .wav_writing import WavWriter

PARTS = ("harmonic", "percussive", "residual")
MASKS = ("harmonic_mask", "percussive_mask")
SMALLEST_FRAME = 16  # samples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HpssSettings:
    """How a recording is split; defaults are those of librosa.

    Attributes:
        kernel_size, power, margin: see `src.dsp.hpss.hpss`.
        n_fft, hop: size and distance of the frames, samples.
        window: of the frames, a key of `src.dsp.stft.WINDOWS`.
    """

    kernel_size: int | Sequence[int] = 31
    power: float = 2.0
    margin: float | Sequence[float] = 1.0
    n_fft: int = 2048
    hop: int = 512
    window: str = "hann"

    def check(self) -> None:
        """Refuse settings that cannot be used.

        Raises:
            UmssError: names the setting.
        """
        if self.n_fft < SMALLEST_FRAME:
            raise UmssError(f"n_fft={self.n_fft} must be at least {SMALLEST_FRAME} samples")
        if not 1 <= self.hop <= self.n_fft // 2:
            raise UmssError(
                f"hop={self.hop} must be from 1 to n_fft / 2 = {self.n_fft // 2} samples, so that "
                "frames overlap by half at least"
            )
        if self.window not in WINDOWS:
            raise UmssError(f"window={self.window} is unknown; choose from {', '.join(WINDOWS)}")
        hpss(torch.zeros(1, 1), kernel_size=self.kernel_size, power=self.power, margin=self.margin)


@dataclass(frozen=True)
class Block:
    """The next samples of a recording, split.

    Attributes:
        parts: harmonic, percussive and residual, [3, C, n]; they sum to the recording.
        masks: harmonic and percussive, [2, C, F, k], for the frames that are centred on these
            samples; the last block has the frame at the end of the recording, too.
    """

    parts: NDArray[np.float32]
    masks: NDArray[np.float32]


def split_blocks(
    read: Callable[[int], NDArray[np.float32]], settings: HpssSettings
) -> Iterator[Block]:
    """Split a recording of any length, block by block, as if it were split at once.

    Args:
        read: gives the next n samples [C, n], fewer at the end.
        settings: how.

    Yields:
        Consecutive blocks.

    Raises:
        UmssError: unusable settings.
    """
    settings.check()
    size, context = choose_blocks(settings.kernel_size, n_fft=settings.n_fft, hop=settings.hop)
    ahead = read(size + context)
    past = ahead[:, :0]
    while count := min(size, ahead.shape[1]):
        heard = np.concatenate([past, ahead], axis=1)
        last = ahead.shape[1] <= size
        first = past.shape[1]
        pairs = [_split_channel(channel, settings) for channel in heard]
        heard_parts = np.stack([pair[0] for pair in pairs], axis=1)[..., first : first + count]
        frames = slice(first // settings.hop, (first + count) // settings.hop + last)
        masks = np.stack([pair[1][..., frames] for pair in pairs], axis=1)
        rest = ahead[:, :count] - heard_parts.sum(axis=0)
        yield Block(np.concatenate([heard_parts, rest[None]]), masks)
        past = heard[:, : first + count][:, -context:]
        ahead = np.concatenate([ahead[:, count:], read(size)], axis=1)


def _split_channel(
    samples: NDArray[np.float32], settings: HpssSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split samples [T] into (harmonic, percussive) [2, T], and give their masks [2, F, N]."""
    frames = {"n_fft": settings.n_fft, "hop": settings.hop}
    spectrum = stft(torch.from_numpy(samples), window=settings.window, **frames)
    masks = torch.stack(
        hpss(
            spectrum,
            kernel_size=settings.kernel_size,
            power=settings.power,
            margin=settings.margin,
            mask=True,
        )
    )
    parts = istft(masks * spectrum, len(samples), window=settings.window, **frames)
    return parts.numpy(), masks.numpy()


def split_file(
    path: Path,
    folder: Path,
    settings: HpssSettings | None = None,
    *,
    masks: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    """Split a file into a harmonic, a percussive and a residual file that sum to it.

    Files are 32-bit float WAV with the input's sample rate and channels (RF64 above 4 GiB). They
    appear in `folder` when all are complete; a failed run leaves nothing behind.

    Args:
        path: the recording.
        folder: where the files go: NAME_harmonic.wav, NAME_percussive.wav, NAME_residual.wav.
        settings: how it is split; None = the defaults.
        masks: also write NAME_harmonic_mask.npy and NAME_percussive_mask.npy, [C, F, N] of float32,
            or booleans where the power is infinite; F = n_fft // 2 + 1, N = 1 + T // hop.
        overwrite: replace the files of an earlier run; masks that are no longer wanted go.
        progress: show a progress bar.

    Returns:
        The files by "harmonic", "percussive", "residual", "harmonic_mask", "percussive_mask".

    Raises:
        AudioError: the input is missing, unreadable or empty.
        OutputExistsError: an output exists and `overwrite` is false.
        ClaimedError: another process is splitting this recording into this folder.
        WriteError: the files cannot be written.
        UmssError: unusable settings.
    """
    chosen = HpssSettings() if settings is None else settings
    chosen.check()
    paths = {name: folder / f"{path.stem}_{name}.wav" for name in PARTS}
    mask_paths = {name: folder / f"{path.stem}_{name}.npy" for name in MASKS}
    former = [] if masks else [place for place in mask_paths.values() if place.exists()]
    paths |= mask_paths if masks else {}
    check_existing([*paths.values(), *former], overwrite=overwrite)
    found = examine_audio(path, listened=False)
    # A mask has a value of 4 bytes, or a boolean, for every bin of every frame.
    shape = (found.channels, chosen.n_fft // 2 + 1, 1 + found.frames // chosen.hop)
    kind = np.dtype(bool if np.isinf(chosen.power) else np.float32)
    needed = len(PARTS) * 4 * found.frames * found.channels
    needed += len(MASKS) * kind.itemsize * int(np.prod(shape)) if masks else 0
    check_space(folder, needed)
    size, _ = choose_blocks(chosen.kernel_size, n_fft=chosen.n_fft, hop=chosen.hop)
    with ExitStack() as stack:
        place = stack.enter_context(stage(folder, f"{path.stem}_hpss"))
        source = stack.enter_context(open_audio(path))
        blocks = split_blocks(source.read, chosen)
        if progress:
            blocks = iter(
                track(
                    blocks,
                    f"splitting {escape(path.name)}",
                    total=-(-found.frames // size),
                    transient=True,
                )
            )
        stack.enter_context(name_failed_file(folder / path.stem))
        writers = [
            WavWriter(place.place(paths[name]), found.rate, found.channels, found.frames)
            for name in PARTS
        ]
        for writer in writers:
            stack.callback(writer.abandon)
        stores = [
            np.lib.format.open_memmap(place.place(mask_paths[name]), "w+", kind, shape)
            for name in (MASKS if masks else ())
        ]
        _write(blocks, writers, stores)
        place.publish(paths.values(), remove=former)
    return paths


def _write(
    blocks: Iterator[Block],
    writers: Sequence[WavWriter],
    stores: Sequence[NDArray[np.generic]],
) -> None:
    position = 0
    for block in blocks:
        for writer, part in zip(writers, block.parts, strict=True):
            writer.write(part)
        end = position + block.masks.shape[-1]
        for store, mask in zip(stores, block.masks, strict=False):
            store[..., position:end] = mask
        position = end
    for writer in writers:
        writer.close()
    for store in stores:
        store.flush()  # type: ignore[attr-defined]


def main(cfg: DictConfig) -> None:
    settings = HpssSettings(
        kernel_size=cfg.kernel_size,
        power=cfg.power,
        margin=cfg.margin,
        n_fft=cfg.n_fft,
        hop=cfg.hop,
        window=cfg.window,
    )
    paths = split_file(
        Path(cfg.input), Path(cfg.output), settings, masks=cfg.masks, overwrite=cfg.overwrite
    )
    for written in paths.values():
        log.info("wrote %s", written)


if __name__ == "__main__":
    launch("hpss")
