"""What each verb does to a live call: one file per verb."""

from __future__ import annotations

from longline.calls.live_call import LiveCall
from longline.flows import steps as flow_steps  # `steps` here is the module of the actions
from longline.flows import verbs
from longline.flows.actions.dial import dial, dial_in_turn
from longline.flows.actions.gather import gather
from longline.flows.actions.hangup import hangup
from longline.flows.actions.pause import pause
from longline.flows.actions.play import play
from longline.flows.actions.record import record
from longline.flows.actions.redirect import redirect
from longline.flows.actions.reject import reject
from longline.flows.actions.steps import close_stream, open_stream, send_digits, stay
from longline.flows.actions.stream import stream
from longline.flows.outcome import Outcome
from longline.flows.sounds import Sounds


async def act(live: LiveCall, verb: verbs.Verb | flow_steps.Step, sounds: Sounds, *, is_last: bool) -> Outcome:
    """Do what the verb says. `is_last`: no action follows it in its flow. Raise FlowFailed."""
    match verb:
        case verbs.Stream():
            return await stream(live, verb, sounds)
        case verbs.Play() | verbs.Say():
            return await play(live, verb, sounds)
        case verbs.Dial():
            return await dial(live, verb, sounds, is_last=is_last)
        case verbs.Gather():
            return await gather(live, verb, sounds, is_last=is_last)
        case verbs.Record():
            return await record(live, verb)
        case verbs.Pause():
            return await pause(live, verb)
        case verbs.Redirect():
            return await redirect(live, verb)
        case verbs.Reject():
            return await reject(live, verb)
        case verbs.Hangup():
            return await hangup(live, verb)
        case flow_steps.Answer():
            await live.answer()
            return Outcome()
        case flow_steps.SendDigits():
            return await send_digits(live, verb)
        case flow_steps.OpenStream():
            return await open_stream(live, verb)
        case flow_steps.CloseStream():
            return await close_stream(live, verb)
        case flow_steps.Stay():
            return await stay(live)
        case flow_steps.RecordFor():
            return await record(live, verb.verb, verb.heirs)
        case flow_steps.DialInTurn():
            return await dial_in_turn(live, verb.dials, sounds, is_last=is_last)
