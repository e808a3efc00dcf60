"""A stream of longline.v1 from its first message to its last, with a drop in the middle, as lines of JSON.

    python -m tests.unit.streamkit.transcript > tests/unit/streamkit/longline-v1.jsonl

Each line: `ms` since the beginning, `to` (`application` or `longline`), and `message`, or `audio` with the fields of
its header and how many bytes it has. `{"ms": …, "socket": "opened" | "dropped"}` stand between. The same in every run.
"""

import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

from tests.unit.streamkit.stream_pair import Pair, numbered_voice

from longline.streamkit import app_messages as said
from longline.streamkit import server_messages as told
from longline.streamkit.audio import from_binary
from longline.streamkit.connection import Connection
from longline.streamkit.line.line import Line


class Recorded(Pair):
    """A pair whose wire is written down."""

    def __init__(self) -> None:
        tokens = (f"token-{number}" for number in itertools.count(1))
        hello = said.Hello(progress_ms=100, speech=True, barge_in=said.BargeIn())
        super().__init__(Connection(hello), Line(tokens, voice=numbered_voice, url="wss://longline.example/resume"))
        self.lines: list[dict[str, Any]] = []
        for side, name in ((self.app, "application"), (self.line, "longline")):
            side.receive = self._written(side.receive, name)  # type: ignore[method-assign]

    def _written(self, receive: Any, name: str) -> Any:
        def write(now: float, data: str | bytes) -> None:
            line: dict[str, Any] = {"ms": round(now * 1000), "to": name}
            if isinstance(data, bytes):
                audio = from_binary(data)
                fields = ("track", "flags", "sequence", "timestamp")
                line["audio"] = {field: getattr(audio, field) for field in fields} | {"bytes": len(audio.payload)}
            else:
                line["message"] = json.loads(data)
            self.lines.append(line)
            receive(now, data)

        return write

    def note(self, what: str) -> None:
        self.lines.append({"ms": round(self.now * 1000), "socket": what})


def transcript() -> Iterator[dict[str, Any]]:
    """The lines."""
    pair = Recorded()
    pair.note("opened")
    pair.connect()
    pair.advance(0.06)
    pair.app.speak("greeting")
    pair.app.say(bytes(1280))
    pair.app.speak_end()
    pair.app.mark("greeted")
    pair.exchange()
    pair.advance(0.12)
    pair.line.tell(told.SpeechStarted(track=1, at=960, level_db=-24, paused=False))
    pair.line.tell(told.Dtmf(track=1, digit="5", duration_ms=100, at=1280))
    pair.app.speak("long")
    pair.app.say(bytes(3200))
    pair.app.mark("never")
    pair.exchange()
    pair.advance(0.04)
    pair.app.clear()
    pair.app.say(bytes(320))
    pair.exchange()
    pair.advance(0.04)
    pair.app.say(bytes(640))
    pair.note("dropped")
    pair.drop(deliver=0)
    pair.advance(0.1)
    pair.note("opened")
    pair.connect()
    pair.advance(0.06)
    pair.app.pause()
    pair.app.resume()
    pair.app.send_dtmf("12#")
    pair.app.turn(
        said.Turn(
            number=1,
            caller="When do you open?",
            agent="At nine. We close at six.",
            heard="At nine.",
            was_interrupted=True,
            total_ms=812,
            parts_ms={"received": 24, "endpoint": 560, "first_token": 150, "first_sound": 60, "sent": 0, "heard": 18},
        )
    )
    pair.app.subscribe(1)
    pair.app.request(said.Ping(id=1, at=480))
    pair.line.tell(told.PingTold(id=1, at=480))
    pair.app.request(said.Transfer(request_id="t1", target="+15550102"))
    pair.exchange()
    pair.advance(0.02)
    pair.app.stop()
    pair.exchange()
    yield from pair.lines


if __name__ == "__main__":
    for each in transcript():
        sys.stdout.write(json.dumps(each) + "\n")
