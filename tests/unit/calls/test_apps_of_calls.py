"""Which app a call has: of the number that was called, of the trunk, of [inbound]; of the caller's number."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import House

from longline.base.config import Config
from longline.base.errors import FromNumberNotProvisioned, LimitReached, TrunkNotFound
from longline.base.ids import DEFAULT_ACCOUNT_ID, DEFAULT_VOICE_APP_ID, new_id
from longline.calls.app_changes import AppChange, NewApp, NewNumber
from longline.calls.originate import OriginateRequest
from longline.store.records import VoiceAppRecord

FLOW = {"action": "stream", "ws_url": "ws://app/"}
DESK = {
    "flow_url": "http://desk/flow", "webhook_url": "http://desk/told", "fallback_url": "http://desk/else",
    "webhook_version": "2026-06-01", "secret": "in the file",
}  # fmt: skip
CARRIER = {"uri": "sip:sip.example.com", "networks": ["192.0.2.7"]}
DEFAULT = {"flow_url": "http://default/flow", "webhook_url": "http://default/told"}


def house(folder: Path, **settings: Any) -> House:
    base = {
        "inbound": DEFAULT, "apps": {"desk": DESK}, "trunks": {"carrier": CARRIER},
        "numbers": {"+15550101": {"app": "desk"}, "+15550102": {}},
    }  # fmt: skip
    made = House(folder, **base | settings)
    made.fetcher.answers |= {f"http://{name}/flow": FLOW for name in ("desk", "default", "api")}
    return made


async def api_app(made: House, **changes: Any) -> VoiceAppRecord:
    new = {"name": "api", "flow_url": "http://api/flow", "webhook_url": "http://api/told"}
    return await made.apps.create_app(DEFAULT_ACCOUNT_ID, NewApp(**new | changes))


@pytest.mark.parametrize("called", ["+15550101", "15550101", "0015550101"])
async def test_a_call_has_the_app_of_the_number_that_was_called_however_a_carrier_writes_it(
    tmp_path: Path, called: str
) -> None:
    made = house(tmp_path)
    await made.incoming(to_user=called)
    record = made.record
    app = made.apps.find_app(record.voice_app_id)
    assert app is not None and app.name == "desk"
    assert made.fetcher.asked == ["http://desk/flow"]
    assert (record.status_callback_url, record.webhook_version) == ("http://desk/told", "2026-06-01")
    assert record.secret_id is not None and made.secrets.values(record.secret_id) == ("in the file",)
    assert made.event("call.initiated").call.secret_id == record.secret_id  # type: ignore[union-attr]


@pytest.mark.parametrize("called", ["+15550102", "+15550199", "alice", ""])
async def test_a_number_without_an_app_is_that_of_inbound(tmp_path: Path, called: str) -> None:
    made = house(tmp_path)
    await made.incoming(to_user=called)
    assert made.record.voice_app_id == DEFAULT_VOICE_APP_ID
    assert (made.fetcher.asked, made.record.status_callback_url) == (["http://default/flow"], "http://default/told")


async def test_the_trunk_decides_where_the_number_does_not(tmp_path: Path) -> None:
    apps = {"desk": DESK, "line": {"flow_url": "http://api/flow"}}
    made = house(tmp_path, apps=apps, trunks={"carrier": CARRIER | {"app": "line"}})
    await made.incoming(to_user="+15550199", peer="carrier")
    await made.incoming(to_user="+15550101", peer="carrier")
    assert made.fetcher.asked == ["http://api/flow", "http://desk/flow"]


async def test_a_number_that_leads_to_a_trunk_is_dialled_there(tmp_path: Path) -> None:
    trunks = {"carrier": CARRIER, "pbx": {"uri": "sip:pbx.example:5070", "outbound": False}}
    made = house(tmp_path, trunks=trunks, numbers={"+15550101": {"trunk": "pbx"}})
    await made.incoming(to_user="+15550101", peer="carrier")
    invite = made.user_agent.last("invite")
    assert (invite["target"], made.fetcher.asked) == ("sip:+15550101@pbx.example:5070", [])
    made.user_agent.sent.clear()
    await made.incoming(to_user="+15550101", peer="pbx")  # not back to where it comes from
    assert "invite" not in made.user_agent.verbs() and made.fetcher.asked == ["http://default/flow"]


async def test_an_assignment_is_in_force_for_the_next_call(tmp_path: Path) -> None:
    made = house(tmp_path)
    app = await api_app(made)
    number = made.apps.find_number("+15550102")
    assert number is not None
    await made.apps.assign(DEFAULT_ACCOUNT_ID, [number.id], app_id=app.id)
    await made.incoming(to_user="+15550102")
    await made.apps.assign(DEFAULT_ACCOUNT_ID, [number.id])
    await made.incoming(to_user="+15550102")
    assert made.fetcher.asked == ["http://api/flow", "http://default/flow"]


async def test_an_inactive_app_takes_no_calls_and_places_none(tmp_path: Path) -> None:
    made = house(tmp_path)
    app = await api_app(made)
    await made.apps.create_number(DEFAULT_ACCOUNT_ID, NewNumber(number="+15550103", voice_app_id=app.id))
    await made.apps.change_app(DEFAULT_ACCOUNT_ID, app.id, AppChange(values={"is_active": False}))
    await made.incoming(to_user="+15550103")
    assert made.user_agent.last("reject") == 404 and not made.store.calls
    with pytest.raises(FromNumberNotProvisioned):
        await made.manager.originate(OriginateRequest("+15550103", "sip:bob@b.example", flow=FLOW))


async def test_calls_beyond_the_channel_limit_of_an_app_are_refused_both_ways(tmp_path: Path) -> None:
    made = house(tmp_path, apps={"desk": DESK | {"channel_limit": 1}})
    await made.incoming(to_user="+15550101")
    await made.incoming(to_user="+15550101")
    assert made.user_agent.last("reject") == 486
    outbound = OriginateRequest("+15550101", "sip:bob@b.example", flow=FLOW)
    with pytest.raises(LimitReached):
        await made.manager.originate(outbound)
    await made.manager.hangup(made.record.id)
    assert (await made.manager.originate(outbound)).voice_app_id == made.apps.find_number("+15550101").voice_app_id  # type: ignore[union-attr]
    await made.manager.stop()


async def test_a_placed_call_has_the_app_of_its_number_and_tells_who_it_was_asked_to_tell(tmp_path: Path) -> None:
    made = house(tmp_path)
    request = OriginateRequest("+15550101", "sip:bob@b.example", "http://own/flow", status_callback_url="http://own/")
    call = await made.manager.originate(request)
    assert (call.flow_url, call.status_callback_url) == ("http://own/flow", "http://own/")
    assert (call.webhook_version, made.secrets.values(call.secret_id or new_id())) == ("2026-06-01", ("in the file",))
    other = await made.manager.originate(OriginateRequest("+15550777", "sip:bob@b.example", flow=FLOW))
    assert (other.voice_app_id, other.secret_id) == (DEFAULT_VOICE_APP_ID, None)
    await made.manager.stop()


async def test_where_numbers_must_be_assigned_no_other_may_be_named_to_the_telephone_network(tmp_path: Path) -> None:
    made = house(tmp_path, from_numbers="assigned")
    for number in ("+15550777", "+15550102"):
        with pytest.raises(FromNumberNotProvisioned):
            await made.manager.originate(OriginateRequest(number, "+15550999", flow=FLOW))
    await made.manager.originate(OriginateRequest("+15550101", "+15550999", flow=FLOW))
    await made.manager.originate(OriginateRequest("alice", "sip:bob@b.example", flow=FLOW))
    await made.manager.stop()


async def test_a_number_of_another_account_is_never_a_callers(tmp_path: Path) -> None:
    made = house(tmp_path)
    with pytest.raises(FromNumberNotProvisioned):
        await made.manager.originate(OriginateRequest("+15550101", "sip:bob@b.example", flow=FLOW, account_id=new_id()))


async def test_a_call_whose_number_is_of_another_account_is_that_accounts(tmp_path: Path) -> None:
    made = house(tmp_path)
    account_id = new_id()
    app = await made.apps.create_app(
        account_id, NewApp(name="theirs", flow_url="http://api/flow", webhook_url="http://api/told")
    )
    await made.apps.create_number(account_id, NewNumber(number="+15550104", voice_app_id=app.id))
    await made.incoming(to_user="+15550104", peer="carrier")
    assert (made.record.account_id, made.record.voice_app_id) == (account_id, app.id)


async def test_the_fall_back_of_the_app_is_asked_when_its_flow_fails(tmp_path: Path) -> None:
    made = house(tmp_path)
    made.fetcher.answers |= {"http://desk/flow": {"action": "nonsense"}, "http://desk/else": FLOW}
    await made.incoming(to_user="+15550101")
    assert made.fetcher.asked == ["http://desk/flow", "http://desk/else"]


async def test_a_changed_file_is_in_force_at_once_and_what_the_api_assigned_stays(tmp_path: Path) -> None:
    made = house(tmp_path)
    await made.apps.load()
    app = await api_app(made)
    number = made.apps.find_number("+15550102")
    assert number is not None
    await made.apps.assign(DEFAULT_ACCOUNT_ID, [number.id], app_id=app.id)
    await made.apps.configure(Config.model_validate({"inbound": DEFAULT, "numbers": {"+15550102": {"name": "two"}}}))
    assert [app.name for app in made.app_store.apps.values()] == ["default", "api"]
    assert made.apps.find_number("+15550101") is None
    kept = made.apps.find_number("+15550102")
    assert kept is not None and (kept.name, kept.voice_app_id) == ("two", app.id)


async def test_an_app_that_is_deleted_leaves_its_numbers_behind(tmp_path: Path) -> None:
    made = house(tmp_path)
    app = await api_app(made)
    await made.apps.create_number(DEFAULT_ACCOUNT_ID, NewNumber(number="+15550103", voice_app_id=app.id))
    assert made.apps.numbers_of_app(app.id) == 1
    await made.apps.delete_app(DEFAULT_ACCOUNT_ID, app.id)
    number = made.apps.find_number("+15550103")
    assert number is not None and number.voice_app_id is None and made.app_store.numbers[number.id] == number


async def test_a_number_cannot_lead_to_a_trunk_that_is_not_there(tmp_path: Path) -> None:
    made = house(tmp_path)
    with pytest.raises(TrunkNotFound):
        await made.apps.create_number(DEFAULT_ACCOUNT_ID, NewNumber(number="+15550103", sip_trunk_id=new_id()))
    await asyncio.sleep(0)
