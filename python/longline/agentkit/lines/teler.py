"""Teler's media WebSocket: PCM at 8 kHz in base64. It tells neither keys nor what was played."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from typing import Any

from longline.agentkit.line import CallInfo
from longline.agentkit.lines.codec import Audio, Read


class TelerCodec:
    """`start` is the first message, read."""

    rate_hz = 8_000
    confirms = False

    def __init__(self, start: dict[str, Any]) -> None:
        metadata = start.get("metadata")
        self.info = CallInfo(
            str(start.get("call_id", "")),
            str(start.get("stream_id", "")),
            metadata=metadata if isinstance(metadata, dict) else {},
        )
        self._chunk_ids = itertools.count(1)

    def read(self, text: str) -> Read:
        try:
            message = json.loads(text)
            return Audio(base64.b64decode(message["data"]["audio_b64"])) if message["type"] == "audio" else None
        except (ValueError, KeyError, TypeError, binascii.Error):
            return None

    def audio(self, pcm: bytes) -> str:
        audio_b64 = base64.b64encode(pcm).decode()
        return json.dumps({"type": "audio", "audio_b64": audio_b64, "chunk_id": next(self._chunk_ids)})

    def clear(self) -> str:
        return json.dumps({"type": "clear"})

    def mark(self, name: str) -> str | None:
        return None
