"""Plivo's words, and its signature as Plivo's own validator checks it."""

from uuid import UUID

import pytest
from plivo.utils import validate_v3_signature

from longline.base import plivo

TOKEN = "a token that both know"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "url",
    [
        "https://app.example/answer",
        "https://app.example:8443/answer/?b=2&a=1",
        "http://app.example/answer?tenant=a%20b&empty=",
    ],
)
@pytest.mark.parametrize("form", [{}, {"CallUUID": "x", "To": "+14155550100", "Empty": ""}])
def test_the_vendors_validator_takes_the_signature(method: str, url: str, form: dict[str, str]) -> None:
    posted = form if method == "POST" else {}
    made = plivo.signature(TOKEN, method, url, "12345", posted)
    assert validate_v3_signature(method, url, "12345", TOKEN, made, dict(posted))
    assert not validate_v3_signature(method, url, "12346", TOKEN, made, dict(posted))
    assert not validate_v3_signature(method, url + "x", "12345", TOKEN, made, dict(posted))


def test_a_request_is_signed_with_a_number_used_once() -> None:
    first, second = (plivo.signed(TOKEN, "POST", "https://app.example/", {"a": "b"}) for _ in range(2))
    assert first[plivo.NONCE_HEADER] != second[plivo.NONCE_HEADER]
    assert validate_v3_signature(
        "POST", "https://app.example/", first[plivo.NONCE_HEADER], TOKEN, first[plivo.SIGNATURE_HEADER], {"a": "b"}
    )
    assert plivo.signed(None, "POST", "https://app.example/", {}) == {}


def test_ids_are_plain_and_what_is_none_is_none() -> None:
    value = UUID("0193f0a0-0000-7000-8000-000000000001")
    assert plivo.read_id(str(value)) == value
    assert plivo.read_id("0193f0a0") is None
    assert plivo.read_id("x" * 36) is None


def test_a_call_has_the_state_and_the_cause_that_plivo_would_have() -> None:
    assert plivo.call_status("answered") == "in-progress"
    assert plivo.call_status("failed", "no_answer") == "no-answer"
    assert plivo.hangup_cause("busy") == ("Busy Line", 3010)
    assert plivo.hangup_source("caller") == "Caller"
