"""`dial`: another party is called, heard, joined and let go; and every way in which it may not come."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import ANSWER, G729_OFFER, HOLD_OFFER, House

from longline.base.clock import settle
from longline.base.errors import LegNotFound
from longline.calls import call_legs
from longline.media.protocol.commands import LegMute, PlaybackStart, RecordingStart
from longline.media.protocol.events import LegDigit, PlaybackFinished
from longline.sip.events import Answered, Canceled, Ended, Failed, InfoDigit, Progress, Reoffer

FLOW_URL = "http://app/flow"
TRUNK = {"uri": "sip:carrier.example:5070"}
BOB = "sip:bob@192.0.2.9"
EARLY = ANSWER.replace(b"m=audio 4000", b"m=audio 5000")


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "media").mkdir()
    for name in ("music", "confirm", "sorry"):
        (tmp_path / "media" / f"{name}.wav").write_bytes(b"RIFF")
    return House(tmp_path, inbound={"flow_url": FLOW_URL}, trunks={"carrier": TRUNK})


async def until(house: House, command: str, count: int = 1) -> None:
    """A file is found or made in another thread: let that happen."""
    async with asyncio.timeout(5):
        while house.media.names().count(command) < count:
            await asyncio.sleep(0.001)
    await settle(100)


async def until_invited(house: House) -> str:
    async with asyncio.timeout(5):
        while "invite" not in house.user_agent.verbs():
            await asyncio.sleep(0.001)
    await settle(100)
    return next(handle for verb, handle, _ in reversed(house.user_agent.sent) if verb == "invite")


async def dialled(house: House, **more: Any) -> tuple[str, str]:
    """A caller whose flow dials: his handle, and that of the other."""
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": BOB} | more
    caller = await house.incoming()
    return caller, await until_invited(house)


async def joined(house: House, **more: Any) -> tuple[str, str]:
    caller, bob = await dialled(house, **more)
    await house.sip(Answered(bob, ANSWER))
    return caller, bob


def play(name: str, **more: Any) -> dict[str, Any]:
    return {"action": "play", "media_url": f"{name}.wav"} | more


def mutes(house: House) -> list[tuple[bool, bool]]:
    """What the dialled leg was let say and hear, one after the other."""
    leg = str(house.record.legs[1].id)
    return [(c.mutes_input, c.mutes_output) for c in house.media.commands if isinstance(c, LegMute) and c.leg == leg]


def playbacks(house: House) -> list[PlaybackStart]:
    return [command for command in house.media.commands if isinstance(command, PlaybackStart)]


async def playback_ends(house: House) -> None:
    playback = playbacks(house)[-1].playback
    await house.media_tells(PlaybackFinished(at=0.0, session=house.session.id, playback=playback, reason="completed"))


async def test_the_caller_is_answered_when_the_other_is_and_each_change_is_stored_told_and_sent(house: House) -> None:
    _caller, bob = await dialled(house)
    assert house.user_agent.verbs() == ["ring", "invite"], "nobody pays while it rings"
    await house.sip(Progress(bob, 180, "Ringing", None), Answered(bob, ANSWER))
    assert house.journal[house.journal.index("sip ring") + 1 :] == [
        "told flow.requested",
        "told flow.received",
        "media leg.open",
        "store call ringing",
        "told leg.initiated",
        "media leg.mute",
        "sip invite",
        "store call ringing",
        "told leg.ringing",
        "media leg.connect",
        "store call ringing",
        "told leg.answered",
        "media leg.connect",
        "store call answered",
        "told call.answered",
        "sip answer",
        "media leg.mute",
        "told leg.joined",
    ]
    assert mutes(house) == [(True, True), (False, False)]
    primary, other = house.record.legs
    assert (primary.role, other.role, other.parent_leg_id) == ("primary", "dial_target", primary.id)
    assert (other.state, other.direction, other.to_number) == ("answered", "outbound", BOB)


async def test_the_other_is_told_who_calls_and_gets_the_headers(house: House) -> None:
    await dialled(house, to="+15550199", custom_headers={"X-Ticket": "4711"})
    invite = house.user_agent.last("invite")
    assert invite["target"] == "sip:+15550199@carrier.example:5070"
    assert invite["from_uri"].startswith("sip:+15550100@") and invite["headers"] == [("X-Ticket", "4711")]


async def test_a_caller_without_a_number_that_can_be_told_is_anonymous(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": BOB}
    await house.incoming(from_user="a b")
    await until_invited(house)
    assert house.user_agent.last("invite")["from_uri"].startswith("sip:anonymous@")


async def test_the_other_hangs_up_and_so_the_call_ends(house: House) -> None:
    _caller, bob = await joined(house)
    await house.clock.advance(30)
    await house.sip(Ended(bob, "remote", "bye"))
    assert (house.record.state, house.record.reason) == ("completed", "normal_clearing")
    other = house.record.legs[1]
    assert (other.state, other.reason, other.ended_by) == ("completed", "normal_clearing", "callee")
    assert house.record.legs[0].ended_by == "callee"
    assert house.event("leg.completed").data["duration_seconds"] == 30
    assert house.told()[-2:] == ["leg.completed", "call.completed"]
    assert [handle for verb, handle, _ in house.user_agent.sent if verb == "bye"] == ["in1"]


async def test_the_caller_hangs_up_and_the_other_gets_bye(house: House) -> None:
    caller, bob = await joined(house)
    await house.sip(Ended(caller, "remote", "bye"))
    assert [handle for verb, handle, _ in house.user_agent.sent if verb == "bye"] == [bob]
    assert [(leg.state, leg.ended_by) for leg in house.record.legs] == [("completed", "caller")] * 2
    assert house.told()[-2:] == ["leg.completed", "call.completed"]
    assert house.manager.live() == [] and house.manager._by_handle == {}


async def test_the_caller_gives_up_while_it_rings_and_the_other_gets_cancel(house: House) -> None:
    caller, bob = await dialled(house)
    await house.sip(Canceled(caller))
    assert house.user_agent.sent[-1][:2] == ("cancel", bob)
    assert (house.record.reason, house.record.legs[1].reason) == ("canceled", "canceled")
    assert house.record.legs[1].state == "failed"


async def test_an_answer_that_crosses_the_cancel_is_hung_up(house: House) -> None:
    caller, bob = await dialled(house)
    await house.sip(Canceled(caller))
    await house.sip(Answered(bob, ANSWER))
    assert house.user_agent.verbs()[-2:] == ["cancel", "bye"] and house.user_agent.sent[-1][1] == bob
    assert "answer" not in house.user_agent.verbs() and "leg.answered" not in house.told()


async def test_the_answer_and_the_caller_who_gives_up_at_the_same_moment_leave_nothing(house: House) -> None:
    caller, bob = await dialled(house)
    await house.sip(Answered(bob, ANSWER), Canceled(caller))
    assert (house.record.state, house.record.reason) == ("failed", "canceled")
    assert [(verb, handle) for verb, handle, _ in house.user_agent.sent[2:]] == [("bye", bob)]
    assert house.media.names()[-1] == "session.close" and house.manager.live() == []


async def test_an_answer_that_comes_while_the_call_is_being_forgotten_is_hung_up(house: House) -> None:
    caller, bob = await dialled(house)
    (live,) = house.manager._calls.values()
    house.manager.on_sip_event(Canceled(caller))
    async with asyncio.timeout(5):
        while not live.is_over:
            await asyncio.sleep(0)
    house.manager.on_sip_event(Answered(bob, ANSWER))
    assert house.user_agent.sent[-1][:2] == ("bye", bob)


async def test_both_hang_up_at_once_and_neither_gets_bye(house: House) -> None:
    caller, bob = await joined(house)
    await house.sip(Ended(bob, "remote", "bye"), Ended(caller, "remote", "bye"))
    assert "bye" not in house.user_agent.verbs()
    assert house.told().count("call.completed") == 1 and house.told().count("leg.completed") == 1


@pytest.mark.parametrize(
    ("status", "reason", "branch", "sip"),
    [
        (486, "busy", "on_busy", 486),
        (480, "no_answer", "on_no_answer", 480),
        (404, "rejected", "on_failure", 603),
        (500, "carrier_error", "on_failure", 500),
    ],
)
async def test_who_does_not_come_is_told_to_the_caller_or_to_the_branch_for_it(
    house: House, status: int, reason: str, branch: str, sip: int
) -> None:
    _, bob = await dialled(house)
    await house.sip(Failed(bob, status, "No", "rejected"))
    assert (house.user_agent.last("reject"), house.record.reason) == (sip, reason)
    assert house.event("leg.failed").data["reason"] == reason

    house.user_agent.sent.clear()
    _, bob = await dialled(house, **{branch: play("sorry", loop=2)})
    await house.sip(Failed(bob, status, "No", "rejected"))
    await until(house, "playback.start")
    assert house.user_agent.verbs() == ["ring", "invite", "answer"]
    assert playbacks(house)[-1].repeat == 2
    await playback_ends(house)
    assert house.record.reason == "completed"


@pytest.mark.parametrize("branch", ["on_busy", "on_failure"])
async def test_a_nested_hangup_declines_with_what_the_other_said(house: House, branch: str) -> None:
    _, bob = await dialled(house, **{branch: {"action": "hangup"}})
    await house.sip(Failed(bob, 486, "Busy Here", "rejected"))
    assert house.user_agent.last("reject") == 486


async def test_on_failure_stands_for_the_branches_that_are_not_there(house: House) -> None:
    _, bob = await dialled(house, on_failure=play("sorry"))
    await house.sip(Failed(bob, 486, "Busy Here", "rejected"))
    await until(house, "playback.start")
    assert playbacks(house)[-1].path.endswith("sorry.wav")


async def test_nobody_answers_in_time(house: House) -> None:
    _, bob = await dialled(house, timeout=10)
    await house.sip(Progress(bob, 180, "Ringing", None))
    await house.clock.advance(9)
    assert len(house.manager.live()) == 1
    await house.clock.advance(2)
    assert ("cancel", bob, None) in house.user_agent.sent
    assert (house.record.reason, house.record.legs[1].reason) == ("no_answer", "no_answer")
    await house.sip(Answered(bob, ANSWER))
    assert house.user_agent.sent[-1][:2] == ("bye", bob), "an answer that is too late"


async def test_who_has_answered_does_not_time_out(house: House) -> None:
    await joined(house, timeout=10)
    await house.clock.advance(3600)
    assert house.record.state == "answered" and len(house.manager.live()) == 1


async def test_a_number_that_leads_nowhere_is_a_failure_of_the_dial(tmp_path: Path) -> None:
    house = House(tmp_path, inbound={"flow_url": FLOW_URL})
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": "+15550199"}
    await house.incoming()
    assert (house.user_agent.last("reject"), house.record.reason) == (500, "carrier_error")
    assert "trunk" in house.event("call.failed").data["detail"]


async def test_an_invite_that_cannot_be_sent_is_a_failure_of_the_dial(house: House) -> None:
    house.user_agent.unreachable = True
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": BOB}
    await house.incoming()
    assert house.record.reason == "carrier_error" and house.event("leg.failed").data["detail"] == "no route"


async def test_without_a_port_for_the_other_the_dial_fails(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": BOB}
    house.flow.script = refuse_ports_after(house, house.flow.script)
    await house.incoming()
    assert house.record.reason == "carrier_error" and len(house.record.legs) == 1


def refuse_ports_after(house: House, script: Any) -> Any:
    async def run(live: Any) -> None:
        house.media.refuse["leg.open"] = ("no_ports", "all are taken")
        await script(live)

    return run


async def test_an_answer_that_settles_on_nothing_is_hung_up_and_a_failure(house: House) -> None:
    _, bob = await dialled(house)
    await house.sip(Answered(bob, G729_OFFER))
    assert ("bye", bob) in [(verb, handle) for verb, handle, _ in house.user_agent.sent]
    assert house.record.reason == "carrier_error"


# --- what the caller hears meanwhile --------------------------------------------------------------------------------


async def test_early_media_is_passed_to_a_caller_who_is_not_answered(house: House) -> None:
    caller, bob = await dialled(house)
    await house.sip(Progress(bob, 183, "Session Progress", EARLY))
    assert house.user_agent.sent[-1][:2] == ("ring", caller) and house.user_agent.last("ring") is not None
    assert mutes(house)[-1] == (False, True), "heard, and hears nothing yet"
    early = house.user_agent.last("ring")
    await house.sip(Answered(bob, EARLY))
    assert house.user_agent.last("answer") == early, "RFC 3261 §13.3.1.4: the 200 says what the 183 has said"
    assert mutes(house)[-1] == (False, False)


async def test_early_media_that_comes_again_is_passed_once(house: House) -> None:
    _, bob = await dialled(house)
    other = EARLY.replace(b"5000", b"6000")
    await house.sip(*(Progress(bob, 183, "Session Progress", sdp) for sdp in (EARLY, EARLY, other)))
    assert house.user_agent.verbs().count("ring") == 2, "180, and one 183"
    assert house.media.find("leg.connect").rtp.endswith(":6000"), "another fork is heard instead"


async def test_early_media_is_not_passed_when_it_is_to_be_suppressed(house: House) -> None:
    _, bob = await dialled(house, ringback="suppress")
    assert house.user_agent.verbs() == ["ring", "answer", "invite"]
    await house.sip(Progress(bob, 183, "Session Progress", EARLY))
    assert mutes(house) == [(True, True)] and playbacks(house) == []


async def test_early_media_that_is_no_session_description_changes_nothing(house: House) -> None:
    _, bob = await dialled(house)
    await house.sip(Progress(bob, 183, "Session Progress", b"hello"))
    assert house.manager.counters["ringback_failed"] == 1 and house.user_agent.verbs().count("ring") == 1
    await house.sip(Answered(bob, ANSWER))
    assert house.record.state == "answered"


async def test_a_caller_who_made_no_offer_is_rung_without_media(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": BOB}
    await house.incoming(None)
    bob = await until_invited(house)
    await house.sip(Progress(bob, 183, "Session Progress", EARLY))
    assert house.user_agent.verbs() == ["ring", "invite"]


async def test_who_is_answered_already_hears_a_ringback_tone_until_the_other_answers(house: House) -> None:
    house.fetcher.answers |= {
        FLOW_URL: play("confirm") | {"flow_url": FLOW_URL + "2"},
        FLOW_URL + "2": {"action": "dial", "to": BOB},
    }
    await house.incoming()
    await until(house, "playback.start")
    await playback_ends(house)
    bob = await until_invited(house)
    await house.sip(Progress(bob, 180, "Ringing", None))
    await until(house, "playback.start", 2)
    tone = playbacks(house)[-1]
    assert tone.leg == house.leg_id and Path(tone.path).name == "ringback.wav" and Path(tone.path).stat().st_size > 8000
    await house.sip(Progress(bob, 180, "Ringing", None))
    assert len(playbacks(house)) == 2
    await house.sip(Answered(bob, ANSWER))
    assert house.media.find("playback.stop").playback == tone.playback


async def test_music_is_heard_by_the_caller_alone_until_the_other_answers(house: House) -> None:
    _, bob = await dialled(house, dial_music=play("music"))
    assert house.user_agent.verbs() == ["ring", "answer", "invite"], "music is for who is answered"
    (music,) = playbacks(house)
    assert music.leg == house.leg_id and music.repeat > 1000
    await house.sip(Progress(bob, 183, "Session Progress", EARLY))
    assert mutes(house) == [(True, True)] and len(playbacks(house)) == 1
    await house.sip(Answered(bob, ANSWER))
    assert house.media.find("playback.stop").playback == music.playback


async def test_music_ends_when_the_other_does_not_come(house: House) -> None:
    _, bob = await dialled(house, dial_music=play("music"), on_busy=play("sorry"))
    await house.sip(Failed(bob, 486, "Busy Here", "rejected"))
    await until(house, "playback.start", 2)
    assert house.media.names().index("playback.stop") < house.media.names().index("playback.start", 5)
    await playback_ends(house)
    assert house.record.reason == "completed"


async def test_a_file_that_is_not_there_ends_the_call_before_anybody_rings(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": BOB, "dial_music": play("nothing")}
    await house.incoming()
    async with asyncio.timeout(5):
        while "call.failed" not in house.told():
            await asyncio.sleep(0.001)
    assert house.record.reason == "flow_invalid" and "invite" not in house.user_agent.verbs()


async def test_the_confirming_sound_is_heard_by_the_other_alone_and_before_he_is_joined(house: House) -> None:
    _, bob = await dialled(house, confirm_sound=play("confirm"))
    await house.sip(Answered(bob, ANSWER))
    await until(house, "playback.start")
    assert playbacks(house)[-1].leg == str(house.record.legs[1].id)
    assert "answer" not in house.user_agent.verbs() and mutes(house)[-1] == (True, True)
    await playback_ends(house)
    assert house.user_agent.verbs()[-1] == "answer" and mutes(house)[-1] == (False, False)


async def test_who_hangs_up_during_the_confirming_sound_has_not_come(house: House) -> None:
    _, bob = await dialled(house, confirm_sound=play("confirm"), on_failure=play("sorry"))
    await house.sip(Answered(bob, ANSWER))
    await until(house, "playback.start")
    await house.sip(Ended(bob, "remote", "bye"))
    await until(house, "playback.start", 2)
    assert playbacks(house)[-1].path.endswith("sorry.wav") and "leg.joined" not in house.told()


async def test_a_confirming_sound_that_cannot_be_played_keeps_nobody_apart(house: House) -> None:
    house.media.refuse["playback.start"] = ("bad_file", "no sound")
    _, bob = await dialled(house, confirm_sound=play("confirm"))
    await house.sip(Answered(bob, ANSWER))
    assert "leg.joined" in house.told() and "no sound" in house.event("playback.failed").data["reason"]


# --- while they are joined ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "layout"), [(True, "stereo"), ("stereo", "stereo"), ("mono", "mono"), ("per_leg", "parties")]
)
async def test_only_the_time_in_which_they_are_joined_is_recorded(house: House, record: Any, layout: str) -> None:
    _, bob = await dialled(house, record=record)
    assert "recording.start" not in house.media.names()
    await house.sip(Answered(bob, ANSWER))
    (begun,) = [command for command in house.media.commands if isinstance(command, RecordingStart)]
    assert begun.layout == layout
    assert house.journal.index("sip answer") < house.journal.index("media recording.start")


async def test_one_leg_on_hold_leaves_the_other_as_it_is(house: House) -> None:
    _caller, bob = await joined(house)
    del house.media.commands[:]
    await house.sip(Reoffer(bob, HOLD_OFFER))
    connect = house.media.find("leg.connect")
    assert (connect.leg, connect.direction) == (str(house.record.legs[1].id), "recvonly")
    assert house.media.names() == ["leg.connect"] and b"a=recvonly" in house.user_agent.last("reanswer")


async def test_a_digit_says_whose_it_is(house: House) -> None:
    await joined(house)
    other = house.record.legs[1].id
    digit = LegDigit(at=0.0, session=house.session.id, leg=str(other), digit="5", duration_ms=100)
    await house.media_tells(digit)
    assert house.event("dtmf.received").leg_id == other


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (lambda leg, session: LegDigit(at=0.0, session=session, leg=leg, digit="5", duration_ms=20), ("5", 40)),
        (
            lambda leg, session: LegDigit(at=0.0, session=session, leg=leg, digit="5", duration_ms=90, method="inband"),
            None,
        ),
    ],
)
async def test_a_key_goes_on_to_the_other_unless_he_has_heard_it(house: House, event: Any, sent: Any) -> None:
    await joined(house)
    await house.media_tells(event(house.leg_id, house.session.id))
    relayed = [command for command in house.media.commands if command.name == "leg.send_dtmf"]
    if sent is None:
        assert relayed == []
    else:
        (command,) = relayed
        assert (command.digits, command.tone_ms, command.leg) == (*sent, str(house.record.legs[1].id))


async def test_a_key_told_by_info_goes_on_to_the_other(house: House) -> None:
    _caller, bob = await joined(house)
    await house.sip(InfoDigit(bob, "7", 250))
    command = house.media.find("leg.send_dtmf")
    assert (command.digits, command.tone_ms, command.leg) == ("7", 250, house.leg_id)


async def test_a_key_pressed_before_they_are_joined_goes_nowhere(house: House) -> None:
    await dialled(house, ringback="suppress")
    await house.media_tells(LegDigit(at=0.0, session=house.session.id, leg=house.leg_id, digit="5", duration_ms=90))
    assert "leg.send_dtmf" not in house.media.names()


async def test_a_key_that_cannot_be_sent_on_is_a_counter(house: House) -> None:
    house.media.refuse["leg.send_dtmf"] = ("bad_request", "it does not send")
    await joined(house)
    await house.media_tells(LegDigit(at=0.0, session=house.session.id, leg=house.leg_id, digit="5", duration_ms=90))
    assert house.manager.counters["digits_not_relayed"] == 1 and len(house.manager.live()) == 1


async def test_the_api_reaches_each_leg_by_its_id(house: House) -> None:
    _caller, bob = await joined(house)
    call_id, other = house.record.id, house.record.legs[1].id
    await house.manager.send_digits(call_id, "1", leg_id=other)
    assert house.media.find("leg.send_dtmf").leg == str(other)
    await house.manager.mute(call_id, other, True)
    assert mutes(house)[-1] == (True, False)
    await house.manager.mute(call_id, other, False)
    assert mutes(house)[-1] == (False, False)
    await house.manager.hangup(call_id, leg_id=other)
    await settle(100)
    assert [handle for verb, handle, _ in house.user_agent.sent if verb == "bye"] == [bob, "in1"]
    assert house.record.legs[1].reason == "completed"


async def test_a_leg_that_is_over_cannot_be_reached(house: House) -> None:
    _, bob = await dialled(house, on_busy=play("sorry"))
    await house.sip(Failed(bob, 486, "Busy Here", "rejected"))
    await until(house, "playback.start")
    for control in (
        house.manager.mute(house.record.id, house.record.legs[1].id, True),
        house.manager.hangup(house.record.id, leg_id=house.record.legs[1].id),
    ):
        with pytest.raises(LegNotFound):
            await control


async def test_a_muted_leg_that_joins_stays_muted(house: House) -> None:
    _, bob = await dialled(house, ringback="suppress")
    await house.manager.mute(house.record.id, house.record.legs[1].id, True)
    await house.sip(Answered(bob, ANSWER))
    assert mutes(house)[-1] == (True, False)


async def test_whoever_is_to_be_told_of_the_leg_is(house: House) -> None:
    await joined(house, status_callback_url="https://a.example/leg")
    targets = {event.type: event.target_url for event in house.events}
    assert targets["leg.initiated"] == targets["leg.joined"] == "https://a.example/leg"
    assert targets["call.answered"] is None


async def test_the_media_server_dies_and_both_get_bye(house: House) -> None:
    _caller, bob = await joined(house)
    house.session.lose("media_server_died")
    await settle(100)
    assert {handle for verb, handle, _ in house.user_agent.sent if verb == "bye"} == {"in1", bob}
    assert {leg.reason for leg in house.record.legs} == {"media_server_died"}


async def test_one_leg_too_many_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_legs, "MAX_LEGS_PER_CALL", 1)
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": BOB}
    await house.incoming()
    assert house.record.reason == "carrier_error" and house.manager.counters["legs_refused"] == 1


async def test_a_stop_of_the_node_ends_both_legs(house: House) -> None:
    _caller, bob = await joined(house)
    await house.manager.stop()
    assert {handle for verb, handle, _ in house.user_agent.sent if verb == "bye"} == {"in1", bob}
    assert json.dumps(house.event("leg.completed").data)


async def test_when_actions_follow_they_are_done_after_the_other_and_told_how_it_went(house: House) -> None:
    house.fetcher.answers |= {
        FLOW_URL: [{"action": "dial", "to": BOB}, {"action": "redirect", "flow_url": "http://app/after"}],
        "http://app/after": play("sorry"),
    }
    await house.incoming()
    bob = await until_invited(house)
    await house.sip(Failed(bob, 486, "Busy Here", "rejected"))
    await until(house, "playback.start")
    told = house.fetcher.results[-1]
    assert told.pop("leg_id").startswith("cl_")
    assert told == {"action": "dial", "reason": "busy", "was_joined": False, "duration_seconds": 0}
    await playback_ends(house)
    assert house.record.state == "completed"


async def test_the_call_outlives_the_other_when_actions_follow(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = [{"action": "dial", "to": BOB}, play("sorry")]
    await house.incoming()
    bob = await until_invited(house)
    await house.sip(Answered(bob, ANSWER))
    await house.sip(Ended(bob, "remote", "bye"))
    await until(house, "playback.start")
    assert house.record.state == "answered"
    await playback_ends(house)
    assert house.record.reason == "completed"


async def test_keys_are_pressed_toward_who_has_answered_and_talk_ends_in_time(house: House) -> None:
    _caller, bob = await joined(house, send_digits="w12", time_limit=60)
    await house.clock.advance(0.5)
    pressed = house.media.find("leg.send_dtmf")
    assert (pressed.digits, pressed.leg) == ("12", str(house.record.legs[1].id))
    await house.clock.advance(58)
    assert house.record.state == "answered"
    await house.clock.advance(2)
    assert ("bye", bob) in [(verb, handle) for verb, handle, _ in house.user_agent.sent]
    assert house.record.legs[1].reason == "completed"


async def test_the_other_may_be_told_another_caller(house: House) -> None:
    await dialled(house, from_number="+15550142")
    assert house.record.legs[1].from_number == "+15550142"
    assert house.user_agent.last("invite")["from_uri"].startswith("sip:+15550142@")
