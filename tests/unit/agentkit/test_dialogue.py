"""A dialogue in a file: what is understood, what is answered, and what is wrong with a file, with its line."""

from dataclasses import replace
from pathlib import Path

import pytest

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.dialogue.dialogue import BEGUN, MAY_GO_ON, WHOLE, Dialogue, Memory, Step, Wanted
from longline.agentkit.dialogue.phrase import PhraseError, parse_phrase
from longline.agentkit.dialogue.reading import DialogueError, parse_dialogue, read_dialogue
from longline.agentkit.llm.script import ScriptLlm
from longline.agentkit.ports import ToolCall
from longline.agentkit.stt.pocketsphinx_program import words_of_grammar

CLINIC = Path(__file__).parents[3] / "examples" / "clinic.yaml"


@pytest.fixture(scope="module")
def clinic() -> Dialogue:
    return read_dialogue(CLINIC)


def heard(dialogue: Dialogue, *texts: str, memory: Memory | None = None) -> Step:
    """The last step; a tool that is wanted says that the slot is free, and that it is booked."""
    step = Step(memory or dialogue.begin().memory)
    for text in texts:
        step = dialogue.hear(step.memory, text)
        while step.calls is not None and step.calls.tool != "hang_up":
            step = dialogue.outcome(step.memory, {"look_up": "free", "book": "booked"}[step.calls.tool])
    return step


# --- phrases --------------------------------------------------------------------------------------------------------


def test_a_phrase_is_a_grammar_of_its_own_meaning() -> None:
    phrase = parse_phrase("[i need | please] (an | 1) appointment [on <day>] | 9")
    assert phrase.jsgf() == "([(i need | please)] (an) appointment [on <day>])"
    assert list(phrase.names()) == ["day"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing at column the end"),
        ("a |", "missing"),
        ("a [b", "'\\[' at column 3 is not closed"),
        ("a ) b", "'\\)' at column 3 closes nothing"),
        ("()", "missing"),
        ("<> a", "no word"),
        ("a < b", "'<' at column 3 is no word"),
        ("?!", "no word"),
        ("[a] [b]", "saying nothing"),
        ("(" * 30 + "a" + ")" * 30, "brackets within each other"),
    ],
)
def test_a_phrase_that_is_wrong_says_where(text: str, says: str) -> None:
    with pytest.raises(PhraseError, match=says):
        parse_phrase(text)


# --- understanding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("I would like an appointment on Tuesday at ten, please.", {"day": "Tuesday", "hour": "ten"}),
        ("at three o'clock on friday", {"day": "Friday", "hour": "three"}),
        ("Wednesday", {"day": "Wednesday"}),
        ("um hello, well, tuesday at ten would be nice", {"day": "Tuesday", "hour": "ten"}),
    ],
)
def test_slots_are_found_in_what_is_said(clinic: Dialogue, text: str, slots: dict[str, str]) -> None:
    assert heard(clinic, text).memory.slots == slots


@pytest.mark.parametrize(
    "text", ["", "[unclear]", "my cat sat on a green mat and she is at ten now", "tues day", "ten" * 999]
)
def test_what_fits_nothing_is_not_understood(clinic: Dialogue, text: str) -> None:
    step = heard(clinic, text)
    assert step.says == "Sorry, I did not understand that."
    assert not step.memory.slots


def test_a_whole_call(clinic: Dialogue) -> None:
    assert clinic.begin().says.startswith("Hello, this is the clinic")
    step = clinic.hear(clinic.begin().memory, "i need an appointment please")
    assert step.says == "On which day?"
    step = clinic.hear(step.memory, "Tuesday")
    assert step.says.startswith("Tuesday. At what time?")
    step = clinic.hear(step.memory, "ten")
    assert (step.says, step.calls) == ("", Wanted("look_up", {"day": "Tuesday", "hour": "ten"}))
    step = clinic.outcome(step.memory, '{"outcome": "taken", "free": "eleven", "unknown": "x"}')
    assert step.says.startswith("I am sorry, Tuesday at ten is taken. eleven would be free. Tuesday. At what time?")
    assert step.memory.slots == {"day": "Tuesday", "free": "eleven"}
    step = heard(clinic, "how about eleven", memory=step.memory)
    assert step.says == "Tuesday at eleven is free. Shall I book it?"
    step = heard(clinic, "yes please", memory=step.memory)
    assert step.says == "It is booked, Tuesday at eleven. Thank you for calling, goodbye."
    assert step.calls == Wanted("hang_up", {})
    assert clinic.outcome(step.memory, "done").says == ""


def test_what_was_said_last_is_said_again(clinic: Dialogue) -> None:
    assert heard(clinic, "tuesday", "say that again please").says.startswith("Tuesday. At what time?")


def test_a_slot_is_put_right(clinic: Dialogue) -> None:
    assert heard(clinic, "tuesday at ten", "no, at eleven").says == "Tuesday at eleven is free. Shall I book it?"
    assert heard(clinic, "tuesday at ten", "no").says == "Then let us look for another. On which day?"


def test_who_is_never_understood_is_let_go(clinic: Dialogue) -> None:
    memory, said = clinic.begin().memory, []
    for _ in range(4):
        step = clinic.hear(memory, "[unclear]")
        memory = step.memory
        said.append(step.says)
    assert len(set(said)) == 4
    assert step.calls == Wanted("hang_up", {})


def test_being_understood_once_forgives_the_misses(clinic: Dialogue) -> None:
    assert heard(clinic, "what", "what", "tuesday", "what").says == "Sorry, I did not understand that."


@pytest.mark.parametrize("result", ['{"error": "TimeoutError: "}', "no outcome that is known", "[1]", "", "null"])
def test_a_tool_that_fails_has_its_way(clinic: Dialogue, result: str) -> None:
    step = clinic.hear(clinic.begin().memory, "tuesday at ten")
    assert clinic.outcome(step.memory, result).says.startswith("I cannot do that now.")


def test_each_state_has_the_grammar_of_what_it_hears(clinic: Dialogue) -> None:
    desk = words_of_grammar(clinic.grammar(clinic.begin().memory))
    offered = words_of_grammar(clinic.grammar(heard(clinic, "tuesday at ten").memory))
    assert {"appointment", "tuesday", "o'clock", "repeat"} <= desk & offered
    assert {"yes", "thank"} <= offered - desk


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("goodbye", WHOLE),
        ("say that again", MAY_GO_ON),  # "please" may follow after a pause
        ("say that again please", WHOLE),
        ("on tuesday", MAY_GO_ON),
        ("at ten", MAY_GO_ON),
        ("i need an appointment", MAY_GO_ON),
        ("i need an appointment on tuesday at", BEGUN),
        ("say", BEGUN),
        ("", None),
        ("the weather", None),
    ],
)
def test_it_is_known_whether_a_phrase_is_finished(clinic: Dialogue, text: str, finished: float | None) -> None:
    assert clinic.completeness(clinic.begin().memory, text) == finished


# --- the brain of an agent ------------------------------------------------------------------------------------------


async def replied(brain: ScriptLlm, conversation: Conversation, text: str) -> tuple[str, list[ToolCall]]:
    conversation.add(Turn("caller", text))
    return await answered(brain, conversation)


async def answered(brain: ScriptLlm, conversation: Conversation) -> tuple[str, list[ToolCall]]:
    pieces = [piece async for piece in brain.reply(conversation, ())]
    said = " ".join(piece for piece in pieces if isinstance(piece, str))
    conversation.add(Turn("agent", said))
    return said, [piece for piece in pieces if isinstance(piece, ToolCall)]


async def test_a_turn_that_was_taken_back_has_not_happened() -> None:
    brain, conversation = ScriptLlm(CLINIC), Conversation()
    await replied(brain, conversation, "i need an appointment")
    await replied(brain, conversation, "tuesday")
    assert brain.slots == {"day": "Tuesday"}
    conversation.turns.pop()
    conversation.turns.pop()
    assert (await replied(brain, conversation, "monday at"))[0].startswith("Monday. At what time?")
    assert brain.slots == {"day": "Monday"}
    conversation.turns.pop()
    conversation.turns.pop()
    _, (call,) = await replied(brain, conversation, "monday at ten")
    assert dict(call.arguments) == {"day": "Monday", "hour": "ten"}


async def test_a_guess_at_a_turn_may_be_another_object_than_the_turn() -> None:
    brain, conversation = ScriptLlm(CLINIC), Conversation()
    await replied(brain, conversation, "tuesday")
    conversation.turns[0] = replace(conversation.turns[0])
    _, (call,) = await replied(brain, conversation, "ten")
    assert dict(call.arguments) == {"day": "Tuesday", "hour": "ten"}


async def test_a_turn_of_the_agent_that_nobody_heard_may_vanish() -> None:
    brain, conversation = ScriptLlm(CLINIC), Conversation()
    await replied(brain, conversation, "tuesday")
    del conversation.turns[1]
    _, (call,) = await replied(brain, conversation, "ten")
    assert dict(call.arguments) == {"day": "Tuesday", "hour": "ten"}


async def test_a_long_call_is_remembered_by_its_last_turns() -> None:
    brain, conversation = ScriptLlm(CLINIC), Conversation(keep_turns=3)
    for text in ("tuesday", *["say that again"] * 20):
        await replied(brain, conversation, text)
    _, (call,) = await replied(brain, conversation, "ten")
    assert dict(call.arguments) == {"day": "Tuesday", "hour": "ten"}


async def test_the_result_of_a_tool_is_gone_on_from() -> None:
    brain, conversation = ScriptLlm(CLINIC), Conversation()
    await replied(brain, conversation, "tuesday at ten")
    conversation.add(Turn("tool", "free"))
    assert await answered(brain, conversation) == ("Tuesday at ten is free. Shall I book it?", [])
    said, (call,) = await replied(brain, conversation, "yes")
    assert (said, call.name) == ("", "book")
    conversation.add(Turn("tool", "booked"))
    said, (call,) = await answered(brain, conversation)
    assert said.startswith("It is booked")
    assert call.name == "hang_up"
    conversation.add(Turn("tool", "null"))
    assert await answered(brain, conversation) == ("", [])


# --- files ----------------------------------------------------------------------------------------------------------

FILE = """\
start: a
slots:
  day: [monday]
rules:
  when: on <day>
states:
  a:
    says: Hello {day}.
    hears:
      <when>: b
  b:
    ends: true
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("start: a", "start: c", 1, "no state 'c': there are a, b"),
        ("start: a\n", "", 1, "needs `start`"),
        ("{day}", "{hour}", 8, "no slot 'hour': there are day"),
        ("<when>: b", "<then>: b", 10, "nothing is called <then>: there are when, day"),
        ("<when>: b", "<when>: {goes: b}", 10, "no 'goes': there are goto"),
        ("<when>: b", "<when: b", 10, "'<when': '<' at column 1 is no word"),
        ("<when>: b", "<when>: {}", 10, "a reaction is"),
        ("    ends: true", "    end: true", 12, "the state `b` has no 'end'"),
        ("    ends: true", "    ends: perhaps", 12, "true or false"),
        ("    ends: true", "    says: x", 12, "nothing follows the state `b`"),
        ("    ends: true", "    says: x\n    then: b", 12, "circle: b → b"),
        ("    ends: true", "    calls: x\n    ends: true", 12, "it has no `ends`"),
        ("    ends: true", "    calls: x", 12, "needs `fails`"),
        ("    ends: true", "    with: [day]\n    ends: true", 12, "`with` belongs to `calls`"),
        ("    ends: true", "    asks: {hour: When}", 12, "'hour', of which nothing can be said"),
        ("when: on <day>", "when: on <when>", 5, "<when> refers to itself"),
        ("when: on <day>", "day: on", 5, "a slot already"),
        ("[monday]", "monday", 3, "a list of values"),
        ("[monday]", "[<when>]", 3, "refers to nothing"),
        ("  b:\n", "  a:\n", 11, "'a' stands here twice"),
        ("rules:", "rules", 5, "':'"),
        ("states:", "states: x\nmore:", 7, "no 'more'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(old: str, new: str, line: int, says: str) -> None:
    parse_dialogue(FILE)
    assert old in FILE
    with pytest.raises(DialogueError) as caught:
        parse_dialogue(FILE.replace(old, new, 1), "my.yaml")
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"my.yaml:{line}: ")


def test_the_guide_has_a_dialogue_that_can_be_had() -> None:
    guide = (CLINIC.parents[1] / "docs" / "guide" / "agent-offline.md").read_text()
    dialogue = parse_dialogue(guide.partition("```yaml\n")[2].partition("```")[0])
    step = dialogue.hear(dialogue.begin().memory, "I need an appointment on Tuesday at 9 30")
    assert step.calls == Wanted("look_up", {"day": "Tuesday", "hour": "9:30"})
    assert dialogue.outcome(step.memory, "taken").says == "That is taken. Tuesday, at what time?"


@pytest.mark.parametrize("text", ["", "- a", "start: [", "a: &x {b: *x}", "[" * 5000, "\0"])
def test_what_is_no_dialogue_at_all_is_told_too(text: str) -> None:
    with pytest.raises(DialogueError):
        parse_dialogue(text)


def test_a_file_that_is_missing_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(DialogueError, match="No such file"):
        read_dialogue(tmp_path / "no.yaml")
