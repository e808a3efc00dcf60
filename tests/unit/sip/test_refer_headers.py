"""What REFER, NOTIFY and Replaces carry: whatever we write is read back, and nothing that comes is an exception."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip.refused import Refused
from longline.sip.syntax.diversion import diversions_of
from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request
from longline.sip.syntax.refer_to import ReferTo, parse_refer_to, referred_by_of
from longline.sip.syntax.replaces import Replaces, parse_replaces
from longline.sip.syntax.sipfrag import encode_sipfrag, parse_sipfrag
from longline.sip.syntax.subscription import SubscriptionState, event_id, parse_subscription_state

# RFC 3261 §25.1: what a Call-ID and a tag may hold.
WORD = st.text(st.sampled_from("abcXYZ019-.!%*_+`'~()<>:\\\"/[]?{}@"), min_size=1, max_size=30)
TOKEN = st.text(st.sampled_from("abcXYZ019-.!%*_+`'~"), min_size=1, max_size=30)
URIS = st.sampled_from(
    ["sip:bob@192.0.2.9", "sips:b%40b@[2001:db8::1]:5071;transport=tls", "tel:+15550100", "sip:x.example;lr;gr=a"]
)
REPLACES: SearchStrategy[Replaces] = st.builds(Replaces, WORD, TOKEN, TOKEN, st.booleans())
ANYTHING = st.text(max_size=200) | st.text(st.sampled_from("<>\"'\\;=?&%,:@ sipreplaces0123"), max_size=80)


def request(*fields: tuple[str, str]) -> Request:
    return Request("REFER", "sip:b@b", Headers(fields))


@given(REPLACES)
def test_replaces_is_read_back(replaces: Replaces) -> None:
    assert parse_replaces(str(replaces)) == replaces


@given(URIS, st.none() | REPLACES)
def test_refer_to_is_read_back(uri: str, replaces: Replaces | None) -> None:
    value = ReferTo(uri, None if uri.startswith("tel:") else replaces)
    assert parse_refer_to(request(("Refer-To", str(value)))) == value


@given(st.integers(100, 699), st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=300))
def test_fragment_is_read_back(status: int, reason: str) -> None:
    told = parse_sipfrag(encode_sipfrag(status, reason))
    assert told is not None
    assert told[0] == status
    assert reason.strip().startswith(told[1]) or not reason.strip()


@given(
    st.sampled_from(["active", "pending", "terminated"]),
    st.none() | st.integers(0, 3600),
    st.none() | st.sampled_from(["noresource", "timeout", "rejected"]),
)
def test_subscription_state_is_read_back(state: str, expires_s: int | None, reason: str | None) -> None:
    value = SubscriptionState(state, expires_s, reason)
    assert parse_subscription_state(str(value)) == value


@given(ANYTHING)
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    for reads in (
        lambda: parse_replaces(text),
        lambda: parse_refer_to(request(("Refer-To", text))),
        lambda: parse_refer_to(request(("Refer-To", f"<sip:a@b?Replaces={text}>"))),
        lambda: referred_by_of(request(("Referred-By", text))),
        lambda: event_id(request(("Event", text))),
        lambda: event_id(request(("Event", f"refer;id={text}"))),
        lambda: parse_subscription_state(text),
    ):
        try:
            reads()
        except (Refused, RemoteProtocolError):
            continue


@given(ANYTHING)
def test_diversions_are_read_as_far_as_they_can_be(text: str) -> None:
    diversions_of([("Diversion", text), ("History-Info", text)])
    diversions_of([("History-Info", f"<sip:a@b?Reason={text}>;index=1, <sip:c@d;cause={text}>;index=1.1")])


@given(st.binary(max_size=200))
def test_any_fragment_is_read_or_is_none(body: bytes) -> None:
    told = parse_sipfrag(body)
    assert told is None or 100 <= told[0] <= 699
    parse_sipfrag(b"SIP/2.0 200 " + body)


def test_reason_with_a_line_break_is_our_own_bug() -> None:
    with pytest.raises(LocalProtocolError):
        encode_sipfrag(200, "a\r\nb")
