"""What a stream is opened with follows from its dialect."""

from contextlib import nullcontext
from datetime import UTC, datetime

import pytest

from longline.base import plivo, telnyx
from longline.base.ids import new_id
from longline.base.stream_formats import DialectName
from longline.base.stream_tracks import Together
from longline.calls.call import Call, Direction
from longline.calls.dialects import (
    DIALECTS,
    Format,
    check_tracks,
    settle,
    settle_input,
)
from longline.calls.stream import Stream, StreamAuth, StreamRequest

AT = datetime(2026, 1, 1, tzinfo=UTC)


def stream_of(dialect: DialectName, auth: StreamAuth | None = None) -> tuple[Call, Stream]:
    call = Call(Direction.INBOUND, "+14155550100", "+14155550101", AT)
    return call, Stream(call.id, StreamRequest("ws://app/", dialect=dialect, auth=auth), AT)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_can_have_what_it_has_when_nothing_is_named(dialect: DialectName) -> None:
    terms = DIALECTS[dialect]
    assert settle(dialect) == Format(terms.encoding, terms.sample_rate, terms.chunk_ms)
    assert terms.sample_rate in terms.formats[terms.encoding]


def test_a_rate_alone_chooses_an_encoding_that_has_it() -> None:
    assert settle("telnyx", None, "16k") == Format("pcm_s16le", "16k", 20)
    assert settle("plivo", "pcm_s16le") == Format("pcm_s16le", "8k", 20)
    assert settle("longline", "opus") == Format("opus", "48k", 20)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("twilio", "alaw"), "twilio has the encodings mulaw, pcm_s16le, not alaw"),
        (("telnyx", "mulaw", "16k"), "telnyx has mulaw at 8k, not at 16k"),
        (("vonage", None, "48k"), "vonage has pcm_s16le at 8k, 16k, 24k, not at 48k"),
        (("vonage", None, None, 40), "vonage has messages of 20 to 20 ms, not of 40"),
    ],
)
def test_what_a_dialect_does_not_have_is_told(asked: tuple[DialectName], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        settle(*asked)


def test_telnyx_alone_hears_another_format_than_it_says() -> None:
    assert settle_input("telnyx", "pcm_s16le", "24k") == Format("pcm_s16le", "24k", 20)
    with pytest.raises(ValueError, match="one format"):
        settle_input("twilio", "mulaw")


@pytest.mark.parametrize(
    ("dialect", "tracks", "together", "why"),
    [
        ("teler", (0,), "apart", None),
        ("teler", (1, 129), "mixed", None),
        ("teler", (1, 129), "apart", "teler carries one track, or several mixed"),
        ("twilio", (1, 129), "apart", None),
        ("twilio", (1, 2), "apart", "twilio carries one track, one of each way"),
        ("jambonz", (1, 129), "stereo", None),
        ("jambonz", (1, 2, 3), "stereo", "jambonz carries one track, several mixed, or two in stereo"),
        ("longline", (0, 1, 2, 129), "apart", None),
        ("longline", (1, 2), "mixed", "longline carries any tracks, each apart"),
    ],
)
def test_a_dialect_carries_the_tracks_it_has_words_for(
    dialect: DialectName, tracks: tuple[int, ...], together: Together, why: str | None
) -> None:
    with pytest.raises(ValueError, match=why) if why else nullcontext():
        check_tracks(dialect, tracks, together)


def test_ids_are_written_as_the_dialect_writes_them() -> None:
    call, stream = stream_of("twilio")
    names = DIALECTS["twilio"].names(call, stream)
    assert names.account_id == f"AC{call.account_id.hex}"
    assert (names.call_id, names.stream_id) == (f"CA{call.id.hex}", f"MZ{stream.id.hex}")
    call, stream = stream_of("plivo")
    names = DIALECTS["plivo"].names(call, stream)
    assert len(names.account_id) == 20
    assert (names.account_id[:2], names.call_id) == ("MA", str(call.id))
    call, stream = stream_of("telnyx")
    assert DIALECTS["telnyx"].names(call, stream).call_id == telnyx.call_control_id(call.id)
    assert DIALECTS["telnyx"].ids(call, stream)["call_session_id"] == str(call.id)


def test_accounts_have_plivo_ids_of_their_own() -> None:
    ids = {plivo.account_id(new_id()) for _ in range(100)}
    assert len(ids) == 100
    assert all(one.isalnum() and one == one.upper() for one in ids)


@pytest.mark.parametrize(
    ("dialect", "auth", "header"),
    [
        ("jambonz", StreamAuth(username="a", password="b"), ("Authorization", "Basic YTpi")),
        ("vonage", StreamAuth(token="sesame"), ("Authorization", "Bearer sesame")),
        ("telnyx", StreamAuth(token="sesame"), ("x-telnyx-streaming-auth-token", "sesame")),
        ("telnyx", StreamAuth(username="a", password="b"), ("Authorization", "Basic YTpi")),
    ],
)
def test_credentials_go_with_the_handshake(dialect: DialectName, auth: StreamAuth, header: tuple[str, str]) -> None:
    call, stream = stream_of(dialect, auth)
    assert DIALECTS[dialect].headers(call, stream, None) == [header]
    assert not DIALECTS[dialect].headers(*stream_of(dialect), None)
    assert header[1].split()[-1] not in repr(stream.request)
