"""Answering challenges: the vectors of RFC 2617 and RFC 7616, whose challenges are answered, and whose never."""

import hashlib
import re

import pytest
from tests.unit.sip.sip_pair import Party, Wire, answers_at_once, pair

from longline.sip.access.auth import TrunkCredential, parse_challenge
from longline.sip.events import Answered, Ended, Failed
from longline.sip.syntax.message import Request

MUFASA = TrunkCredential("host", "Mufasa", "Circle Of Life")


def value_of(header: str, name: str) -> str:
    match = re.search(rf'{name}="?([^",]*)', header)
    assert match
    return match.group(1)


@pytest.mark.parametrize(
    ("algorithm", "password", "cnonce", "nonce", "realm", "expected"),
    [
        ("MD5", "Circle Of Life", "0a4f113b", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "testrealm@host.com",
         "6629fae49393a05397450978507c4ef1"),
        ("MD5", "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
         "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "http-auth@example.org", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
         "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "http-auth@example.org",
         "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)  # fmt: skip
def test_digest_is_that_of_the_rfc(
    algorithm: str, password: str, cnonce: str, nonce: str, realm: str, expected: str
) -> None:
    session = parse_challenge(f'Digest realm="{realm}", qop="auth, auth-int", nonce="{nonce}", algorithm={algorithm}')
    assert session is not None
    credential = TrunkCredential("host", "Mufasa", password)
    name, header = session.authorize(credential, "GET", "/dir/index.html", b"", cnonce)
    assert name == "Authorization"
    assert value_of(header, "response") == expected
    assert "qop=auth, nc=00000001" in header


def test_auth_int_covers_the_body() -> None:
    session = parse_challenge('Digest realm="r", nonce="n", qop="auth-int"')
    assert session is not None
    _, header = session.authorize(MUFASA, "INVITE", "sip:x@host", b"body", "c")

    def h(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    a2 = h(f"INVITE:sip:x@host:{h('body')}")
    assert value_of(header, "response") == h(f"{h('Mufasa:r:Circle Of Life')}:n:00000001:c:auth-int:{a2}")


def test_challenge_without_qop_is_answered_as_rfc_2069() -> None:
    session = parse_challenge('Digest realm="r",nonce="n",opaque="o"')
    assert session is not None
    _, header = session.authorize(MUFASA, "BYE", "sip:x@host", b"", "c")
    assert "qop" not in header and "cnonce" not in header
    assert 'opaque="o"' in header


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="r"',
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r", nonce="n", algorithm=SHA-512-256',
        'Digest realm="r", nonce="n", qop="new-fangled"',
        'Digest realm="r", nonce="n',
        "Digest " + "x" * 5000,
        "",
    ],
)
def test_challenge_we_cannot_do_is_left_alone(challenge: str) -> None:
    assert parse_challenge(challenge) is None


def test_password_is_not_in_the_repr() -> None:
    assert "Circle" not in repr(MUFASA)
    assert "Mufasa" not in repr(MUFASA)


TRUNK = TrunkCredential("192.0.2.2", "user", "secret", realm="carrier")
FRESH = 'Digest realm="carrier", nonce="n1", qop="auth,auth-int", algorithm=SHA-256'


def challenged(*challenges: str, status: int = 407, credential: TrunkCredential = TRUNK) -> tuple[Wire, Party, Party]:
    """Bob challenges that many requests in a row before he takes one."""
    wire = Wire()
    alice, bob = Party(wire, "192.0.2.1", credentials=[credential]), Party(wire, "192.0.2.2")
    answers_at_once(bob)
    left = list(challenges)
    answering = bob.react

    def react(event: object) -> None:
        if left and type(event).__name__ == "IncomingCall":
            name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
            bob.endpoint.reject(wire.now, event.handle, status, None, [(name, left.pop(0))])  # type: ignore[attr-defined]
        else:
            answering(event)  # type: ignore[arg-type]

    bob.react = react
    return wire, alice, bob


@pytest.mark.parametrize(("status", "header"), [(401, "Authorization"), (407, "Proxy-Authorization")])
def test_challenged_invite_is_sent_again_with_credentials(status: int, header: str) -> None:
    wire, alice, _ = challenged(FRESH, status=status)
    alice.invite("192.0.2.2")
    wire.run(1)
    first, second = wire.requests("INVITE")
    assert header not in first.headers
    assert "algorithm=SHA-256, qop=auth, nc=00000001" in (second.headers.get(header) or "")
    assert (second.cseq[0], second.call_id, second.from_.tag) == (first.cseq[0] + 1, first.call_id, first.from_.tag)
    assert second.top_via.branch != first.top_via.branch
    assert second.body == first.body
    assert alice.last(Answered)
    ack = wire.requests("ACK")[-1]
    assert ack.headers.get(header) == second.headers.get(header)
    assert ack.cseq[0] == second.cseq[0]


def test_bye_goes_out_with_the_next_nonce_count() -> None:
    wire, alice, _ = challenged(FRESH)
    handle = alice.invite("192.0.2.2")
    wire.run(1)
    alice.do("bye", handle)
    assert "nc=00000002" in (wire.requests("BYE")[0].headers.get("Proxy-Authorization") or "")


def test_stale_nonce_is_replaced() -> None:
    wire, alice, _ = challenged(FRESH, FRESH.replace("n1", "n2") + ", stale=TRUE")
    alice.invite("192.0.2.2")
    wire.run(1)
    assert 'nonce="n2"' in (wire.requests("INVITE")[2].headers.get("Proxy-Authorization") or "")
    assert alice.last(Answered)


def test_wrong_password_is_tried_once() -> None:
    wire, alice, _ = challenged(FRESH, FRESH.replace("n1", "n2"))
    handle = alice.invite("192.0.2.2")
    wire.run(1)
    assert len(wire.requests("INVITE")) == 2
    assert alice.last(Failed) == Failed(handle, 407, "Proxy Authentication Required", "unauthorized")


def test_endless_stale_challenges_are_given_up() -> None:
    wire, alice, _ = challenged(*[FRESH + ", stale=true"] * 10)
    alice.invite("192.0.2.2")
    wire.run(1)
    assert len(wire.requests("INVITE")) == 4
    assert alice.last(Failed).cause == "unauthorized"


@pytest.mark.parametrize(
    "credential",
    [TrunkCredential("192.0.2.50", "user", "secret"), TrunkCredential("192.0.2.2", "user", "secret", realm="other")],
)
def test_stranger_who_challenges_learns_nothing(credential: TrunkCredential) -> None:
    wire, alice, _ = challenged(FRESH, credential=credential)
    alice.invite("192.0.2.2")
    wire.run(1)
    assert len(wire.requests("INVITE")) == 1
    assert alice.last(Failed).cause == "unauthorized"
    assert alice.endpoint.counters["sip.challenges_refused"] == 1


def test_challenged_bye_of_a_stranger_is_not_answered() -> None:
    wire, alice, bob = pair()
    answers_at_once(bob)
    handle = alice.invite("192.0.2.2")
    wire.run(1)
    wire.drop = lambda sent: sent.sender == "192.0.2.2"
    alice.do("bye", handle)
    bye = wire.requests("BYE")[0]
    refusal = b"SIP/2.0 401 Unauthorized\r\n" + bye.headers.encode().encode() + b"\r\n"
    refusal = refusal.replace(b"Content-Length", b'WWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length')
    wire.inject(alice, refusal)
    wire.run(1)
    assert all("Authorization" not in r.headers for r in wire.requests("BYE"))
    assert alice.last(Ended).by == "local"
    assert isinstance(bye, Request)
