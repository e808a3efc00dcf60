"""The recordings of one live call: of the whole, begun once, and of parts of it; each is told of when it is whole."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from longline.base.errors import MediaUnavailable
from longline.base.events import EventType
from longline.base.ids import Prefix, encode_id, new_id
from longline.calls.context import CallContext
from longline.calls.recording import Recording, RecordingHeirs, RecordingPlan, completed_facts
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.commands import RecordingLayout
from longline.media.protocol.events import RecordingFinished
from longline.media.recording_file import duration_ms, party_files


class CallRecording:
    """Every method is called by the call's own task, one at a time."""

    def __init__(self, context: CallContext, plan: RecordingPlan) -> None:
        self._context = context
        self._plan = plan
        self._has_begun = False
        self._running: dict[str, Recording] = {}

    @property
    def is_running(self) -> bool:
        return bool(self._running)

    async def start(self) -> None:
        """Begin to record the call, if that has not begun."""
        if not self._has_begun:
            self._has_begun = True
            await self.start_part(self._plan.layout)

    async def start_part(self, layout: RecordingLayout | None = None, heirs: RecordingHeirs | None = None) -> Recording:
        """Begin one more recording, with the layout of the settings if none is given; `stop` ends it. One that cannot
        be begun is told of, and the call goes on.

        It is stored before it begins: after a kill its file is found by that."""
        plan = self._plan if layout is None else dataclasses.replace(self._plan, layout=layout)
        call = self._context.call
        recording = Recording(call.id, call.leg.id, plan, self._context.now(), account_id=call.account_id, heirs=heirs)
        self._running[str(recording.id)] = recording
        await self._context.save_recordings(recording.to_record("recording"))
        try:
            plan.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            await self._context.session.start_recording(
                str(recording.id),
                recording.path,
                format=plan.format,
                layout=plan.layout,
                encryption=plan.encryption(),
            )
        except (MediaCommandRefused, MediaUnavailable, OSError) as error:
            await self._fail(recording, str(error))
        return recording

    async def stop(self, recording: Recording) -> None:
        """End a recording; one that has ended stays as it is."""
        if str(recording.id) in self._running:
            with contextlib.suppress(MediaCommandRefused, MediaUnavailable):  # its end is told, or found, anyway
                await self._context.session.stop_recording(str(recording.id))

    async def finished(self, event: RecordingFinished) -> None:
        recording = self._running.get(event.recording)
        if recording is None:
            return
        if event.error is not None:
            await self._fail(recording, event.error)
            return
        tracks = event.tracks or [{"track": event.layout, "path": event.path, "duration_ms": event.duration_ms}]
        await self._complete(
            recording, [(str(t["track"]), Path(str(t["path"])), int(t["duration_ms"])) for t in tracks]
        )

    async def salvage(self, why: str) -> None:
        """Nobody will tell how it ended: keep what is in the files, which are whole at every second."""
        for recording in list(self._running.values()):
            try:
                found = [
                    (track, path, duration_ms(path, self._plan.master_key))
                    for track, path in party_files(recording.path, recording.plan.layout)
                ]
            except (OSError, ValueError):
                found = []
            if found:
                await self._complete(recording, found)
            else:
                await self._fail(recording, why)

    async def _complete(self, recording: Recording, files: Sequence[tuple[str, Path, int]]) -> None:
        """Each file is a recording that can be downloaded; the first has the id under which it began."""
        self._running.pop(str(recording.id), None)
        leg = self._context.call.leg
        ids = [recording.id, *(new_id() for _ in files[1:])]
        records = [
            recording.to_record("completed", duration_ms=length, path=path, track=track, id=id_)
            for id_, (track, path, length) in zip(ids, files, strict=True)
        ]
        for record in records:
            leg.recordings.append(encode_id(Prefix.RECORDING, record.id))
            self._note(EventType.RECORDING_COMPLETED, recording, completed_facts(record))
        self._tell_next(recording, completed_facts(records[0]))
        await self._context.save_recordings(*records, with_call=True)
        recording.duration_ms, recording.is_whole = records[0].duration_ms, True
        recording.finished.set()

    async def _fail(self, recording: Recording, why: str) -> None:
        self._running.pop(str(recording.id), None)
        self._context.counters["recordings_failed"] += 1
        data = {"recording_id": recording.name, "reason": why}
        self._note(EventType.RECORDING_FAILED, recording, data)
        await self._context.save_recordings(recording.to_record("failed"))
        recording.finished.set()

    def _note(self, event_type: EventType, recording: Recording, data: Mapping[str, object]) -> None:
        url, method = (recording.heirs and recording.heirs.status) or (None, "POST")
        self._context.note(event_type, dict(data), leg_id=recording.leg_id, target_url=url, target_method=method)

    def _tell_next(self, recording: Recording, data: Mapping[str, object]) -> None:
        """The call ended before the recording was whole, and its flow with it: whom that would have asked next has
        the recording all the same."""
        call, heirs = self._context.call, recording.heirs
        if heirs is None or heirs.next is None or not call.has_ended:
            return
        url, method = heirs.next
        told = call.event_data() | dict(data) | {"flow_url": url}
        self._context.note(EventType.FLOW_LEFT, told, leg_id=recording.leg_id, target_url=url, target_method=method)
