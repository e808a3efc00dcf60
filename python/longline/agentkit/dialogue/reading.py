"""A dialogue in a file of YAML. What is wrong with it is told with the file and the line.

start: wish
slots:
  day: [Monday, Tuesday]
  hour: {nine: 9 o'clock, half past nine: "9:30"}       # what is said: what it means
rules:
  when: "[on] <day> [at <hour>]"
anywhere:
  say that again | pardon: {again: true}
lost: ["Sorry?", Please say a day and an hour.]
gives_up: human

states:
  wish:
    says: Hello, this is the clinic.
    asks: {day: "Which day?", hour: "{day}, at what time?"}
    hears:
      "[i need] an appointment [<when>]": wish          # what is heard: the state to go to
      never mind: {says: As you like., goto: bye}
    then: look
  look:
    calls: look_up
    with: [day, hour]
    on: {free: book, taken: {says: That is taken., forgets: [hour], goto: wish}}
    fails: human
  …
  bye: {says: Goodbye., ends: true}
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from longline.agentkit.dialogue.dialogue import Dialogue, Reaction, State, fields_of
from longline.agentkit.dialogue.phrase import Phrase, PhraseError, parse_phrase
from longline.base.errors import LonglineError

MAX_BYTES: Final = 1_000_000
MAX_LOST: Final = 10
_TOP: Final = ("start", "slots", "rules", "anywhere", "lost", "gives_up", "words", "states")
_STATE: Final = ("says", "forgets", "asks", "hears", "then", "calls", "with", "on", "fails", "lost", "ends")
_REACTION: Final = ("goto", "says", "forgets", "again")
T = TypeVar("T")


class DialogueError(LonglineError):
    """`file:line: what is wrong`."""

    def __init__(self, file: str | Path, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.line = line


def read_dialogue(path: str | Path) -> Dialogue:
    """Raises DialogueError; ImportError when there is no YAML reader."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DialogueError(path, 1, f"longer than {MAX_BYTES:,} octets")
        return parse_dialogue(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise DialogueError(path, 0, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise DialogueError(path, 1, "not UTF-8") from error


def parse_dialogue(text: str, path: str | Path = "dialogue") -> Dialogue:
    """Raises DialogueError."""
    yaml = _yaml()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        raise DialogueError(path, mark.line + 1 if mark else 1, problem) from error
    if root is None:
        raise DialogueError(path, 1, "empty")
    return _Reader(path).dialogue(root)


class _Reader:
    """Nodes, which know their lines, into what they mean."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._states: set[str] = set()
        self._slots: dict[str, tuple[tuple[Phrase, str], ...]] = {}
        self._rules: dict[str, Phrase] = {}

    def dialogue(self, root: Any) -> Dialogue:
        top = self._mapping(root, _TOP, "a dialogue")
        for needed in ("start", "states"):
            if needed not in top:
                raise self._wrong(root, f"a dialogue needs `{needed}`")
        nodes = self._mapping(top["states"], None, "`states`")
        self._states = set(nodes)
        self._names(top.get("slots"), top.get("rules"))
        states = {name: self._state(name, node) for name, node in nodes.items()}
        self._all_wait(states, nodes)
        options: dict[str, Any] = {}
        if "lost" in top:
            options["lost"] = self._texts(top["lost"], "lost")
        if "gives_up" in top:
            options["gives_up"] = self._state_name(top["gives_up"])
        if "words" in top:
            sounds = self._mapping(top["words"], None, "`words`")
            options["words"] = {word: self._text(node, word) for word, node in sounds.items()}
        start = self._state_name(top["start"])
        return Dialogue(
            start, states, self._slots, self._rules, self._hears(top.get("anywhere"), "anywhere"), **options
        )

    # Slots and rules, which phrases refer to.

    def _names(self, slots: Any, rules: Any) -> None:
        slot_nodes = {} if slots is None else self._mapping(slots, None, "`slots`")
        rule_nodes = {} if rules is None else self._mapping(rules, None, "`rules`")
        if twice := next((name for name in rule_nodes if name in slot_nodes), None):
            raise self._wrong(rule_nodes[twice], f"{twice!r} is a slot already")
        for name, node in slot_nodes.items():
            self._slots[name] = self._values(node, name)
        self._rules = {name: self._phrase(node) for name, node in rule_nodes.items()}
        for name, node in rule_nodes.items():
            self._refers_to_known(self._rules[name], node)
            self._is_no_circle(name, node)

    def _values(self, node: Any, name: str) -> tuple[tuple[Phrase, str], ...]:
        if node.id == "sequence":
            pairs = [(each, each) for each in node.value]
        elif node.id == "mapping":
            pairs = node.value
        else:
            raise self._wrong(
                node, f"the slot `{name}` is a list of values, or a mapping of what is said to what it means"
            )
        values = [(self._phrase(said), self._text(meaning, name)) for said, meaning in pairs]
        for (phrase, _), (said, _) in zip(values, pairs, strict=True):
            if named := next(phrase.names(), None):
                raise self._wrong(said, f"a value of a slot refers to nothing: <{named}>")
        return tuple(values)

    def _is_no_circle(self, name: str, node: Any) -> None:
        seen: set[str] = set()
        left = list(self._rules[name].names())
        while left:
            other = left.pop()
            if other == name:
                raise self._wrong(node, f"<{name}> refers to itself")
            if other in self._rules and other not in seen:
                seen.add(other)
                left += self._rules[other].names()

    def _refers_to_known(self, phrase: Phrase, node: Any) -> None:
        for name in phrase.names():
            if name not in self._rules and not self._slots.get(name):
                known = ", ".join([*self._rules, *self._slots]) or "none"
                raise self._wrong(node, f"nothing is called <{name}>: there are {known}")

    # States.

    def _state(self, name: str, node: Any) -> State:
        found = self._mapping(node, _STATE, f"the state `{name}`")

        def given(key: str, read: Callable[[Any], T], otherwise: T) -> T:
            return read(found[key]) if key in found else otherwise

        asks = self._mapping(found["asks"], None, "`asks`") if "asks" in found else {}
        on = self._mapping(found["on"], None, "`on`") if "on" in found else {}
        for slot, question in asks.items():
            if not self._slots.get(slot):
                raise self._wrong(question, f"`asks` for {slot!r}, of which nothing can be said")
        state = State(
            name,
            says=given("says", lambda node: self._said(node, "says"), ""),
            forgets=given("forgets", self._slot_names, ()),
            asks={slot: self._said(question, slot) for slot, question in asks.items()},
            hears=self._hears(found.get("hears"), "hears"),
            then=given("then", self._state_name, None),
            calls=given("calls", lambda node: self._text(node, "calls"), None),
            gives=given("with", self._slot_names, ()),
            outcomes={outcome: self._reaction(reaction) for outcome, reaction in on.items()},
            fails=given("fails", self._reaction, None),
            lost=given("lost", lambda node: self._texts(node, "lost"), ()),
            ends=given("ends", lambda node: self._yes(node, "ends"), False),
        )
        if state.calls is None and (extra := next((key for key in ("with", "on", "fails") if key in found), None)):
            raise self._wrong(node, f"`{extra}` belongs to `calls`, which is missing")
        if state.calls is not None:
            if other := next((key for key in ("asks", "hears", "then", "ends") if key in found), None):
                raise self._wrong(node, f"a state that `calls` goes on by `on` and `fails`: it has no `{other}`")
            if state.fails is None:
                raise self._wrong(node, "a state that `calls` needs `fails`: what comes when the tool does not work")
        if state.ends and state.then is not None:
            raise self._wrong(node, "a state that `ends` has no `then`")
        return state

    def _all_wait(self, states: dict[str, State], nodes: dict[str, Any]) -> None:
        """Somebody has the turn in the end."""
        for name, state in states.items():
            if not (state.calls or state.asks or state.hears or state.then or state.ends):
                raise self._wrong(nodes[name], f"nothing follows the state `{name}`: hears, asks, then, calls or ends")
            seen, at = {name}, state
            while at.then is not None and not at.calls and not at.ends:
                # Slots that are asked for may be known, unless they were forgotten a moment before.
                if any(slot in at.forgets for slot in at.asks):
                    break
                if at.then in seen:
                    raise self._wrong(nodes[name], f"`then` leads in a circle: {' → '.join([*seen, at.then])}")
                seen.add(at.then)
                at = states[at.then]

    def _hears(self, node: Any, what: str) -> tuple[tuple[Phrase, Reaction], ...]:
        if node is None:
            return ()
        if node.id != "mapping":
            raise self._wrong(node, f"`{what}` is a mapping of phrases to what comes of them")
        heard = []
        for said, reaction in node.value:
            phrase = self._phrase(said)
            self._refers_to_known(phrase, said)
            heard.append((phrase, self._reaction(reaction)))
        return tuple(heard)

    def _reaction(self, node: Any) -> Reaction:
        if node.id == "scalar":
            return Reaction(self._state_name(node))
        found = self._mapping(node, _REACTION, "a reaction")
        if not found:
            raise self._wrong(node, f"a reaction is a state, or a mapping of {', '.join(_REACTION)}")
        return Reaction(
            self._state_name(found["goto"]) if "goto" in found else None,
            self._said(found["says"], "says") if "says" in found else "",
            self._slot_names(found["forgets"]) if "forgets" in found else (),
            self._yes(found["again"], "again") if "again" in found else False,
        )

    # Values.

    def _phrase(self, node: Any) -> Phrase:
        try:
            return parse_phrase(self._text(node, "a phrase"))
        except PhraseError as error:
            raise self._wrong(node, f"{node.value!r}: {error}") from error

    def _said(self, node: Any, name: str) -> str:
        text = self._text(node, name)
        if unknown := sorted(fields_of(text) - set(self._slots)):
            raise self._wrong(node, f"there is no slot {unknown[0]!r}: there are {', '.join(self._slots) or 'none'}")
        return text

    def _texts(self, node: Any, name: str) -> tuple[str, ...]:
        nodes = node.value if node.id == "sequence" else [node]
        if not 1 <= len(nodes) <= MAX_LOST:
            raise self._wrong(node, f"`{name}` is one to {MAX_LOST} texts")
        return tuple(self._said(each, name) for each in nodes)

    def _slot_names(self, node: Any) -> tuple[str, ...]:
        names = tuple(self._text(each, "a slot") for each in (node.value if node.id == "sequence" else [node]))
        if unknown := [name for name in names if name not in self._slots]:
            raise self._wrong(node, f"there is no slot {unknown[0]!r}: there are {', '.join(self._slots) or 'none'}")
        return names

    def _state_name(self, node: Any) -> str:
        name = self._text(node, "a state")
        if name not in self._states:
            raise self._wrong(node, f"there is no state {name!r}: there are {', '.join(sorted(self._states))}")
        return name

    def _yes(self, node: Any, name: str) -> bool:
        if self._text(node, name) not in ("true", "false"):
            raise self._wrong(node, f"`{name}` is true or false")
        return bool(node.value == "true")

    def _text(self, node: Any, name: str) -> str:
        if node.id != "scalar" or not node.value.strip():
            raise self._wrong(node, f"`{name}` is a text")
        return " ".join(node.value.split())

    def _mapping(self, node: Any, names: tuple[str, ...] | None, what: str) -> dict[str, Any]:
        if node.id != "mapping":
            raise self._wrong(node, f"{what} is a mapping" + (f" of {', '.join(names)}" if names else ""))
        found: dict[str, Any] = {}
        for key, value in node.value:
            if key.id != "scalar" or (names is not None and key.value not in names):
                raise self._wrong(
                    key, f"{what} has no {key.value!r}" + (f": there are {', '.join(names)}" if names else "")
                )
            if key.value in found:
                raise self._wrong(key, f"{key.value!r} stands here twice")
            found[key.value] = value
        return found

    def _wrong(self, node: Any, problem: str) -> DialogueError:
        return DialogueError(self._path, int(node.start_mark.line) + 1, problem)


def _yaml() -> Any:
    """Raises ImportError that says what to install."""
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise ImportError("a dialogue in a file needs a YAML reader: pip install longline[offline]") from error
