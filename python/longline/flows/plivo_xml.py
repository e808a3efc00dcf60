"""Plivo XML: what Plivo's applications answer with, as a flow. Pure.

Every element of a document becomes an action of ours (`verbs.py`) or a step (`steps.py`). A document that is over hangs
up, as Plivo does. Left out: speech recognition, conferences, messages, and what a voice is called. Several numbers of a
<Dial> are called one after the other, not at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, get_args

from longline.base.stream_formats import SAMPLE_RATES_HZ, Encoding, SampleRate
from longline.base.stream_tracks import ALL, INBOUND, OUTBOUND
from longline.base.urls import ws_url
from longline.calls.dialects import settle
from longline.calls.manner import Method
from longline.calls.stream import StreamRequest
from longline.flows import verbs
from longline.flows.fields import check_parameters
from longline.flows.markup import (
    ANY_KEY,
    DIGITS,
    MarkupLanguage,
    MarkupReader,
    flag,
    loop_of,
    method_of,
    number,
    telephone_number,
)
from longline.flows.parse import FlowInvalid
from longline.flows.plivo_request import flow_request
from longline.flows.steps import Answer, DialInTurn, OpenStream, SendDigits
from longline.flows.xml import Element

MAX_RETRIES: Final = 10
"""Of <GetDigits>; more are taken for so many."""
EXTRA_HEADERS_MAX_BYTES: Final = 512
PLIVO_ALONE: Final = frozenset({"Speak", "Wait", "DTMF", "GetDigits", "GetInput", "Stream", "PreAnswer"})
"""Elements below <Response> that TwiML does not have there."""
_CONTENT_TYPE: Final = re.compile(r"audio/x-(l16|mulaw)\s*;\s*rate\s*=\s*(\d{4,5})", re.IGNORECASE)
_TRACKS: Final = {"inbound": (INBOUND,), "outbound": (OUTBOUND,), "both": (INBOUND, OUTBOUND)}
_ENCODINGS: Final[dict[str, Encoding]] = {"l16": "pcm_s16le", "mulaw": "mulaw"}


class _Reader(MarkupReader):
    called = "Plivo XML"

    # --- elements --------------------------------------------------------------------------------------------------

    def speak(self, element: Element) -> None:
        self._know(element, "loop", "language", "voice")
        if element.content:
            said = self._make(element, verbs.Say, action="say", text=element.content, **self._voice(element))
            self._add(element, said.model_copy(update=loop_of(element)))

    def play(self, element: Element) -> None:
        self._know(element, "loop")
        played = self._make(element, verbs.Play, action="play", media_url=self._url(element, element.text))
        self._add(element, played.model_copy(update=loop_of(element)))

    def wait(self, element: Element) -> None:
        self._know(element, "length")
        seconds = number(element, "length", 1, 0, 600)
        if seconds > 0:
            self._add(element, self._make(element, verbs.Pause, action="pause", duration=seconds))

    def dtmf(self, element: Element) -> None:
        self._know(element)
        if not DIGITS.fullmatch(element.text):
            raise FlowInvalid(element.path, "has at most 128 of 0-9, A-D, *, # and w")
        self._add(element, SendDigits(element.text))

    def get_digits(self, element: Element) -> None:
        self._know(element, "action", "method", "timeout", "finishOnKey", "numDigits", "retries", "redirect")
        gather = self._gather(element, timeout=number(element, "timeout", 5, 0.1, 120))
        for _ in range(int(number(element, "retries", 1, 1, MAX_RETRIES))):
            self._add(element, gather)

    def get_input(self, element: Element) -> None:
        self._know(
            element, "action", "method", "inputType", "executionTimeout", "digitEndTimeout", "finishOnKey", "numDigits",
            "redirect",
        )  # fmt: skip
        kinds = element.attributes.get("inputType", "dtmf").split()
        if "dtmf" not in kinds:
            raise FlowInvalid(f"{element.path}@inputType", "only dtmf can be had: nobody here understands speech")
        if len(kinds) > 1:
            self._ignored.append(f"{element.path}@inputType: speech")
        timeout = number(element, "executionTimeout", 15, 0.1, 120)
        self._add(element, self._gather(element, timeout=timeout))

    def _gather(self, element: Element, timeout: float) -> verbs.Gather:
        self._must_redirect(element)
        fields: dict[str, Any] = {
            "action": "gather",
            "prompt": list(self._prompts(element)) or None,
            "timeout": timeout,
            "finish_key": _one_key(element),
            "flow_url": self._optional_url(element, "action"),
        }
        if "numDigits" in element.attributes:
            fields["num_digits"] = int(number(element, "numDigits", 99, 1, 64))
        return self._make(element, verbs.Gather, **fields)

    def _prompts(self, element: Element) -> Iterator[verbs.PromptPart]:
        for child in element.children:
            if child.name == "Speak":
                self._know(child, "loop", "language", "voice")
                if child.content:
                    fields = {"action": "say", "text": child.content, **self._voice(child)}
                    yield self._make(child, verbs.SaySound, **fields).model_copy(update=loop_of(child))
            elif child.name == "Play":
                self._know(child, "loop")
                played = self._make(child, verbs.PlaySound, action="play", media_url=self._url(child, child.text))
                yield played.model_copy(update=loop_of(child))
            else:
                raise FlowInvalid(child.path, f"<{element.name}> has <Speak> and <Play>")

    def record(self, element: Element) -> None:
        self._know(element, "action", "method", "timeout", "finishOnKey", "maxLength", "playBeep", "redirect")
        self._must_redirect(element)
        if flag(element, "recordSession", False) or flag(element, "startOnDialAnswer", False):
            raise FlowInvalid(element.path, "a whole call is recorded by its `record`, or by <Dial>, not by <Record>")
        verb = self._make(
            element,
            verbs.Record,
            action="record",
            beep=flag(element, "playBeep", True),
            max_length=int(number(element, "maxLength", 60, 1, 3600)),
            silence_end=number(element, "timeout", 15, 0, 120),
            flow_url=self._optional_url(element, "action"),
        )
        keys = element.attributes.get("finishOnKey", ANY_KEY)
        if not set(keys) <= set(ANY_KEY):
            raise FlowInvalid(f"{element.path}@finishOnKey", "must be keys: 0-9, * and #")
        self._add(element, verb.model_copy(update={"finish_key": keys}))

    def dial(self, element: Element) -> None:
        self._know(element, "action", "method", "timeout", "callerId", "callbackUrl", "redirect")
        self._must_redirect(element)
        if not element.children:
            raise FlowInvalid(element.path, "<Dial> has a <Number> or a <User>")
        fields: dict[str, Any] = {
            "action": "dial",
            "timeout": int(number(element, "timeout", 120, 1, 600)),
            "flow_url": self._optional_url(element, "action"),
            "status_callback_url": self._optional_url(element, "callbackUrl"),
        }
        if element.attributes.get("callerId"):
            fields["from_number"] = _number(element.attributes["callerId"])
        dials = tuple(self._dial(noun, fields) for noun in element.children)
        self._add(element, Answer())
        self._add(element, dials[0] if len(dials) == 1 else DialInTurn(dials))

    def _dial(self, noun: Element, fields: dict[str, Any]) -> verbs.Dial:
        if noun.name not in ("Number", "User"):
            raise FlowInvalid(noun.path, "a <Number> or a <User> can be dialled, nothing else")
        self._know(noun, "sipHeaders")
        # Plivo shows a header "a" to the other end as X-PH-a.
        headers = {f"X-PH-{name}": value for name, value in _pairs(noun.attributes.get("sipHeaders", ""))}
        to = _number(noun.text) if noun.name == "Number" else noun.text
        return self._make(noun, verbs.Dial, to=to, custom_headers=headers, **fields)

    def stream(self, element: Element) -> None:
        """A document waits for a stream that keeps the call alive; every other one goes on beside it."""
        self._know(
            element, "bidirectional", "audioTrack", "contentType", "extraHeaders", "keepCallAlive", "statusCallbackUrl",
            "statusCallbackMethod",
        )  # fmt: skip
        try:
            url = ws_url(element.text)
            request = stream_request(
                url,
                bidirectional=flag(element, "bidirectional", False),
                content_type=element.attributes.get("contentType"),
                audio_track=element.attributes.get("audioTrack", "inbound"),
                extra_headers=element.attributes.get("extraHeaders"),
                status_callback_url=self._optional_url(element, "statusCallbackUrl"),
                status_callback_method=method_of(element, "statusCallbackMethod"),
            )
        except ValueError as error:
            raise FlowInvalid(element.path, str(error)) from None
        self._add(element, OpenStream(request, waits=flag(element, "keepCallAlive", False)))

    def redirect(self, element: Element) -> None:
        self._know(element, "method")
        url = self._url(element, element.text)
        redirect = self._make(element, verbs.Redirect, action="redirect", flow_url=url)
        self._add(element, redirect)

    def pre_answer(self, element: Element) -> None:
        """What is heard here is heard after the answer."""
        self._ignored.append(element.path)
        self._read_all(element)

    def hangup(self, element: Element) -> None:
        self._know(element, "reason")
        reason = element.attributes.get("reason")
        if reason is None:
            self._add(element, verbs.Hangup(action="hangup"))
        else:
            self._add(element, self._make(element, verbs.Reject, action="reject", reason=reason))

    # --- what they share -------------------------------------------------------------------------------------------

    def _must_redirect(self, element: Element) -> None:
        """What an application answers to an action is done: it is not only told."""
        if not flag(element, "redirect", True):
            self._ignored.append(f"{element.path}@redirect")


def stream_request(
    url: str,
    *,
    bidirectional: bool,
    content_type: str | None = None,
    audio_track: str = "inbound",
    extra_headers: str | None = None,
    status_callback_url: str | None = None,
    status_callback_method: Method = "POST",
) -> StreamRequest:
    """A stream as Plivo's XML and its API ask for it. Raise ValueError."""
    encoding, sample_rate = read_content_type(content_type)
    if audio_track not in _TRACKS:
        raise ValueError("audioTrack must be inbound, outbound or both")
    if bidirectional and audio_track != "inbound":
        raise ValueError("a bidirectional stream has the inbound track")
    if len((extra_headers or "").encode()) > EXTRA_HEADERS_MAX_BYTES:
        raise ValueError(f"extraHeaders has more than {EXTRA_HEADERS_MAX_BYTES} bytes")
    return StreamRequest(
        ws_url=url,
        dialect="plivo",
        encoding=encoding,
        sample_rate=sample_rate,
        parameters=check_parameters(dict(_pairs(extra_headers or ""))),
        direction="both" if bidirectional else "listen",
        tracks=(ALL,) if bidirectional else _TRACKS[audio_track],
        status_callback_url=status_callback_url,
        status_callback_method=status_callback_method,
        status_callback_version="plivo",
    )


def read_content_type(text: str | None) -> tuple[Encoding, SampleRate]:
    """Raise ValueError. Without one it is linear at 8 kHz."""
    if text is None:
        return "pcm_s16le", "8k"
    match = _CONTENT_TYPE.fullmatch(text.strip())
    rate = next((name for name in get_args(SampleRate) if match and SAMPLE_RATES_HZ[name] == int(match[2])), None)
    if match is None or rate is None:
        raise ValueError("contentType must be audio/x-l16 or audio/x-mulaw and a rate, such as audio/x-mulaw;rate=8000")
    settle("plivo", _ENCODINGS[match[1].lower()], rate)
    return _ENCODINGS[match[1].lower()], rate


_Reader.elements = {
    "Speak": _Reader.speak,
    "Play": _Reader.play,
    "Wait": _Reader.wait,
    "DTMF": _Reader.dtmf,
    "GetDigits": _Reader.get_digits,
    "GetInput": _Reader.get_input,
    "Record": _Reader.record,
    "Dial": _Reader.dial,
    "Stream": _Reader.stream,
    "PreAnswer": _Reader.pre_answer,
    "Redirect": _Reader.redirect,
    "Hangup": _Reader.hangup,
}


class PlivoXml(MarkupLanguage):
    """The language of Plivo's applications."""

    reader = _Reader
    asks = staticmethod(flow_request)


def _one_key(element: Element) -> str:
    key = element.attributes.get("finishOnKey", "#")
    if key == "none":
        return ""
    if len(key) > 1:
        raise FlowInvalid(f"{element.path}@finishOnKey", "is one key, or none")
    return key


def _number(text: str) -> str:
    """Plivo writes numbers with or without their +."""
    plain = telephone_number(text)
    return f"+{plain}" if plain.isdecimal() else plain


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """`a=b,c=d`."""
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name.strip():
            yield name.strip(), value.strip()
