"""What control knows of each dialect of a stream: which formats it has, which one is meant when none is named, and who
it says that it is.

The messages themselves are the media server's (`rust/media/src/stream`, one file each). A dialect here is one entry of
`DIALECTS`: another one, or another field of one, touches no other.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from longline.base import plivo, telnyx
from longline.base.ids import DEFAULT_VOICE_APP_ID, Prefix, encode_id
from longline.base.stream_formats import DialectName, Encoding, SampleRate
from longline.base.stream_tracks import Together, is_sent
from longline.base.twilio import SIGNATURE_HEADER, Sid, sid, signature

if TYPE_CHECKING:
    from longline.calls.call import Call
    from longline.calls.stream import Stream

Carries = Literal["one", "stereo", "both_ways", "all"]
"""Which tracks a dialect has words for: one, or several summed; besides that two as left and right; or one of what is
said and one of what is sent, each in messages of its own. Or any, each in messages of its own."""
Headers = Sequence[tuple[str, str]]
Formats = Mapping[Encoding, tuple[SampleRate, ...]]


@dataclass(frozen=True, slots=True)
class Names:
    """How a dialect writes the ids of the call's account, of the call and of the stream."""

    account_id: str
    call_id: str
    stream_id: str


@dataclass(frozen=True, slots=True)
class DialectTerms:
    """`encoding`, `sample_rate` and `chunk_ms` are meant when none is named; `chunks_ms` are the shortest and the
    longest message. `has_two_formats`: the application may speak another format than it hears. `names`, `ids` and
    `headers` are asked for each stream: how it writes our ids, what its `start` has beyond them, and what goes with the
    handshake; headers are given what signs, if anything does. `takes_https`: the URL may be one that answers the
    WebSocket's, and may have a name and a password (`stream_urls.py`). `signs`: the media server signs the handshake
    with the secret. `resume_window_s`: for how long a lost connection is tried to be made again when nothing is said of
    it."""

    formats: Formats
    encoding: Encoding
    sample_rate: SampleRate
    chunk_ms: int
    chunks_ms: tuple[int, int] = (20, 2000)
    has_two_formats: bool = False
    takes_https: bool = False
    signs: bool = False
    resume_window_s: int = 0
    subprotocols: tuple[str, ...] = ()
    names: Callable[[Call, Stream], Names] = lambda call, stream: uuid_names(call, stream)
    ids: Callable[[Call, Stream], Mapping[str, str]] = lambda call, stream: {}
    tracks: Carries = "one"
    headers: Callable[[Call, Stream, str | None], Headers] = lambda call, stream, secret: bearer_or_basic(stream)


# --- names -----------------------------------------------------------------------------------------------------------


def prefixed_names(call: Call, stream: Stream) -> Names:
    """Ours, whatever the webhook version."""
    return Names(
        encode_id(Prefix.ACCOUNT, call.account_id),
        encode_id(Prefix.CALL, call.id),
        encode_id(Prefix.STREAM, stream.id),
    )


def uuid_names(call: Call, stream: Stream) -> Names:
    return Names(str(call.account_id), str(call.id), str(stream.id))


def hex_names(call: Call, stream: Stream) -> Names:
    return Names(call.account_id.hex, call.id.hex, stream.id.hex)


def twilio_names(call: Call, stream: Stream) -> Names:
    return Names(sid(Sid.ACCOUNT, call.account_id), sid(Sid.CALL, call.id), sid(Sid.STREAM, stream.id))


def plivo_names(call: Call, stream: Stream) -> Names:
    return Names(plivo.account_id(call.account_id), str(call.id), str(stream.id))


def telnyx_names(call: Call, stream: Stream) -> Names:
    return Names(str(call.account_id), telnyx.call_control_id(call.id), str(stream.id))


# --- ids and headers -------------------------------------------------------------------------------------------------


def telnyx_ids(call: Call, stream: Stream) -> Mapping[str, str]:
    """`client_state` is base64, as whoever placed the call has it."""
    state = stream.request.client_state or call.manner.echo.get("client_state")
    token = None if stream.request.auth is None else stream.request.auth.token
    ids = {"call_session_id": str(call.id), "call_leg_id": str(call.id), "client_state": state, "auth_token": token}
    return {name: value for name, value in ids.items() if value is not None}


def telnyx_headers(call: Call, stream: Stream, secret: str | None) -> Headers:
    auth = stream.request.auth
    if auth is not None and auth.token is not None:
        return [("x-telnyx-streaming-auth-token", auth.token)]
    return bearer_or_basic(stream)


def twilio_headers(call: Call, stream: Stream, secret: str | None) -> Headers:
    """Signed as every request of Twilio's; the port and the query of the URL are not."""
    signed = [] if secret is None else [(SIGNATURE_HEADER, signature(secret, stream.request.ws_url))]
    return [*bearer_or_basic(stream), *signed]


def jambonz_ids(call: Call, stream: Stream) -> Mapping[str, str]:
    return {
        "account_sid": str(call.account_id),
        "application_sid": str(call.voice_app_id or DEFAULT_VOICE_APP_ID),
        "call_id": str(call.leg.id),
    }


def asterisk_ids(call: Call, stream: Stream) -> Mapping[str, str]:
    """A channel is named after its technology and a number."""
    return {"channel": f"WebSocket/longline/0x{stream.id.hex[-12:]}", "connection_id": str(stream.id)}


def bearer_or_basic(stream: Stream) -> Headers:
    """The credentials that the stream was given, as RFC 7617 or RFC 6750 write them."""
    auth = stream.request.auth
    if auth is None:
        return []
    if auth.value is not None:
        return [("Authorization", auth.value)]
    if auth.token is not None:
        return [("Authorization", f"Bearer {auth.token}")]
    pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
    return [("Authorization", f"Basic {pair}")]


# --- the dialects ----------------------------------------------------------------------------------------------------

_LINEAR: Final[tuple[SampleRate, ...]] = ("8k", "16k", "24k", "48k")
_NARROW: Final[tuple[SampleRate, ...]] = ("8k",)

DIALECTS: Final[Mapping[DialectName, DialectTerms]] = {
    "teler": DialectTerms({"pcm_s16le": ("8k", "16k")}, "pcm_s16le", "8k", 400, names=prefixed_names),
    "longline": DialectTerms(
        {"pcm_s16le": _LINEAR, "mulaw": _NARROW, "alaw": _NARROW, "opus": ("48k",)},
        "pcm_s16le",
        "16k",
        20,
        chunks_ms=(20, 60),
        subprotocols=("longline.v1",),
        signs=True,
        resume_window_s=60,
        tracks="all",
        names=prefixed_names,
    ),
    # Linear samples are an extension: what its audioFormat may be, Twilio does not publish.
    "twilio": DialectTerms(
        {"mulaw": _NARROW, "pcm_s16le": ("8k", "16k", "24k")},
        "mulaw",
        "8k",
        20,
        tracks="both_ways",
        names=twilio_names,
        headers=twilio_headers,
    ),
    "telnyx": DialectTerms(
        {"mulaw": _NARROW, "alaw": _NARROW, "pcm_s16le": _LINEAR, "pcm_s16be": _LINEAR},
        "mulaw",
        "8k",
        20,
        has_two_formats=True,
        tracks="both_ways",
        names=telnyx_names,
        ids=telnyx_ids,
        headers=telnyx_headers,
    ),
    # Plivo's own pages name two defaults; µ-law is what its clients expect unasked. Its XML has the other one.
    "plivo": DialectTerms(
        {"mulaw": _NARROW, "pcm_s16le": ("8k", "16k", "24k")},
        "mulaw",
        "8k",
        20,
        tracks="both_ways",
        names=plivo_names,
    ),
    "vonage": DialectTerms({"pcm_s16le": ("8k", "16k", "24k")}, "pcm_s16le", "16k", 20, chunks_ms=(20, 20)),
    "exotel": DialectTerms(
        {"pcm_s16le": ("8k", "16k", "24k")},
        "pcm_s16le",
        "8k",
        100,
        takes_https=True,
        tracks="both_ways",
        names=hex_names,
    ),
    # The documentation names the first; the clients there are know the second alone.
    "jambonz": DialectTerms(
        {"pcm_s16le": _LINEAR},
        "pcm_s16le",
        "8k",
        20,
        subprotocols=("audio.jambonz.org", "audio.drachtio.org"),
        tracks="stereo",
        ids=jambonz_ids,
    ),
    "asterisk": DialectTerms(
        {"mulaw": _NARROW, "alaw": _NARROW, "pcm_s16le": _LINEAR},
        "mulaw",
        "8k",
        20,
        chunks_ms=(20, 60),
        subprotocols=("media",),
        ids=asterisk_ids,
    ),
}


@dataclass(frozen=True, slots=True)
class Format:
    """What is spoken, settled."""

    encoding: Encoding
    sample_rate: SampleRate
    chunk_ms: int


def settle(
    dialect: DialectName,
    encoding: Encoding | None = None,
    sample_rate: SampleRate | None = None,
    chunk_ms: int | None = None,
) -> Format:
    """The format that was asked for, with what the dialect has where nothing was. Raise ValueError, which says what can
    be had."""
    terms = DIALECTS.get(dialect)
    if terms is None:
        raise ValueError(f"no dialect {dialect}")
    if encoding is None:
        fits = [name for name, rates in terms.formats.items() if sample_rate is None or sample_rate in rates]
        encoding = terms.encoding if terms.encoding in fits or not fits else fits[0]
    rates = terms.formats.get(encoding)
    if rates is None:
        raise ValueError(f"{dialect} has the encodings {', '.join(terms.formats)}, not {encoding}")
    if sample_rate is None:
        sample_rate = terms.sample_rate if terms.sample_rate in rates else rates[0]
    if sample_rate not in rates:
        raise ValueError(f"{dialect} has {encoding} at {', '.join(rates)}, not at {sample_rate}")
    least, most = terms.chunks_ms
    if chunk_ms is not None and not least <= chunk_ms <= most:
        raise ValueError(f"{dialect} has messages of {least} to {most} ms, not of {chunk_ms}")
    return Format(encoding, sample_rate, terms.chunk_ms if chunk_ms is None else chunk_ms)


def settle_input(
    dialect: DialectName, encoding: Encoding | None = None, sample_rate: SampleRate | None = None
) -> Format:
    """As `settle`, for what the application says. Raise ValueError too when it cannot be another format."""
    if not DIALECTS[dialect].has_two_formats:
        raise ValueError(f"{dialect} has one format, both ways")
    return settle(dialect, encoding, sample_rate)


def check_tracks(dialect: DialectName, tracks: Sequence[int], together: Together) -> None:
    """Raise ValueError when the dialect has no words for these tracks together."""
    carries, count = DIALECTS[dialect].tracks, len(tracks)
    two_ways = count == 2 and is_sent(tracks[0]) != is_sent(tracks[1])
    fits = {
        "apart": carries == "all" or count == 1 or (carries == "both_ways" and two_ways),
        "mixed": carries != "all",
        "stereo": carries == "stereo" and count == 2,
    }
    if not fits[together]:
        words = {
            "one": "one track, or several mixed",
            "stereo": "one track, several mixed, or two in stereo",
            "both_ways": "one track, one of each way, or several mixed",
            "all": "any tracks, each apart",
        }
        raise ValueError(f"{dialect} carries {words[carries]}")


def check_listener(dialect: DialectName, speak_to: int) -> None:
    """Raise ValueError when the messages of the dialect say themselves who is to hear them."""
    if dialect == "longline" and speak_to:
        raise ValueError("longline says in each message who is to hear it")
