"""What a vendor's exception becomes: one kind of fault, with when to come back, and without the key."""

import asyncio

import pytest

from longline.agentkit.ports import ProviderError
from longline.agentkit.vendor import faults, load


class Refused(Exception):
    """As the SDKs have it."""

    def __init__(self, status: int, headers: dict[str, str], body: object = None) -> None:
        super().__init__(f"headers: {headers}")
        self.status_code, self.headers, self.body = status, headers, body


def fault(error: BaseException) -> ProviderError:
    with pytest.raises(ProviderError) as raised, faults("acme"):
        raise error
    return raised.value


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:05 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 5.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_when_to_come_back_is_told(headers: dict[str, str], seconds: float | None) -> None:
    assert fault(Refused(429, headers)).retry_after_s == seconds


def test_it_is_found_in_the_cause_where_the_sdk_has_lost_it() -> None:
    try:
        try:
            raise Refused(429, {"Retry-After": "3"})
        except Refused:
            raise Refused(429, {"Authorization": "Token secret"}, "unexpected") from None
    except Refused as error:
        told = fault(error)
    assert told.retry_after_s == 3.0
    assert str(told) == "acme: HTTP 429: unexpected"


def test_a_key_in_the_headers_is_not_told() -> None:
    assert "secret" not in str(fault(Refused(401, {"Authorization": "Token secret"})))


def test_what_is_cancelled_stays_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError), faults("acme"):
        raise asyncio.CancelledError
    assert str(fault(TimeoutError())) == "acme: took too long"
    assert str(fault(ConnectionResetError("by peer"))) == "acme: by peer"


def test_an_sdk_that_is_not_there_is_named_with_what_installs_it() -> None:
    with pytest.raises(ImportError, match=r"pip install longline\[acme\]"):
        load("acme_that_nobody_has", extra="acme")
