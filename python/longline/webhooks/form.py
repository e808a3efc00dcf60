"""What the formats that tell by forms have in common: a form is stored, and sent as GET or POST, signed. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from longline.base.events import CallFacts, Event
from longline.base.urls import FORM, with_query
from longline.webhooks.format import HookRequest

Form = dict[str, str]


class FormFormat(ABC):
    """A `Format` but for which events it tells, the form, and who signs it."""

    @abstractmethod
    def form(self, event: Event, call: CallFacts) -> Form: ...

    @abstractmethod
    def signed(self, secret: str | None, method: str, url: str, form: Mapping[str, str]) -> dict[str, str]:
        """The headers that sign; `form` is what the body has, nothing of GET."""

    def render(self, event: Event, call: CallFacts) -> dict[str, Any]:
        method = event.target_method if event.target_url is not None else call.target_method
        return {"method": method, "form": self.form(event, call)}

    def request(self, payload: Mapping[str, Any], url: str, secret: str | None, at: datetime) -> HookRequest:
        form: Form = payload["form"]
        if payload["method"] == "GET":
            url = with_query(url, form)
            return HookRequest("GET", url, headers=self.signed(secret, "GET", url, {}))
        headers = {"content-type": FORM} | self.signed(secret, "POST", url, form)
        return HookRequest("POST", url, urlencode(form).encode(), headers)
