"""What was said in a call, by ear: whether some words occur in a piece of telephone audio.

pocketsphinx looks for the words themselves, which over a telephone line is much surer than understanding all; still it
now and then misses words that were said. It works in a process of its own: calls go on meanwhile.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Final, Self

from longline.agentkit.resample import Resampler
from longline.agentkit.turns.words import words_of
from longline.cli.rehearsal.rtp import RATE_HZ

MODEL_HZ: Final = 16_000
MAX_S: Final = 60.0
"""Of a longer piece the end is listened to."""
PATIENCE_S: Final = 30.0
LONG_PHONES: Final = 4
MOST: Final = 0.6


class Ears:
    """`async with Ears() as ears: await ears.hear(pcm, "monday at nine")`. `is_there`: pocketsphinx is installed."""

    def __init__(self) -> None:
        self.is_there = importlib.util.find_spec("pocketsphinx") is not None
        self._pool: ProcessPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def hear(self, pcm: bytes, words: str) -> bool:
        """Whether the words were said in PCM of 16 bits at RATE_HZ; False also when it could not be told."""
        if not self.is_there or not pcm:
            return False
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        piece = pcm[-round(MAX_S * 2 * RATE_HZ) :]
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.get_running_loop().run_in_executor(self._pool, spot, piece, words)
        except (TimeoutError, BrokenProcessPool, RuntimeError):
            self._pool = None
            return False


def spot(pcm: bytes, words: str) -> bool:
    """In the process that listens: whether it hears the words as a whole, or most of the longer ones apart."""
    decoder, spoken = _decoder(), words_of(words)
    phones = {word: len((decoder.lookup_word(word) or "").split()) for word in spoken}
    if not spoken or not all(phones.values()):
        return False  # a word that its dictionary does not have
    whole, long = " ".join(spoken), [word for word, count in phones.items() if count >= LONG_PHONES]
    wanted = {whole: sum(phones[word] for word in spoken)} | {word: phones[word] for word in long}
    with tempfile.NamedTemporaryFile("w", suffix=".kws") as file:
        # The longer it is, the less likely it comes about by chance, and the more of it may be unclear.
        file.writelines(f"{text} /1e-{round(2 + 4.5 * count)}/\n" for text, count in wanted.items())
        file.flush()
        decoder.add_kws("words", file.name)
        decoder.activate_search("words")
    resampler = Resampler(MODEL_HZ)
    quiet = bytes(2 * MODEL_HZ // 5)
    decoder.start_utt()
    decoder.process_raw(quiet + resampler.convert(pcm, RATE_HZ) + resampler.rest() + quiet, full_utt=True)
    decoder.end_utt()
    heard = {segment.word.strip() for segment in decoder.seg() or ()}
    return whole in heard or (len(long) > 1 and len(heard.intersection(long)) >= MOST * len(long))


@functools.cache
def _decoder() -> Any:
    """Its model takes longer to read than a sentence to hear."""
    sphinx: Any = importlib.import_module("pocketsphinx")
    return sphinx.Decoder(lm=None, samprate=MODEL_HZ, loglevel="FATAL")
