"""What the language model is told of a call."""

import pytest

from longline.agentkit.conversation import MAX_TEXT, Conversation, Turn


def test_an_interrupted_answer_is_told_as_far_as_it_was_heard() -> None:
    conversation = Conversation("You are a clinic.")
    conversation.add(Turn("caller", "When do you open?"))
    answer = conversation.add(Turn("agent", "We open at nine, and on Saturdays at ten."))
    conversation.heard_by_caller(answer, "We open at nine,", was_interrupted=True)
    assert conversation.messages() == [
        {"role": "system", "content": "You are a clinic."},
        {"role": "user", "content": "When do you open?"},
        {"role": "assistant", "content": "We open at nine, …"},
    ]


def test_an_answer_of_which_nothing_was_heard_was_never_given() -> None:
    conversation = Conversation()
    conversation.add(Turn("caller", "Hello?"))
    conversation.heard_by_caller(conversation.add(Turn("agent", "Good morning.")), "", was_interrupted=True)
    assert [turn.role for turn in conversation.turns] == ["caller"]


def test_a_call_for_a_tool_stays_even_when_its_words_were_not_heard() -> None:
    conversation = Conversation()
    turn = conversation.add(Turn("agent", "Let me see.", more={"tool_calls": [{"id": "1"}]}))
    conversation.add(Turn("tool", "free at three", more={"tool_call_id": "1"}))
    conversation.heard_by_caller(turn, "", was_interrupted=True)
    assert [message["role"] for message in conversation.messages()] == ["assistant", "tool"]


def test_a_call_of_hours_is_remembered_within_a_bound_and_by_notes() -> None:
    conversation = Conversation(keep_turns=10, keep_notes=3, note=lambda turn: turn.text.upper())
    for number in range(10_000):
        conversation.add(Turn("caller" if number % 2 else "agent", f"turn {number}"))
    assert len(conversation.turns) == 10 and conversation.forgotten == 9_990
    (system, *rest) = conversation.messages()
    assert system["content"] == "Earlier in this call:\n- TURN 9987\n- TURN 9988\n- TURN 9989"
    assert rest[-1]["content"] == "turn 9999"


def test_a_result_never_outlives_the_call_for_it() -> None:
    conversation = Conversation(keep_turns=3)
    for role, text in (("agent", "call"), ("tool", "result"), ("tool", "result"), ("agent", "so"), ("caller", "yes")):
        conversation.add(Turn(role, text))  # type: ignore[arg-type]
    assert [turn.text for turn in conversation.turns] == ["so", "yes"]


def test_a_turn_has_a_longest_text_and_the_bounds_are_checked() -> None:
    assert len(Conversation().add(Turn("caller", "x" * 2 * MAX_TEXT)).text) == MAX_TEXT
    with pytest.raises(ValueError, match="keep_turns"):
        Conversation(keep_turns=0)
