"""`dial`: call one more party, join it to the call, and when nobody came do what the flow says for that."""

from __future__ import annotations

import contextlib

from longline.base.errors import DestinationDenied, InvalidTarget, LimitReached, MediaUnavailable
from longline.calls.bridge import FOR_EVER, DialOutcome, DialRecord, DialRequest, DialSounds, Sound
from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.sip_leg import LegEnd
from longline.flows import verbs
from longline.flows.media_files import MediaFiles
from longline.media.errors import MediaCommandRefused


async def dial(live: LiveCall, verb: verbs.Dial, media_files: MediaFiles) -> str | None:
    """Files are fetched before anybody is called, so that nobody rings for a flow that is wrong."""
    async with contextlib.AsyncExitStack() as files:
        sounds = await open_sounds(files, media_files, verb.dial_music, verb.confirm_sound)
        outcome = await _call(live, verb, sounds)
    if outcome.was_joined:
        await live.finish(outcome.end)
        return None
    nested = when_nobody_came(verb, outcome.end.reason)
    if isinstance(nested, verbs.PlaySound):
        await play_to_all(live, nested, media_files)
    if not live.call.is_answered:
        # RFC 3261 §13.3.1.3: whoever calls is told what became of the call as if he had made it.
        await live.finish(LegEnd(outcome.end.reason, detail=outcome.end.detail))
    return None


async def _call(live: LiveCall, verb: verbs.Dial, sounds: DialSounds) -> DialOutcome:
    request = DialRequest(
        to=verb.to,
        timeout_s=verb.timeout,
        headers=tuple(verb.custom_headers.items()),
        record=dial_record(verb.record),
        ringback=verb.ringback,
        status_callback_url=verb.status_callback_url,
    )
    try:
        return await live.dial(request, sounds)
    except (InvalidTarget, DestinationDenied) as error:
        # Nothing leads there: for the flow that is a call which failed, as it would be a hop further.
        live.context.counters["dials_without_destination"] += 1
        return DialOutcome(LegEnd(Reason.CARRIER_ERROR, detail=error.message), was_joined=False)
    except (LimitReached, MediaUnavailable) as error:
        return DialOutcome(LegEnd(Reason.CARRIER_ERROR, detail=error.message), was_joined=False)
    except MediaCommandRefused as error:
        raise FlowFailed(Reason.FLOW_INVALID, f"$.dial_music: {error.message}") from error


def dial_record(record: bool | DialRecord) -> DialRecord | None:
    """What is recorded of a bridge."""
    if isinstance(record, bool):
        return "default" if record else None
    return record


def when_nobody_came(verb: verbs.Dial, reason: Reason) -> verbs.Nested | None:
    """The branch of a flow for a party that did not come; `on_failure` stands for those that are not there."""
    branches = {Reason.BUSY: verb.on_busy, Reason.NO_ANSWER: verb.on_no_answer}
    return branches.get(reason) or verb.on_failure


async def open_sounds(
    files: contextlib.AsyncExitStack,
    media_files: MediaFiles,
    music: verbs.PlaySound | None,
    confirm: verbs.PlaySound | None,
) -> DialSounds:
    """Raise FlowFailed when one of them cannot be had. Music goes on until somebody answers, unless told otherwise."""

    async def sound(verb: verbs.PlaySound, default: int) -> Sound:
        path = await files.enter_async_context(media_files.open(verb.media_url))
        return Sound(path, verb.media_url, times(verb, default))

    return DialSounds(
        music=None if music is None else await sound(music, FOR_EVER),
        confirm=None if confirm is None else await sound(confirm, 1),
    )


def times(verb: verbs.PlaySound, default: int = 1) -> int:
    """How often it is played."""
    if verb.loop is None:
        return default
    if isinstance(verb.loop, bool):
        return FOR_EVER if verb.loop else 1
    return verb.loop


async def play_to_all(live: LiveCall, verb: verbs.PlaySound, media_files: MediaFiles) -> None:
    """Answer, and play a nested sound to its end. Raise FlowFailed."""
    async with media_files.open(verb.media_url) as path:
        await live.answer()
        try:
            playback = await live.start_playback(path, verb.media_url, times(verb))
        except MediaCommandRefused as error:
            raise FlowFailed(Reason.FLOW_INVALID, f"$.media_url: {verb.media_url}: {error.message}") from error
        await playback.finished.wait()
