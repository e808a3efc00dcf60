"""Transcribers behind WebSockets, through the vendors' SDKs: the same cases for each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from tests.support.cartesia_service import CartesiaEars
from tests.support.deepgram_service import DeepgramEars
from tests.support.elevenlabs_service import ElevenLabsEars
from tests.support.vendor_http import RETRY_AFTER_S, Fault
from tests.support.vendor_socket import RATE, VendorSocket, said

from longline.agentkit.ports import ProviderError, SpeechToText, Transcript
from longline.agentkit.stt.cartesia import CartesiaStt
from longline.agentkit.stt.deepgram import DeepgramStt
from longline.agentkit.stt.elevenlabs import ElevenLabsStt
from longline.agentkit.stt.live import LiveRules

RULES = LiveRules(connect_s=2.0, final_within_s=0.3, stall_s=0.6, keep_alive_s=0.1, backoff_s=0.01)
TURN = b""


@dataclass
class Vendor:
    name: str
    service: Callable[[], VendorSocket]
    adapter: Callable[[str, LiveRules], SpeechToText]


VENDORS = [
    Vendor("deepgram", DeepgramEars, lambda url, rules: DeepgramStt(api_key="secret", base_url=url, rules=rules)),
    Vendor("elevenlabs", ElevenLabsEars, lambda url, rules: ElevenLabsStt(api_key="secret", base_url=url, rules=rules)),
    Vendor("cartesia", CartesiaEars, lambda url, rules: CartesiaStt(api_key="secret", base_url=url, rules=rules)),
]


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    assert isinstance(request.param, Vendor)
    return request.param


class Caller:
    """Says what it is told to, and is listened to."""

    def __init__(self, stt: SpeechToText) -> None:
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.heard = stt.listen(self._audio(), RATE)
        self.partials: list[str] = []

    async def _audio(self) -> AsyncIterator[bytes]:
        while (frame := await self._frames.get()) is not None:
            yield frame

    def says(self, text: str, *, ends: bool = True) -> None:
        for frame in said(text):
            self._frames.put_nowait(frame)
        if ends:
            self._frames.put_nowait(TURN)

    def leaves(self) -> None:
        self._frames.put_nowait(None)

    async def final(self) -> Transcript:
        """The next; what came before it is in `partials`."""
        async with asyncio.timeout(5):
            async for transcript in self.heard:
                if transcript.is_final:
                    return transcript
                self.partials.append(transcript.text)
        raise AssertionError("it has ended")

    async def partial(self, text: str) -> None:
        async with asyncio.timeout(5):
            async for transcript in self.heard:
                if transcript.text == text:
                    return


@asynccontextmanager
async def listening(
    vendor: Vendor, *faults: Fault, rules: LiveRules = RULES
) -> AsyncIterator[tuple[VendorSocket, Caller]]:
    """When it is over, nothing is left of it: no task, no connection."""
    async with vendor.service() as service:
        service.fail(*faults)
        before = asyncio.all_tasks()
        caller = Caller(vendor.adapter(service.url, rules))
        yield service, caller
        await caller.heard.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(3):
            while service.open_now or [task for task in asyncio.all_tasks() - before if not is_the_test(task)]:
                await asyncio.sleep(0.01)


def is_the_test(task: asyncio.Task[object]) -> bool:
    """A task of the servers of the test."""
    return "websockets/asyncio/server" in repr(task)


async def test_a_turn_is_heard_as_it_goes_and_its_final_comes_when_it_is_over(vendor: Vendor) -> None:
    async with listening(vendor) as (_, caller):
        caller.says("when do you open")
        assert (await caller.final()).text == "when do you open"
        assert caller.partials[-1] == "when do you open"
        caller.says("and on sunday")
        assert (await caller.final()).text == "and on sunday"


async def test_all_that_is_said_is_heard_when_the_call_ends(vendor: Vendor) -> None:
    async with listening(vendor) as (_, caller):
        caller.says("good bye", ends=False)
        caller.leaves()
        assert (await caller.final()).text == "good bye"
        with pytest.raises(StopAsyncIteration):
            await anext(caller.heard)


async def test_a_turn_of_nothing_has_a_final_of_nothing(vendor: Vendor) -> None:
    async with listening(vendor) as (_, caller):
        caller.says("")
        assert (await caller.final()).text == ""
        caller.says("hello")
        assert (await caller.final()).text == "hello"


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.CUT_AT_ONCE, Fault.BROKEN, Fault.GARBAGE, Fault.GARBAGE_WITHIN])
async def test_what_can_be_mended_is_mended_and_no_word_is_lost(vendor: Vendor, fault: Fault) -> None:
    async with listening(vendor, fault) as (service, caller):
        caller.says("when do you open")
        assert (await caller.final()).text == "when do you open"
        assert len(service.requests) == 2 or fault is Fault.GARBAGE_WITHIN


async def test_a_connection_cut_between_turns_and_within_one_is_not_noticed(vendor: Vendor) -> None:
    async with listening(vendor) as (service, caller):
        caller.says("hello")
        assert (await caller.final()).text == "hello"
        service.cut()
        await asyncio.sleep(0.05)
        caller.says("when do", ends=False)
        await caller.partial("when do")
        service.cut()
        await asyncio.sleep(0.05)
        caller.says("you open")
        assert (await caller.final()).text == "when do you open"


@pytest.mark.parametrize(
    "fault", [Fault.REFUSED, Fault.LIMITED, Fault.ERROR_WITHIN, Fault.NO_ANSWER], ids=lambda fault: fault.name
)
async def test_what_cannot_be_mended_is_told_and_the_next_attempt_works(vendor: Vendor, fault: Fault) -> None:
    async with vendor.service() as service:
        service.fail(fault)
        stt = vendor.adapter(service.url, RULES)
        caller = Caller(stt)
        caller.says("when do you open")
        with pytest.raises(ProviderError) as failed:
            await caller.final()
        assert failed.value.provider.startswith(vendor.name) and "secret" not in str(failed.value)
        assert failed.value.retry_after_s == (RETRY_AFTER_S if fault is Fault.LIMITED else None)
        assert len(service.requests) == 1
        again = Caller(stt)
        again.says("hello")
        assert (await again.final()).text == "hello"
        await again.heard.aclose()  # type: ignore[attr-defined]


async def test_a_vendor_that_stays_away_is_told(vendor: Vendor) -> None:
    async with vendor.service() as service:
        service.fail(*[Fault.BROKEN] * 9)
        caller = Caller(vendor.adapter(service.url, RULES))
        with pytest.raises(ProviderError, match="HTTP"):
            await caller.final()
        assert len(service.requests) == RULES.reconnects + 1


async def test_a_final_that_does_not_come_is_made_of_what_is_known(vendor: Vendor) -> None:
    async with listening(vendor) as (service, caller):
        caller.says("when do you open", ends=False)
        await caller.partial("when do you open")
        service.is_silent = True
        caller.says("")
        assert (await caller.final()).text == "when do you open"


async def test_a_line_without_audio_keeps_its_connection(vendor: Vendor) -> None:
    async with listening(vendor) as (service, caller):
        caller.says("hello")
        await caller.final()
        await asyncio.sleep(0.35)
        assert len(service.requests) == 1
        if isinstance(service, DeepgramEars):
            assert service.told.count("KeepAlive") >= 2
        caller.says("still there")
        assert (await caller.final()).text == "still there"


async def test_many_calls_at_once_hear_each_his_own(vendor: Vendor) -> None:
    async with vendor.service() as service:
        stt = vendor.adapter(service.url, RULES)
        callers = [Caller(stt) for _ in range(5)]
        for number, caller in enumerate(callers):
            caller.says(f"caller {number}")
        finals = await asyncio.gather(*(caller.final() for caller in callers))
        assert [final.text for final in finals] == [f"caller {number}" for number in range(5)]
        for caller in callers:
            await caller.heard.aclose()  # type: ignore[attr-defined]


# What only one of them has.


async def test_deepgram_is_asked_for_what_the_agent_needs_of_it() -> None:
    async with listening(VENDORS[0]) as (service, caller):
        caller.says("hello")
        final = await caller.final()
        assert final.confidence == 0.9
        assert final.end_ms == pytest.approx(20 * len(said("hello")))
        wanted = {"encoding": "linear16", "sample_rate": "8000", "interim_results": "true", "endpointing": "false"}
        assert {name: service.asked[name][0] for name in wanted} == wanted
        assert service.requests[0].headers["Authorization"] == "Token secret"


async def test_finals_within_a_long_turn_stand_and_are_not_heard_again() -> None:
    async with listening(VENDORS[0]) as (service, caller):
        assert isinstance(service, DeepgramEars)
        service.segments = 3
        caller.says("one two three four", ends=False)
        first = await caller.final()
        assert first.text == "one two three"
        await caller.partial("four")
        service.cut()
        caller.says("five")
        second = await caller.final()
        assert second.text == "four five"
        assert second.end_ms is not None and first.end_ms is not None and second.end_ms > first.end_ms


async def test_deepgram_that_does_not_answer_finalize_is_not_waited_for() -> None:
    async with listening(VENDORS[0]) as (service, caller):
        assert isinstance(service, DeepgramEars)
        service.answers_finalize = False
        for text in ("when do you open", "and when do you close"):
            caller.says(text, ends=False)
            await caller.partial(text if text.startswith("when") else f"when do you open {text}")
            caller.says("")
            assert (await caller.final()).text.endswith(text)


async def test_cartesia_puts_its_pieces_together_with_their_own_spaces() -> None:
    async with listening(VENDORS[2]) as (service, caller):
        assert isinstance(service, CartesiaEars)
        service.segments = 2
        caller.says("one two three four five")
        assert (await caller.final()).text == "one two three four five"


async def test_a_vendor_that_does_not_answer_the_handshake_is_told() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    rules = replace(RULES, connect_s=0.1, reconnects=1)
    server = await asyncio.start_server(never, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for vendor in VENDORS:
            with pytest.raises(ProviderError, match="took too long"):
                await Caller(vendor.adapter(url, rules)).final()
