"""A far end that transfers its call by REFER: who stays, who goes, what is told, and what may cross."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import ANSWER, House

from longline.base.clock import settle
from longline.sip.events import Answered, Ended, Failed, Progress, Referred

BOB, CAROL = "sip:bob@192.0.2.9", "sip:carol@192.0.2.10"
FLOW_URL = "http://app/flow"
TRUNK = {"uri": "sip:carrier.example:5070"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, trunks={"carrier": TRUNK})


async def until_invited(house: House, count: int) -> str:
    async with asyncio.timeout(5):
        while house.user_agent.verbs().count("invite") < count:
            await asyncio.sleep(0.001)
    await settle(100)
    return next(handle for verb, handle, _ in reversed(house.user_agent.sent) if verb == "invite")


async def talking(house: House) -> str:
    """A caller with an application."""
    handle = await house.incoming()
    await house.stream_connects()
    return handle


async def bridged(tmp_path: Path, **settings: Any) -> tuple[House, str, str]:
    """A caller with Bob."""
    house = House(tmp_path, inbound={"flow_url": FLOW_URL}, **settings)
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": BOB}
    caller = await house.incoming()
    bob = await until_invited(house, 1)
    await house.sip(Answered(bob, ANSWER))
    return house, caller, bob


async def refers(house: House, handle: str, to: str = CAROL, **more: Any) -> str:
    """The handle of whom the REFER wants called."""
    before = house.user_agent.verbs().count("invite")
    await house.sip(Referred(handle, "r1", to, **more))
    return await until_invited(house, before + 1)


def notified(house: House) -> list[int]:
    return [status for verb, _, status in house.user_agent.sent if verb == "notify_refer"]


def byes(house: House) -> list[str]:
    return [handle for verb, handle, _ in house.user_agent.sent if verb == "bye"]


async def test_the_caller_leaves_the_application_to_somebody_else(house: House) -> None:
    caller = await talking(house)
    carol = await refers(house, caller, referred_by="<sip:a@b>")
    assert house.user_agent.verbs()[-2:] == ["accept_refer", "invite"]
    assert house.user_agent.last("invite")["headers"] == [("Referred-By", "<sip:a@b>")]
    await house.sip(Progress(carol, 180, "Ringing", None), Answered(carol, ANSWER))
    async with asyncio.timeout(5):
        while "leg.joined" not in house.told():  # the tone is made in another thread
            await asyncio.sleep(0.001)
    assert notified(house) == [180, 200] and byes(house) == [caller]
    assert "stream.completed" not in house.told() and len(house.manager.live()) == 1
    assert [leg.state for leg in house.record.legs] == ["completed", "answered"]
    assert house.event("call.transfer.completed").data["referred_by"].startswith("cl_")
    await house.sip(Ended(carol, "remote", "bye"))
    assert (house.record.state, house.record.reason) == ("completed", "normal_clearing")
    assert house.event("call.completed").data["ended_by"] == "callee"
    assert house.told()[-1] == "call.completed"


async def test_what_the_media_server_has_seen_of_the_first_is_kept_when_he_leaves(house: House) -> None:
    caller = await talking(house)
    primary = house.record.legs[0].id
    carol = await refers(house, caller)
    house.media.stats["leg.close"] = {"packets_received": 7}
    await house.sip(Answered(carol, ANSWER))
    house.media.stats["session.close"] = {"legs": {str(house.record.legs[1].id): {"packets_received": 9}}}
    await house.sip(Ended(carol, "remote", "bye"))
    assert house.record.properties["media"] == {"packets_received": 7} and house.record.legs[0].id == primary


async def test_a_phone_that_hangs_up_as_soon_as_it_has_transferred_does_not_end_the_call(house: House) -> None:
    caller = await talking(house)
    carol = await refers(house, caller)
    await house.sip(Ended(caller, "remote", "bye"))
    assert len(house.manager.live()) == 1 and house.record.legs[0].state == "completed"
    await house.sip(Answered(carol, ANSWER))
    assert byes(house) == [] and "leg.joined" in house.told()
    await house.stream_closes()
    assert byes(house) == [carol] and house.record.reason == "completed"


async def test_when_nobody_comes_and_the_phone_has_left_the_call_ends(house: House) -> None:
    caller = await talking(house)
    carol = await refers(house, caller)
    await house.sip(Ended(caller, "remote", "bye"))
    await house.sip(Failed(carol, 486, "Busy Here", "rejected"))
    assert notified(house) == [486] and house.record.reason == "normal_clearing"
    assert house.manager.live() == []


async def test_when_nobody_comes_the_phone_is_told_and_stays(house: House) -> None:
    caller = await talking(house)
    carol = await refers(house, caller)
    await house.sip(Failed(carol, 486, "Busy Here", "rejected"))
    assert notified(house) == [486] and len(house.manager.live()) == 1
    assert house.event("call.transfer.failed").data["reason"] == "busy"
    await refers(house, caller)  # and may try again


async def test_the_application_that_leaves_while_it_rings_leaves_nobody(house: House) -> None:
    caller = await talking(house)
    carol = await refers(house, caller)
    await house.stream_closes()
    assert house.user_agent.sent[-1][:2] in (("cancel", carol), ("bye", caller)) and house.manager.live() == []


async def test_the_caller_leaves_the_other_of_a_bridge_to_somebody_else(tmp_path: Path) -> None:
    house, caller, bob = await bridged(tmp_path)
    carol = await refers(house, caller)
    await house.sip(Ended(caller, "remote", "bye"), Answered(carol, ANSWER))
    assert len(house.manager.live()) == 1 and byes(house) == []
    assert [leg.state for leg in house.record.legs] == ["completed", "answered", "answered"]
    await house.sip(Ended(bob, "remote", "bye"))
    assert byes(house) == [carol] and house.record.state == "completed"


async def test_the_other_of_a_bridge_leaves_the_caller_to_somebody_else(tmp_path: Path) -> None:
    house, caller, bob = await bridged(tmp_path, access={"transfers": "everyone"})
    carol = await refers(house, bob)
    await house.sip(Progress(carol, 180, "Ringing", None))
    async with asyncio.timeout(5):
        while "playback.start" not in house.media.names():
            await asyncio.sleep(0.001)
    assert house.media.find("playback.start").leg == house.leg_id, "the caller hears that it rings"
    await house.sip(Answered(carol, ANSWER))
    assert byes(house) == [bob] and len(house.manager.live()) == 1
    await house.sip(Ended(carol, "remote", "bye"))
    assert byes(house) == [bob, caller] and house.record.state == "completed"


async def test_the_other_of_a_bridge_may_hang_up_as_soon_as_it_has_transferred(tmp_path: Path) -> None:
    house, caller, bob = await bridged(tmp_path, access={"transfers": "everyone"})
    carol = await refers(house, bob)
    await house.sip(Ended(bob, "remote", "bye"))
    assert len(house.manager.live()) == 1
    await house.sip(Answered(carol, ANSWER))
    assert byes(house) == [] and len(house.manager.live()) == 1
    await house.sip(Ended(caller, "remote", "bye"))
    assert byes(house) == [carol]


async def test_who_was_transferred_to_may_transfer_again(tmp_path: Path) -> None:
    house = House(tmp_path, access={"transfers": "everyone"})
    caller = await talking(house)
    carol = await refers(house, caller)
    await house.sip(Answered(carol, ANSWER))
    dave = await refers(house, carol, "sip:dave@192.0.2.11")
    await house.sip(Ended(carol, "remote", "bye"))
    assert len(house.manager.live()) == 1
    await house.sip(Answered(dave, ANSWER))
    assert "stream.completed" not in house.told() and len(house.manager.live()) == 1
    await house.sip(Ended(dave, "remote", "bye"))
    assert house.manager.live() == []


@pytest.mark.parametrize(
    ("settings", "to", "status"),
    [
        ({"access": {"transfers": "nobody"}}, CAROL, 403),
        ({"access": {"deny_destinations": ["+1900"]}, "trunks": {"carrier": TRUNK}}, "tel:+1-900-555-0100", 403),
        ({}, "tel:+15550199", 404),
        ({}, "tel:555", 404),
        ({}, "sip:a b@c", 404),
    ],
)
async def test_a_refer_that_is_not_carried_out_says_why(
    tmp_path: Path, settings: dict[str, Any], to: str, status: int
) -> None:
    house = House(tmp_path, **settings)
    caller = await talking(house)
    await house.sip(Referred(caller, "r1", to))
    assert house.user_agent.sent[-1] == ("reject_refer", "r1", status)
    assert house.manager.counters["referrals_refused"] == 1 and len(house.manager.live()) == 1


async def test_who_was_called_outside_of_this_node_may_not_transfer(tmp_path: Path) -> None:
    house, _, bob = await bridged(tmp_path)
    await house.sip(Referred(bob, "r1", CAROL))
    assert house.user_agent.sent[-1] == ("reject_refer", "r1", 403)


async def test_a_caller_from_a_trunk_may_not_transfer_and_a_phone_may(tmp_path: Path) -> None:
    house = House(tmp_path)
    for peer, verb in (("carrier", "reject_refer"), ("phone:alice", "accept_refer")):
        caller = await house.incoming(peer=peer)
        await house.stream_connects()
        await house.sip(Referred(caller, "r", CAROL))
        assert verb in house.user_agent.verbs()


async def test_a_number_at_this_node_goes_to_a_trunk(house: House) -> None:
    caller = await talking(house)
    await refers(house, caller, "sip:+15550199@127.0.0.1")
    assert house.user_agent.last("invite")["target"] == "sip:+15550199@carrier.example:5070"


async def test_a_second_refer_has_to_wait(house: House) -> None:
    caller = await talking(house)
    await refers(house, caller)
    await house.sip(Referred(caller, "r2", BOB))
    assert house.user_agent.sent[-1] == ("reject_refer", "r2", 491)


async def test_a_call_that_there_is_not_cannot_be_joined(house: House) -> None:
    caller = await talking(house)
    for replaced in ("in9", caller):
        await house.sip(Referred(caller, "r1", CAROL, replaces="x", replaced=replaced))
        assert house.user_agent.sent[-1] == ("reject_refer", "r1", 404)


async def test_a_refer_of_a_call_that_is_over_is_refused(house: House) -> None:
    caller = await talking(house)
    await house.sip(Ended(caller, "remote", "bye"))
    await house.sip(Referred(caller, "r1", CAROL))
    assert house.user_agent.sent[-1] == ("reject_refer", "r1", 481)


async def test_the_api_controls_whoever_took_the_place_of_the_first(house: House) -> None:
    caller = await talking(house)
    carol = await refers(house, caller)
    await house.sip(Answered(carol, ANSWER))
    await house.manager.send_digits(house.record.id, "1")
    assert house.media.find("leg.send_dtmf").leg == str(house.record.legs[1].id)
    await house.manager.hangup(house.record.id)
    assert byes(house) == [caller, carol]
