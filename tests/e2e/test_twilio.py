"""Twilio's application and SDK, unmodified but for the base URL, around a call of a phone that we did not write."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]
from twilio.twiml.voice_response import Connect, Dial, Gather, Start, VoiceResponse  # type: ignore[import-untyped]

from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.base.twilio import Sid, sid
from tests.support.baresip import Baresip
from tests.support.node import API_KEY, Node
from tests.support.ports import free_ports
from tests.support.tone import Samples, pitch_hz, power_at, read_wav, tone, write_wav
from tests.support.twilio_app import SAID_HZ, TwilioApp

TOKEN = API_KEY  # one token, as at Twilio: it opens the API, and signs
ACCOUNT = sid(Sid.ACCOUNT, DEFAULT_ACCOUNT_ID)
CALLER_HZ, CALLEE_HZ, PROMPT_HZ = 440, 900, 1000


def has(heard: Samples, hz: float) -> bool:
    """A tenth of a second of it was nothing but this tone."""
    return any(power_at(heard[at : at + 800], hz) > 0.8 for at in range(0, len(heard) - 800, 400))


def a_client(node: Node) -> Any:
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = node.url
    return client


async def test_an_agent_written_for_twilio_holds_a_call(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompt.wav", tone(PROMPT_HZ, 0.4), 8000)
    prompt = (tmp_path / "prompt.wav").read_bytes()

    def answer(path: str, form: dict[str, str]) -> Any:
        response = VoiceResponse()
        if path == "prompt.wav":
            return prompt
        if path == "voice":
            gather = Gather(num_digits=2, action="/keys", method="GET", timeout=20)
            gather.play("/prompt.wav")
            response.append(gather)
        elif path == "keys":
            connect = Connect(action="/after")
            stream = connect.stream(
                url=f"{app.ws_url}/bot", name="bot", status_callback="/stream", status_callback_method="GET"
            )
            stream.parameter(name="digits", value=form["Digits"])
            response.append(connect)
        elif path == "after":
            start = Start()
            start.stream(url=f"{app.ws_url}/copy", name="copy", track="both_tracks")
            response.append(start)
            response.pause(length=60)
        return response if path in ("voice", "keys", "after") else None

    app = TwilioApp(TOKEN, answer)
    (port,) = free_ports(1)
    async with (
        app,
        Node(tmp_path / "node", LONGLINE_WEBHOOK_SECRET=TOKEN, LONGLINE_RECORDING="false") as node,
        Baresip(tmp_path / "phone", port, tone(CALLER_HZ, 60), keypad=True) as phone,
    ):
        await phone.start()
        client = a_client(node)
        call = await asyncio.to_thread(
            client.calls.create,
            to=phone.uri,
            from_="+15550100",
            url=f"{app.url}/voice",
            status_callback=f"{app.url}/status",
            status_callback_event=["initiated", "ringing", "answered", "completed"],
        )
        assert (call.status, call.direction, call.account_sid) == ("queued", "outbound-api", ACCOUNT)
        await app.until(lambda: app.asked.get("voice"))
        await app.until(lambda: app.asked.get("prompt.wav"))
        await asyncio.sleep(0.5)
        await phone.press("4")
        await phone.press("2")
        keys = (await app.until(lambda: app.asked.get("keys")))[0]
        assert (keys["Digits"], keys["CallSid"], keys["CallStatus"]) == ("42", call.sid, "in-progress")
        (start,) = await app.until(lambda: app.events("start"))
        assert app.messages[0] == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        assert start["start"]["callSid"] == call.sid and start["start"]["accountSid"] == ACCOUNT
        assert start["start"]["customParameters"] == {"digits": "42"}
        await app.until(lambda: app.events("mark"))
        (mark,) = app.events("mark")
        assert mark["mark"] == {"name": "said"}
        await app.until(lambda: len(app.heard) > 40)
        await phone.press("7")
        await app.until(app.left.is_set)
        assert app.events("dtmf")[0]["dtmf"]["digit"] == "7"
        after = (await app.until(lambda: app.asked.get("after")))[0]
        assert after["StreamSid"] == start["streamSid"]
        copied = await app.until(lambda: [m for m in app.events("media") if m.get("path") == "/copy"][60:])
        assert {m["media"]["track"] for m in copied} == {"inbound", "outbound"}
        assert (await asyncio.to_thread(client.calls(call.sid).fetch)).status == "in-progress"
        stopped = await asyncio.to_thread(client.calls(call.sid).streams("copy").update, status="stopped")
        assert stopped.status == "stopped"
        bye = "<Response><Hangup/></Response>"
        await asyncio.to_thread(client.calls(call.sid).update, twiml=bye)
        await app.until(lambda: len(app.asked.get("status", ())) == 4)
        told = {(one["StreamName"], one["StreamEvent"]) for one in app.asked["stream"]}
        assert told == {("bot", "stream-started"), ("bot", "stream-stopped")}
        assert (await asyncio.to_thread(client.calls(call.sid).fetch)).status == "completed"
        try:
            await asyncio.to_thread(client.calls(call.sid).update, twiml=bye)
            raise AssertionError("a call that is over went on")
        except TwilioRestException as refused:
            assert refused.code == 21220
        heard = phone.heard()
    statuses = [one["CallStatus"] for one in app.asked["status"]]
    assert statuses == ["initiated", "ringing", "in-progress", "completed"]
    assert app.unsigned == 0
    assert abs(pitch_hz(np.concatenate(app.heard[20:40])) - CALLER_HZ) < 15
    assert has(heard, PROMPT_HZ) and has(heard, SAID_HZ)


async def test_a_call_that_comes_in_is_connected_to_somebody_else_and_leaves_a_message(tmp_path: Path) -> None:
    caller_port, callee_port = free_ports(2)
    callee = Baresip(tmp_path / "callee", callee_port, tone(CALLEE_HZ, 60))

    def answer(path: str, form: dict[str, str]) -> Any:
        response = VoiceResponse()
        if path == "in":
            dial = Dial(action="/dialled", caller_id="+15550111", timeout=10)
            dial.sip("sip:nobody@127.0.0.1:9")
            dial.sip(callee.uri)
            response.append(dial)
        elif path == "dialled":
            response.record(action="/left", recording_status_callback="/whole", play_beep=False, timeout=0)
        return response if path in ("in", "dialled") else None

    app = TwilioApp(TOKEN, answer)
    settings = {
        "LONGLINE_WEBHOOK_SECRET": TOKEN,
        "LONGLINE_WEBHOOK_VERSION": "twilio",
        "LONGLINE_RECORDING": "false",
        "LONGLINE_INBOUND__FLOW_URL": f"{app.url}/in",
        "LONGLINE_INBOUND__WEBHOOK_URL": f"{app.url}/status",
    }
    async with (
        app,
        Node(tmp_path / "node", **settings) as node,
        callee,
        Baresip(tmp_path / "caller", caller_port, tone(CALLER_HZ, 60)) as caller,
    ):
        await callee.start()
        await caller.start(dial=node.uri)
        await callee.until("Call established", 20)
        await asyncio.sleep(1.2)
        await callee.stop()
        dialled = (await app.until(lambda: app.asked.get("dialled")))[0]
        await asyncio.sleep(1)
        await caller.stop()
        left = (await app.until(lambda: app.asked.get("left")))[0]
        (whole,) = await app.until(lambda: app.asked.get("whole"))
        await app.until(lambda: app.asked.get("status"))
        audio = await node.api.get(left["RecordingUrl"], auth=(ACCOUNT, TOKEN), headers={"x-api-key": ""})
        heard = caller.heard()
    asked = app.asked["in"][0]
    assert (asked["Direction"], asked["CallStatus"], asked["AccountSid"]) == ("inbound", "ringing", ACCOUNT)
    assert (dialled["DialCallStatus"], dialled["DialBridged"]) == ("completed", "true")
    assert dialled["DialCallSid"].startswith("CA") and int(dialled["DialCallDuration"]) >= 1
    assert [one["CallStatus"] for one in app.asked["status"]] == ["completed"]
    assert (left["Digits"], left["CallStatus"], left["CallSid"]) == ("hangup", "completed", asked["CallSid"])
    assert (whole["RecordingSid"], whole["RecordingStatus"]) == (left["RecordingSid"], "completed")
    (tmp_path / "left.wav").write_bytes(audio.content)
    assert has(read_wav(tmp_path / "left.wav"), CALLER_HZ)
    assert app.unsigned == 0
    assert has(heard, CALLEE_HZ)
