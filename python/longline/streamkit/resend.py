"""What an application has said and Longline has not acknowledged: kept so that it can be said again (§6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from longline.base.errors import LocalProtocolError
from longline.streamkit.app_messages import NumberedAppMessage
from longline.streamkit.audio import REPLAY, SEQUENCES, Audio, ahead

MAX_BYTES: Final = 8 << 20
"""A minute of the largest audio, and some more."""
MAX_MESSAGES: Final = 16_384
COUNTED_BYTES: Final = 64
"""What a message without audio counts."""


class BufferFull(LocalProtocolError):
    """So much has not been acknowledged that nothing more is taken: wait for an `ack`."""


@dataclass(slots=True)
class Kept:
    """One message and whether it has been sent before."""

    message: Audio | NumberedAppMessage
    was_sent: bool = False

    @property
    def sequence(self) -> int:
        return self.message.sequence

    @property
    def size(self) -> int:
        return len(self.message.payload) if isinstance(self.message, Audio) else COUNTED_BYTES


class ResendBuffer:
    """Bounded: `put` raises BufferFull, and nothing is lost by that."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_messages: int = MAX_MESSAGES) -> None:
        self._kept: deque[Kept] = deque()
        self._bytes = 0
        self._max = (max_bytes, max_messages)
        self.next_sequence = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._kept)

    def put(self, message: Audio | NumberedAppMessage) -> Kept:
        """Number it and keep it."""
        kept = Kept(_numbered(message, self.next_sequence))
        max_bytes, max_messages = self._max
        if self._bytes + kept.size > max_bytes or len(self._kept) >= max_messages:
            raise BufferFull(f"{len(self._kept)} messages, {self._bytes} bytes have not been acknowledged")
        self._kept.append(kept)
        self._bytes += kept.size
        self.next_sequence = (self.next_sequence + 1) % SEQUENCES
        return kept

    def acknowledge(self, received: int) -> None:
        """Forget what has come; a number that was never said is ignored."""
        if received < 0 or not self._kept or ahead(received, self._kept[-1].sequence) > 0:
            return
        while self._kept and ahead(self._kept[0].sequence, received) <= 0:
            self._bytes -= self._kept.popleft().size

    def renumber(self, first: int) -> None:
        """Count from `first`: Longline does not know what was said before."""
        self.next_sequence = first % SEQUENCES
        for kept in self._kept:
            kept.message = _numbered(kept.message, self.next_sequence)
            kept.was_sent = False
            self.next_sequence = (self.next_sequence + 1) % SEQUENCES

    def again(self) -> Iterator[Audio | NumberedAppMessage]:
        """All of it, for a new connection; audio that has been sent before is flagged."""
        for kept in self._kept:
            if kept.was_sent and isinstance(kept.message, Audio):
                kept.message = replace(kept.message, flags=kept.message.flags | REPLAY)
            kept.was_sent = True
            yield kept.message


def _numbered(message: Audio | NumberedAppMessage, sequence: int) -> Audio | NumberedAppMessage:
    if isinstance(message, Audio):
        return replace(message, sequence=sequence)
    return message.model_copy(update={"sequence": sequence})
