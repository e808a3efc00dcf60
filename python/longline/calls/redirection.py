"""What a live call is to do from now on, in the place of what it does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from longline.calls.call import Call
from longline.calls.manner import Method


@dataclass(frozen=True, slots=True)
class Redirection:
    """`flow` is a document in the `language`; without it `flow_url` is asked for one."""

    language: str
    flow: str | None = None
    flow_url: str | None = None
    flow_method: Method = "POST"

    def take_effect(self, call: Call) -> None:
        """Whoever asks for the call's flow next does this."""
        call.flow, call.flow_url = self.flow, self.flow_url
        call.manner = replace(call.manner, language=self.language, flow_method=self.flow_method)
