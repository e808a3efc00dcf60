"""The OpenAPI document is true: every declared answer can be had, has the declared shape, and no other comes."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from longline.base.errors import CallNotLive, InvalidTarget, LimitReached, StreamNotFound
from longline.base.ids import encode_id, new_id
from longline.observe import live

Make = Callable[[Any], Awaitable[dict[str, Any]]]
KEY = "test-key-1"
BIG = b" " * (256 * 1024 + 1)
CALL = "/api/v1/voice/calls/{call_id}"


def matches(schema: dict[str, Any], value: Any, document: dict[str, Any], at: str = "$") -> list[str]:
    """What of `value` is not as `schema` says: the part of JSON Schema that our document uses."""
    if "$ref" in schema:
        return matches(lookup(schema["$ref"], document), value, document, at)
    if "anyOf" in schema:
        fits = any(not matches(option, value, document, at) for option in schema["anyOf"])
        return [] if fits else [f"{at}: {value!r} is none of the alternatives"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is not in {schema['enum']}"]
    if "const" in schema and value != schema["const"]:
        return [f"{at}: {value!r} is not {schema['const']!r}"]
    if "type" in schema and not is_type(schema, value):
        return [f"{at}: {value!r} is not {schema['type']} {schema.get('format', '')}"]
    if isinstance(value, dict):
        return matches_object(schema, value, document, at)
    if isinstance(value, list):
        return [why for i, item in enumerate(value) for why in matches(schema["items"], item, document, f"{at}[{i}]")]
    return []


def matches_object(schema: dict[str, Any], value: dict[str, Any], document: dict[str, Any], at: str) -> list[str]:
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties", False)
    wrong = [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
    for name, item in value.items():
        if name in properties:
            wrong += matches(properties[name], item, document, f"{at}.{name}")
        elif isinstance(extra, dict):
            wrong += matches(extra, item, document, f"{at}.{name}")
        elif not extra:
            wrong.append(f"{at}.{name} is not declared")
    return wrong


def is_type(schema: dict[str, Any], value: Any) -> bool:
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None),
    }  # fmt: skip
    if not isinstance(value, kinds[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool)):
        return False
    if schema.get("format") == "date-time":
        return datetime.fromisoformat(value).tzinfo is not None
    return schema.get("format") != "uri" or bool(urlsplit(value).scheme)


def lookup(reference: str, document: dict[str, Any]) -> dict[str, Any]:
    found: Any = document
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return dict(found)


@dataclass(frozen=True)
class Case:
    """A request that gets this answer. `make` prepares the house and gives path parameters and request arguments."""

    method: str
    path: str
    status: int
    make: Make


def case(method: str, path: str, status: int, **request: Any) -> Case:
    """A request that needs nothing prepared but a live call, and perhaps a refusal of the manager."""

    async def make(house: Any) -> dict[str, Any]:
        arguments = dict(request)
        house.manager.refusal = arguments.pop("refusal", None)
        call_id = (await house.call()).id if arguments.pop("exists", True) else new_id()
        given = {"call_id": encode_id("cs", call_id), "stream_id": str(new_id()), "event_id": str(new_id())}
        return {"path": given | arguments.pop("ids", {}), **arguments}

    return Case(method, path, status, make)


def no_key(method: str, path: str, **request: Any) -> Case:
    return case(method, path, 403, headers={"x-api-key": "wrong"}, **request)


async def an_old_call(house: Any) -> dict[str, Any]:
    call = await house.call(state="completed", ended_at=house.clock.now())
    await house.clock.advance(3600)
    return {"path": {"call_id": str(call.id)}}


async def nothing_left_to_tell(house: Any) -> dict[str, Any]:
    return await an_old_call(house) | {"headers": {"last-event-id": str(new_id())}}


async def too_many_watch(house: Any) -> dict[str, Any]:
    house.monkeypatch.setattr(live, "MAX_WATCHERS", 0)
    return await an_old_call(house)


INITIATE = {
    "from_number": "+14155550100", "to_number": "+14155550101", "flow_url": "http://a/f",
    "status_callback_url": "http://a/s",
}  # fmt: skip
JSON = {"content-type": "application/json"}


def initiate_cases(path: str) -> list[Case]:
    return [
        case("POST", path, 202, json=INITIATE),
        case("POST", path, 400, json=INITIATE, refusal=InvalidTarget()),
        no_key("POST", path, json=INITIATE),
        case("POST", path, 413, content=BIG, headers=JSON),
        case("POST", path, 422, json={}),
        case("POST", path, 503, json=INITIATE, refusal=LimitReached()),
    ]


def control_cases(path: str, body: dict[str, Any]) -> list[Case]:
    """The answers that every control of a call has."""
    return [
        case("POST", path, 202, json=body),
        no_key("POST", path, json=body),
        case("POST", path, 404, json=body, exists=False),
        case("POST", path, 409, json=body, refusal=CallNotLive()),
        case("POST", path, 413, content=BIG, headers=JSON),
        case("POST", path, 422, json={}),
        case("POST", path, 503, json=body, refusal=LimitReached()),
    ]


def list_cases(path: str, *, of_call: bool) -> list[Case]:
    cases = [
        case("GET", path, 200),
        case("GET", path, 400, params={"cursor_after": "x"}),
        no_key("GET", path),
        case("GET", path, 422, params={"limit": 0}),
    ]
    return [*cases, case("GET", path, 404, exists=False)] if of_call else cases


async def with_stream(house: Any) -> dict[str, Any]:
    call = await house.call()
    url = f"/api/v1/voice/calls/{call.id}/streams"
    stream = (await house.http.post(url, json={"ws_url": "ws://a/m"})).json()
    return {"path": {"call_id": str(call.id), "stream_id": stream["id"]}}


def with_event(target: str | None, days_ago: int = 0) -> Make:
    async def make(house: Any) -> dict[str, Any]:
        call = await house.call()
        shown: dict[str, Any] = {"target_url": target, "payload": {}, "leg_id": new_id(), "stream_id": new_id()}
        event = await house.event(call.id, at=house.clock.now() - timedelta(days=days_ago), **shown)
        return {"path": {"event_id": str(event.id), "call_id": str(call.id)}}

    return make


async def with_recording(house: Any) -> dict[str, Any]:
    return {"params": {"recording_id": str((await house.recording()).id)}}


def with_link(*, gone: bool = False, forged: bool = False, **headers: str) -> Make:
    async def make(house: Any) -> dict[str, Any]:
        recording = await house.recording()
        answer = await house.http.get("/api/v1/recordings", params={"recording_id": str(recording.id)})
        params = dict(httpx.URL(answer.headers["location"]).params)
        if gone:
            (house.directory / f"{encode_id('rec', recording.id)}.wav").unlink()
        if forged:
            params["signature"] = "0" * 64
        return {"path": {"recording_id": str(recording.id)}, "params": params, "headers": headers}

    return make


async def not_ready(house: Any) -> dict[str, Any]:
    house.ready["media_server"] = False
    return {}


async def nothing(_house: Any) -> dict[str, Any]:
    return {}


TRUNKS, A_TRUNK = "/api/v1/sip/trunks", "/api/v1/sip/trunks/{trunk_id}"
NUMBERS = f"{A_TRUNK}/virtual-numbers"
ACLS, AN_ACL = "/api/v1/sip/ip-acls", "/api/v1/sip/ip-acls/{ip_acl_id}"
SIP_CALL = "/api/v1/sip/calls/{call_id}"
TRUNK = {
    "name": "pbx", "domain_name": "pbx.example", "authentication_type": "IP",
    "auth_addresses": [{"name": "a", "address": "192.0.2.1"}], "inbound_route": {"sip_url": "sip:pbx.example"},
}  # fmt: skip
ACL = {"name": "office", "addresses": [{"address": "192.0.2.0/28"}]}
NO_TRUNK, NO_ACL = {"trunk_id": str(new_id())}, {"ip_acl_id": str(new_id())}


def with_trunk(**request: Any) -> Make:
    async def make(house: Any) -> dict[str, Any]:
        trunk = (await house.http.post(TRUNKS, json=TRUNK)).json()
        return {"path": {"trunk_id": trunk["id"]}, **request}

    return make


async def the_configured_trunk(house: Any) -> dict[str, Any]:
    (trunk,) = (await house.http.get(TRUNKS)).json()["data"]
    return {"path": {"trunk_id": trunk["id"]}}


def with_acl(*, second: bool = False, attached: bool = False, **request: Any) -> Make:
    async def make(house: Any) -> dict[str, Any]:
        acl = (await house.http.post(ACLS, json=ACL)).json()
        if second:
            await house.http.post(ACLS, json=ACL | {"name": "second"})
        if attached:
            auth = {"auth_addresses": None, "ip_acl_id": acl["id"]}
            assert (await house.http.post(TRUNKS, json=TRUNK | auth)).status_code == 201
        return {"path": {"ip_acl_id": acl["id"]}, **request}

    return make


async def full_of_trunks(house: Any) -> dict[str, Any]:
    house.monkeypatch.setattr("longline.calls.trunk_book.MAX_TRUNKS", 1)
    return {"json": TRUNK}


async def full_of_acls(house: Any) -> dict[str, Any]:
    house.monkeypatch.setattr("longline.calls.trunk_book.MAX_ACLS", 0)
    return {"json": ACL}


DTMF, DIGITS = f"{CALL}/dtmf", {"digits": "1"}
HANGUP, STREAMS, STREAM = f"{CALL}/hangup", f"{CALL}/streams", f"{CALL}/streams/{{stream_id}}"
EVENT, REDELIVER = "/api/v1/events/{event_id}", "/api/v1/events/{event_id}/redeliver"
RECORDINGS, AUDIO = "/api/v1/recordings", "/api/v1/recordings/{recording_id}/audio"
WS = {"ws_url": "ws://a/m"}
TRANSFER = {"target": {"kind": "sip", "uri": "sip:bob@b.example"}}

APPS, AN_APP = "/api/v1/voice/apps", "/api/v1/voice/apps/{voice_app_id}"
APP_NUMBERS = f"{AN_APP}/virtual-numbers"
VNS, A_VN = "/api/v1/virtual-numbers", "/api/v1/virtual-numbers/{vn_id}"
ASSIGN, UNASSIGN = f"{VNS}/assign", f"{VNS}/unassign"
SECRETS, A_SECRET = "/api/v1/secrets", "/api/v1/secrets/{secret_id}"
APP = {"name": "support", "flow_url": "http://a/f", "webhook_url": "http://a/w"}
VN = {"number": "+14155550111", "location": {"name": "San Francisco", "region_code": "CA", "country_code": "US"}}
GONE = {name: str(new_id()) for name in ("voice_app_id", "vn_id", "secret_id")}


def with_apps(**request: Any) -> Make:
    """A voice app with a number and a secret; `json` may name their ids as `$app`, `$vn`, `$fixed`."""

    async def make(house: Any) -> dict[str, Any]:
        secret = (await house.http.post(SECRETS, json={"name": "one"})).json()
        app = (await house.http.post(APPS, json=APP | {"secret_id": secret["id"]})).json()
        await house.http.post(APPS, json=APP | {"name": "second"})
        await house.http.post(SECRETS, json={"name": "second"})
        vn = (await house.http.post(VNS, json=VN | {"voice_app_id": app["id"]})).json()
        (fixed,) = (await house.http.get(VNS, params={"search": "0199"})).json()["data"]
        named = {"$app": app["id"], "$vn": [vn["id"]], "$fixed": [fixed["id"]]}
        body = {key: named.get(str(value), value) for key, value in request.get("json", {}).items()}
        ids = {"voice_app_id": app["id"], "vn_id": vn["id"], "secret_id": secret["id"]}
        if "free" in request:
            await house.http.patch(f"{APPS}/{app['id']}", json={"secret_id": None})
        return (
            {"path": ids}
            | {k: v for k, v in request.items() if k not in ("json", "free")}
            | ({"json": body} if body else {})
        )

    return make


async def the_configured_app(house: Any) -> dict[str, Any]:
    (app,) = (await house.http.get(APPS)).json()["data"]
    (vn,) = (await house.http.get(VNS)).json()["data"]
    return {"path": {"voice_app_id": app["id"], "vn_id": vn["id"]}}


def configured(**request: Any) -> Make:
    async def make(house: Any) -> dict[str, Any]:
        return await the_configured_app(house) | request

    return make


def full_of(what: str, json: dict[str, Any]) -> Make:
    async def make(house: Any) -> dict[str, Any]:
        house.monkeypatch.setattr(what, 0)
        return {"json": json}

    return make


def of_one(method: str, path: str, body: dict[str, Any] | None, conflict: Make | None) -> list[Case]:
    """The answers of what is asked of one resource that is there, or is not."""
    request = {} if body is None else {"json": body}
    cases = [
        Case(method, path, 200, with_apps(free=True, **request)),
        no_key(method, path, ids=GONE, **request),
        case(method, path, 404, ids=GONE, **request),
    ]
    if conflict is not None:
        cases.append(Case(method, path, 409, conflict))
    if body is not None:
        cases.append(case(method, path, 413, ids=GONE, content=BIG, headers=JSON))
        cases.append(case(method, path, 422, ids=GONE, json={"name": " "}))
    return cases


CASES_OF_APPS = [
    case("POST", APPS, 201, json=APP),
    case("POST", APPS, 400, json=APP | {"secret_id": str(new_id())}),
    no_key("POST", APPS, json=APP),
    case("POST", APPS, 404, json=APP | {"vn_ids": [str(new_id())]}),
    Case("POST", APPS, 409, with_apps(json=APP)),
    case("POST", APPS, 413, content=BIG, headers=JSON),
    case("POST", APPS, 422, json={}),
    Case("POST", APPS, 503, full_of("longline.calls.app_directory.MAX_APPS", APP)),
    *list_cases(APPS, of_call=False),
    *of_one("GET", AN_APP, None, None),
    *of_one("PATCH", AN_APP, {"channel_limit": 1}, configured(json={"name": "x"})),
    Case("PATCH", AN_APP, 400, with_apps(json={"secret_id": str(new_id())})),
    *of_one("DELETE", AN_APP, None, the_configured_app),
    *of_one("GET", APP_NUMBERS, None, None),
    Case("GET", APP_NUMBERS, 400, with_apps(params={"cursor_after": "x"})),
    case("GET", APP_NUMBERS, 422, ids=GONE, params={"limit": 51}),
    case("POST", VNS, 201, json=VN),
    case("POST", VNS, 400, json=VN | {"voice_app_id": str(new_id()), "sip_trunk_id": str(new_id())}),
    no_key("POST", VNS, json=VN),
    case("POST", VNS, 404, json=VN | {"voice_app_id": str(new_id())}),
    Case("POST", VNS, 409, with_apps(json=VN)),
    case("POST", VNS, 413, content=BIG, headers=JSON),
    case("POST", VNS, 422, json={"number": "1"}),
    Case("POST", VNS, 503, full_of("longline.calls.app_directory.MAX_NUMBERS", VN)),
    *list_cases(VNS, of_call=False),
    *of_one("GET", A_VN, None, None),
    *of_one("PATCH", A_VN, {"name": "line"}, configured(json={"name": "x"})),
    *of_one("DELETE", A_VN, None, the_configured_app),
    Case("POST", ASSIGN, 200, with_apps(json={"vn_ids": "$vn", "voice_app_id": "$app"})),
    case("POST", ASSIGN, 400, json={"apply_to_all": True}),
    no_key("POST", ASSIGN, json={}),
    Case("POST", ASSIGN, 404, with_apps(json={"vn_ids": "$vn", "voice_app_id": str(new_id())})),
    Case("POST", ASSIGN, 409, with_apps(json={"vn_ids": "$fixed", "voice_app_id": "$app"})),
    case("POST", ASSIGN, 413, content=BIG, headers=JSON),
    case("POST", ASSIGN, 422, json={"vn_ids": ["x"]}),
    Case("POST", UNASSIGN, 200, with_apps(json={"vn_ids": "$vn"})),
    case("POST", UNASSIGN, 400, json={}),
    no_key("POST", UNASSIGN, json={}),
    case("POST", UNASSIGN, 404, json={"vn_ids": [str(new_id())]}),
    Case("POST", UNASSIGN, 409, with_apps(json={"vn_ids": "$fixed"})),
    case("POST", UNASSIGN, 413, content=BIG, headers=JSON),
    case("POST", UNASSIGN, 422, json={"vn_ids": ["x"]}),
    case("POST", SECRETS, 201, json={"name": "new"}),
    no_key("POST", SECRETS, json={"name": "new"}),
    Case("POST", SECRETS, 409, with_apps(json={"name": "one"})),
    case("POST", SECRETS, 413, content=BIG, headers=JSON),
    case("POST", SECRETS, 422, json={}),
    Case("POST", SECRETS, 503, full_of("longline.calls.secret_book.MAX_SECRETS", {"name": "new"})),
    *list_cases(SECRETS, of_call=False),
    *of_one("GET", A_SECRET, None, None),
    *of_one("PATCH", A_SECRET, {"rotate": True}, with_apps(json={"name": "second"})),
    *of_one("DELETE", A_SECRET, None, with_apps()),
]

CASES = [
    *CASES_OF_APPS,
    *initiate_cases("/api/v1/voice/calls/initiate"),
    *initiate_cases("/api/v1/calls/initiate"),
    *list_cases("/api/v1/voice/calls", of_call=False),
    case("GET", CALL, 200),
    no_key("GET", CALL),
    case("GET", CALL, 404, exists=False),
    Case("GET", f"{CALL}/live", 200, an_old_call),
    Case("GET", f"{CALL}/live", 204, nothing_left_to_tell),
    no_key("GET", f"{CALL}/live"),
    case("GET", f"{CALL}/live", 404, exists=False),
    Case("GET", f"{CALL}/live", 503, too_many_watch),
    case("PATCH", CALL, 200, json={"metadata": {"ticket": 7}}),
    no_key("PATCH", CALL, json={"metadata": {}}),
    case("PATCH", CALL, 404, json={"metadata": {}}, exists=False),
    case("PATCH", CALL, 413, content=BIG, headers=JSON),
    case("PATCH", CALL, 422, json={"metadata": []}),
    *list_cases(f"{CALL}/legs", of_call=True),
    *list_cases(f"{CALL}/events", of_call=True),
    Case("GET", f"{CALL}/events", 200, with_event("http://x")),
    case("POST", HANGUP, 202, json={}),
    no_key("POST", HANGUP, json={}),
    case("POST", HANGUP, 404, json={}, exists=False),
    case("POST", HANGUP, 409, json={}, refusal=CallNotLive()),
    case("POST", HANGUP, 413, content=BIG, headers=JSON),
    case("POST", HANGUP, 422, json={"reason": "lower"}),
    *control_cases(f"{CALL}/mute", {"leg_id": str(new_id()), "on": True}),
    *control_cases(f"{CALL}/hold", {"on": True}),
    *control_cases(f"{CALL}/play", {"media_url": "https://a/x.wav"}),
    *control_cases(f"{CALL}/transfer", TRANSFER),
    case("POST", f"{CALL}/transfer", 400, json=TRANSFER | {"mode": "warm"}),
    case("POST", DTMF, 202, json=DIGITS),
    no_key("POST", DTMF, json=DIGITS),
    case("POST", DTMF, 404, json=DIGITS, exists=False),
    case("POST", DTMF, 409, json=DIGITS, refusal=CallNotLive()),
    case("POST", DTMF, 413, content=BIG, headers=JSON),
    case("POST", DTMF, 422, json={"digits": "x"}),
    case("POST", DTMF, 503, json=DIGITS, refusal=LimitReached("x")),
    case("POST", STREAMS, 201, json=WS),
    no_key("POST", STREAMS, json=WS),
    case("POST", STREAMS, 404, json=WS, exists=False),
    case("POST", STREAMS, 409, json=WS, refusal=CallNotLive()),
    case("POST", STREAMS, 413, content=BIG, headers=JSON),
    case("POST", STREAMS, 422, json={}),
    case("POST", STREAMS, 503, json=WS, refusal=LimitReached()),
    *list_cases(STREAMS, of_call=True),
    Case("GET", STREAMS, 200, with_stream),
    Case("DELETE", STREAM, 200, with_stream),
    no_key("DELETE", STREAM),
    case("DELETE", STREAM, 404, refusal=StreamNotFound()),
    case("DELETE", STREAM, 409, refusal=CallNotLive()),
    *list_cases("/api/v1/events", of_call=False),
    Case("GET", "/api/v1/events", 200, with_event(None)),
    Case("GET", EVENT, 200, with_event("http://x")),
    no_key("GET", EVENT),
    case("GET", EVENT, 404),
    Case("POST", REDELIVER, 202, with_event("http://x")),
    no_key("POST", REDELIVER),
    case("POST", REDELIVER, 404),
    Case("POST", REDELIVER, 409, with_event(None)),
    Case("POST", REDELIVER, 410, with_event("http://127.0.0.1:9/", days_ago=31)),
    Case("GET", RECORDINGS, 307, with_recording),
    no_key("GET", RECORDINGS),
    case("GET", RECORDINGS, 404, params={"recording_id": str(new_id())}),
    case("GET", RECORDINGS, 422),
    Case("GET", AUDIO, 200, with_link()),
    Case("GET", AUDIO, 206, with_link(range="bytes=0-3")),
    Case("GET", AUDIO, 400, with_link(range="bytes=nonsense")),
    Case("GET", AUDIO, 403, with_link(forged=True)),
    Case("GET", AUDIO, 404, with_link(gone=True)),
    Case("GET", AUDIO, 416, with_link(range="bytes=900-")),
    case("GET", AUDIO, 422, ids={"recording_id": str(new_id())}),
    case("POST", TRUNKS, 201, json=TRUNK),
    case("POST", TRUNKS, 400, json=TRUNK | {"secret_id": str(new_id())}),
    no_key("POST", TRUNKS, json=TRUNK),
    Case("POST", TRUNKS, 409, with_trunk(json=TRUNK)),
    case("POST", TRUNKS, 413, content=BIG, headers=JSON),
    case("POST", TRUNKS, 422, json={}),
    Case("POST", TRUNKS, 503, full_of_trunks),
    *list_cases(TRUNKS, of_call=False),
    Case("GET", TRUNKS, 200, with_trunk()),
    Case("GET", A_TRUNK, 200, with_trunk()),
    no_key("GET", A_TRUNK, ids=NO_TRUNK),
    case("GET", A_TRUNK, 404, ids=NO_TRUNK),
    Case("PATCH", A_TRUNK, 200, with_trunk(json={"channel_limit": 2})),
    Case("PATCH", A_TRUNK, 400, with_trunk(json={"secret_id": str(new_id())})),
    no_key("PATCH", A_TRUNK, ids=NO_TRUNK, json={}),
    case("PATCH", A_TRUNK, 404, ids=NO_TRUNK, json={}),
    Case("PATCH", A_TRUNK, 409, with_trunk(json={"name": "carrier"})),
    case("PATCH", A_TRUNK, 413, ids=NO_TRUNK, content=BIG, headers=JSON),
    Case("PATCH", A_TRUNK, 422, with_trunk(json={"transport": "udp"})),
    Case("DELETE", A_TRUNK, 200, with_trunk()),
    no_key("DELETE", A_TRUNK, ids=NO_TRUNK),
    case("DELETE", A_TRUNK, 404, ids=NO_TRUNK),
    Case("DELETE", A_TRUNK, 409, the_configured_trunk),
    Case("GET", NUMBERS, 200, with_trunk()),
    Case("GET", NUMBERS, 400, with_trunk(params={"cursor_after": "x", "cursor_before": "y"})),
    no_key("GET", NUMBERS, ids=NO_TRUNK),
    case("GET", NUMBERS, 404, ids=NO_TRUNK),
    Case("GET", NUMBERS, 422, with_trunk(params={"limit": 0})),
    case("POST", ACLS, 201, json=ACL),
    no_key("POST", ACLS, json=ACL),
    Case("POST", ACLS, 409, with_acl(json=ACL)),
    case("POST", ACLS, 413, content=BIG, headers=JSON),
    case("POST", ACLS, 422, json={}),
    Case("POST", ACLS, 503, full_of_acls),
    *list_cases(ACLS, of_call=False),
    Case("GET", ACLS, 200, with_acl()),
    Case("GET", AN_ACL, 200, with_acl()),
    no_key("GET", AN_ACL, ids=NO_ACL),
    case("GET", AN_ACL, 404, ids=NO_ACL),
    Case("PATCH", AN_ACL, 200, with_acl(json={"name": "other"})),
    no_key("PATCH", AN_ACL, ids=NO_ACL, json={}),
    case("PATCH", AN_ACL, 404, ids=NO_ACL, json={}),
    Case("PATCH", AN_ACL, 409, with_acl(json={"name": "second"}, second=True)),
    case("PATCH", AN_ACL, 413, ids=NO_ACL, content=BIG, headers=JSON),
    Case("PATCH", AN_ACL, 422, with_acl(json={"addresses": []})),
    Case("DELETE", AN_ACL, 200, with_acl()),
    no_key("DELETE", AN_ACL, ids=NO_ACL),
    case("DELETE", AN_ACL, 404, ids=NO_ACL),
    Case("DELETE", AN_ACL, 409, with_acl(attached=True)),
    *list_cases("/api/v1/sip/calls", of_call=False),
    case("GET", SIP_CALL, 200),
    no_key("GET", SIP_CALL),
    case("GET", SIP_CALL, 404, exists=False),
    Case("GET", "/api/v1/sip/phones", 200, nothing),
    no_key("GET", "/api/v1/sip/phones"),
    Case("GET", "/flow-schema.json", 200, nothing),
    Case("GET", "/healthz", 200, nothing),
    Case("GET", "/readyz", 200, nothing),
    Case("GET", "/readyz", 503, not_ready),
]


_MADE: list[dict[str, Any]] = []


async def document_of(house: Any) -> dict[str, Any]:
    """The document, the same for every house and slow to make."""
    if not _MADE:
        _MADE.append((await house.http.get("/openapi.json")).json())
    return _MADE[0]


@pytest.mark.parametrize("each", CASES, ids=lambda each: f"{each.method} {each.path} {each.status}")
async def test_the_answer_is_as_it_is_declared(house: Any, each: Case) -> None:
    document = await document_of(house)
    request = await each.make(house)
    path = each.path.format(**request.pop("path", {}))
    answer = await house.http.request(each.method, path, **request)
    assert answer.status_code == each.status, answer.text
    declared = document["paths"][each.path][each.method.lower()]["responses"][str(each.status)]
    content = declared.get("content", {})
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if not content:
        assert answer.content == b""
    elif media_type == "application/json":
        assert matches(content[media_type]["schema"], answer.json(), document) == []
    else:
        assert media_type in content
    for header in declared.get("headers", {}):
        assert answer.headers[header]


async def test_every_declared_answer_has_a_case_above_and_no_other(house: Any) -> None:
    document = await document_of(house)
    declared = {
        (method.upper(), path, int(status))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
        if not (status == "429" and operation.get("security"))  # one for all: test_callers
    }
    assert {(each.method, each.path, each.status) for each in CASES} == declared


async def test_every_route_of_the_application_is_in_the_document(house: Any) -> None:
    document = await document_of(house)
    text = str(document)
    for reference in set(re.findall(r"#/components/schemas/[A-Za-z0-9_]+", text)):
        assert lookup(reference, document)
    operation_ids = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(set(operation_ids)) == len(operation_ids) >= 36


async def test_links_tell_which_answer_names_the_id_that_a_path_asks_for(house: Any) -> None:
    paths = (await document_of(house))["paths"]
    initiated = paths["/api/v1/voice/calls/initiate"]["post"]["responses"]["202"]["links"]
    assert initiated["retrieve_call"]["parameters"] == {"call_id": "$response.body#/data/id"}
    opened = paths["/api/v1/voice/calls/{call_id}/streams"]["post"]["responses"]["201"]["links"]
    expected = {"call_id": "$request.path.call_id", "stream_id": "$response.body#/id"}
    assert opened["close_stream"]["parameters"] == expected
    linked = {
        name
        for methods in paths.values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for name in answer.get("links", {})
    }
    with_id = {each["operationId"] for path in paths if "{" in path for each in paths[path].values()}
    assert with_id - linked == {"download_recording"}, "a signed link comes from a Location"


async def test_what_needs_a_key_says_so_and_what_does_not_does_not(house: Any) -> None:
    document = await document_of(house)
    assert document["components"]["securitySchemes"] == {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"}
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://x") as stranger:
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                answer = await stranger.request(method, re.sub(r"\{\w+\}", "x", path))
                is_shut = answer.status_code == 403 and "Invalid API Key." in answer.text
                assert is_shut == (operation.get("security") == [{"ApiKey": []}])


async def test_a_document_that_lies_is_noticed(house: Any) -> None:
    """The checker above is not one that accepts anything."""
    document = await document_of(house)
    schema = document["components"]["schemas"]["CallSession"]
    call = await house.call()
    good = (await house.http.get(f"/api/v1/voice/calls/{call.id}")).json()
    assert matches(schema, good, document) == []
    for lie in ({"extra": 1}, {"state": "lost"}, {"created_at": "2026-01-01T00:00:00"}, {"legs": [{}]}, {"id": 7}):
        assert matches(schema, good | lie, document)
    assert matches(schema, {key: value for key, value in good.items() if key != "legs"}, document)
