"""The calls of Telnyx's applications as flows: they are never asked, they tell a call what to do by the API. Pure.

A document is the `stream_…` fields that a call was placed with: when it is answered it is joined to that stream, and
stays until it is told otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from longline.base.stream_formats import SAMPLE_RATES_HZ, Encoding, SampleRate
from longline.base.stream_tracks import ALL, INBOUND, OUTBOUND
from longline.base.urls import ws_url
from longline.calls.stream import StreamAuth, StreamRequest
from longline.flows.fields import check_parameters
from longline.flows.language import Document, FlowRequest, Question
from longline.flows.parse import Flow, FlowInvalid
from longline.flows.steps import OpenStream, Stay

CLIENT_STATE_MAX_CHARS: Final = 4096
_CODECS: Final[Mapping[str, Encoding]] = {"PCMU": "mulaw", "PCMA": "alaw", "L16": "pcm_s16be"}
"""Linear samples are in network order (RFC 3551), unless the stream says otherwise."""
_TRACKS: Final[Mapping[str, tuple[int, ...]]] = {
    "inbound_track": (INBOUND,),
    "outbound_track": (OUTBOUND,),
    "both_tracks": (INBOUND, OUTBOUND),
}
_RATES: Final[Mapping[int, SampleRate]] = {hz: name for name, hz in SAMPLE_RATES_HZ.items()}


class TelnyxCalls:
    """The language of Telnyx's applications."""

    def request(self, question: Question, secret: str | None) -> FlowRequest:
        raise FlowInvalid("$", "an application of Telnyx's is not asked for flows")

    def read(self, document: Document) -> Flow:
        """Raise FlowInvalid."""
        try:
            fields = json.loads(document.body)
            request = stream_request(fields if isinstance(fields, dict) else {})
        except (ValueError, RecursionError) as error:
            raise FlowInvalid("$", str(error)) from None
        return Flow((Stay(),) if request is None else (OpenStream(request, waits=False), Stay()))


def stream_request(fields: Mapping[str, Any]) -> StreamRequest | None:
    """The stream that the fields of a command ask for; None when there is no `stream_url`. Raise ValueError."""
    url = fields.get("stream_url")
    if url in (None, ""):
        return None
    mode = fields.get("stream_bidirectional_mode") or None
    if mode not in (None, "rtp"):
        raise ValueError("stream_bidirectional_mode must be rtp: nobody here reads mp3")
    track = fields.get("stream_track") or "inbound_track"
    if not isinstance(track, str) or track not in _TRACKS:
        raise ValueError(f"stream_track must be {', '.join(_TRACKS)}")
    encoding = _codec(fields, "stream_codec")
    input_encoding, input_rate = _codec(fields, "stream_bidirectional_codec"), None
    given_rate = fields.get("stream_bidirectional_sampling_rate")
    if given_rate is not None:
        input_rate = _RATES.get(given_rate) if isinstance(given_rate, int) else None
        if input_rate is None:
            raise ValueError("stream_bidirectional_sampling_rate must be 8000, 16000, 24000 or 48000")
    request = StreamRequest(
        ws_url=ws_url(str(url)),
        dialect="telnyx",
        encoding=encoding,
        input_encoding=input_encoding,
        input_sample_rate=input_rate,
        tracks=(ALL,) if mode and track == "inbound_track" else _TRACKS[track],
        direction="listen" if mode is None else "both",
        parameters=check_parameters(_parameters(fields)),
        auth=_auth(fields),
        client_state=client_state(fields),
    )
    _ = request.format, request.input_format
    return request


def client_state(fields: Mapping[str, Any]) -> str | None:
    """Raise ValueError."""
    state = fields.get("client_state")
    if state is None:
        return None
    if not isinstance(state, str) or len(state) > CLIENT_STATE_MAX_CHARS:
        raise ValueError(f"client_state must be a text of at most {CLIENT_STATE_MAX_CHARS} characters")
    return state


def _codec(fields: Mapping[str, Any], name: str) -> Encoding | None:
    codec = fields.get(name)
    if codec in (None, "", "default"):
        return None
    encoding = _CODECS.get(codec) if isinstance(codec, str) else None
    if encoding is None:
        raise ValueError(f"{name} must be {', '.join(_CODECS)}")
    return encoding


def _parameters(fields: Mapping[str, Any]) -> dict[str, str]:
    """`[{"name": …, "value": …}]`."""
    given = fields.get("custom_parameters") or []
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise ValueError("custom_parameters must be a list of objects with name and value")
    return {str(item.get("name", "")): str(item.get("value", "")) for item in given}


def _auth(fields: Mapping[str, Any]) -> StreamAuth | None:
    token = fields.get("stream_auth_token")
    if token in (None, ""):
        return None
    if not isinstance(token, str) or len(token) > 4000 or not (token.isascii() and token.isprintable()):
        raise ValueError("stream_auth_token must be at most 4000 printable characters of ASCII")
    return StreamAuth(token=token)
