"""Hold, from either end: what is told, what is offered, and what the media server is asked for."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import ANSWER, HOLD_OFFER, OFFER, House

from longline.base.errors import CallNotControllable, CallNotLive, LegNotFound
from longline.base.ids import new_id
from longline.sip.events import Ended, Reanswered, Reoffer, ReofferFailed

HELD_ANSWER = ANSWER + b"a=recvonly\r\n"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def answered(house: House, offer: bytes = OFFER) -> str:
    handle = await house.incoming(offer)
    await house.stream_connects()
    return handle


async def hold(house: House, on: bool) -> None:
    await house.manager.hold(house.record.id, None, on)


def directions(house: House) -> list[str]:
    return [command.direction for command in house.media.commands if command.name == "leg.connect"]


def mutes(house: House) -> list[tuple[bool, bool]]:
    return [
        (command.mutes_input, command.mutes_output) for command in house.media.commands if command.name == "leg.mute"
    ]


def hold_events(house: House) -> list[tuple[str, Any]]:
    return [
        (event.type, event.data.get("by")) for event in house.events if event.type.startswith(("call.h", "call.res"))
    ]


def offered(house: House) -> bytes:
    return bytes(house.user_agent.last("reoffer"))


# ---- the far end holds us


@pytest.mark.parametrize("how", [b"a=sendonly", b"a=inactive", b"c=IN IP4 0.0.0.0"])
async def test_a_caller_who_holds_and_resumes_is_told_of(house: House, how: bytes) -> None:
    handle = await answered(house)
    held = HOLD_OFFER.replace(b"a=sendonly", how) if how[:1] == b"a" else OFFER.replace(b"c=IN IP4 192.0.2.7", how)
    await house.sip(Reoffer(handle, held))
    assert hold_events(house) == [("call.held", "caller")]
    assert house.event("call.held").leg_id == house.record.legs[0].id
    await house.sip(Reoffer(handle, held))
    assert len(hold_events(house)) == 1, "once"
    await house.sip(Reoffer(handle, OFFER))
    assert hold_events(house) == [("call.held", "caller"), ("call.resumed", "caller")]
    assert directions(house)[-1] == "sendrecv"
    assert "failed" not in "".join(house.told())


async def test_hold_and_resume_a_thousand_times(house: House) -> None:
    handle = await answered(house)
    for _ in range(1000):
        await house.sip(Reoffer(handle, HOLD_OFFER), Reoffer(handle, OFFER))
    assert len(hold_events(house)) == 2000
    assert directions(house)[-1] == "sendrecv"


async def test_a_codec_is_changed_in_mid_call(house: House) -> None:
    handle = await answered(house)
    await house.sip(Reoffer(handle, OFFER.replace(b"0 8 101", b"8 101")))
    assert [p.payload_type for p in house.media.find("leg.connect").payload_types] == [8]
    assert b"m=audio 20000 RTP/AVP 8 101" in house.user_agent.last("reanswer")


# ---- we hold the far end


async def test_a_leg_is_held_and_taken_back(house: House) -> None:
    handle = await answered(house)
    await hold(house, True)
    assert b"a=sendonly" in offered(house)
    assert mutes(house)[-1] == (True, True)
    assert hold_events(house) == [], "it has not agreed yet"
    await house.sip(Reanswered(handle, HELD_ANSWER))
    assert hold_events(house) == [("call.held", "api")]
    assert directions(house)[-1] == "sendonly"
    await hold(house, False)
    assert b"a=sendrecv" in offered(house)
    assert mutes(house)[-1] == (False, False)
    await house.sip(Reanswered(handle, ANSWER))
    assert hold_events(house) == [("call.held", "api"), ("call.resumed", "api")]
    assert directions(house)[-1] == "sendrecv"


async def test_hold_that_is_wanted_already_offers_nothing(house: House) -> None:
    handle = await answered(house)
    await hold(house, False)
    assert "reoffer" not in house.user_agent.verbs()
    await hold(house, True)
    await hold(house, True)
    await house.sip(Reanswered(handle, HELD_ANSWER))
    await hold(house, True)
    assert house.user_agent.verbs().count("reoffer") == 1


async def test_hold_taken_back_before_its_answer_is_offered_after_it(house: House) -> None:
    handle = await answered(house)
    await hold(house, True)
    await hold(house, False)
    assert house.user_agent.verbs().count("reoffer") == 1
    await house.sip(Reanswered(handle, HELD_ANSWER))
    assert house.user_agent.verbs().count("reoffer") == 2
    assert b"a=sendrecv" in offered(house)
    await house.sip(Reanswered(handle, ANSWER))
    assert directions(house)[-1] == "sendrecv"


async def test_hold_that_is_refused_is_told_and_undone(house: House) -> None:
    handle = await answered(house)
    await hold(house, True)
    await house.sip(ReofferFailed(handle, 488, "Not Acceptable Here", "rejected"))
    (failed,) = [event for event in house.events if event.type == "call.hold_failed"]
    assert failed.data == {"status": 488, "detail": "Not Acceptable Here"}
    assert mutes(house)[-1] == (False, False)
    assert house.record.state == "answered"
    await house.sip(Reoffer(handle, OFFER))
    assert b"a=sendrecv" in house.user_agent.last("reanswer")


async def test_hold_that_the_far_ends_offer_has_overtaken_is_offered_again(house: House) -> None:
    handle = await answered(house)
    await hold(house, True)
    await house.sip(Reoffer(handle, OFFER.replace(b"4000", b"4400")))
    assert b"a=sendonly" in house.user_agent.last("reanswer"), "our answer says it too"
    await house.sip(ReofferFailed(handle, 491, "Request Pending", "overtaken"))
    assert house.user_agent.verbs().count("reoffer") == 2
    await house.sip(Reanswered(handle, HELD_ANSWER.replace(b"4000", b"4400")))
    assert house.media.find("leg.connect").rtp == "192.0.2.7:4400"
    assert hold_events(house) == [("call.held", "api")]


async def test_both_ends_hold(house: House) -> None:
    handle = await answered(house)
    await house.sip(Reoffer(handle, HOLD_OFFER))
    await hold(house, True)
    await house.sip(Reanswered(handle, ANSWER + b"a=inactive\r\n"))
    assert directions(house)[-1] == "inactive"
    assert hold_events(house) == [("call.held", "caller"), ("call.held", "api")]
    await hold(house, False)
    await house.sip(Reanswered(handle, ANSWER + b"a=sendonly\r\n"))
    assert directions(house)[-1] == "recvonly"
    await house.sip(Reoffer(handle, OFFER))
    assert hold_events(house)[2:] == [("call.resumed", "api"), ("call.resumed", "caller")]


async def test_only_an_answered_leg_is_held(house: House) -> None:
    handle = await answered(house)
    with pytest.raises(LegNotFound):
        await house.manager.hold(house.record.id, new_id(), True)
    await house.sip(Ended(handle, "remote", "bye"))
    with pytest.raises(CallNotLive):
        await hold(house, True)


async def test_a_leg_that_the_media_server_cannot_mute_is_not_held(house: House) -> None:
    await answered(house)
    house.media.refuse["leg.mute"] = ("bad_state", "no")
    with pytest.raises(CallNotControllable):
        await hold(house, True)
    assert "reoffer" not in house.user_agent.verbs()


@pytest.mark.parametrize(
    ("answer", "rtp"), [(ANSWER.replace(b"4000", b"4600"), "192.0.2.7:4600"), (b"x", "192.0.2.7:4000")]
)
async def test_far_end_that_moves_while_its_session_is_refreshed_is_followed(
    house: House, answer: bytes, rtp: str
) -> None:
    handle = await answered(house)
    await house.sip(Reanswered(handle, answer, is_refresh=True))
    assert house.media.find("leg.connect").rtp == rtp
    assert house.record.state == "answered"


async def test_an_answer_that_cannot_be_used_ends_the_call(house: House) -> None:
    handle = await answered(house)
    await hold(house, True)
    await house.sip(Reanswered(handle, b"nonsense"))
    assert house.record.reason == "carrier_error"


@pytest.mark.parametrize("cause", ["gone", "session_expired", "no_prack"])
async def test_a_far_end_that_is_lost_ends_the_call_with_that_reason(house: House, cause: str) -> None:
    handle = await answered(house)
    await house.sip(Ended(handle, "local", cause))
    assert (house.record.reason, house.record.legs[0].ended_by) == ("far_end_lost", None)
    assert house.event("call.completed").data["detail"] == cause
