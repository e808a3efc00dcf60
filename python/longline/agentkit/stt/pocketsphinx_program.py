"""The program that hears for `PocketsphinxStt`: decoding holds Python's lock for milliseconds at a time, so that it is
done in a process of its own.

Its standard input has messages, each a letter, a length (4 bytes, little-endian) and so many bytes; its output has a
line of JSON for each thing told. It ends with its input.

    A  a frame of PCM                        {"partial": text}, when it has changed
    E  the turn is over                      {"final": text, "confidence": 0 to 1, "voiced_ms": …}, always one
    G  the grammar (JSGF) from the next      {"fault": problem}, when it cannot be used
       utterance on; empty: all of English
                                             {"ready": true}, first

An utterance begins with voice, by its level, and a little before it. What was understood is trusted by how well its
sounds fit the words: grammars find something in every noise.
"""

from __future__ import annotations

import importlib
import itertools
import json
import math
import os
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

import numpy

from longline.agentkit.turns.energy import EnergyRules, EnergyVad

RATE_HZ: Final = 16_000
"""Of the model that comes with pocketsphinx."""
BEFORE_MS: Final = 300.0
"""First consonants are quieter than what tells a voice."""
PARTIAL_EVERY_MS: Final = 100.0
LONGEST_MS: Final = 30_000.0
"""An utterance that is longer is ended, and another begun."""
MAX_GRAMMARS: Final = 64
"""That are kept compiled; of more, the oldest goes."""
ALL_FIT: Final = -4.2
"""Mean log likelihood a frame, against the best that the model has for it, at which words are as likely to have been
said as not. Measured over 8 kHz µ-law, three voices: what is in the grammar lies at -1.5 to -4, other words at -3 to
-6."""
EACH_FITS: Final = -4.8
"""The same of the one word that fits worst: -1.6 to -4.5, and -5 to -9. It tells that "an appointment" was not "at four
o'clock", however well the words around it fit."""
LONG_WORD: Final = 12
"""Frames; of a shorter one nothing is known for sure."""
FRAME_MS: Final = 10.0
STOP_MS: Final = EnergyRules().stop_ms
"""Of silence that counts as voice, until it is known to be none."""
_STEEP: Final = 0.4
_SCALE: Final = 1024.0
"""Of a search's own path the scores are told divided by this (`SENSCR_SHIFT`), of one through the lattice not."""
_NO_WORD: Final = re.compile(
    r"//[^\n]*|/\*.*?\*/|#JSGF[^;]*;|grammar\s[^;]*;|<[^>]*>|\{[^}]*\}|/[^/]*/|\bpublic\b", re.S
)
_WORD: Final = re.compile(r"[^\s|()\[\]*+;=]+")


class GrammarFault(Exception):
    """The text says what is wrong with it."""


def words_of_grammar(jsgf: str) -> set[str]:
    """What the dictionary must have."""
    return set(_WORD.findall(_NO_WORD.sub(" ", jsgf)))


class Hearing:
    """One caller's; without a grammar, all of English (which a telephone is too narrow for: grammars work)."""

    def __init__(self, rate_hz: int, words: Mapping[str, str] | None = None, *, all_english: bool = False) -> None:
        pocketsphinx, soxr = importlib.import_module("pocketsphinx"), importlib.import_module("soxr")
        # With a grammar, the best path through the lattice of words may end in the middle of a sentence; the search's
        # own does not, and is had at a third of the cost.
        self._decoder = pocketsphinx.Decoder(lm=None, bestpath=all_english, loglevel="FATAL")
        self._has_lattice = all_english
        self._model = pocketsphinx.get_model_path()
        for word, sounds in (words or {}).items():
            try:
                self._decoder.add_word(word.lower(), sounds.upper(), True)
            except RuntimeError as error:
                raise GrammarFault(f"{word}: {sounds!r} are no sounds of the model") from error
        # Up, cubic interpolation is not only the quickest but understood best.
        self._resampling: Any = None
        if rate_hz != RATE_HZ:
            quality = "QQ" if rate_hz < RATE_HZ else "MQ"
            self._resampling = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="int16", quality=quality)
        self._vad = EnergyVad()
        self._rate_hz = rate_hz
        self._at_ms = 0.0
        self._before: deque[bytes] = deque()
        self._grammars: dict[str, str] = {}
        self._names = itertools.count(1)
        self._wanted: str | None = None
        self._is_open = False
        self._voiced_ms = 0.0
        self._fed_ms = 0.0
        self._since_partial_ms = 0.0
        self._partial = ""

    def use(self, jsgf: str) -> None:
        """From the next utterance on. Raises GrammarFault; then the one before it stays."""
        if jsgf not in self._grammars:
            name = f"g{next(self._names)}"
            self._compile(name, jsgf)
            self._grammars[jsgf] = name
            if len(self._grammars) > MAX_GRAMMARS:
                oldest = next(known for known in self._grammars if known not in (jsgf, self._wanted))
                self._decoder.remove_search(self._grammars.pop(oldest))
        self._wanted = jsgf
        if not self._is_open:
            self._activate()

    def hear(self, pcm: bytes) -> Iterator[dict[str, Any]]:
        change = self._vad.hear(pcm, self._rate_hz, self._at_ms)
        length_ms = len(pcm) * 500 / self._rate_hz
        self._at_ms += length_ms
        sound = self._resampled(pcm)
        if self._is_open:
            self._feed(sound)
        else:
            self._before.append(sound)
            while sum(map(len, self._before)) > BEFORE_MS * 2 * RATE_HZ / 1_000:
                self._before.popleft()
        if change is not None and change[0] == "started" and not self._is_open:
            self._begin()
        if not self._is_open:
            return
        if self._vad.is_voiced:
            self._voiced_ms += length_ms
        self._since_partial_ms += length_ms
        if self._since_partial_ms >= PARTIAL_EVERY_MS:
            self._since_partial_ms = 0.0
            text, confidence = self._understood(_SCALE)
            if confidence >= 0.5 and text and text != self._partial:
                self._partial = text
                yield {"partial": text}
        if self._fed_ms >= LONGEST_MS:
            yield self.end()
            if self._vad.is_voiced:
                self._begin()

    def end(self) -> dict[str, Any]:
        """What was understood of the utterance; nothing, when there was none."""
        text, confidence, voiced_ms = "", 0.0, self._voiced_ms
        if self._is_open:
            self._decoder.end_utt()
            self._is_open = False
            text, confidence = self._understood(1.0 if self._has_lattice else _SCALE, voiced_ms - STOP_MS)
        self._before.clear()
        self._voiced_ms = 0.0
        self._activate()
        return {"final": text, "confidence": round(confidence, 3), "voiced_ms": round(voiced_ms)}

    def _compile(self, name: str, jsgf: str) -> None:
        try:
            if not jsgf:  # not before it is wanted: it is 90 MB
                self._decoder.add_lm_file(name, f"{self._model}/en-us/en-us.lm.bin")
                return
            unknown = sorted(word for word in words_of_grammar(jsgf) if self._decoder.lookup_word(word) is None)
            if unknown:
                raise GrammarFault(f"no pronunciation is known of {', '.join(unknown)}")
            self._decoder.add_jsgf_string(name, jsgf)
        except (RuntimeError, ValueError) as error:
            raise GrammarFault(f"the grammar cannot be read: {error}") from error

    def _activate(self) -> None:
        if self._wanted is not None:
            self._decoder.activate_search(self._grammars[self._wanted])

    def _begin(self) -> None:
        if self._wanted is None:
            self.use("")
        self._decoder.start_utt()
        self._is_open, self._partial = True, ""
        self._fed_ms = self._since_partial_ms = 0.0
        for sound in self._before:
            self._feed(sound)
        self._before.clear()

    def _feed(self, sound: bytes) -> None:
        if sound:
            self._decoder.process_raw(sound)
            self._fed_ms += len(sound) * 500 / RATE_HZ

    def _resampled(self, pcm: bytes) -> bytes:
        if self._resampling is None:
            return pcm
        return bytes(self._resampling.resample_chunk(numpy.frombuffer(pcm[: len(pcm) & ~1], "<i2")).tobytes())

    def _understood(self, scale: float, voiced_ms: float = 0.0) -> tuple[str, float]:
        """The text, and how well it fits its sounds: all of it, each word, and how much of the voice are words."""
        found = self._decoder.hyp()
        text = "" if found is None else str(found.hypstr or "").strip()
        if not text:
            return "", 0.0
        frames, fit, worst, pause = 0, 0.0, 0.0, (0, 0.0)
        spoken = 0
        for segment in self._decoder.seg() or ():
            length = segment.end_frame - segment.start_frame + 1
            its = scale * math.log(max(segment.ascore, 1e-300))
            if segment.word.startswith("("):
                continue  # a step of the grammar, and no sound
            if segment.word.startswith(("<", "[", "+")):
                pause = (pause[0] + length, pause[1] + its) if spoken else (0, 0.0)
                continue
            # What is taken for a pause between words has to fit as well.
            frames, fit, pause = frames + length + pause[0], fit + its + pause[1], (0, 0.0)
            spoken += length
            if length >= LONG_WORD:
                worst = min(worst, its / length)
        if not spoken:
            return text, 0.0
        covered = 1.0 if voiced_ms <= 0 else spoken * FRAME_MS / voiced_ms
        return text, min(_likely(fit / frames, ALL_FIT), _likely(worst, EACH_FITS), covered)


def _likely(fit: float, even: float) -> float:
    return 1 / (1 + math.exp(min(50.0, (even - fit) / _STEEP)))


def main(given: BinaryIO, told: BinaryIO) -> None:
    """`given` begins with a line of JSON: {"rate_hz": …, "words": {word: sounds}, "all_english": …}."""

    def tell(message: dict[str, Any]) -> None:
        told.write(json.dumps(message).encode() + b"\n")
        told.flush()

    try:
        hearing = Hearing(**json.loads(given.readline()))
    except (GrammarFault, ImportError) as error:
        tell({"fault": str(error)})
        return
    tell({"ready": True})
    while len(head := given.read(5)) == 5:
        body = given.read(int.from_bytes(head[1:], "little"))
        if head[:1] == b"A":
            for message in hearing.hear(body):
                tell(message)
        elif head[:1] == b"E":
            tell(hearing.end())
        else:
            try:
                hearing.use(body.decode())
            except GrammarFault as error:
                tell({"fault": str(error)})


if __name__ == "__main__":
    # What the parser of grammars cannot read it writes to the standard output.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    main(sys.stdin.buffer, answers)
