"""An INVITE with Replaces: somebody else takes the place of a party of a call, and the call goes on."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.calls import G729_OFFER, OFFER, House

from longline.base.clock import settle
from longline.calls.originate import OriginateRequest
from longline.sip.events import Answered, Ended, Failed, IncomingCall, Progress, Reoffer

HEIR_OFFER = OFFER.replace(b"192.0.2.7", b"192.0.2.8").replace(b"m=audio 4000", b"m=audio 7000")
HEIR = IncomingCall(
    handle="heir",
    call_id="heir@phone",
    from_uri="sip:+15550177@192.0.2.8",
    from_user="+15550177",
    to_uri="sip:+15550101@127.0.0.1",
    to_user="+15550101",
    offer=HEIR_OFFER,
    source="192.0.2.8:5060",
    headers=(),
    referred_by="<sip:+15550100@192.0.2.7>",
)
SRTP = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"d" * 40 + b"\r\n"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def answered(house: House) -> str:
    """A call that came in and is answered; returns its handle."""
    handle = await house.incoming()
    assert house.user_agent.verbs()[-1] == "answer"
    return handle


async def test_party_of_a_call_gives_way_to_another(house: House) -> None:
    handle = await answered(house)
    await house.sip(replace(HEIR, replaces=handle))
    assert house.user_agent.sent[-1][:2] == ("answer", "heir")
    await house.sip(Ended(handle, "local", "replaced"))
    assert house.media.find("leg.connect").rtp == "192.0.2.8:7000"
    assert house.media.find("leg.connect").also_from == "192.0.2.8"
    record = house.record
    assert record.state == "answered"
    assert record.legs[0].from_number == "+15550177"
    told = house.event("leg.replaced")
    assert (told.data["from_number"], told.data["referred_by"]) == ("+15550177", "<sip:+15550100@192.0.2.7>")
    assert len(house.media.sessions) == 1
    await house.sip(Ended("heir", "remote", "bye"))
    assert (house.record.state, house.record.reason) == ("completed", "normal_clearing")


async def test_hang_up_goes_to_whoever_is_there_now(house: House) -> None:
    handle = await answered(house)
    await house.sip(replace(HEIR, replaces=handle))
    await house.manager.hangup(house.record.id)
    assert [(verb, to) for verb, to, _ in house.user_agent.sent if verb == "bye"] == [("bye", "heir")]


async def test_heir_without_an_offer_gets_ours(house: House) -> None:
    handle = await answered(house)
    connects = house.media.names().count("leg.connect")
    await house.sip(replace(HEIR, replaces=handle, offer=None))
    assert house.user_agent.sent[-1][:2] == ("answer", "heir")
    assert b"m=audio" in house.user_agent.sent[-1][2]
    assert house.media.names().count("leg.connect") == connects
    await house.sip(Answered("heir", HEIR_OFFER))
    assert house.media.find("leg.connect").rtp == "192.0.2.8:7000"
    assert house.record.state == "answered"


async def test_heir_whose_media_cannot_be_is_refused_and_the_call_goes_on(house: House) -> None:
    handle = await answered(house)
    await house.sip(replace(HEIR, replaces=handle, offer=G729_OFFER))
    assert house.user_agent.sent[-1] == ("reject", "heir", 488)
    assert "leg.replaced" not in house.told()
    assert house.record.legs[0].from_number == "+15550100"
    await house.sip(Ended(handle, "remote", "bye"))
    assert house.record.state == "completed"


async def test_heir_gets_a_key_of_his_own(house: House) -> None:
    handle = await house.incoming(OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + SRTP)
    first = house.media.find("leg.connect").srtp
    await house.sip(replace(HEIR, replaces=handle, offer=HEIR_OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + SRTP))
    second = house.media.find("leg.connect").srtp
    assert first is not None and second is not None
    assert first.send_key != second.send_key
    await house.sip(replace(HEIR, handle="third", replaces="heir"))
    assert house.media.find("leg.connect").srtp is None


async def test_party_whose_heir_was_refused_keeps_its_key(house: House) -> None:
    sealed = OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + SRTP
    handle = await house.incoming(sealed)
    first = house.media.find("leg.connect").srtp
    await house.sip(replace(HEIR, replaces=handle, offer=G729_OFFER))
    await house.sip(Reoffer(handle, sealed.replace(b"o=- 1 1", b"o=- 1 2")))
    assert house.user_agent.verbs()[-1] == "reanswer"
    assert house.media.find("leg.connect").srtp == first


async def test_call_that_rings_is_picked_up_by_another(house: House) -> None:
    request = OriginateRequest("+15550100", "sip:bob@192.0.2.9", flow={"action": "hangup"})
    await house.manager.originate(request)
    await settle(100)
    out = next(handle for verb, handle, _ in house.user_agent.sent if verb == "invite")
    await house.sip(Progress(out, 180, "Ringing", None))
    await house.sip(replace(HEIR, replaces=out))
    await house.sip(Failed(out, 487, "Request Terminated", "canceled"))
    assert ("answer", "heir") in [(verb, to) for verb, to, _ in house.user_agent.sent]
    assert "call.answered" in house.told()
    assert house.record.legs[0].to_number == "+15550177"
    assert (house.record.state, house.record.reason) == ("completed", "completed")  # its flow hangs up


async def test_place_in_a_call_that_is_over_is_nobodys(house: House) -> None:
    handle = await answered(house)
    await house.sip(Ended(handle, "remote", "bye"))
    await house.sip(replace(HEIR, replaces=handle))
    assert house.user_agent.sent[-1] == ("reject", "heir", 481)
    await house.sip(replace(HEIR, replaces="nobody"))
    assert house.user_agent.sent[-1] == ("reject", "heir", 481)


async def test_place_in_a_call_that_ends_at_the_same_moment_is_nobodys(house: House) -> None:
    handle = await answered(house)
    await house.sip(Ended(handle, "remote", "bye"), replace(HEIR, replaces=handle))
    assert house.user_agent.sent[-1] == ("reject", "heir", 481)


@pytest.mark.parametrize("how", ["refuse", "unavailable"])
async def test_media_server_that_cannot_is_the_heirs_500(house: House, how: str) -> None:
    handle = await answered(house)
    if how == "refuse":
        house.media.refuse["leg.connect"] = ("bad_value", "no")
    else:
        house.media.unavailable.add("leg.connect")
    await house.sip(replace(HEIR, replaces=handle))
    assert house.user_agent.sent[-1] == ("reject", "heir", 500)
    assert house.record.state == "answered"


async def test_full_house_still_lets_a_party_give_way(tmp_path: Path) -> None:
    house = House(tmp_path, max_calls=1)
    handle = await answered(house)
    await house.sip(replace(HEIR, replaces=handle))
    assert house.user_agent.sent[-1][:2] == ("answer", "heir")
