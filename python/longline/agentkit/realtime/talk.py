"""One call with a speech-to-speech model: all that happens comes in by one queue and is taken one at a time.

    line  → frames → model          the model tells when the caller starts and stops
    model → sound  → line           cut when the caller starts, and the model told what of it was heard
    model → calls of tools → results

A model that is gone, refuses, or says nothing is told to the caller by a sentence; it is asked again on a new
connection, which is told the conversation so far. What cannot be mended ends with a goodbye.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from longline.agentkit.audio_clock import AudioClock
from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.line import Digit, Frame, HeldBack, LineEvent, Over, SpeechEnded, SpeechStarted
from longline.agentkit.llm.messages import whole
from longline.agentkit.llm.openai import arguments_of
from longline.agentkit.ports import ToolCall
from longline.agentkit.realtime.exchange import Exchange
from longline.agentkit.realtime.link import NAME, Down, Event, Link, Up, problem_of
from longline.agentkit.realtime.own_turns import Closed, Did, Opened, OwnTurns
from longline.agentkit.realtime.spoken import Codec, Item
from longline.agentkit.realtime.toolbox import Toolbox
from longline.agentkit.realtime.waiting import Due, Waiting
from longline.agentkit.realtime.wire import as_items, result_of, session_of, told
from longline.agentkit.session import CallSession
from longline.agentkit.tasks import Tasks
from longline.agentkit.tools import HandOver, HangUp, Outcome
from longline.agentkit.turns.barge_in import Decision
from longline.agentkit.turns.keys import Entry, KeyEntry
from longline.agentkit.waterfall import Step

if TYPE_CHECKING:
    from longline.agentkit.realtime.agent import RealtimeAgent

CALLER: Final = 0
"""The track of who is talked with."""
TOLD_WITHIN_S: Final = 1.0
"""How long a line may take to tell how much was heard of what was cut."""
WRITTEN_WITHIN_S: Final = 3.0
"""How long the report of a turn waits for what the caller said to be written down."""
MAX_ITEMS: Final = 200
SILENCE_MS: Final = 500.0
"""After which the model says that the caller has stopped, if it was not told otherwise."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ended:
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class _ToolsRan:
    exchange: Exchange
    results: list[tuple[ToolCall, Any]]
    connection: int


_Input = LineEvent | Up | Down | Event | _Ended | _ToolsRan


class RealtimeTalk:
    """`run` returns when the call is over."""

    def __init__(self, agent: RealtimeAgent, call: CallSession, conversation: Conversation, client: Any) -> None:
        self._agent = agent
        self._call = call
        self._codec = Codec(call.rate_hz)
        self._tools = Toolbox(agent.tools, call, agent.patience.all_s)
        self._inputs: asyncio.Queue[_Input] = asyncio.Queue()
        session = session_of(agent, self._codec.format)
        self._link = Link(client, agent.model, session, self._inputs.put_nowait, connect_s=agent.connect_s)
        self._tasks = Tasks()
        self._keys = KeyEntry(agent.keys)
        self._own = None if agent.turn is None else OwnTurns(agent.turn)
        self._clock = AudioClock()
        self._caller_speaks = False
        """The model has heard him start, and not stop."""
        self._behind_ms = 0.0
        """What is to be added to a position of the model's for one of the line's."""
        self._items: dict[str, Item] = {}
        self._words: dict[str, str] = {}
        """Of items that have no sound yet."""
        self._response: str | None = None
        self._dropped: set[str] = set()
        """Responses that were interrupted: what still comes of them is not said."""
        self._tools_running = 0
        self._waiting = Waiting(agent.patience)
        """For an answer, or for more of it."""
        self._exchange = Exchange(Turn("caller", ""))
        self._by_caller_item: dict[str, Exchange] = {}
        self._turns = itertools.count(1)
        self.conversation = conversation
        self.handed_over: HandOver | None = None
        """Who has the call from now on."""
        self.counters: Counter[str] = Counter()

    async def run(self) -> None:
        if self._call.voice is None:
            self._call.voice = self._agent.tts
        self._tasks.begin(self._read_line())
        self._tasks.begin(self._agent.phrases.prepare(self._agent.tts, self._call.rate_hz))
        self._tasks.begin(self._link.run())
        try:
            while self._call.over is None and self.handed_over is None:
                given: _Input | None = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(self._due()):
                        given = await self._inputs.get()
                if given is not None:
                    self._take(given)
                self._decide()
        finally:
            await self._tasks.cancel()
            self._tell_report(self._exchange)

    # Inputs.

    def _take(self, given: _Input) -> None:
        match given:
            case Frame():
                if given.track == CALLER:
                    self._hear(given)
            case Digit(digit):
                self._press(self._keys.press(digit, self._now()))
            case SpeechStarted():
                self._is_heard(given)
                if self._own is not None:
                    self._own.agent_speaks()
            case SpeechEnded() if self._own is not None and not self._is_speaking:
                self._maybe(self._own.barge_in.agent_silent())
            case HeldBack(True, "barge_in") if self._own is not None:
                self._own.barge_in.line_held(self._now())
            case HeldBack(False, "timeout") if self._own is not None:
                self._own.barge_in.line_went_on()
            case Up():
                self._is_up(given)
            case Down():
                self._is_down(given)
            case _Ended(exchange):
                self._tell_report(exchange)
            case _ToolsRan():
                self._tools_ran(given)
            case Mapping():
                try:
                    self._take_event(given)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    self.counters["bad_events"] += 1
                    _log.warning("call %s: %s event: %r", self._call.info.call_id, given.get("type"), error)
            case _:
                pass

    def _take_event(self, event: Event) -> None:
        if not self._caller_speaks and (self._own is None or not self._own.is_open):
            self._link.is_heard()
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._caller_speaks = True
                self._caller_starts()
            case "input_audio_buffer.speech_stopped":
                self._caller_stops(str(event["item_id"]), float(event["audio_end_ms"]))
            case "input_audio_buffer.committed":
                self._name(str(event["item_id"]))
            case "conversation.item.input_audio_transcription.completed":
                self._write(str(event["item_id"]), str(event["transcript"]))
            case "conversation.item.input_audio_transcription.failed":
                self._write(str(event["item_id"]), "")
            case "response.created":
                self._response = str(event["response"]["id"])
                self._exchange.waterfall.tell(Step.FIRST_TOKEN, self._now())
            case "response.output_audio.delta" | "response.audio.delta":
                self._speak(event)
            case "response.output_audio_transcript.delta" | "response.audio_transcript.delta":
                self._says(str(event["item_id"]), str(event["delta"]))
            case "response.output_audio.done" | "response.audio.done":
                self._has_spoken(str(event["item_id"]))
            case "response.done":
                self._is_done(event["response"])
            case "error":
                # Of what it is about the model says no more; if that was an answer, patience has an end.
                self.counters["errors"] += 1
                _log.warning("call %s: %s: %s", self._call.info.call_id, NAME, problem_of(event))

    # The connection.

    def _is_up(self, up: Up) -> None:
        for message in whole(self.conversation.messages()):
            if message["role"] == "system" and not self.conversation.notes:
                continue  # the session has these
            for item in as_items(message):
                self._link.send("conversation.item.create", item=item)
        if not up.again and self._agent.greeting:
            self._ask(f"Say exactly this and nothing else: {self._agent.greeting}")
        elif self._waiting.is_on and not self._tools_running:
            if self._own is not None and not (self._exchange.item_id or self._exchange.caller.text):
                self._link.hear_what_waited()  # his turn was over, and nobody has got it
                self._link.send("input_audio_buffer.commit")
            self._ask()
        self._link.hear_what_waited()

    def _is_down(self, down: Down) -> None:
        _log.warning("call %s: %s", self._call.info.call_id, down.error)
        for item in self._items.values():
            if not item.is_whole:  # what has come of it is said, and asked for again
                self._call.finish(item.utterance)
                item.is_whole = True
                if not self._waiting.is_on:
                    self._wait()
        self._response, self._caller_speaks = None, False
        if down.for_good:
            self._waiting.end()
            self._exchange.failure = str(down.error)
            self._tasks.begin(self._say_goodbye())
        elif self._waiting.ask():
            self._play(self._agent.phrases.wait)

    async def _say_goodbye(self) -> None:
        await self._play(self._agent.phrases.goodbye).ended
        self._call.hangup()

    # The caller.

    def _hear(self, frame: Frame) -> None:
        length_ms = len(frame.pcm) * 500 / self._call.rate_hz
        self._clock.heard(frame.at_ms + length_ms, self._now())
        if self._own is None:
            self._tell_frame(frame.pcm)
        else:
            for did in self._own.hear(frame.pcm, self._call.rate_hz, frame.at_ms, self._clock.at, self._now()):
                self._do(did)
            if self._own.is_open:
                self._tell_frame(frame.pcm)
        self._behind_ms = frame.at_ms + length_ms - self._link.sent_ms

    def _tell_frame(self, pcm: bytes) -> None:
        self._link.hear(self._codec.to_model(pcm), len(pcm) * 500 / self._call.rate_hz)

    @property
    def _is_speaking(self) -> bool:
        return any(not item.utterance.is_over for item in self._items.values())

    def _maybe(self, did: Did | None) -> None:
        if did is not None:
            self._do(did)

    def _do(self, did: Did) -> None:
        match did:
            case Opened(frames):
                for pcm in frames[:-1]:  # the last is told as any
                    self._tell_frame(pcm)
                if self._response is not None and not self._exchange.items:
                    self._stop_response()  # he goes on, before he has been answered
            case Decision.PAUSE:
                self._call.pause()
            case Decision.RESUME:
                self._call.resume()
            case Decision.CLEAR:
                self._stop_response()
            case Closed(over, is_meant) if is_meant:
                self._stop_response()
                self._begin_exchange("", over.spoke_until)
                self._link.send("input_audio_buffer.commit")
                self._ask()
            case Closed():
                self._link.send("input_audio_buffer.clear")

    def _stop_response(self) -> None:
        if self._response is not None:
            self._link.send("response.cancel")
        self._caller_starts()
        self._response = None

    def _press(self, entry: Entry | None) -> None:
        if entry is None or not entry.keys:
            return
        self._stop_response()
        text = f"[pressed {entry.keys}]"
        self._begin_exchange(text, self._now())
        content = [{"type": "input_text", "text": text}]
        self._link.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        self._ask()

    def _caller_starts(self) -> None:
        """He is given the floor at once, and the model told what he has heard: it has said all of it, long ago."""
        speaking = [item for item in self._items.values() if not item.utterance.is_over]
        self._waiting.end()
        if self._own is not None:
            self._own.barge_in.cut()
        if self._response is not None:
            self._dropped.add(self._response)
        if any(not utterance.is_over for utterance in self._call.utterances.values()):
            self._call.interrupt()  # also of what was said in the model's place
        if speaking:
            self._exchange.was_interrupted = True
        for item in speaking:
            self._dropped.add(item.response_id)
            item.is_whole = True
            self._tasks.begin(self._truncate(item))

    async def _truncate(self, item: Item) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TOLD_WITHIN_S):
                await item.utterance.ended
        self.conversation.heard_by_caller(item.turn, item.heard, was_interrupted=True)
        at_ms = item.truncate_at_ms
        if at_ms > 0:
            self._link.send(
                "conversation.item.truncate", item_id=item.id, content_index=item.content_index, audio_end_ms=at_ms
            )
        else:
            self._link.send("conversation.item.delete", item_id=item.id)

    def _caller_stops(self, item_id: str, at_ms: float) -> None:
        now = self._now()
        self._caller_speaks = False
        self._link.is_heard()
        silence_ms = float(self._agent.turn_detection.get("silence_duration_ms") or SILENCE_MS)
        is_known = self._agent.turn_detection.get("type") == "server_vad"
        spoke_until = self._clock.at(at_ms + self._behind_ms - (silence_ms if is_known else 0.0))
        self._begin_exchange("", min(spoke_until, now), item_id)
        self._wait()

    def _begin_exchange(self, text: str, spoke_until: float, item_id: str = "") -> None:
        self._tasks.begin(self._report(self._exchange))
        exchange = Exchange(Turn("caller", "", spoke_until), item_id, is_asked=True)
        if text:
            exchange.write(text)
        exchange.waterfall.tell(Step.END_OF_SPEECH, spoke_until)
        exchange.waterfall.tell(Step.ENDPOINT, self._now())
        self.conversation.add(exchange.caller)
        self._exchange = exchange
        if item_id:
            self._name(item_id)

    def _name(self, item_id: str) -> None:
        """What the caller said has this name in the model's conversation."""
        if not self._exchange.item_id or self._exchange.item_id == item_id:
            self._exchange.item_id = item_id
            self._by_caller_item[item_id] = self._exchange
            _bound(self._by_caller_item)

    def _write(self, item_id: str, text: str) -> None:
        exchange = self._by_caller_item.get(item_id)
        if exchange is not None:
            exchange.write(text)

    # The model.

    def _ask(self, instructions: str = "") -> None:
        self._link.send("response.create", **({"response": {"instructions": instructions}} if instructions else {}))
        self._wait()

    def _wait(self) -> None:
        self._waiting.begin(self._now())

    def _speak(self, event: Event) -> None:
        response_id, item_id = str(event["response_id"]), str(event["item_id"])
        if response_id in self._dropped:
            self.counters["dropped_sound"] += 1
            return
        now = self._now()
        item = self._items.get(item_id)
        if item is None:
            turn = self.conversation.add(Turn("agent", "", now))
            decoder = self._codec.decoder()
            item = Item(item_id, int(event["content_index"]), response_id, self._call.begin(), decoder, turn)
            item.text = self._words.pop(item_id, "")
            self._items[item_id] = item
            _bound(self._items)
            self._exchange.items.append(item)
        pcm = item.decoder.take(str(event["delta"]))
        for step in (Step.FIRST_SOUND, Step.SENT):
            self._exchange.waterfall.tell(step, now)
        self._call.add(item.utterance, pcm)
        self._exchange.plays(len(pcm) / 2 / self._call.rate_hz, now)
        self._waiting.goes_on(now)

    def _says(self, item_id: str, words: str) -> None:
        """Words may come before their sound."""
        item = self._items.get(item_id)
        if item is not None:
            item.text += words
        else:
            self._words[item_id] = self._words.get(item_id, "") + words
            _bound(self._words)

    def _has_spoken(self, item_id: str) -> None:
        item = self._items.get(item_id)
        if item is not None and not item.is_whole:
            item.is_whole = True
            self._call.add(item.utterance, item.decoder.rest())
            self._call.finish(item.utterance)

    def _is_heard(self, started: SpeechStarted) -> None:
        for item in self._exchange.items:
            if item.utterance.id == started.utterance_id:
                now = self._now()
                self._exchange.waterfall.waited(started.waited_ms / 1000)
                at = now if started.at_ms is None else min(now, self._clock.at(started.at_ms))
                self._exchange.waterfall.tell(Step.HEARD, at)

    def _is_done(self, response: Mapping[str, Any]) -> None:
        response_id = str(response["id"])
        if self._response == response_id:
            self._response = None
        for item in list(self._items.values()):
            if item.response_id == response_id:
                item.turn.text = item.text
                self._has_spoken(item.id)
        if response_id in self._dropped:
            return
        self._waiting.end()
        if response.get("status") == "failed":
            self._fail(problem_of(response.get("status_details") or {}))
            return
        calls = [
            ToolCall(
                str(output["call_id"]),
                str(output["name"]),
                arguments_of(NAME, output["name"], output["arguments"]),
            )
            for output in response.get("output") or ()
            if output.get("type") == "function_call"
        ]
        if calls:
            self._wait()
            self._tasks.begin(self._run_tools(self._exchange, calls))
        elif self._exchange.items or response.get("status") != "completed":
            self._tasks.begin(self._report(self._exchange))

    def _fail(self, problem: str) -> None:
        _log.warning("call %s: %s: %s", self._call.info.call_id, NAME, problem)
        self._exchange.failure = problem
        self._waiting.end()
        for item in self._exchange.items:
            self._has_spoken(item.id)
        self._play(self._agent.phrases.sorry)

    # Tools.

    async def _run_tools(self, exchange: Exchange, calls: list[ToolCall]) -> None:
        connection = self._link.number
        self._tools_running += 1
        self._inputs.put_nowait(_ToolsRan(exchange, await self._tools.run(calls), connection))

    def _tools_ran(self, ran: _ToolsRan) -> None:
        """What they did is told in any case; asked is only when the caller has not gone on meanwhile."""
        self._tools_running -= 1
        now = self._now()
        self.conversation.add(Turn("agent", "", now, more={"tool_calls": [told(call) for call, _ in ran.results]}))
        for call, result in ran.results:
            if isinstance(result, Outcome):
                self._tasks.begin(self._leave(result))
            if ran.connection != self._link.number:  # this one has not heard of the call
                for item in as_items({"role": "assistant", "tool_calls": [told(call)]}):
                    self._link.send("conversation.item.create", item=item)
            text = result_of(result)
            self.conversation.add(Turn("tool", text, now, more={"tool_call_id": call.id}))
            item = {"type": "function_call_output", "call_id": call.id, "output": text}
            self._link.send("conversation.item.create", item=item)
        if any(isinstance(result, Outcome) for _, result in ran.results):
            self._waiting.end()
        elif ran.exchange is self._exchange and not ran.exchange.was_interrupted and self._waiting.is_on:
            self._ask()

    async def _leave(self, outcome: Outcome) -> None:
        """When all that was said has been heard, this agent's part is over."""
        await self._call.said()
        if isinstance(outcome, HangUp):
            self._call.hangup()
        elif isinstance(outcome, HandOver):
            self.handed_over = outcome
            self._inputs.put_nowait(_Ended(self._exchange))

    # Patience.

    def _due(self) -> float | None:
        dues = (
            self._keys.deadline,
            None if self._own is None else self._own.deadline,
            self._waiting.deadline(self._exchange.plays_until, is_open=self._exchange.is_open),
        )
        return min((due for due in dues if due is not None), default=None)

    def _decide(self) -> None:
        now = self._now()
        self._press(self._keys.decide(now))
        for did in self._own.decide(now) if self._own is not None else ():
            self._do(did)
        match self._waiting.decide(now, self._exchange.plays_until, is_open=self._exchange.is_open):
            case Due.ASK_PATIENCE:
                self._play(self._agent.phrases.wait)
            case Due.GIVE_UP:
                if self._response is not None:
                    self._dropped.add(self._response)
                    self._link.send("response.cancel")
                self._fail("took too long")

    def _play(self, text: str) -> Any:
        return self._agent.phrases.play(self._call, text)

    # Reports.

    async def _report(self, exchange: Exchange) -> None:
        await exchange.ended(WRITTEN_WITHIN_S if self._agent.transcriber else 0)
        self._inputs.put_nowait(_Ended(exchange))

    def _tell_report(self, exchange: Exchange) -> None:
        if exchange.is_reported or not exchange.is_asked:
            return
        exchange.is_reported = True
        exchange.settle(self.conversation)
        report = exchange.report(next(self._turns), self._call.info.call_id)
        self._call.keep_turn(report)
        if self._agent.report is not None:
            self._agent.report(report)

    # Tasks.

    async def _read_line(self) -> None:
        async for event in self._call:
            self._inputs.put_nowait(event)
            if isinstance(event, Over):
                return

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _bound(table: dict[str, Any]) -> None:
    while len(table) > MAX_ITEMS:
        table.pop(next(iter(table)))
