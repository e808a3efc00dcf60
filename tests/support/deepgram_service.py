"""Deepgram's API as a voice agent uses it: live transcription (WebSocket) and speech (HTTP)."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from longline.agentkit.testing.written import spoken
from tests.support.vendor_http import Answer, Part, Request, VendorServer
from tests.support.vendor_socket import Ears, Message, VendorSocket


class DeepgramEars(VendorSocket):
    """`segments`: after so many words a final comes by itself, as it does in long turns."""

    error_within = json.dumps({"type": "Error", "variant": "NET-0000", "description": "internal", "message": "oh no"})

    def __init__(self) -> None:
        super().__init__()
        self.segments = 100
        self.answers_finalize = True

    def session(self) -> "_Listening":
        return _Listening(self)

    @property
    def told(self) -> list[str]:
        """What came that is no audio."""
        return [json.loads(message)["type"] for message in self.received if isinstance(message, str)]


class _Listening:
    def __init__(self, service: DeepgramEars) -> None:
        self._service = service
        self._ears = Ears()
        self._begin_s = 0.0

    def take(self, message: Message) -> Iterator[Message]:
        if isinstance(message, str):
            if json.loads(message)["type"] == "Finalize" and self._service.answers_finalize:
                yield self._results(self._ears.take(), is_final=True, from_finalize=True)
        elif self._ears.hear(message):
            words = self._ears.words
            if len(words) >= self._service.segments:
                yield self._results(self._ears.take(), is_final=True)
            else:
                yield self._results(" ".join(words), is_final=False)

    def _results(self, text: str, *, is_final: bool, from_finalize: bool = False) -> str:
        end_s = self._ears.seconds
        fields: dict[str, Any] = {
            "type": "Results",
            "channel_index": [0, 1],
            "start": self._begin_s,
            "duration": end_s - self._begin_s,
            "is_final": is_final,
            "speech_final": False,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": []}]},
            "metadata": {
                "request_id": "r",
                "model_info": {"name": "n", "version": "1", "arch": "a"},
                "model_uuid": "u",
            },
        }
        if is_final:
            self._begin_s = end_s
        return json.dumps(fields)


class DeepgramVoice(VendorServer):
    """`sound` is what it says, if not what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.sound: list[Part] | None = None

    def refusal(self, status: str) -> bytes:
        return json.dumps({"err_code": "SOME_ERROR", "err_msg": status, "request_id": "r"}).encode()

    def answer(self, request: Request) -> Answer:
        assert request.path.startswith("/v1/speak?"), request.path
        if self.sound is not None:
            return Answer("audio/l16", list(self.sound))
        rate_hz = int(parse_qs(urlsplit(request.path).query)["sample_rate"][0])
        pcm = b"".join(spoken(request.fields["text"], rate_hz))
        return Answer("audio/l16", [pcm[:1_601], pcm[1_601:]])
