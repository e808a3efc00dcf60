"""NCCOs: what Vonage's applications answer with, a list of actions in JSON, as a flow. Pure.

Each action becomes one of ours (`verbs.py`) or a step (`steps.py`); a `talk` or `stream` that may be interrupted is the
prompt of the `input` behind it. Keys that have no effect here are told as ignored. Left out: speech recognition,
conversations, notifications, premium voices and styles. What the application answers to an event is done if it is an
NCCO, and an empty answer goes on with the one before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from longline.base.stream_formats import SAMPLE_RATES_HZ, SampleRate
from longline.base.urls import ws_url
from longline.calls.bridge import FOR_EVER
from longline.calls.manner import Method
from longline.calls.stream import StreamAuth, StreamRequest
from longline.flows import verbs
from longline.flows.fields import check_parameters
from longline.flows.language import Document, FlowRequest, Question
from longline.flows.parse import ActManner, Flow, FlowInvalid
from longline.flows.steps import Answer, OpenStream, Step
from longline.flows.vonage_request import flow_request

V = TypeVar("V", bound=BaseModel)
Act = verbs.Verb | Step

HEADERS_MAX_BYTES: Final = 512
"""Of the headers of a WebSocket, as JSON."""
_CONTENT_TYPE: Final = re.compile(r"audio/l16\s*;\s*rate\s*=\s*(\d{4,5})", re.IGNORECASE)


class Ncco:
    """The language of Vonage's applications. `base_url` is where this node's recordings are had from."""

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url.rstrip("/")

    def request(self, question: Question, secret: str | None) -> FlowRequest:
        return flow_request(question, self._base_url, secret)

    def read(self, document: Document) -> Flow:
        """Raise FlowInvalid."""
        if not document.body.strip():
            return Flow(())
        try:
            value = json.loads(document.body)
        except (ValueError, RecursionError) as error:
            raise FlowInvalid("$", f"is no NCCO: {error}") from None
        return Flow(()) if value in ([], {}, None) else _Reader(document).read(value)


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._actions: list[Act] = []
        self._manners: list[ActManner] = []
        self._ignored: list[str] = []
        self._prompt: list[verbs.PromptPart] = []
        self._prompt_place = ""

    def read(self, value: object) -> Flow:
        if not isinstance(value, list) or len(value) > verbs.MAX_ACTIONS:
            raise FlowInvalid("$", f"is no NCCO: that is a list of at most {verbs.MAX_ACTIONS} actions")
        for index, item in enumerate(value):
            place = f"$[{index}]"
            if not isinstance(item, dict):
                raise FlowInvalid(place, "must be an object with an action")
            name = item.get("action")
            read = _ACTIONS.get(name) if isinstance(name, str) else None
            if read is None:
                raise FlowInvalid(f"{place}.action", f"is not known here; known are {', '.join(_ACTIONS)}")
            if name != "input":
                follows = value[index + 1] if index + 1 < len(value) else None
                self._is_prompt = (
                    item.get("bargeIn") is True and isinstance(follows, dict) and follows.get("action") == "input"
                )
            read(self, item, place)
        self._add("$", verbs.Hangup(action="hangup"))
        return Flow(tuple(self._actions), tuple(self._ignored), is_list=True, manners=tuple(self._manners))

    def _add(self, place: str, action: Act, method: Method = "POST") -> None:
        self._actions.append(action)
        self._manners.append(ActManner(place, method))

    # --- actions ---------------------------------------------------------------------------------------------------

    def talk(self, item: Mapping[str, Any], place: str) -> None:
        self._know(item, place, "text", "loop", "language", "bargeIn")
        fields: dict[str, Any] = {"action": "say", "text": item.get("text"), "language": item.get("language")}
        self._hear(item, place, verbs.Say, verbs.SaySound, fields)

    def stream(self, item: Mapping[str, Any], place: str) -> None:
        self._know(item, place, "streamUrl", "loop", "bargeIn")
        fields: dict[str, Any] = {"action": "play", "media_url": self._url(item, place, "streamUrl")}
        self._hear(item, place, verbs.Play, verbs.PlaySound, fields)

    def _hear(
        self,
        item: Mapping[str, Any],
        place: str,
        verb: type[verbs.Say | verbs.Play],
        sound: type[verbs.SaySound | verbs.PlaySound],
        fields: dict[str, Any],
    ) -> None:
        """How often: 0 is until something else happens."""
        times = _number(item, place, "loop", 1, 0, 1000)
        loop = {"loop": FOR_EVER if times == 0 else int(times)}
        if self._is_prompt:
            self._prompt.append(self._make(place, sound, fields).model_copy(update=loop))
        else:
            self._add(place, self._make(place, verb, fields).model_copy(update=loop))

    def input(self, item: Mapping[str, Any], place: str) -> None:
        self._know(item, place, "type", "dtmf", "eventUrl", "eventMethod")
        kinds = item.get("type", ["dtmf"])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not isinstance(kinds, list) or "dtmf" not in kinds:
            raise FlowInvalid(f"{place}.type", "only dtmf can be had: nobody here understands speech")
        if len(kinds) > 1:
            self._ignored.append(f"{place}.type: speech")
        dtmf = item.get("dtmf") or {}
        if not isinstance(dtmf, dict):
            raise FlowInvalid(f"{place}.dtmf", "must be an object")
        self._know(dtmf, f"{place}.dtmf", "timeOut", "maxDigits", "submitOnHash", action=False)
        prompt, self._prompt = self._prompt, []
        fields: dict[str, Any] = {
            "action": "gather",
            "prompt": prompt or None,
            "timeout": max(0.1, _number(dtmf, f"{place}.dtmf", "timeOut", 3, 0, 10)),
            "num_digits": int(_number(dtmf, f"{place}.dtmf", "maxDigits", 4, 1, 20)),
            "finish_key": "#" if dtmf.get("submitOnHash") is True else "",
            "flow_url": self._optional_url(item, place, "eventUrl"),
        }
        self._actions.append(self._make(place, verbs.Gather, fields))
        # Vonage tells an input that came to nothing too.
        self._manners.append(ActManner(place, _method(item, place), is_last=True))

    def record(self, item: Mapping[str, Any], place: str) -> None:
        self._know(item, place, "endOnSilence", "endOnKey", "timeOut", "beepStart", "eventUrl", "eventMethod")
        if not {"endOnSilence", "endOnKey", "timeOut"} & set(item):
            raise FlowInvalid(
                place, "needs endOnSilence, endOnKey or timeOut: a whole call is recorded as its app is set"
            )
        fields: dict[str, Any] = {
            "action": "record",
            "beep": item.get("beepStart") is True,
            "max_length": int(_number(item, place, "timeOut", 3600, 1, 3600)),
            "silence_end": _number(item, place, "endOnSilence", 0, 0, 120),
            "finish_key": str(item.get("endOnKey", "")),
            "flow_url": self._optional_url(item, place, "eventUrl"),
        }
        self._add(place, self._make(place, verbs.Record, fields), _method(item, place))

    def wait(self, item: Mapping[str, Any], place: str) -> None:
        self._know(item, place, "timeout")
        seconds = _number(item, place, "timeout", 10, 0.1, 600)
        self._add(place, self._make(place, verbs.Pause, {"action": "pause", "duration": seconds}))

    def connect(self, item: Mapping[str, Any], place: str) -> None:
        self._know(item, place, "endpoint", "from", "timeout", "eventUrl", "eventMethod", "eventType")
        endpoint = item.get("endpoint")
        if not isinstance(endpoint, list) or len(endpoint) != 1 or not isinstance(endpoint[0], dict):
            raise FlowInvalid(f"{place}.endpoint", "must be a list of one endpoint")
        to, where = endpoint[0], f"{place}.endpoint[0]"
        flow_url, method = self._optional_url(item, place, "eventUrl"), _method(item, place)
        if to.get("type") == "websocket":
            self._add(place, OpenStream(self._stream_request(to, where), flow_url=flow_url), method)
        else:
            fields = {
                "action": "dial",
                "to": _target(to, where),
                "timeout": int(_number(item, place, "timeout", 60, 1, 600)),
                "flow_url": flow_url,
                "from_number": _plus(item["from"]) if isinstance(item.get("from"), str) else None,
                "custom_headers": self._sip_headers(to, where),
            }
            self._add(place, Answer())
            self._add(place, self._make(place, verbs.Dial, fields), method)

    def _stream_request(self, to: Mapping[str, Any], where: str) -> StreamRequest:
        self._know(to, where, "type", "uri", "content-type", "headers", "authorization", action=False)
        match = _CONTENT_TYPE.fullmatch(str(to.get("content-type", "audio/l16;rate=16000")).strip())
        rate = next((name for name in get_args(SampleRate) if match and SAMPLE_RATES_HZ[name] == int(match[1])), None)
        if match is None or rate is None:
            raise FlowInvalid(f"{where}.content-type", "must be audio/l16 with a rate of 8000, 16000 or 24000")
        headers = to.get("headers") or {}
        if not isinstance(headers, dict) or len(json.dumps(headers)) > HEADERS_MAX_BYTES:
            raise FlowInvalid(f"{where}.headers", f"must be an object of at most {HEADERS_MAX_BYTES} bytes")
        texts = {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in headers.items()}
        try:
            request = StreamRequest(
                ws_url=ws_url(str(to.get("uri", ""))),
                dialect="vonage",
                sample_rate=rate,
                parameters=check_parameters(texts),
                auth=_authorization(to.get("authorization")),
            )
            _ = request.format
        except ValueError as error:
            raise FlowInvalid(where, str(error)) from None
        return request

    def _sip_headers(self, to: Mapping[str, Any], where: str) -> dict[str, str]:
        """Vonage shows a header "a" to the other end as X-a."""
        headers = to.get("headers") or {}
        if not isinstance(headers, dict):
            raise FlowInvalid(f"{where}.headers", "must be an object")
        return {f"X-{name}": str(value) for name, value in headers.items()}

    # --- what they share -------------------------------------------------------------------------------------------

    def _know(self, item: Mapping[str, Any], place: str, *names: str, action: bool = True) -> None:
        known = {*names, "action"} if action else set(names)
        self._ignored += [f"{place}.{str(key)[:60]}" for key in item if key not in known]

    def _make(self, place: str, model: type[V], fields: Mapping[str, Any]) -> V:
        try:
            return model.model_validate({name: value for name, value in fields.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise FlowInvalid(place, f"{key}: {first['msg'].removeprefix('Value error, ')}") from None

    def _url(self, item: Mapping[str, Any], place: str, name: str) -> str:
        """Vonage has URLs in lists of one."""
        value = item.get(name)
        text = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(text, str):
            raise FlowInvalid(f"{place}.{name}", "must be a list of one URL")
        try:
            return self._document.absolute(text)
        except ValueError as error:
            raise FlowInvalid(f"{place}.{name}", str(error)) from None

    def _optional_url(self, item: Mapping[str, Any], place: str, name: str) -> str | None:
        return None if item.get(name) in (None, []) else self._url(item, place, name)


_ACTIONS: Final[dict[str, Callable[[_Reader, Mapping[str, Any], str], None]]] = {
    "talk": _Reader.talk,
    "stream": _Reader.stream,
    "input": _Reader.input,
    "record": _Reader.record,
    "connect": _Reader.connect,
    "wait": _Reader.wait,
}


def _number(item: Mapping[str, Any], place: str, name: str, default: float, least: float, most: float) -> float:
    """A number, or a text that is one, within our bounds; one beyond them is taken for the bound."""
    try:
        value = float(item.get(name, default))
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    if value != value:  # nan
        raise FlowInvalid(f"{place}.{name}", "must be a number")
    return min(max(value, least), most)


def _method(item: Mapping[str, Any], place: str) -> Method:
    text = str(item.get("eventMethod", "POST")).upper()
    if text not in ("GET", "POST"):
        raise FlowInvalid(f"{place}.eventMethod", "must be GET or POST")
    return "GET" if text == "GET" else "POST"


def _target(to: Mapping[str, Any], where: str) -> str:
    kind = to.get("type")
    if kind == "phone":
        return _plus(str(to.get("number", "")))
    if kind == "sip":
        return str(to.get("uri", ""))
    raise FlowInvalid(f"{where}.type", "must be websocket, phone or sip")


def _plus(text: str) -> str:
    return f"+{text}" if text.isdecimal() else text


def _authorization(value: object) -> StreamAuth | None:
    """Raise ValueError."""
    if value is None:
        return None
    if isinstance(value, dict) and value.get("type") == "custom" and isinstance(value.get("value"), str):
        text = value["value"]
        if text.isascii() and text.isprintable():
            return StreamAuth(value=text)
    raise ValueError('authorization must be {"type": "custom", "value": …}')
