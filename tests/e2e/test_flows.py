"""Flows on real calls: play, chained flows, streams opened on a live call, and a trunk that wants credentials."""

import asyncio
import base64
import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.app import App, AppCall, Backend, listen
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.raw_phone import RawPhone, RtpPacket
from tests.support.sipp import Sipp
from tests.support.tone import Samples, pitch_hz, tone, trim_silence, write_wav


@contextlib.contextmanager
def media_host(folder: Path) -> Iterator[str]:
    """A web server for the files in a folder; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def ulaw_to_linear(packets: list[RtpPacket]) -> Samples:
    """What the packets say (G.711 µ-law, by its definition)."""
    codes = ~np.frombuffer(b"".join(packet.payload for packet in packets), dtype=np.uint8)
    magnitude = (((codes & 0x0F).astype(int) << 3) + 0x84 << ((codes & 0x70) >> 4).astype(int)) - 0x84
    return np.asarray(np.where(codes & 0x80, -magnitude, magnitude), dtype=np.int16)


async def test_a_file_is_played_then_the_next_flow_is_asked_and_hangs_up(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompt.wav", tone(800, 1.5))
    (tmp_path / "media").mkdir()
    write_wav(tmp_path / "media" / "second.wav", tone(1300, 1.0))
    steps: list[dict[str, Any]] = []

    async def flow(_: dict[str, Any]) -> Any:
        return steps.pop(0)

    with media_host(tmp_path) as host:
        async with Backend(flow) as backend:
            steps += [
                {"action": "play", "media_url": f"{host}/prompt.wav", "flow_url": backend.flow_url},
                {"action": "Play", "file_url": "second.wav", "flow_url": backend.flow_url},
                {"action": "hangup"},
            ]
            settings = {
                "LONGLINE_INBOUND__FLOW_URL": backend.flow_url,
                "LONGLINE_MEDIA_DIR": str(tmp_path / "media"),
            }
            async with Node(tmp_path / "node", **settings) as node, RawPhone(node.sip_port) as phone:
                assert await phone.call() == 200
                await phone.speak(3.5)
                call = await node.until_call()
                heard = trim_silence(ulaw_to_linear(phone.packets()))
    assert (call["state"], call["reason"]) == ("completed", "completed")
    assert len(backend.flow_requests) == 3
    assert pitch_hz(heard[:8000]) == pytest.approx(800, abs=2)
    assert pitch_hz(heard[-7000:]) == pytest.approx(1300, abs=2)
    assert 2.4 <= len(heard) / 8000 <= 3.0


async def test_a_file_that_is_no_audio_ends_the_call_and_the_events_say_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "prompt.wav").write_text("no audio at all")
    with media_host(tmp_path) as host:
        async with Backend({"action": "play", "media_url": f"{host}/prompt.wav"}) as backend:
            node_of = Node(tmp_path / "node", LONGLINE_INBOUND__FLOW_URL=backend.flow_url)
            async with node_of as node, RawPhone(node.sip_port) as phone:
                await phone.call()
                call = await node.until_call()
                events = await node.events(call["id"])
    (failure,) = [event for event in events if event["type"] == "flow.failed"]
    assert "WAV" in str(failure["details"]) or "RIFF" in str(failure["details"])


async def test_a_stream_is_opened_listed_and_stopped_on_a_live_call(tmp_path: Path) -> None:
    """A second application hears the caller, at 16 kHz; stopping it leaves the call as it was."""
    heard: list[Samples] = []

    async def transcribe(call: AppCall) -> None:
        heard.append(await call.hear(1.0))
        await listen(call)

    loud = b"\x10" * 160
    async with App(listen) as agent, App(transcribe) as transcriber:
        async with Node(tmp_path, "--stream", agent.url) as node, RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            talking = asyncio.create_task(phone.speak(30, loud))
            call = await node.until_call(lambda call: call["state"] == "answered")
            path = f"/api/v1/voice/calls/{call['id']}/streams"
            body = {"ws_url": transcriber.url, "chunk_size": 40, "sample_rate": "16k"}
            opened = await node.api.post(path, json=body)
            assert opened.status_code == 201, opened.text
            stream_id = opened.json()["id"]
            async with asyncio.timeout(10):
                while not heard:
                    await asyncio.sleep(0.05)
            listed = (await node.api.get(path)).json()["data"]
            assert {stream["state"] for stream in listed} == {"connected"}
            assert stream_id in {stream["id"] for stream in listed} and len(listed) == 2
            stopped = await node.api.delete(f"{path}/{stream_id}")
            assert stopped.status_code == 200, stopped.text
            await transcriber.calls[0].socket.wait_closed()
            assert transcriber.calls[0].socket.close_code == 1000
            assert (await node.call(call["id"]))["state"] == "answered"
            wrong = await node.api.post(path, json=body | {"chunk_size": 30})
            assert wrong.status_code == 422
            talking.cancel()
        assert transcriber.calls[0].start["data"]["sample_rate"] == 8000
        assert abs(heard[0].astype(int)).mean() > 10_000


async def test_a_trunk_that_wants_credentials_gets_them(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    trunk = {
        "LONGLINE_TRUNKS__CARRIER__URI": f"sip:127.0.0.1:{port}",
        "LONGLINE_TRUNKS__CARRIER__USERNAME": "trunk-user",
        "LONGLINE_TRUNKS__CARRIER__PASSWORD": "trunk-secret",
        "LONGLINE_TRUNKS__CARRIER__HEALTH_INTERVAL_S": "0",  # SIPp takes an OPTIONS for the call it waits for
    }
    async with Backend({"action": "hangup"}) as backend, Node(tmp_path / "node", **trunk) as node:
        async with Sipp(tmp_path, "callee_wants_digest", "-m", "1", port=port) as carrier:
            body = {
                "from_number": "+15550100", "to_number": "+15550101",
                "flow_url": backend.flow_url, "status_callback_url": backend.webhook_url,
            }  # fmt: skip
            assert (await node.api.post("/api/v1/calls/initiate", json=body)).status_code == 202
            call = await node.until_call()
            (await carrier.finish()).check()
    assert (call["state"], call["reason"]) == ("completed", "completed")


async def test_a_recorded_call_leaves_an_encrypted_stereo_file_behind_a_signed_link(tmp_path: Path) -> None:
    async def speak(call: AppCall) -> None:
        await call.say(tone(900, 1.0))
        await call.hear(1.5)

    async with Backend() as backend, App(speak) as app:
        key = base64.b64encode(bytes(range(32))).decode()
        settings = {"LONGLINE_INBOUND__WEBHOOK_URL": backend.webhook_url, "LONGLINE_RECORDING_KEY": key}
        async with Node(tmp_path / "node", "--stream", app.url, **settings) as node:
            async with RawPhone(node.sip_port) as phone:
                assert await phone.call() == 200
                await phone.speak(2.5, b"\x10" * 160)
            hook = await backend.until_told("recording.completed")
            (recording_id,) = (await node.call(hook["data"]["call_id"]))["legs"][0]["recordings"]
            link = await node.api.get("/api/v1/recordings", params={"recording_id": recording_id})
            assert link.status_code == 307
            audio = await node.api.get(link.headers["location"], headers={"x-api-key": ""})
            assert audio.status_code == 200
            (file,) = (tmp_path / "node").rglob("rec_*.wav")
            assert file.read_bytes()[:8] == b"LLSEALED"
    assert int.from_bytes(audio.content[40:44], "little") == len(audio.content) - 44
    samples = np.frombuffer(audio.content[44:], dtype="<i2").reshape(-1, 2)
    heard, spoken = samples[:, 0].astype(np.int16), samples[:, 1].astype(np.int16)
    assert abs(heard.astype(int)).max() > 10_000
    assert pitch_hz(trim_silence(spoken)) == pytest.approx(900, abs=2)
