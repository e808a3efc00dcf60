"""A script played on a real call: SIP by the stack of ours, RTP by a socket of its own, both ways over a bad network.

The caller acts on what has arrived at his end, so what is measured is what a person on the phone would have: from his
last voiced packet to the first of the answer, from his first to the agent's last.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from longline.agentkit import mulaw
from longline.agentkit.testing.call import Call
from longline.agentkit.testing.performance import HangUp, Performance, Press, Speak
from longline.agentkit.testing.record import CallRecord, says
from longline.agentkit.testing.script import Hears, Step
from longline.agentkit.testing.script_file import Rehearsal
from longline.agentkit.turns.energy import level_db
from longline.cli.rehearsal.bad_network import BadNetwork
from longline.cli.rehearsal.ears import Ears
from longline.cli.rehearsal.node import RehearsalNode
from longline.cli.rehearsal.rtp import RATE_HZ, SAMPLES, SILENCE, Receiver, Sender
from longline.sip.events import Answered, Ended, Failed, SipEvent
from longline.sip.sdp.description import SdpError, SessionDescription
from longline.sip.sdp.offer_answer import LocalMedia, Negotiated, OfferRefused, make_offer, read_answer
from longline.sip.user_agent import UserAgent

TICK_S: Final = 0.02
VOICED_DB: Final = -45.0
"""Louder is voice; comfort noise is not."""
ANSWER_WITHIN_S: Final = 30.0
KEY_GAP_TICKS: Final = 5
ASK_AGAIN_S: Final = 0.25
LAST_LOOKS: Final = 3


@dataclass(slots=True)
class Line:
    """The far end, shared by all calls: whom to call, and with what. `on_event` is the user agent's."""

    target: str
    address: str
    agent: UserAgent | None = None
    calls: dict[str, asyncio.Queue[SipEvent]] = field(default_factory=dict)

    def on_event(self, event: SipEvent) -> None:
        queue = self.calls.get(getattr(event, "handle", ""))
        if queue is not None:
            queue.put_nowait(event)


@dataclass(slots=True)
class RealCall(Call):
    """A call over the network. `by_ear`: which of the expected words were heard by ear; `told`: what the agent says of
    its turns, where it does; `lost` are packets of the agent's that never came."""

    call_id: str = ""
    seed: int = 0
    by_ear: Mapping[str, bool] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    packets: dict[str, int] = field(default_factory=dict)
    late_ms: float = 0.0
    """How late this program was at worst: more than a few tens of milliseconds, and its machine was too busy."""
    unmet: list[str] = field(default_factory=list)

    def expect_heard(self, *texts: str) -> Call:
        """By the agent's word, or by ear."""
        for text in texts:
            if not (says(self._told_heard(), text) or self.by_ear.get(text)):
                self.fail(f"the caller did not hear {text!r}")
        return self

    def expect_not_heard(self, *texts: str) -> Call:
        """By the agent's word where it gives it; else by ear."""
        for text in texts:
            if says(self._told_heard(), text) or (not self.told and self.by_ear.get(text)):
                self.fail(f"the caller heard {text!r}")
        return self

    def _told_heard(self) -> str:
        return " ".join(turn.get("heard") or "" for turn in self.told)

    @property
    def failures(self) -> list[str]:
        return ([self.problem] if self.problem is not None else []) + self.unmet


class RealCaller:
    """`call` plays one script once. `speech` has the PCM of every text of it."""

    def __init__(
        self,
        line: Line,
        rehearsal: Rehearsal,
        speech: Mapping[str, bytes],
        ears: Ears,
        *,
        node: RehearsalNode | None,
        seed: int,
        limit_s: float,
    ) -> None:
        self._line = line
        self._rehearsal = rehearsal
        self._speech = speech
        self._ears = ears
        self._seed = seed
        self._limit_s = limit_s
        self._node = node
        self._call_id: str | None = None
        self._user = f"rehearsal-{seed}-{secrets.token_hex(4)}"
        self._out, self._in = (BadNetwork(rehearsal.network, f"{seed}/{way}") for way in ("out", "in"))
        self._record = CallRecord()
        self._mouth: deque[list[bytes] | bytes | None] = deque()
        self._receiver = Receiver()
        self._audio = bytearray()
        """What the agent sent, as it stands in its stream."""
        self._checked_until: float | None = None
        self._listening: asyncio.Task[None] | None = None
        self._listens_from = 0
        self._step: Step | None = None
        self._turns_before = 0
        self._voiced_until: float | None = None
        self._performance: Performance | None = None
        self._begun = 0.0
        self._late_s = 0.0

    async def call(self) -> RealCall:
        loop = asyncio.get_running_loop()
        self._begun = loop.time()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._arrives), (self._line.address, 0))
        call = RealCall(self._rehearsal.script.name, [], 0.0, "", seed=self._seed)
        queue: asyncio.Queue[SipEvent] = asyncio.Queue()
        agent = self._line.agent
        assert agent is not None
        port = int(transport.get_extra_info("sockname")[1])
        offer = make_offer(LocalMedia(self._line.address, port, port, codecs=("PCMU",), srtp="off"))
        handle = agent.invite(
            self._line.target, from_uri=f"sip:{self._user}@{self._line.address}", sdp=offer.serialize()
        )
        self._line.calls[handle] = queue
        try:
            negotiated = await _until_answered(queue, offer)
            if isinstance(negotiated, str):
                call.problem = f"{call.name}: {negotiated}"
                return call
            await self._talk(call, queue, transport, negotiated)
        finally:
            if call.ended_by == "caller":
                agent.bye(handle)
            elif not call.ended_by:
                agent.cancel(handle)
            self._line.calls.pop(handle, None)
            if self._listening is not None:
                self._listening.cancel()
            transport.close()
        await self._judge(call)
        return call

    async def _judge(self, call: RealCall) -> None:
        """What is known of it when it is over, against what is expected."""
        call.turns = self._record.turns()
        call.audio = bytes(self._audio)
        call.late_ms = round(1_000 * self._late_s, 1)
        call.told = await self._told()
        call.call_id = self._call_id or ""
        expect = self._rehearsal.expect
        call.by_ear = {words: await self._ears.hear(call.audio, words) for words in (*expect.heard, *expect.not_heard)}
        call.unmet = expect.unmet(call)
        answers = [turn for before, turn in itertools.pairwise(call.turns) if turn.role == "agent" != before.role]
        told = [turn for turn in call.told if turn.get("caller")]
        if len(answers) == len(told):  # else it is not known which is which
            for answer, turn in zip(answers, told, strict=True):
                answer.text = turn.get("heard") or answer.text

    async def _talk(
        self,
        call: RealCall,
        queue: asyncio.Queue[SipEvent],
        transport: asyncio.DatagramTransport,
        negotiated: Negotiated,
    ) -> None:
        loop = asyncio.get_running_loop()
        events = negotiated.telephone_event
        sender = Sender(None if events is None else events.payload_type)
        self._begun = begun = loop.time()
        self._performance = performance = Performance(self._rehearsal.script, 0.0)
        call.ended_by = "caller"  # whatever goes wrong here, we hang up
        tick = 0
        while True:
            due = begun + tick * TICK_S
            await asyncio.sleep(due - loop.time())
            self._late_s = max(self._late_s, loop.time() - due)
            now = loop.time() - begun
            is_over = any(isinstance(event, Ended) for event in _all(queue))
            if is_over:
                await self._last_words(performance)
            action = performance.tick(now, is_busy=bool(self._mouth), is_over=is_over)
            match action:
                case Speak(text, interrupts):
                    self._record.caller_speaks(now, text, interrupts=interrupts)
                    self._mouth += self._frames(text)
                case Press(digits) if sender.has_keys:
                    self._record.caller_speaks(now, f"[pressed {digits}]")
                    for digit in digits:
                        keys = sender.key(digit)
                        self._mouth += [[packet] for packet in keys]
                        self._mouth += [None] * KEY_GAP_TICKS
                case Press():
                    performance.problem = f"{call.name}: the far end takes no keys (telephone-event)"
                case HangUp():
                    break
            if is_over or performance.problem is not None:
                break
            if now > self._limit_s:
                performance.problem = f"{call.name}: not over after {self._limit_s:g} s"
                break
            self._listen(now)
            self._send(now, sender, transport, negotiated.remote_rtp)
            tick += 1
        call.ended_by = "agent" if is_over else "caller"
        call.problem = performance.problem
        call.duration_s = round(now, 3)
        call.packets = {
            "sent": sender.packets,
            "received": self._receiver.packets,
            "lost": self._receiver.lost,
            "lost_on_purpose": self._out.lost + self._in.lost,
        }

    # The mouth.

    def _frames(self, text: str) -> list[list[bytes] | bytes | None]:
        codes = mulaw.from_linear(self._speech[text])
        return [codes[begin : begin + SAMPLES].ljust(SAMPLES, b"\xff") for begin in range(0, len(codes), SAMPLES)]

    def _send(self, now: float, sender: Sender, transport: asyncio.DatagramTransport, to: tuple[str, int]) -> None:
        given = self._mouth.popleft() if self._mouth else None
        if isinstance(given, list):
            packets = given
            self._record.caller_sounds(now + TICK_S)
        else:
            packets = [sender.audio(given or SILENCE)]
            if given is not None and level_db(mulaw.to_linear(given)) > VOICED_DB:
                self._record.caller_sounds(now + TICK_S)
        for packet in packets:
            due = self._out.due(now)
            if due is not None:
                asyncio.get_running_loop().call_at(self._begun + due, _send_to, transport, packet, to)

    # The ear.

    def _arrives(self, datagram: bytes) -> None:
        loop = asyncio.get_running_loop()
        due = self._in.due(loop.time() - self._begun)
        if due is not None:
            loop.call_at(self._begun + due, self._hear, datagram)

    def _hear(self, datagram: bytes) -> None:
        heard = self._receiver.receive(datagram)
        performance = self._performance
        if heard is None or performance is None:
            return
        at = asyncio.get_running_loop().time() - self._begun
        end = 2 * heard.offset + len(heard.pcm)
        if end <= 2 * RATE_HZ * (self._limit_s + 60):
            self._audio += bytes(max(0, end - len(self._audio)))
            self._audio[2 * heard.offset : end] = heard.pcm
        is_voiced = level_db(heard.pcm) > VOICED_DB
        if is_voiced:
            self._record.agent_sounds(at, at + len(heard.pcm) / (2 * RATE_HZ))
            self._voiced_until = at
        performance.hear(at, is_voiced=is_voiced)

    def _listen(self, now: float) -> None:
        """When the agent pauses and words are waited for: were they said?"""
        performance = self._performance
        step = performance.step if performance is not None else None
        if step is not self._step:
            self._step, self._listens_from = step, len(self._audio)
            if self._listening is not None:
                self._listening.cancel()
            self._listening = asyncio.ensure_future(self._count_turns())
        if performance is None or not isinstance(step, Hears) or not step.words:
            return
        is_pause = self._voiced_until is not None and now - self._voiced_until >= self._rehearsal.script.pause_s
        if is_pause and (self._listening is None or self._listening.done()):
            self._listening = asyncio.ensure_future(self._listen_for(step, performance))

    async def _count_turns(self) -> None:
        """Those that were over before the step at hand."""
        self._turns_before = len(await self._told())

    async def _listen_for(self, step: Hears, performance: Performance) -> None:
        """The agent's own word for it, where it gives it; by ear once for each pause."""
        told = await self._told()
        by_word = any(says(turn.get("heard") or "", step.words) for turn in told[self._turns_before :])
        if not by_word and self._checked_until != self._voiced_until:
            self._checked_until = self._voiced_until
            by_ear = await self._ears.hear(bytes(self._audio[self._listens_from :]), step.words)
        else:
            by_ear = False
        if (by_word or by_ear) and performance.step is step:
            self._record.agent_said(step.words.split())
            at = asyncio.get_running_loop().time() - self._begun
            performance.hear(at, is_voiced=False, words=step.words.split())
        else:
            await asyncio.sleep(ASK_AGAIN_S)

    async def _last_words(self, performance: Performance) -> None:
        """The agent has hung up: its last sentence may just not have been looked at."""
        step = performance.step
        if not isinstance(step, Hears) or not step.words:
            return
        if self._listening is not None:
            self._listening.cancel()
        self._checked_until = None
        for _ in range(LAST_LOOKS):
            if performance.knows(step.words):
                return
            await self._listen_for(step, performance)

    async def _told(self) -> list[dict[str, Any]]:
        if self._node is None:
            return []
        self._call_id = self._call_id or await self._node.call_of(self._user)
        return [] if self._call_id is None else await self._node.turns(self._call_id)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, arrives: Any) -> None:
        self._arrives = arrives

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._arrives(data)


def _send_to(transport: asyncio.DatagramTransport, packet: bytes, to: tuple[str, int]) -> None:
    if not transport.is_closing():
        transport.sendto(packet, to)


def _all(queue: asyncio.Queue[SipEvent]) -> list[SipEvent]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


async def _until_answered(queue: asyncio.Queue[SipEvent], offer: SessionDescription) -> Negotiated | str:
    """What was agreed on, or why there is no call."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                event = await queue.get()
                if isinstance(event, Answered):
                    try:
                        return read_answer(offer, SessionDescription.parse(event.sdp or b""))
                    except (SdpError, OfferRefused) as error:
                        return f"the answer's SDP is not usable: {error}"
                if isinstance(event, Failed):
                    return f"the call was not taken: {event.status} {event.reason or event.cause}"
                if isinstance(event, Ended):
                    return f"the call ended before it began: {event.cause}"
    return f"no answer within {ANSWER_WITHIN_S:g} s"
