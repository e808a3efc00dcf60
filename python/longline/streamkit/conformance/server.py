"""An application's part, played against a server: the server dials the kit once for each scenario.

    kit = ServerKit(host, port)
    report = await kit.run(open_stream)

`open_stream(url)` makes the server dial `url` (place a call, open a stream), once for each scenario. Without it, who
runs the kit sees to that. A party that is silent will do. Leaves out: voices, keys and several parties, which need a
phone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from longline.streamkit.audio import Audio
from longline.streamkit.conformance.probe import Probe
from longline.streamkit.conformance.report import Report
from longline.streamkit.conformance.server_rules import SERVER_RULES
from longline.streamkit.format import Format

PROTOCOL: Final = "longline.v1"
STREAM_WITHIN_S: Final = 20.0
REDIAL_WITHIN_S: Final = 3.0
SLACK_MS: Final = 60
"""What may lie between a command and the frame that it meets."""

OpenStream = Callable[[str], Awaitable[None]]


class NoStream(Exception):
    """The server did not dial."""


class ServerKit:
    """Listens, and takes the streams that are opened, one for each scenario."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, subject: str = "the server") -> None:
        self.report = Report(subject, SERVER_RULES)
        self._host = host
        self._port = port
        self._server: Server | None = None
        self._new: asyncio.Queue[Probe] = asyncio.Queue()
        self._again: dict[str, asyncio.Queue[Probe]] = {}
        self._open: OpenStream | None = None
        self._turn = asyncio.Lock()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://{self._host}:{next(iter(self._server.sockets)).getsockname()[1]}/conformance"

    async def run(
        self, open_stream: OpenStream | None = None, *, only: Collection[str] = (), at_once: bool = False
    ) -> Report:
        """Every scenario (or only those named), one after another in about a minute, or all at once."""
        self._open = open_stream
        scenarios: list[Callable[[], Awaitable[None]]] = [
            self.opening,
            self.formats,
            self.refusals,
            self.speaking,
            self.clearing,
            self.pausing,
            self.tracks_and_errors,
            self.resuming,
            self.saying_again,
            self.beginning_anew,
            self.wrong_token,
            self.dialling_in,
            self.stopping,
            self.no_hello,
        ]
        async with serve(
            self._take,
            self._host,
            self._port,
            select_subprotocol=lambda _, offered: Subprotocol(PROTOCOL) if PROTOCOL in offered else None,
            compression=None,
            max_size=None,
        ) as self._server:
            wanted = [scenario for scenario in scenarios if not only or scenario.__name__ in only]
            if at_once:
                await asyncio.gather(*map(self._attempt, wanted))
            else:
                for scenario in wanted:
                    await self._attempt(scenario)
        return self.report

    # Scenarios.

    async def opening(self) -> None:
        probe, report = await self._stream(), self.report
        await asyncio.sleep(0.3)  # Audio would be too early.
        start = probe.start
        report.check("the_first_epoch_is_1", start.get("epoch") == 1, f"it is {start.get('epoch')}")
        ready = await probe.say_hello(progress_ms=100, conformance={"is": "not known"})
        if not report.check("ready_is_as_asked", ready is not None, "no `ready` within 3 s"):
            return
        assert ready is not None
        told = (ready["received"], ready["generation"], ready["resumed"], ready["tracks"], ready["audio"])
        asked = (-1, 0, False, [0], start["audio"])
        report.check("ready_is_as_asked", told == asked, f"{told}, not {asked}")
        await probe.say("conformance.news", nested=[1, {"x": None}])
        await asyncio.sleep(1.5)
        report.check("ignores_what_it_does_not_know", not probe.closed.is_set(), "it closed the socket")
        self._look_at_track(probe.audio, probe.format, 0)
        frames = sum(at - probe.arrived_at[0] <= 1.0 for at in probe.arrived_at) if probe.arrived_at else 0
        wanted = 1000 // probe.format.frame_ms
        why = f"{frames} frames in a second, not {wanted}"
        report.check("audio_is_in_real_time", abs(frames - wanted) <= wanted // 5, why)
        at = int(time.time() * 1000)
        await probe.say("ping", id="conformance", at=at)
        pong = await probe.until("pong", 2, id="conformance", at=at)
        report.check("answers_ping", pong is not None, "no `pong` with `id` and `at` within 2 s")
        await self._end(probe)

    async def formats(self) -> None:
        for wanted in (
            {"encoding": "pcm_s16le", "rate_hz": 16000, "frame_ms": 20, "mode": "binary"},
            {"encoding": "pcm_s16le", "rate_hz": 48000, "frame_ms": 10, "mode": "binary"},
            {"encoding": "pcm_s16le", "rate_hz": 24000, "frame_ms": 60, "mode": "json"},
            {"encoding": "mulaw", "rate_hz": 8000, "frame_ms": 30, "mode": "json"},
            {"encoding": "alaw", "rate_hz": 8000, "frame_ms": 40, "mode": "binary"},
            {"encoding": "opus", "rate_hz": 48000, "frame_ms": 20, "mode": "binary"},
        ):
            probe = await self._stream()
            offers = probe.start["offers"]
            lists = {"encoding": "encodings", "rate_hz": "rates_hz", "frame_ms": "frame_ms", "mode": "modes"}
            if not all(value in offers[lists[name]] for name, value in wanted.items()):
                await self._end(probe)
                continue
            ready = await probe.say_hello(audio=wanted)
            close = await probe.close_code(0) if ready is None else None
            self.report.check("speaks_what_it_offers", ready is not None, f"{wanted}: close code {close}")
            if ready is not None:
                same = ready["audio"] == wanted
                self.report.check("speaks_what_it_offers", same, f"{ready['audio']}, not {wanted}")
                await asyncio.sleep(0.5)
                why = f"{wanted}: {len(probe.audio)} frames in 0.5 s"
                enough = len(probe.audio) >= 250 // wanted["frame_ms"]  # type: ignore[operator]
                self.report.check("speaks_what_it_offers", enough, why)
                self._look_at_track(probe.audio, probe.format, 0)
                if probe.format.frame_bytes:
                    await probe.say_numbered("speak", utterance_id="format")
                    await probe.speak(_speech(probe.format, 200))
                    await probe.say_numbered("speak.end")
                    finished = await probe.until("playback.finished", 3, utterance_id="format")
                    played = finished["played_ms"] if finished else None
                    self.report.check("played_ms_is_true", played == 200, f"{wanted}: {played}, not 200")
            await self._end(probe)

    async def refusals(self) -> None:
        for audio in ({"encoding": "mulaw", "rate_hz": 48000}, {"encoding": "conformance"}, {"frame_ms": 25}):
            probe = await self._stream()
            await probe.say("hello", audio=audio)
            code = await probe.close_code()
            self.report.check("refuses_what_it_cannot", code == 4400, f"{audio}: close code {code}")
            self._forget(probe)
        probe = await self._stream()
        await probe.speak(_speech(Format(), 20), number=0)
        ready = await probe.until("ready", 0.5)
        self.report.check("hello_comes_first", ready is None, "`ready` came without `hello`")
        await self._end(probe)

    async def speaking(self) -> None:
        """Two utterances, a mark, a number that comes twice."""
        probe, report = await self._stream(), self.report
        await probe.say_hello(progress_ms=100)
        await probe.say_numbered("speak", utterance_id="u1")
        number = await probe.speak(_speech(probe.format, 500))
        await probe.speak(_speech(probe.format, 500), number=number)  # Had already.
        await probe.say_numbered("speak.end")
        await probe.say_numbered("mark", name="after u1")
        await probe.say_numbered("speak", utterance_id="u2")
        await probe.speak(_speech(probe.format, 200))
        await probe.say_numbered("speak.end")
        last = await probe.say_numbered("mark", name="after u2")
        await probe.until("mark", 5, name="after u2")
        await asyncio.sleep(0.4)
        started = [each["utterance_id"] for each in probe.all("playback.started")]
        finished = [(each["utterance_id"], each["outcome"]) for each in probe.all("playback.finished")]
        report.check("tells_playback", started == ["u1", "u2"], f"started: {started}")
        report.check("tells_playback", finished == [("u1", "played"), ("u2", "played")], f"finished: {finished}")
        played = {each["utterance_id"]: each["played_ms"] for each in probe.all("playback.finished")}
        report.check("played_ms_is_true", played.get("u2") == 200, f"u2: {played.get('u2')}, not 200")
        report.check("plays_each_number_once", played.get("u1") == 500, f"u1: {played.get('u1')}, not 500")
        progress = [each["played_ms"] for each in probe.all("playback.progress") if each["utterance_id"] == "u1"]
        report.check("tells_progress", 3 <= len(progress) <= 7, f"{len(progress)} times in 500 ms, not about 5")
        report.check("tells_progress", progress == sorted(progress), f"played_ms went back: {progress}")
        marks = [(each["name"], each["outcome"]) for each in probe.all("mark")]
        wanted = [("after u1", "played"), ("after u2", "played")]
        report.check("marks_are_answered_once", marks == wanted, f"{marks}")
        acks = [each["received"] for each in probe.all("ack")]
        report.check("acknowledges", bool(acks) and acks[-1] == last, f"{acks[-3:]}, the last was {last}")
        drained = [each for each in probe.all("queue") if each["state"] == "drained"]
        report.check("tells_the_queue", bool(drained), "no `drained`")
        await self._end(probe)

    async def clearing(self) -> None:
        """A clear in the middle of speech; speech of an older generation; one utterance interrupted."""
        probe, report = await self._stream(), self.report
        await probe.say_hello(generations=True)
        await probe.say_numbered("speak", utterance_id="long")
        for _ in range(5):
            await probe.speak(_speech(probe.format, 1000))
        await probe.say_numbered("mark", name="never heard")
        await probe.until("playback.started", 2)
        await asyncio.sleep(0.5)
        await probe.say_numbered("clear")
        cleared = await probe.until("cleared", 2)
        if report.check("clear_sums_up", cleared is not None, "no `cleared` within 2 s"):
            assert cleared is not None
            whole = cleared["played_ms"] + cleared["dropped_ms"]
            report.check("clear_sums_up", abs(whole - 5000) <= 1, f"played and dropped are {whole} ms, not 5000")
            near = 400 <= cleared["played_ms"] <= 900
            report.check("played_ms_is_true", near, f"{cleared['played_ms']} ms were played in about 500")
            report.check("clear_sums_up", cleared["marks"] == ["never heard"], f"marks: {cleared['marks']}")
            ids = [each["utterance_id"] for each in cleared["utterances"]]
            report.check("clear_sums_up", ids == ["long"], f"utterances: {ids}")
            by = (cleared["by"], cleared["generation"])
            report.check("clear_raises_the_generation", by == ("application", 1), f"{by}")
        before = len(probe.messages)
        await probe.say_numbered("speak", utterance_id="late")
        await probe.speak(_speech(probe.format, 100), generation=0)
        await probe.say_numbered("speak", utterance_id="new")
        await probe.speak(_speech(probe.format, 100), generation=1)
        await probe.say_numbered("mark", name="heard")
        await probe.until("mark", 3, name="heard")
        heard = [each["utterance_id"] for each in probe.all("playback.started", before)]
        report.check("old_generations_are_dropped", heard == ["new"], f"heard: {heard}")
        marks = [(each["name"], each["outcome"]) for each in probe.all("mark")]
        wanted = [("never heard", "cleared"), ("heard", "played")]
        report.check("marks_are_answered_once", marks == wanted, f"{marks}")
        await probe.say_numbered("clear")
        cleared = await probe.until("cleared", 2, after=before)
        report.check("clear_raises_the_generation", cleared is not None and cleared["generation"] == 2, f"{cleared}")
        before = len(probe.messages)
        await probe.say_numbered("speak", utterance_id="one")
        await probe.speak(_speech(probe.format, 3000), generation=2)
        await probe.say_numbered("speak", utterance_id="two")
        await probe.speak(_speech(probe.format, 100), generation=2)
        await probe.say_numbered("speak.end")
        await probe.until("playback.started", 2, utterance_id="one")
        await probe.say_numbered("interrupt", utterance_id="one")
        await probe.until("playback.finished", 2, utterance_id="two")
        finished = [(each["utterance_id"], each["outcome"]) for each in probe.all("playback.finished", before)]
        report.check("interrupt_drops_one", finished == [("one", "cleared"), ("two", "played")], f"{finished}")
        report.check("interrupt_drops_one", not probe.all("cleared", before), "it told `cleared`")
        await self._end(probe)

    async def pausing(self) -> None:
        probe, report = await self._stream(), self.report
        await probe.say_hello(progress_ms=50)
        await probe.say_numbered("speak", utterance_id="u")
        await probe.speak(_speech(probe.format, 600))
        await probe.say_numbered("speak.end")
        await probe.until("playback.started", 2)
        await asyncio.sleep(0.2)
        await probe.say_numbered("pause")
        paused = await probe.until("paused", 2)
        report.check("pause_and_resume", paused is not None and paused["by"] == "application", f"{paused}")
        await asyncio.sleep(0.6)
        report.check("pause_and_resume", not probe.all("playback.finished"), "it went on playing")
        await probe.say_numbered("resume")
        resumed = await probe.until("resumed", 2)
        report.check("pause_and_resume", resumed is not None and resumed["by"] == "application", f"{resumed}")
        finished = await probe.until("playback.finished", 2)
        played = finished["played_ms"] if finished else None
        report.check("pause_and_resume", played == 600, f"{played} ms of 600 were played")
        await self._end(probe)

    async def tracks_and_errors(self) -> None:
        probe, report = await self._stream(), self.report
        await probe.say_hello()
        party = probe.start["tracks"][0]["track"] if probe.start.get("tracks") else 1
        await probe.say("subscribe", tracks=[party])
        answer = await probe.until("tracks", 2)
        tracks = sorted(answer["tracks"]) if answer else None
        report.check("subscribes", tracks == sorted({0, party}), f"{tracks}")
        await asyncio.sleep(0.3)
        for track in (0, party):
            self._look_at_track([each for each in probe.audio if each.track == track], probe.format, track)
        before = len(probe.messages)
        await probe.say("unsubscribe", tracks=[party])
        answer = await probe.until("tracks", 2, after=before)
        report.check("subscribes", answer is not None and answer["tracks"] == [0], f"{answer}")
        await probe.say("subscribe", tracks=[16])
        error = await probe.until("error", 2)
        report.check("unknown_tracks_are_errors", error is not None, "no `error`")
        before = len(probe.messages)
        await probe.say("mark", sequence="x", name=7)
        error = await probe.until("error", 2, after=before)
        report.check("a_wrong_message_costs_nothing_else", error is not None, "no `error`")
        before = len(probe.messages)
        await probe.say_numbered("turn", number=1, caller="yes?", agent="no", heard="no", parts_ms={"heard": 7})
        error = await probe.until("error", 0.3, after=before)
        report.check("keeps_turns", error is None, f"{error}")
        await probe.say_numbered("turn", caller="yes?")
        error = await probe.until("error", 2, after=before)
        report.check("keeps_turns", error is not None, "no `error` for one without `number`")
        await probe.say("transfer", request_id="t1", target="")
        result = await probe.until("result", 5, request_id="t1")
        refused = await probe.until("error", 0.1, request_id="t1") if result is None else result
        truly = refused is not None and not refused.get("ok", False)
        report.check("refuses_unknown_requests_truly", truly, f"{refused}")
        audio = len(probe.audio)
        await asyncio.sleep(0.3)
        report.check("a_wrong_message_costs_nothing_else", len(probe.audio) > audio, "audio has stopped")
        await self._end(probe)

    async def resuming(self) -> None:
        """A drop while speech is queued and the party goes on."""
        probe, report = await self._stream(), self.report
        await probe.say_hello(progress_ms=100)
        await asyncio.sleep(0.3)
        await probe.say_numbered("speak", utterance_id="u")
        await probe.speak(_speech(probe.format, 300))
        await probe.say_numbered("speak.end")
        last = await probe.say_numbered("mark", name="in the outage")
        await probe.until("playback.started", 2)
        await probe.until("ack", 2, received=last)
        if not self._can_resume(probe):
            await self._end(probe)
            return
        event = max((each["event"] for each in probe.messages if each.get("event") is not None), default=-1)
        heard = probe.audio[-1].sequence if probe.audio else -1
        again = await self._after_drop(probe)
        await asyncio.sleep(0.6)  # All of it is played in the meantime.
        resume = {"token": probe.start["resume"]["token"], "received": {"0": heard}, "event": event}
        ready = await again.say_hello(resume=resume, progress_ms=100)
        code = await again.close_code(0) if ready is None else None
        if not report.check("resumes", ready is not None and ready["resumed"], f"close code {code}, {ready}"):
            return
        assert ready is not None
        report.check("resumes", ready["received"] == last, f"received {ready['received']}, the last was {last}")
        await asyncio.sleep(0.5)
        later = [each.sequence for each in again.audio]
        whole = later[:1] == [heard + 1] and later == list(range(heard + 1, heard + 1 + len(later)))
        report.check("replays_what_was_missed", whole, f"after {heard} came {later[:3]} …")
        replayed = sum(each.is_replay for each in again.audio)
        why = f"{replayed} of {len(later)} frames are flagged"
        report.check("replays_what_was_missed", 20 <= replayed < len(later), why)
        report.check("no_frame_comes_twice", not later or later[0] > heard, f"{later[:1]} came again")
        self._look_at_track(probe.audio + again.audio, again.format, 0)
        finished = again.first("playback.finished")
        played = finished["played_ms"] if finished else None
        report.check("playing_goes_on_in_an_outage", played == 300, f"played_ms {played}, not 300")
        events = [each["event"] for each in again.messages if each.get("event") is not None]
        whole = bool(events) and events == list(range(event + 1, event + 1 + len(events)))
        report.check("events_outlive_a_socket", whole, f"after {event} came {events}")
        marks = probe.all("mark") + again.all("mark")
        report.check("marks_are_answered_once", len(marks) == 1, f"{marks}")
        await self._end(again)

    async def saying_again(self) -> None:
        """What is said again, though it has come, is played once."""
        probe = await self._stream()
        await probe.say_hello(progress_ms=50)
        if not self._can_resume(probe):
            await self._end(probe)
            return
        await probe.say_numbered("speak", utterance_id="u")
        for _ in range(4):
            await probe.speak(_speech(probe.format, 100))
        await probe.until("ack", 2, received=4)
        again = await self._after_drop(probe)
        heard = probe.audio[-1].sequence if probe.audio else -1
        await again.say_hello(resume={"token": probe.start["resume"]["token"], "received": {"0": heard}})
        for number in range(3, 7):  # 3 and 4 have come.
            await again.speak(_speech(again.format, 100), number=number, flags=1 if number < 5 else 0)
        again.number = 7
        await again.say_numbered("speak.end")
        finished = await again.until("playback.finished", 4)
        played = finished["played_ms"] if finished else None
        self.report.check("plays_what_is_said_again_once", played == 600, f"played_ms {played}, not 600")
        await self._end(again)

    async def beginning_anew(self) -> None:
        probe, report = await self._stream(), self.report
        await probe.say_hello()
        await probe.speak(_speech(probe.format, 20))
        await asyncio.sleep(0.3)
        if not self._can_resume(probe):
            await self._end(probe)
            return
        again = await self._after_drop(probe)
        await asyncio.sleep(0.3)
        ready = await again.say_hello()
        report.check("begins_anew_without_resume", ready is not None and not ready["resumed"], f"{ready}")
        if ready is not None:
            report.check("begins_anew_without_resume", ready["received"] == 0, f"received {ready['received']}, not 0")
            gap = await again.until("gap", 1)
            report.check("begins_anew_without_resume", gap is not None, "no `gap`")
            await asyncio.sleep(0.2)
            replayed = [each.sequence for each in again.audio if each.is_replay]
            report.check("begins_anew_without_resume", not replayed, f"it replayed {replayed[:3]} …")
        await self._end(again)

    async def wrong_token(self) -> None:
        probe = await self._stream()
        await probe.say_hello()
        if not self._can_resume(probe):
            await self._end(probe)
            return
        again = await self._after_drop(probe)
        await again.say("hello", resume={"token": "conformance", "received": {}})
        code = await again.close_code()
        self.report.check("refuses_wrong_tokens", code == 4401, f"close code {code}")
        self._forget(again)

    async def dialling_in(self) -> None:
        """The application dials while the first connection is open: that one is fenced."""
        probe, report = await self._stream(), self.report
        await probe.say_hello()
        offer = probe.start.get("resume") or {}
        if not offer.get("url"):
            for name in ("can_be_dialled", "a_token_is_used_once", "fences"):
                report.skip(name, "`start` names no URL to dial")
            await self._end(probe)
            return
        await asyncio.sleep(0.2)
        again = await self._dial(offer["url"], offer["token"])
        if not report.check("can_be_dialled", again is not None, "it was refused"):
            return
        assert again is not None
        await again.until("start", 3)
        heard = probe.audio[-1].sequence if probe.audio else -1
        resume = {"token": offer["token"], "received": {"0": heard}}
        ready = await again.say_hello(resume=resume)
        report.check("can_be_dialled", ready is not None and ready["resumed"], f"{ready}")
        code = await probe.close_code(2)
        report.check("fences", code == 4409, f"the older was closed with {code}")
        for token in (offer["token"], "conformance"):
            third = await self._dial(offer["url"], token)
            report.check("a_token_is_used_once", third is None, f"{token[:4]}… was taken")
        await self._end(again)

    async def stopping(self) -> None:
        probe, report = await self._stream(), self.report
        await probe.say_hello()
        stream_id = probe.start["stream_id"]
        await probe.say("stop")
        stopped = await probe.until("stop", 3)
        code = await probe.close_code()
        report.check("stop_ends_in_order", stopped is not None and code == 1000, f"{stopped}, close code {code}")
        came = await self._comes_again(stream_id, 1.5)
        report.check("does_not_dial_after_the_end", came is None, "it dialled after `stop`")
        probe = await self._stream()
        await probe.say_hello()
        stream_id = probe.start["stream_id"]
        await probe.socket.close(1000)
        came = await self._comes_again(stream_id, 1.5)
        report.check("does_not_dial_after_the_end", came is None, "it dialled after a close with 1000")

    async def no_hello(self) -> None:
        probe = await self._stream()
        began = time.monotonic()
        code = await probe.close_code(8)
        after = time.monotonic() - began
        good = code == 4408 and 4.5 <= after <= 6.5
        self.report.check("waits_5_s_for_hello", good, f"close code {code} after {after:.1f} s")
        self._forget(probe)

    # What they share.

    async def _attempt(self, scenario: Callable[[], Awaitable[None]]) -> None:
        try:
            await scenario()
        except NoStream:
            self.report.check("start_first", False, f"{scenario.__name__}: the server did not dial")

    async def _take(self, socket: ServerConnection) -> None:
        offered = socket.request.headers.get("Sec-WebSocket-Protocol", "") if socket.request else ""
        self.report.check("offers_the_subprotocol", PROTOCOL in offered, f"it offers {offered!r}")
        probe = Probe(socket, self.report)
        await probe.until("start", 3)
        if "stream_id" in probe.start:
            again = self._again.get(probe.start["stream_id"])
            await (self._new if again is None else again).put(probe)
        await probe.closed.wait()

    async def _stream(self) -> Probe:
        """A new one."""
        async with self._turn:
            while not self._new.empty():
                self._new.get_nowait()
            if self._open is not None:
                await self._open(self.url)
            try:
                async with asyncio.timeout(STREAM_WITHIN_S):
                    probe = await self._new.get()
            except TimeoutError:
                raise NoStream from None
        self._again[probe.start["stream_id"]] = asyncio.Queue()
        return probe

    async def _comes_again(self, stream_id: str, seconds: float) -> Probe | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._again[stream_id].get()
        return None

    async def _after_drop(self, probe: Probe) -> Probe:
        """Break it, and take the next connection of the same stream."""
        began = time.monotonic()
        await probe.drop()
        again = await self._comes_again(probe.start["stream_id"], REDIAL_WITHIN_S)
        if again is None:
            self.report.check("dials_again", False, f"not within {REDIAL_WITHIN_S:.0f} s")
            raise NoStream
        after = time.monotonic() - began
        self.report.check("dials_again", after < 1.0, f"after {after:.1f} s")
        epochs = (probe.start["epoch"], again.start["epoch"])
        self.report.check("epochs_and_tokens_are_new", epochs[1] == epochs[0] + 1, f"epochs {epochs}")
        tokens = {each.start["resume"]["token"] for each in (probe, again)}
        self.report.check("epochs_and_tokens_are_new", len(tokens) == 2, "the token is the same")
        return again

    async def _dial(self, url: str, token: str) -> Probe | None:
        headers = {"Authorization": f"Bearer {token}"}
        protocols = [Subprotocol(PROTOCOL)]
        try:
            socket = await connect(url, additional_headers=headers, subprotocols=protocols, compression=None)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            self.report.check("a_token_is_used_once", status == 401, f"it was refused with {status}")
            return None
        except (InvalidHandshake, OSError):
            return None
        return Probe(socket, self.report)

    def _can_resume(self, probe: Probe) -> bool:
        if probe.start.get("resume"):
            return True
        for name, rule in SERVER_RULES.items():
            if rule.section == 6:
                self.report.skip(name, "`start` has no `resume`")
        return False

    async def _end(self, probe: Probe) -> None:
        await probe.say("stop")
        await probe.close_code(2)
        self._forget(probe)

    def _forget(self, probe: Probe) -> None:
        if not probe.closed.is_set():
            probe.socket.transport.abort()

    def _look_at_track(self, frames: list[Audio], audio: Format, track: int) -> None:
        frames = [each for each in frames if each.track == track]
        for number, frame in enumerate(frames):
            wanted = number if number == 0 else frames[number - 1].sequence + 1
            if frame.is_after_gap and frame.sequence >= wanted:
                continue
            why = f"track {track}: {frame.sequence} came, not {wanted}"
            if not self.report.check("sequences_have_no_holes", frame.sequence == wanted, why):
                return
            if number:
                step = frame.timestamp - frames[number - 1].timestamp
                why = f"track {track}: a step of {step} samples, a frame has {audio.frame_samples}"
                self.report.check("timestamps_are_positions", step == audio.frame_samples, why)


def _speech(audio: Format, length_ms: int) -> bytes:
    """A square wave of 250 Hz."""
    samples = audio.rate_hz * length_ms // 1000
    half = audio.rate_hz // 500
    if audio.encoding == "pcm_s16le":
        wave = (4000).to_bytes(2, "little") * half + (-4000).to_bytes(2, "little", signed=True) * half
    else:
        wave = b"\xa0" * half + b"\x20" * half
    size = samples * max(1, audio.bytes_per_sample)
    return (wave * (size // len(wave) + 1))[:size]
