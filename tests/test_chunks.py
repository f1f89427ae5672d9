"""Windows and chunks: stems depend on the windows only, and no more than a chunk is in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from src.baselines.hpss_comb import HpssCombSeparator
from src.baselines.masks import CombSeparator, MixtureSeparator
from src.baselines.nmf import Nmf1Separator
from src.baselines.source_filter_nmf import Nmf2Separator
from src.chunks import Grid, Piece, find_sung, separate_chunks
from src.f0.contours import F0Contours
from src.fit.separator import FitSeparator
from src.models.umss import UmssSeparator
from src.models.unet_lit import UnetTraining
from src.models.unet_separator import UnetSeparator
from src.separator import Separator
from tests.separating import Arrays, separate
from tests.tiny_training import tiny_model

# A U-Net as small as it gets.
UNET = {"channels": [4, 8], "control_channels": [4]}


def choir(seconds: float, rate: int, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two singers who change notes and fall silent, and noise: [C, T], and F0 [2, N]."""
    t = np.arange(round(seconds * rate)) / rate
    frame = 0.016 * np.arange(math.ceil(math.ceil(len(t) * 16_000 / rate) / 256))
    rng = np.random.default_rng(0)
    audio = 0.01 * rng.normal(size=(channels, len(t)))
    f0 = []
    for j, base in enumerate((440.0, 165.0)):
        track = base * 2 ** ((np.floor(frame + 0.3 * j) % 4) / 12) * (frame % (3 + j) > 0.4)
        heard = np.interp(t, frame, track)
        phase = 2 * np.pi * np.cumsum(heard) / rate
        voice = sum(np.sin(k * phase) / k for k in range(1, 6)) * (heard > 80)
        audio += 0.1 * voice * (1 + 0.3 * np.arange(channels)[:, None] * (1 - 2 * j))
        f0.append(track)
    return audio.astype(np.float32), np.array(f0, np.float32)


def reader(audio: np.ndarray, sizes: list[int] | None = None) -> Callable[[int], np.ndarray]:
    """Hands out `audio` bit by bit, and notes how much was asked for."""
    position = 0

    def read(n: int) -> np.ndarray:
        nonlocal position
        if sizes is not None:
            sizes.append(n)
        start, position = position, position + n
        return audio[:, start:position]

    return read


def levels(difference: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Level of the difference of each stem, dB relative to the stem."""
    axes = tuple(range(1, reference.ndim))
    energy = np.square(reference, dtype=np.float64).sum(axes)
    return 10 * np.log10(np.square(difference, dtype=np.float64).sum(axes) / energy + 1e-30)


def assert_same(result: Arrays, reference: Arrays) -> None:
    assert (levels(result.stems - reference.stems, reference.stems) < -90).all()
    np.testing.assert_array_equal(result.f0, reference.f0)
    assert result.parameters.keys() == reference.parameters.keys()
    for name, value in reference.parameters.items():
        np.testing.assert_allclose(result.parameters[name], value, atol=1e-4)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Separator]:
    """Separators of networks with random weights."""
    folder: Path = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    for name, model in (("umss", tiny_model()), ("unet", UnetTraining(unet=UNET))):
        content = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
        torch.save(content, folder / f"{name}.ckpt")
    return {
        "umss": UmssSeparator(folder / "umss.ckpt"),
        "unet": UnetSeparator(folder / "unet.ckpt"),
    }


def build(name: str, networks: dict[str, Separator]) -> Separator:
    if name in networks:
        return networks[name]
    methods: dict[str, Callable[[], Separator]] = {
        "comb": lambda: CombSeparator(noise_level=1e-2),
        "hpss_comb": lambda: HpssCombSeparator(kernel_size=(5, 21)),
        "mixture": MixtureSeparator,
        "nmf1": Nmf1Separator,
        "nmf2": lambda: Nmf2Separator(n_iterations=4),
    }
    return methods[name]()


@pytest.mark.parametrize("name", ["comb", "umss", pytest.param("nmf1", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2)])
def test_stems_do_not_depend_on_the_chunks(
    name: str, rate: int, channels: int, networks: dict[str, Separator]
) -> None:
    audio, f0 = choir(26.3217, rate, channels)
    separator = build(name, networks)
    reference = separate(audio, rate, f0, separator)
    assert np.abs(reference.stems.sum(axis=0) + reference.residual - audio).max() < 1e-6
    for chunk_seconds in (5.0, 20.0, 1000.0) if channels == 1 else (20.0, 1000.0):
        assert_same(separate(audio, rate, f0, separator, chunk_seconds=chunk_seconds), reference)


@pytest.mark.parametrize("name", ["hpss_comb", "mixture", "nmf2", "unet"])
def test_nor_do_those_of_the_other_methods(name: str, networks: dict[str, Separator]) -> None:
    audio, f0 = choir(9.7, 16_000)
    separator = build(name, networks)
    reference = separate(audio, 16_000, f0, separator, window_seconds=3.0)
    for chunk_seconds in (5.0, 1000.0):
        result = separate(
            audio, 16_000, f0, separator, window_seconds=3.0, chunk_seconds=chunk_seconds
        )
        assert_same(result, reference)


def test_stems_are_those_of_the_windows_cross_faded(networks: dict[str, Separator]) -> None:
    """Against the windows cut by hand from the whole recording."""
    audio, f0 = choir(25.3, 16_000)
    separator = networks["umss"]
    # Where each window starts and ends, and from where on it counts, seconds.
    windows = ((0, 9, 0), (8, 17, 8), (16, 25, 16), (18, 25.3, 24))
    expected = np.zeros((2, audio.shape[-1]))
    lsf = []
    for index, (start, end, place) in enumerate(windows):
        samples = slice(round(start * 16_000), round(end * 16_000))
        frames = slice(round(start * 62.5), math.ceil(end * 62.5))
        result = separator(
            torch.from_numpy(audio[:, samples]),
            torch.from_numpy(f0[None, :, frames]),
            seed=3 + index,
        )
        stems = result.sources[0].numpy()[:, (place - start) * 16_000 :]
        weight = np.ones(stems.shape[-1])
        if index:
            weight[:16_000] = np.sin(0.5 * np.pi * (np.arange(16_000) + 0.5) / 16_000) ** 2
        covered = expected[:, place * 16_000 : samples.stop]
        covered += weight * (stems - covered)
        kept = slice(round((place - start) * 62.5), None if index == 3 else round(8 * 62.5))
        lsf.append(result.parameters["lsf_increments"][0, :, kept].numpy())
    for chunk_seconds in (9.0, 60.0):
        got = separate(audio[0], 16_000, f0, separator, chunk_seconds=chunk_seconds, seed=3)
        assert (levels(got.stems - expected, expected) < -90).all()
        parameter = got.parameters["lsf_increments"]
        np.testing.assert_allclose(parameter, np.concatenate(lsf, axis=1), atol=1e-4)
        assert got.parameters["noise_magnitudes"].shape[1] == len(windows)


class Spy(CombSeparator):
    """Notes the shapes and seeds that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[tuple[int, ...], list[int]]] = []

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        self.calls.append((tuple(mixture.shape), seed.tolist()))
        return super().estimate(mixture, f0, seed, sources)


def test_windows_of_a_chunk_are_one_batch() -> None:
    torch.set_num_threads(1)  # one chunk after the other
    audio, f0 = choir(11.5, 16_000)
    spy = Spy()
    separate(audio, 16_000, f0, spy, window_seconds=3.0, chunk_seconds=6.9, seed=10)
    full, rest = 3 * 16_000, round(1.5 * 16_000)
    assert spy.calls == [((3, full), [10, 11, 12]), ((2, full), [13, 14]), ((1, rest), [15])]
    # The last window takes part where it happens to be as long as the others.
    spy = Spy()
    audio, f0 = choir(15.0, 16_000)
    separate(audio, 16_000, f0, spy, window_seconds=5.0, chunk_seconds=99.0)
    assert spy.calls == [((4, 5 * 16_000), [0, 1, 2, 3])]


@pytest.mark.parametrize(("window_seconds", "chunk_seconds"), [(3.0, 3.0), (3.0, 8.0), (5.0, 9.0)])
@pytest.mark.parametrize("threads", [1, 3])
def test_pieces_follow_each_other_and_only_the_chunks_at_work_are_held(
    window_seconds: float, chunk_seconds: float, threads: int
) -> None:
    torch.set_num_threads(threads)
    audio, f0 = choir(24.6, 16_000)
    contours = F0Contours.on_grid(f0.T, ("high", "low"))
    settings = {"window_seconds": window_seconds, "chunk_seconds": chunk_seconds}
    grid = Grid.of(window_seconds, 1.0, chunk_seconds)
    sizes: list[int] = []
    pieces: list[Piece] = []
    done = 0
    for piece in separate_chunks(
        reader(audio, sizes), 16_000, contours, CombSeparator(), **settings
    ):
        # Chunks of whole windows, and the start of the next to see whether there is one: one chunk
        # per thread, and one that waits for the first of them.
        held = min(sum(sizes), audio.shape[-1]) - done
        chunks = 1 if threads == 1 else threads + 1
        assert held <= 16_000 * (chunks * grid.per_chunk * grid.advance + 1 + grid.advance)
        pieces.append(piece)
        done += piece.audio.shape[-1]
    assert max(sizes) == window_seconds * 16_000
    assert len(pieces) == grid.count(24.6)
    np.testing.assert_array_equal(np.concatenate([p.audio for p in pieces], axis=-1), audio)
    whole = separate(audio, 16_000, contours, CombSeparator(), **settings)
    np.testing.assert_array_equal(np.concatenate([p.stems for p in pieces], axis=-1), whole.stems)


@pytest.mark.parametrize("seconds", [0.3, 4.9, 5.0, 5.001, 6.9, 7.0, 7.001, 8.99, 9.0, 9.01, 13.3])
@pytest.mark.parametrize("rate", [16_000, 11_025])
def test_the_last_window_is_not_a_moment(seconds: float, rate: int) -> None:
    torch.set_num_threads(1)  # windows in their order
    audio, f0 = choir(seconds, rate)
    f0[0, 0] = 440.0  # somebody sings in the shortest one, too
    spy = Spy()
    result = separate(audio, rate, f0, spy, window_seconds=5.0, chunk_seconds=1.0)
    lengths = [shape[1] / 16_000 for shape, _ in spy.calls]
    assert lengths[:-1] == [5.0] * (len(lengths) - 1)
    if seconds > 5:
        assert 3.0 < lengths[-1] <= 5.0
    else:
        assert lengths == pytest.approx([seconds], abs=1e-3)
    assert len(lengths) == Grid.of(5.0, 1.0, 9.0).count(audio.shape[-1] / rate)
    assert result.stems.shape[-1] == audio.shape[-1]
    assert result.f0.shape == f0.shape
    np.testing.assert_allclose(result.f0, f0, rtol=1e-6)
    together = separate(audio, rate, f0, spy, window_seconds=5.0, chunk_seconds=50.0)
    assert_same(together, result)


def test_threads_do_not_change_stems(networks: dict[str, Separator]) -> None:
    """Where every chunk has one thread, however many chunks are separated at the same time."""
    audio, f0 = choir(4.3, 16_000)
    for separator in (FitSeparator(opinions=None), CombSeparator(), networks["umss"]):
        torch.set_num_threads(1)
        alone = separate(audio, 16_000, f0, separator, window_seconds=2.0, chunk_seconds=1.0)
        for threads in (2, 5):
            torch.set_num_threads(threads)
            got = separate(audio, 16_000, f0, separator, window_seconds=2.0, chunk_seconds=1.0)
            # The same here; elsewhere, the fit may enlarge what alignment in memory rounds.
            assert (levels(got.stems - alone.stems, alone.stems) < -50).all()
            assert {k: v.shape for k, v in got.parameters.items()} == {
                k: v.shape for k, v in alone.parameters.items()
            }


@pytest.mark.parametrize("overlap_seconds", [0.0, 0.25, 4.0])
def test_any_overlap_reproduces_a_filter_without_memory(overlap_seconds: float) -> None:
    """Also where more than two windows overlap."""
    audio, f0 = choir(11.3, 16_000)
    result = separate(
        audio, 16_000, f0, MixtureSeparator(), window_seconds=5.0, overlap_seconds=overlap_seconds
    )
    np.testing.assert_allclose(result.stems, np.stack([audio, audio]), atol=1e-5)


def test_parameters_say_how_sure_the_singers_are() -> None:
    audio, f0 = choir(4.0, 16_000)
    sure = np.linspace(0.5, 1.0, f0.size, dtype=np.float32).reshape(f0.shape)
    contours = F0Contours.on_grid(f0.T, ("high", "low"), confidence=sure.T)
    pieces = separate_chunks(
        reader(audio), 16_000, contours, CombSeparator(), window_seconds=2.0, overlap_seconds=0.5
    )
    found = np.concatenate([piece.parameters["identity_confidence"] for piece in pieces], axis=1)
    np.testing.assert_allclose(found[:, :, 0], sure, atol=1e-6)


def test_what_singers_in_unison_sing_apart_is_divided_by_confidence() -> None:
    audio, f0 = choir(4.0, 16_000)
    f0[1, :150] = f0[0, :150]
    halves = np.full(f0.shape, 0.5, np.float32)
    unsure = F0Contours.on_grid(f0.T, ("high", "low"), confidence=halves.T)
    sure = F0Contours.on_grid(f0.T, ("high", "low"), confidence=np.ones_like(halves).T)
    plain = F0Contours.on_grid(f0.T, ("high", "low"))
    high, low = separate(audio, 16_000, unsure, CombSeparator()).stems
    np.testing.assert_allclose(high, low, atol=1e-6)
    np.testing.assert_allclose(high + low, audio, atol=1e-4)
    known, given = (separate(audio, 16_000, x, CombSeparator()).stems for x in (sure, plain))
    apart = slice(160 * 256, None)
    np.testing.assert_allclose(known[..., apart], given[..., apart], atol=1e-6)
    assert not np.allclose(*known[..., apart], atol=1e-2)


def test_silence_is_the_same_in_every_chunk(networks: dict[str, Separator]) -> None:
    silence = np.zeros((2, 7 * 22_050), np.float32)
    f0 = np.zeros((2, math.ceil(7 * 62.5)))
    for separator in (networks["umss"], CombSeparator(), Nmf1Separator()):
        for chunk_seconds in (2.0, 50.0):
            result = separate(
                silence, 22_050, f0, separator, window_seconds=3.0, chunk_seconds=chunk_seconds
            )
            assert not result.stems.any()
            assert not result.residual.any()


def test_settings_are_checked() -> None:
    assert Grid.of(9.0, 1.0, 9.0) == Grid(8, 1.0, 1)
    assert Grid.of(9.0, 1.0, 17.0).per_chunk == 2
    assert Grid.of(9.0, 1.0, 17.1).per_chunk == 3
    assert Grid.of(4.3, 0.3, 12.3).per_chunk == 3
    assert Grid.of(1.0, 0.5, 0.1) == Grid(2, 0.5, 1)
    with pytest.raises(ValueError, match="window_seconds=1"):
        Grid.of(1.0, 1.0, 9.0)
    with pytest.raises(ValueError, match="must not be negative"):
        Grid.of(9.0, -1.0, 9.0)
    for wrong in (0.0, -3.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="chunk_seconds"):
            Grid.of(9.0, 1.0, wrong)
        with pytest.raises(ValueError, match="window_seconds"):
            Grid.of(wrong, 1.0, 9.0)


def test_broken_samples_are_reported_with_their_place() -> None:
    audio, f0 = choir(8.0, 16_000)
    audio[0, 5 * 16_000 + 7] = np.nan
    for chunk_seconds in (3.0, 50.0):
        with pytest.raises(ValueError, match="sample at 5.0 s is NaN or infinite"):
            separate(
                audio, 16_000, f0, MixtureSeparator(), window_seconds=3.0,
                chunk_seconds=chunk_seconds,
            )  # fmt: skip


def test_where_nobody_sings_for_seconds_all_is_residual() -> None:
    rate = 16_000
    audio = np.random.default_rng(0).normal(size=(2, 14 * rate)).astype(np.float32)
    times = np.arange(0, 14, 0.016)
    f0 = np.zeros((len(times), 2), np.float32)
    f0[(times > 4) & (times < 5), 0] = 300
    f0[(times > 6.9) & (times < 8), 1] = 200  # a pause of less than two seconds before
    contours = F0Contours(times, f0, ("a", "b"))
    pieces = [
        *separate_chunks(reader(audio), rate, contours, MixtureSeparator(), window_seconds=3.0)
    ]
    stems = np.concatenate([piece.stems for piece in pieces], axis=-1)
    residual = np.concatenate([piece.residual for piece in pieces], axis=-1)
    inside = slice(round(3.03 * rate), round(8.97 * rate))
    before, after = int(2.88 * rate), int(9.11 * rate)
    assert not stems[..., :before].any()
    assert not stems[..., after:].any()
    np.testing.assert_allclose(stems[0][:, inside], audio[:, inside], atol=1e-5)
    np.testing.assert_allclose(residual[:, :before], audio[:, :before])
    np.testing.assert_allclose(stems.sum(axis=0) + residual, audio, atol=1e-5)


def test_stretches_that_are_sung() -> None:
    def find(times: list[float], *tracks: list[float]) -> list[list[float]]:
        names = tuple(f"v{j}" for j in range(len(tracks)))
        return find_sung(F0Contours(np.array(times), np.array(tracks).T, names)).tolist()

    seconds = [0.0, 5.0, 10.0, 15.0]
    assert find(seconds, [200, 200, 0, 0]) == [[-1.0, 6.0]]  # held between rows
    assert find(seconds, [0, 200, 0, 0], [0, 0, 0, 100]) == [[4.0, 6.0], [14.0, 16.0]]
    assert find(seconds, [200, 0, 0, 0], [0, 100, 200, 200]) == [[-1.0, 16.0]]
    assert find(seconds, [0, 0, 0, 0]) == []
