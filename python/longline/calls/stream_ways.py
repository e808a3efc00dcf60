"""Where a stream's application may be: its URLs, each with the addresses that the guard has let through.

While a stream has no connection its hosts are looked at again every `LOOK_AGAIN_S`, since an application that has moved
is often why: the media server is told of what has changed, and dials nothing that the guard has not seen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from longline.base.errors import MediaUnavailable
from longline.base.log import get_logger
from longline.calls.context import CallContext
from longline.calls.ports import Egress
from longline.calls.stream import Stream, StreamRequest
from longline.guard.refused import Refused
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.commands import StreamUrl

LOOK_AGAIN_S: Final = 5.0

log = get_logger(__name__)

Ways = tuple[StreamUrl, ...] | Refused
"""Where a stream is dialled, in this order; or why the first of its URLs is not, when none is."""


async def ways_of(egress: Egress, request: StreamRequest) -> Ways:
    """Never raises for what a URL, or a name server, may do. A URL that is refused while another is not is left out."""
    found = await asyncio.gather(*(_way_of(egress, url) for url in (request.ws_url, *request.urls)))
    ways = tuple(way for way in found if isinstance(way, StreamUrl))
    first = found[0]
    return first if not ways and isinstance(first, Refused) else ways


async def _way_of(egress: Egress, url: str) -> StreamUrl | Refused:
    try:
        return StreamUrl(url, tuple(await egress.check_ws(url)))
    except Refused as refused:
        return refused


class StreamWatch:
    """Every method is called by the call's own task."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._watches: dict[str, asyncio.Task[None]] = {}

    def begin(self, stream: Stream, known: Sequence[StreamUrl]) -> None:
        """The stream has no connection."""
        self.end(stream)
        watch = self._watch(str(stream.id), stream.request, tuple(known))
        self._watches[str(stream.id)] = asyncio.create_task(watch, name=f"stream watch {stream.id}")

    def end(self, stream: Stream) -> None:
        """It has one again, or is over."""
        watch = self._watches.pop(str(stream.id), None)
        if watch is not None:
            watch.cancel()

    async def _watch(self, stream_id: str, request: StreamRequest, known: tuple[StreamUrl, ...]) -> None:
        context = self._context
        with contextlib.suppress(MediaCommandRefused, MediaUnavailable):  # it is over, and that is told
            while True:
                ways = await ways_of(context.egress, request)
                urls = () if isinstance(ways, Refused) else ways
                if urls != known:
                    log.info("a stream is dialled elsewhere", stream_id=stream_id, urls=len(urls))
                    await context.session.set_stream_urls(stream_id, urls)
                    known = urls
                await context.clock.sleep(LOOK_AGAIN_S)
