"""A call that is placed: where it goes, and every way in which it may not be answered."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.support.calls import ANSWER, G729_OFFER, House

from longline.base.clock import settle
from longline.base.errors import (
    BadRequest,
    CallNotFound,
    DestinationDenied,
    InvalidTarget,
    LegNotFound,
    LimitReached,
    MediaUnavailable,
    StreamNotFound,
)
from longline.calls.call_streams import MAX_STREAMS_PER_CALL
from longline.calls.originate import OriginateRequest
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.stream import StreamRequest
from longline.sip.events import Answered, Ended, Failed, Progress, Reoffer

TRUNK = {"uri": "sip:carrier.example:5070;transport=tcp", "username": "u", "password": "p"}
STREAM = {"action": "stream", "ws_url": "ws://app/", "chunk_size": 20}
FLOW_URL = "http://app/flow"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, trunks={"carrier": TRUNK})


def request(to: str = "sip:bob@192.0.2.7", **more: Any) -> OriginateRequest:
    return OriginateRequest(**({"from_number": "+15550100", "to_number": to, "flow": STREAM, "record": False} | more))


async def placed(house: House, **more: Any) -> str:
    """A call whose INVITE has been sent; its handle."""
    await house.manager.originate(request(**more))
    await settle(100)
    return next(handle for verb, handle, _ in reversed(house.user_agent.sent) if verb == "invite")


async def test_a_call_is_answered_and_streams(house: House) -> None:
    handle = await placed(house)
    await house.sip(Progress(handle, 180, "Ringing", None), Progress(handle, 180, "Ringing", None))
    await house.sip(Answered(handle, ANSWER))
    await house.stream_connects()
    await house.sip(Ended(handle, "remote", "bye"))
    assert house.told() == [
        "call.initiated",
        "call.ringing",
        "call.answered",
        "stream.initiated",
        "stream.connected",
        "stream.completed",
        "call.completed",
    ]
    assert (house.record.reason, house.record.legs[0].ended_by) == ("normal_clearing", "callee")


async def test_the_call_is_stored_and_told_before_its_invite(house: House) -> None:
    await placed(house)
    assert house.journal == ["media leg.open", "store call initiated", "told call.initiated", "sip invite"]


@pytest.mark.parametrize(
    ("to", "target"),
    [
        ("+15550101", "sip:+15550101@carrier.example:5070;transport=tcp"),
        ("sip:bob@192.0.2.7;transport=tcp", "sip:bob@192.0.2.7;transport=tcp"),
    ],
)
async def test_numbers_go_to_the_trunk_and_uris_where_they_say(house: House, to: str, target: str) -> None:
    await placed(house, to=to)
    invite = house.user_agent.last("invite")
    assert invite["target"] == target and invite["from_uri"] == "sip:+15550100@127.0.0.1:5060"


async def test_a_trunk_may_name_the_host_of_from(tmp_path: Path) -> None:
    house = House(tmp_path, trunks={"carrier": TRUNK | {"from_host": "us.example"}})
    await placed(house, to="+15550101")
    assert house.user_agent.last("invite")["from_uri"] == "sip:+15550100@us.example"


@pytest.mark.parametrize(
    "to", ["555", "+1", "bob", "sip:", "sip:bob@host\r\nX: y", "sip:bob@host> <x", "tel:+15550101"]
)
async def test_what_is_no_target_is_refused(house: House, to: str) -> None:
    with pytest.raises(InvalidTarget):
        await house.manager.originate(request(to))
    assert house.manager._calls == {}


@pytest.mark.parametrize("number", ["", "a b", "+1\r\nX: y", "x" * 65])
async def test_a_from_number_that_breaks_out_of_its_header_is_refused(house: House, number: str) -> None:
    with pytest.raises(BadRequest):
        await house.manager.originate(request(from_number=number))


@pytest.mark.parametrize("to", ["+19005550100", "sip:+19005550100@carrier.example"])
async def test_a_destination_that_is_denied_is_not_called(tmp_path: Path, to: str) -> None:
    house = House(tmp_path, trunks={"carrier": TRUNK}, access={"deny_destinations": ["+1900"]})
    with pytest.raises(DestinationDenied):
        await house.manager.originate(request(to))
    assert house.user_agent.sent == []


async def test_a_number_without_a_trunk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTarget, match="trunk"):
        await House(tmp_path).manager.originate(request("+15550101"))


@pytest.mark.parametrize(
    ("status", "cause", "reason"),
    [
        (486, "rejected", "busy"),
        (600, "rejected", "busy"),
        (408, "timeout", "no_answer"),
        (480, "rejected", "no_answer"),
        (603, "rejected", "rejected"),
        (403, "unauthorized", "rejected"),
        (404, "rejected", "rejected"),
        (487, "canceled", "canceled"),
        (500, "rejected", "carrier_error"),
        (503, "overload", "carrier_error"),
        (503, "transport", "carrier_error"),
        (504, "rejected", "carrier_error"),
    ],
)
async def test_a_refusal_has_its_reason(house: House, status: int, cause: str, reason: str) -> None:
    handle = await placed(house)
    await house.sip(Failed(handle, status, "No", cause))
    assert (house.record.state, house.record.reason) == ("failed", reason)
    unsent = {"transport": "the next hop could not be reached", "timeout": "no response came"}
    assert house.event("call.failed").data["detail"] == unsent.get(cause, f"{status} No")
    assert house.user_agent.verbs() == ["invite"]
    assert house.media.names()[-1] == "session.close"


async def test_nobody_answers_until_the_ring_timeout(house: House) -> None:
    handle = await placed(house)
    await house.sip(Progress(handle, 180, "Ringing", None))
    await house.clock.advance(59)
    assert len(house.manager.live()) == 1
    await house.clock.advance(2)
    assert house.record.reason == "no_answer" and house.user_agent.verbs()[-1] == "cancel"


async def test_an_answer_that_crosses_our_cancel_is_hung_up(house: House) -> None:
    handle = await placed(house)
    await house.clock.advance(61)
    await house.sip(Answered(handle, ANSWER))
    assert house.user_agent.verbs() == ["invite", "cancel", "bye"]
    assert house.told() == ["call.initiated", "call.failed"]


async def test_an_answered_call_does_not_time_out(house: House) -> None:
    handle = await placed(house)
    await house.sip(Answered(handle, ANSWER))
    await house.clock.advance(3600)
    assert [call.state for call in house.manager.live()] == ["answered"]


async def test_a_call_that_the_api_hangs_up_while_it_rings_is_canceled(house: House) -> None:
    await placed(house)
    await house.manager.hangup(house.record.id)
    assert house.user_agent.verbs()[-1] == "cancel" and house.record.reason == "canceled"


async def test_a_target_that_cannot_be_sent_to_is_a_carrier_error(house: House) -> None:
    house.user_agent.unreachable = True
    await house.manager.originate(request())
    await settle(100)
    assert (house.record.state, house.record.reason) == ("failed", "carrier_error")


@pytest.mark.parametrize("sdp", [None, b"hello", G729_OFFER])
async def test_an_unusable_answer_is_hung_up_at_once(house: House, sdp: bytes | None) -> None:
    handle = await placed(house)
    await house.sip(Answered(handle, sdp))
    assert house.user_agent.verbs()[-1] == "bye"
    assert (house.record.state, house.record.reason) == ("failed", "carrier_error")


async def test_an_early_answer_counts_when_the_200_has_none(house: House) -> None:
    handle = await placed(house)
    await house.sip(Progress(handle, 183, "Session Progress", ANSWER), Answered(handle, None))
    assert house.record.state == "answered" and house.media.find("leg.connect").rtp == "192.0.2.7:4000"


async def test_a_session_that_is_changed_before_the_answer_is_the_one_that_counts(house: House) -> None:
    """RFC 3311: the callee's UPDATE presumes its answer in the reliable 183; the 200 repeats what was agreed last."""
    handle = await placed(house)
    changed = ANSWER.replace(b"4000", b"4400")
    await house.sip(Progress(handle, 183, "Session Progress", ANSWER, "t1", True), Reoffer(handle, changed))
    assert house.user_agent.last("reanswer").startswith(b"v=0")
    await house.sip(Answered(handle, changed))
    assert house.record.state == "answered"
    assert house.media.find("leg.connect").rtp == "192.0.2.7:4400"
    await house.manager.hold(house.record.id, None, True)
    assert house.user_agent.verbs()[-1] == "reoffer", "no offer of ours is left open"


async def test_the_flow_is_asked_once_the_call_is_answered(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = STREAM
    handle = await placed(house, flow=None, flow_url=FLOW_URL)
    assert house.fetcher.asked == []
    await house.sip(Answered(handle, ANSWER))
    assert house.fetcher.asked == [FLOW_URL]
    assert house.told()[-3:] == ["flow.requested", "flow.received", "stream.initiated"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (FlowFailed(Reason.FLOW_TIMEOUT, "5 s"), "flow_timeout"),
        (FlowFailed(Reason.FLOW_UNREACHABLE, "refused"), "flow_unreachable"),
        ({"action": "sing"}, "flow_invalid"),
    ],
)
async def test_a_flow_that_fails_hangs_up_with_its_reason(house: House, answer: Any, reason: str) -> None:
    house.fetcher.answers[FLOW_URL] = answer
    handle = await placed(house, flow=None, flow_url=FLOW_URL)
    await house.sip(Answered(handle, ANSWER))
    assert house.record.reason == reason and f'text="{reason}"' in house.user_agent.last("bye")
    assert house.event("flow.failed").data["reason"] == reason


async def test_a_callee_who_leaves_stops_the_flow_request(house: House) -> None:
    handle = await placed(house, flow=None, flow_url=FLOW_URL)
    await house.sip(Answered(handle, ANSWER))
    await house.sip(Ended(handle, "remote", "bye"))
    assert house.flow.cancelled == 1 and house.record.reason == "normal_clearing"


async def test_without_media_the_api_is_told_and_nothing_is_stored(house: House) -> None:
    house.media.refuse["leg.open"] = ("no_ports", "all are taken")
    with pytest.raises(MediaUnavailable, match="all are taken"):
        await house.manager.originate(request())
    await settle()
    assert house.store.calls == {} and house.manager._calls == {}


async def test_one_call_too_many_is_refused(tmp_path: Path) -> None:
    house = House(tmp_path, max_calls=2)
    for _ in range(2):
        await house.manager.originate(request())
    with pytest.raises(LimitReached):
        await house.manager.originate(request())


async def test_a_stream_by_the_api_never_ends_the_call(house: House) -> None:
    handle = await placed(house)
    await house.sip(Answered(handle, ANSWER))
    call_id = house.record.id
    for reason in ("closed_by_app", "connection_lost"):
        record = await house.manager.open_stream(call_id, StreamRequest("ws://second/", sample_rate="16k"))
        assert record.state == "connecting" and house.media.find("stream.open").rate_hz == 16000
        await house.stream_closes(reason)
    assert [call.state for call in house.manager.live()] == ["answered"]


async def test_a_stream_is_closed_by_the_api_once(house: House) -> None:
    handle = await placed(house)
    await house.sip(Answered(handle, ANSWER))
    call_id = house.record.id
    opened = await house.manager.open_stream(call_id, StreamRequest("ws://second/"))
    for _ in range(2):
        closed = await house.manager.close_stream(call_id, opened.id)
        assert (closed.state, closed.reason) == ("closed", "closed_by_control")
    await house.stream_closes("closed_by_control")
    assert house.told().count("stream.completed") == 1
    with pytest.raises(StreamNotFound):
        await house.manager.close_stream(call_id, uuid4())


async def test_one_stream_too_many_is_refused(house: House) -> None:
    handle = await placed(house)
    await house.sip(Answered(handle, ANSWER))
    for _ in range(MAX_STREAMS_PER_CALL - 1):
        await house.manager.open_stream(house.record.id, StreamRequest("ws://more/"))
    with pytest.raises(LimitReached):
        await house.manager.open_stream(house.record.id, StreamRequest("ws://more/"))


async def test_calls_and_legs_that_do_not_exist_are_told_apart(house: House) -> None:
    await placed(house)
    with pytest.raises(CallNotFound):
        await house.manager.hangup(uuid4())
    with pytest.raises(LegNotFound):
        await house.manager.hangup(house.record.id, leg_id=uuid4())
    await house.manager.hangup(house.record.id, leg_id=house.record.legs[0].id)
    assert house.record.reason == "canceled"


async def test_a_hang_up_before_the_invite_leaves_sends_none(house: House) -> None:
    house.media.hold["leg.open"] = asyncio.Event()
    placing = asyncio.create_task(house.manager.originate(request()))
    await settle()
    stopping = asyncio.create_task(house.manager.stop())
    house.media.hold["leg.open"].set()
    await asyncio.gather(placing, stopping)
    assert house.user_agent.verbs() == [] and house.record.reason == "server_shutdown"
