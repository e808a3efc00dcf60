"""What is said when something is wrong is there whatever fails."""

from collections.abc import AsyncIterator

import pytest
from tests.unit.agentkit.fakes import FakeTts

from longline.agentkit import phrases, resample
from longline.agentkit.phrases import Phrases, recorded
from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.testing import virtual_time
from longline.agentkit.turns.energy import level_db


class NoTts:
    async def say(self, text: str) -> AsyncIterator[Sound]:
        raise ProviderError("tts", "is down")
        yield


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_a_recording_is_said_where_no_voice_can(rate_hz: int) -> None:
    said = Phrases()
    await said.prepare(NoTts(), rate_hz)
    for text in (said.wait, said.sorry, said.goodbye):
        assert level_db(said.sound(text, rate_hz)) > -30
        assert 1.0 < len(said.sound(text, rate_hz)) / 2 / rate_hz < 6.0


@virtual_time
async def test_a_voice_says_them_when_it_can_and_once_is_enough() -> None:
    said, tts = Phrases(wait="Moment."), FakeTts()
    await said.prepare(tts, 8_000)
    assert said.sound("Moment.", 8_000) != recorded("wait", 8_000)
    await said.prepare(tts, 8_000)
    assert len(tts.said) == 3


def test_without_a_resampler_it_is_still_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError

    monkeypatch.setattr(resample, "_soxr", missing)
    assert len(phrases.recorded.__wrapped__("wait", 16_000)) == 2 * len(recorded("wait", 8_000))
