"""The ring: what one track said of late, kept so that it can be said again (§6)."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from longline.streamkit.audio import GAP, REPLAY, Audio


class Ring:
    """Holds the last `capacity` frames of a track; frames before them are lost."""

    def __init__(self, track: int, capacity: int) -> None:
        self.track = track
        self._frames: deque[Audio] = deque(maxlen=max(1, capacity))
        self.next_sequence = 0

    def put(self, payload: bytes, timestamp: int) -> Audio:
        """Number a frame and keep it."""
        frame = Audio(self.track, self.next_sequence, payload, timestamp)
        self.next_sequence += 1
        self._frames.append(frame)
        return frame

    def after(self, received: int) -> tuple[tuple[int, int] | None, list[Audio]]:
        """What was lost of what came after `received` (first and last), and what is there, flagged."""
        kept = [replace(frame, flags=REPLAY) for frame in self._frames if frame.sequence > received]
        first = kept[0].sequence if kept else self.next_sequence
        if first == received + 1:
            return None, kept
        if kept:
            kept[0] = replace(kept[0], flags=REPLAY | GAP)
        return (received + 1, first - 1), kept
