"""Tools that are made of functions, and those that end an agent's part: transfer to a human, hand-over, hanging up.

@tool
async def book(day: str, hour: int) -> str:
    "Books an appointment."        # the model reads this

agent = VoiceAgent(…, tools=[book, transfer_to("sip:desk@example.com"), hand_over_to(billing, …), hang_up()])
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from longline.agentkit.ports import Tool

if TYPE_CHECKING:
    from longline.agentkit.agent import VoiceAgent
    from longline.agentkit.session import CallSession

_TYPES: Final = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


class Outcome:
    """What a tool returns that changes more than the conversation. `told` is its result for the model."""

    told: str = "done"


@dataclass(frozen=True, slots=True)
class HandOver(Outcome):
    """Another agent goes on with the call and the conversation. `says` is said first, in the voice of the old one, and
    `greets` in that of the new; without `greets` the new one is asked for its answer at once: a silent change."""

    agent: VoiceAgent
    says: str = ""
    greets: str = ""
    told: str = "handed over"


@dataclass(frozen=True, slots=True)
class HangUp(Outcome):
    """The call is ended once all has been heard, `says` last."""

    says: str = ""
    told: str = "the call ends"


def tool(function: Callable[..., Any]) -> Tool:
    """The tool that a function is: its name, its docstring, its parameters by their annotations (`str`, `int`, `float`,
    `bool`, `list[…]`, `dict`, `Literal[…]`, `… | None`; without a default they are required). A parameter `call` is the
    `CallSession`. Raises TypeError for others."""
    hints = typing.get_type_hints(function, localns={"CallSession": Any})
    properties: dict[str, Any] = {}
    required: list[str] = []
    wants_call = False
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "call":
            wants_call = True
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{function.__name__}: a model calls by name: no *{name}")
        properties[name] = _schema(hints.get(name, str), f"{function.__name__}({name})")
        if parameter.default is parameter.empty:
            required.append(name)
    parameters = {"type": "object", "properties": properties, "required": required}
    return Tool(function.__name__, inspect.getdoc(function) or "", function, parameters, wants_call=wants_call)


def _schema(hint: Any, where: str) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return {"type": _TYPES[type(arguments[0])], "enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        others = [each for each in arguments if each is not type(None)]
        if len(others) == 1:
            return _schema(others[0], where)
    if origin is list and arguments:
        return {"type": "array", "items": _schema(arguments[0], where)}
    known = _TYPES.get(origin or hint)
    if known is None:
        raise TypeError(f"{where}: {hint} has no JSON Schema here")
    return {"type": known}


def transfer_to(
    target: str,
    *,
    name: str = "transfer_to_human",
    description: str = "Puts the caller through to a human colleague. Say why in one sentence.",
    says: str = "One moment, I will put you through.",
    whispers: bool = True,
    **fields: Any,
) -> Tool:
    """A hand-over to a human: `says` is said to the caller, and the model's reason, with `whispers`, to the human alone
    before the two are joined. `fields` are those of the REST API's transfer. A transfer that is refused, or a line that
    has none, is told to the model: the agent keeps the call."""

    async def transfer(call: CallSession, reason: str = "") -> Any:
        await call.said()
        told = dict(fields)
        if whispers and reason:
            told.setdefault("confirm_sound", {"action": "say", "text": reason[:500]})
        await call.transfer(target, **told)
        return "the caller is being put through"

    parameters = {
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "What the caller wants, for the colleague."}},
    }
    return Tool(name, description, transfer, parameters, speaks=says or None, wants_call=True)


def hand_over_to(agent: VoiceAgent, *, name: str, description: str, says: str = "", greets: str = "") -> Tool:
    """A hand-over to another agent: see `HandOver`."""

    def hand_over() -> HandOver:
        return HandOver(agent, says, greets)

    return Tool(name, description, hand_over)


def hang_up(*, name: str = "hang_up", description: str = "Ends the call, after a goodbye.", says: str = "") -> Tool:
    """The agent ends the call, once what it says has been heard."""

    def end() -> HangUp:
        return HangUp(says)

    return Tool(name, description, end)
