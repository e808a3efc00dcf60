"""Words by which a listener says that he listens: "mm-hm", "right", "I see". They ask nobody to stop."""

from __future__ import annotations

from typing import Final

from longline.agentkit.turns.words import word_set, words_of

SINGLE: Final = word_set("""
    ah aha alright cool gotcha good great hm hmm huh interesting mhm mm mmm nice oh ok okay really right sure true uh
    uhhuh um wow yeah yep yes yup
""")
PHRASES: Final = (
    "all right",
    "go on",
    "got it",
    "i know",
    "i see",
    "i understand",
    "makes sense",
    "of course",
    "sounds good",
    "uh huh",
)
MAX_WORDS: Final = 4
"""A longer utterance is one, whatever it is made of."""


def is_backchannel(text: str) -> bool:
    """Whether this is nothing but such words. No words at all are none."""
    words = words_of(text)
    if not words or len(words) > MAX_WORDS:
        return False
    rest = f" {' '.join(words)} "
    for phrase in PHRASES:
        rest = rest.replace(f" {phrase} ", " ")
    return all(word in SINGLE for word in rest.split())
