"""jambonz' call status events: a JSON object for each state of a call, posted to one URL and signed. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from longline.base import jambonz
from longline.base.events import CallFacts, Event, EventType
from longline.base.ids import DEFAULT_VOICE_APP_ID
from longline.webhooks.format import HookRequest

_CALLS: Final = frozenset(
    {
        EventType.CALL_INITIATED,
        EventType.CALL_RINGING,
        EventType.CALL_ANSWERED,
        EventType.CALL_COMPLETED,
        EventType.CALL_FAILED,
    }
)


class JambonzFormat:
    def is_told(self, event: Event, call: CallFacts) -> bool:
        return event.type in _CALLS

    def render(self, event: Event, call: CallFacts) -> dict[str, Any]:
        assert event.call_id is not None
        status, sip_status = jambonz.call_status(event.data["state"], event.data.get("reason"))
        told = jambonz.call_facts(
            call_id=event.call_id,
            account_id=call.account_id,
            application_id=call.voice_app_id or DEFAULT_VOICE_APP_ID,
            from_number=call.from_number,
            to_number=call.to_number,
        )
        told |= {"direction": event.data.get("direction"), "call_status": status, "sip_status": sip_status}
        if event.type in (EventType.CALL_COMPLETED, EventType.CALL_FAILED):
            told["duration"] = int(event.data.get("duration_seconds") or 0)
            told["call_termination_by"] = event.data.get("ended_by") or "jambonz"
        return {"body": told}

    def request(self, payload: Mapping[str, Any], url: str, secret: str | None, at: datetime) -> HookRequest:
        body = jambonz.encode(payload["body"])
        headers = {"content-type": "application/json"} | jambonz.signed(secret, body, at)
        return HookRequest("POST", url, body, headers)
