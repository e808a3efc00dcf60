"""The server's side of digest: who gets in, what a nonce is good for, and what a stranger can tell apart."""

from collections import Counter

import pytest

from longline.sip.access.auth import TrunkCredential, parse_challenge
from longline.sip.access.digest_server import NC_WINDOW, NONCE_LIFETIME_S, DigestServer, Outcome
from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request

ALICE = TrunkCredential("here", "alice", "open sesame")
PASSWORDS = {"alice": "open sesame"}
HOST = "192.0.2.7"


def server(**more: object) -> DigestServer:
    return DigestServer(b"k" * 32, "here", Counter(), **more)  # type: ignore[arg-type]


def request_of(
    value: str | None, method: str = "REGISTER", uri: str = "sip:here", body: bytes = b"", name: str = "Authorization"
) -> Request:
    return Request(method, uri, Headers([(name, value)] if value is not None else []), body)


def answered(
    challenge: str, credential: TrunkCredential = ALICE, method: str = "REGISTER", nc: int = 1, body: bytes = b""
) -> Request:
    session = parse_challenge(challenge)
    assert session is not None
    session.nc = nc - 1
    name, value = session.authorize(credential, method, "sip:here", body, "c0ffee")
    assert name == "Authorization"
    return request_of(value, method, body=body)


def outcome(digests: DigestServer, request: Request, now: float = 1000.0, host: str = HOST) -> Outcome:
    return digests.judge(now, host, request, PASSWORDS.get).outcome


@pytest.mark.parametrize("which", [0, 1])
def test_right_password_gets_in_with_either_algorithm(which: int) -> None:
    digests = server()
    challenges = digests.challenge(1000, HOST)
    assert [parse_challenge(text).algorithm for text in challenges] == ["SHA-256", "MD5"]  # type: ignore[union-attr]
    assert digests.judge(1000, HOST, answered(challenges[which]), PASSWORDS.get).username == "alice"
    assert outcome(server(), answered(challenges[which])) is Outcome.ADMITTED


def test_auth_int_covers_the_body_when_it_is_asked_for() -> None:
    digests = server(qop=("auth-int",))
    challenge = digests.challenge(1000, HOST)[0]
    good, altered = (answered(challenge, body=b"body", nc=n) for n in (1, 2))
    altered.body = b"other"
    assert outcome(digests, altered) is Outcome.WRONG
    assert outcome(digests, good) is Outcome.ADMITTED


def test_unknown_name_and_wrong_password_look_alike() -> None:
    digests = server()
    challenge = digests.challenge(1000, HOST)[0]
    for name, password in (("alice", "wrong"), ("nobody", "open sesame"), ("", "")):
        assert outcome(digests, answered(challenge, TrunkCredential("here", name, password))) is Outcome.WRONG


def test_password_nobody_set_lets_nobody_in() -> None:
    """What an unknown name is compared with is no password that a client could have."""
    digests = server()
    challenge = digests.challenge(1000, HOST)[0]
    ghost = TrunkCredential("here", "ghost", digests._mac(b"ghost").hex())
    assert outcome(digests, answered(challenge, ghost)) is Outcome.WRONG


def test_each_count_of_a_nonce_is_good_once() -> None:
    digests = server()
    challenge = digests.challenge(1000, HOST)[0]
    assert outcome(digests, answered(challenge, nc=1)) is Outcome.ADMITTED
    assert outcome(digests, answered(challenge, nc=1)) is Outcome.REPLAYED
    assert outcome(digests, answered(challenge, nc=2)) is Outcome.ADMITTED


def test_counts_may_overtake_each_other_within_the_window() -> None:
    digests = server()
    challenge = digests.challenge(1000, HOST)[0]
    far = NC_WINDOW + 10
    assert outcome(digests, answered(challenge, nc=far)) is Outcome.ADMITTED
    assert outcome(digests, answered(challenge, nc=far - NC_WINDOW)) is Outcome.REPLAYED
    assert outcome(digests, answered(challenge, nc=far - NC_WINDOW + 1)) is Outcome.ADMITTED
    assert outcome(digests, answered(challenge, nc=far - NC_WINDOW + 1)) is Outcome.REPLAYED
    assert outcome(digests, answered(challenge, nc=far)) is Outcome.REPLAYED


def test_old_nonce_is_stale_and_not_wrong() -> None:
    digests = server()
    request = answered(digests.challenge(1000, HOST)[0])
    assert outcome(digests, request, now=1000 + NONCE_LIFETIME_S + 1) is Outcome.STALE
    assert outcome(digests, request, now=1000 + NONCE_LIFETIME_S) is Outcome.ADMITTED


def test_nonce_of_another_address_key_or_making_is_stale() -> None:
    digests = server()
    challenge = digests.challenge(1000, HOST)[0]
    assert outcome(digests, answered(challenge), host="192.0.2.8") is Outcome.STALE
    assert outcome(DigestServer(b"x" * 32, "here", Counter()), answered(challenge)) is Outcome.STALE
    for nonce in ("", "AAAA", "A" * 22, "é" * 22, "*" * 22):
        made = answered(f'Digest realm="here", nonce="{nonce}", qop="auth", algorithm=MD5')
        assert outcome(digests, made) is Outcome.STALE


def test_two_phones_behind_one_address_get_nonces_of_their_own() -> None:
    digests = server()
    first, second = (digests.challenge(1000, HOST)[0] for _ in range(2))
    assert outcome(digests, answered(first)) is Outcome.ADMITTED
    assert outcome(digests, answered(second)) is Outcome.ADMITTED


def test_client_without_qop_may_use_a_nonce_once() -> None:
    digests = server()
    challenge = digests.challenge(1000, HOST)[1].replace(',qop="auth"', "")
    assert outcome(digests, answered(challenge)) is Outcome.ADMITTED
    assert outcome(digests, answered(challenge)) is Outcome.REPLAYED


def test_full_table_of_nonces_lets_no_replay_through() -> None:
    counters: Counter[str] = Counter()
    digests = DigestServer(b"k" * 32, "here", counters, max_nonces=2)
    requests = [answered(digests.challenge(1000 + n, HOST)[0]) for n in range(3)]
    assert [outcome(digests, request, now=1003) for request in requests] == [Outcome.ADMITTED] * 3
    assert counters["sip.nonces_forgotten"] == 1
    assert outcome(digests, requests[0], now=1003) is Outcome.REPLAYED
    assert outcome(digests, answered(digests.challenge(1003, HOST)[0]), now=1003) is Outcome.ADMITTED


def test_credentials_for_another_method_or_address_of_record_are_wrong() -> None:
    digests = server()
    request = answered(digests.challenge(1000, HOST)[0])
    value = request.headers.get("Authorization")
    assert outcome(digests, request_of(value, method="INVITE")) is Outcome.WRONG
    assert outcome(digests, request_of(value, uri="sip:there")) is Outcome.WRONG
    assert outcome(digests, request_of(value, uri="sip:HERE;transport=udp")) is Outcome.ADMITTED


def test_no_credentials_for_our_realm_are_missing() -> None:
    digests = server()
    other = answered('Digest realm="elsewhere", nonce="n", algorithm=MD5').headers.get("Authorization")
    assert outcome(digests, request_of(None)) is Outcome.MISSING
    assert outcome(digests, request_of(other)) is Outcome.MISSING


@pytest.mark.parametrize(
    "value",
    [
        "Basic YWxpY2U6b3Blbg==",
        "Digest",
        'Digest username="alice',
        'Digest realm="here"',
        'Digest realm="here", username="alice", nonce="n", uri="sip:here", response="x", qop=auth',
        'Digest realm="here", username="alice", nonce="n", uri="sip:here", response="x", qop=auth, nc=1, cnonce="c"',
        'Digest realm="here", username="alice", nonce="n", uri="sip:here", qop=auth, nc=0000000g, cnonce=""',
        'Digest realm="here", username="alice", nonce="n", uri="sip:here", response="\udcff", algorithm=MD5',
        'Digest realm="here", username="\udcff", nonce="\udcff", uri="sip:\udcff", response="é", algorithm=SHA-512-256',
        'Digest realm="here", username="alice", nonce="n", uri="sip:here", response="", algorithm=MD5-sess',
        "Digest " + "a=b," * 2000,
    ],
)
def test_credentials_that_are_none_let_nobody_in_and_are_never_an_error(value: str) -> None:
    digests = server()
    assert outcome(digests, request_of(value)) in (Outcome.STALE, Outcome.MISSING)
    session = parse_challenge(digests.challenge(1000, HOST)[0])
    assert session is not None
    with_ours = value.replace('nonce="n"', f'nonce="{session.nonce}"')
    assert outcome(digests, request_of(with_ours)) is (
        Outcome.WRONG if with_ours != value else outcome(digests, request_of(value))
    )


def test_guess_with_a_nonce_of_ones_own_tells_nothing_of_the_password() -> None:
    digests = server()
    for password in ("open sesame", "wrong"):
        credential = TrunkCredential("here", "alice", password)
        made = answered('Digest realm="here", nonce="mine", qop="auth", algorithm=MD5', credential)
        assert outcome(digests, made) is Outcome.STALE
