"""Twilio Media Streams: µ-law at 8 kHz in base64, keys, and marks that are answered when all before them was played."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from longline.agentkit import mulaw
from longline.agentkit.line import CallInfo
from longline.agentkit.lines.codec import Audio, Marked, Pressed, Read, Stopped


class TwilioCodec:
    """`start` is the message of that event, read."""

    rate_hz = 8_000
    confirms = True

    def __init__(self, start: dict[str, Any]) -> None:
        told = start.get("start")
        told = told if isinstance(told, dict) else {}
        self._stream_sid = str(start.get("streamSid") or told.get("streamSid") or "")
        parameters = told.get("customParameters")
        self.info = CallInfo(
            str(told.get("callSid", "")),
            self._stream_sid,
            metadata=parameters if isinstance(parameters, dict) else {},
        )

    def read(self, text: str) -> Read:
        try:
            message = json.loads(text)
            match message["event"]:
                case "media":
                    if message["media"].get("track", "inbound") != "inbound":
                        return None
                    return Audio(mulaw.to_linear(base64.b64decode(message["media"]["payload"])))
                case "dtmf":
                    return Pressed(str(message["dtmf"]["digit"]))
                case "mark":
                    return Marked(str(message["mark"]["name"]))
                case "stop":
                    return Stopped()
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            pass
        return None

    def audio(self, pcm: bytes) -> str:
        payload = base64.b64encode(mulaw.from_linear(pcm)).decode()
        return json.dumps({"event": "media", "streamSid": self._stream_sid, "media": {"payload": payload}})

    def clear(self) -> str:
        return json.dumps({"event": "clear", "streamSid": self._stream_sid})

    def mark(self, name: str) -> str | None:
        return json.dumps({"event": "mark", "streamSid": self._stream_sid, "mark": {"name": name}})
