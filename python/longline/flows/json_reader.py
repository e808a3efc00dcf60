"""What the readers of flows in JSON of other platforms share: collecting actions, keys that have no effect, and values
with bounds. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from longline.base.stream_formats import SAMPLE_RATES_HZ, SampleRate
from longline.calls.manner import Method
from longline.flows import verbs
from longline.flows.language import Document
from longline.flows.markup import Act
from longline.flows.parse import ActManner, Flow, FlowInvalid

V = TypeVar("V", bound=BaseModel)


def list_of(document: Document, called: str) -> list[dict[str, Any]]:
    """The actions of a document; none when it is empty. Raise FlowInvalid; `called` is what such a document is."""
    try:
        value = json.loads(document.body) if document.body.strip() else []
    except (ValueError, RecursionError) as error:
        raise FlowInvalid("$", f"is no {called}: {error}") from None
    if value in ({}, None):
        return []
    if not isinstance(value, list) or len(value) > verbs.MAX_ACTIONS:
        raise FlowInvalid("$", f"is no {called}: that is a list of at most {verbs.MAX_ACTIONS} actions")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise FlowInvalid(f"$[{index}]", "must be an object with an action")
    return value


class JsonReader:
    """One document being read. Raise FlowInvalid."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._actions: list[Act] = []
        self._manners: list[ActManner] = []
        self._ignored: list[str] = []

    def _add(self, place: str, action: Act, method: Method = "POST", *, is_last: bool = False) -> None:
        self._actions.append(action)
        self._manners.append(ActManner(place, method, is_last))

    def _flow(self) -> Flow:
        return Flow(tuple(self._actions), tuple(self._ignored), is_list=True, manners=tuple(self._manners))

    def _know(self, item: Mapping[str, Any], place: str, *names: str) -> None:
        """Every other key has no effect here."""
        self._ignored += [f"{place}.{str(key)[:60]}" for key in item if key not in names]

    def _make(self, place: str, model: type[V], fields: Mapping[str, Any]) -> V:
        try:
            return model.model_validate({name: value for name, value in fields.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise FlowInvalid(place, f"{key}: {first['msg'].removeprefix('Value error, ')}") from None

    def _url(self, value: object, place: str) -> str:
        if not isinstance(value, str):
            raise FlowInvalid(place, "must be a URL")
        try:
            return self._document.absolute(value)
        except ValueError as error:
            raise FlowInvalid(place, str(error)) from None


def number_of(item: Mapping[str, Any], place: str, name: str, default: float, least: float, most: float) -> float:
    """A number, or a text that is one, within our bounds; one beyond them is taken for the bound."""
    try:
        value = float(item.get(name, default))
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    if value != value:  # nan
        raise FlowInvalid(f"{place}.{name}", "must be a number")
    return min(max(value, least), most)


def rate_of(hz: object) -> SampleRate | None:
    """None when it is none of ours."""
    return next((name for name in get_args(SampleRate) if SAMPLE_RATES_HZ[name] == hz), None)


def with_plus(text: str) -> str:
    """Numbers are written with or without their +."""
    return f"+{text}" if text.isdecimal() else text
