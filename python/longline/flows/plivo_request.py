"""How an application of Plivo's is asked what to do with a call: a form, posted or in the query, and signed. Pure.

The form says whose call it is and how it stands, and what the element before has come to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from longline.base import plivo
from longline.base.ids import Prefix, decode_id
from longline.base.urls import FORM, with_query
from longline.calls.call import Call
from longline.flows.language import FlowRequest, Question

Form = dict[str, str]


def flow_request(question: Question, base_url: str, secret: str | None) -> FlowRequest:
    """`base_url` is where recordings are had from."""
    form = call_form(question.call) | result_form(question.call, question.result, base_url)
    accept = {"accept": "text/xml, application/xml"}
    if question.method == "GET":
        url = with_query(question.url, form)
        return FlowRequest("GET", url, headers=accept | plivo.signed(secret, "GET", url, {}))
    headers = accept | {"content-type": FORM} | plivo.signed(secret, "POST", question.url, form)
    return FlowRequest("POST", question.url, urlencode(form).encode(), headers)


def call_form(call: Call) -> Form:
    return plivo.call_form(
        call_id=call.id,
        account=call.account_id,
        from_number=call.from_number,
        to_number=call.to_number,
        direction=str(call.direction),
        status=plivo.call_status(call.state, call.reason),
    )


def result_form(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    """What the element before has come to, and what kind of request this is."""
    if "flow_error" in result:
        return {"Event": "Fallback", "ErrorURL": result["flow_error"]["flow_url"] or ""}
    tell = _RESULTS.get(result.get("action", ""))
    return {"Event": "StartApp"} if tell is None else tell(call, result, base_url)


def _gathered(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    return {"Event": "GetDigits", "InputType": "dtmf", "Digits": str(result["digits"])}


def recording_url(call: Call, recording_id: str, base_url: str) -> str:
    return f"{base_url}/v1/Account/{plivo.account_id(call.account_id)}/Recording/{recording_id}/audio"


def _recorded(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    recording = str(decode_id(result["recording_id"], Prefix.RECORDING))
    duration_ms = int(result["duration_ms"])
    form = {
        "Event": "Record",
        "RecordingID": recording,
        "RecordUrl": recording_url(call, recording, base_url),
        "RecordingDuration": str(duration_ms // 1000),
        "RecordingDurationMs": str(duration_ms),
        "RecordingEndReason": _RECORD_ENDS.get(result["reason"], "Hangup"),
    }
    return form | ({"Digits": result["key"]} if "key" in result else {})


def _dialled(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    was_joined = result["was_joined"]
    form = {
        "Event": "DialHangup",
        "DialStatus": "completed" if was_joined else plivo.call_status("failed", result["reason"]),
        "DialRingStatus": "true" if "leg_id" in result else "false",
        "DialHangupCause": plivo.hangup_cause(result["reason"])[0],
        "DialALegUUID": str(call.id),
    }
    if "leg_id" in result:
        form["DialBLegUUID"] = str(decode_id(result["leg_id"], Prefix.LEG))
    return form


def _streamed(call: Call, result: Mapping[str, Any], base_url: str) -> Form:
    return {"Event": "StopStream", "StreamID": str(decode_id(result["stream_id"], Prefix.STREAM))}


_RECORD_ENDS: Final[Mapping[str, str]] = {
    "finish_key": "FinishedOnKey",
    "silence": "Timeout",
    "max_length": "MaxLength",
    "failed": "Hangup",
}
_RESULTS: Final[Mapping[str, Callable[[Call, Mapping[str, Any], str], Form]]] = {
    "gather": _gathered,
    "record": _recorded,
    "dial": _dialled,
    "stream": _streamed,
}
