"""A minute of each sound that is no interruption, in virtual time: what it may cost an agent that speaks.

The numbers are what is reached, with a little room: who makes them worse has to say so. `make bench-agent-barge-in` has
the same sounds for ten minutes, and real calls.
"""

import pytest
from tests.support import sounds
from tests.support.listener import Echo, listen
from tests.support.scenes import Scene, not_meant

MINUTES = 1.0
HISS = Scene("echo", sounds.noise(60 * MINUTES, 1, -62.0, "white"))
PAUSES = {
    "noise, white": 0,
    "noise, pink": 1,
    "noise, car": 1,
    "noise, street": 1,
    "noise that begins": 1,
    "keyboard": 0,
    "breaths": 4,
    "coughs": 10,
    "backchannels": 12,
    "backchannels, not understood": 10,
}
"""A pause for a cough or an "mm-hm" is no fault: it is taken back, and the agent goes on where it was."""


@pytest.mark.parametrize(
    "scene", [each for each in not_meant(MINUTES) if each.name in PAUSES], ids=lambda scene: scene.name
)
def test_nothing_of_it_interrupts_and_little_of_it_makes_the_agent_pause(scene: Scene) -> None:
    outcome = listen(scene)
    assert outcome.interruptions == []
    assert len(outcome.pauses) <= PAUSES[scene.name]
    assert outcome.heard_share > 0.7, "of all time, with the half second between two answers"


@pytest.mark.parametrize("name", ["music on hold", "far talk"])
def test_what_sounds_like_a_voice_makes_the_agent_wait_and_interrupts_nothing(name: str) -> None:
    (scene,) = (each for each in not_meant(MINUTES) if each.name == name)
    assert listen(scene).interruptions == []


@pytest.mark.parametrize("loss_db", [14, 20, 30])
def test_an_agent_that_hears_itself_learns_not_to_listen(loss_db: int) -> None:
    outcome = listen(HISS, echo=Echo(loss_db))
    assert outcome.interruptions == [] and len(outcome.pauses) <= 4
    assert outcome.heard_share > 0.7


@pytest.mark.parametrize("echo", [None, Echo(20)], ids=["no echo", "echo"])
def test_words_interrupt_at_once_also_over_an_echo(echo: Echo | None) -> None:
    said = sounds.talk(1.5, 3, -22.0)
    at = 20.0
    audio = HISS.audio.copy()
    first = round(at * sounds.RATE_HZ)
    audio[first : first + len(said)] = sounds.mixed(audio[first : first + len(said)], said)
    outcome = listen(Scene("an interruption", audio, ((at, at + 1.5, "no, that is wrong"),)), echo=echo)
    assert any(at < pause < at + 0.3 for pause in outcome.pauses)
    assert [each for each in outcome.interruptions if at < each < at + 0.6]


@pytest.mark.parametrize("name", ["music on hold", "far talk"])
def test_an_agent_does_not_wait_for_ever_for_a_voice_that_says_no_word(name: str) -> None:
    (scene,) = (each for each in not_meant(MINUTES) if each.name == name)
    assert listen(scene).heard_share > 0.6


def test_words_interrupt_an_agent_that_does_not_wait_for_music_any_more() -> None:
    (music,) = (each for each in not_meant(MINUTES) if each.name == "music on hold")
    said, at = sounds.talk(2.0, 3, -18.0), 30.0
    audio = music.audio.copy()
    first = round(at * sounds.RATE_HZ)
    audio[first : first + len(said)] = sounds.mixed(audio[first : first + len(said)], said)
    outcome = listen(Scene("words", audio, ((at, at + 2.0, "no, that is wrong"),)))
    assert [round(each - at, 1) for each in outcome.interruptions] == [pytest.approx(0.4, abs=0.2)]
