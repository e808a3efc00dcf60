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
from typing import Any, Final

from longline.base.urls import ws_url
from longline.calls.bridge import FOR_EVER
from longline.calls.manner import Method
from longline.calls.stream import StreamAuth, StreamRequest
from longline.flows import verbs
from longline.flows.fields import check_parameters
from longline.flows.json_reader import JsonReader, list_of, number_of, rate_of, with_plus
from longline.flows.language import Document, FlowRequest, Question
from longline.flows.parse import Flow, FlowInvalid
from longline.flows.steps import Answer, OpenStream
from longline.flows.vonage_request import flow_request

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
        actions = list_of(document, "NCCO")
        return _Reader(document).read(actions) if actions else Flow(())


class _Reader(JsonReader):
    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._prompt: list[verbs.PromptPart] = []
        self._is_prompt = False

    def read(self, value: list[dict[str, Any]]) -> Flow:
        for index, item in enumerate(value):
            place = f"$[{index}]"
            name = item.get("action")
            read = _ACTIONS.get(name) if isinstance(name, str) else None
            if read is None:
                raise FlowInvalid(f"{place}.action", f"is not known here; known are {', '.join(_ACTIONS)}")
            if name != "input":
                follows = value[index + 1] if index + 1 < len(value) else None
                self._is_prompt = (
                    item.get("bargeIn") is True and follows is not None and follows.get("action") == "input"
                )
            read(self, item, place)
        self._add("$", verbs.Hangup(action="hangup"))
        return self._flow()

    # --- actions ---------------------------------------------------------------------------------------------------

    def talk(self, item: Mapping[str, Any], place: str) -> None:
        self._known(item, place, "text", "loop", "language", "bargeIn")
        fields: dict[str, Any] = {"action": "say", "text": item.get("text"), "language": item.get("language")}
        self._hear(item, place, verbs.Say, verbs.SaySound, fields)

    def stream(self, item: Mapping[str, Any], place: str) -> None:
        self._known(item, place, "streamUrl", "loop", "bargeIn")
        fields: dict[str, Any] = {
            "action": "play",
            "media_url": self._url(_one(item.get("streamUrl")), f"{place}.streamUrl"),
        }
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
        times = number_of(item, place, "loop", 1, 0, 1000)
        loop = {"loop": FOR_EVER if times == 0 else int(times)}
        if self._is_prompt:
            self._prompt.append(self._make(place, sound, fields).model_copy(update=loop))
        else:
            self._add(place, self._make(place, verb, fields).model_copy(update=loop))

    def input(self, item: Mapping[str, Any], place: str) -> None:
        self._known(item, place, "type", "dtmf", "eventUrl", "eventMethod")
        kinds = item.get("type", ["dtmf"])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not isinstance(kinds, list) or "dtmf" not in kinds:
            raise FlowInvalid(f"{place}.type", "only dtmf can be had: nobody here understands speech")
        if len(kinds) > 1:
            self._ignored.append(f"{place}.type: speech")
        dtmf = item.get("dtmf") or {}
        if not isinstance(dtmf, dict):
            raise FlowInvalid(f"{place}.dtmf", "must be an object")
        self._know(dtmf, f"{place}.dtmf", "timeOut", "maxDigits", "submitOnHash")
        prompt, self._prompt = self._prompt, []
        fields: dict[str, Any] = {
            "action": "gather",
            "prompt": prompt or None,
            "timeout": max(0.1, number_of(dtmf, f"{place}.dtmf", "timeOut", 3, 0, 10)),
            "num_digits": int(number_of(dtmf, f"{place}.dtmf", "maxDigits", 4, 1, 20)),
            "finish_key": "#" if dtmf.get("submitOnHash") is True else "",
            "flow_url": self._event_url(item, place),
        }
        # Vonage tells an input that came to nothing too.
        self._add(place, self._make(place, verbs.Gather, fields), _method(item, place), is_last=True)

    def record(self, item: Mapping[str, Any], place: str) -> None:
        self._known(item, place, "endOnSilence", "endOnKey", "timeOut", "beepStart", "eventUrl", "eventMethod")
        if not {"endOnSilence", "endOnKey", "timeOut"} & set(item):
            raise FlowInvalid(
                place, "needs endOnSilence, endOnKey or timeOut: a whole call is recorded as its app is set"
            )
        fields: dict[str, Any] = {
            "action": "record",
            "beep": item.get("beepStart") is True,
            "max_length": int(number_of(item, place, "timeOut", 3600, 1, 3600)),
            "silence_end": number_of(item, place, "endOnSilence", 0, 0, 120),
            "finish_key": str(item.get("endOnKey", "")),
            "flow_url": self._event_url(item, place),
        }
        self._add(place, self._make(place, verbs.Record, fields), _method(item, place))

    def wait(self, item: Mapping[str, Any], place: str) -> None:
        self._known(item, place, "timeout")
        seconds = number_of(item, place, "timeout", 10, 0.1, 600)
        self._add(place, self._make(place, verbs.Pause, {"action": "pause", "duration": seconds}))

    def connect(self, item: Mapping[str, Any], place: str) -> None:
        self._known(item, place, "endpoint", "from", "timeout", "eventUrl", "eventMethod", "eventType")
        endpoint = item.get("endpoint")
        if not isinstance(endpoint, list) or len(endpoint) != 1 or not isinstance(endpoint[0], dict):
            raise FlowInvalid(f"{place}.endpoint", "must be a list of one endpoint")
        to, where = endpoint[0], f"{place}.endpoint[0]"
        flow_url, method = self._event_url(item, place), _method(item, place)
        if to.get("type") == "websocket":
            self._add(place, OpenStream(self._stream_request(to, where), flow_url=flow_url), method)
        else:
            fields = {
                "action": "dial",
                "to": _target(to, where),
                "timeout": int(number_of(item, place, "timeout", 60, 1, 600)),
                "flow_url": flow_url,
                "from_number": with_plus(item["from"]) if isinstance(item.get("from"), str) else None,
                "custom_headers": self._sip_headers(to, where),
            }
            self._add(place, Answer())
            self._add(place, self._make(place, verbs.Dial, fields), method)

    def _stream_request(self, to: Mapping[str, Any], where: str) -> StreamRequest:
        self._know(to, where, "type", "uri", "content-type", "headers", "authorization")
        match = _CONTENT_TYPE.fullmatch(str(to.get("content-type", "audio/l16;rate=16000")).strip())
        rate = rate_of(int(match[1])) if match else None
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

    def _known(self, item: Mapping[str, Any], place: str, *names: str) -> None:
        self._know(item, place, "action", *names)

    def _event_url(self, item: Mapping[str, Any], place: str) -> str | None:
        given = item.get("eventUrl")
        return None if given in (None, []) else self._url(_one(given), f"{place}.eventUrl")


_ACTIONS: Final[dict[str, Callable[[_Reader, Mapping[str, Any], str], None]]] = {
    "talk": _Reader.talk,
    "stream": _Reader.stream,
    "input": _Reader.input,
    "record": _Reader.record,
    "connect": _Reader.connect,
    "wait": _Reader.wait,
}


def _one(value: object) -> object:
    """Vonage has URLs in lists of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _method(item: Mapping[str, Any], place: str) -> Method:
    text = str(item.get("eventMethod", "POST")).upper()
    if text not in ("GET", "POST"):
        raise FlowInvalid(f"{place}.eventMethod", "must be GET or POST")
    return "GET" if text == "GET" else "POST"


def _target(to: Mapping[str, Any], where: str) -> str:
    kind = to.get("type")
    if kind == "phone":
        return with_plus(str(to.get("number", "")))
    if kind == "sip":
        return str(to.get("uri", ""))
    raise FlowInvalid(f"{where}.type", "must be websocket, phone or sip")


def _authorization(value: object) -> StreamAuth | None:
    """Raise ValueError."""
    if value is None:
        return None
    if isinstance(value, dict) and value.get("type") == "custom" and isinstance(value.get("value"), str):
        text = value["value"]
        if text.isascii() and text.isprintable():
            return StreamAuth(value=text)
    raise ValueError('authorization must be {"type": "custom", "value": …}')
