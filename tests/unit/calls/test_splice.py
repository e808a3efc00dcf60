"""A phone with two calls at this node makes them one (attended transfer): who stays, and how the two end together."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import ANSWER, House

from longline.base.clock import settle
from longline.calls.reason import Reason
from longline.media.protocol.commands import LegConnect
from longline.media.protocol.events import LegDigit
from longline.sip.events import Answered, Ended, Referred
from longline.store.records import CallRecord

BOB, CAROL = "sip:bob@192.0.2.9", "sip:carol@192.0.2.10"
FLOW_URL = "http://app/flow"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, inbound={"flow_url": FLOW_URL})


async def dialled(house: House, to: str) -> tuple[str, str]:
    """A call of the phone to somebody: the phone's handle, and the other's."""
    house.fetcher.answers[FLOW_URL] = {"action": "dial", "to": to}
    before = house.user_agent.verbs().count("invite")
    phone = await house.incoming()
    async with asyncio.timeout(5):
        while house.user_agent.verbs().count("invite") == before:
            await asyncio.sleep(0.001)
    await settle(100)
    other = next(handle for verb, handle, _ in reversed(house.user_agent.sent) if verb == "invite")
    await house.sip(Answered(other, ANSWER))
    return phone, other


async def spliced(house: House) -> tuple[tuple[str, str], tuple[str, str]]:
    """The phone has called Bob and then Carol, and makes the two calls one."""
    first, second = await dialled(house, BOB), await dialled(house, CAROL)
    await house.sip(Referred(first[0], "r1", CAROL, replaces="x", replaced=second[0]))
    await settle(200)
    return first, second


def byes(house: House) -> list[str]:
    return [handle for verb, handle, _ in house.user_agent.sent if verb == "bye"]


def calls(house: House) -> list[CallRecord]:
    return list(house.store.calls.values())


def links(house: House) -> list[LegConnect]:
    """What the media server was told of the two links."""
    names = {str(leg.id) for call in calls(house) for leg in call.legs if leg.role == "transfer_target"}
    return [command for command in house.media.commands if isinstance(command, LegConnect) and command.leg in names]


async def test_the_phone_leaves_both_calls_and_the_two_others_are_linked(house: House) -> None:
    (phone, _), (phone_again, _) = await spliced(house)
    assert house.user_agent.last("notify_refer") == 200
    assert sorted(byes(house)) == sorted([phone, phone_again]) and len(house.manager.live()) == 2
    one, other = links(house)
    opened = [command for command in house.media.commands if command.name == "leg.open"][-2:]
    assert [one.session, other.session] == [command.session for command in opened]
    assert one.rtp != other.rtp and one.session != other.session
    for call in calls(house):
        assert [leg.state for leg in call.legs] == ["completed", "answered", "answered"]
    assert calls(house)[0].legs[2].to_number == CAROL and calls(house)[1].legs[2].to_number == BOB
    assert house.event("call.transfer.completed").call_id == calls(house)[0].id


@pytest.mark.parametrize("who", [0, 1])
async def test_when_one_of_the_two_hangs_up_both_calls_end(house: House, who: int) -> None:
    pairs = await spliced(house)
    del house.user_agent.sent[:]
    await house.sip(Ended(pairs[who][1], "remote", "bye"))
    await settle(200)
    assert byes(house) == [pairs[1 - who][1]] and house.manager.live() == []
    assert {call.reason for call in calls(house)} == {"normal_clearing"}
    assert house.told().count("call.completed") == 2


async def test_the_api_ends_one_call_and_so_the_other(house: House) -> None:
    await spliced(house)
    await house.manager.hangup(calls(house)[0].id)
    await settle(200)
    assert house.manager.live() == [] and len(byes(house)) == 4


async def test_a_phone_that_hangs_up_both_before_they_are_one_ends_neither(house: House) -> None:
    first, second = await dialled(house, BOB), await dialled(house, CAROL)
    house.media.hold["leg.open"] = asyncio.Event()
    await house.sip(Referred(first[0], "r1", CAROL, replaces="x", replaced=second[0]))
    await house.sip(Ended(second[0], "remote", "bye"), Ended(first[0], "remote", "bye"))
    house.media.hold["leg.open"].set()
    await settle(300)
    assert len(house.manager.live()) == 2 and byes(house) == []
    await house.sip(Ended(first[1], "remote", "bye"))
    await settle(200)
    assert house.manager.live() == [] and byes(house) == [second[1]]


async def test_a_splice_that_fails_ends_the_call_that_the_phone_has_left(house: House) -> None:
    first, second = await dialled(house, BOB), await dialled(house, CAROL)
    house.media.hold["leg.open"] = asyncio.Event()
    await house.sip(Referred(first[0], "r1", CAROL, replaces="x", replaced=second[0]))
    await house.sip(Ended(second[0], "remote", "bye"))
    house.media.refuse["leg.open"] = ("no_ports", "all are taken")
    house.media.hold["leg.open"].set()
    await settle(300)
    assert [call.id for call in house.manager.live()] == [calls(house)[0].id] and byes(house) == [second[1]]


async def test_a_call_that_ends_with_its_splice_not_begun_leaves_the_other_as_it_was(house: House) -> None:
    first, second = await dialled(house, BOB), await dialled(house, CAROL)
    house.manager.on_sip_event(Referred(first[0], "r1", CAROL, replaces="x", replaced=second[0]))
    house.manager.on_sip_event(Ended(first[1], "remote", "bye"))
    (live, _) = house.manager._calls.values()
    await live.end(Reason.COMPLETED)
    await settle(200)
    assert len(house.manager.live()) == 1
    await house.sip(Ended(second[1], "remote", "bye"))
    assert house.manager.live() == [], "it does not wait for an heir"


async def test_a_call_in_a_transfer_cannot_be_joined(house: House) -> None:
    first, second = await dialled(house, BOB), await dialled(house, CAROL)
    await house.sip(Referred(second[0], "r1", "sip:dave@192.0.2.11"))
    await house.sip(Referred(first[0], "r2", CAROL, replaces="x", replaced=second[0]))
    assert house.user_agent.sent[-1] == ("reject_refer", "r2", 491)


async def test_a_key_crosses_the_link(house: House) -> None:
    await spliced(house)
    call = calls(house)[0]
    bob, link = call.legs[1:]
    session = next(session for key, session in house.media.sessions.items() if key == links(house)[0].session)
    session.deliver(LegDigit(at=0.0, session=session.id, leg=str(bob.id), digit="5", duration_ms=90))
    await settle(100)
    sent = house.media.find("leg.send_dtmf")
    assert (sent.leg, sent.digits) == (str(link.id), "5")


async def test_a_call_that_ends_meanwhile_fails_the_transfer_and_leaves_the_first_as_it_was(house: House) -> None:
    first, second = await dialled(house, BOB), await dialled(house, CAROL)
    house.media.hold["leg.open"] = asyncio.Event()
    await house.sip(Referred(first[0], "r1", CAROL, replaces="x", replaced=second[0]))
    await house.sip(Ended(second[1], "remote", "bye"))
    house.media.hold["leg.open"].set()
    await settle(300)
    assert house.user_agent.last("notify_refer") == 500 and "call.transfer.failed" in house.told()
    assert len(house.manager.live()) == 1 and first[0] not in byes(house)
    assert calls(house)[0].legs[2].state == "failed"


async def test_no_ports_fail_the_transfer_and_end_neither_call(house: House) -> None:
    first, second = await dialled(house, BOB), await dialled(house, CAROL)
    house.media.refuse["leg.open"] = ("no_ports", "all are taken")
    await house.sip(Referred(first[0], "r1", CAROL, replaces="x", replaced=second[0]))
    await settle(200)
    assert house.user_agent.last("notify_refer") == 500 and len(house.manager.live()) == 2


async def test_the_application_of_one_call_and_the_other_of_the_second_are_linked(tmp_path: Path) -> None:
    house = House(tmp_path, inbound={"flow_url": FLOW_URL})
    house.fetcher.answers[FLOW_URL] = {"action": "stream", "ws_url": "ws://app/"}
    phone: Any = await house.incoming()
    await house.stream_connects()
    stream_call = house.record.id
    second = await dialled(house, CAROL)
    await house.sip(Referred(phone, "r1", CAROL, replaces="x", replaced=second[0]))
    await settle(200)
    assert {call.id for call in house.manager.live()} == {stream_call, calls(house)[1].id}
    await house.sip(Ended(second[1], "remote", "bye"))
    await settle(200)
    assert house.manager.live() == [] and "stream.completed" in house.told()
