"""eSpeak NG: a hundred languages, no key, no network. Its sound comes while it is made.

It is GPL, and is used as a program of its own.
"""

from __future__ import annotations

from longline.agentkit.tts.program import ProgramVoice


class EspeakTts(ProgramVoice):
    """`voice` is a language or a name of `espeak-ng --voices`: "de", "pt-br", "en-us+f3". `words_per_minute` is its
    pace, `pitch` 0 to 99."""

    def __init__(
        self, *, voice: str = "en-us", words_per_minute: int = 160, pitch: int = 50, program: str = "espeak-ng"
    ) -> None:
        if not 80 <= words_per_minute <= 450:
            raise ValueError("words_per_minute is 80 to 450")
        if not 0 <= pitch <= 99:
            raise ValueError("pitch is 0 to 99")
        command = (program, "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdin", "--stdout")
        super().__init__("espeak-ng", command, by_stdin=True, install="apt-get install espeak-ng")
