"""A phone that sends its calls on to a number (302): the trunk that leads there is called in its place."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import ANSWER, House

from longline.base.clock import settle
from longline.calls.originate import OriginateRequest
from longline.sip.events import Answered, Failed, Progress

PHONE, NUMBER = "sip:bob@127.0.0.1", "+15550199"
THERE = f"sip:{NUMBER}@127.0.0.1"
TRUNK = {"uri": "sip:carrier.example:5070", "channel_limit": 1}
PHONES = {"bob": {"password": "a password of bob's"}}


def household(tmp_path: Path, **settings: Any) -> House:
    return House(tmp_path, trunks={"carrier": TRUNK}, phones=PHONES, **settings)


async def calls(house: House, target: str = PHONE) -> str:
    """We call; returns the handle."""
    before = len(house.user_agent.sent)
    await house.manager.originate(OriginateRequest("+15550100", target, flow={"action": "hangup"}))
    await settle(100)
    return next(handle for verb, handle, _ in house.user_agent.sent[before:] if verb == "invite")


def forwarded(handle: str, *targets: str, status: int = 302) -> Failed:
    return Failed(handle, status, "Moved Temporarily", "rejected", targets or (THERE,))


async def test_call_to_a_phone_goes_on_to_the_number_that_it_names(tmp_path: Path) -> None:
    house = household(tmp_path)
    phone = await calls(house)
    await house.sip(forwarded(phone))
    invite = house.user_agent.last("invite")
    assert invite["target"] == "sip:+15550199@carrier.example:5070"
    assert ("Diversion", f"<{PHONE}>;reason=unconditional") in invite["headers"]
    assert house.manager.counters["calls_forwarded"] == 1
    handle = house.user_agent.sent[-1][1]
    await house.sip(Answered(handle, ANSWER))
    assert house.told().count("call.answered") == 1
    assert house.record.reason == "completed"  # its flow hangs up


async def test_phone_that_has_rung_deflects(tmp_path: Path) -> None:
    house = household(tmp_path)
    phone = await calls(house)
    await house.sip(Progress(phone, 180, "Ringing", None))
    await house.sip(forwarded(phone))
    assert ("Diversion", f"<{PHONE}>;reason=deflection") in house.user_agent.last("invite")["headers"]


async def test_trunk_holds_its_channel_and_lets_it_go(tmp_path: Path) -> None:
    house = household(tmp_path)
    for _ in range(2):
        phone = await calls(house)
        await house.sip(forwarded(phone))
        there = house.user_agent.sent[-1][1]
        assert house.user_agent.sent[-1][0] == "invite"
        await house.sip(Failed(there, 486, "Busy Here", "rejected"))
        assert (house.record.state, house.record.reason) == ("failed", "busy")


@pytest.mark.parametrize(
    ("settings", "target", "to"),
    [
        ({}, "sip:eve@192.0.2.9", THERE),  # whoever is no phone of ours makes no calls at our cost
        ({"access": {"transfers": "nobody"}}, PHONE, THERE),
        ({"access": {"deny_destinations": ["+1900"]}}, PHONE, "sip:+19005550100@127.0.0.1"),
    ],
)
async def test_call_that_may_not_be_forwarded_has_failed(
    tmp_path: Path, settings: dict[str, Any], target: str, to: str
) -> None:
    house = household(tmp_path, **settings)
    handle = await calls(house, target)
    await house.sip(forwarded(handle, to))
    assert house.user_agent.verbs().count("invite") == 1
    assert house.record.state == "failed"


async def test_trunk_does_not_send_calls_on_to_numbers(tmp_path: Path) -> None:
    house = household(tmp_path)
    handle = await calls(house, NUMBER)
    await house.sip(forwarded(handle))
    assert house.user_agent.verbs().count("invite") == 1
    assert house.record.state == "failed"
