"""URLs that others hand us are checked; so are the authorities to trust."""

from pathlib import Path

import pytest

from longline.base.errors import ConfigError
from longline.base.tls import client_context
from longline.base.urls import URL_MAX_CHARS, http_url, ws_url


@pytest.mark.parametrize("text", ["http://h", "https://h:8/p?q=1#f", "http://[::1]:80/", "http://u:p@h/%E2%98%83"])
def test_absolute_http_urls_are_taken_as_they_are(text: str) -> None:
    assert http_url(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "h", "/p", "http://", "http:///p", "ftp://h", "ws://h", "http://h:99999", "http://h/a b", "http://h/\r\nx",
     "http://h/☃", "http://h/\ud800", "http://[::1", "javascript:alert(1)", "http://h/" + "x" * URL_MAX_CHARS],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        http_url(text)


def test_a_media_url_is_a_websocket_url() -> None:
    assert ws_url("wss://h/media?call=1") == "wss://h/media?call=1"
    with pytest.raises(ValueError, match="ws:// or wss://"):
        ws_url("https://h")


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("not a certificate")
    for path in (broken, tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match=path.name):
            client_context([path])


def test_our_own_authorities_come_beside_the_systems() -> None:
    context = client_context()
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
