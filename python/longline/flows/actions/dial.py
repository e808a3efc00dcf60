"""`dial`: call one more party, join it to the call, and when nobody came do what the flow says for that."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from longline.base.errors import DestinationDenied, InvalidTarget, LimitReached, MediaUnavailable
from longline.base.ids import Prefix, encode_id
from longline.calls.bridge import FOR_EVER, DialOutcome, DialRecord, DialRequest, DialSounds, Sound
from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.sip_leg import LegEnd
from longline.flows import verbs
from longline.flows.outcome import Outcome
from longline.flows.playing import play_through
from longline.flows.sounds import Sounds, source_of, times
from longline.media.errors import MediaCommandRefused


async def dial(live: LiveCall, verb: verbs.Dial, sounds: Sounds, *, is_last: bool) -> Outcome:
    """Files are fetched before anybody is called, so that nobody rings for a flow that is wrong. When actions follow,
    the call goes on with them; else it ends with the other party."""
    async with contextlib.AsyncExitStack() as files:
        heard = await open_sounds(files, sounds, verb.dial_music, verb.confirm_sound)
        outcome = await _call(live, verb, heard)
    return await conclude(live, verb, outcome, sounds, is_last=is_last)


async def dial_in_turn(live: LiveCall, dials: Sequence[verbs.Dial], sounds: Sounds, *, is_last: bool) -> Outcome:
    """The first who answers is joined; who comes behind him is not called."""
    for verb in dials:
        outcome = await _call(live, verb, DialSounds())
        if outcome.was_joined:
            break
    return await conclude(live, verb, outcome, sounds, is_last=is_last)


async def conclude(live: LiveCall, verb: verbs.Dial, outcome: DialOutcome, sounds: Sounds, *, is_last: bool) -> Outcome:
    """What follows on a party that has left, or has not come."""
    result = {"action": "dial", "reason": str(outcome.end.reason), "was_joined": outcome.was_joined}
    if outcome.leg_id is not None:
        result |= {"leg_id": encode_id(Prefix.LEG, outcome.leg_id), "duration_seconds": outcome.duration_s}
    if outcome.was_joined:
        if verb.flow_url is not None:
            return Outcome("ask", verb.flow_url, result)
        if is_last:
            await live.finish(outcome.end)
        return Outcome(result=result)
    place, nested = when_nobody_came(verb, outcome.end.reason)
    if isinstance(nested, verbs.NestedHangup):
        is_last = True
    else:
        if nested is not None:
            await play_to_all(live, nested, sounds, place)
        if verb.flow_url is not None:
            return Outcome("ask", verb.flow_url, result)
    if is_last and not live.call.is_answered:
        # RFC 3261 §13.3.1.3: whoever calls is told what became of the call as if he had made it.
        await live.finish(LegEnd(outcome.end.reason, detail=outcome.end.detail))
    return Outcome("end" if is_last else "go_on", result=result)


async def _call(live: LiveCall, verb: verbs.Dial, sounds: DialSounds) -> DialOutcome:
    request = DialRequest(
        to=verb.to,
        timeout_s=verb.timeout,
        headers=tuple(verb.custom_headers.items()),
        record=dial_record(verb.record),
        ringback=verb.ringback,
        status_callback_url=verb.status_callback_url,
        from_number=verb.from_number,
        time_limit_s=verb.time_limit,
        keys=verb.send_digits,
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
        raise FlowFailed(Reason.FLOW_INVALID, f"$.dial_music.media_url: {error.message}") from error


def dial_record(record: bool | DialRecord) -> DialRecord | None:
    """What is recorded of a bridge."""
    if isinstance(record, bool):
        return "default" if record else None
    return record


def when_nobody_came(verb: verbs.Dial, reason: Reason) -> tuple[str, verbs.Nested | None]:
    """The branch of a flow for a party that did not come, and its place; `on_failure` stands for those that are not
    there."""
    branches = {Reason.BUSY: ("$.on_busy", verb.on_busy), Reason.NO_ANSWER: ("$.on_no_answer", verb.on_no_answer)}
    place, nested = branches.get(reason, ("", None))
    return (place, nested) if nested is not None else ("$.on_failure", verb.on_failure)


async def open_sounds(
    files: contextlib.AsyncExitStack, sounds: Sounds, music: verbs.Sound | None, confirm: verbs.Sound | None
) -> DialSounds:
    """Raise FlowFailed when one of them cannot be had. Music goes on until somebody answers, unless told otherwise."""
    return DialSounds(
        music=None if music is None else await sounds.lend_to(files, music, "$.dial_music", FOR_EVER),
        confirm=None if confirm is None else await sounds.lend_to(files, confirm, "$.confirm_sound"),
    )


async def play_to_all(live: LiveCall, verb: verbs.Sound, sounds: Sounds, place: str) -> None:
    """Answer, and play a nested sound to its end. Raise FlowFailed."""
    async with sounds.open(verb, place) as path:
        await live.answer()
        await play_through(live, Sound(path, source_of(verb), times(verb)), place=place)
