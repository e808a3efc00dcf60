"""Which trunk and target a call takes, and which one next: priority, weight, health, limits, fail-over."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import ANSWER, House

from longline.base.clock import VirtualClock, settle
from longline.base.config import Config
from longline.base.errors import InvalidTarget, LimitReached
from longline.calls.originate import OriginateRequest
from longline.calls.routes import MAX_WAYS, Route, Routes, in_order
from longline.calls.trunk import Trunk, trunk_of_config
from longline.calls.trunk_limits import TrunkLimits
from longline.sip.events import Answered, Ended, Failed, IncomingCall, Progress, TargetChanged, Unheard

NUMBER, US = "+15550101", "us.example"


class World:
    """Routes among the trunks of a configuration; `down` are the URIs that do not answer."""

    def __init__(self, draws: list[float] | None = None, default: str | None = None, **trunks: Any) -> None:
        config = Config(trunks=trunks, default_trunk=default)
        self.trunks: list[Trunk] = [trunk_of_config(name, settings) for name, settings in config.trunks.items()]
        self.default = next((trunk for trunk in self.trunks if trunk.name == default), None)
        self.down: set[str] = set()
        self.failed: list[str] = []
        self.answered: list[str] = []
        self.clock = VirtualClock()
        self.limits = TrunkLimits(Counter())
        draw = iter(draws or [])
        self.routes = Routes(
            self, self.limits, self, self.clock, lambda uri: "+1900" not in uri, lambda: next(draw, 0.0)
        )

    def is_up(self, peer: str, uri: str) -> bool:
        return uri not in self.down

    def has_failed(self, peer: str, uri: str) -> None:
        self.failed.append(uri)

    def has_answered(self, peer: str, uri: str) -> None:
        self.answered.append(uri)

    def route(self, number: str = NUMBER) -> Route:
        return self.routes.to_number(number, "+15550100", US)

    def hops(self) -> list[str]:
        """The target of every way that one call would try."""
        route, found = self.route(), []
        while route.present is not None:
            found.append(str(route.present.hop))
            route.next()
        return found


def targets(*uris: str, **more: Any) -> dict[str, Any]:
    return {"targets": [{"uri": uri} for uri in uris], **more}


def test_trunks_are_tried_by_priority_and_their_targets_by_theirs() -> None:
    world = World(
        spare={"uri": "sip:spare", "priority": 20},
        first={"targets": [{"uri": "sip:b", "priority": 2}, {"uri": "sip:a", "priority": 1}], "priority": 5},
    )
    assert world.hops() == ["sip:a", "sip:b", "sip:spare"]


def test_among_equals_each_has_its_share_by_weight() -> None:
    world = World(a={"uri": "sip:a", "weight": 3}, b={"uri": "sip:b", "weight": 1})
    firsts = Counter()
    for step in range(400):
        world.routes._draw = lambda step=step: step / 400
        way = world.route().present
        assert way is not None
        firsts[way.hop] += 1
    assert 220 < firsts["sip:a"] < 340 and firsts["sip:b"] > 60


def test_a_weight_of_0_is_taken_when_nothing_else_is_drawn() -> None:
    assert in_order([("a", 0), ("b", 9)], lambda item: (1, item[1]), lambda: 0.0)[0][0] == "a"
    assert in_order([("a", 0), ("b", 9)], lambda item: (1, item[1]), lambda: 0.99)[0][0] == "b"


def test_what_is_down_is_tried_last() -> None:
    world = World(a=targets("sip:a1", "sip:a2"), b={"uri": "sip:b", "priority": 20})
    world.down = {"sip:a1"}
    assert world.hops() == ["sip:a2", "sip:b", "sip:a1"]
    world.down = {"sip:a1", "sip:a2", "sip:b"}
    assert world.hops() == ["sip:a1", "sip:a2", "sip:b"]


def test_health_is_that_of_the_moment_in_which_a_way_is_asked_for() -> None:
    world = World(a=targets("sip:a1", "sip:a2", "sip:a3"))
    route = world.route()
    world.down = {"sip:a2"}
    following = route.next()
    assert following is not None and following.hop == "sip:a3"


def test_a_default_trunk_is_the_only_one() -> None:
    world = World(a={"uri": "sip:a", "priority": 1}, b=targets("sip:b1", "sip:b2"), default="b")
    assert world.hops() == ["sip:b1", "sip:b2"]


def test_a_trunk_that_lets_nobody_out_is_no_way() -> None:
    world = World(a={"uri": "sip:a", "outbound": False}, b={"networks": ["192.0.2.1"]})
    with pytest.raises(InvalidTarget, match="No trunk leads"):
        world.route()


def test_a_full_trunk_is_passed_over_and_free_again_when_its_call_ends() -> None:
    world = World(a={"uri": "sip:a", "channel_limit": 1}, b={"uri": "sip:b", "priority": 20, "channel_limit": 1})
    one, two = world.route(), world.route()
    assert [route.present.hop for route in (one, two) if route.present] == ["sip:a", "sip:b"]
    with pytest.raises(LimitReached, match="limit"):
        world.route()
    one.close()
    assert world.limits.calls(world.trunks[0].id) == 0
    assert world.hops() == ["sip:a"]


async def test_calls_per_second_are_bounded_and_come_back_with_time() -> None:
    world = World(a={"uri": "sip:a", "cps_limit": 2})
    for _ in range(2):
        world.route().close()
    await world.clock.advance(0.4)
    with pytest.raises(LimitReached):
        world.route()
    await world.clock.advance(0.2)
    world.route().close()
    with pytest.raises(LimitReached):
        world.route()
    await world.clock.advance(3600)
    for _ in range(2):
        world.route().close()
    with pytest.raises(LimitReached):  # an hour of rest is no more than a second's calls
        world.route()


def test_a_channel_is_freed_once_however_often_its_call_ends() -> None:
    world = World(a={"uri": "sip:a", "channel_limit": 2})
    route = world.route()
    assert route.present is not None and route.present.trunk is not None
    channel = world.limits.join(route.present.trunk)
    for _ in range(3):
        channel.free()
    assert world.limits.calls(route.present.trunk.id) == 1


def test_one_call_tries_a_bounded_number_of_ways() -> None:
    assert len(World(a=targets(*(f"sip:a{n}" for n in range(20)))).hops()) == MAX_WAYS


@pytest.mark.parametrize(
    ("status", "cause", "has_rung", "goes_on"),
    [
        (500, "rejected", False, True), (502, "rejected", True, True), (503, "rejected", False, True),
        (503, "transport", False, True), (408, "timeout", False, True), (408, "rejected", False, True),
        (408, "timeout", True, False), (408, "rejected", True, False), (503, "transport", True, True),
        (486, "rejected", False, False), (404, "rejected", False, False), (480, "rejected", False, False),
        (603, "rejected", False, False), (403, "unauthorized", False, False), (487, "canceled", False, False),
        (503, "overload", False, False), (302, "rejected", False, False),
    ],
)  # fmt: skip
def test_what_another_way_may_do_better(status: int, cause: str, has_rung: bool, goes_on: bool) -> None:
    assert World(a={"uri": "sip:a"}).route().may_go_on(status, cause, has_rung) is goes_on


def test_a_target_that_did_not_answer_is_suspected_and_one_that_did_is_not() -> None:
    world = World(a={"uri": "sip:a"})
    world.route().may_go_on(408, "timeout", False)
    world.route().may_go_on(486, "rejected", False)
    assert (world.failed, world.answered) == (["sip:a"], ["sip:a"])


def test_the_number_takes_the_place_of_the_user_and_the_rest_stays() -> None:
    world = World(a={"uri": "sips:x:y@carrier.example:5071;transport=tcp", "from_host": "them.example"})
    way = world.route().present
    assert way is not None
    assert way.target == "sips:+15550101@carrier.example:5071;transport=tcp"
    assert (way.from_uri, way.to_uri) == ("sip:+15550100@them.example", None)


def test_a_carrier_may_want_its_account_in_from_and_the_caller_beside_it() -> None:
    wants = {"from_user": "account", "from_host": "them.example", "asserts_identity": True}
    world = World(a={"uri": "sip:carrier.example", **wants})
    for way in (world.route().present, world.routes.to_uri("sip:x@carrier.example", "+15550100", US).present):
        assert way is not None
        assert way.from_uri == "sip:account@them.example"
        assert way.headers == (("P-Asserted-Identity", "<sip:+15550100@them.example>"),)
    plain = World(a={"uri": "sip:carrier.example"}).route().present
    assert plain is not None and plain.headers == ()


def test_a_trunk_that_wants_one_user_gets_the_number_in_to() -> None:
    world = World(a={"uri": "sip:pbx.example"})
    world.trunks = [replace(world.trunks[0], user="front-desk")]
    way = world.route().present
    assert way is not None
    assert (way.target, way.to_uri) == ("sip:front-desk@pbx.example", "sip:+15550101@pbx.example")


def test_a_uri_at_the_place_of_a_trunk_goes_through_that_trunk() -> None:
    world = World(a={"uri": "sip:carrier.example:5070", "channel_limit": 1})
    way = world.routes.to_uri("sip:bob@carrier.example:5070;x=y", "me", US).present
    assert way is not None and way.peer == "a" and way.target == "sip:bob@carrier.example:5070;x=y"
    with pytest.raises(LimitReached):
        world.routes.to_uri("sip:bob@carrier.example:5070", "me", US)
    elsewhere = world.routes.to_uri("sip:bob@carrier.example", "me", US).present
    assert elsewhere is not None and elsewhere.peer is None


# --- calls that go another way -------------------------------------------------------------------------------------

ONE = {"uri": "sip:one.example", "priority": 1, "channel_limit": 5}
OTHER = {"uri": "sip:two.example", "priority": 2, "channel_limit": 5, "srtp": "required", "asserts_identity": True}
TWO = {"one": ONE, "two": OTHER}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, trunks=TWO)


async def placed(house: House) -> str:
    request = OriginateRequest("+15550100", NUMBER, flow={"action": "hangup"}, record=False)
    await house.manager.originate(request)
    await settle(100)
    return house.user_agent.sent[-1][1]


def calls_by(house: House) -> dict[str, int]:
    return {trunk.name: house.manager.trunk_limits.calls(trunk.id) for trunk in house.trunks.trunks}


async def test_a_call_that_one_trunk_cannot_place_is_placed_by_the_next(house: House) -> None:
    first = await placed(house)
    assert house.user_agent.last("invite")["peer"] == "one" and calls_by(house) == {"one": 1, "two": 0}
    assert house.user_agent.last("invite")["headers"] == []
    await house.sip(Failed(first, 503, "Service Unavailable", "rejected"))
    invite = house.user_agent.last("invite")
    assert (invite["peer"], invite["target"]) == ("two", "sip:+15550101@two.example")
    assert b"RTP/SAVP " in invite["sdp"]  # what that trunk wants
    assert invite["headers"] == [("P-Asserted-Identity", "<sip:+15550100@127.0.0.1:5060>")]  # and no other is told
    assert calls_by(house) == {"one": 0, "two": 1}
    assert house.record.sip_trunk_id == house.trunks.trunks[1].id
    assert house.journal[-2:] == ["store call initiated", "sip invite"]
    assert house.told() == ["call.initiated"] and house.manager.counters["trunk_failovers"] == 1


async def test_a_call_that_every_trunk_refuses_has_the_last_refusal(house: House) -> None:
    first = await placed(house)
    await house.sip(Failed(first, 503, "Service Unavailable", "rejected"))
    second = house.user_agent.sent[-1][1]
    await house.sip(Failed(second, 502, "Bad Gateway", "rejected"))
    assert (house.record.state, house.record.reason) == ("failed", "carrier_error")
    assert house.event("call.failed").data["detail"] == "502 Bad Gateway"
    assert calls_by(house) == {"one": 0, "two": 0}


async def test_whoever_is_busy_is_not_called_again_by_another_trunk(house: House) -> None:
    await house.sip(Failed(await placed(house), 486, "Busy Here", "rejected"))
    assert house.user_agent.verbs() == ["invite"] and house.record.reason == "busy"


async def test_an_answer_after_a_fail_over_is_the_answer_of_the_call(tmp_path: Path) -> None:
    house = House(tmp_path, trunks=TWO | {"two": {"uri": "sip:two.example", "priority": 2}})
    await house.sip(Failed(await placed(house), 408, "Request Timeout", "timeout"))
    second = house.user_agent.sent[-1][1]
    await house.sip(Progress(second, 180, "Ringing", None), Answered(second, ANSWER))
    assert house.told()[:3] == ["call.initiated", "call.ringing", "call.answered"]
    assert house.record.state in ("answered", "completed")


async def test_a_call_that_is_hung_up_before_its_second_way_goes_no_further(house: House) -> None:
    first = await placed(house)
    await house.manager.hangup(house.record.id)
    await house.sip(Failed(first, 503, "Service Unavailable", "rejected"))
    assert house.user_agent.verbs() == ["invite", "cancel"] and calls_by(house) == {"one": 0, "two": 0}


async def test_handles_of_ways_that_failed_are_forgotten_with_their_call(house: House) -> None:
    await house.sip(Failed(await placed(house), 503, "No", "rejected"))
    await house.sip(Failed(house.user_agent.sent[-1][1], 486, "Busy", "rejected"))
    await settle(100)
    assert (house.manager._by_handle, house.manager._handles, house.manager._calls) == ({}, {}, {})


async def test_a_way_that_cannot_even_be_sent_is_passed_over(house: House) -> None:
    refused = iter([True, False])
    invite = house.user_agent.invite

    def first_fails(*arguments: Any, **more: Any) -> str:
        if next(refused):
            raise OSError("no such transport")
        return invite(*arguments, **more)

    house.user_agent.invite = first_fails  # type: ignore[method-assign]
    await placed(house)
    assert [detail["peer"] for _, _, detail in house.user_agent.sent] == ["two"]


async def test_ringing_by_one_way_says_nothing_of_the_next(tmp_path: Path) -> None:
    three = {f"t{n}": {"uri": f"sip:t{n}.example", "priority": n} for n in (1, 2, 3)}
    house = House(tmp_path, trunks=three)
    first = await placed(house)
    await house.sip(Progress(first, 183, "Session Progress", None), Failed(first, 503, "No", "rejected"))
    await house.sip(Failed(house.user_agent.sent[-1][1], 408, "Request Timeout", "timeout"))
    assert [detail["peer"] for verb, _, detail in house.user_agent.sent if verb == "invite"] == ["t1", "t2", "t3"]
    assert house.told() == ["call.initiated", "call.ringing"]


async def test_a_trunk_that_says_nothing_is_cancelled_and_the_next_is_called(house: House) -> None:
    first = await placed(house)
    await house.sip(Unheard(first))
    assert house.user_agent.verbs() == ["invite", "cancel", "invite"]
    assert house.user_agent.last("invite")["peer"] == "two" and calls_by(house) == {"one": 0, "two": 1}
    second = house.user_agent.sent[-1][1]
    await house.sip(Failed(first, 487, "Request Terminated", "canceled"), Unheard(second))
    assert house.user_agent.verbs() == ["invite", "cancel", "invite"]  # nothing is left to go on to: it is waited for
    assert calls_by(house) == {"one": 0, "two": 1}
    await house.sip(Failed(second, 486, "Busy Here", "rejected"))
    assert house.record.reason == "busy" and calls_by(house) == {"one": 0, "two": 0}
    await placed(house)
    assert house.user_agent.last("invite")["peer"] == "two"  # the silent one is suspected


async def test_a_trunk_with_room_for_one_call_may_be_called_at_its_next_target(tmp_path: Path) -> None:
    both = [{"uri": "sip:a.example", "priority": 1}, {"uri": "sip:b.example", "priority": 2}]
    house = House(tmp_path, trunks={"one": {"targets": both, "channel_limit": 1}})
    await house.sip(Unheard(await placed(house)))
    assert house.user_agent.last("invite")["target"] == "sip:+15550101@b.example" and calls_by(house) == {"one": 1}
    await house.sip(Unheard(house.user_agent.sent[-1][1]))
    assert house.user_agent.verbs() == ["invite", "cancel", "invite"] and calls_by(house) == {"one": 1}


async def test_a_phone_that_rings_is_not_silent(house: House) -> None:
    first = await placed(house)
    await house.sip(Progress(first, 180, "Ringing", None), Unheard(first))
    assert house.user_agent.verbs() == ["invite"]


async def test_full_trunks_are_told_at_once_and_nothing_is_stored(tmp_path: Path) -> None:
    house = House(tmp_path, trunks={"one": {"uri": "sip:one.example", "channel_limit": 1}})
    await placed(house)
    with pytest.raises(LimitReached):
        await placed(house)
    assert len(house.store.calls) == 1 and house.manager.counters["trunk_channels_full"] == 1


async def test_a_target_that_is_down_is_left_for_last_and_told_on_the_bus(house: House) -> None:
    await house.sip(TargetChanged("one", "sip:one.example", False, "no response"))
    await placed(house)
    assert house.user_agent.last("invite")["peer"] == "two"
    event = house.event("trunk.target_down")
    assert event.call_id is None and event.sip_trunk_id == house.trunks.trunks[0].id
    assert event.data == {"name": "one", "target": "sip:one.example", "reason": "no response"}
    await house.sip(TargetChanged("one", "sip:one.example", True))
    await placed(house)
    assert house.user_agent.last("invite")["peer"] == "one"


async def test_a_trunk_that_gave_a_call_no_answer_is_left_for_last_for_a_while(house: House) -> None:
    await house.sip(Failed(await placed(house), 408, "Request Timeout", "timeout"))
    await placed(house)
    assert house.user_agent.last("invite")["peer"] == "two"
    await house.clock.advance(31)
    await placed(house)
    assert house.user_agent.last("invite")["peer"] == "one"


# --- calls that come in by a trunk ---------------------------------------------------------------------------------


async def test_a_call_that_comes_in_by_a_trunk_is_its_and_holds_a_channel(house: House) -> None:
    event = IncomingCall(
        "in1", "x@phone", "sip:a@b", "a", "sip:c@d", "c", None, "192.0.2.7:5060", (), peer="two",
    )  # fmt: skip
    await house.sip(event)
    assert house.record.sip_trunk_id == house.trunks.trunks[1].id
    assert house.events[0].sip_trunk_id == house.record.sip_trunk_id
    assert calls_by(house) == {"one": 0, "two": 1}
    await house.sip(Ended("in1", "remote", "bye"))
    await settle(100)
    assert calls_by(house) == {"one": 0, "two": 0}


def test_call_to_a_uri_may_be_sent_on_by_whoever_is_called_but_not_by_a_trunk() -> None:
    world = World(
        near={"uri": "sip:near.example"}, far={"uri": "sip:far.example", "follow_redirects": True, "priority": 20}
    )
    direct = world.routes.to_uri("sip:bob@192.0.2.9", "+15550100", US).present
    assert direct is not None and direct.may_follow is not None
    assert direct.may_follow("sip:carol@192.0.2.10")
    assert not direct.may_follow("sip:+19005550100@192.0.2.10")  # the settings do not let it be called
    route = world.route()
    assert route.present is not None and route.present.may_follow is None
    far = route.next()
    assert far is not None and far.may_follow is not None
    through = world.routes.to_uri("sip:bob@near.example", "+15550100", US).present
    assert through is not None and through.may_follow is None
