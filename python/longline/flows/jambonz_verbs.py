"""jambonz' verbs: what its applications answer with, a list in JSON, as a flow. Pure.

Each verb becomes an action of ours (`verbs.py`) or a step (`steps.py`). Left out: speech recognition, conferences,
queues, models and vendors; several targets of a `dial` are called one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from longline.base.stream_tracks import ALL, INBOUND, OUTBOUND
from longline.base.urls import ws_url
from longline.calls.bridge import FOR_EVER
from longline.calls.manner import Method
from longline.calls.stream import StreamAuth, StreamRequest
from longline.flows import verbs
from longline.flows.fields import check_parameters
from longline.flows.jambonz_request import flow_request
from longline.flows.json_reader import JsonReader, list_of, number_of, rate_of, with_plus
from longline.flows.language import Document, FlowRequest, Question
from longline.flows.markup import DIGITS
from longline.flows.parse import Flow, FlowInvalid
from longline.flows.steps import Answer, DialInTurn, OpenStream, SendDigits

Item = Mapping[str, Any]

TARGETS_MAX: Final = 20
"""Of one `dial`."""


class JambonzVerbs:
    """The language of jambonz' applications."""

    def request(self, question: Question, secret: str | None) -> FlowRequest:
        return flow_request(question, secret)

    def read(self, document: Document) -> Flow:
        """Raise FlowInvalid."""
        actions = list_of(document, "list of verbs")
        return _Reader(document).read(actions) if actions else Flow(())


class _Reader(JsonReader):
    def read(self, value: list[dict[str, Any]]) -> Flow:
        for index, item in enumerate(value):
            place, name = f"$[{index}]", item.get("verb")
            read = _VERBS.get(name) if isinstance(name, str) else None
            if read is None:
                raise FlowInvalid(f"{place}.verb", f"is not known here; known are {', '.join(_VERBS)}")
            read(self, item, place)
        if not (self._actions and isinstance(self._actions[-1], verbs.LAST)):
            self._add("$", verbs.Hangup(action="hangup"))
        return self._flow()

    # --- verbs -----------------------------------------------------------------------------------------------------

    def answer(self, item: Item, place: str) -> None:
        self._known(item, place)
        self._add(place, Answer())

    def say(self, item: Item, place: str) -> None:
        said = self._make(place, verbs.Say, self._said(item, place, "verb"))
        self._add(place, said.model_copy(update=_loop(item, place)))

    def play(self, item: Item, place: str) -> None:
        for url in self._sounds(item, place, "verb"):
            played = self._make(place, verbs.Play, {"action": "play", "media_url": url})
            self._add(place, played.model_copy(update=_loop(item, place)))

    def _said(self, item: Item, place: str, *known: str) -> dict[str, Any]:
        self._known(item, place, "text", "loop", "synthesizer", *known)
        text, synthesizer = item.get("text"), item.get("synthesizer")
        language = synthesizer.get("language") if isinstance(synthesizer, dict) else None
        return {"action": "say", "text": text[0] if isinstance(text, list) and text else text, "language": language}

    def _sounds(self, item: Item, place: str, *known: str) -> list[str]:
        self._known(item, place, "url", "loop", *known)
        urls = item.get("url")
        return [self._url(url, f"{place}.url") for url in (urls if isinstance(urls, list) else [urls])]

    def gather(self, item: Item, place: str) -> None:
        self._known(
            item, place, "input", "actionHook", "finishOnKey", "numDigits", "maxDigits", "timeout", "say", "play",
            "dtmfBargein",
        )  # fmt: skip
        kinds = item.get("input", ["digits"])
        if not isinstance(kinds, list) or "digits" not in kinds:
            raise FlowInvalid(f"{place}.input", "only digits can be had: nobody here understands speech")
        if len(kinds) > 1:
            self._ignored.append(f"{place}.input: speech")
        url, method = self._hook(item, place)
        digits = item.get("numDigits", item.get("maxDigits"))
        fields: dict[str, Any] = {
            "action": "gather",
            "prompt": list(self._prompts(item, place)) or None,
            "barge_in": item.get("dtmfBargein") is not False,
            "timeout": max(0.1, number_of(item, place, "timeout", 15, 0, 120)),
            "num_digits": None if digits is None else int(number_of({"d": digits}, place, "d", 1, 1, 64)),
            "finish_key": str(item.get("finishOnKey", "")),
            "flow_url": url,
        }
        self._add(place, self._make(place, verbs.Gather, fields), method, is_last=True)

    def _prompts(self, item: Item, place: str) -> Iterator[verbs.PromptPart]:
        say, play = item.get("say"), item.get("play")
        if isinstance(say, dict):
            said = self._make(f"{place}.say", verbs.SaySound, self._said(say, f"{place}.say"))
            yield said.model_copy(update=_loop(say, f"{place}.say"))
        if isinstance(play, dict):
            for url in self._sounds(play, f"{place}.play"):
                yield self._make(f"{place}.play", verbs.PlaySound, {"action": "play", "media_url": url})

    def listen(self, item: Item, place: str) -> None:
        self._known(
            item, place, "url", "actionHook", "sampleRate", "mixType", "metadata", "wsAuth", "bidirectionalAudio",
            "disableBidirectionalAudio", "passDtmf",
        )  # fmt: skip
        url, method = self._hook(item, place)
        self._add(place, OpenStream(self._request(item, place), flow_url=url), method)

    def _request(self, item: Item, place: str) -> StreamRequest:
        both, mix, auth = item.get("bidirectionalAudio"), item.get("mixType", "mono"), item.get("wsAuth")
        metadata = item.get("metadata") or {}
        if mix not in ("mono", "mixed", "stereo"):
            raise FlowInvalid(f"{place}.mixType", "must be mono, mixed or stereo")
        if not isinstance(metadata, dict):
            raise FlowInvalid(f"{place}.metadata", "must be an object")
        rate = rate_of(item.get("sampleRate", 8000))
        if rate is None:
            raise FlowInvalid(f"{place}.sampleRate", "must be 8000, 16000, 24000 or 48000")
        is_silenced = item.get("disableBidirectionalAudio") is True
        is_silenced = is_silenced or (isinstance(both, dict) and both.get("enabled") is False)
        texts = {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
        try:
            return StreamRequest(
                ws_url=ws_url(str(item.get("url", ""))),
                dialect="jambonz",
                sample_rate=rate,
                tracks=(INBOUND, OUTBOUND) if mix != "mono" else (ALL,),
                together={"mono": "apart", "mixed": "mixed", "stereo": "stereo"}[str(mix)],  # type: ignore[arg-type]
                direction="listen" if is_silenced else "both",
                parameters=check_parameters(texts),
                auth=_auth(auth),
            )
        except ValueError as error:
            raise FlowInvalid(place, str(error)) from None

    def dial(self, item: Item, place: str) -> None:
        self._known(item, place, "target", "actionHook", "answerOnBridge", "callerId", "timeout", "headers")
        targets = item.get("target")
        if not isinstance(targets, list) or not 1 <= len(targets) <= TARGETS_MAX:
            raise FlowInvalid(f"{place}.target", f"must be a list of 1 to {TARGETS_MAX}")
        url, method = self._hook(item, place)
        headers = item.get("headers")
        fields = {
            "action": "dial",
            "timeout": int(number_of(item, place, "timeout", 60, 1, 600)),
            "flow_url": url,
            "from_number": with_plus(item["callerId"]) if isinstance(item.get("callerId"), str) else None,
            "custom_headers": headers if isinstance(headers, dict) else None,
        }
        where = f"{place}.target"
        dials = tuple(
            self._make(where, verbs.Dial, fields | {"to": _target(target, f"{where}[{index}]")})
            for index, target in enumerate(targets)
        )
        if item.get("answerOnBridge") is not True:
            self._add(place, Answer())
        self._add(place, dials[0] if len(dials) == 1 else DialInTurn(dials), method)

    def dtmf(self, item: Item, place: str) -> None:
        self._known(item, place, "dtmf")
        if not DIGITS.fullmatch(str(item.get("dtmf", ""))):
            raise FlowInvalid(f"{place}.dtmf", "has at most 128 of 0-9, A-D, *, # and w")
        self._add(place, SendDigits(str(item["dtmf"])))

    def pause(self, item: Item, place: str) -> None:
        self._known(item, place, "length")
        seconds = number_of(item, place, "length", 1, 0.1, 600)
        self._add(place, self._make(place, verbs.Pause, {"action": "pause", "duration": seconds}))

    def redirect(self, item: Item, place: str) -> None:
        self._known(item, place, "actionHook")
        url, method = self._hook(item, place)
        self._add(place, self._make(place, verbs.Redirect, {"action": "redirect", "flow_url": url}), method)

    def decline(self, item: Item, place: str) -> None:
        self._known(item, place, "status")
        status = int(number_of(item, place, "status", 603, 400, 699))
        reason = "busy" if status in (486, 600) else "rejected"
        self._add(place, self._make(place, verbs.Reject, {"action": "reject", "reason": reason}))

    def hangup(self, item: Item, place: str) -> None:
        self._known(item, place)
        self._add(place, verbs.Hangup(action="hangup"))

    def tag(self, item: Item, place: str) -> None:
        self._ignored.append(place)

    # --- what they share -------------------------------------------------------------------------------------------

    def _known(self, item: Item, place: str, *names: str) -> None:
        self._know(item, place, "verb", "id", *names)

    def _hook(self, item: Item, place: str) -> tuple[str | None, Method]:
        """An `actionHook` is a URL, or an object with one."""
        hook, method = item.get("actionHook"), "POST"
        if isinstance(hook, dict):
            method = str(hook.get("method", "POST")).upper()
            hook = hook.get("url")
        if method not in ("GET", "POST"):
            raise FlowInvalid(f"{place}.actionHook.method", "must be GET or POST")
        return None if hook is None else self._url(hook, f"{place}.actionHook"), "GET" if method == "GET" else "POST"


_VERBS: Final[dict[str, Callable[[_Reader, Item, str], None]]] = {
    "answer": _Reader.answer,
    "say": _Reader.say,
    "play": _Reader.play,
    "gather": _Reader.gather,
    "listen": _Reader.listen,
    "stream": _Reader.listen,
    "dial": _Reader.dial,
    "dtmf": _Reader.dtmf,
    "pause": _Reader.pause,
    "redirect": _Reader.redirect,
    "sip:decline": _Reader.decline,
    "hangup": _Reader.hangup,
    "tag": _Reader.tag,
}


def _loop(item: Item, place: str) -> dict[str, int]:
    """How often it is heard: "forever", or a number."""
    if item.get("loop") == "forever":
        return {"loop": FOR_EVER}
    return {"loop": int(number_of(item, place, "loop", 1, 1, 1000))}


def _target(target: object, place: str) -> str:
    kind = target.get("type") if isinstance(target, dict) else None
    if isinstance(target, dict) and kind == "phone":
        return with_plus(str(target.get("number", "")))
    if isinstance(target, dict) and kind == "sip":
        return str(target.get("sipUri", ""))
    raise FlowInvalid(place, "must be a phone or a sip target")


def _auth(given: object) -> StreamAuth | None:
    """Raise ValueError."""
    if given is None:
        return None
    if isinstance(given, dict) and isinstance(given.get("username"), str) and isinstance(given.get("password"), str):
        return StreamAuth(username=given["username"], password=given["password"])
    raise ValueError("wsAuth must have username and password")
