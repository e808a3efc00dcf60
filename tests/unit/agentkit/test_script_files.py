"""Scripts in files: what may stand in them, and what is said of what may not."""

from pathlib import Path

import pytest

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.testing import Caller, FakeLlm, FakeStt, FakeTts, ScriptError, read_script, virtual_time
from longline.agentkit.testing.script import HangsUp, Hears, Interrupts, IsHungUp, Presses, Says, Waits
from longline.agentkit.testing.script_file import Expectations, Impairment, parse_script

WHOLE = """\
name: books a slot
pause_s: 0.5
voice: slt
steps:
  - hears: how can I help
  - hears
  - says: An appointment on Monday, please.
  - interrupts: {text: "No, Tuesday", after_s: 1.2}
  - hears: {words: Tuesday, within_s: 8}
  - presses: 4#
  - presses: 0123
  - waits: 1.2
  - is_hung_up: 3
  - hangs_up:
expect:
  heard: [booked, goodbye]
  not_heard: sorry
  answers_within_ms: 1500
  silent_within_ms: 700
  ended_by: agent
network: {loss: 0.01, jitter_ms: 20, reorder: 0.005}
"""


def test_all_that_may_stand_in_a_script_is_understood() -> None:
    rehearsal = parse_script(WHOLE)
    assert rehearsal.script.steps == (
        Hears("how can I help"),
        Hears(),
        Says("An appointment on Monday, please."),
        Interrupts("No, Tuesday", 1.2),
        Hears("Tuesday", 8.0),
        Presses("4#"),
        Presses("0123"),
        Waits(1.2),
        IsHungUp(3.0),
        HangsUp(),
    )
    assert (rehearsal.script.name, rehearsal.script.pause_s, rehearsal.voice) == ("books a slot", 0.5, "slt")
    assert rehearsal.script.lines == tuple(range(5, 15))
    assert rehearsal.expect == Expectations(("booked", "goodbye"), ("sorry",), 1500.0, 700.0, "agent")
    assert rehearsal.network == Impairment(0.01, 20.0, 0.005)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "empty"),
        ("- says: hello", 1, "a script is a mapping"),
        ("name: x\n", 1, "needs `steps`"),
        ("steps: []\n", 1, "a list of 1 to"),
        ("steps:\n  - says: hi\n  - shouts: hi\n", 3, "no step is called 'shouts': there are says, waits"),
        ("steps:\n  - says:\n", 2, "`says` needs text"),
        ("steps:\n  - waits: long\n", 2, "`waits` is a number from 0 to 3,600"),
        ("steps:\n  - waits: .nan\n", 2, "`waits` is a number"),
        ("steps:\n  - presses: 4x\n", 2, "not made of the keys"),
        ("steps:\n  - hangs_up: now\n", 2, "takes no value"),
        ("steps:\n  - {says: a, waits: 1}\n", 2, "one name with its value"),
        ("steps:\n  - interrupts:\n      text: no\n      befor_s: 1\n", 4, "`interrupts` has no 'befor_s'"),
        ("steps:\n  - says: hi\nexpect:\n  ended_by: nobody\n", 4, "caller or agent"),
        ("steps:\n  - says: hi\nnetwork:\n  loss: 2\n", 4, "from 0 to 1"),
        ("steps:\n  - says: hi\nsteps:\n  - says: ho\n", 3, "twice"),
        ("steps:\n  - says: [hi\n", 3, "expected"),
        ("steps:\n  - says: &a hi\n  - says: *b\n", 3, "undefined alias"),
        ("steps:\n  - ? [a]\n    : b\n", 2, "no step is called"),
        ("? [a]\n: b\n", 1, "a script has no"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(ScriptError) as wrong:
        parse_script(text, "desk.yaml")
    assert str(wrong.value).startswith(f"desk.yaml:{line}: ") and problem in str(wrong.value)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="No such file"):
        read_script(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScriptError, match="not UTF-8"):
        read_script(tmp_path / "binary.yaml")


@virtual_time
async def test_the_same_file_is_played_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "monday.yaml"
    file.write_text("steps:\n  - hears: help\n  - says: Monday.\n  - hears: Monday\nexpect:\n  heard: Tuesday\n")
    agent = VoiceAgent(FakeStt(), FakeLlm("Monday is yours."), FakeTts(), greeting="How can I help?")
    call = await Caller.of_file(file).calls(agent)
    assert call.name == "monday" and call.heard == "How can I help? Monday is yours."
    assert read_script(file).expect.unmet(call) == ["the caller did not hear 'Tuesday'"]
