"""Test a voice agent without a phone: scripted callers, fakes for its providers, and virtual time.

@virtual_time
async def test_it_books() -> None:
    agent = VoiceAgent(FakeStt(), FakeLlm("Monday at nine is yours."), FakeTts(), greeting="How can I help?")
    call = await Caller().hears("help").says("Monday at nine, please.").hears("Monday").hangs_up().calls(agent)
    call.expect_answers_within(900)
"""

from longline.agentkit.testing.call import Call, CallFailed
from longline.agentkit.testing.caller import Caller
from longline.agentkit.testing.fakes import FakeLlm, FakeStt, FakeTts
from longline.agentkit.testing.memory_line import MemoryLine, Network
from longline.agentkit.testing.record import CallTurn
from longline.agentkit.testing.script import Script
from longline.agentkit.testing.script_file import Rehearsal, ScriptError, read_script
from longline.agentkit.testing.virtual_time import VirtualTimeError, VirtualTimeLoop, run, virtual_time

__all__ = [
    "Call",
    "CallFailed",
    "CallTurn",
    "Caller",
    "FakeLlm",
    "FakeStt",
    "FakeTts",
    "MemoryLine",
    "Network",
    "Rehearsal",
    "Script",
    "ScriptError",
    "VirtualTimeError",
    "VirtualTimeLoop",
    "read_script",
    "run",
    "virtual_time",
]
