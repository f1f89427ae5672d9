"""Several opinions about the F0s of one mixture, weighed by how well each explains it.

F0 tracks of a mixture are wrong in places, and every estimate in other places. A separation under
wrong F0s also explains the mixture worse. So what several opinions separate is averaged with
weights that follow how well each explains it, frame by frame.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..dsp.reverberation import ReverberationSuppressor
from ..dsp.stft import average_around
from ..errors import UmssError
from ..f0.contours import F0Contours
from ..f0.estimate import SHORTEST, SILENCE_PEAK, F0Estimator, choose_singer_names
from ..f0.matching import follow_tracks
from ..f0.network import VoiceSalience
from ..f0.retune import retune
from ..f0.tracker import VoiceTracker
from ..threads import give_up_if_unwanted

# Frozen: what every separator begins with can be shared.
_SUPPRESSOR = ReverberationSuppressor()
SECOND = Path(__file__).with_name("second_opinion.pt")


class SecondVoiceSalience(VoiceSalience):
    """The package's multi-F0 network, trained from other random weights: it errs elsewhere.

    Args:
        weights: file written by `umss train-f0`; None = the one beside this module.
        device: where the network runs.

    Raises:
        ValueError: the file is missing or holds no weights of this network.
    """

    def __init__(self, weights: str | Path | None = None, device: str = "cpu") -> None:
        super().__init__(SECOND if weights is None else weights, device)


class F0Opinions:
    """F0 tracks of several estimators, each with trackers that hear singing more or less readily.

    Args:
        estimators: multi-F0 models and their trackers by name, None = this one is left out; the
            trackers' own `bias` is not used. None for all = the package's two networks, each with
            the default tracker.
        readiness: values of `VoiceTracker`'s `bias`, log-odds added to every pitch; every estimator
            gives one opinion for each.

    Raises:
        ValueError: no estimator or readiness, or a tracker that has none.
    """

    def __init__(
        self,
        estimators: Mapping[str, F0Estimator | None] | None = None,
        *,
        readiness: Sequence[float] = (0.0, 2.0),
    ) -> None:
        if estimators is None:
            estimators = {
                "default": F0Estimator(VoiceSalience(), VoiceTracker(), preprocess=_SUPPRESSOR),
                "second": F0Estimator(
                    SecondVoiceSalience(), VoiceTracker(), preprocess=_SUPPRESSOR
                ),
            }
        asked = {name: x for name, x in estimators.items() if x is not None}
        for name, value in (("estimators", asked), ("readiness", readiness)):
            if not value:
                raise UmssError(f"opinions.{name} is empty; set opinions=null to have no opinions")
        for name, estimator in asked.items():
            if not isinstance(estimator.assigner, VoiceTracker):
                raise UmssError(
                    f"opinions.estimators.{name} has a {type(estimator.assigner).__name__}, which "
                    "cannot be made more or less ready to sing; use multif0=default or "
                    "multif0=cuesta there"
                )
        self.estimators = asked
        self.readiness = tuple(readiness)

    def __call__(self, mixture: Tensor, f0: Tensor) -> Tensor:
        """Opinions about mixtures; who sings their pitches is what the given tracks say.

        Args:
            mixture: [B, T] at 16 kHz.
            f0: [B, J, N] Hz, 0 = silent, the given tracks.

        Returns:
            [K, B, J, N] Hz, K estimators times readiness; the given tracks where a mixture is
            silent.
        """
        given = f0.detach().cpu().numpy()
        opinions = [
            self._ask_all(samples, tracks)
            for samples, tracks in zip(mixture.detach().cpu().numpy(), given, strict=True)
        ]
        return torch.from_numpy(np.stack(opinions, axis=1)).to(f0)

    def _ask_all(
        self, samples: NDArray[np.float32], given: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        peak = np.abs(samples - samples.mean()).max()
        if peak < SILENCE_PEAK:
            return np.repeat(given[None], len(self.estimators) * len(self.readiness), axis=0)
        padded = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
        # Estimators that hear the same get it computed once; settings that are equal are the same.
        heard: dict[Any, NDArray[np.float32]] = {None: padded}
        opinions = []
        for estimator in self.estimators.values():
            preprocess = estimator.preprocess
            if preprocess is not None and preprocess not in heard:
                heard[preprocess] = preprocess(padded)
            opinions.append(self._ask_one(estimator, samples, heard[preprocess], given))
        return np.concatenate(opinions).astype(np.float32)

    def _ask_one(
        self,
        estimator: F0Estimator,
        samples: NDArray[np.float32],
        heard: NDArray[np.float32],
        given: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The opinions of one estimator, whose network gets what is `heard`."""
        n_singers, n_frames = given.shape
        give_up_if_unwanted()
        salience = estimator.model(heard)
        names = choose_singer_names(n_singers)
        opinions = []
        for bias in self.readiness:
            tracker = copy.copy(estimator.assigner)
            assert isinstance(tracker, VoiceTracker)
            tracker.bias = bias
            tracks = tracker(salience, n_singers)
            frames = F0Contours(salience.times, tracks, names).to_frames(n_frames)
            if estimator.retune:
                frames = retune(samples, frames)
            opinions.append(follow_tracks(given.T, frames).T)
        return np.stack(opinions)


def weigh_opinions(against: Tensor, *, frames: int, trust: float = 1.0) -> Tensor:
    """Weigh opinions: how far to trust each in each frame.

    Args:
        against: [K, B, N] evidence against each of K opinions, as log-odds (nats): the weights are
            the softmax of its negative average.
        frames: radius of its average in time; 0 = every frame for itself.
        trust: weight of the first opinion before any evidence; the others have 1.

    Returns:
        [K, B, N], sums to 1 over K.
    """
    odds = -average_around(against, frames)
    odds[0] += math.log(trust)
    return torch.softmax(odds, dim=0)
