"""The published client library of Twilio, unmodified, over a real socket: only its base URL is ours."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.unit.api.conftest import a_key
from tests.unit.api.test_teler_sdk import serving
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from longline.base.errors import CallNotLive, InvalidTarget, LimitReached
from longline.base.events import EventType
from longline.base.ids import DEFAULT_ACCOUNT_ID, encode_id, new_id
from longline.base.twilio import Sid, sid
from longline.calls.manner import Manner
from longline.calls.redirection import Redirection
from longline.store.records import AccountRecord

# Of the SDK itself, toward what it is made with.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

KEY = "test-key-1"
ACCOUNT = sid(Sid.ACCOUNT, DEFAULT_ACCOUNT_ID)
FROM, TO, URL = "+14155550100", "+14155550101", "https://app.example/voice"
TWIML = "<Response><Say>Hello</Say></Response>"


@pytest.fixture
async def base_url(house: Any) -> AsyncIterator[str]:
    async with serving(house.app) as url:
        yield url.removesuffix("/api/v1")


def a_client(base_url: str, http: AsyncTwilioHttpClient, account: str = ACCOUNT, key: str = KEY) -> Client:
    client = Client(account, key, http_client=http)
    client.api.base_url = base_url
    return client


@pytest.fixture
async def http() -> AsyncIterator[AsyncTwilioHttpClient]:
    async with AsyncTwilioHttpClient() as made:
        yield made


@pytest.fixture
def client(base_url: str, http: AsyncTwilioHttpClient) -> Client:
    return a_client(base_url, http)


async def refusal(asked: Any) -> tuple[int, int | None]:
    with pytest.raises(TwilioRestException) as refused:
        await asked
    return refused.value.status, refused.value.code


async def test_a_call_is_created_and_fetched(house: Any, client: Client) -> None:
    created = await client.calls.create_async(
        to=TO,
        from_=FROM,
        url=URL,
        method="GET",
        fallback_url="https://app.example/fallback",
        status_callback="https://app.example/status",
        status_callback_event=["initiated", "ringing", "completed"],
        status_callback_method="GET",
        record=True,
        timeout=20,
    )
    (order,) = house.manager.asked
    assert (order.from_number, order.to_number, order.flow_url, order.record) == (FROM, TO, URL, True)
    assert (order.fallback_url, order.webhook_version) == ("https://app.example/fallback", "twilio")
    assert (order.status_callback_url, order.ring_timeout_s) == ("https://app.example/status", 20)
    told = {EventType.CALL_INITIATED, EventType.CALL_RINGING, EventType.CALL_COMPLETED, EventType.CALL_FAILED}
    assert order.manner == Manner("twilio", flow_method="GET", told=frozenset(told), told_method="GET")
    assert created.sid is not None
    fetched = await client.calls(created.sid).fetch_async()
    assert (fetched.sid, fetched.account_sid, fetched.status) == (created.sid, ACCOUNT, "in-progress")
    assert (fetched.to, fetched._from, fetched.direction) == (TO, FROM, "outbound-api")
    assert fetched.date_created is not None and fetched.end_time is None and fetched.duration is None


async def test_a_call_may_bring_its_twiml_along(house: Any, client: Client) -> None:
    await client.calls.create_async(to="sip:bob@b.example", from_="alice", twiml=TWIML)
    (order,) = house.manager.asked
    assert (order.flow, order.flow_url, order.record) == (TWIML, None, False)
    assert order.manner.told == {EventType.CALL_COMPLETED, EventType.CALL_FAILED}


@pytest.mark.parametrize(
    ("fields", "status", "number"),
    [
        ({"to": "", "from_": FROM, "url": URL}, 400, 21201),
        ({"to": TO, "from_": "", "url": URL}, 400, 21213),
        ({"to": TO, "from_": "me@there", "url": URL}, 400, 21212),
        ({"to": TO, "from_": FROM}, 400, 21205),
        ({"to": TO, "from_": FROM, "url": "ftp://x"}, 400, 21205),
        ({"to": TO, "from_": FROM, "twiml": "<Response><Enqueue/></Response>"}, 400, 12100),
        ({"to": TO, "from_": FROM, "url": URL, "status_callback": "x"}, 400, 21609),
        ({"to": TO, "from_": FROM, "url": URL, "status_callback_event": ["hm"]}, 400, 20001),
        ({"to": TO, "from_": FROM, "url": URL, "method": "PUT"}, 400, 20001),
    ],
)
async def test_what_is_wrong_with_a_call_has_twilios_number(
    house: Any, client: Client, fields: dict[str, Any], status: int, number: int
) -> None:
    assert await refusal(client.calls.create_async(**fields)) == (status, number)
    assert house.manager.asked == []


@pytest.mark.parametrize(
    ("raised", "status", "number"), [(InvalidTarget(), 400, 21211), (LimitReached("full"), 503, 20503)]
)
async def test_what_the_server_refuses_has_twilios_number(
    house: Any, client: Client, raised: Exception, status: int, number: int
) -> None:
    house.manager.refusal = raised
    assert await refusal(client.calls.create_async(to=TO, from_=FROM, url=URL)) == (status, number)


async def test_calls_are_listed_page_by_page_and_by_status(house: Any, client: Client) -> None:
    made = [sid(Sid.CALL, (await house.call()).id) for _ in range(5)]
    busy = await house.call(state="failed", reason="busy", ended_at=house.clock.now(), to_number="+15550199")
    listed = await client.calls.list_async(page_size=2)
    assert [call.sid for call in listed] == [sid(Sid.CALL, busy.id), *reversed(made)]
    assert [call.sid for call in await client.calls.list_async(status="busy")] == [sid(Sid.CALL, busy.id)]
    assert await client.calls.list_async(status="no-answer") == []
    assert [call.sid for call in await client.calls.list_async(to="+15550199")] == [sid(Sid.CALL, busy.id)]
    assert len(await client.calls.list_async(limit=3)) == 3


async def test_a_call_is_ended(house: Any, client: Client) -> None:
    call = await house.call()
    updated = await client.calls(sid(Sid.CALL, call.id)).update_async(status="completed")
    assert (updated.status, updated.duration) == ("completed", "0")
    assert await refusal(client.calls(sid(Sid.CALL, call.id)).update_async(status="completed")) == (404, 20404)


async def test_a_call_that_is_answered_cannot_be_cancelled(house: Any, client: Client) -> None:
    call = await house.call()
    assert await refusal(client.calls(sid(Sid.CALL, call.id)).update_async(status="canceled")) == (400, 21220)
    ringing = await house.call(state="ringing", answered_at=None)
    await client.calls(sid(Sid.CALL, ringing.id)).update_async(status="canceled")
    assert house.manager.asked[-1][0] == ringing.id


async def test_a_live_call_is_sent_elsewhere(house: Any, client: Client) -> None:
    call = await house.call()
    await client.calls(sid(Sid.CALL, call.id)).update_async(url=URL, method="GET")
    await client.calls(sid(Sid.CALL, call.id)).update_async(twiml=TWIML)
    assert house.manager.asked == [
        (call.id, Redirection("twilio", flow_url=URL, flow_method="GET")),
        (call.id, Redirection("twilio", flow=TWIML)),
    ]
    house.manager.refusal = CallNotLive()
    assert await refusal(client.calls(sid(Sid.CALL, call.id)).update_async(url=URL)) == (400, 21220)


async def test_a_stream_is_created_and_stopped_by_sid_and_by_name(house: Any, client: Client) -> None:
    call = await house.call()
    streams = client.calls(sid(Sid.CALL, call.id)).streams
    by_sid = await streams.create_async(url="wss://app.example/a", track="both_tracks")
    by_name = await streams.create_async(
        url="wss://app.example/b",
        name="copy",
        status_callback="https://app.example/told",
        status_callback_method="GET",
        parameter1_name="who",
        parameter1_value="me",
    )
    first, second = house.manager.asked
    assert (first.dialect, first.direction, first.tracks) == ("twilio", "listen", (1, 129))
    assert (second.name, second.parameters) == ("copy", {"who": "me"})
    assert (second.status_callback_url, second.status_callback_method) == ("https://app.example/told", "GET")
    assert second.status_callback_version == "twilio"
    assert (by_sid.status, by_name.name) == ("in-progress", "copy")
    assert by_sid.sid is not None
    assert await refusal(streams.create_async(url="wss://app.example/b", name="copy")) == (400, 20001)
    assert (await streams(by_sid.sid).update_async(status="stopped")).status == "stopped"
    stopped = await streams("copy").update_async(status="stopped")
    assert (stopped.sid, stopped.status) == (by_name.sid, "stopped")
    assert await refusal(streams("copy").update_async(status="stopped")) == (404, 20404)


async def test_a_call_has_four_streams_that_listen(house: Any, client: Client) -> None:
    call = await house.call()
    streams = client.calls(sid(Sid.CALL, call.id)).streams
    for number in range(4):
        await streams.create_async(url=f"wss://app.example/{number}")
    assert await refusal(streams.create_async(url="wss://app.example/5")) == (400, 20001)
    assert await refusal(streams.create_async(url="https://app.example/5")) == (400, 21205)


async def test_the_audio_of_a_recording_is_had(house: Any, client: Client, base_url: str) -> None:
    made = await house.recording()
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid(Sid.RECORDING, made.id)}"
    async with httpx.AsyncClient(base_url=base_url, auth=(ACCOUNT, KEY)) as http:
        for suffix in ("", ".wav"):
            assert (await http.get(path + suffix)).content == b"RIFF0123456789"
        assert (await http.get(path + ".mp3")).status_code == 404
    call = await house.call()
    call.legs[0].recordings = [encode_id("rec", made.id)]
    await house.durable.save_call(call)
    listed = await client.calls(sid(Sid.CALL, call.id)).recordings.list_async()
    assert [one.sid for one in listed] == [sid(Sid.RECORDING, made.id)]
    fetched = await client.recordings(sid(Sid.RECORDING, made.id)).fetch_async()
    assert (fetched.status, fetched.channels) == ("completed", 2)


async def test_strangers_learn_nothing(house: Any, base_url: str, http: AsyncTwilioHttpClient) -> None:
    call = await house.call()
    for account, key in ((ACCOUNT, "wrong"), (ACCOUNT, ""), ("AC" + "1" * 32, KEY)):
        stranger = a_client(base_url, http, account, key or "x")
        expected = (404, 20404) if key == KEY else (401, 20003)
        assert await refusal(stranger.calls(sid(Sid.CALL, call.id)).fetch_async()) == expected
    async with httpx.AsyncClient(base_url=base_url) as nobody:
        answer = await nobody.get(f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert answer.json() == {
            "code": 20003,
            "message": "Authenticate",
            "more_info": "https://www.twilio.com/docs/errors/20003",
            "status": 401,
        }
        answer = await nobody.get(f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json", auth=("AC" + "1" * 32, KEY))
        assert answer.status_code == 401


async def test_another_accounts_call_is_not_there(house: Any, base_url: str, http: AsyncTwilioHttpClient) -> None:
    call, other = await house.call(), new_id()
    await house.durable.accounts.save_account(AccountRecord(id=other, name="other", created_at=house.clock.now()))
    await house.durable.accounts.save_key(a_key("ll_key-of-another-account", other))
    client = a_client(base_url, http, sid(Sid.ACCOUNT, other), "ll_key-of-another-account")
    theirs = client.calls(sid(Sid.CALL, call.id))
    assert await refusal(theirs.fetch_async()) == (404, 20404)
    assert await refusal(theirs.update_async(status="completed")) == (404, 20404)
    assert await refusal(theirs.update_async(twiml=TWIML)) == (404, 20404)
    assert await refusal(theirs.streams.create_async(url="wss://app.example/")) == (404, 20404)
    assert await client.calls.list_async() == []
    assert house.manager.asked == []


async def test_a_key_that_may_only_read_places_no_calls(house: Any, base_url: str, http: AsyncTwilioHttpClient) -> None:
    await house.durable.accounts.save_key(a_key("ll_reader", scopes=["read"]))
    reader = a_client(base_url, http, key="ll_reader")
    assert await reader.calls.list_async() == []
    assert await refusal(reader.calls.create_async(to=TO, from_=FROM, url=URL)) == (403, 20006)


async def test_what_twilio_has_and_we_do_not_is_not_found(house: Any, client: Client) -> None:
    assert await refusal(client.messages.create_async(to=TO, from_=FROM, body="hello")) == (404, 20404)
