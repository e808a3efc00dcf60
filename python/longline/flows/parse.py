"""From a decoded JSON value to a verb, or to the precise place of the mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from longline.base.errors import LonglineError
from longline.flows.verbs import VERBS, Verb

_SHOWN_CHARS = 60


class FlowInvalid(LonglineError):
    """The flow is wrong at `path` ("$" is the whole, "$.chunk_size" a key of it)."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Flow:
    """A verb, and the keys beside it that it does not have."""

    verb: Verb
    ignored: tuple[str, ...] = ()


def parse_flow(value: object) -> Flow:
    """Raise FlowInvalid, which tells every mistake when there are several."""
    if not isinstance(value, dict):
        raise FlowInvalid("$", f"must be a JSON object with an action, not {_kind(value)}")
    action = value.get("action")
    if action is None:
        raise FlowInvalid("$.action", "is missing; known actions: " + ", ".join(VERBS))
    model = VERBS.get(action.lower()) if isinstance(action, str) else None
    if model is None:
        raise FlowInvalid("$.action", f"unknown action {_shown(action)}; known actions: {', '.join(VERBS)}")
    try:
        verb = model.model_validate({**value, "action": str(action).lower()})
    except ValidationError as error:
        raise _explain(error) from None
    return Flow(verb, _ignored(value, model.model_fields))


def _ignored(value: dict[str, Any], fields: dict[str, Any]) -> tuple[str, ...]:
    known = {*fields, "file_url"} if "media_url" in fields else {*fields}
    return tuple(_shown(key) for key in value if key not in known)


def _explain(error: ValidationError) -> FlowInvalid:
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(["$", *(str(part) for part in item["loc"])])
        message = "is missing" if item["type"] == "missing" else item["msg"].removeprefix("Value error, ")
        problems.append((path, message))
    path, first = problems[0]
    rest = "".join(f"; {path}: {message}" for path, message in problems[1:])
    return FlowInvalid(path, first + rest)


def _kind(value: object) -> str:
    kinds = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return kinds.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
