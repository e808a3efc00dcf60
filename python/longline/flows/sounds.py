"""The sounds of a flow as files: what is played is fetched, what is said is spoken."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from longline.calls.bridge import FOR_EVER
from longline.calls.bridge import Sound as PlayedSound
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows import verbs
from longline.flows.media_files import MediaFiles
from longline.flows.place import within
from longline.flows.speech import SpeechFailed, SpokenTexts

SAID = "say"
"""How events name a text that is spoken: what it says is the application's affair."""

Audible = verbs.Play | verbs.Say | verbs.PlaySound | verbs.SaySound


class Sounds:
    """`open` lends a file for as long as it is played."""

    def __init__(self, media_files: MediaFiles, speech: SpokenTexts | None = None) -> None:
        """Without `speech` nothing can be said."""
        self._media_files = media_files
        self._speech = speech

    @contextlib.asynccontextmanager
    async def open(self, verb: Audible, place: str = "$") -> AsyncIterator[Path]:
        """The file; `place` is where the verb stands in its flow. Raise FlowFailed: flow_unreachable for a download,
        flow_invalid for a path, speech_failed."""
        async with contextlib.AsyncExitStack() as stack:
            with within(place):
                path = await stack.enter_async_context(self._lend(verb))
            yield path

    @contextlib.asynccontextmanager
    async def _lend(self, verb: Audible) -> AsyncIterator[Path]:
        if isinstance(verb, verbs.Play | verbs.PlaySound):
            async with self._media_files.open(verb.media_url) as path:
                yield path
            return
        if self._speech is None:
            raise FlowFailed(Reason.SPEECH_FAILED, "$.text: this server does not speak (speech.engine)")
        async with contextlib.AsyncExitStack() as stack:
            try:
                lent = self._speech.open(verb.text, verb.voice, verb.language)
                path = await stack.enter_async_context(lent)
            except SpeechFailed as error:
                raise FlowFailed(Reason.SPEECH_FAILED, f"$.text: {error}") from error
            yield path

    def open_file(self, media_url: str) -> contextlib.AbstractAsyncContextManager[Path]:
        """A file that is named outside of any flow. Raise FlowFailed."""
        return self._media_files.open(media_url)

    async def lend_to(
        self,
        stack: contextlib.AsyncExitStack,
        verb: verbs.Sound,
        place: str,
        default: int = 1,
    ) -> PlayedSound:
        """A nested sound, until the stack is closed; `default` is how often it is played if it does not say."""
        path = await stack.enter_async_context(self.open(verb, place))
        return PlayedSound(path, source_of(verb), times(verb, default))


def source_of(verb: Audible) -> str:
    """How events name it."""
    return verb.media_url if isinstance(verb, verbs.Play | verbs.PlaySound) else SAID


def times(verb: verbs.Sound, default: int = 1) -> int:
    """How often it is played."""
    if verb.loop is None:
        return default
    if isinstance(verb.loop, bool):
        return FOR_EVER if verb.loop else 1
    return verb.loop
