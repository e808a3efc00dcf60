"""`gather`: play or say a prompt, collect the keys that the caller presses, and ask the next flow with them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from longline.base.events import EventType
from longline.calls.bridge import Sound
from longline.calls.live_call import LiveCall
from longline.flows import verbs
from longline.flows.gathering import Gathering
from longline.flows.outcome import Outcome
from longline.flows.playing import play_through
from longline.flows.sounds import Sounds
from longline.flows.waiting import until_any

Part = Sound | verbs.PauseSound


async def gather(live: LiveCall, verb: verbs.Gather, sounds: Sounds, *, is_last: bool) -> Outcome:
    """When nothing was pressed and further actions follow, those are done."""
    async with contextlib.AsyncExitStack() as files:
        is_list = isinstance(verb.prompt, list)
        wanted = [] if verb.prompt is None else verb.prompt if isinstance(verb.prompt, list) else [verb.prompt]
        places = [f"$.prompt[{index}]" if is_list else "$.prompt" for index in range(len(wanted))]
        prompts = [
            part if isinstance(part, verbs.PauseSound) else await sounds.lend_to(files, part, place)
            for part, place in zip(wanted, places, strict=True)
        ]
        await live.answer()
        await live.start_recording()
        gathering = Gathering(verb.timeout, verb.num_digits, verb.finish_key)
        await _gather(live, gathering, prompts, places, barge_in=verb.barge_in)
    digits, reason = gathering.digits, gathering.reason
    live.context.publish(
        EventType.GATHER_COMPLETED, {"digit_count": len(digits), "reason": reason}, leg_id=live.call.leg.id
    )
    result = {"action": "gather", "digits": digits, "reason": reason}
    if not digits and reason == "timeout" and not is_last:
        return Outcome("go_on", result=result)
    return Outcome("ask", verb.flow_url, result)


async def _gather(
    live: LiveCall, gathering: Gathering, prompts: Sequence[Part], places: Sequence[str], *, barge_in: bool
) -> None:
    clock, caller = live.context.clock, live.input
    if not barge_in:
        await _play(live, prompts, places, barge_in=False)
        caller.drop_keys()
        prompt = None
    else:
        prompt = asyncio.create_task(_play(live, prompts, places, barge_in=True), name="prompt")
    try:
        while gathering.reason is None:
            if prompt is None or prompt.done():
                if prompt is not None:
                    prompt.result()  # what was wrong with it is told
                    prompt = None
                gathering.listen(clock.monotonic())
            key = caller.take_key()
            if key is not None:
                gathering.press(clock.monotonic(), key)
                if prompt is not None:
                    prompt.cancel()
                    prompt = None
                continue
            await until_any(clock, gathering.deadline, caller.changed(), *([prompt] if prompt is not None else []))
            gathering.handle_timeout(clock.monotonic())
    finally:
        if prompt is not None:
            prompt.cancel()


async def _play(live: LiveCall, prompts: Sequence[Part], places: Sequence[str], *, barge_in: bool) -> None:
    """Whoever presses a key has it cancelled; nothing is begun when keys wait already."""
    for sound, place in zip(prompts, places, strict=True):
        if barge_in and live.input.has_keys:
            return
        if isinstance(sound, verbs.PauseSound):
            await live.context.clock.sleep(sound.duration)
        else:
            await play_through(live, sound, place=place)
