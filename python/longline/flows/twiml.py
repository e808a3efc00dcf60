"""TwiML: the XML that Twilio's applications answer with, as a flow. Pure.

Every verb of a document becomes an action of ours (`verbs.py`) or a step (`steps.py`). A document that is over hangs
up, as Twilio does. Attributes that have no effect here are told as ignored; an element that we cannot carry out makes
the document wrong, with its place, since leaving it out would be another call than the one that was meant. Leaves out
speech recognition, queues, conferences, messages, and what a voice is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from longline.base.stream_formats import Encoding, SampleRate
from longline.base.stream_tracks import INBOUND, OUTBOUND, StreamDirection
from longline.base.urls import ws_url
from longline.calls.dialects import settle
from longline.calls.recording import RecordingHeirs
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
from longline.flows.steps import Answer, CloseStream, DialInTurn, OpenStream, RecordFor, SendDigits
from longline.flows.twilio_request import flow_request
from longline.flows.xml import Element

AUDIO_FORMATS: Final[Mapping[str, Encoding]] = {
    "mulaw": "mulaw",
    "x-mulaw": "mulaw",
    "pcmu": "mulaw",
    "l16": "pcm_s16le",
    "x-l16": "pcm_s16le",
}
SAMPLE_RATES: Final[Mapping[str, SampleRate]] = {"8000": "8k", "16000": "16k", "24000": "24k"}
TRACKS: Final = {"inbound_track": (INBOUND,), "outbound_track": (OUTBOUND,), "both_tracks": (INBOUND, OUTBOUND)}


class _Reader(MarkupReader):
    called = "TwiML"

    # --- verbs -----------------------------------------------------------------------------------------------------

    def say(self, element: Element) -> None:
        said = self._said(element)
        if said is not None:
            self._add(element, self._make(element, verbs.Say, **said).model_copy(update=loop_of(element)))

    def play(self, element: Element) -> None:
        self._know(element, "loop", "digits")
        digits = element.attributes.get("digits")
        if digits is not None:
            if not DIGITS.fullmatch(digits):
                raise FlowInvalid(f"{element.path}@digits", "has at most 128 of 0-9, A-D, *, # and w")
            self._add(element, SendDigits(digits))
            return
        played = self._make(element, verbs.Play, action="play", media_url=self._url(element, element.text))
        self._add(element, played.model_copy(update=loop_of(element)))

    def pause(self, element: Element) -> None:
        self._know(element, "length")
        seconds = number(element, "length", 1, 0, 600)
        if seconds > 0:
            self._add(element, self._make(element, verbs.Pause, action="pause", duration=seconds))

    def gather(self, element: Element) -> None:
        self._know(element, "action", "method", "timeout", "finishOnKey", "numDigits", "actionOnEmptyResult", "input")
        kinds = element.attributes.get("input", "dtmf").split()
        if "dtmf" not in kinds:
            raise FlowInvalid(f"{element.path}@input", "only dtmf can be gathered: nobody here understands speech")
        if len(kinds) > 1:
            self._ignored.append(f"{element.path}@input: speech")
        timeout = 5.0 if element.attributes.get("timeout") == "auto" else number(element, "timeout", 5, 0, 120)
        fields: dict[str, Any] = {
            "action": "gather",
            "prompt": list(self._prompts(element)) or None,
            "timeout": max(0.1, timeout),
            "finish_key": element.attributes.get("finishOnKey", "#"),
            "flow_url": self._optional_url(element, "action"),
        }
        if "numDigits" in element.attributes:
            fields["num_digits"] = int(number(element, "numDigits", 1, 1, 64))
        # Without keys the next verb is done, unless the application wants to be asked all the same.
        self._add(
            element, self._make(element, verbs.Gather, **fields), is_last=flag(element, "actionOnEmptyResult", False)
        )

    def _prompts(self, element: Element) -> Iterator[verbs.PromptPart]:
        for child in element.children:
            if child.name == "Say":
                said = self._said(child)
                if said is not None:
                    yield self._make(child, verbs.SaySound, **said).model_copy(update=loop_of(child))
            elif child.name == "Play":
                self._know(child, "loop")
                played = self._make(child, verbs.PlaySound, action="play", media_url=self._url(child, child.text))
                yield played.model_copy(update=loop_of(child))
            elif child.name == "Pause":
                self._know(child, "length")
                seconds = number(child, "length", 1, 0, 600)
                if seconds > 0:
                    yield self._make(child, verbs.PauseSound, action="pause", duration=seconds)
            else:
                raise FlowInvalid(child.path, "<Gather> has <Say>, <Play> and <Pause>")

    def record(self, element: Element) -> None:
        of_status = ("recordingStatusCallback", "recordingStatusCallbackMethod")
        self._know(element, "action", "method", "timeout", "finishOnKey", "maxLength", "playBeep", *of_status)
        url = self._optional_url(element, "action") or self._document.url
        verb = self._make(
            element,
            verbs.Record,
            action="record",
            beep=flag(element, "playBeep", True),
            max_length=int(number(element, "maxLength", 3600, 1, 3600)),
            silence_end=number(element, "timeout", 5, 0, 120),
            flow_url=url,
        )
        keys = element.attributes.get("finishOnKey", ANY_KEY)
        if not set(keys) <= set(ANY_KEY):
            raise FlowInvalid(f"{element.path}@finishOnKey", "must be keys: 0-9, * and #")
        told = self._optional_url(element, of_status[0])
        heirs = RecordingHeirs(
            status=None if told is None else (told, method_of(element, of_status[1])),
            next=None if url is None else (url, method_of(element, "method")),
        )
        self._add(element, RecordFor(verb.model_copy(update={"finish_key": keys}), heirs))

    def dial(self, element: Element) -> None:
        self._know(element, *_OF_DIAL)
        nouns = element.children or [element]
        fields: dict[str, Any] = {
            "timeout": int(number(element, "timeout", 30, 1, 600)),
            "record": _dial_record(element),
            "flow_url": self._optional_url(element, "action"),
        }
        if "timeLimit" in element.attributes:
            fields["time_limit"] = int(number(element, "timeLimit", 14_400, 1, 86_400))
        if "callerId" in element.attributes:
            fields["from_number"] = telephone_number(element.attributes["callerId"])
        dials = tuple(self._dial(noun, fields) for noun in nouns)
        if not flag(element, "answerOnBridge", False):
            self._add(element, Answer())
        self._add(element, dials[0] if len(dials) == 1 else DialInTurn(dials))

    def _dial(self, noun: Element, fields: dict[str, Any]) -> verbs.Dial:
        target, headers = noun.text, {}
        if noun.name == "Sip":
            self._know(noun, "statusCallback")
            target, _, query = target.partition("?")
            headers = {name: value for name, value in parse_qsl(query) if name.lower().startswith("x-")}
        elif noun.name in ("Number", "Dial"):
            self._know(noun, *(_OF_DIAL if noun.name == "Dial" else ("statusCallback", "sendDigits")))
            target = telephone_number(target)
        else:
            raise FlowInvalid(noun.path, "a <Number> or a <Sip> can be dialled, nothing else")
        callback = self._optional_url(noun, "statusCallback")
        return self._make(
            noun,
            verbs.Dial,
            action="dial",
            to=target,
            custom_headers=headers,
            status_callback_url=callback,
            send_digits=noun.attributes.get("sendDigits"),
            **fields,
        )

    def connect(self, element: Element) -> None:
        self._know(element, "action", "method")
        if len(element.children) != 1 or element.children[0].name != "Stream":
            raise FlowInvalid(element.path, "<Connect> has one <Stream>")
        stream = element.children[0]
        if stream.attributes.get("track", "inbound_track") != "inbound_track":
            raise FlowInvalid(f"{stream.path}@track", "a stream of <Connect> has the inbound_track")
        url = self._optional_url(element, "action")
        self._add(element, OpenStream(self._stream(stream, "both"), flow_url=url))

    def start(self, element: Element) -> None:
        for child in self._streams(element):
            self._add(child, OpenStream(self._stream(child, "listen"), waits=False))

    def stop(self, element: Element) -> None:
        for child in self._streams(element):
            self._know(child, "name")
            self._add(child, CloseStream(child.attributes.get("name")))

    def _streams(self, element: Element) -> Sequence[Element]:
        self._know(element)
        strange = next((child for child in element.children if child.name != "Stream"), None)
        if strange is not None or not element.children:
            raise FlowInvalid(element.path if strange is None else strange.path, f"<{element.name}> has <Stream>")
        return element.children

    def _stream(self, element: Element, direction: StreamDirection) -> StreamRequest:
        self._know(
            element, "url", "name", "track", "statusCallback", "statusCallbackMethod", "audioFormat", "sampleRate"
        )
        track = element.attributes.get("track", "inbound_track")
        if track not in TRACKS:
            raise FlowInvalid(f"{element.path}@track", f"must be one of {', '.join(TRACKS)}")
        try:
            url = ws_url(element.attributes.get("url", ""))
        except ValueError as error:
            raise FlowInvalid(f"{element.path}@url", str(error)) from None
        try:
            parameters = check_parameters(dict(self._parameters(element)))
        except ValueError as error:
            raise FlowInvalid(element.path, f"{error}") from None
        encoding, sample_rate = self._audio(element)
        return StreamRequest(
            ws_url=url,
            dialect="twilio",
            encoding=encoding,
            sample_rate=sample_rate,
            tracks=TRACKS[track],
            direction=direction,
            name=element.attributes.get("name"),
            parameters=parameters,
            status_callback_url=self._optional_url(element, "statusCallback"),
            status_callback_method=method_of(element, "statusCallbackMethod"),
        )

    def _audio(self, element: Element) -> tuple[Encoding | None, SampleRate | None]:
        """What `audioFormat` may be, Twilio does not publish."""
        audio_format, rate = (element.attributes.get(name) for name in ("audioFormat", "sampleRate"))
        encoding = None if audio_format is None else AUDIO_FORMATS.get(audio_format.lower().removeprefix("audio/"))
        if audio_format is not None and encoding is None:
            raise FlowInvalid(f"{element.path}@audioFormat", "must be mulaw or l16")
        sample_rate = None if rate is None else SAMPLE_RATES.get(rate)
        if rate is not None and sample_rate is None:
            raise FlowInvalid(f"{element.path}@sampleRate", f"must be one of {', '.join(SAMPLE_RATES)}")
        try:
            settle("twilio", encoding, sample_rate)
        except ValueError as error:
            raise FlowInvalid(element.path, str(error)) from None
        return encoding, sample_rate

    def _parameters(self, element: Element) -> Iterator[tuple[str, str]]:
        for child in element.children:
            if child.name != "Parameter":
                raise FlowInvalid(child.path, "<Stream> has <Parameter>")
            self._know(child, "name", "value")
            yield child.attributes.get("name", ""), child.attributes.get("value", "")

    def redirect(self, element: Element) -> None:
        self._know(element, "method")
        url = self._url(element, element.text)
        self._add(element, self._make(element, verbs.Redirect, action="redirect", flow_url=url))

    def reject(self, element: Element) -> None:
        self._know(element, "reason")
        reason = element.attributes.get("reason", "rejected")
        self._add(element, self._make(element, verbs.Reject, action="reject", reason=reason))

    def hangup(self, element: Element) -> None:
        self._know(element)
        self._add(element, verbs.Hangup(action="hangup"))

    # --- what they share -------------------------------------------------------------------------------------------

    def _said(self, element: Element) -> dict[str, Any] | None:
        """None when there is nothing to say."""
        self._know(element, "loop", "language", "voice")
        if not element.content:
            return None
        return {"action": "say", "text": element.content, **self._voice(element)}


_OF_DIAL: Final = ("action", "method", "timeout", "timeLimit", "callerId", "record", "answerOnBridge")

_Reader.elements = {
    "Say": _Reader.say,
    "Play": _Reader.play,
    "Pause": _Reader.pause,
    "Gather": _Reader.gather,
    "Record": _Reader.record,
    "Dial": _Reader.dial,
    "Connect": _Reader.connect,
    "Start": _Reader.start,
    "Stop": _Reader.stop,
    "Redirect": _Reader.redirect,
    "Reject": _Reader.reject,
    "Hangup": _Reader.hangup,
}


class Twiml(MarkupLanguage):
    """The language of Twilio's applications."""

    reader = _Reader
    asks = staticmethod(flow_request)


def _dial_record(element: Element) -> bool | str:
    """Twilio begins with the ringing or with the answer; here it is always the answer."""
    wanted = element.attributes.get("record", "do-not-record")
    if wanted in ("do-not-record", "false"):
        return False
    return "stereo" if wanted.endswith("-dual") else "mono"
