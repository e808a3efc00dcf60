"""Applications of Plivo's, Telnyx's and Vonage's with a whole node: their own clients, markup and webhooks around a
call that carries their dialect."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import plivo.rest.client  # type: ignore[import-untyped]
import pytest
from plivo import RestClient, plivoxml
from plivo.utils import validate_v3_signature  # type: ignore[import-untyped]
from telnyx import AsyncTelnyx
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.support.app import Backend
from tests.support.baresip import Baresip
from tests.support.conversation import pitch_of
from tests.support.node import API_KEY, Node
from tests.support.ports import free_ports
from tests.support.raw_phone import RawPhone
from tests.support.tone import to_ulaw, tone

AUTH_ID = "MA" + "X" * 18
SECRET = "what signs here and there, long enough"
VOICE = to_ulaw(tone(450, 0.02))


class Bot:
    """`async with Bot(handler)`: a WebSocket server; `messages` are its texts, decoded, and the lengths of others."""

    def __init__(
        self, answer: Callable[[ServerConnection, Any], Awaitable[None]], subprotocol: str | None = None
    ) -> None:
        self._answer = answer
        self._subprotocols = None if subprotocol is None else [Subprotocol(subprotocol)]
        self.messages: list[Any] = []
        self.headers: dict[str, str] = {}
        self.closed = asyncio.Event()

    async def __aenter__(self) -> "Bot":
        self._server = await serve(self._run, "127.0.0.1", 0, subprotocols=self._subprotocols)
        self.url = f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/bot"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _run(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.headers = {name.lower(): value for name, value in connection.request.headers.raw_items()}
        async for message in connection:
            told = json.loads(message) if isinstance(message, str) else len(message)
            self.messages.append(told)
            await self._answer(connection, told)
        self.closed.set()

    def of(self, event: str) -> list[Any]:
        return [told for told in self.messages if isinstance(told, dict) and told.get("event") == event]


async def until(condition: Callable[[], Any], timeout_s: float = 10) -> Any:
    async with asyncio.timeout(timeout_s):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


async def test_plivo_xml_joins_a_bot_and_the_client_ends_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def greet(connection: ServerConnection, told: Any) -> None:
        if told["event"] == "start":
            sound = base64.b64encode(to_ulaw(tone(900, 1.0))).decode()
            media = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": sound}
            await connection.send(json.dumps({"event": "playAudio", "media": media}))
            checkpoint = {"event": "checkpoint", "streamId": told["start"]["streamId"], "name": "greeted"}
            await connection.send(json.dumps(checkpoint))

    async with Bot(greet) as bot, Backend() as backend:
        told_at = backend.webhook_url
        response = plivoxml.ResponseElement()
        response.add(
            plivoxml.StreamElement(
                bot.url,
                bidirectional=True,
                keepCallAlive=True,
                contentType="audio/x-mulaw;rate=8000",
                extraHeaders="tenant=7",
                statusCallbackUrl=told_at,
            )
        )
        backend._flow = response.to_string()
        settings = {
            "LONGLINE_INBOUND__FLOW_URL": backend.flow_url,
            "LONGLINE_INBOUND__WEBHOOK_URL": backend.webhook_url,
            "LONGLINE_WEBHOOK_VERSION": "plivo",
            "LONGLINE_WEBHOOK_SECRET": SECRET,
        }
        async with Node(tmp_path, **settings) as node, RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            talking = asyncio.create_task(phone.speak(20, VOICE))
            await until(lambda: bot.of("playedStream"))
            for name in ("API_VOICE_BASE_URI", "API_VOICE_BASE_URI_FALLBACK_1", "API_VOICE_BASE_URI_FALLBACK_2"):
                monkeypatch.setattr(plivo.rest.client, name, f"{node.url}/v1/Account")
            client = RestClient(AUTH_ID, API_KEY)
            (call_id,) = (await asyncio.to_thread(client.live_calls.list_ids)).calls
            (stream,) = (await asyncio.to_thread(client.calls.get_all_streams, call_id)).objects
            await asyncio.to_thread(client.calls.hangup, call_id)
            await until(lambda: "Hangup" in [hook.get("Event") for hook in backend.webhooks])
            talking.cancel()
            over = await asyncio.to_thread(client.calls.get, call_id)
        heard = [packet for packet in phone.packets() if not packet.is_silent]
    (asked,) = backend.flow_requests
    assert (asked["CallUUID"], asked["CallStatus"], asked["Direction"]) == (call_id, "ringing", "inbound")
    (start,) = bot.of("start")
    assert (start["start"]["callId"], start["start"]["streamId"]) == (call_id, stream.stream_id)
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000}
    assert "tenant" in start["extra_headers"]
    assert len(bot.of("media")) > 10
    assert pitch_of(heard[10:40]) == pytest.approx(900, abs=10)
    assert [hook["Event"] for hook in backend.webhooks if "StreamID" in hook] == ["StartStream", "StopStream"]
    headers, _ = backend.deliveries[0]
    assert validate_v3_signature(
        "POST",
        told_at,
        headers["x-plivo-signature-v3-nonce"],
        SECRET,
        headers["x-plivo-signature-v3"],
        dict(backend.webhooks[0]),
    )
    assert (over.call_state, over.hangup_cause_name) == ("ANSWER", "Normal Hangup")


async def test_telnyx_answers_a_call_by_its_client_and_streams_it(tmp_path: Path) -> None:
    async def say(connection: ServerConnection, told: Any) -> None:
        if told["event"] == "start":
            sound = base64.b64encode(tone(900, 1.0).astype(">i2").tobytes()).decode()
            await connection.send(json.dumps({"event": "media", "media": {"payload": sound}}))
            await connection.send(json.dumps({"event": "mark", "mark": {"name": "said"}}))

    def told_of(kind: str) -> Any:
        return next((hook["data"]["payload"] for hook in backend.webhooks if hook["data"]["event_type"] == kind), None)

    async with Bot(say) as bot, Backend() as backend:
        settings = {
            "LONGLINE_INBOUND__FLOW_URL": backend.flow_url,
            "LONGLINE_INBOUND__WEBHOOK_URL": backend.webhook_url,
            "LONGLINE_WEBHOOK_VERSION": "telnyx",
        }
        async with Node(tmp_path, **settings) as node, RawPhone(node.sip_port) as phone:
            calling = asyncio.create_task(phone.call())
            initiated = await until(lambda: told_of("call.initiated"))
            assert (initiated["direction"], initiated["state"]) == ("incoming", "parked")
            async with AsyncTelnyx(api_key=API_KEY, base_url=f"{node.url}/v2", max_retries=0) as client:
                actions, control_id = client.calls.actions, initiated["call_control_id"]
                await actions.answer(control_id)
                assert await calling == 200
                talking = asyncio.create_task(phone.speak(20, VOICE))
                await actions.start_streaming(
                    control_id,
                    stream_url=bot.url,
                    stream_bidirectional_mode="rtp",
                    stream_bidirectional_codec="L16",
                    stream_bidirectional_sampling_rate=8000,
                    stream_auth_token="sesame",
                    client_state="c3RhdGU=",
                )
                await until(lambda: bot.of("mark"))
                assert await until(lambda: told_of("streaming.started"))
                await actions.hangup(control_id)
                hangup = await until(lambda: told_of("call.hangup"))
                talking.cancel()
        heard = [packet for packet in phone.packets() if not packet.is_silent]
    assert backend.flow_requests == []
    assert bot.headers["x-telnyx-streaming-auth-token"] == "sesame"
    (start,) = bot.of("start")
    assert start["start"]["call_control_id"] == control_id
    assert start["start"]["client_state"] == "c3RhdGU="
    assert start["start"]["media_format"] == {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
    assert pitch_of(heard[10:40]) == pytest.approx(900, abs=10)
    assert (hangup["state"], hangup["hangup_source"]) == ("hangup", "unknown")


async def test_an_ncco_joins_a_websocket_and_its_end_asks_for_another(tmp_path: Path) -> None:
    async def leave(connection: ServerConnection, told: Any) -> None:
        if len(bot.messages) == 3:
            await connection.send(tone(900, 0.02).astype("<i2").tobytes())
        if len(bot.messages) == 30:
            await connection.close()

    async def answer(asked: dict[str, Any]) -> Any:
        if "status" in asked:
            return [{"action": "wait", "timeout": 0.2}]
        endpoint = {
            "type": "websocket",
            "uri": bot.url,
            "content-type": "audio/l16;rate=16000",
            "headers": {"tenant": "7"},
            "authorization": {"type": "custom", "value": "Bearer sesame"},
        }
        return [{"action": "connect", "endpoint": [endpoint], "eventUrl": [backend.flow_url]}]

    async with Bot(leave) as bot, Backend(answer) as backend:
        settings = {
            "LONGLINE_INBOUND__FLOW_URL": backend.flow_url,
            "LONGLINE_INBOUND__WEBHOOK_URL": backend.webhook_url,
            "LONGLINE_WEBHOOK_VERSION": "vonage",
        }
        async with Node(tmp_path, **settings) as node, RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            talking = asyncio.create_task(phone.speak(20, VOICE))
            call = await node.until_call()
            await until(lambda: "completed" in [hook.get("status") for hook in backend.webhooks])
            talking.cancel()
    assert (call["state"], call["reason"]) == ("completed", "completed")
    first, second = backend.flow_requests
    assert set(first) == {"from", "to", "uuid", "conversation_uuid"}
    assert (second["status"], second["uuid"]) == ("disconnected", first["uuid"])
    connected, *audio = bot.messages
    assert (connected["event"], connected["content-type"]) == ("websocket:connected", "audio/l16;rate=16000")
    assert connected["tenant"] == "7"
    assert set(audio) == {640}
    assert bot.headers["authorization"] == "Bearer sesame"
    statuses = [hook["status"] for hook in backend.webhooks if hook["uuid"] == first["uuid"]]
    assert statuses == ["started", "ringing", "answered", "completed"]


async def test_calls_are_placed_by_both_clients_and_joined_to_their_bots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen(connection: ServerConnection, told: Any) -> None:
        """It says nothing."""

    (port,) = free_ports(1)
    phone = Baresip(tmp_path / "phone", port, tone(450, 20), rtp_ports="45600-45698")
    async with Bot(listen) as bot, Backend() as backend:
        stream = f'<Stream bidirectional="true" keepCallAlive="true">{bot.url}</Stream>'
        backend._flow = f"<Response>{stream}</Response>"
        async with Node(tmp_path / "node") as node, phone:
            await phone.start()
            for name in ("API_VOICE_BASE_URI", "API_VOICE_BASE_URI_FALLBACK_1", "API_VOICE_BASE_URI_FALLBACK_2"):
                monkeypatch.setattr(plivo.rest.client, name, f"{node.url}/v1/Account")
            client = RestClient(AUTH_ID, API_KEY)
            made = await asyncio.to_thread(
                client.calls.create,
                from_="14155550100",
                to_=phone.uri,
                answer_url=backend.flow_url,
                hangup_url=backend.webhook_url + "/hangup",
                ring_url=backend.webhook_url + "/ring",
            )
            await until(lambda: len(bot.of("media")) > 10)
            await asyncio.to_thread(client.calls.hangup, made.request_uuid)
            await until(lambda: len(backend.webhooks) == 2)
            (start,) = bot.of("start")
            assert start["start"]["mediaFormat"] == {"encoding": "audio/x-l16", "sampleRate": 8000}
            bot.messages.clear()

            async with AsyncTelnyx(api_key=API_KEY, base_url=f"{node.url}/v2", max_retries=0) as telnyx:
                dialled = await telnyx.calls.dial(
                    connection_id="7",
                    from_="+14155550100",
                    to=phone.uri,
                    webhook_url=backend.webhook_url,
                    stream_url=bot.url,
                    stream_codec="PCMA",
                    client_state="c3RhdGU=",
                )
                assert dialled.data is not None
                await until(lambda: len(bot.of("media")) > 10)
                await telnyx.calls.actions.hangup(dialled.data.call_control_id)
                await until(lambda: len(backend.webhooks) == 7)
            await phone.stop()
    assert {hook["CallUUID"] for hook in backend.webhooks[:2]} == {made.request_uuid}
    assert [hook["Event"] for hook in backend.webhooks[:2]] == ["Ring", "Hangup"]
    (asked,) = backend.flow_requests
    assert (asked["Direction"], asked["CallStatus"], asked["RequestUUID"]) == (
        "outbound",
        "in-progress",
        made.request_uuid,
    )
    (start,) = bot.of("start")
    assert start["start"]["media_format"]["encoding"] == "PCMA"
    told = [hook["data"] for hook in backend.webhooks[2:]]
    assert [event["event_type"] for event in told] == [
        "call.initiated",
        "call.answered",
        "streaming.started",
        "streaming.stopped",
        "call.hangup",
    ]
    assert {event["payload"]["client_state"] for event in told} == {"c3RhdGU="}


OPENINGS: dict[str, tuple[str | None, Callable[[Any], bool]]] = {
    "telnyx": (None, lambda told: told == {"event": "connected", "version": "1.0.0"}),
    "plivo": (None, lambda told: told["event"] == "start" and len(told["start"]["accountId"]) == 20),
    "vonage": (None, lambda told: told["event"] == "websocket:connected" and told["tenant"] == "7"),
    "exotel": (None, lambda told: told["event"] == "connected"),
    "jambonz": ("audio.drachtio.org", lambda told: told["sampleRate"] == 8000 and told["direction"] == "inbound"),
    "asterisk": ("media", lambda told: told["event"] == "MEDIA_START" and told["format"] == "ulaw"),
}


async def test_every_dialect_is_to_be_had_by_its_name(tmp_path: Path) -> None:
    """With its subprotocol, and the credentials and parameters that it was given."""

    async def leave(connection: ServerConnection, told: Any) -> None:
        if len(bot.messages) == 3:
            await connection.close()

    flows: list[dict[str, Any]] = []

    async def flow(_: dict[str, Any]) -> Any:
        return flows[-1]

    async with Backend(flow) as backend:
        async with Node(tmp_path, LONGLINE_INBOUND__FLOW_URL=backend.flow_url) as node:
            for dialect, (subprotocol, is_opening) in OPENINGS.items():
                async with Bot(leave, subprotocol) as bot, RawPhone(node.sip_port) as phone:
                    parameters = {"tenant": "7"} | ({"control_msg_format": "json"} if dialect == "asterisk" else {})
                    flows.append(
                        {
                            "action": "stream",
                            "ws_url": bot.url,
                            "dialect": dialect,
                            "parameters": parameters,
                            "auth": {"username": "node", "password": "sesame"},
                        }
                    )
                    assert await phone.call() == 200
                    talking = asyncio.create_task(phone.speak(20, VOICE))
                    await asyncio.wait_for(bot.closed.wait(), 10)
                    talking.cancel()
                assert is_opening(bot.messages[0]), (dialect, bot.messages[0])
                assert bot.headers["authorization"] == "Basic bm9kZTpzZXNhbWU="
