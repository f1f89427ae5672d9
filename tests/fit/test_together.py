"""Singers in unison get equal parts of what both sing."""

import pytest
import torch
from umss.fit.separator import FitSeparator
from umss.fit.together import find_unisons, share_by_confidence, share_what_both_sing

HOP = 256


def _stems(n_singers: int, n_frames: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, n_singers, 1, n_frames * HOP, generator=generator)


def test_voices_of_one_pitch_get_halves_of_their_sum_and_others_keep_theirs() -> None:
    f0 = torch.full((1, 3, 40), 220.0)
    f0[:, 1] *= 2 ** (5 / 1200)
    f0[:, 2] = 330.0
    stems = _stems(3, 40)
    shared = share_what_both_sing(stems, f0, hop=HOP)
    half = (stems[:, 0] + stems[:, 1]) / 2
    torch.testing.assert_close(shared[:, 0], half)
    torch.testing.assert_close(shared[:, 1], half)
    torch.testing.assert_close(shared[:, 2], stems[:, 2])


def test_only_where_both_sing_and_only_if_they_mostly_do_so_in_unison() -> None:
    f0 = torch.full((1, 2, 40), 220.0)
    f0[:, 1, 24:] = 440.0
    f0[:, 0, :2] = 0.0
    same, mostly = find_unisons(f0)
    assert same[0, 0, 1].tolist() == [2 <= n < 24 for n in range(40)]
    assert mostly[0, ..., 0].tolist() == [[False, True], [True, False]]
    f0[:, 1, 18:] = 440.0  # 16 frames of 38
    assert not find_unisons(f0)[1].any()
    stems = _stems(2, 40)
    assert share_what_both_sing(stems, f0, hop=HOP) is stems


def test_nothing_is_lost_where_unisons_begin_and_end() -> None:
    f0 = torch.full((1, 3, 50), 220.0)
    f0[:, 1, 30:] = 300.0
    f0[:, 2, :10] = 0.0
    stems = _stems(3, 51)  # longer than its frames
    shared = share_what_both_sing(stems, f0, hop=HOP)
    torch.testing.assert_close(shared.sum(dim=1), stems.sum(dim=1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shared[:, 1, :, 45 * HOP :], stems[:, 1, :, 45 * HOP :])


def test_what_they_sing_apart_is_divided_by_how_sure_it_is_whose_it_is() -> None:
    f0 = torch.full((1, 3, 60), 220.0)
    f0[:, 1, 40:] = 262.0
    f0[:, 2] = 330.0
    confidence = torch.ones(1, 3, 60)
    confidence[:, :2, 50:] = 0.75
    confidence[:, 2] = 0.2  # the third is never in unison
    stems = _stems(3, 60)
    shared = share_by_confidence(stems, f0, confidence, hop=HOP)
    half = (stems[:, 0] + stems[:, 1]) / 2
    for stem in shared[0, :2, :, : 38 * HOP]:
        torch.testing.assert_close(stem, half[0, :, : 38 * HOP])
    alone = slice(42 * HOP, 48 * HOP)
    torch.testing.assert_close(shared[..., alone], stems[..., alone])
    torch.testing.assert_close(shared[:, 2], stems[:, 2])
    first, second = stems[0, :2, :, 52 * HOP :]
    torch.testing.assert_close(shared[0, 0, :, 52 * HOP :], 0.75 * first + 0.25 * second)
    torch.testing.assert_close(shared[0, 1, :, 52 * HOP :], 0.25 * first + 0.75 * second)
    # Singers who sing apart for most of the time are known; less than even is even.
    assert share_by_confidence(stems, f0[..., -1:].expand_as(f0), confidence, hop=HOP) is stems
    even = share_by_confidence(stems, f0, torch.zeros_like(confidence), hop=HOP)
    torch.testing.assert_close(even[0, 0, :, 42 * HOP :], even[0, 1, :, 42 * HOP :])


@pytest.mark.parametrize("gains", [(1.0,), (1.0, 0.5)])
def test_a_fit_of_two_equal_tracks_gives_two_equal_stems(gains: tuple[float, ...]) -> None:
    time = torch.arange(16000) / 16000
    voice = sum(torch.sin(2 * torch.pi * 220 * h * time) / h for h in range(1, 8))
    mixture = voice[None]
    f0 = torch.full((1, 2, 63), 220.0)
    fit = FitSeparator(opinions=None, singers_per_part=1, rooms=False)
    seed = torch.zeros(1, dtype=torch.int64)
    channels = mixture[:, None] * torch.tensor(gains)[None, :, None]
    found = fit.separate(mixture, f0, seed, None, channels)
    torch.testing.assert_close(found.sources[:, 0], found.sources[:, 1])
