"""One attempt over a real socket: what is sent, what acknowledges, and what is told of a failure."""

import asyncio
import json
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from tests.support.egress import open_guard
from tests.support.http import raw_server, response
from tests.support.ports import free_ports

from longline.base.ids import encode_id, new_id
from longline.store.records import EventRecord
from longline.webhooks import sender as sender_module
from longline.webhooks.sender import HttpSender, Outcome
from longline.webhooks.signature import verify

AT = datetime(2026, 6, 1, tzinfo=UTC)


def event(url: str, version: str = "2025-08-01") -> EventRecord:
    return EventRecord(
        type="call.answered", call_id=new_id(), at=AT, api_version=version, payload={"event": "ü"}, target_url=url,
        delivery_status="pending",
    )  # fmt: skip


async def attempt(sent: EventRecord, secret: str | None = None, ca_files: list[Path] | None = None) -> Outcome:
    sender = HttpSender(open_guard(), secret, ca_files or [])
    try:
        return await sender.send(sent, AT)
    finally:
        await sender.close()


def headers_of(head: str) -> dict[str, str]:
    lines = head.split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content", "299 Odd"])
async def test_any_2xx_acknowledges(status: str) -> None:
    async with raw_server(hook=response(b"", status)) as server:
        assert await attempt(event(f"{server.url}/hook")) == Outcome(int(status[:3]), None)
        head, body = server.requests[0]
        assert head.startswith("POST /hook HTTP/1.1")
        assert json.loads(body) == {"event": "ü"}
        assert headers_of(head)["content-type"] == "application/json"


@pytest.mark.parametrize("status", ["400 Bad Request", "410 Gone", "500 Internal Server Error"])
async def test_any_other_status_is_a_failure_that_is_told(status: str) -> None:
    async with raw_server(hook=response(b"why", status)) as server:
        assert await attempt(event(f"{server.url}/hook")) == Outcome(int(status[:3]), f"answered {status[:3]}")


async def test_redirects_are_not_followed() -> None:
    async with raw_server(hook=response(b"", "307 Temporary Redirect", "Location: /other"), other=response()) as server:
        outcome = await attempt(event(f"{server.url}/hook"))
        assert outcome == Outcome(307, "answered 307; redirects are not followed")
        assert len(server.requests) == 1


async def test_version_2025_has_no_teler_headers_unless_it_is_signed() -> None:
    async with raw_server(hook=response()) as server:
        await attempt(event(f"{server.url}/hook"))
        await attempt(event(f"{server.url}/hook"), secret="whsec_secret")
        plain, signed = (headers_of(head) for head, _ in server.requests)
        assert not [name for name in plain if name.startswith("x-teler")]
        assert {name for name in signed if name.startswith("x-teler")} == {"x-teler-signature", "x-teler-timestamp"}


async def test_version_2026_has_all_headers_and_its_signature_is_good() -> None:
    async with raw_server(hook=response()) as server:
        sent = event(f"{server.url}/hook", "2026-06-01")
        await attempt(sent, secret="whsec_secret")
        head, body = server.requests[0]
        headers = headers_of(head)
        assert headers["x-teler-api-version"] == "2026-06-01"
        assert headers["x-teler-event-id"] == encode_id("evt", sent.id)
        assert headers["x-teler-source"] == "longline"
        stamp = headers["x-teler-timestamp"]
        assert stamp == str(int(AT.timestamp()))
        assert verify("whsec_secret", stamp, body, headers["x-teler-signature"], AT.timestamp())


async def test_a_far_side_that_is_not_there_is_a_failure_without_a_status() -> None:
    (port,) = free_ports(1)
    outcome = await attempt(event(f"http://127.0.0.1:{port}/hook"))
    assert outcome.status_code is None
    assert "ConnectError" in (outcome.error or "")


@pytest.mark.parametrize("url", ["http://", "http://h:99999/", "http://[::1", "nonsense"])
async def test_a_target_that_is_no_url_is_a_failure_and_not_an_error(url: str) -> None:
    outcome = await attempt(event(url))
    assert outcome.status_code is None
    assert outcome.error


async def test_a_far_side_that_does_not_answer_is_given_up_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "ATTEMPT_TIMEOUT_S", 0.05)
    async with raw_server() as server:
        assert await attempt(event(f"{server.url}/silent")) == Outcome(None, "no answer within 0.05 s")
        await asyncio.wait_for(server.gone.wait(), 5)


async def test_a_body_that_never_ends_is_not_waited_for() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\npart"
    async with raw_server(hook=endless) as server:
        assert (await attempt(event(f"{server.url}/hook"))).status_code == 200


async def test_bytes_that_are_not_http_are_a_failure() -> None:
    async with raw_server(hook=b"\x00\x01 not http\r\n\r\n") as server:
        outcome = await attempt(event(f"{server.url}/hook"))
        assert outcome.status_code is None
        assert "ProtocolError" in (outcome.error or "")


async def test_an_extra_authority_is_trusted_and_a_stranger_is_not(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        sent = event(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
        stranger = await attempt(sent)
        assert stranger.status_code is None
        assert "certificate verify failed" in (stranger.error or "").lower()
        assert await attempt(replace(sent), ca_files=[certificate]) == Outcome(200, None)


def self_signed(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    import ipaddress
    from datetime import timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "cert.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class _Secrets:
    """One secret that has just been rotated."""

    def __init__(self, secret_id: UUID) -> None:
        self.secret_id = secret_id

    def values(self, secret_id: UUID) -> tuple[str, ...]:
        return ("new of the app", "old of the app") if secret_id == self.secret_id else ()


async def test_an_app_signs_with_its_own_secret_and_with_the_one_before_while_it_is_rotated() -> None:
    secret_id, timestamp = new_id(), str(int(AT.timestamp()))
    sender = HttpSender(open_guard(), "the node's", secrets=_Secrets(secret_id))
    async with raw_server(hook=response()) as server:
        for own in (secret_id, new_id(), None):
            await sender.send(replace(event(f"{server.url}/hook"), secret_id=own), AT)
        await sender.close()
        signed = [(headers_of(head), body) for head, body in server.requests]
    for headers, body in signed[1:]:  # of a secret that is gone, and of a call without one
        assert verify("the node's", timestamp, body, headers["x-teler-signature"], AT.timestamp())
    headers, body = signed[0]
    assert verify("new of the app", timestamp, body, headers["x-teler-signature"], AT.timestamp())
    assert verify("old of the app", timestamp, body, headers["x-teler-signature-previous"], AT.timestamp())
