"""A recording: both directions of a call as one stereo WAV file in the recordings directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from longline.base.ids import Prefix, encode_id, new_id
from longline.store.records import RecordingRecord


@dataclass(slots=True)
class Recording:
    """`left` is what the leg said, `right` what it heard."""

    call_id: UUID
    leg_id: UUID
    directory: Path
    created_at: datetime
    id: UUID = field(default_factory=new_id)
    duration_ms: int = 0
    is_finished: bool = False

    @property
    def name(self) -> str:
        """The recording's public id."""
        return encode_id(Prefix.RECORDING, self.id)

    @property
    def path(self) -> Path:
        return self.directory / f"{self.name}.wav"

    def to_record(self) -> RecordingRecord:
        return RecordingRecord(
            id=self.id,
            call_id=self.call_id,
            leg_id=self.leg_id,
            path=str(self.path),
            duration_ms=self.duration_ms,
            created_at=self.created_at,
        )
