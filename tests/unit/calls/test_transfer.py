"""A live call is given to somebody else by the API: who hears whom, what becomes of the flow, and what may go wrong."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import ANSWER, House
from tests.support.egress import open_guard
from tests.support.http import raw_server, response

from longline.base.clock import settle
from longline.base.errors import CallNotLive, InvalidTarget, LegNotFound, LimitReached, TransferInProgress
from longline.base.ids import encode_id
from longline.calls import live_call
from longline.calls.bridge import DialRequest
from longline.calls.lead import Transfer
from longline.flows import verbs
from longline.flows.controls import CallControls, PlayOrder
from longline.flows.media_files import MediaFiles
from longline.flows.sounds import Sounds
from longline.flows.transfer import TransferOrder
from longline.media.protocol.commands import PlaybackStart
from longline.media.protocol.events import LegDigit, PlaybackFinished
from longline.sip.events import Answered, Ended, Failed, Progress

BOB, CAROL = "sip:bob@192.0.2.9", "sip:carol@192.0.2.10"


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "media").mkdir()
    for name in ("music", "sorry"):
        (tmp_path / "media" / f"{name}.wav").write_bytes(b"RIFF")
    return House(tmp_path)


@pytest.fixture
def controls(house: House, tmp_path: Path) -> CallControls:
    return CallControls(house.manager, Sounds(MediaFiles(tmp_path / "media", tmp_path / "spool", open_guard())))


def order(to: str = BOB, *, ringback: str = "suppress", timeout: int = 30, **sounds: Any) -> TransferOrder:
    request = DialRequest(to, timeout, role="transfer_target", ringback=ringback)  # type: ignore[arg-type]
    return TransferOrder(request, **sounds)


def sound(name: str) -> verbs.PlaySound:
    return verbs.PlaySound(action="play", media_url=f"{name}.wav")


async def talking(house: House) -> str:
    """A caller with an application."""
    handle = await house.incoming()
    await house.stream_connects()
    return handle


async def until_sent(house: House, verb: str, count: int = 1) -> str:
    async with asyncio.timeout(5):
        while house.user_agent.verbs().count(verb) < count:
            await asyncio.sleep(0.001)
    await settle(100)
    return next(handle for name, handle, _ in reversed(house.user_agent.sent) if name == verb)


async def transferring(house: House, controls: CallControls, **more: Any) -> tuple[Transfer, str]:
    """The transfer, and the handle of the other."""
    before = house.user_agent.verbs().count("invite")
    transfer = await controls.transfer(house.record.id, order(**more))
    return transfer, await until_sent(house, "invite", before + 1)


def playbacks(house: House) -> list[PlaybackStart]:
    return [command for command in house.media.commands if isinstance(command, PlaybackStart)]


async def until_told(house: House, event: str) -> None:
    async with asyncio.timeout(5):
        while event not in house.told():
            await asyncio.sleep(0.001)
    await settle(100)


async def test_the_application_stays_until_the_other_answers_and_is_then_let_go(
    house: House, controls: CallControls
) -> None:
    await talking(house)
    transfer, bob = await transferring(house, controls)
    await house.sip(Progress(bob, 180, "Ringing", None))
    assert "stream.completed" not in house.told() and playbacks(house) == []
    await house.sip(Answered(bob, ANSWER))
    assert house.told()[-4:] == ["leg.answered", "call.transfer.completed", "leg.joined", "stream.completed"]
    assert house.media.names()[-1] == "stream.close" and house.manager.live()[0].state == "answered"
    told = house.event("call.transfer.completed").data
    assert told["operation_id"] == encode_id("op", transfer.id)
    assert told["target_leg_id"] == encode_id("cl", house.record.legs[1].id)
    assert (house.record.legs[1].role, house.record.legs[1].state) == ("transfer_target", "answered")


async def test_the_call_ends_when_one_of_the_two_hangs_up(house: House, controls: CallControls) -> None:
    await talking(house)
    _, bob = await transferring(house, controls)
    await house.sip(Answered(bob, ANSWER))
    await house.sip(Ended(bob, "remote", "bye"))
    assert (house.record.reason, house.record.legs[0].ended_by) == ("normal_clearing", "callee")
    assert house.user_agent.sent[-1][:2] == ("bye", "in1") and house.manager.live() == []


async def test_the_caller_hangs_up_while_the_other_rings(house: House, controls: CallControls) -> None:
    caller = await talking(house)
    _, bob = await transferring(house, controls)
    await house.sip(Ended(caller, "remote", "bye"))
    assert house.user_agent.sent[-1][:2] == ("cancel", bob)
    assert house.record.reason == "normal_clearing" and "call.transfer.completed" not in house.told()


@pytest.mark.parametrize(("status", "reason"), [(486, "busy"), (480, "no_answer"), (603, "rejected")])
async def test_a_transfer_that_fails_leaves_the_caller_with_the_application(
    house: House, controls: CallControls, status: int, reason: str
) -> None:
    await talking(house)
    _, bob = await transferring(house, controls)
    await house.sip(Failed(bob, status, "No", "rejected"))
    assert house.event("call.transfer.failed").data["reason"] == reason
    assert len(house.manager.live()) == 1 and "stream.completed" not in house.told()
    await transferring(house, controls, to=CAROL)  # and another may be tried


async def test_nobody_answers_in_time(house: House, controls: CallControls) -> None:
    await talking(house)
    _, bob = await transferring(house, controls, timeout=5)
    await house.clock.advance(6)
    assert house.user_agent.sent[-1][:2] == ("cancel", bob)
    assert house.event("call.transfer.failed").data["reason"] == "no_answer" and len(house.manager.live()) == 1


async def test_the_application_that_leaves_meanwhile_does_not_end_the_call(
    house: House, controls: CallControls
) -> None:
    await talking(house)
    _, bob = await transferring(house, controls)
    await house.stream_closes()
    assert len(house.manager.live()) == 1
    await house.sip(Answered(bob, ANSWER))
    assert "leg.joined" in house.told() and len(house.manager.live()) == 1


@pytest.mark.parametrize(("why", "reason"), [("closed_by_app", "completed"), ("connection_lost", "stream_failed")])
async def test_when_the_application_left_a_transfer_that_fails_ends_the_call_as_it_would_have_ended(
    house: House, controls: CallControls, why: str, reason: str
) -> None:
    await talking(house)
    _, bob = await transferring(house, controls)
    await house.stream_closes(why)
    await house.sip(Failed(bob, 486, "Busy Here", "rejected"))
    assert house.record.reason == reason and house.told()[-1] == "call.completed"


async def test_only_one_transfer_at_a_time(house: House, controls: CallControls) -> None:
    await talking(house)
    _, bob = await transferring(house, controls)
    with pytest.raises(TransferInProgress):
        await controls.transfer(house.record.id, order(CAROL))
    await house.sip(Answered(bob, ANSWER))
    _, carol = await transferring(house, controls, to=CAROL)
    await house.sip(Answered(carol, ANSWER))
    assert [handle for verb, handle, _ in house.user_agent.sent if verb == "bye"] == [bob], "the second takes over"
    assert [leg.state for leg in house.record.legs] == ["answered", "completed", "answered"]
    await house.sip(Ended(carol, "remote", "bye"))
    assert house.record.state == "completed"


async def test_who_was_dialled_by_a_flow_is_replaced(tmp_path: Path) -> None:
    house = House(tmp_path, inbound={"flow_url": "http://app/flow"})
    controls = CallControls(house.manager, Sounds(MediaFiles(tmp_path, tmp_path / "spool", open_guard())))
    house.fetcher.answers["http://app/flow"] = {"action": "dial", "to": BOB}
    await house.incoming()
    bob = await until_sent(house, "invite")
    await house.sip(Answered(bob, ANSWER))
    _, carol = await transferring(house, controls, to=CAROL)
    await house.sip(Answered(carol, ANSWER))
    assert [handle for verb, handle, _ in house.user_agent.sent if verb == "bye"] == [bob]
    assert len(house.manager.live()) == 1


async def test_a_flow_whose_party_leaves_during_a_transfer_waits_for_it(tmp_path: Path) -> None:
    house = House(tmp_path, inbound={"flow_url": "http://app/flow"})
    controls = CallControls(house.manager, Sounds(MediaFiles(tmp_path, tmp_path / "spool", open_guard())))
    house.fetcher.answers["http://app/flow"] = {"action": "dial", "to": BOB}
    await house.incoming()
    bob = await until_sent(house, "invite")
    await house.sip(Answered(bob, ANSWER))
    _, carol = await transferring(house, controls, to=CAROL)
    await house.sip(Ended(bob, "remote", "bye"))
    assert len(house.manager.live()) == 1
    await house.sip(Failed(carol, 486, "Busy Here", "rejected"))
    assert (house.record.reason, house.record.legs[0].ended_by) == ("normal_clearing", "callee")


async def test_a_call_that_is_not_answered_cannot_be_transferred(house: House, controls: CallControls) -> None:
    async def wait(_live: Any) -> None:
        await asyncio.Event().wait()

    house.flow.script = wait
    await house.incoming()
    with pytest.raises(CallNotLive):
        await controls.transfer(house.record.id, order())


async def test_a_target_that_leads_nowhere_is_refused_at_once_and_no_transfer_is_in_progress(
    house: House, controls: CallControls
) -> None:
    await talking(house)
    with pytest.raises(InvalidTarget):
        await controls.transfer(house.record.id, order("+15550199"))
    await transferring(house, controls)


async def test_music_and_what_is_played_when_nobody_comes(house: House, controls: CallControls) -> None:
    await talking(house)
    _, bob = await transferring(house, controls, dial_music=sound("music"), on_failure=sound("sorry"))
    assert playbacks(house)[0].leg == house.leg_id
    await house.sip(Failed(bob, 486, "Busy Here", "rejected"))
    async with asyncio.timeout(5):
        while len(playbacks(house)) < 2:
            await asyncio.sleep(0.001)
    assert house.media.names().count("playback.stop") == 1 and playbacks(house)[1].path.endswith("sorry.wav")
    with pytest.raises(TransferInProgress):
        await controls.transfer(house.record.id, order(CAROL))
    playback = playbacks(house)[1].playback
    await house.media_tells(PlaybackFinished(at=0.0, session=house.session.id, playback=playback, reason="completed"))
    assert len(house.manager.live()) == 1 and "stream.completed" not in house.told()


async def test_a_caller_may_be_hung_up_when_nobody_comes(house: House, controls: CallControls) -> None:
    await talking(house)
    _, bob = await transferring(house, controls, on_failure=verbs.NestedHangup(action="hangup"))
    await house.sip(Failed(bob, 486, "Busy Here", "rejected"))
    assert house.record.reason == "completed"


async def test_music_that_is_not_there_fails_the_transfer_and_not_the_call(
    house: House, controls: CallControls
) -> None:
    await talking(house)
    await controls.transfer(house.record.id, order(dial_music=sound("nothing")))
    await until_told(house, "call.transfer.failed")
    assert "nothing.wav" in house.event("call.transfer.failed").data["detail"]
    assert len(house.manager.live()) == 1 and "invite" not in house.user_agent.verbs()


async def test_a_fault_of_ours_fails_the_transfer_and_not_the_call(
    house: House, controls: CallControls, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talking(house)

    async def fault(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("longline.flows.controls.carry_out", fault)
    await controls.transfer(house.record.id, order())
    await until_told(house, "call.transfer.failed")
    assert house.event("call.transfer.failed").data["reason"] == "internal_error"
    assert len(house.manager.live()) == 1


# --- play, by the API -----------------------------------------------------------------------------------------------


async def test_a_file_is_played_to_one_leg_and_a_key_of_it_stops_it(house: House, controls: CallControls) -> None:
    await talking(house)
    playback_id = await controls.play(house.record.id, PlayOrder("music.wav", repeat=3))
    await until_told(house, "playback.started")
    (command,) = playbacks(house)
    assert (command.leg, command.repeat, command.playback) == (house.leg_id, 3, str(playback_id))
    digit = LegDigit(at=0.0, session=house.session.id, leg=house.leg_id, digit="5", duration_ms=100)
    await house.media_tells(digit)
    assert house.event("playback.finished").data["reason"] == "stopped" and "dtmf.received" in house.told()


async def test_a_key_may_be_ignored(house: House, controls: CallControls) -> None:
    await talking(house)
    await controls.play(house.record.id, PlayOrder("music.wav", stops_on_digit=False))
    await until_told(house, "playback.started")
    digit = LegDigit(at=0.0, session=house.session.id, leg=house.leg_id, digit="5", duration_ms=100)
    await house.media_tells(digit)
    assert "playback.stop" not in house.media.names()


async def test_a_file_that_cannot_be_had_is_told_of(house: House, controls: CallControls) -> None:
    await talking(house)
    playback_id = await controls.play(house.record.id, PlayOrder("nothing.wav"))
    await until_told(house, "playback.failed")
    failed = house.event("playback.failed").data
    assert failed["playback_id"] == encode_id("pb", playback_id) and "nothing.wav" in failed["reason"]
    house.media.refuse["playback.start"] = ("bad_file", "MPEG audio is not supported")
    house.events.clear()
    await controls.play(house.record.id, PlayOrder("music.wav"))
    await until_told(house, "playback.failed")
    assert "MPEG" in house.event("playback.failed").data["reason"] and len(house.manager.live()) == 1


async def test_play_needs_a_live_leg_and_has_a_bound(
    house: House, controls: CallControls, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talking(house)
    monkeypatch.setattr(live_call, "MAX_WORK_PER_CALL", 1)
    call_id = house.record.id
    with pytest.raises(LegNotFound):
        await controls.play(call_id, PlayOrder("music.wav", leg_id=call_id))
    await controls.play(call_id, PlayOrder("music.wav"))
    with pytest.raises(LimitReached):
        await controls.play(call_id, PlayOrder("music.wav"))


async def test_the_spool_is_empty_when_the_caller_leaves_while_it_is_played(
    house: House, controls: CallControls, tmp_path: Path
) -> None:
    caller = await talking(house)
    async with raw_server(sound=response(b"RIFF1234")) as server:
        await controls.play(house.record.id, PlayOrder(f"{server.url}/sound"))
        await until_told(house, "playback.started")
    assert list((tmp_path / "spool").iterdir()) != []
    await house.sip(Ended(caller, "remote", "bye"))
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_prompt_stops_when_a_transfer_takes_the_call_over(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "music.wav").write_bytes(b"RIFF")
    house = House(tmp_path, inbound={"flow_url": "http://app/flow"})
    house.fetcher.answers["http://app/flow"] = {"action": "play", "media_url": "music.wav"}
    await house.incoming()
    async with asyncio.timeout(5):
        while not playbacks(house):
            await asyncio.sleep(0.001)
    controls = CallControls(house.manager, house.sounds)
    _, bob = await transferring(house, controls)
    assert "playback.stop" not in house.media.names()
    await house.sip(Answered(bob, ANSWER))
    assert house.media.find("playback.stop").playback == playbacks(house)[0].playback
    assert house.record.state == "answered"
