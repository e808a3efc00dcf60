"""sipvicious, as an attacker uses it: it finds no node, no account, and no password."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.node import Node
from tests.support.ports import free_ports

PASSWORD = "correct-horse-battery"
LOCKED_OUT = '"why": "address", "whom": "127.0.0.1"'
PHONE = {"LONGLINE_PHONES__100__PASSWORD": PASSWORD}


@contextlib.asynccontextmanager
async def attack(folder: Path, program: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of the suite, without colours and in a home of its own."""
    folder.mkdir(exist_ok=True)
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        program, "-P", str(port), *arguments, "127.0.0.1", env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def found_by(folder: Path, program: str, *arguments: str) -> str:
    async with attack(folder, program, *arguments) as process:
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        return output.decode()


async def test_scanner_finds_neither_the_node_nor_an_account(tmp_path: Path) -> None:
    async with Node(tmp_path / "node", LONGLINE_ACCESS__NETWORKS="", **PHONE) as node:
        port = str(node.sip_port)
        found = await asyncio.gather(
            *(found_by(tmp_path / m, "svmap", "-p", port, "-m", m) for m in ("OPTIONS", "REGISTER", "INVITE")),
            found_by(tmp_path / "svwar", "svwar", "-p", port, "-e", "95-105"),
        )
        assert all("found nothing" in output for output in found), found


async def test_scanner_that_is_let_in_finds_no_account_and_is_locked_out_before_it_guesses_a_password(
    tmp_path: Path,
) -> None:
    words = tmp_path / "words"
    words.write_text("".join(f"guess{n}\n" for n in range(30)) + f"{PASSWORD}\n")
    settings = {"LONGLINE_ACCESS__NETWORKS": "127.0.0.1"} | PHONE
    async with Node(tmp_path / "node", **settings) as node:
        port = str(node.sip_port)
        assert "found nothing" in await found_by(tmp_path / "war", "svwar", "-p", port, "-e", "95-105")
        async with attack(tmp_path / "crack", "svcrack", "-p", port, "-u", "100", "-d", str(words)) as process:
            async with asyncio.timeout(20):
                while LOCKED_OUT not in node.log.read_text():
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            assert process.returncode is None  # it waits for answers
        assert "phone registered" not in node.log.read_text()
