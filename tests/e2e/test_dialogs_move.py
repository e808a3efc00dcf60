"""A process that holds calls is killed; another goes on with them, or ends them. The far ends are phones of others."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from longline.sip.events import Ended, Reanswered, SipEvent
from longline.sip.transport.addresses import ListenAddress
from longline.sip.user_agent import UserAgent, UserAgentSettings
from longline.store.durable import Durable
from tests.support.answering_agent import description
from tests.support.app import App, AppCall
from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp
from tests.support.tone import tone


@contextlib.asynccontextmanager
async def answering(port: int, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A user agent in another process, ready. It is killed at the end, if not before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.answering_agent", str(port), url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def taken_over(port: int, url: str, process: asyncio.subprocess.Process) -> dict[str, object]:
    """Kill the process once it has a call; re-INVITE and BYE that call from here. What was stored of it before."""
    durable = await Durable.open(url)
    try:
        async with asyncio.timeout(10):
            while not (kept := await durable.dialogs.all()):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)  # the 200 is on its way; its ACK need not have come
        process.send_signal(signal.SIGKILL)
        await process.wait()
        events: asyncio.Queue[SipEvent] = asyncio.Queue()
        here = ListenAddress("127.0.0.1", port)
        survivor = UserAgent(UserAgentSettings(listen=(here,)), events.put_nowait, durable.dialogs)
        await survivor.start()
        (snapshot,) = kept.values()
        handle = survivor.restore(snapshot)
        survivor.reoffer(handle, description("sendonly"))
        assert isinstance(event := await asyncio.wait_for(events.get(), 10), Reanswered), event
        assert (await durable.dialogs.all())[handle] != snapshot, "what the re-INVITE changed was stored"
        survivor.bye(handle)
        assert isinstance(await asyncio.wait_for(events.get(), 10), Ended)
        assert await survivor.settle(10) == 0, "the BYE was not answered"
        await survivor.stop()
        assert await durable.dialogs.all() == {}
        return dict(snapshot["dialog"])
    finally:
        await durable.close()


async def test_sipp_takes_reinvite_and_bye_of_a_process_that_took_over(tmp_path: Path) -> None:
    port, sipp_port = free_ports(2)
    url = f"sqlite+aiosqlite:///{tmp_path / 'calls.db'}"
    async with answering(port, url) as process:
        sipp = Sipp(tmp_path, "caller_goes_on", "-m", "1", port=sipp_port, remote=f"127.0.0.1:{port}")
        async with sipp:
            before = await taken_over(port, url, process)
            (await sipp.finish()).check()
    assert before["role"] == "callee"


async def test_baresip_takes_reinvite_and_bye_of_a_process_that_took_over(tmp_path: Path) -> None:
    port, phone_port = free_ports(2)
    url = f"sqlite+aiosqlite:///{tmp_path / 'calls.db'}"
    async with answering(port, url) as process, Baresip(tmp_path / "phone", phone_port, tone(440, 10)) as phone:
        await phone.start(dial=f"sip:anyone@127.0.0.1:{port}")
        await phone.until("Call established", 10)
        await taken_over(port, url, process)
        await phone.until("session closed", 10)


async def test_node_that_was_killed_ends_its_calls_at_its_next_start(tmp_path: Path) -> None:
    async def listen(call: AppCall) -> None:
        async for _ in call.socket:
            pass

    (port,) = free_ports(1)
    async with App(listen) as app, Node(tmp_path / "node", "--stream", app.url) as node:
        assert node.process is not None
        remote = f"127.0.0.1:{node.sip_port}"
        async with Sipp(tmp_path, "caller_waits_for_bye", "-m", "3", "-l", "3", port=port, remote=remote) as sipp:
            async with asyncio.timeout(20):
                while [call["state"] for call in await node.calls()] != ["answered"] * 3:
                    await asyncio.sleep(0.05)
            node.process.kill()
            await node.process.wait()
            await node.start()
            (await sipp.finish()).check()
        calls = await node.until_over(3)
        assert {(call["state"], call["reason"]) for call in calls} == {("completed", "server_shutdown")}
        assert "dialogs of a node that was killed" in node.log.read_text()
