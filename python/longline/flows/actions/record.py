"""`record`: after a beep, record what the caller says until he is done, and ask the next flow with the recording."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from longline.calls.bridge import Sound
from longline.calls.live_call import LiveCall
from longline.calls.recording import RecordingHeirs
from longline.calls.tones import beep_file
from longline.flows import verbs
from longline.flows.outcome import Outcome
from longline.flows.playing import play_through
from longline.flows.waiting import until_any

RecordReason = Literal["finish_key", "silence", "max_length", "failed"]


async def record(live: LiveCall, verb: verbs.Record, heirs: RecordingHeirs | None = None) -> Outcome:
    """The next flow is asked when the recording is whole: whoever is told of it can have it."""
    await live.answer()
    await live.start_recording()
    if verb.beep:
        beep = await asyncio.to_thread(beep_file, live.tones_dir)
        await play_through(live, Sound(beep, "beep"))
    live.input.drop_keys()
    listens = verb.silence_end > 0 and await live.listen_for_voice()
    try:
        part = await live.start_part("mono", heirs)
        try:
            reason, key = await _until_done(live, verb, listens=listens, over=part.finished)
        finally:
            live.let_go_of_part(part)
        await part.finished.wait()
    finally:
        if listens:
            live.stop_listening_for_voice()
    result: dict[str, Any] = {
        "action": "record",
        "reason": reason,
        "recording_id": part.name,
        "duration_ms": part.duration_ms,
    }
    if key is not None:
        result["key"] = key
    if not part.is_whole:
        result |= {"reason": "failed"}
    return Outcome("ask", verb.flow_url, result)


async def _until_done(
    live: LiveCall, verb: verbs.Record, *, listens: bool, over: asyncio.Event
) -> tuple[RecordReason, str | None]:
    """Why it is over, and the key that ended it, if one did."""
    clock, caller = live.context.clock, live.input
    began = clock.monotonic()
    caller.expect_voice(began)
    while not over.is_set():
        while (key := caller.take_key()) is not None:
            if key in verb.finish_key:
                return "finish_key", key
        now, deadline = clock.monotonic(), began + verb.max_length
        if now >= deadline:
            return "max_length", None
        if listens and not caller.is_speaking:
            silence_ends = caller.silent_since + verb.silence_end
            if now >= silence_ends:
                return "silence", None
            deadline = min(deadline, silence_ends)
        await until_any(clock, deadline, caller.changed(), over.wait())
    return "failed", None
