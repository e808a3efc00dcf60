"""How an application of Vonage's is asked what to do with a call: fields in the query, or a JSON object. Pure.

The first question says whose call it is; a later one says what the action before it has come to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from longline.base import vonage
from longline.base.ids import Prefix, decode_id
from longline.base.urls import with_query
from longline.calls.call import Call
from longline.flows.language import FlowRequest, Question

_ACCEPT: Final = {"accept": "application/json"}


def flow_request(question: Question, base_url: str, secret: str | None) -> FlowRequest:
    """`base_url` is where recordings are had from."""
    call = question.call
    facts: dict[str, Any] = vonage.call_facts(
        call_id=call.id, from_number=call.from_number, to_number=call.to_number
    ) | result_facts(call, question.result, base_url)
    at = question.at
    if question.method == "GET":
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
        return FlowRequest("GET", with_query(question.url, texts), headers=_ACCEPT | vonage.signed(secret, b"", at))
    body = json.dumps(facts | ({"timestamp": vonage.time_of(at)} if question.result else {})).encode()
    headers = _ACCEPT | {"content-type": "application/json"} | vonage.signed(secret, body, at)
    return FlowRequest("POST", question.url, body, headers)


def result_facts(call: Call, result: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    """What the action before has come to."""
    if "flow_error" in result:
        error = result["flow_error"]
        return {"reason": error["detail"], "original_request": {"url": error["flow_url"], "type": "answer"}}
    tell = _RESULTS.get(result.get("action", ""))
    return {} if tell is None else tell(call, result, base_url)


def _gathered(call: Call, result: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    timed_out = result["reason"] == "timeout"
    return {"dtmf": {"digits": str(result["digits"]), "timed_out": timed_out}, "speech": {"results": []}}


def _recorded(call: Call, result: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    recording = str(decode_id(result["recording_id"], Prefix.RECORDING))
    return {"recording_uuid": recording, "recording_url": f"{base_url}/v1/files/{recording}"}


def _dialled(call: Call, result: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    was_joined = result["was_joined"]
    status = "completed" if was_joined else vonage.call_status("failed", result["reason"])
    return {"status": status, "direction": "outbound"}


def _streamed(call: Call, result: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    """A WebSocket that was never there, and one that is there no more."""
    never = result["reason"] in ("dns_failed", "url_refused", "open_failed", "connect_failed", "handshake_failed")
    return {
        "status": "failed" if never else "disconnected",
        "direction": "outbound",
        "reason": str(result["reason"]),
        "stream_uuid": str(decode_id(result["stream_id"], Prefix.STREAM)),
    }


_RESULTS: Final[Mapping[str, Callable[[Call, Mapping[str, Any], str], dict[str, Any]]]] = {
    "gather": _gathered,
    "record": _recorded,
    "dial": _dialled,
    "stream": _streamed,
}
