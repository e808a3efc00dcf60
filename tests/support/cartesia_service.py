"""Cartesia's API as a voice agent uses it: transcription and speech, both over WebSockets."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from longline.agentkit.testing.written import MS_PER_LETTER, spoken
from tests.support.vendor_socket import Ears, Message, VendorSocket


class CartesiaEars(VendorSocket):
    """`segments`: after so many words a final comes by itself."""

    error_within = json.dumps({"type": "error", "status_code": 500, "title": "Server error", "message": "oh no"})

    def __init__(self) -> None:
        super().__init__()
        self.segments = 100

    def session(self) -> "_Listening":
        return _Listening(self)


class _Listening:
    def __init__(self, service: CartesiaEars) -> None:
        self._service = service
        self._ears = Ears()
        self._space = ""

    def take(self, message: Message) -> Iterator[Message]:
        if isinstance(message, str):
            assert message == "finalize", message
            if self._ears.words:
                yield self._transcript(self._ears.take(), is_final=True)
            self._space = ""
            yield json.dumps({"type": "flush_done", "request_id": "r"})
        elif self._ears.hear(message):
            is_final = len(self._ears.words) >= self._service.segments
            text = self._ears.take() if is_final else " ".join(self._ears.words)
            yield self._transcript(text, is_final=is_final)

    def _transcript(self, text: str, *, is_final: bool) -> str:
        text = self._space + text
        if is_final:
            self._space = " "
        return json.dumps({"type": "transcript", "is_final": is_final, "request_id": "r", "text": text, "duration": 1})


class CartesiaVoice(VendorSocket):
    """As the testing kit's voice speaks, a chunk a word. `holds`: contexts are begun and not gone on with."""

    error_within = json.dumps(
        {"type": "error", "done": True, "status_code": 500, "title": "Server error", "message": "oh no"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.holds = False

    def session(self) -> "_Speaking":
        return _Speaking(self)

    @property
    def asked_for(self) -> list[dict[str, Any]]:
        return [json.loads(message) for message in self.received]


class _Speaking:
    def __init__(self, service: CartesiaVoice) -> None:
        self._service = service

    def take(self, message: Message) -> Iterator[Message]:
        fields = json.loads(message)
        context = fields["context_id"]
        if fields.get("cancel"):
            return
        rate_hz = fields["output_format"]["sample_rate"]
        pcm, at = b"".join(spoken(fields["transcript"], rate_hz)), 0
        for match in re.finditer(r"\S+\s*", fields["transcript"]):
            begin_s, end_s = (place * MS_PER_LETTER / 1_000 for place in (match.start(), match.end()))
            yield _told("timestamps", context, word_timestamps=_times(match[0].strip(), begin_s, end_s))
            end = len(pcm) if match.end() == len(fields["transcript"]) else 2 * round(rate_hz * end_s)
            yield _told("chunk", context, data=base64.b64encode(pcm[at:end]).decode(), step_time=1.0)
            at = end
            if self._service.holds:
                return
        yield _told("done", context, done=True)


def _told(kind: str, context: str, *, done: bool = False, **fields: Any) -> str:
    return json.dumps({"type": kind, "context_id": context, "status_code": 206, "done": done, **fields})


def _times(word: str, begin_s: float, end_s: float) -> dict[str, list[Any]]:
    return {"words": [word], "start": [begin_s], "end": [end_s]}
