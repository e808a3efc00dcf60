"""Where words end in a text, of what a voice tells of its sound."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import elevenlabs_service
from tests.support.elevenlabs_service import ElevenLabsVoice

from longline.agentkit.testing.written import MS_PER_LETTER
from longline.agentkit.tts.alignment import Alignment, Samples
from longline.agentkit.tts.elevenlabs import ElevenLabsTts


def by_words(text: str, *words: str) -> list[str]:
    """The text up to the end of each word that was found."""
    ends = Alignment(text).words(words, [float(number) for number in range(len(words))])
    return [text[: end.end] for end in ends]


def by_characters(text: str, told: str) -> list[str]:
    ends = Alignment(text).characters(told, [float(number) for number in range(len(told))])
    return [text[: end.end] for end in ends]


def test_words_take_their_marks_with_them() -> None:
    assert by_words("“At nine,” she said.", "At", "nine", "she", "said.") == [
        "“At",
        "“At nine,”",
        "“At nine,” she",
        "“At nine,” she said.",
    ]


def test_what_was_said_otherwise_than_written_is_passed_over() -> None:
    assert by_words("It is $9 a day.", "It", "is", "nine", "dollars", "a", "day") == [
        "It",
        "It is",
        "It is $9 a",
        "It is $9 a day.",
    ]
    assert by_characters("At 9:30, yes.", "At  nine thirty, yes.")[0] == "At"


def test_a_word_that_is_not_there_is_not_looked_for_far_away() -> None:
    text = "one two three four five six seven eight nine ten"
    assert by_words(text, "one", "ten", "two") == ["one", "one two"]


def test_characters_make_words_across_pieces() -> None:
    alignment = Alignment("At nine, yes.")
    first = alignment.characters("At ni", [0.1, 0.2, 0.3, 0.4, 0.5])
    second = alignment.characters("ne, yes.", [0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3])
    assert [(end.end, end.at_ms) for end in (*first, *second)] == [
        (2, pytest.approx(200)),
        (8, pytest.approx(800)),
        (13, pytest.approx(1_300)),
    ]


def test_languages_without_spaces_end_with_their_sentence() -> None:
    assert by_words("はい、そうです。", "はい", "そう", "です") == ["はい、", "はい、そう", "はい、そうです。"]


def test_nothing_is_lost_of_samples_that_are_cut() -> None:
    pcm, samples = bytes(range(20)), Samples()
    assert b"".join(samples.whole(pcm[at : at + 3]) for at in range(0, 20, 3)) == pcm


async def test_times_that_begin_anew_with_each_piece_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = elevenlabs_service.pieces

    def each_from_nought(text: str, rate_hz: int) -> Iterator[dict[str, Any]]:
        for piece in whole(text, rate_hz):
            alignment = piece["alignment"]
            begin = alignment["character_start_times_seconds"][0]
            alignment["character_end_times_seconds"] = [at - begin for at in alignment["character_end_times_seconds"]]
            assert base64.b64decode(piece["audio_base64"])
            yield piece

    monkeypatch.setattr(elevenlabs_service, "pieces", each_from_nought)
    text = "We open at nine on every day of the week."
    async with ElevenLabsVoice() as service:
        tts = ElevenLabsTts(voice="v", api_key="k", base_url=service.url)
        ends = [end async for sound in tts.say(text) for end in sound.ends]
        await tts.aclose()
    assert [end.at_ms for end in ends] == pytest.approx([end.end * MS_PER_LETTER for end in ends])
    assert ends[-1].end == len(text)
