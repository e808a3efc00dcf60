"""A language that flows are written in, and asked for, beside our own: what one has to be able to do.

Another platform's application is asked in that platform's words and answers a document in its markup; the document
becomes a flow of the verbs that ours have. Pure: who sends the request is `fetch.py`, who does the flow `runner.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urljoin

from longline.base.urls import http_url
from longline.calls.call import Call
from longline.calls.manner import Method
from longline.flows.parse import Flow


@dataclass(frozen=True, slots=True)
class Document:
    """What an application has answered, as it came. Relative URLs in it are relative to `url`, the one that was asked;
    None: it came with the call."""

    body: bytes
    url: str | None = None
    content_type: str = ""

    def absolute(self, reference: str) -> str:
        """An http:// or https:// URL that it names. Raise ValueError."""
        return http_url(reference if self.url is None else urljoin(self.url, reference))


@dataclass(frozen=True, slots=True)
class Question:
    """What an application is asked with: the call, what its last action has come to, in our words, and when."""

    call: Call
    url: str
    method: Method = "POST"
    result: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class FlowRequest:
    """The request on the wire."""

    method: Method
    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Language(Protocol):
    def request(self, question: Question, secret: str | None) -> FlowRequest:
        """How the application is asked; `secret` is what signs, if the call has anything that does. Raise FlowInvalid
        when it never is."""
        ...

    def read(self, document: Document) -> Flow:
        """Raise FlowInvalid."""
        ...


Languages = Mapping[str, Language]
