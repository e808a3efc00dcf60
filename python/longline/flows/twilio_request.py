"""How an application of Twilio's is asked what to do with a call: a form, posted or in the query, and signed. Pure.

The form says whose call it is and how it stands, and what the verb before has come to. Leaves out what Twilio says of
places and carriers (`FromCity`, `StirVerstat`): nobody here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from longline.base import twilio
from longline.base.ids import Prefix, decode_id
from longline.base.twilio import Sid, sid
from longline.base.urls import FORM, with_query
from longline.calls.call import Call
from longline.flows.language import FlowRequest, Question

Form = dict[str, str]

ERROR_CODES: Final[Mapping[str, str]] = {
    "flow_unreachable": "11200",
    "flow_timeout": "11205",
    "flow_invalid": "12100",
    "stream_failed": "31920",
    "speech_failed": "13520",
}
"""Twilio's code for why a flow has failed."""


def flow_request(question: Question, base_url: str, secret: str | None) -> FlowRequest:
    """`base_url` is where recordings are had from."""
    form = call_form(question.call) | result_form(question.call, question.result, base_url)
    accept = {"accept": "text/xml, application/xml"}
    if question.method == "GET":
        url = with_query(question.url, form)
        return FlowRequest("GET", url, headers=accept | signed(secret, url, {}))
    headers = accept | {"content-type": FORM} | signed(secret, question.url, form)
    return FlowRequest("POST", question.url, urlencode(form).encode(), headers)


def signed(secret: str | None, url: str, form: Mapping[str, str]) -> dict[str, str]:
    return {} if secret is None else {twilio.SIGNATURE_HEADER: twilio.signature(secret, url, form)}


def call_form(call: Call) -> Form:
    return twilio.call_form(
        call_id=call.id,
        account_id=call.account_id,
        from_number=call.from_number,
        to_number=call.to_number,
        direction=call.direction,
        status=twilio.call_status(call.state, call.reason),
    )


def result_form(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    """What the verb before has come to."""
    if "flow_error" in result:
        error = result["flow_error"]
        return {"ErrorCode": ERROR_CODES.get(error["reason"], "11200"), "ErrorUrl": error["flow_url"] or ""}
    tell = _RESULTS.get(result.get("action", ""))
    return {} if tell is None else tell(call, result, base_url)


def _gathered(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    return {"Digits": str(result["digits"]), "msg": "Gather End"}


def _recorded(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    recording = decode_id(result["recording_id"], Prefix.RECORDING)
    form = {
        "RecordingSid": sid(Sid.RECORDING, recording),
        "RecordingUrl": base_url + twilio.recording_path(call.account_id, recording),
        "RecordingDuration": str(int(result["duration_ms"]) // 1000),
    }
    return form | ({"Digits": result["key"]} if "key" in result else {})


def _dialled(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    was_joined = result["was_joined"]
    status = "completed" if was_joined else twilio.call_status("failed", result["reason"])
    form = {"DialCallStatus": status, "DialBridged": "true" if was_joined else "false"}
    if "leg_id" in result:
        form["DialCallSid"] = sid(Sid.CALL, decode_id(result["leg_id"], Prefix.LEG))
    return form | ({"DialCallDuration": str(result["duration_seconds"])} if was_joined else {})


def _streamed(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    form = {"StreamSid": sid(Sid.STREAM, decode_id(result["stream_id"], Prefix.STREAM))}
    return form | ({} if result["is_orderly"] else {"StreamError": str(result["reason"])})


_RESULTS: Final[Mapping[str, Callable[[Call, Mapping[str, Any], str], Form]]] = {
    "gather": _gathered,
    "record": _recorded,
    "dial": _dialled,
    "stream": _streamed,
}
