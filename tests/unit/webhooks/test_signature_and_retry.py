"""Signatures can be checked by a receiver that knows the scheme; retries follow the schedule."""

import hashlib
import hmac
import random
import subprocess

import pytest

from longline.webhooks.retry import RetryPolicy
from longline.webhooks.signature import sign, signature_headers, standard_sign, verify

BODY = b'{"event":"call.answered"}'


def test_the_signature_is_hmac_sha256_over_timestamp_dot_body() -> None:
    expected = hmac.new(b"whsec_x", b'1780315200.{"event":"call.answered"}', hashlib.sha256).hexdigest()
    assert sign("whsec_x", "1780315200", BODY) == expected


def test_the_signature_is_what_openssl_computes() -> None:
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "whsec_x"], input=b"1780315200." + BODY, capture_output=True, check=True
    )
    assert digest.stdout.decode().split()[-1] == sign("whsec_x", "1780315200", BODY)


@pytest.mark.parametrize(
    ("secret", "timestamp", "body", "now", "good"),
    [
        ("whsec_x", "1000", BODY, 1000.0, True),
        ("whsec_x", "1000", BODY, 1300.0, True),
        ("whsec_x", "1000", BODY, 1301.0, False),
        ("whsec_x", "1000", BODY, 600.0, False),
        ("whsec_y", "1000", BODY, 1000.0, False),
        ("whsec_x", "1001", BODY, 1000.0, False),
        ("whsec_x", "1000", BODY + b" ", 1000.0, False),
        ("whsec_x", "soon", BODY, 1000.0, False),
    ],
)
def test_only_a_fresh_signature_of_the_same_body_is_good(
    secret: str, timestamp: str, body: bytes, now: float, good: bool
) -> None:
    signature = sign("whsec_x", "1000", BODY)
    assert verify(secret, timestamp, body, signature, now) is good


def test_a_signature_that_is_not_text_of_ours_is_refused_and_not_an_error() -> None:
    assert not verify("s", "1000", BODY, "é" * 64, 1000.0)


def test_gaps_double_are_capped_and_end_after_eight_retries() -> None:
    delays = [RetryPolicy().delay_s(attempts, lambda: 1.0) for attempts in range(1, 10)]
    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, None]
    assert RetryPolicy(longest_s=10).delay_s(8, lambda: 1.0) == 10


def test_jitter_keeps_a_gap_between_half_and_all_of_it() -> None:
    chance = random.Random(1)
    gaps = [RetryPolicy().delay_s(3, chance.random) for _ in range(1000)]
    assert all(gap is not None and 4 <= gap <= 8 for gap in gaps)
    assert len(set(gaps)) > 900


def test_the_standard_signature_is_that_of_the_published_example() -> None:
    """The example that the libraries of standardwebhooks.com are tested with."""
    signature = standard_sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
        b'{"test": 2432232314}',
    )  # fmt: skip
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_is_no_base64_is_its_own_key() -> None:
    assert standard_sign("not base64!", "evt_1", "1", b"{}") == standard_sign(
        "whsec_bm90IGJhc2U2NCE=", "evt_1", "1", b"{}"
    )


def test_while_a_secret_is_rotated_both_sign_and_a_receiver_of_either_is_content() -> None:
    headers = signature_headers(["new-secret", "old-secret"], "evt_1", "1000", BODY, standard=True)
    assert verify("new-secret", "1000", BODY, headers["X-Teler-Signature"], 1000)
    assert verify("old-secret", "1000", BODY, headers["X-Teler-Signature-Previous"], 1000)
    assert headers["webhook-signature"].split() == [
        standard_sign(secret, "evt_1", "1000", BODY) for secret in ("new-secret", "old-secret")
    ]
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1000")


def test_the_standard_headers_are_sent_where_they_are_asked_for_alone() -> None:
    assert not any(name.startswith("webhook-") for name in signature_headers(["secret"], "evt_1", "1", BODY))
    assert signature_headers([], "evt_1", "1", BODY, standard=True) == {}
