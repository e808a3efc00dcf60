"""How an application of jambonz' is asked what to do with a call: a JSON object, or fields in the query; signed. Pure.

It says whose call it is and how it stands, and what the verb before has come to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from longline.base import jambonz
from longline.base.ids import DEFAULT_VOICE_APP_ID, Prefix, decode_id
from longline.base.urls import with_query
from longline.calls.call import Call
from longline.flows.language import FlowRequest, Question

_ACCEPT: Final = {"accept": "application/json"}


def flow_request(question: Question, secret: str | None) -> FlowRequest:
    facts = call_facts(question.call) | result_facts(question.result)
    if question.method == "GET":
        url = with_query(question.url, {name: str(value) for name, value in facts.items()})
        return FlowRequest("GET", url, headers=_ACCEPT | jambonz.signed(secret, b"", question.at))
    body = jambonz.encode(facts)
    headers = _ACCEPT | {"content-type": "application/json"} | jambonz.signed(secret, body, question.at)
    return FlowRequest("POST", question.url, body, headers)


def call_facts(call: Call) -> dict[str, Any]:
    status, sip_status = jambonz.call_status(call.state, call.reason)
    return jambonz.call_facts(
        call_id=call.id,
        account_id=call.account_id,
        application_id=call.voice_app_id or DEFAULT_VOICE_APP_ID,
        from_number=call.from_number,
        to_number=call.to_number,
    ) | {"direction": str(call.direction), "call_status": status, "sip_status": sip_status}


def result_facts(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the verb before has come to."""
    tell = _RESULTS.get(result.get("action", ""))
    return {} if tell is None else tell(result)


def _gathered(result: Mapping[str, Any]) -> dict[str, Any]:
    digits = str(result["digits"])
    return {"reason": "dtmfDetected", "digits": digits} if digits else {"reason": "timeout"}


def _dialled(result: Mapping[str, Any]) -> dict[str, Any]:
    status, sip_status = ("completed", 200) if result["was_joined"] else jambonz.call_status("failed", result["reason"])
    facts: dict[str, Any] = {"dial_call_status": status, "dial_sip_status": sip_status}
    return facts | (
        {"dial_call_sid": str(decode_id(result["leg_id"], Prefix.LEG))} if result.get("leg_id") is not None else {}
    )


def _streamed(result: Mapping[str, Any]) -> dict[str, Any]:
    return {"reason": str(result["reason"])}


_RESULTS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "gather": _gathered,
    "dial": _dialled,
    "stream": _streamed,
}
