"""Anthropic's messages API as a voice agent uses it: events of a streamed message."""

import json
from typing import Any

from tests.support.vendor_http import Answer, Part, Request, VendorServer


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


START = event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
)


def text(index: int, *pieces: str) -> list[Part]:
    deltas = [
        event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece}) for piece in pieces
    ]
    begin = event("content_block_start", index=index, content_block={"type": "text", "text": ""})
    return [begin, event("ping"), *deltas, event("content_block_stop", index=index)]


def use(index: int, id: str, name: str, *pieces: str) -> list[Part]:
    """A call of a tool, its arguments in pieces."""
    block = {"type": "tool_use", "id": id, "name": name, "input": {}}
    deltas = [
        event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece})
        for piece in pieces
    ]
    begin = event("content_block_start", index=index, content_block=block)
    return [begin, *deltas, event("content_block_stop", index=index)]


def message(*blocks: list[Part], stop_reason: str = "end_turn") -> list[Part]:
    end = event("message_delta", delta={"stop_reason": stop_reason, "stop_sequence": None}, usage={"output_tokens": 9})
    return [START, *(part for block in blocks for part in block), end, event("message_stop")]


class AnthropicService(VendorServer):
    """`replies` are the bodies of its answers, taken one after the other; after them it answers by `answers`: words of
    the caller's, and what is said then."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[list[Part]] = []
        self.answers: dict[str, str] = {}

    def refusal(self, status: str) -> bytes:
        return json.dumps({"type": "error", "error": {"type": "api_error", "message": status}}).encode()

    def answer(self, request: Request) -> Answer:
        assert request.path == "/v1/messages", request.path
        parts = self.replies.pop(0) if self.replies else message(text(0, self._answer_to(request)))
        error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
        return Answer("text/event-stream", parts, error, b'event: content_block_delta\ndata: {"type":\n\n')

    def _answer_to(self, request: Request) -> str:
        said = request.fields["messages"][-1]["content"][-1].get("text", "").lower()
        return next((answer for word, answer in self.answers.items() if word in said), "Yes.")
