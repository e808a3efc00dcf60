"""The commands, run as a person runs them."""

import asyncio
import json
import sys
import wave
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.app import App, AppCall, echo, listen
from tests.support.node import Node
from tests.support.ports import free_ports

EXAMPLES = Path(__file__).parents[2] / "examples"


async def longline(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 60
) -> tuple[int, str, str]:
    """Run a command; its exit status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "longline", *arguments,
        env=None if environment is None else dict(environment),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), timeout_s)
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_dial_measures_the_round_trip_through_an_echo(tmp_path: Path) -> None:
    recording = tmp_path / "heard.wav"
    async with App(echo) as app, Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "20") as node:
        play = EXAMPLES / "audio" / "goodbye.wav"
        status, output, errors = await longline(
            "dial", node.uri, "--play", str(play), "--record", str(recording), "--json"
        )
    assert status == 0, errors
    report = json.loads(output)
    assert report["answered"] and report["status"] == 200
    assert 20 <= report["round_trip_ms"] <= 2000
    assert report["echo_correlation"] > 0.9
    assert report["packets_received"] > 100
    assert report["packets_lost"] < 10, "a busy machine may skip a frame"
    assert report["ended_by"] == "dial"
    with wave.open(str(recording)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        assert file.getnframes() > 8000 * 2


async def test_dial_over_tcp_says_who_hung_up(tmp_path: Path) -> None:
    async def leave(call: AppCall) -> None:
        await call.hear(0.5)

    async with App(leave) as app, Node(tmp_path / "node", "--stream", app.url) as node:
        status, output, errors = await longline("dial", node.uri + ";transport=tcp", "--duration", "20", "--json")
    assert status == 0, errors
    assert json.loads(output)["ended_by"] == "remote"


async def test_dial_says_why_nobody_answered(tmp_path: Path) -> None:
    async with Node(tmp_path / "node") as node:
        status, output, _ = await longline("dial", node.uri)
    assert status == 1
    assert "404" in output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("dial", "not a uri"), "sip:"),
        (("dial", "sip:x@127.0.0.1", "--play", "/no/such.wav"), "/no/such.wav"),
        (("dial", "sip:x@127.0.0.1", "--codecs", "G729"), "no codec"),
        (("calls", "--once"), "longline serve"),
        (("hangup", "cs_0"), "longline serve"),
    ],
)
async def test_a_command_that_cannot_work_says_what_to_do(arguments: tuple[str, ...], says: str) -> None:
    (port,) = free_ports(1)
    environment = {"PATH": "/usr/bin:/bin", "LONGLINE_HTTP_LISTEN": f"127.0.0.1:{port}", "LONGLINE_API_KEY": "k" * 20}
    status, output, errors = await longline(*arguments, environment=environment)
    assert status != 0
    assert says in (output + errors).replace("\n", " ")
    assert "Traceback" not in errors


async def test_serve_says_when_its_port_is_taken(tmp_path: Path) -> None:
    async with Node(tmp_path / "node") as node:
        environment = dict(node.environment) | {"LONGLINE_DATA_DIR": str(tmp_path / "second")}
        status, output, errors = await longline("serve", environment=environment)
    assert status != 0
    assert "in use" in (output + errors)
    assert "Traceback" not in output + errors


async def test_calls_shows_a_live_call_and_hangup_ends_it(tmp_path: Path) -> None:
    async with App(listen) as app, Node(tmp_path / "node", "--stream", app.url) as node:
        phone = asyncio.create_task(longline("dial", node.uri, "--duration", "30", "--json"))
        call = await node.until_call(lambda call: call["state"] == "answered")
        status, output, errors = await longline("calls", "--json", environment=node.environment)
        assert status == 0, errors
        assert call["id"] in output
        status, output, errors = await longline("hangup", call["id"], environment=node.environment)
        assert status == 0, errors
        _, output, _ = await phone
        assert json.loads(output)["ended_by"] == "remote"


async def test_the_demo_tells_the_whole_story(tmp_path: Path) -> None:
    status, output, errors = await longline("demo", "--json", "--seed", "1", "--output", str(tmp_path), timeout_s=240)
    assert status == 0, output + errors
    facts = json.loads(output.splitlines()[-1])
    assert facts["ok"]
    moments = [
        facts[f"{key}_ms"] for key in ("ringing", "answered", "first_audio_to_app", "speech", "barge_in", "hang_up")
    ]
    assert moments == sorted(moments)
    assert 0 < facts["silence_after_interruption_ms"] < 1500
    assert facts["phone"]["packets_lost"] < 10, "a busy machine may skip a frame"
    assert facts["booked"] == facts["wanted"]
    said, answered = facts["turns"][-2:]
    assert (said["role"], answered["role"]) == ("caller", "agent")
    assert said["heard_text"]
    assert answered["heard_text"] == answered["text"]
    assert "booked" in answered["text"]
    assert answered["end_of_speech_to_heard_ms"] == pytest.approx(sum(answered["parts_ms"].values()), abs=1)
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert file.getnchannels() == 2
