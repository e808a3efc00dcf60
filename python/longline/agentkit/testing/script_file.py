"""A caller's script in a file of YAML, for calls in memory and, by `longline rehearse`, for real ones.

    name: books a slot
    steps:
      - hears: how can I help
      - says: An appointment on Monday, please.
      - interrupts: {text: "No, on Tuesday.", after_s: 1.2}
      - hears: {words: Tuesday, within_s: 8}
      - presses: 4#
      - hangs_up
    expect:
      heard: [booked]
      answers_within_ms: 1500

All that may stand in it is in the tables below; what is wrong with it is told with the file and the line.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from longline.agentkit.testing.call import Call, CallFailed
from longline.agentkit.testing.script import HangsUp, Hears, Interrupts, IsHungUp, Presses, Says, Script, Step, Waits
from longline.base.errors import LonglineError

MAX_BYTES: Final = 1_000_000
MAX_STEPS: Final = 1_000


class ScriptError(LonglineError):
    """`file:line: what is wrong`."""

    def __init__(self, file: str | Path, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Expectations:
    """Of the whole call, looked at when it is over. What is None or empty is not looked at."""

    heard: tuple[str, ...] = ()
    not_heard: tuple[str, ...] = ()
    answers_within_ms: float | None = None
    silent_within_ms: float | None = None
    ended_by: Literal["caller", "agent"] | None = None

    def unmet(self, call: Call) -> list[str]:
        """What of it the call is not, each in one line."""
        checks: list[Callable[[], Any]] = []
        if self.heard:
            checks.append(lambda: call.expect_heard(*self.heard))
        if self.not_heard:
            checks.append(lambda: call.expect_not_heard(*self.not_heard))
        if self.answers_within_ms is not None:
            checks.append(lambda: call.expect_answers_within(self.answers_within_ms or 0))
        if self.silent_within_ms is not None:
            checks.append(lambda: call.expect_silent_within(self.silent_within_ms or 0))
        if self.ended_by is not None:
            checks.append(lambda: call.expect_ended_by(self.ended_by or ""))
        problems = []
        for check in checks:
            try:
                check()
            except CallFailed as failed:
                problems.append(str(failed).partition("\n")[0])
        return problems


@dataclass(frozen=True, slots=True)
class Impairment:
    """A bad network, both ways: shares of packets lost and overtaken, and a delay of up to `jitter_ms` more."""

    loss: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A whole file."""

    script: Script
    expect: Expectations = field(default_factory=Expectations)
    network: Impairment = field(default_factory=Impairment)
    voice: str = "rms"
    """Of flite, for a real call."""


Kind = Literal["text", "texts", "seconds", "number", "share", "keys", "who"]
Table = Mapping[str, Kind]

STEPS: Final[Mapping[str, tuple[type[Any], str | None, Table]]] = {
    "says": (Says, "text", {"text": "text"}),
    "waits": (Waits, "seconds", {"seconds": "seconds"}),
    "hears": (Hears, "words", {"words": "text", "within_s": "seconds"}),
    "interrupts": (Interrupts, "text", {"text": "text", "after_s": "seconds", "within_s": "seconds"}),
    "presses": (Presses, "digits", {"digits": "keys"}),
    "hangs_up": (HangsUp, None, {}),
    "is_hung_up": (IsHungUp, "within_s", {"within_s": "seconds"}),
}
"""Name of the step: what it is, which field a bare value is, and all its fields. One that needs no value is a name."""
EXPECT: Final[Table] = {
    "heard": "texts",
    "not_heard": "texts",
    "answers_within_ms": "number",
    "silent_within_ms": "number",
    "ended_by": "who",
}
NETWORK: Final[Table] = {"loss": "share", "jitter_ms": "number", "reorder": "share"}
_TOP: Final = ("name", "pause_s", "voice", "steps", "expect", "network")


def read_script(path: str | Path) -> Rehearsal:
    """Raises ScriptError; ImportError when there is no YAML reader."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ScriptError(path, 1, f"longer than {MAX_BYTES:,} octets")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScriptError(path, 0, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ScriptError(path, 1, "not UTF-8") from error
    return parse_script(text, path)


def parse_script(text: str, path: str | Path = "script") -> Rehearsal:
    """Raises ScriptError."""
    yaml = _yaml()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ScriptError(path, mark.line + 1 if mark else 1, getattr(error, "problem", None) or "not YAML") from error
    return _Reader(path).rehearsal(root)


class _Reader:
    """Nodes, which know their lines, into what they mean."""

    def __init__(self, path: str | Path) -> None:
        self._path = path

    def rehearsal(self, root: Any) -> Rehearsal:
        if root is None:
            raise ScriptError(self._path, 1, "empty")
        top = self._mapping(root, _TOP, "a script")
        if "steps" not in top:
            raise self._wrong(root, "a script needs `steps`")
        nodes = top["steps"].value if top["steps"].id == "sequence" else None
        if not nodes or len(nodes) > MAX_STEPS:
            raise self._wrong(top["steps"], f"`steps` is a list of 1 to {MAX_STEPS:,}")
        name = self._value(top["name"], "text", "name") if "name" in top else Path(self._path).stem
        pause = {"pause_s": self._value(top["pause_s"], "seconds", "pause_s")} if "pause_s" in top else {}
        voice = {"voice": self._value(top["voice"], "text", "voice")} if "voice" in top else {}
        steps, lines = tuple(self._step(node) for node in nodes), tuple(_line(node) for node in nodes)
        return Rehearsal(
            Script(steps, name, lines=lines, **pause),
            Expectations(**self._table(top.get("expect"), EXPECT, "expect")),
            Impairment(**self._table(top.get("network"), NETWORK, "network")),
            **voice,
        )

    def _step(self, node: Any) -> Step:
        if node.id == "scalar":
            name, value = node.value, None
        elif node.id == "mapping" and len(node.value) == 1:
            name, value = str(node.value[0][0].value), node.value[0][1]
        else:
            raise self._wrong(node, "a step is one name with its value")
        if name not in STEPS:
            raise self._wrong(node, f"no step is called {name!r}: there are {', '.join(STEPS)}")
        kind, bare, table = STEPS[name]
        if value is None or (value.id == "scalar" and value.tag.endswith(":null")):
            given = {}
        elif value.id == "mapping":
            given = self._table(value, table, name)
        elif bare is None:
            raise self._wrong(value, f"`{name}` takes no value")
        else:
            given = {bare: self._value(value, table[bare], name)}
        needed = [each.name for each in fields(kind) if each.name in table and each.default is MISSING]
        if missing := [each for each in needed if each not in given]:
            raise self._wrong(node, f"`{name}` needs {missing[0]}")
        step: Step = kind(**given)
        return step

    def _table(self, node: Any, table: Table, what: str) -> dict[str, Any]:
        if node is None:
            return {}
        found = self._mapping(node, tuple(table), f"`{what}`")
        return {name: self._value(value, table[name], name) for name, value in found.items()}

    def _mapping(self, node: Any, names: tuple[str, ...], what: str) -> dict[str, Any]:
        if node.id != "mapping":
            raise self._wrong(node, f"{what} is a mapping of {', '.join(names) or 'nothing'}")
        found: dict[str, Any] = {}
        for key, value in node.value:
            if key.value not in names:
                raise self._wrong(key, f"{what} has no {key.value!r}: there are {', '.join(names) or 'none'}")
            if key.value in found:
                raise self._wrong(key, f"{key.value!r} stands here twice")
            found[key.value] = value
        return found

    def _value(self, node: Any, kind: Kind, name: str) -> Any:
        if kind == "texts":
            nodes = node.value if node.id == "sequence" else [node]
            return tuple(self._value(each, "text", name) for each in nodes)
        if node.id != "scalar":
            raise self._wrong(node, f"`{name}` is one value")
        if kind == "text":
            if not node.value.strip():
                raise self._wrong(node, f"`{name}` is a text")
            return node.value
        if kind == "keys":
            try:
                return Presses(node.value).digits
            except ValueError as error:
                raise self._wrong(node, str(error)) from error
        if kind == "who":
            if node.value not in ("caller", "agent"):
                raise self._wrong(node, f"`{name}` is caller or agent")
            return node.value
        highest = 1.0 if kind == "share" else 1e6 if kind == "number" else 3_600.0
        try:
            number = float(node.value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= highest:
            raise self._wrong(node, f"`{name}` is a number from 0 to {highest:,.0f}")
        return number

    def _wrong(self, node: Any, problem: str) -> ScriptError:
        return ScriptError(self._path, _line(node), problem)


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _yaml() -> Any:
    """Raises ImportError that says what to install."""
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise ImportError("a script in a file needs a YAML reader: pip install longline[agent]") from error
