"""pocketsphinx hears speech over a telephone: what its grammar has, that the grammar changes, and what it does not."""

import asyncio
import contextlib
import resource
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy
import pytest

from longline.agentkit.mulaw import from_linear, to_linear
from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.resample import Resampler
from longline.agentkit.stt import pocketsphinx as adapter
from longline.agentkit.stt.pocketsphinx import UNCLEAR, PocketsphinxStt
from longline.agentkit.stt.pocketsphinx_program import words_of_grammar
from longline.agentkit.tts.flite import FliteTts

pytest.importorskip("pocketsphinx")
pytestmark = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")

RATE = 8_000
FRAME = 320
GRAMMAR = """#JSGF V1.0; grammar clinic;
<day> = monday | tuesday | wednesday | thursday | friday;
<hour> = nine | ten | eleven | two | three;
public <said> = [i need | i would like] an appointment [please]
  | [on] <day> [at <hour>] [please] | [at] <hour> [o'clock];
"""
ANSWERS = "#JSGF V1.0; grammar answers; public <said> = yes [please] | no [thank you] | say that again;"


async def spoken(text: str, *, quiet_ms: int = 500) -> list[bytes]:
    """Frames of a telephone: 8 kHz, by way of µ-law, with a silence before and after."""
    resampler = Resampler(RATE)
    pcm = (
        b"".join([resampler.convert(s.pcm, s.rate_hz) async for s in FliteTts(voice="rms").say(text)])
        + resampler.rest()
    )
    pcm = bytes(RATE * 2 * quiet_ms // 1000) + pcm + bytes(RATE * 2 * quiet_ms // 1000)
    pcm = to_linear(from_linear(pcm))
    return [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]


async def frames(*turns: str | Callable[[], None]) -> AsyncIterator[bytes]:
    for turn in turns:
        if callable(turn):
            turn()
            continue
        for frame in await spoken(turn):
            yield frame
        yield b""


async def heard(stt: PocketsphinxStt, *turns: str) -> list[Transcript]:
    async with contextlib.aclosing(stt.listen(frames(*turns), RATE)) as transcripts:
        return [transcript async for transcript in transcripts]


def finals(transcripts: list[Transcript]) -> list[str]:
    return [transcript.text for transcript in transcripts if transcript.is_final and transcript.text]


async def test_what_the_grammar_has_is_understood_over_a_telephone() -> None:
    said = ["I need an appointment please.", "Tuesday at ten, please.", "on friday at three", "at eleven o'clock"]
    assert finals(await heard(PocketsphinxStt(grammar=GRAMMAR), *said)) == [
        "i need an appointment please", "tuesday at ten please", "on friday at three", "at eleven o'clock",
    ]  # fmt: skip


async def test_it_is_told_while_it_is_said() -> None:
    transcripts = await heard(PocketsphinxStt(grammar=GRAMMAR), "I need an appointment please.")
    partials = [transcript.text for transcript in transcripts if not transcript.is_final]
    assert len(partials) >= 2
    assert partials[-1].startswith("i need an appointment")


async def test_what_the_grammar_lacks_is_unclear() -> None:
    assert finals(await heard(PocketsphinxStt(grammar=GRAMMAR), "The weather in Paris is lovely this year.")) == [
        UNCLEAR
    ]


async def test_one_word_that_does_not_fit_makes_it_unclear() -> None:
    """All around it do, and fit so well that the whole would pass."""
    grammar = (
        "#JSGF V1.0; grammar g; <hour> = four | ten; public <said> = i need at <hour> [o'clock] on monday [please];"
    )
    assert finals(await heard(PocketsphinxStt(grammar=grammar), "I need an appointment on Monday please.")) == [UNCLEAR]


async def test_a_short_noise_is_nothing() -> None:
    noise = numpy.random.default_rng(1).normal(0, 6_000, RATE // 5).astype("<i2").tobytes()
    quiet = bytes(FRAME)
    sound = [quiet] * 20 + [noise[at : at + FRAME] for at in range(0, len(noise), FRAME)] + [quiet] * 20

    async def audio() -> AsyncIterator[bytes]:
        for frame in (*sound, b""):
            yield frame

    async with contextlib.aclosing(PocketsphinxStt(grammar=GRAMMAR).listen(audio(), RATE)) as transcripts:
        assert finals([transcript async for transcript in transcripts]) == []


async def test_the_grammar_changes_with_the_dialogue() -> None:
    grammars = [GRAMMAR]
    stt = PocketsphinxStt(grammar=lambda: grammars[0])

    async def audio() -> AsyncIterator[bytes]:
        async for frame in frames(
            "Tuesday at ten.", lambda: grammars.__setitem__(0, ANSWERS), "Yes please.", "I need an appointment."
        ):
            yield frame

    async with contextlib.aclosing(stt.listen(audio(), RATE)) as transcripts:
        assert finals([transcript async for transcript in transcripts]) == ["tuesday at ten", "yes please", UNCLEAR]


async def test_every_turn_has_its_final_be_it_empty() -> None:
    async def audio() -> AsyncIterator[bytes]:
        for frame in (bytes(FRAME), b"", bytes(FRAME), b""):
            yield frame

    async with contextlib.aclosing(PocketsphinxStt(grammar=ANSWERS).listen(audio(), RATE)) as transcripts:
        assert [transcript.text async for transcript in transcripts] == ["", "", ""]


async def test_words_that_the_dictionary_lacks_are_taught() -> None:
    grammar = "#JSGF V1.0; grammar g; public <said> = call longline | call somebody else;"
    with pytest.raises(ProviderError, match="longline"):
        await heard(PocketsphinxStt(grammar=grammar), "call long line")
    taught = PocketsphinxStt(grammar=grammar, words={"longline": "L AO NG L AY N"})
    assert finals(await heard(taught, "call long line")) == ["call longline"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"grammar": "nonsense"}, "pronunciation|read"),
        ({"grammar": "#JSGF V1.0; grammar g; public <a> = (yes;"}, "read"),
        ({"words": {"longline": "X Y Z"}}, "sounds"),
    ],
)
async def test_what_cannot_be_used_is_a_fault(options: dict, says: str) -> None:
    with pytest.raises(ProviderError, match=says):
        await heard(PocketsphinxStt(**options), "yes")


async def test_the_loop_is_free_while_it_hears() -> None:
    own, others = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert await heard(PocketsphinxStt(), "Tuesday at ten.")  # all of English: slow
    assert time.process_time() - own < (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - others) / 2


def children() -> set[str]:
    return {child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()}


async def test_who_stops_listening_ends_the_process() -> None:
    before = children()

    async def audio() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b""

    async with contextlib.aclosing(PocketsphinxStt(grammar=ANSWERS).listen(audio(), RATE)) as transcripts:
        await anext(transcripts)
        assert len(children() - before) == 1
    assert children() == before


@pytest.mark.parametrize(
    ("program", "ready_within_s", "says"),
    [("import time; time.sleep(60)", 1.0, "stalled"), ("", 30.0, "ended"), ("print('x' * 2**21)", 30.0, "too much")],
)
async def test_a_process_that_fails_is_a_fault(
    program: str, ready_within_s: float, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_program.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(adapter, "PROGRAM", "broken_program")
    monkeypatch.setattr(adapter, "READY_WITHIN_S", ready_within_s)
    with pytest.raises(ProviderError, match=says):
        await heard(PocketsphinxStt(grammar=ANSWERS), "yes")


async def test_a_process_that_stalls_in_mid_call_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "stalling_program.py").write_text("import time; print('{\"ready\": true}', flush=True); time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(adapter, "PROGRAM", "stalling_program")
    monkeypatch.setattr(adapter, "FINAL_WITHIN_S", 0.3)

    async def audio() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.5)
        yield b""
        await asyncio.sleep(60)

    with pytest.raises(ProviderError, match="stalled"):
        async with contextlib.aclosing(PocketsphinxStt().listen(audio(), RATE)) as transcripts:
            await anext(transcripts)


def test_the_words_of_a_grammar_are_all_that_is_no_notation() -> None:
    grammar = "#JSGF V1.0;\ngrammar a.b;\n// no word\npublic <x> = /2/ yes {tag} [it's] (<y> | o'clock)*;"
    assert words_of_grammar(grammar) == {"yes", "it's", "o'clock"}
