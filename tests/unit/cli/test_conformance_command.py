"""`longline conformance`: what it prints, and its exit status."""

import json
import threading
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner
from websockets.sync.server import Server, ServerConnection, serve

from longline.cli import app

runner = CliRunner()


@pytest.fixture
def mute_application() -> Iterator[str]:
    """It takes the connection, and closes it."""

    def close(socket: ServerConnection) -> None:
        socket.recv()
        socket.close(1011)

    server: Server
    with serve(close, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_an_application_that_fails_is_told_as_text_and_as_json(mute_application: str) -> None:
    text = runner.invoke(app, ["conformance", "app", mute_application])
    assert text.exit_code == 1, text.output
    assert "failed   §1  hello_within_5_s" in text.output
    report = json.loads(runner.invoke(app, ["conformance", "app", mute_application, "--json"]).stdout)
    assert report["passed"] is False
    (check,) = [check for check in report["checks"] if check["name"] == "hello_within_5_s"]
    assert (check["section"], check["outcome"], check["why"]) == (1, "failed", "close code 1011")


def test_what_is_no_url_or_no_address_is_a_line_and_not_a_traceback() -> None:
    assert "ws://" in runner.invoke(app, ["conformance", "app", "http://127.0.0.1/"]).output
    assert "host:port" in runner.invoke(app, ["conformance", "server", "--listen", "nowhere"]).output
