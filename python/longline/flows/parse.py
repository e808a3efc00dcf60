"""From a decoded JSON value to the actions of a flow, or to the precise place of the mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from longline.base.errors import LonglineError
from longline.calls.manner import Method
from longline.flows.steps import Step
from longline.flows.verbs import LAST, MAX_ACTIONS, VERBS, Dial, Gather, Play, Record, Say, Verb

_SHOWN_CHARS = 60
MAX_TOLD = 10
"""Mistakes that are told of one flow; the others are counted."""


class FlowInvalid(LonglineError):
    """The flow is wrong at `path` ("$" is the whole, "$.chunk_size" a key of it, "$[1].text" one of a list)."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Flow:
    """The actions of a flow, in order, and what of it has no effect: keys that a verb does not have, actions that are
    never reached. `manners` are those of actions of other languages than ours, one for each or none at all. A flow
    without actions, which only other languages have, goes on with the one before it."""

    actions: tuple[Verb | Step, ...]
    ignored: tuple[str, ...] = ()
    is_list: bool = False
    manners: tuple[ActManner, ...] = ()

    def place(self, index: int) -> str:
        """Where an action of it stands, as a path."""
        return self._manner(index).place or (f"$[{index}]" if self.is_list else "$")

    def method(self, index: int) -> Method:
        """How the URL that an action names is asked."""
        return self._manner(index).method

    def is_last(self, index: int) -> bool:
        """No action follows it, or none is to."""
        return index + 1 == len(self.actions) or self._manner(index).is_last

    def after(self, index: int) -> Flow:
        """What is left of it behind that action."""
        return Flow(self.actions[index + 1 :], is_list=self.is_list, manners=self.manners[index + 1 :])

    def _manner(self, index: int) -> ActManner:
        return self.manners[index] if self.manners else _OURS


@dataclass(frozen=True, slots=True)
class ActManner:
    """What another language says of an action beside what it does. `place` is where it stands in the document;
    `is_last`: whatever it comes to, what follows is not done."""

    place: str = ""
    method: Method = "POST"
    is_last: bool = False


_OURS = ActManner()


def parse_flow(value: object, *, has_url: bool = True) -> Flow:
    """A flow is an action, or a list of actions. `has_url` is false for one that came from no URL, which could be asked
    again. Raise FlowInvalid, which tells every mistake when there are several."""
    if not isinstance(value, list):
        verb, ignored = _parse_action(value, "$", has_url)
        return Flow((verb,), tuple(ignored))
    if not 1 <= len(value) <= MAX_ACTIONS:
        raise FlowInvalid("$", f"must have 1 to {MAX_ACTIONS} actions, not {len(value)}")
    actions: list[Verb] = []
    ignored, mistakes = [], []
    for index, item in enumerate(value):
        try:
            verb, unknown = _parse_action(item, f"$[{index}]", has_url)
        except FlowInvalid as error:
            mistakes.append(error)
            continue
        actions.append(verb)
        ignored += unknown
    if mistakes:
        raise FlowInvalid(mistakes[0].path, "; ".join([mistakes[0].problem, *(str(error) for error in mistakes[1:])]))
    last = next((index for index, verb in enumerate(actions) if _goes_elsewhere(verb)), len(actions) - 1)
    ignored += [f"$[{index}]" for index in range(last + 1, len(actions))]
    return Flow(tuple(actions[: last + 1]), tuple(ignored), is_list=True)


def _goes_elsewhere(verb: Verb) -> bool:
    """What follows it in a list is never done."""
    if isinstance(verb, Play | Say | Dial):
        return verb.flow_url is not None
    return isinstance(verb, (*LAST, Record))


def _parse_action(value: object, place: str, has_url: bool) -> tuple[Verb, list[str]]:
    if not isinstance(value, dict):
        raise FlowInvalid(place, f"must be a JSON object with an action, not {_kind(value)}")
    action = value.get("action")
    if action is None:
        raise FlowInvalid(f"{place}.action", "is missing; known actions: " + ", ".join(VERBS))
    model = VERBS.get(action.lower()) if isinstance(action, str) else None
    if model is None:
        problem = f"unknown action {_shown(action)}; known actions: {', '.join(VERBS)}"
        raise FlowInvalid(f"{place}.action", problem)
    given = {**value, "action": str(action).lower()}
    try:
        verb = model.model_validate(given)
    except ValidationError as error:
        raise _explain(error, given, place) from None
    if isinstance(verb, Gather | Record) and verb.flow_url is None and not has_url:
        raise FlowInvalid(f"{place}.flow_url", "is missing, and this flow came from no URL that could be asked again")
    return verb, _ignored(value, model.model_fields)


def _ignored(value: dict[str, Any], fields: dict[str, Any]) -> list[str]:
    known = {*fields, "file_url"} if "media_url" in fields else {*fields}
    return [_shown(key) for key in value if key not in known]


def _explain(error: ValidationError, value: object, place: str) -> FlowInvalid:
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        message = "is missing" if item["type"] == "missing" else item["msg"].removeprefix("Value error, ")
        path, here = _path(item["loc"], value)
        if item["type"] == "missing":
            path += f".{item['loc'][-1]}"
        if item["type"] == "nested" and isinstance(here, dict):
            path += ".action"
        problems.append((place + path, message))
    path, first = problems[0]
    rest = "".join(f"; {path}: {message}" for path, message in problems[1:MAX_TOLD])
    more = f"; and {len(problems) - MAX_TOLD} more" if len(problems) > MAX_TOLD else ""
    return FlowInvalid(path, first + rest + more)


def _path(loc: Sequence[str | int], value: object) -> tuple[str, object]:
    """Where that is in the value that was given, and what is there: pydantic also names the branch that it took, which
    is no key of it."""
    path, here = "", value
    for part in loc:
        if isinstance(here, list) and isinstance(part, int) and part < len(here):
            path, here = f"{path}[{part}]", here[part]
        elif isinstance(here, dict) and part in here:
            path, here = f"{path}.{_shown_key(part)}", here[part]
    return path, here


def _shown_key(key: object) -> str:
    text = str(key)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def _kind(value: object) -> str:
    kinds = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return kinds.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
