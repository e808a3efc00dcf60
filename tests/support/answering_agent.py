"""A SIP user agent in a process of its own that answers every call and keeps its dialogs in a database, to be killed.

`python -m tests.support.answering_agent PORT DATABASE_URL`. It has no media: its session description names a port that
nobody listens at.
"""

import asyncio
import sys

from longline.sip.events import IncomingCall, SipEvent
from longline.sip.transport.addresses import ListenAddress
from longline.sip.user_agent import UserAgent, UserAgentSettings
from longline.store.durable import Durable

RTP_PORT = 9


def description(direction: str = "sendrecv") -> bytes:
    """What it offers and answers with."""
    lines = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0")
    media = (f"m=audio {RTP_PORT} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", f"a={direction}")
    return "".join(f"{line}\r\n" for line in (*lines, *media)).encode()


async def _main(port: int, url: str) -> None:
    durable = await Durable.open(url)

    def on_event(event: SipEvent) -> None:
        if isinstance(event, IncomingCall):
            agent.ring(event.handle)
            agent.answer(event.handle, description())

    agent = UserAgent(UserAgentSettings(listen=(ListenAddress("127.0.0.1", port),)), on_event, durable.dialogs)
    await agent.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2]))
