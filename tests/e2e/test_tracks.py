"""Two people talk on real phones; several applications are joined to their call, each to tracks of its own."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from tests.support.app import Backend
from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.tone import Samples, from_ulaw, power_at, tone

CALLER_HZ, CALLEE_HZ = 440, 700


class Twilio:
    """An application that Twilio would dial: what it is told of each track."""

    def __init__(self) -> None:
        self.start: dict[str, Any] = {}
        self.heard: dict[str, list[bytes]] = {}

    async def talk(self, socket: ServerConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if message["event"] == "start":
                self.start = message["start"]
                await socket.send(
                    json.dumps({"event": "media", "media": {"payload": base64.b64encode(b"\0" * 160).decode()}})
                )
            elif message["event"] == "media":
                media = message["media"]
                self.heard.setdefault(media["track"], []).append(base64.b64decode(media["payload"]))

    def last_second(self, track: str) -> Samples:
        return from_ulaw(b"".join(self.heard[track])[-8000:])


@asynccontextmanager
async def call_of_two(tmp_path: Path) -> AsyncIterator[tuple[Node, str, Baresip, Baresip]]:
    """A caller who was connected to a callee: the node, the call, and both."""
    ports = free_ports(2)
    caller = Baresip(tmp_path / "caller", ports[0], tone(CALLER_HZ, 30), rtp_ports="44000-44098")
    callee = Baresip(tmp_path / "callee", ports[1], tone(CALLEE_HZ, 30), rtp_ports="44100-44198")
    async with Backend({"action": "dial", "to": callee.uri}) as backend, caller, callee:
        async with Node(tmp_path / "node", LONGLINE_INBOUND__FLOW_URL=backend.flow_url) as node:
            await callee.start()
            await caller.start(dial=node.uri)
            call = await node.until_call(lambda call: len(call["legs"]) == 2 and call["legs"][1]["state"] == "answered")
            yield node, call["id"], caller, callee


async def join(node: Node, call_id: str, url: str, **fields: Any) -> None:
    answer = await node.api.post(f"/api/v1/voice/calls/{call_id}/streams", json={"ws_url": url, **fields})
    assert answer.status_code == 201, answer.text


def parts(samples: Samples) -> dict[int, bool]:
    """Whose tones are in it."""
    return {hz: power_at(samples, hz) > 0.05 for hz in (CALLER_HZ, CALLEE_HZ)}


def only(*tones: int) -> dict[int, bool]:
    return {hz: hz in tones for hz in (CALLER_HZ, CALLEE_HZ)}


async def test_a_stream_that_listens_hears_what_a_party_says_and_what_it_is_sent_apart(tmp_path: Path) -> None:
    app = Twilio()
    async with call_of_two(tmp_path) as (node, call_id, *_), serve(app.talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        fields = {"dialect": "twilio", "tracks": ["inbound", "outbound"], "direction": "listen"}
        await join(node, call_id, f"ws://127.0.0.1:{port}", **fields)
        await asyncio.sleep(2.5)
        streams = (await node.api.get(f"/api/v1/voice/calls/{call_id}/streams")).json()["data"]
    assert app.start["tracks"] == ["inbound", "outbound"]
    assert parts(app.last_second("inbound")) == only(CALLER_HZ)
    assert parts(app.last_second("outbound")) == only(CALLEE_HZ)
    assert len(streams) == 1
