"""A call that comes in: from its INVITE to its end, whoever ends it."""

import asyncio
from pathlib import Path

import pytest
from tests.support.calls import ANSWER, G729_OFFER, HOLD_OFFER, House
from tests.support.sealed import wav

from longline.base.clock import settle
from longline.base.errors import CallNotControllable, CallNotLive, LimitReached
from longline.calls import context
from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.presses import SAME_PRESS_S
from longline.calls.reason import Reason
from longline.media.protocol.events import LegDigit, LegDtmfSent, LegQuality, LegSpeechStarted, RecordingFinished
from longline.sip.events import Answered, Canceled, Ended, InfoDigit, Reanswered, Reoffer


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def answered(house: House) -> str:
    """A call whose flow streams, and whose stream is connected."""
    handle = await house.incoming()
    await house.stream_connects()
    return handle


async def test_each_change_is_stored_then_told_then_sent(house: House) -> None:
    await house.incoming()
    assert house.journal == [
        "media leg.open",
        "store call ringing",
        "told call.initiated",
        "told call.ringing",
        "sip ring",
        "media leg.connect",
        "store call answered",
        "told call.answered",
        "sip answer",
        "store stream connecting",
        "told stream.initiated",
        "media stream.open",
    ]


async def test_each_change_is_stored_with_what_tells_of_it(house: House) -> None:
    handle = await answered(house)
    await house.sip(Ended(handle, "remote", "bye"))
    assert house.store.transactions == [
        ["ringing", "call.initiated", "call.ringing"],
        ["answered", "call.answered"],
        ["connecting", "stream.initiated"],
        ["connected", "stream.connected"],
        ["closed", "completed", "stream.completed", "call.completed"],
    ]


async def test_the_end_is_told_once_and_in_order(house: House) -> None:
    handle = await answered(house)
    await house.clock.advance(90)
    del house.journal[:]
    await house.sip(Ended(handle, "remote", "bye"), Ended(handle, "remote", "bye"))
    assert house.journal == [
        "media session.close",
        "store stream closed",
        "store call completed",
        "told stream.completed",
        "told call.completed",
    ]
    assert house.record.reason == "normal_clearing" and house.record.legs[0].ended_by == "caller"
    assert house.event("call.completed").data["duration_seconds"] == 90
    assert house.manager.live() == []


async def test_the_application_that_closes_ends_the_call(house: House) -> None:
    await answered(house)
    await house.stream_closes()
    assert house.record.reason == "completed" and house.record.legs[0].ended_by is None
    assert house.user_agent.last("bye") == 'Q.850;cause=16;text="completed"'
    assert house.told()[-2:] == ["stream.completed", "call.completed"]


@pytest.mark.parametrize("why", ["connect_refused", "connect_timeout", "http_status", "connection_lost", "app_stalled"])
async def test_a_stream_that_fails_ends_the_call(house: House, why: str) -> None:
    await house.incoming()
    await house.stream_closes(why, None)
    assert house.record.reason == "stream_failed"
    assert house.told()[-2:] == ["stream.failed", "call.completed"]
    assert why in house.event("call.completed").data["detail"]
    assert 'text="stream_failed"' in house.user_agent.last("bye")


async def test_the_application_and_the_caller_leave_at_once(house: House) -> None:
    handle = await answered(house)
    closing = asyncio.create_task(house.stream_closes())
    house.manager.on_sip_event(Ended(handle, "remote", "bye"))
    await closing
    assert house.told().count("call.completed") == 1
    assert house.told().count("stream.completed") == 1
    assert "bye" not in house.user_agent.verbs()


async def test_a_bye_that_comes_while_we_hang_up_changes_nothing(house: House) -> None:
    handle = await answered(house)
    house.media.hold["session.close"] = asyncio.Event()
    hanging_up = asyncio.create_task(house.manager.hangup(house.record.id))
    await settle()
    house.manager.on_sip_event(Ended(handle, "remote", "bye"))
    house.media.hold["session.close"].set()
    await hanging_up
    await settle()
    assert house.record.reason == "completed"
    assert house.told().count("call.completed") == 1
    assert house.user_agent.verbs().count("bye") == 1


async def test_a_caller_who_gives_up_stops_the_flow(house: House) -> None:
    waiting = asyncio.Event()

    async def fetch_for_ever(live: LiveCall) -> None:
        await waiting.wait()

    house.flow.script = fetch_for_ever
    handle = await house.incoming()
    await house.sip(Canceled(handle))
    assert house.flow.cancelled == 1
    assert (house.record.state, house.record.reason) == ("failed", "canceled")
    assert house.record.legs[0].ended_by == "caller"
    assert house.told() == ["call.initiated", "call.ringing", "call.failed"]
    assert house.user_agent.verbs() == ["ring"]


async def test_a_caller_who_gives_up_before_it_rings_is_not_rung(house: House) -> None:
    house.media.hold["leg.open"] = asyncio.Event()
    handle = await house.incoming()
    house.manager.on_sip_event(Canceled(handle))
    house.media.hold["leg.open"].set()
    await settle(100)
    assert house.record.reason == "canceled"
    assert "answer" not in house.user_agent.verbs()


async def test_a_flow_that_is_over_before_the_answer_declines(house: House) -> None:
    async def decline(live: LiveCall) -> None:
        return None

    house.flow.script = decline
    await house.incoming()
    assert house.user_agent.last("reject") == 603
    assert (house.record.state, house.record.reason) == ("failed", "rejected")


@pytest.mark.parametrize(
    ("reason", "status"),
    [(Reason.FLOW_UNREACHABLE, 503), (Reason.FLOW_TIMEOUT, 503), (Reason.FLOW_INVALID, 500)],
)
async def test_a_flow_that_fails_before_the_answer_is_told_in_sip(house: House, reason: Reason, status: int) -> None:
    async def fail(live: LiveCall) -> None:
        raise FlowFailed(reason, "what went wrong")

    house.flow.script = fail
    await house.incoming()
    assert house.user_agent.last("reject") == status
    assert house.record.reason == str(reason)
    assert house.event("call.failed").data["detail"] == "what went wrong"


async def test_a_flow_that_fails_after_the_answer_hangs_up(house: House) -> None:
    async def fail(live: LiveCall) -> None:
        await live.answer()
        raise FlowFailed(Reason.FLOW_UNREACHABLE, "the next flow is gone")

    house.flow.script = fail
    await house.incoming()
    assert 'text="flow_unreachable"' in house.user_agent.last("bye")
    assert house.record.state == "completed"


async def test_a_fault_in_the_flow_ends_only_its_call(house: House) -> None:
    async def fault(live: LiveCall) -> None:
        raise ZeroDivisionError

    house.flow.script = fault
    await house.incoming()
    assert (house.record.reason, house.user_agent.last("reject")) == ("internal_error", 500)


async def test_an_inbound_call_that_the_api_hangs_up_while_it_rings_is_declined(house: House) -> None:
    async def wait(live: LiveCall) -> None:
        await asyncio.Event().wait()

    house.flow.script = wait
    await house.incoming()
    await house.manager.hangup(house.record.id, reason="TOO_LATE")
    assert (house.user_agent.last("reject"), house.record.reason) == (603, "canceled")
    assert house.record.properties["hangup_reason"] == "TOO_LATE"


async def test_an_offer_without_a_common_codec_gets_488_and_leaves_no_record(house: House) -> None:
    await house.incoming(G729_OFFER)
    assert house.user_agent.last("reject") == 488
    assert house.store.calls == {} and house.told() == []
    assert house.media.names()[-1] == "session.close"
    assert house.manager.counters["refused_488"] == 1


async def test_a_body_that_is_no_session_description_gets_a_4xx(house: House) -> None:
    await house.incoming(b"hello")
    assert 400 <= house.user_agent.last("reject") < 500
    assert house.store.calls == {}


@pytest.mark.parametrize("code", ["no_ports", "limit_reached", "shutting_down"])
async def test_a_media_server_without_room_gets_503(house: House, code: str) -> None:
    house.media.refuse["leg.open"] = (code, "full")
    await house.incoming()
    assert house.user_agent.last("reject") == 503


async def test_an_address_family_that_we_have_no_media_for_gets_488(house: House) -> None:
    house.media.refuse["leg.open"] = ("no_address", "there is no RTP address of that family")
    await house.incoming()
    assert house.user_agent.last("reject") == 488


async def test_no_media_server_gets_503(house: House) -> None:
    house.media.is_available = False
    await house.incoming()
    assert house.user_agent.last("reject") == 503 and house.media.commands == []


async def test_one_call_too_many_gets_503(tmp_path: Path) -> None:
    house = House(tmp_path, max_calls=1)
    first = await answered(house)
    await house.incoming()
    assert house.user_agent.last("reject") == 503
    assert house.manager.counters["refused_max_calls"] == 1
    await house.sip(Ended(first, "remote", "bye"))
    await house.incoming()
    assert house.user_agent.verbs()[-1] == "answer"


async def test_a_node_without_an_inbound_flow_gets_404(tmp_path: Path) -> None:
    house = House(tmp_path, inbound={})
    await house.incoming()
    assert house.user_agent.last("reject") == 404


async def test_the_media_servers_death_before_the_answer_gets_503(house: House) -> None:
    house.media.unavailable = {"leg.connect"}
    await house.incoming()
    assert (house.user_agent.last("reject"), house.record.reason) == (503, "media_server_died")


async def test_the_media_servers_death_ends_the_call(house: House) -> None:
    await answered(house)
    house.session.lose("media_server_died")
    await settle(100)
    assert house.record.reason == "media_server_died"
    assert 'text="media_server_died"' in house.user_agent.last("bye")
    assert house.told()[-2:] == ["stream.completed", "call.completed"]
    assert house.media.names()[-1] == "stream.open", "nothing is asked of a server that is gone"


async def test_shutting_down_ends_calls_and_takes_no_more(house: House) -> None:
    await answered(house)
    await house.manager.stop()
    assert house.record.reason == "server_shutdown"
    assert 'text="server_shutdown"' in house.user_agent.last("bye")
    await house.incoming()
    assert house.user_agent.last("reject") == 503


async def test_a_stop_gives_calls_so_long_and_no_longer(house: House) -> None:
    await answered(house)
    house.media.hold["session.close"] = asyncio.Event()
    await house.manager.stop(0.01)
    assert house.record.ended_at is None, "its media server never answered"
    await house.incoming()
    assert house.user_agent.last("reject") == 503


async def test_our_200_that_is_never_confirmed_ends_the_call(house: House) -> None:
    handle = await answered(house)
    await house.sip(Ended(handle, "local", "no_ack"))
    assert (house.record.reason, house.record.legs[0].ended_by) == ("carrier_error", None)


async def test_an_invite_without_an_offer_is_offered_one(house: House) -> None:
    handle = await house.incoming(None)
    assert house.user_agent.last("answer").startswith(b"v=0")
    assert "leg.connect" not in house.media.names()
    await house.sip(Answered(handle, ANSWER))
    assert house.media.find("leg.connect").rtp == "192.0.2.7:4000"
    assert house.told().count("call.answered") == 1


async def test_hold_connects_the_leg_again_the_other_way(house: House) -> None:
    handle = await answered(house)
    await house.sip(Reoffer(handle, HOLD_OFFER))
    assert house.media.find("leg.connect").direction == "recvonly"
    assert house.user_agent.verbs()[-1] == "reanswer"
    first, again = house.user_agent.last("answer"), house.user_agent.last("reanswer")
    assert first.split(b"o=")[1].split()[1] == again.split(b"o=")[1].split()[1], "the same session"


async def test_a_reoffer_without_an_offer_is_offered_one(house: House) -> None:
    handle = await answered(house)
    await house.sip(Reoffer(handle, None))
    assert house.user_agent.verbs()[-1] == "reanswer"
    await house.sip(Reanswered(handle, ANSWER))
    assert house.media.names().count("leg.connect") == 2


async def test_a_reoffer_that_cannot_be_met_leaves_the_call_as_it_is(house: House) -> None:
    handle = await answered(house)
    await house.sip(Reoffer(handle, G729_OFFER))
    assert house.user_agent.last("reject_reoffer") == 488
    assert len(house.manager.live()) == 1 and house.media.names().count("leg.connect") == 1


async def test_media_events_of_a_call_that_has_ended_change_nothing(house: House) -> None:
    handle = await answered(house)
    session = house.session
    await house.sip(Ended(handle, "remote", "bye"))
    told = house.told()
    session.deliver(LegDigit(at=0.0, session=session.id, leg=house.leg_id, digit="5", duration_ms=100))
    await house.stream_closes()
    session.lose("media_server_died")
    await settle(100)
    assert house.told() == told


async def test_a_digit_is_told_with_the_time_at_which_it_was_pressed(house: House) -> None:
    await answered(house)
    await house.media_tells(
        LegDigit(at=86400.5, session=house.session.id, leg=house.leg_id, digit="#", duration_ms=120)
    )
    event = house.event("dtmf.received")
    assert event.data == {"digit": "#", "duration_ms": 120, "method": "rfc4733"}
    assert event.at.timestamp() == 86400.5


async def test_a_digit_by_sip_info_takes_the_same_way(house: House) -> None:
    handle = await answered(house)
    await house.sip(InfoDigit(handle, "7", None))
    assert house.event("dtmf.received").data == {"digit": "7", "duration_ms": None, "method": "sip_info"}


async def test_a_press_by_sip_info_and_in_the_media_is_told_once(house: House) -> None:
    handle = await answered(house)

    async def by_info(digit: str) -> None:
        await house.sip(InfoDigit(handle, digit, 100))

    async def by_media(digit: str) -> None:
        await house.media_tells(
            LegDigit(at=0.0, session=house.session.id, leg=house.leg_id, digit=digit, duration_ms=100)
        )

    for press in [by_info("1"), by_media("1"), by_media("2"), by_info("2")]:
        await press
    for press in [by_media("3"), by_media("3"), by_info("3"), by_info("3")]:  # one key twice is two digits
        await press
    await by_info("4")
    await house.clock.advance(SAME_PRESS_S + 0.1)
    await by_media("4")
    told = [(event.data["digit"], event.data["method"]) for event in house.events if event.type == "dtmf.received"]
    assert told == [
        ("1", "sip_info"),
        ("2", "rfc4733"),
        ("3", "rfc4733"),
        ("3", "rfc4733"),
        ("4", "sip_info"),
        ("4", "rfc4733"),
    ]


async def test_digits_are_handed_to_the_media_server_and_told_when_sent(house: House) -> None:
    await answered(house)
    (live,) = house.manager.live()
    await house.manager.send_digits(live.id, "12", tone_ms=60)
    command = house.media.find("leg.send_dtmf")
    assert (command.digits, command.tone_ms) == ("12", 60)
    assert "12" not in repr(command).replace(command.session, "").replace(command.leg, ""), "digits may be credentials"
    sent = LegDtmfSent(
        at=1.0, session=house.session.id, leg=house.leg_id, digit="1", duration_ms=60, method="inband", left=1
    )
    await house.media_tells(sent)
    assert house.event("dtmf.sent").data == {"digit": "1", "duration_ms": 60, "method": "inband", "left": 1}


async def test_digits_that_cannot_be_sent_are_refused_with_the_reason(house: House) -> None:
    await answered(house)
    (live,) = house.manager.live()
    house.media.refuse["leg.send_dtmf"] = ("bad_request", "the leg does not send now")
    with pytest.raises(CallNotControllable, match="does not send now"):
        await house.manager.send_digits(live.id, "1")
    house.media.refuse["leg.send_dtmf"] = ("limit_reached", "limit reached: digits that wait to be sent")
    with pytest.raises(LimitReached, match="digits that wait"):
        await house.manager.send_digits(live.id, "1")


async def test_quality_and_voices_are_told_as_they_were_measured(house: House) -> None:
    await answered(house)
    quality = {"interval_ms": 10_000, "heard": {"mos_lq": 4.41}, "sent": {"mos_lq": None}}
    await house.media_tells(LegQuality(at=1.0, session=house.session.id, leg=house.leg_id, quality=quality))
    assert house.event("call.quality_measured").data == quality
    await house.media_tells(
        LegSpeechStarted(at=1.0, session=house.session.id, leg=house.leg_id, at_ms=40, level_db=-21.5)
    )
    assert house.event("speech.started").data == {"at_ms": 40, "level_db": -21.5, "probability": None}


async def test_a_recorded_call_is_told_when_its_file_is_whole(tmp_path: Path) -> None:
    house = House(tmp_path, recording=True)
    handle = await answered(house)
    command = house.media.find("recording.start")
    await house.sip(Ended(handle, "remote", "bye"))
    assert house.told()[-1] == "call.completed"
    finished = RecordingFinished(
        at=0.0, session=house.session.id, recording=command.recording, path=command.path, duration_ms=1500, bytes=48044
    )
    await house.media_tells(finished)
    assert house.told()[-1] == "recording.completed"
    (record,) = house.store.recordings.values()
    assert (record.duration_ms, record.path) == (1500, command.path)
    assert house.record.legs[0].recordings == [Path(command.path).stem]


async def test_a_recording_of_which_nothing_is_heard_is_salvaged(tmp_path: Path) -> None:
    house = House(tmp_path, recording=True)
    handle = await answered(house)
    Path(house.media.find("recording.start").path).write_bytes(wav(248))
    await house.sip(Ended(handle, "remote", "bye"))
    await house.clock.advance(6)
    assert next(iter(house.store.recordings.values())).duration_ms == 248
    assert house.told()[-1] == "recording.completed"


async def test_a_call_whose_recording_cannot_be_begun_goes_on(tmp_path: Path) -> None:
    house = House(tmp_path, recording=True)
    house.media.refuse["recording.start"] = ("internal", "the disk is full")
    await answered(house)
    assert "recording.failed" in house.told() and len(house.manager.live()) == 1


async def test_a_store_that_fails_does_not_cost_the_caller_the_call(house: House) -> None:
    house.store.broken = True
    handle = await house.incoming()
    assert house.user_agent.verbs() == ["ring", "answer"]
    await house.sip(Ended(handle, "remote", "bye"))
    assert house.manager.counters["store_failures"] > 0 and house.manager.live() == []


async def test_nothing_is_left_of_a_call_that_has_ended(house: House) -> None:
    handle = await answered(house)
    await house.sip(Ended(handle, "remote", "bye"))
    with pytest.raises(CallNotLive):
        await house.manager.hangup(house.record.id)
    assert house.manager._calls == {} and house.manager._by_handle == {} and house.manager._tasks == {}


async def test_a_hung_up_call_takes_no_stream(house: House) -> None:
    lives: list[LiveCall] = []

    async def keep(live: LiveCall) -> None:
        lives.append(live)
        await asyncio.Event().wait()

    house.flow.script = keep
    await house.incoming()
    with pytest.raises(CallNotLive):
        await lives[0].start_playback(Path("x.wav"), "x.wav")
    await house.manager.hangup(house.record.id)
    with pytest.raises(CallNotLive):
        await lives[0].answer()


async def test_what_only_observes_a_call_is_told_up_to_a_bound(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MAX_OBSERVATIONS", 3)
    handle = await answered(house)
    session = house.session
    for _ in range(5):
        session.deliver(LegDigit(at=0.0, session=session.id, leg=house.leg_id, digit="5", duration_ms=100))
    await settle()
    await house.sip(Ended(handle, "remote", "bye"))
    told = [event.type for event in house.events]
    assert told.count("dtmf.received") == 3
    assert house.manager.counters["observations_dropped"] == 2
    assert "call.completed" in told


async def test_whom_a_call_was_for_before_is_kept_with_it(house: House) -> None:
    await house.incoming(headers=(("Diversion", "<sip:+15550188@carrier.example>;reason=no-answer"),))
    assert house.record.properties["diversions"] == [{"number": "+15550188", "reason": "no-answer"}]
    await house.incoming()
    assert "diversions" not in house.record.properties
