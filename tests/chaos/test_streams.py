"""Streams under fire, a short form; `make chaos-streams` is the long one."""

from pathlib import Path

from longline.streamkit.audio import Audio
from longline.streamkit.line.line import Line
from tests.chaos.line_exchange import LineExchange
from tests.chaos.media_exchange import MediaExchange
from tests.chaos.streams import Fire


async def test_the_media_server_loses_nothing(tmp_path: Path) -> None:
    report = await Fire(MediaExchange, tmp_path, seed=1, calls=8, rtt_s=0.01).run(breaks=15, rate=5, outage_s=1)
    assert report.faults == []
    assert report.calls_alive_after_outage == 8
    assert sum(report.drops.values()) == 15
    assert report.replayed > 0
    assert report.frames_to_callers > 8 * 50


async def test_lines_lose_nothing(tmp_path: Path) -> None:
    """The harness itself: a second implementation of the server's side passes it."""
    report = await Fire(LineExchange, tmp_path, seed=1, calls=8).run(breaks=10, rate=8, outage_s=0.5)
    assert report.faults == []
    assert report.replayed > 0
    assert report.calls_alive_after_outage == 8


class Forgetful(Line):
    """Replays one frame too few."""

    def _write(self, audio: Audio) -> None:
        if audio.is_replay and audio.sequence % 7 == 0:
            return
        super()._write(audio)


async def test_a_line_that_loses_a_frame_is_found(tmp_path: Path) -> None:
    fire = Fire(lambda ca_file: LineExchange(ca_file, Forgetful), tmp_path, seed=1, calls=8)
    report = await fire.run(breaks=5, rate=8, outage_s=0)
    assert any("holes" in fault or "lost" in fault for fault in report.faults)
