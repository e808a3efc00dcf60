"""How the commands find a node, and what they say when that does not work."""

import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.support.ports import free_ports
from typer.testing import CliRunner

from longline.base.keyfile import read_key_file, write_key_file
from longline.cli import app
from longline.cli.client import Client, ClientError

KEY = "the-key-of-the-node"
CALL = {
    "id": "cs_1",
    "direction": "inbound",
    "from_number": "+15550100",
    "to_number": "+15550101",
    "state": "completed",
    "answered_at": "2026-01-01T00:00:00Z",
    "ended_at": "2026-01-01T00:01:05Z",
    "reason": "normal_clearing",
}


class FakeNode(ThreadingHTTPServer):
    """Answers from `answers` by method and path; keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.received: list[tuple[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeNode

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        route = f"{self.command} {self.path.partition('?')[0].removeprefix('/api/v1')}"
        self.server.received.append((route, json.loads(body) if body else None))
        if self.headers["x-api-key"] != KEY:
            status, answer = 403, {"success": False, "message": "Invalid API Key."}
        else:
            status, answer = self.server.answers.get(route, (404, {"message": "Call not found.", "code": "x"}))
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _serve

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with FakeNode() as node:
        thread = threading.Thread(target=node.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield node
        node.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URL", "API_KEY", "HTTP_LISTEN", "DATA_DIR"):
        monkeypatch.delenv(f"LONGLINE_{name}", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))


def run(node: FakeNode, *arguments: str, key: str = KEY) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--url", node.url, "--api-key", key])
    return result.exit_code, " ".join(result.output.split())


def test_the_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = write_key_file(tmp_path / "new", KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(tmp_path / "new") == KEY
    assert read_key_file(tmp_path / "nowhere") is None


def test_flags_come_before_the_environment_and_that_before_the_data_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ClientError, match="no API key"):
        Client.find(None, None, None)
    write_key_file(tmp_path / "data", "key-of-the-file")
    monkeypatch.setenv("LONGLINE_DATA_DIR", str(tmp_path / "data"))
    assert _found(Client.find(None, None, None)) == ("http://127.0.0.1:8080", "key-of-the-file")
    monkeypatch.setenv("LONGLINE_HTTP_LISTEN", "0.0.0.0:9000")
    monkeypatch.setenv("LONGLINE_API_KEY", "key-of-the-environment")
    assert _found(Client.find(None, None, None)) == ("http://127.0.0.1:9000", "key-of-the-environment")
    monkeypatch.setenv("LONGLINE_URL", "https://voice.example/")
    assert _found(Client.find(None, None, None))[0] == "https://voice.example"
    assert _found(Client.find("http://flag:1", "key", None)) == ("http://flag:1", "key")


def _found(client: Client) -> tuple[str, str]:
    with client:
        return client.url, client._http.headers["x-api-key"]


def test_a_node_that_is_not_there_is_told_with_what_to_do() -> None:
    (port,) = free_ports(1)
    with (
        Client(f"http://127.0.0.1:{port}", KEY) as client,
        pytest.raises(ClientError, match=f"nothing answers at http://127.0.0.1:{port}: start it with `longline serve`"),
    ):
        client.get("/voice/calls")


def test_calls_are_shown_as_a_table_and_as_json(node: FakeNode) -> None:
    node.answers["GET /voice/calls"] = (200, {"data": [CALL]})
    status, output = run(node, "calls", "--once")
    assert status == 0 and "+15550100" in output and "1:05" in output and "normal_clearing" in output
    status, output = run(node, "calls", "--json")
    assert (status, json.loads(output)) == (0, [CALL])


def test_trunks_are_shown_with_how_they_fare(node: FakeNode) -> None:
    up, down = ({"uri": uri, "is_up": uri == "sip:one", "priority": 1, "weight": 1} for uri in ("sip:one", "sip:two"))
    registered = {"state": "registered", "expires_at": "2036-01-01T00:00:00Z", "reason": None}
    failed = {"state": "failed", "expires_at": None, "reason": "403 Forbidden"}
    shown = [
        {"name": "new", "source": "api", "channel_limit": 0, "live": None},
        {"name": "bad", "source": "config", "channel_limit": 0,
         "live": {"calls": 0, "targets": [], "registration": failed}},
        {"name": "good", "source": "config", "channel_limit": 9,
         "live": {"calls": 3, "targets": [up, down], "registration": registered}},
    ]  # fmt: skip
    node.answers["GET /sip/trunks"] = (200, {"data": shown, "has_more": False, "next_cursor": None})
    status, output = run(node, "trunks")
    assert status == 0
    for told in ("not active", "failed: 403 Forbidden", "registered, ", "3 of 9", "up sip:one", "down sip:two"):
        assert told in output
    assert output.index("good") < output.index("bad") < output.index("new")
    assert json.loads(run(node, "trunks", "--json")[1]) == shown[::-1]
    node.answers["GET /sip/trunks"] = (200, {"data": [], "has_more": False, "next_cursor": None})
    assert "no trunks" in run(node, "trunks", "--once")[1]


def test_no_calls_yet_is_said(node: FakeNode) -> None:
    node.answers["GET /voice/calls"] = (200, {"data": []})
    assert "no calls yet" in run(node, "calls")[1]


def test_a_wrong_key_is_told_with_what_to_do(node: FakeNode) -> None:
    status, output = run(node, "calls", key="wrong")
    assert status == 1 and "Invalid API Key." in output and "--api-key" in output


def test_what_is_no_node_is_told(node: FakeNode) -> None:
    node.answers["GET /voice/calls"] = (200, b"<html>")
    status, output = run(node, "calls")
    assert status == 1 and "is that a Longline node?" in output


def test_hangup_tells_the_nodes_own_words(node: FakeNode) -> None:
    assert run(node, "hangup", "cs_2") == (1, "error: Call not found. (404)")
    node.answers["POST /voice/calls/cs_1/hangup"] = (202, {"request_id": "req_1"})
    assert run(node, "hangup", "cs_1", "--reason", "DONE") == (0, "hung up cs_1")
    assert node.received[-1] == ("POST /voice/calls/cs_1/hangup", {"reason": "DONE"})


def test_call_sends_the_flow_and_says_how_to_go_on(node: FakeNode) -> None:
    node.answers["POST /voice/calls/initiate"] = (202, {"data": {"id": "cs_1"}})
    status, output = run(node, "call", "sip:bob@192.0.2.7", "--stream", "ws://app/", "--chunk-size", "20")
    assert status == 0 and "longline hangup cs_1" in output
    (_, body), *_ = node.received
    assert body["to_number"] == "sip:bob@192.0.2.7"
    assert body["flow"] == {"action": "stream", "ws_url": "ws://app/", "dialect": "teler", "chunk_size": 20}


def test_call_that_waits_shows_what_happens_and_fails_with_the_call(node: FakeNode) -> None:
    failed = CALL | {"state": "failed", "reason": "busy"}
    event = {"id": "1", "type": "call.failed", "occurred_at": "2026-01-01T00:00:01.500Z", "details": {"reason": "busy"}}
    node.answers |= {
        "POST /voice/calls/initiate": (202, {"data": {"id": "cs_1"}}),
        "GET /voice/calls/cs_1": (200, failed),
        "GET /voice/calls/cs_1/events": (200, {"data": [event]}),
    }
    status, output = run(node, "call", "+15550101", "--stream", "ws://app/", "--wait")
    assert status == 1 and "00:00:01.500 call.failed reason busy" in output and "the call failed: busy" in output


@pytest.mark.parametrize("flags", [(), ("--stream", "ws://a", "--flow-url", "http://a")])
def test_call_needs_exactly_one_thing_to_do(node: FakeNode, flags: tuple[str, ...]) -> None:
    status, output = run(node, "call", "+15550101", *flags)
    assert status == 2 and "--stream" in output and node.received == []


def test_mistakes_are_told_by_their_place(node: FakeNode) -> None:
    errors = [{"loc": ["body", "to_number"], "msg": "String should match pattern", "type": "x"}]
    node.answers["POST /voice/calls/initiate"] = (422, {"message": "Validation Error", "errors": errors})
    status, output = run(node, "call", "bob", "--stream", "ws://app/")
    assert status == 1 and "to_number: String should match pattern" in output


def test_brackets_in_a_message_are_no_markup(node: FakeNode) -> None:
    node.answers["POST /voice/calls/initiate"] = (400, {"message": "configure one, [trunks.NAME]"})
    assert "[trunks.NAME]" in run(node, "call", "+15550101", "--stream", "ws://app/")[1]
    node.answers["GET /voice/calls"] = (200, {"data": [CALL | {"from_number": "[red]7[/blue]"}]})
    assert "[red]7[/blue]" in run(node, "calls")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--http-listen", "nowhere"), "http_listen: must be host:port"),
        (("--stream", "http://a"), "inbound.stream.ws_url"),
        (("--stream", "ws://a", "--chunk-size", "30"), "inbound.stream.chunk_size: must be a multiple of 20"),
        (("--stream", "ws://a", "--dialect", "morse"), "inbound.stream.dialect"),
        (("--stream", "ws://a", "--dialect", "vonage", "--sample-rate", "48k"), "not at 48k"),
        (("--config", "/no/such.toml"), "cannot read /no/such.toml"),
    ],
)
def test_serve_refuses_wrong_settings_by_name(arguments: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(app, ["serve", *arguments])
    assert result.exit_code == 2 and words in " ".join(result.output.split())
