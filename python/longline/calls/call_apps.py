"""Which voice app a call has, and what follows from it: its flow, who is told, in which format, under which secret.

A call that comes in has the app of the number that was called; if there is none, that of the trunk it comes by; if
there is none, that of `[inbound]`. A number that leads to a trunk is dialled there. A call that is placed has the app
of its `from_number`. Leaves out the apps themselves (`app_directory.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from longline.base.errors import FromNumberNotProvisioned
from longline.base.ids import DEFAULT_ACCOUNT_ID, DEFAULT_VOICE_APP_ID
from longline.calls.app_directory import AppDirectory
from longline.calls.call import Call
from longline.calls.configured_apps import config_app_id
from longline.calls.trunk import Trunk, parse
from longline.store.records import NumberRecord, VoiceAppRecord

_E164: Final = re.compile(r"\+[0-9]{7,15}")
_DIGITS: Final = re.compile(r"(?:\+|00)?([1-9][0-9]{6,14})")


@dataclass(frozen=True, slots=True)
class Taken:
    """How a call that comes in is taken: by an app, or by the flow that follows from its number. `account_id` owns
    it."""

    account_id: UUID
    app: VoiceAppRecord | None
    flow: dict[str, Any] | None = None
    told: Trunk | None = None
    """Whose webhook_url is told, in place of the app's."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Why a call that comes in is refused, and with which status."""

    status: int
    why: str


class CallApps:
    """`calls_of_app` counts the live calls of an app."""

    def __init__(
        self,
        directory: AppDirectory,
        find_trunk: Callable[[UUID | None], Trunk | None],
        calls_of_app: Callable[[UUID], int],
    ) -> None:
        self._directory = directory
        self._find_trunk = find_trunk
        self._calls_of_app = calls_of_app

    # --- calls that come in ----------------------------------------------------------------------------------------

    def incoming(self, called: str, trunk: Trunk | None) -> Taken | NotTaken:
        """`called` is the user part of the Request-URI, `trunk` whom the call comes from."""
        number = self._number(called, trunk)
        if number is not None and number.sip_trunk_id is not None:
            onward = self._onward(number, trunk)
            if onward is not None:
                return onward
        app = None if number is None else self._directory.find_app(number.voice_app_id)
        if app is None and trunk is not None and trunk.app is not None:
            app = self._directory.find_app(config_app_id(trunk.app))
        if app is None:
            return self._by_default(trunk)
        if not app.is_active:
            return NotTaken(404, f"the voice app {app.name} is inactive")
        if self.is_full(app):
            # RFC 3261 §21.4.21: whoever calls may try again later; another of our addresses would not help him.
            return NotTaken(486, f"the voice app {app.name} has reached its channel_limit")
        return Taken(app.account_id, app, self._static_flow() if app.id == DEFAULT_VOICE_APP_ID else None)

    def _number(self, called: str, trunk: Trunk | None) -> NumberRecord | None:
        """Carriers write a number with or without its +. A trunk of the API is its account's: it calls no number of
        another's here."""
        match = _DIGITS.fullmatch(called)
        number = None if match is None else self._directory.find_number(f"+{match[1]}")
        if number is not None and trunk is not None and not trunk.is_shared and trunk.account_id != number.account_id:
            return None
        return number

    def _onward(self, number: NumberRecord, came_by: Trunk | None) -> Taken | None:
        """The number's trunk is called; not back to where the call comes from."""
        trunk = self._find_trunk(number.sip_trunk_id)
        if trunk is None or not trunk.peer.targets or (came_by is not None and came_by.id == trunk.id):
            return None
        target = parse(trunk.peer.targets[0].uri)
        host_part = str(target).partition(":")[2].rpartition("@")[2]
        uri = f"{target.scheme}:{trunk.user or number.number}@{host_part}"
        return Taken(number.account_id, None, {"action": "dial", "to": uri}, trunk)

    def _by_default(self, trunk: Trunk | None) -> Taken | NotTaken:
        inbound = self._directory.config.inbound
        if inbound.flow_url is None and inbound.stream is None:
            return NotTaken(404, "no inbound flow is configured")
        if trunk is not None and trunk.account_id != DEFAULT_ACCOUNT_ID:
            return NotTaken(404, "the number is none of the trunk's account")
        app = self._directory.find_app(DEFAULT_VOICE_APP_ID)
        told = None if trunk is None or trunk.webhook_url is None else trunk
        return Taken(DEFAULT_ACCOUNT_ID, app, self._static_flow(), told)

    def _static_flow(self) -> dict[str, Any] | None:
        stream = self._directory.config.inbound.stream
        return None if stream is None else {"action": "stream", **stream.model_dump(exclude_none=True)}

    # --- calls that are placed -------------------------------------------------------------------------------------

    def outgoing(self, account_id: UUID, from_number: str, to_number: str) -> VoiceAppRecord | None:
        """The app of the caller's number; None where none is needed and none is there. Raise
        FromNumberNotProvisioned."""
        number = self._directory.find_number(from_number)
        if number is not None and number.account_id != account_id:
            raise FromNumberNotProvisioned("from_number is a virtual number of somebody else.")
        app = None if number is None else self._directory.find_app(number.voice_app_id)
        if app is not None and not app.is_active:
            raise FromNumberNotProvisioned(f"The voice app of from_number, {app.name}, is inactive.")
        if app is None and self._directory.config.from_numbers == "assigned" and _E164.fullmatch(to_number):
            raise FromNumberNotProvisioned
        return app

    def is_full(self, app: VoiceAppRecord) -> bool:
        """It has as many live calls as it may have."""
        return bool(app.channel_limit) and self._calls_of_app(app.id) >= (app.channel_limit or 0)


def take(call: Call, taken: Taken) -> None:
    """The call, which has come in, is taken so."""
    call.account_id, call.flow = taken.account_id, taken.flow
    call.voice_app_id = None
    if taken.app is not None:
        give_app(call, taken.app)
    if taken.told is not None:
        call.status_callback_url = taken.told.webhook_url
        call.webhook_version, call.secret_id = taken.told.webhook_version, taken.told.secret_id


def give_app(call: Call, app: VoiceAppRecord) -> None:
    """The call is the app's: its webhooks have the app's format and secret; one that came in asks its flow and tells
    its webhook_url."""
    call.voice_app_id, call.secret_id = app.id, app.secret_id
    call.webhook_version = app.webhook_version
    call.fallback_url = app.fallback_url
    if call.direction == "inbound":
        call.status_callback_url = app.webhook_url
        if call.flow is None:
            call.flow_url = app.flow_url
