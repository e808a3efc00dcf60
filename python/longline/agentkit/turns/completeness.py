"""Whether a sentence sounds finished, by its last words alone: no model, no network, a few languages' small words.

A guess for the endpointer, which never waits less than its shortest nor longer than its longest for it.
"""

from __future__ import annotations

from typing import Final

from longline.agentkit.turns.words import word_set, words_of

GOES_ON: Final = word_set("""
    a about also an and are as at because but by can could do does er for from has have hmm how i if in into is like
    maybe my next of on or our over so than that the their then this to uh um until was we well were what when where
    which who why will with would your
""")
"""A sentence that ends in one of these is not over."""
STANDS_ALONE: Final = word_set("""
    always bye cancel correct exactly goodbye hello help hi never no nope ok okay right stop sure thanks yeah yep yes
""")
"""One of these is a whole answer."""


def sounds_finished(text: str) -> float | None:
    """0 to 1 by the last word and the mark behind it; None when they say nothing."""
    words = words_of(text)
    if not words:
        return None
    end = text.rstrip()[-1:]
    if end in "?!.":
        return 0.9
    if end in ",;:-–…" or words[-1] in GOES_ON:
        return 0.1
    if words[-1] in STANDS_ALONE and len(words) <= 3:
        return 0.9
    return None
