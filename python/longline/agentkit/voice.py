"""A synthesiser's voice at the rate of a line, with an end to every wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Sound, TextToSpeech
from longline.agentkit.resample import Resampler

SOUND_WITHIN_S: Final = 10.0
"""A synthesiser that gives no sound for so long has failed."""


async def spoken(
    tts: TextToSpeech, text: str, rate_hz: int, *, within_s: float = SOUND_WITHIN_S
) -> AsyncGenerator[Sound]:
    """The pieces of what `tts` makes of one sentence, at `rate_hz`. Whatever fails is a ProviderError. To be closed by
    its reader (`contextlib.aclosing`) when it is not read to its end."""
    resampler = Resampler(rate_hz)
    sounds = tts.say(text)
    try:
        while True:
            try:
                async with asyncio.timeout(within_s):
                    sound = await anext(sounds)
            except StopAsyncIteration:
                break
            yield Sound(resampler.convert(sound.pcm, sound.rate_hz), rate_hz, sound.ends)
        if rest := resampler.rest():
            yield Sound(rest, rate_hz)
    except ProviderError:
        raise
    except TimeoutError:
        raise ProviderError(name_of(tts), f"no sound for {within_s:g} s") from None
    except Exception as error:
        raise ProviderError(name_of(tts), f"{type(error).__name__}: {error}") from error
    finally:
        await closed(sounds)


def name_of(provider: object) -> str:
    return type(provider).__name__


async def closed(stream: AsyncIterator[Any]) -> None:
    """A stream of a provider is not read any more: whatever it has to say about that is too late."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        with contextlib.suppress(Exception):
            await close()


@contextlib.asynccontextmanager
async def closing(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """It is closed when it is left, if it can be."""
    try:
        yield stream
    finally:
        await closed(stream)
