"""What was given up is shown with its reason, and sent again in its order."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from longline.cli import app
from longline.cli.client import Client, ClientError


def event(number: int) -> dict[str, Any]:
    return {
        "id": f"evt_{number}", "type": "call.completed", "call_id": "cs_1", "attempt_count": 9,
        "last_attempt_at": "2026-01-01T00:00:00.000Z", "last_error": "answered 500",
    }  # fmt: skip


class FakeNode:
    """Two pages of events that were given up; `refused` is not sent again."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.asked: list[dict[str, Any]] = []

    def request(self, client: Client, method: str, path: str, **arguments: Any) -> Any:
        if method == "POST":
            if path == "/events/evt_2/redeliver":
                raise ClientError("The event is too old to be delivered again. (410)")
            self.sent.append(path)
            return {}
        self.asked.append(arguments["params"])
        if "cursor_after" in arguments["params"]:
            return {"data": [event(1)], "has_more": False, "next_cursor": None}
        return {"data": [event(3), event(2)], "has_more": True, "next_cursor": "older"}


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    node = FakeNode()
    monkeypatch.setenv("LONGLINE_API_KEY", "a-key-of-the-node")
    monkeypatch.setattr(Client, "_request", lambda self, *given, **named: node.request(self, *given, **named))
    return node


def test_what_was_given_up_is_shown_with_its_reason(node: FakeNode) -> None:
    shown = CliRunner().invoke(app, ["webhooks", "failed"])
    assert shown.exit_code == 0 and "evt_3" in shown.output and "answered 500" in shown.output
    listed = CliRunner().invoke(app, ["webhooks", "failed", "--json", "--limit", "7"])
    assert [each["id"] for each in json.loads(listed.output)] == ["evt_3", "evt_2"]
    assert node.asked[-1] == {"delivery_status": "failed_permanent", "limit": 7}


def test_all_of_them_are_sent_again_oldest_first_and_refusals_are_told(node: FakeNode) -> None:
    result = CliRunner().invoke(app, ["webhooks", "redeliver", "--all"])
    assert node.sent == ["/events/evt_1/redeliver", "/events/evt_3/redeliver"]
    assert "evt_2: The event is too old" in result.output and "2 webhooks are being sent again" in result.output


def test_one_that_is_refused_by_name_is_a_failure(node: FakeNode) -> None:
    result = CliRunner().invoke(app, ["webhooks", "redeliver", "evt_2"])
    assert result.exit_code != 0 and node.sent == []
