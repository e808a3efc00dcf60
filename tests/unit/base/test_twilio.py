"""Twilio's words, beside its own SDK where that says what they are."""

from uuid import UUID

import pytest
from twilio.request_validator import RequestValidator

from longline.base import twilio
from longline.base.ids import new_id

TOKEN = "12345"


def test_the_signature_is_the_one_that_twilio_documents() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    assert (
        twilio.signature(TOKEN, "https://mycompany.com/myapp.php?foo=1&bar=2", form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/voice",
        "https://example.com/voice?a=1&b=%20x",
        "https://example.com:8443/voice",
        "http://example.com/voice",
        "http://127.0.0.1:8080/voice?x=y",
        "http://[::1]:8080/voice",
        "https://user:pass@example.com/voice",
    ],
)
def test_the_validator_of_the_sdk_accepts_what_is_signed(url: str) -> None:
    form = {"CallSid": "CA" + "0" * 32, "From": "+15550100", "Empty": ""}
    seen = url.replace("user:pass@", "")  # what the application sees of it
    assert RequestValidator(TOKEN).validate(seen, form, twilio.signature(TOKEN, url, form))
    assert RequestValidator(TOKEN).validate(seen, {}, twilio.signature(TOKEN, url))
    assert not RequestValidator(TOKEN).validate(seen, form | {"From": "+1"}, twilio.signature(TOKEN, url, form))


@pytest.mark.parametrize("seen", ["wss://app.example/ws", "wss://app.example:443/ws", "wss://app.example:8443/ws"])
def test_a_websocket_is_signed_without_its_port_and_its_query(seen: str) -> None:
    for url in ("wss://app.example/ws", "wss://app.example:8443/ws", "wss://app.example:8443/ws?token=x"):
        assert RequestValidator(TOKEN).validate(seen, {}, twilio.signature(TOKEN, url))


def test_a_sid_is_an_id_that_can_be_read_back() -> None:
    made = new_id()
    text = twilio.sid(twilio.Sid.CALL, made)
    assert (text[:2], len(text)) == ("CA", 34)
    assert twilio.read_sid(twilio.Sid.CALL, text) == made
    assert isinstance(twilio.read_sid(twilio.Sid.CALL, text), UUID)


@pytest.mark.parametrize("text", ["", "CA", "AC" + "0" * 32, "CA" + "0" * 31, "CA" + "0" * 33, "CA" + "g" * 32])
def test_what_is_no_sid_is_nothing(text: str) -> None:
    assert twilio.read_sid(twilio.Sid.CALL, text) is None


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        ("initiated", None, "queued"),
        ("ringing", None, "ringing"),
        ("answered", None, "in-progress"),
        ("completed", "normal_clearing", "completed"),
        ("failed", "busy", "busy"),
        ("failed", "no_answer", "no-answer"),
        ("failed", "canceled", "canceled"),
        ("failed", "carrier_error", "failed"),
    ],
)
def test_states_have_their_word(state: str, reason: str | None, status: str) -> None:
    assert twilio.call_status(state, reason) == status
