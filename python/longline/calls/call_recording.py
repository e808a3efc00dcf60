"""The recording of one live call: begun once, told of once when its file is whole."""

from __future__ import annotations

from pathlib import Path

from longline.base.errors import MediaUnavailable
from longline.base.events import EventType
from longline.calls.context import CallContext
from longline.calls.recording import Recording
from longline.media.errors import MediaCommandRefused
from longline.media.protocol import RecordingFinished

_WAV_HEADER_BYTES = 44
_WAV_BYTES_PER_MS = 32  # 8 kHz, two channels of 16 bits


class CallRecording:
    """Every method is called by the call's own task, one at a time."""

    def __init__(self, context: CallContext, directory: Path) -> None:
        self._context = context
        self._directory = directory
        self._recording: Recording | None = None

    @property
    def is_running(self) -> bool:
        return self._recording is not None and not self._recording.is_finished

    async def start(self) -> None:
        """Begin to record, if that has not begun. A recording that cannot be begun is told of, and the call goes on."""
        if self._recording is not None:
            return
        call = self._context.call
        recording = self._recording = Recording(call.id, call.leg.id, self._directory, self._context.now())
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            await self._context.session.start_recording(str(recording.id), recording.path)
        except (MediaCommandRefused, MediaUnavailable, OSError) as error:
            self._fail(recording, str(error))

    async def finished(self, event: RecordingFinished) -> None:
        if self._recording is not None and event.recording == str(self._recording.id):
            await self._finish(self._recording, event.duration_ms, event.error)

    async def salvage(self, why: str) -> None:
        """Nobody will tell how it ended: keep what is in the file, whose header is valid at every second."""
        recording = self._recording
        if recording is None or recording.is_finished:
            return
        try:
            size = recording.path.stat().st_size
        except OSError:
            self._fail(recording, why)
            return
        await self._finish(recording, max(0, size - _WAV_HEADER_BYTES) // _WAV_BYTES_PER_MS, None)

    async def _finish(self, recording: Recording, duration_ms: int, error: str | None) -> None:
        if recording.is_finished:
            return
        if error is not None:
            self._fail(recording, error)
            return
        recording.is_finished, recording.duration_ms = True, duration_ms
        self._context.call.leg.recordings.append(recording.name)
        await self._context.keep(self._context.store.save_recording(recording.to_record()))
        await self._context.save_call()
        data = {"recording_id": recording.name, "duration_ms": duration_ms}
        self._context.publish(EventType.RECORDING_COMPLETED, data, leg_id=recording.leg_id)

    def _fail(self, recording: Recording, why: str) -> None:
        recording.is_finished = True
        self._context.counters["recordings_failed"] += 1
        data = {"recording_id": recording.name, "reason": why}
        self._context.publish(EventType.RECORDING_FAILED, data, leg_id=recording.leg_id)
