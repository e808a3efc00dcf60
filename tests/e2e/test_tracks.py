"""Two people talk on real phones; several applications are joined to their call, each to tracks of its own."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve

from longline.streamkit.app_messages import Hello
from longline.streamkit.audio import Audio
from longline.streamkit.format import FormatWish
from longline.streamkit.server import StreamServer
from longline.streamkit.server import serve as serve_streams
from longline.streamkit.stream import Stream
from tests.support.app import Backend
from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.tone import Samples, from_ulaw, power_at, tone

CALLER_HZ, CALLEE_HZ, AGENT_HZ, WHISPER_HZ = 440, 700, 1150, 1700
CALLER, CALLEE = 1, 2
FORMAT = FormatWish(encoding="pcm_s16le", rate_hz=8000, frame_ms=20)


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


class Listener:
    """An application of the native protocol: what it hears of each track, and all else that it is told."""

    def __init__(self) -> None:
        self.heard: dict[int, list[bytes]] = {}
        self.told: list[Any] = []
        self.stream: Stream | None = None

    async def talk(self, stream: Stream) -> None:
        self.stream = stream
        async for event in stream:
            if isinstance(event, Audio):
                self.heard.setdefault(event.track, []).append(event.payload)
            else:
                self.told.append(event)

    def last_second(self, track: int) -> Samples:
        return np.frombuffer(b"".join(self.heard[track])[-16000:], dtype="<i2").astype(np.int16)


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
    return {hz: power_at(samples, hz) > 0.05 for hz in (CALLER_HZ, CALLEE_HZ, AGENT_HZ, WHISPER_HZ)}


def only(*tones: int) -> dict[int, bool]:
    return {hz: hz in tones for hz in (CALLER_HZ, CALLEE_HZ, AGENT_HZ, WHISPER_HZ)}


async def test_an_agent_a_transcriber_a_supervisor_and_a_fork_each_have_tracks_of_their_own(tmp_path: Path) -> None:
    agent, transcriber, supervisor, fork = Listener(), Listener(), Listener(), Twilio()
    servers = [serve_streams(app.talk, "127.0.0.1", 0, hello=Hello(audio=FORMAT)) for app in (agent, supervisor)]
    both = Hello(audio=FORMAT, tracks=[CALLER, CALLEE])
    servers.append(serve_streams(transcriber.talk, "127.0.0.1", 0, hello=both))
    async with call_of_two(tmp_path) as (node, call_id, caller, callee):
        async with (
            servers[0] as at_agent,
            servers[1] as at_supervisor,
            servers[2] as at_transcriber,
            serve(fork.talk, "127.0.0.1", 0) as at_fork,
        ):
            fork_url = f"ws://127.0.0.1:{next(iter(at_fork.sockets)).getsockname()[1]}"
            fields = {"dialect": "twilio", "tracks": ["inbound", "outbound"], "direction": "listen"}
            await join(node, call_id, fork_url, **fields)
            await join_native(node, call_id, at_agent)
            await join_native(node, call_id, at_supervisor)
            await join_native(node, call_id, at_transcriber, direction="listen")
            await asyncio.sleep(1.0)
            for app, hz, track in ((agent, AGENT_HZ, 0), (supervisor, WHISPER_HZ, CALLER)):
                assert app.stream is not None
                for frame in np.split(tone(hz, 3.0, 6_000), 150):
                    app.stream.say(frame.astype("<i2").tobytes(), track)
            assert supervisor.stream is not None
            supervisor.stream.subscribe(128 + CALLER)
            await asyncio.sleep(2.0)
            assert transcriber.stream is not None and transcriber.stream.start.tracks is not None
            roles = [(party.track, party.role) for party in transcriber.stream.start.tracks]
            heard = {
                "agent": agent.last_second(0),
                "caller": transcriber.last_second(CALLER),
                "callee": transcriber.last_second(CALLEE),
                "sent": supervisor.last_second(128 + CALLER),
                "inbound": fork.last_second("inbound"),
                "outbound": fork.last_second("outbound"),
            }
            await asyncio.sleep(1.5)
            await caller.stop()
            await callee.stop()
    assert roles == [(CALLER, "caller"), (CALLEE, "dial_target")]
    assert parts(heard["agent"]) == only(CALLER_HZ, CALLEE_HZ), "and not what it says itself"
    assert parts(heard["caller"]) == only(CALLER_HZ)
    assert parts(heard["callee"]) == only(CALLEE_HZ)
    assert parts(heard["sent"]) == only(CALLEE_HZ, AGENT_HZ, WHISPER_HZ)
    assert fork.start["tracks"] == ["inbound", "outbound"]
    assert parts(heard["inbound"]) == only(CALLER_HZ), "and not what it says itself: it only listens"
    assert parts(heard["outbound"]) == only(CALLEE_HZ, AGENT_HZ, WHISPER_HZ)
    assert parts(most(caller.heard(), WHISPER_HZ)) == only(CALLEE_HZ, AGENT_HZ, WHISPER_HZ)
    assert parts(most(callee.heard(), AGENT_HZ)) == only(CALLER_HZ, AGENT_HZ), "nobody else hears a whisper"


def most(samples: Samples, hz: float) -> Samples:
    """The second of it that has most of a tone."""
    seconds = [samples[at : at + 8000] for at in range(0, len(samples) - 8000, 4000)]
    return max(seconds, key=lambda second: power_at(second, hz))


async def join_native(node: Node, call_id: str, server: StreamServer, **fields: Any) -> None:
    await join(node, call_id, f"ws://127.0.0.1:{server.port}", dialect="longline", sample_rate="8k", **fields)
