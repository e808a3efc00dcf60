"""An application and a line on a fake wire, in virtual time; the wire can be cut at any message."""

import itertools
import random
from typing import TypeVar

from longline.streamkit.audio import Audio
from longline.streamkit.connection import Connection, Event, State
from longline.streamkit.format import Format
from longline.streamkit.line.line import Line
from longline.streamkit.message import Message

T = TypeVar("T")


def numbered_voice(track: int, number: int, audio: Format) -> bytes:
    """Each frame says who it is."""
    return (f"{track}:{number};".encode() * audio.frame_bytes)[: audio.frame_bytes or 12]


class Pair:
    """`seed`: how many messages of either side arrive before a cut is random, and the same in every run."""

    def __init__(self, app: Connection | None = None, line: Line | None = None, seed: int = 0) -> None:
        tokens = (f"token-{number}" for number in itertools.count(1))
        self.app = app or Connection()
        self.line = line or Line(tokens, voice=numbered_voice)
        self.now = 0.0
        self.is_up = False
        self.events: list[Event] = []
        self.lost_on_the_way = 0
        self._chance = random.Random(seed)

    def connect(self) -> None:
        self.is_up = True
        self.line.socket_opened(self.now)
        self.app.socket_opened(self.now)
        self.exchange()

    def drop(self, code: int | None = None, *, deliver: int | None = None) -> None:
        """The wire is cut. Of what is under way, the first `deliver` messages arrive (None: a random part)."""
        for side, other in ((self.app, self.line), (self.line, self.app)):
            under_way: list[str | bytes] = []
            while (data := side.poll_transmit()) is not None:
                under_way.append(data)
            some = self._chance.randint(0, len(under_way)) if deliver is None else deliver
            for data in under_way[:some]:
                other.receive(self.now, data)
            self.lost_on_the_way += len(under_way[some:])
        self.is_up = False
        self.line.socket_closed(self.now, code)
        self.app.socket_closed(self.now, code)
        self._collect()

    def exchange(self) -> None:
        """Until both have nothing more to say."""
        is_quiet = False
        while self.is_up and not is_quiet:
            is_quiet = True
            for side, other in ((self.app, self.line), (self.line, self.app)):
                while (data := side.poll_transmit()) is not None:
                    is_quiet = False
                    other.receive(self.now, data)
            self._collect()
            code = self.app.closing or self.line.closing
            if is_quiet and code is not None:
                self.drop(code)

    def advance(self, seconds: float, *, exchange: bool = True) -> None:
        """Move time on; every timer fires at its own moment."""
        until = self.now + seconds
        while True:
            due = [at for at in (self.app.next_timeout(), self.line.next_timeout()) if at is not None and at <= until]
            if not due:
                break
            self.now = max(self.now, min(due))
            self.line.handle_timeout(self.now)
            self.app.handle_timeout(self.now)
            if exchange:
                self.exchange()
            self._collect()
        self.now = until

    def told(self, kind: type[T]) -> list[T]:
        """The events of this kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def audio(self) -> list[Audio]:
        return self.told(Audio)

    @property
    def messages(self) -> list[Message]:
        return self.told(Message)

    @property
    def is_ready(self) -> bool:
        return self.app.state is State.READY

    def _collect(self) -> None:
        while (event := self.app.poll_event()) is not None:
            self.events.append(event)
