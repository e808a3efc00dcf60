"""What the model is told, as its API has it: the session, tools, and a conversation that it was no part of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longline.agentkit.ports import Tool, ToolCall
from longline.agentkit.tool_runs import MAX_TOOL_RESULT
from longline.agentkit.tools import Outcome

if TYPE_CHECKING:
    from longline.agentkit.realtime.agent import RealtimeAgent


def session_of(agent: RealtimeAgent, audio: Mapping[str, Any]) -> dict[str, Any]:
    """The session of its calls, with sound of this format both ways."""
    detection = dict(agent.turn_detection) if agent.turn is None else None
    hears: dict[str, Any] = {"format": audio, "turn_detection": detection}
    if agent.transcriber:
        hears["transcription"] = {"model": agent.transcriber}
    return {
        "type": "realtime",
        "model": agent.model,
        "instructions": agent.instructions,
        "output_modalities": ["audio"],
        "audio": {"input": hears, "output": {"format": audio, "voice": agent.voice}},
        "tools": [described(tool) for tool in agent.tools],
        **agent.options,
    }


def described(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }


def told(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}


def result_of(result: Any) -> str:
    """What the model is told that a tool gave back."""
    if isinstance(result, Outcome):
        result = result.told
    return (result if isinstance(result, str) else json.dumps(result, default=str))[:MAX_TOOL_RESULT]


def as_items(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A message of OpenAI's chat format as items of a conversation of this API."""
    text = message.get("content") or ""
    match message["role"]:
        case "user" | "system" as role:
            content = [{"type": "input_text", "text": text}]
            return [{"type": "message", "role": role, "content": content}]
        case "tool":
            return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": text}]
        case "assistant":
            content = [{"type": "output_text", "text": text}]
            said = [{"type": "message", "role": "assistant", "content": content}] if text else []
            calls = [
                {"type": "function_call", "call_id": call["id"], **call["function"]}
                for call in message.get("tool_calls") or ()
            ]
            return [*said, *calls]
    return []
