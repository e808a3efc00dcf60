"""OpenAI's HTTP API as a voice agent uses it: chat completions, transcriptions and speech."""

import email.message
import email.parser
import io
import json
import wave
from collections.abc import Callable
from typing import Any

from longline.agentkit.testing.written import WordReader, spoken
from tests.support.vendor_http import Answer, Part, Request, VendorServer

DONE = b"data: [DONE]\n\n"
ERROR_WITHIN = {"error": {"message": "The server had an error", "type": "server_error", "code": None}}


def event(fields: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """A piece of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event(
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    )


def words(*pieces: str, finish: str = "stop") -> list[Part]:
    return [*(chunk({"content": piece}) for piece in pieces), chunk({}, finish), DONE]


def call(id: str | None, name: str | None, arguments: str, index: int = 0) -> dict[str, Any]:
    """The delta of a call of a tool, or of a piece of one."""
    piece: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if id is not None:
        piece |= {"id": id, "type": "function"}
    if name is not None:
        piece["function"]["name"] = name
    return {"tool_calls": [piece]}


class OpenAIService(VendorServer):
    """`replies` are the bodies of chat answers, taken one after the other; after them it answers by `answers`: words of
    the caller's, and what is said then. `texts` is what it transcribes, after them the words of the testing kit's
    voice, in which it speaks when `sound` is not given."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[list[Part]] = []
        self.texts: list[str] = []
        self.text_of: Callable[[Request], str] = lambda request: self.texts.pop(0) if self.texts else _read(request)
        self.answers: dict[str, str] = {}
        self.sound: list[Part] | None = None
        self.rate_hz = 24_000
        self.sound_type = "audio/pcm"
        self.streams_texts = True

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def refusal(self, status: str) -> bytes:
        return json.dumps({"error": {"message": status, "type": "some_error", "param": None, "code": None}}).encode()

    def answer(self, request: Request) -> Answer:
        match request.path:
            case "/v1/chat/completions":
                parts = self.replies.pop(0) if self.replies else words(self._answer_to(request))
                return Answer("text/event-stream", parts, event(ERROR_WITHIN), b'data: {"id": \n\n')
            case "/v1/audio/transcriptions":
                return self._transcribe(request)
            case "/v1/audio/speech":
                sound = self.sound
                if sound is None:
                    pcm = b"".join(spoken(request.fields["input"], self.rate_hz))
                    sound = [pcm[:3_201], pcm[3_201:]]
                return Answer(self.sound_type, list(sound))
        raise AssertionError(f"nothing is at {request.path}")

    def _answer_to(self, request: Request) -> str:
        said = request.fields["messages"][-1]["content"].lower()
        return next((answer for word, answer in self.answers.items() if word in said), "Yes.")

    def _transcribe(self, request: Request) -> Answer:
        text = self.text_of(request)
        if self.streams_texts and form_of(request).get("stream") == b"true":
            pieces = [f"{word} " for word in text.split()] or [""]
            deltas: list[Part] = [event({"type": "transcript.text.delta", "delta": each}) for each in pieces]
            done = event({"type": "transcript.text.done", "text": text})
            return Answer("text/event-stream", [*deltas, done, DONE], event(ERROR_WITHIN), b"data: {\n\n")
        body = json.dumps({"text": text}).encode()
        return Answer("application/json", [body[:5], body[5:]], b"", b"\xff")


def form_of(request: Request) -> dict[str, bytes]:
    """The fields of a form (RFC 7578)."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode("latin-1")
    whole = email.parser.BytesParser().parsebytes(head + request.body)
    fields: dict[str, bytes] = {}
    for part in whole.get_payload():
        assert isinstance(part, email.message.Message)
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        assert isinstance(name, str) and isinstance(payload, bytes)
        fields[name] = payload
    return fields


def _read(request: Request) -> str:
    return " ".join(WordReader().read(heard_by(request)[1]))


def heard_by(request: Request) -> tuple[int, bytes]:
    """Rate and samples of what was sent to be transcribed."""
    with wave.open(io.BytesIO(form_of(request)["file"])) as sound:
        return sound.getframerate(), sound.readframes(sound.getnframes())
