"""A whole agent on OpenAI's API, or with Anthropic's models, in all weathers: it says so, and the next turn works.

In virtual time, through the vendors' SDKs, against servers of the test.
"""

import asyncio

import pytest
from tests.support.anthropic_service import AnthropicService
from tests.support.openai_service import OpenAIService
from tests.support.vendor_http import Fault

from longline.agentkit import VoiceAgent
from longline.agentkit.answer import Patience
from longline.agentkit.llm.anthropic import AnthropicLlm
from longline.agentkit.llm.openai import OpenAILlm
from longline.agentkit.report import Report
from longline.agentkit.stt.openai import OpenAIStt
from longline.agentkit.testing import Call, Caller, FakeLlm, FakeStt, FakeTts, virtual_time
from longline.agentkit.tts.openai import OpenAITts

RATE = 8_000
ANSWERS = {"open": "We open at nine.", "sunday": "On Sunday we are closed.", "thank": "You are welcome."}
in_virtual_time = virtual_time(sockets=True)


class Asked:
    """Three questions to an agent, of which the second goes wrong: requests for it (`times` of them, or all until its
    report) have a fault."""

    def __init__(
        self, service: OpenAIService | AnthropicService, path: str, fault: Fault | None, times: int = 0
    ) -> None:
        service.answers = ANSWERS
        self._service, self._path, self._fault, self._times = service, path, fault, times
        self.reports: list[Report] = []

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self._service.broken = {}
        if len(self.reports) != 1 or self._fault is None:
            return
        if self._times:
            self._service.fail(*[self._fault] * self._times)
        else:
            self._service.broken = {self._path: self._fault}

    async def ask(self, agent: VoiceAgent) -> Call:
        agent.report = self._report
        agent.patience = Patience(first_s=2.0, all_s=4.0)
        caller = Caller().says("When do you open?").hears("at nine").says("And on Sunday?")
        caller = caller.hears("closed" if self._fault is None else "something went wrong").waits(0.5)
        return await caller.says("Thank you.").hears("welcome").hangs_up().calls(agent, rate_hz=RATE)


@in_virtual_time
async def test_a_conversation_on_one_server_for_all() -> None:
    async with OpenAIService() as service:
        service.rate_hz = RATE
        url = service.base_url
        llm, tts = OpenAILlm(base_url=url, api_key="k"), OpenAITts(base_url=url, api_key="k", rate_hz=RATE)
        stt = OpenAIStt(base_url=url, api_key="k")
        call = await Asked(service, "", None).ask(VoiceAgent(stt, llm, tts))
        for each in (stt, llm, tts):
            await each.aclose()
        await asyncio.sleep(1)
        assert service.open_now == 0
    call.expect_heard("We open at nine.", "On Sunday we are closed.", "You are welcome.").expect_not_heard("Sorry")


SOME = (Fault.LIMITED, Fault.NO_ANSWER, Fault.CUT, Fault.GARBAGE)
"""Each adapter is tried with each fault by itself; what an agent makes of a fault is the same for all of them."""


@pytest.mark.parametrize(
    ("vendor", "faults"), [("openai", tuple(Fault)), ("anthropic", SOME)], ids=["openai", "anthropic"]
)
@in_virtual_time
async def test_a_model_in_each_weather(vendor: str, faults: tuple[Fault, ...]) -> None:
    async def meet(fault: Fault) -> None:
        async with OpenAIService() if vendor == "openai" else AnthropicService() as service:
            llm: OpenAILlm | AnthropicLlm
            if isinstance(service, OpenAIService):
                llm = OpenAILlm(base_url=service.base_url, api_key="k")
            else:
                llm = AnthropicLlm(base_url=service.url, api_key="k")
            asked = Asked(service, "/chat/completions" if vendor == "openai" else "/messages", fault)
            call = await asked.ask(VoiceAgent(FakeStt(), llm, FakeTts()))
            await llm.aclose()
        call.expect_heard("We open at nine.", "Sorry, something went wrong", "You are welcome.")
        failures = [report.failure for report in asked.reports]
        assert [failure is not None for failure in failures] == [False, True, False], (fault, failures)

    await asyncio.gather(*(meet(fault) for fault in faults))


@in_virtual_time
async def test_a_transcriber_in_each_weather() -> None:
    async def meet(fault: Fault) -> None:
        async with OpenAIService() as service:
            stt = OpenAIStt(base_url=service.base_url, api_key="k", timeout_s=1.5)
            asked = Asked(service, "/transcriptions", fault, times=2)  # at the pause, and when the turn was over
            call = await asked.ask(VoiceAgent(stt, FakeLlm(when=ANSWERS), FakeTts()))
            await stt.aclose()
        call.expect_heard("We open at nine.", "Sorry, something went wrong", "You are welcome.")

    await asyncio.gather(*(meet(fault) for fault in (Fault.BROKEN, *SOME[1:])))


@in_virtual_time
async def test_a_voice_in_each_weather() -> None:
    async def meet(fault: Fault) -> None:
        async with OpenAIService() as service:
            service.rate_hz = RATE
            tts = OpenAITts(base_url=service.base_url, api_key="k", rate_hz=RATE, timeout_s=1.5)
            asked = Asked(service, "/speech", fault)
            call = await asked.ask(VoiceAgent(FakeStt(), FakeLlm(when=ANSWERS), tts))
            await tts.aclose()
        call.expect_heard("We open at nine.", "Sorry, something went wrong", "You are welcome.")

    await asyncio.gather(*(meet(fault) for fault in SOME))
