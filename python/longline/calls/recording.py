"""A recording: what is recorded of a call, how, and the files that come of it in the recordings directory."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from longline.base.config import Config
from longline.base.ids import DEFAULT_ACCOUNT_ID, Prefix, encode_id, new_id
from longline.calls.manner import Method
from longline.media.protocol.commands import Encryption, RecordingFormat, RecordingLayout
from longline.media.recording_file import SEALED_SUFFIX
from longline.media.sealed import MasterKey
from longline.store.records import RecordingRecord, RecordingState


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """How calls are recorded, and where to. With a `master_key` the files are sealed."""

    directory: Path
    format: RecordingFormat = "wav"
    layout: RecordingLayout = "stereo"
    master_key: MasterKey | None = None

    def encryption(self) -> Encryption | None:
        """A key for one recording, as the media server wants it."""
        if self.master_key is None:
            return None
        made = self.master_key.new_data_key()
        return Encryption(base64.b64encode(made.key).decode(), base64.b64encode(made.wrapped).decode())


def recording_plan(config: Config) -> RecordingPlan:
    """What the settings say of recordings."""
    master_key = None if config.recording_key is None else MasterKey.parse(config.recording_key)
    return RecordingPlan(config.recordings_dir, config.recording_format, config.recording_layout, master_key)


@dataclass(frozen=True, slots=True)
class RecordingHeirs:
    """Who is told of a recording in a flow of another language: that it is whole (`status`), and, when the call ends
    while it is made, with whom the flow would have gone on (`next`). Each is a URL and how it is asked."""

    status: tuple[str, Method] | None = None
    next: tuple[str, Method] | None = None


@dataclass(slots=True)
class Recording:
    """One recording of one call. A file for each party is a recording of its own when it is finished.

    `finished` is set when it is told of; `is_whole` and `duration_ms` then say how it ended."""

    call_id: UUID
    leg_id: UUID
    plan: RecordingPlan
    created_at: datetime
    id: UUID = field(default_factory=new_id)
    account_id: UUID = DEFAULT_ACCOUNT_ID
    heirs: RecordingHeirs | None = None
    duration_ms: int = 0
    is_whole: bool = False
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The recording's public id."""
        return encode_id(Prefix.RECORDING, self.id)

    @property
    def path(self) -> Path:
        """What the media server is told: of several files, what their names are made of."""
        suffix = SEALED_SUFFIX if self.plan.master_key is not None else ""
        return self.plan.directory / f"{self.name}{suffix}.{self.plan.format}"

    def to_record(
        self,
        state: RecordingState,
        *,
        duration_ms: int = 0,
        path: Path | None = None,
        track: str | None = None,
        id: UUID | None = None,
    ) -> RecordingRecord:
        """The record of this recording, or of the file of one party in it."""
        whose = track or self.plan.layout
        return RecordingRecord(
            id=id or self.id,
            account_id=self.account_id,
            call_id=self.call_id,
            leg_id=None if whose == "streams" else self.leg_id,
            path=str(path or self.path),
            duration_ms=duration_ms,
            created_at=self.created_at,
            format=self.plan.format,
            channels=2 if self.plan.layout == "stereo" else 1,
            encrypted=self.plan.master_key is not None,
            track=whose,
            state=state,
        )


def completed_facts(record: RecordingRecord) -> dict[str, object]:
    """What `recording.completed` tells."""
    return {
        "recording_id": encode_id(Prefix.RECORDING, record.id),
        "duration_ms": record.duration_ms,
        "format": record.format,
        "channels": record.channels,
        "encrypted": record.encrypted,
        "track": record.track,
    }
