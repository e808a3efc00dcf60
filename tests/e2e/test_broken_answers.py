"""A callee that answers our calls with broken messages: each call ends with a reason, and none of them is a fault."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.app import Backend
from tests.support.mutations import broken, broken_offers, sample, write
from tests.support.node import Node

FIELDS = {
    "Contact": "<sip:bob@127.0.0.1:9>", "Record-Route": "<sip:127.0.0.1:9;lr>", "Content-Type": "application/sdp",
    "Session-Expires": "1800;refresher=uas", "Require": "timer", "Supported": "timer", "Allow": "INVITE, UPDATE",
}  # fmt: skip
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n"
)
AT_ONCE = 20
"""Calls that are under way together."""


def answers() -> Iterator[tuple[str, int, dict[str, str], bytes]]:
    """Some broken answers; each is sent as 183 and then as 200."""
    plain = {"Contact": FIELDS["Contact"], "Content-Type": "application/sdp"}
    for name, fields, body in sample(broken(FIELDS, SDP), 31):
        yield name, 200, fields, body
    for name, body in sample(broken_offers(), 97):
        yield f"sdp.{name}", 200, plain, body


class BrokenCallee(asyncio.DatagramProtocol):
    """Answers each INVITE with the next broken answer, everything else with 200."""

    def __init__(self) -> None:
        self.answers = answers()
        self.names: list[str] = []
        self._given: dict[str, list[bytes]] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    @property
    def port(self) -> int:
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode("utf-8", "surrogateescape")
        method = text.partition(" ")[0]
        if method in ("SIP/2.0", "ACK"):
            return
        head = text.partition("\r\n\r\n")[0].split("\r\n")[1:]
        copied = [
            (name, value.strip())
            for name, _, value in (line.partition(":") for line in head)
            if name in ("Via", "From", "To", "Call-ID", "CSeq")
        ]
        if method == "INVITE":
            for answer in self._answers_to(text, copied):
                self._transport.sendto(answer[:65_000], addr)
        else:
            self._transport.sendto(write("SIP/2.0 200 OK", copied, {}, b""), addr)

    def _answers_to(self, invite: str, copied: list[tuple[str, str]]) -> list[bytes]:
        branch = re.search(r"branch=([^;\r\n]+)", invite)
        key = branch[1] if branch else ""
        if key not in self._given:
            name, status, fields, body = next(self.answers)
            self.names.append(name)
            tagged = [(n, f"{v};tag=b{len(self.names)}" if n == "To" else v) for n, v in copied]
            self._given[key] = [write(f"SIP/2.0 {code} x", tagged, fields, body) for code in (183, status)]
        return self._given[key]


async def test_no_broken_answer_to_a_call_of_ours_is_a_fault(tmp_path: Path) -> None:
    total = sum(1 for _ in answers())
    loop = asyncio.get_running_loop()
    async with Backend({"action": "hangup"}) as backend, Node(tmp_path) as node:
        transport, callee = await loop.create_datagram_endpoint(BrokenCallee, ("127.0.0.1", 0))
        order = {
            "from_number": "+15550100",
            "to_number": f"sip:bob@127.0.0.1:{callee.port}",
            "flow_url": backend.flow_url,
            "status_callback_url": backend.webhook_url,
        }
        ids: list[str] = []
        reasons: dict[str, int] = {}
        for first in range(0, total, AT_ONCE):
            batch = []
            for _ in range(min(AT_ONCE, total - first)):
                answer = await node.api.post("/api/v1/voice/calls/initiate", json=order)
                assert answer.status_code == 202, answer.text
                batch.append(str(answer.json()["data"]["id"]))
            async with asyncio.timeout(60):
                for call_id in batch:
                    while (call := await node.call(call_id))["ended_at"] is None:
                        await asyncio.sleep(0.02)
                        if call["state"] == "initiated":
                            await node.api.post(f"/api/v1/voice/calls/{call_id}/hangup")
                    reasons[call["reason"]] = reasons.get(call["reason"], 0) + 1
            ids += batch
        transport.close()
        print(f"{total} calls, reasons {sorted(reasons.items())}")
        assert len(callee.names) == total
        assert "internal_error" not in reasons
        log = node.log.read_text()
        assert "Traceback" not in log and "fault" not in log
