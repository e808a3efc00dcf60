"""ElevenLabs' API as a voice agent uses it: realtime transcription (WebSocket) and speech with timestamps (HTTP)."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from longline.agentkit.testing.written import MS_PER_LETTER, spoken
from tests.support.vendor_http import Answer, Request, VendorServer
from tests.support.vendor_socket import Ears, Message, VendorSocket

PIECE = 10
"""Characters of a piece of speech."""


class ElevenLabsEars(VendorSocket):
    error_within = json.dumps({"message_type": "transcriber_error", "error": "oh no"})

    def session(self) -> "_Listening":
        return _Listening()


class _Listening:
    def __init__(self) -> None:
        self._ears = Ears()

    def take(self, message: Message) -> Iterator[Message]:
        fields = json.loads(message)
        assert fields["message_type"] == "input_audio_chunk"
        if self._ears.hear(base64.b64decode(fields["audio_base_64"])):
            yield _told("partial_transcript", text=" ".join(self._ears.words))
        if fields["commit"]:
            if self._ears.words:
                yield _told("committed_transcript", text=self._ears.take())
            else:
                yield _told("insufficient_audio_activity", error="nothing was said")


def _told(kind: str, **fields: Any) -> str:
    return json.dumps({"message_type": kind, **fields})


class ElevenLabsVoice(VendorServer):
    """As the testing kit's voice speaks: so many milliseconds for each character."""

    def refusal(self, status: str) -> bytes:
        return json.dumps({"detail": {"status": "some_error", "message": status}}).encode()

    def answer(self, request: Request) -> Answer:
        assert "/stream/with-timestamps?" in request.path, request.path
        text, rate_hz = request.fields["text"], int(request.path.rpartition("_")[2])
        lines = [json.dumps(piece).encode() + b"\n" for piece in pieces(text, rate_hz)]
        error = json.dumps({"detail": {"status": "quota_exceeded", "message": "oh no"}}).encode() + b"\n"
        return Answer("application/json", [*lines], error, b"<html>\n[]\nnull\n{}\n")


def pieces(text: str, rate_hz: int) -> Iterator[dict[str, Any]]:
    """Of speech, and when their characters were spoken."""
    pcm = b"".join(spoken(text, rate_hz))
    length = 2 * rate_hz * MS_PER_LETTER * PIECE // 1_000
    for begin in range(0, len(text), PIECE):
        places = range(begin, min(begin + PIECE, len(text)))
        sound, pcm = (pcm[:length], pcm[length:]) if begin + PIECE < len(text) else (pcm, b"")
        alignment = {
            "characters": [text[place] for place in places],
            "character_start_times_seconds": [place * MS_PER_LETTER / 1_000 for place in places],
            "character_end_times_seconds": [(place + 1) * MS_PER_LETTER / 1_000 for place in places],
        }
        yield {
            "audio_base64": base64.b64encode(sound).decode(),
            "alignment": alignment,
            "normalized_alignment": alignment,
        }
