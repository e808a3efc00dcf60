"""A dialogue as data, and its course: what is heard or has come of a tool goes in, what is said and done comes out.

    memory = dialogue.begin()
    step = dialogue.hear(memory, "an appointment on tuesday, please")
    step.says, step.calls, step.memory

No I/O, no clock, and nothing that is changed: a step that turns out not to have been taken is forgotten by going on
from the memory before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from longline.agentkit.dialogue.phrase import Phrase, words

HANG_UP: Final = "hang_up"
"""The tool that ends the call, wanted by a state that `ends`."""
ENOUGH: Final = 0.5
"""A phrase within other words is understood when it is so much of them."""
WHOLE: Final = 0.95
MAY_GO_ON: Final = 0.65
BEGUN: Final = 0.2
MAX_WORDS: Final = 100
"""Of one turn that are looked at."""
_FIELD: Final = re.compile(r"\{(\w+)\}")
_IGNORED: Final = frozenset(words("ah hello hey hi oh okay please so thanks uh um well").split())
"""Not counted among the words around a phrase."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What comes of something: words, slots that are then known no more, and the state to go to (None: it stays)."""

    goto: str | None = None
    says: str = ""
    forgets: tuple[str, ...] = ()
    again: bool = False
    """What was said last is said again."""


@dataclass(frozen=True, slots=True)
class State:
    """On entering: `says`, `forgets`, then it `calls` a tool with slots, or `asks` for the first slot that is not
    known, or goes on (`then`), or waits for what it `hears`, or `ends` the call."""

    name: str
    says: str = ""
    forgets: tuple[str, ...] = ()
    asks: Mapping[str, str] = field(default_factory=dict)
    hears: tuple[tuple[Phrase, Reaction], ...] = ()
    then: str | None = None
    calls: str | None = None
    gives: tuple[str, ...] = ()
    """Slots that are the tool's arguments."""
    outcomes: Mapping[str, Reaction] = field(default_factory=dict)
    fails: Reaction | None = None
    lost: tuple[str, ...] = ()
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """Where a dialogue is, and what it knows. `calling` is the state whose tool is being waited for."""

    state: str
    slots: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    misses: int = 0
    calling: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool that is to be run."""

    tool: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    memory: Memory
    says: str = ""
    calls: Wanted | None = None


@dataclass(frozen=True)
class Dialogue:
    """`slots` has, for each, what is said for a value and what it means. `anywhere` is understood in every state.
    `lost` is said one after the other when nothing is understood; after the last of them, `gives_up` is entered."""

    start: str
    states: Mapping[str, State]
    slots: Mapping[str, tuple[tuple[Phrase, str], ...]] = field(default_factory=dict)
    rules: Mapping[str, Phrase] = field(default_factory=dict)
    anywhere: tuple[tuple[Phrase, Reaction], ...] = ()
    lost: tuple[str, ...] = ("Sorry, I did not understand that.",)
    gives_up: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    """How words are pronounced that a recogniser's dictionary lacks."""

    def begin(self) -> Step:
        """The words are the greeting."""
        return self._enter(Memory(self.start), self.start, [])

    def hear(self, memory: Memory, text: str) -> Step:
        """What the caller says."""
        found = self._understand(memory.state, text)
        if found is None:
            return self._lost(memory)
        reaction, slots = found
        return self._react(replace(memory, slots={**memory.slots, **slots}, misses=0, calling=None), reaction)

    def outcome(self, memory: Memory, result: str) -> Step:
        """What has come of the tool that was wanted: a text, or an object with `outcome` and slots."""
        state = self.states.get(memory.calling or "")
        memory = replace(memory, calling=None)
        if state is None:  # the call ends
            return Step(memory)
        name, slots, has_failed = _read(result)
        known = {slot: value for slot, value in slots.items() if slot in self.slots}
        memory = replace(memory, slots={**memory.slots, **known})
        reaction = None if has_failed else state.outcomes.get(name)
        reaction = reaction or state.fails
        return self._react(memory, reaction) if reaction is not None else self._lost(memory)

    def grammar(self, memory: Memory) -> str:
        """All that is understood now, in JSGF."""
        return self._grammars.setdefault(memory.state, self._grammar_of(memory.state))

    def completeness(self, memory: Memory, text: str) -> float | None:
        """How finished it is (`turns/endpointing`): a phrase that nothing can follow, one that may go on, or the
        beginning of one. None: it is none of these."""
        said = tuple(words(text).split()[:MAX_WORDS])
        is_whole = goes_on = False
        for phrase, _ in self._heard_in(memory.state):
            ends, more = self._follow(phrase, said, 0)
            is_whole |= len(said) in ends
            goes_on |= bool(more)  # "please" too: it may come after a pause
        if is_whole:
            return MAY_GO_ON if goes_on else WHOLE
        return BEGUN if goes_on and said else None

    # What is understood.

    def _follow(self, phrase: Phrase, said: tuple[str, ...], at: int) -> tuple[set[int], set[str]]:
        """From here on: where it may end, and which words may come after the last that was said."""
        if phrase.kind == "word":
            if at == len(said):
                return set(), {phrase.text}
            return ({at + 1} if said[at] == phrase.text else set()), set()
        ways: Iterable[Phrase] = phrase.parts
        if phrase.kind == "name":
            ways = (
                [self.rules[phrase.text]]
                if phrase.text in self.rules
                else [each for each, _ in self.slots[phrase.text]]
            )
        ends, more = ({at} if phrase.kind in ("maybe", "all") else set()), set[str]()
        for part in ways:
            begins = ends if phrase.kind == "all" else {at}
            found = [self._follow(part, said, begin) for begin in begins]
            reached = set[int]().union(*(each for each, _ in found))
            more |= set[str]().union(*(each for _, each in found))
            ends = reached if phrase.kind == "all" else ends | reached
        return ends, more

    def _heard_in(self, state: str) -> Iterator[tuple[Phrase, Reaction]]:
        """By whoever asks for a slot its value is heard as well."""
        yield from self.states[state].hears
        for slot in self.states[state].asks:
            yield Phrase("name", slot), Reaction(state)
        yield from self.anywhere

    def _understand(self, state: str, text: str) -> tuple[Reaction, dict[str, str]] | None:
        said = " ".join(words(text).split()[:MAX_WORDS]) + " "
        best: tuple[int, Reaction, dict[str, str]] | None = None
        for (regex, slots), reaction in self._matchers(state):
            if (match := regex.fullmatch(said)) is not None:
                return reaction, _values(match, slots)
            # Within other words: the longest, the first of equals.
            for match in regex.finditer(said):
                length = len(match.group().split())
                if (match.start() == 0 or said[match.start() - 1] == " ") and (best is None or length > best[0]):
                    best = length, reaction, _values(match, slots)
        around = [word for word in said.split() if word not in _IGNORED]
        return (best[1], best[2]) if best is not None and best[0] >= ENOUGH * len(around) else None

    def _matchers(self, state: str) -> list[tuple[tuple[re.Pattern[str], list[tuple[str, str]]], Reaction]]:
        if state not in self._compiled:
            self._compiled[state] = [(self._compile(phrase), reaction) for phrase, reaction in self._heard_in(state)]
        return self._compiled[state]

    def _compile(self, phrase: Phrase) -> tuple[re.Pattern[str], list[tuple[str, str]]]:
        """The groups of the expression are the values of slots, in order."""
        groups: list[tuple[str, str]] = []

        def of_name(name: str) -> str:
            if name in self.rules:
                return f"(?:{self.rules[name].regex(of_name)})"
            ways = []
            for said, meaning in self.slots[name]:
                groups.append((name, meaning))
                ways.append(f"({said.regex(of_name)})")
            return f"(?:{'|'.join(ways)})"

        return re.compile(phrase.regex(of_name)), groups

    @cached_property
    def _compiled(self) -> dict[str, list[tuple[tuple[re.Pattern[str], list[tuple[str, str]]], Reaction]]]:
        return {}

    @cached_property
    def _grammars(self) -> dict[str, str]:
        return {}

    def _grammar_of(self, state: str) -> str:
        heard = [spoken for phrase, _ in self._heard_in(state) if (spoken := phrase.jsgf())]
        if not heard:
            return ""
        lines = ["#JSGF V1.0;", f"grammar {state};", f"public <said_here> = {' | '.join(heard)};"]
        for name in sorted(self._names(state)):
            phrases = [self.rules[name]] if name in self.rules else [phrase for phrase, _ in self.slots[name]]
            lines.append(f"<{name}> = {' | '.join(spoken for phrase in phrases if (spoken := phrase.jsgf()))};")
        return "\n".join(lines) + "\n"

    def _names(self, state: str) -> set[str]:
        found: set[str] = set()
        left = [name for phrase, _ in self._heard_in(state) for name in phrase.names()]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self.rules[name].names() if name in self.rules else ()
        return found

    # What comes of it.

    def _react(self, memory: Memory, reaction: Reaction) -> Step:
        if reaction.again:
            return Step(memory, memory.said)
        says = [self._filled(reaction.says, memory)]
        memory = self._forget(memory, reaction.forgets)
        if reaction.goto is not None:
            return self._enter(memory, reaction.goto, says)
        return self._said(memory, says)

    def _enter(self, memory: Memory, name: str, says: list[str]) -> Step:
        """Through states that wait for nothing; the reader of files has made sure that there is an end to them."""
        while True:
            state = self.states[name]
            says.append(self._filled(state.says, memory))
            memory = self._forget(memory, state.forgets)
            if state.calls is not None:
                arguments = {slot: memory.slots.get(slot, "") for slot in state.gives}
                return self._said(replace(memory, calling=name), says, Wanted(state.calls, arguments))
            memory = replace(memory, state=name)
            missing = next((slot for slot in state.asks if slot not in memory.slots), None)
            if missing is not None:
                says.append(self._filled(state.asks[missing], memory))
            elif state.ends:
                return self._said(memory, says, Wanted(HANG_UP, {}))
            elif state.then is not None:
                name = state.then
                continue
            return self._said(memory, says)

    def _lost(self, memory: Memory) -> Step:
        texts = self.states[memory.state].lost or self.lost
        if memory.misses >= len(texts) and self.gives_up is not None and memory.state != self.gives_up:
            return self._enter(replace(memory, misses=0), self.gives_up, [])
        text = self._filled(texts[min(memory.misses, len(texts) - 1)], memory)
        return Step(replace(memory, misses=memory.misses + 1), text)

    def _said(self, memory: Memory, says: list[str], calls: Wanted | None = None) -> Step:
        text = " ".join(part for part in says if part)
        return Step(replace(memory, said=text or memory.said), text, calls)

    def _forget(self, memory: Memory, slots: tuple[str, ...]) -> Memory:
        return replace(memory, slots={k: v for k, v in memory.slots.items() if k not in slots}) if slots else memory

    def _filled(self, text: str, memory: Memory) -> str:
        return _FIELD.sub(lambda match: memory.slots.get(match[1], ""), text)


def fields_of(text: str) -> set[str]:
    """The slots whose values stand in a text."""
    return set(_FIELD.findall(text))


def _values(match: re.Match[str], groups: list[tuple[str, str]]) -> dict[str, str]:
    return {slot: meaning for (slot, meaning), said in zip(groups, match.groups(), strict=True) if said is not None}


def _read(result: str) -> tuple[str, dict[str, str], bool]:
    """The outcome, the slots that come with it, and whether it is a failure."""
    try:
        told = json.loads(result)
    except ValueError:
        return result.strip(), {}, False
    if not isinstance(told, dict):
        return str(told), {}, False
    values = {str(name): str(value) for name, value in told.items() if not isinstance(value, (dict, list))}
    return values.get("outcome", ""), values, "error" in told
