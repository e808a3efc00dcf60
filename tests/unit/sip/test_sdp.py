"""Session descriptions: sound and sloppy ones, hostile ones, and that what is written can be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.sip.sdp.description import Connection, Media, Origin, SdpError, SessionDescription

HEAD = b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def test_description_of_a_phone_is_understood() -> None:
    data = HEAD + b"a=sendonly\r\nm=audio 4000/2 RTP/AVP 0 96\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:96 opus/48000/2\r\n"
    description = SessionDescription.parse(data)
    assert description.origin == Origin("-", "1", "2", "IP4", "192.0.2.1")
    (media,) = description.media
    assert (media.kind, media.port, media.port_count, media.formats) == ("audio", 4000, 2, ["0", "96"])
    assert description.connection_of(media) == Connection("2001:db8::1", "IP6")
    assert description.direction_of(media) == "sendonly"
    assert media.rtpmaps()[96].encoding == "OPUS"


@pytest.mark.parametrize(
    "data",
    [
        HEAD.replace(b"\r\n", b"\n") + b"m=audio 4000 RTP/AVP 0",
        HEAD.replace(b"s=call\r\n", b"").replace(b"t=0 0\r\n", b"") + b"m=audio 4000 RTP/AVP 0\r\n",
        HEAD + b"z=unknown\r\nm=audio 4000 RTP/AVP 0\r\nx=what\r\n\r\n",
        HEAD + b"m=audio  4000  RTP/AVP  0 \r\n",
    ],
)
def test_sloppy_description_is_understood(data: bytes) -> None:
    assert SessionDescription.parse(data).media[0].port == 4000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"v=1\r\n",
        b"o=- 1 1 IN IP4 x\r\nv=0\r\n",
        HEAD + b"m =video 3227 RTP/AVP 31\r\n",
        HEAD + b"no equals sign\r\n",
        HEAD + b"m=audio 65536 RTP/AVP 0\r\n",
        HEAD + b"m=audio -1 RTP/AVP 0\r\n",
        HEAD + b"m=audio\r\n",
        HEAD.replace(b"c=IN IP4 192.0.2.1", b"c=IN IP9 x"),
        HEAD.replace(b"o=- 1 2 IN IP4 192.0.2.1", b"o=short"),
        HEAD + b"m=audio 1 RTP/AVP 0\r\n" * 17,
        HEAD + b"m=audio 1 RTP/AVP " + b"0 " * 129 + b"\r\n",
        HEAD + b"a=x\r\n" * 600,
        HEAD + b"a=" + b"x" * 17_000,
    ],
)
def test_what_would_have_to_be_guessed_is_refused_with_488(data: bytes) -> None:
    with pytest.raises(SdpError) as caught:
        SessionDescription.parse(data)
    assert caught.value.status == 488


@pytest.mark.parametrize("value", ["96", "96 x", "x y/8000", "128 PCMU/8000", "96 PCMU/4294967296000", ""])
def test_malformed_rtpmap_does_not_count(value: str) -> None:
    assert Media("audio", 1, "RTP/AVP", ["96"], attributes=[("rtpmap", value)]).rtpmaps() == {}


@given(st.binary(max_size=300))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    try:
        SessionDescription.parse(b"v=0\r\n" + data)
    except SdpError as error:
        assert str(error)


word = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
attributes = st.lists(st.tuples(word, st.none() | word), max_size=4)
media = st.builds(
    Media,
    kind=st.sampled_from(["audio", "video", "image"]),
    port=st.integers(0, 65535),
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVPF", "udptl"]),
    formats=st.lists(word, min_size=1, max_size=5),
    port_count=st.none() | st.integers(1, 9),
    connection=st.none() | st.builds(Connection, word, st.sampled_from(["IP4", "IP6"])),
    bandwidth=st.lists(word, max_size=2),
    attributes=attributes,
)
descriptions = st.builds(
    SessionDescription,
    origin=st.builds(Origin, word, word, word, st.sampled_from(["IP4", "IP6"]), word),
    name=word,
    connection=st.none() | st.builds(Connection, word),
    bandwidth=st.lists(word, max_size=2),
    times=st.lists(word, min_size=1, max_size=2),
    attributes=attributes,
    media=st.lists(media, max_size=3),
)


@given(descriptions)
def test_what_is_written_can_be_read(description: SessionDescription) -> None:
    assert SessionDescription.parse(description.serialize()) == description
