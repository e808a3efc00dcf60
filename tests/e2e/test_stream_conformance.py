"""The media server speaks longline.v1: every rule that can be seen from outside (`longline conformance server`)."""

import asyncio

from longline.streamkit.conformance.report import PASSED
from longline.streamkit.conformance.server import ServerKit
from tests.support.media_streams import MediaStreams


async def test_the_media_server_passes_every_check() -> None:
    async with MediaStreams(listens=True) as media, asyncio.timeout(60):

        async def open_stream(url: str) -> None:
            await media.open(url)

        report = await ServerKit(subject="longline-media").run(open_stream, at_once=True)
    assert {name: result.why for name, result in report.results.items() if result.outcome != PASSED} == {}
