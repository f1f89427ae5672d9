"""Pages to listen to in a browser: what is heard is recorded at the output and compared."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from src.listening.content import Page, Recording
from src.listening.page import write_page
from src.listening.sound import choose_gain, measure
from tests.listening.voices import RATE, make_noise, make_recording, make_tone
from tests.listening.waiting import wait_for

RECORDER = (Path(__file__).parent / "recorder.js").read_text()
SECONDS = 12.0
NOISES = [0, 1, 2, 4]  # tracks in which a place can be recognised: not the tone
TOO_BUSY = "the machine is too busy to hear anything whole"
# Opens the graph and records the tracks where they reach the volume, i.e. after solo and gain.
START = """async (code) => {
  const player = listening.player;
  player._open();
  await player.context.resume();
  await player.context.audioWorklet.addModule("data:text/javascript," + encodeURIComponent(code));
  const n = player.tracks.length;
  const merger = player.context.createChannelMerger(n);
  player._channels.forEach(({meter}, t) => meter.connect(merger, 0, t));
  window.recorder = new AudioWorkletNode(player.context, "recorder",
    {channelCount: n, channelCountMode: "explicit", channelInterpretation: "discrete"});
  merger.connect(recorder);
  window.caught = [];
  recorder.port.onmessage = ({data}) => caught.push(data);
}"""
# What was recorded since the last call, [tracks, samples] as base64, and the frame of each block:
# a busy machine leaves some out.
COLLECT = """() => {
  const blocks = caught.splice(0).sort((a, b) => a.frame - b.frame);
  const n = listening.player.tracks.length;
  const all = new Float32Array(n * 128 * blocks.length);
  blocks.forEach(({samples}, b) => samples.forEach((track, t) =>
    all.set(track, t * 128 * blocks.length + 128 * b)));
  let text = "";
  new Uint8Array(all.buffer).forEach((byte) => (text += String.fromCharCode(byte)));
  return {frames: blocks.map(({frame}) => frame), samples: btoa(text), tracks: n};
}"""


class Listener:
    """A page that is heard: its tracks as they went in, and what reaches the output."""

    def __init__(self, page: Any, recording: Recording) -> None:
        self.page = page
        gain = choose_gain(measure(recording))
        self.tracks = np.stack([gain * np.asarray(track.audio) for track in recording.tracks])

    def do(self, script: str) -> Any:
        return self.page.evaluate(f"async () => {{ const player = listening.player; {script} }}")

    def forget(self) -> None:
        """Forget what was recorded so far."""
        self.do("caught.length = 0;")

    def record(self, seconds: float) -> tuple[int, NDArray[np.float32]]:
        """Wait until so much is recorded; the frame it begins at, and [tracks, samples].

        What a busy machine left out is NaN.
        """
        wanted = round(seconds * RATE / 128)
        wait_for(self.page, f"caught.length > {wanted}")
        found = self.page.evaluate(COLLECT)
        frames = np.array(found["frames"])
        samples = np.frombuffer(base64.b64decode(found["samples"]), "<f4")
        heard = np.full((found["tracks"], frames[-1] - frames[0] + 128), np.nan, np.float32)
        at = (frames - frames[0])[:, None] + np.arange(128)
        heard[:, at.ravel()] = samples.reshape(found["tracks"], -1)
        return int(frames[0]), heard

    def record_whole(self, seconds: float) -> tuple[int, NDArray[np.float32]]:
        """Record from now on, once more whenever something was left out."""
        for _ in range(20):
            self.forget()
            frame, heard = self.record(seconds)
            if np.isfinite(heard).all():
                return frame, heard
        raise AssertionError(TOO_BUSY)

    def record_start(self, seconds: float, n_samples: int) -> NDArray[np.float32]:
        """The first samples of what is played from a place on, again if any were left out.

        Beside a block that a busy machine left out, another may be of a wrong time.
        """
        for _ in range(20):
            self.do("player.pause();")
            while np.nan_to_num(self.record(0.1)[1]).any():  # it fades out
                pass
            self.do(f"await player.seek({seconds}); await player.play();")
            _, heard = self.record(1.2)
            begin = int(np.flatnonzero(np.nan_to_num(np.abs(heard[NOISES]).max(axis=0)))[0])
            if np.isfinite(heard[:, begin : begin + n_samples]).all():
                return heard[:, begin : begin + n_samples]
        raise AssertionError(TOO_BUSY)


def find_place(heard: NDArray[np.float32], track: NDArray[np.float64]) -> int:
    """Which sample of a track is heard first; the others must follow sample by sample."""
    windows = np.lib.stride_tricks.sliding_window_view(track, 8)
    place = int(np.abs(windows - heard[:8].astype(np.float64)).max(axis=1).argmin())
    np.testing.assert_allclose(track[place : place + len(heard)], heard, atol=1e-4)
    return place


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """A page of noises, in which every place differs from every other, and of a tone."""
    path = tmp_path_factory.mktemp("pages") / "noise.html"
    stems = {f"noise {k}": make_noise(SECONDS, k) for k in range(2)}
    recording = make_recording(stems | {"tone": make_tone(SECONDS, 200.0)})
    write_page(path, Page("Noise", [recording]))
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate(START, RECORDER)
    yield Listener(page, recording)
    context.close()


@pytest.fixture
def listener(opened: Listener) -> Listener:
    """The page with a player as it was opened, but everything is heard."""
    opened.do(
        """
        player.pause();
        player.clearSolo();
        player.tracks.forEach((track, t) => { player.setMuted(t, false); player.setGain(t, 0); });
        await player.clearLoop();
        await player.setTempo(1);
        await new Promise((resolve) => setTimeout(resolve, 100));
        await player.context.resume();
        """
    )
    opened.forget()
    return opened


@pytest.mark.parametrize("seconds", [0.0, 3.3337, 9.6])
def test_seeking_lands_on_the_sample_in_all_tracks(listener: Listener, seconds: float) -> None:
    heard = listener.record_start(seconds, 6000)  # from 9.6 s on over the seam of two pieces
    places = [find_place(heard[t, 100:], listener.tracks[t]) for t in NOISES]  # faded in
    assert len({*places}) == 1
    assert abs(places[0] - 100 - round(seconds * RATE)) <= 1


def test_seeking_while_it_plays_keeps_tracks_together(listener: Listener) -> None:
    listener.do("await player.seek(1); await player.play(); await player.seek(5.25);")
    listener.page.wait_for_timeout(300)
    frame, heard = listener.record_whole(0.3)
    expected = listener.do(f"return player._sampleAt({frame});")
    places = [find_place(heard[t, :2000], listener.tracks[t]) for t in NOISES]
    assert places == [expected] * len(NOISES)
    assert 5.25 * RATE < expected < 8 * RATE


def test_solo_silences_the_others(listener: Listener) -> None:
    listener.do("await player.seek(2); await player.play();")
    before = np.nanmax(np.abs(listener.record(0.8)[1]), axis=1)
    listener.do("player.setSolo(1, true);")
    listener.page.wait_for_timeout(150)
    listener.forget()
    after = np.nanmax(np.abs(listener.record(0.3)[1]), axis=1)
    assert after[1] > 0.5 * before[1]
    assert (np.delete(after, 1) < 0.01 * np.delete(before, 1)).all()
    listener.do("player.setSolo(1, false); player.setMuted(2, true); player.setGain(0, -20);")
    listener.page.wait_for_timeout(150)
    listener.forget()
    muted = np.nanmax(np.abs(listener.record(0.3)[1]), axis=1)
    assert muted[2] < 0.01 * before[2] and muted[1] > 0.5 * before[1]
    assert 0.07 < muted[0] / before[0] < 0.14


def test_a_loop_repeats_to_the_sample(listener: Listener) -> None:
    listener.do("await player.setLoop(2.0, 2.25); await player.seek(2.0); await player.play();")
    listener.page.wait_for_timeout(200)
    _, heard = listener.record_whole(1.0)
    period = round(0.25 * RATE)
    np.testing.assert_array_equal(heard[:, :4000], heard[:, period : 4000 + period])
    assert not np.array_equal(heard[1, :2000], heard[1, 1000:3000])
    for t in NOISES:
        found = heard[t, :period]
        wanted = listener.tracks[t][2 * RATE : 2 * RATE + period]
        # The same circle, wherever the recording begins; its seam is faded.
        spectrum = np.fft.rfft(found) * np.conj(np.fft.rfft(wanted))
        shift = int(np.fft.irfft(spectrum, period).argmax())
        np.testing.assert_allclose(np.roll(found, -shift)[100:], wanted[100:], atol=1e-4)
    listener.do("await player.clearLoop();")
    listener.page.wait_for_timeout(1000)
    assert listener.do("return player.position;") > 2.5


def test_slow_tracks_stay_together_and_keep_their_pitch(listener: Listener) -> None:
    listener.do("await player.setTempo(0.5); await player.seek(1); await player.play();")
    listener.page.wait_for_timeout(300)
    frame, heard = listener.record_whole(1.5)
    # What sums to the recording goes on to do so: all tracks are stretched alike.
    np.testing.assert_allclose(heard[1:].sum(axis=0), heard[0], atol=1e-3)
    n = heard.shape[1]
    begin, end = listener.do(f"return [player._sampleAt({frame}), player._sampleAt({frame + n})];")
    assert end - begin == pytest.approx(n / 2, abs=2)
    # Soloed, the tone is what WSOLA follows.
    listener.do("player.setSolo(3, true); await player.seek(2);")
    listener.page.wait_for_timeout(300)
    tone = listener.record_whole(1.5)[1][3]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    assert spectrum.argmax() * RATE / len(tone) == pytest.approx(200, abs=1)
    powers = np.square(tone[: len(tone) // 400 * 400]).reshape(-1, 400).mean(axis=1)
    assert 10 * np.log10(powers.max() / powers.min()) < 1


def test_pieces_are_forgotten(listener: Listener) -> None:
    held = listener.do(
        """
        const {sound} = await listening.source.fetch(0);
        const load = async () => sound.map((text) => decodeBase64(text).buffer);
        const piece = 80000;
        const pieces = new Pieces({rate: 8000, length: 60 * piece, piece, load});
        let most = 0;
        for (let k = 0; k < 20; k++) {
          await pieces.need(k * piece, k * piece + 10);
          most = Math.max(most, pieces._ready.size);
        }
        const forgotten = pieces._channel(0, 0, 0) === undefined;
        return [most, pieces.read(0, 0, 19 * piece, 5).length, forgotten];
        """
    )
    assert held == [6, 5, True]
