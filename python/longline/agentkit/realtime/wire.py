"""What the model is told, as its API has it: tools, calls of them, and a conversation that it has not been part of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from longline.agentkit.ports import Tool, ToolCall


def described(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }


def told(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}


def as_items(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A message of OpenAI's chat format as items of a conversation of this API. Instructions are in the session."""
    text = message.get("content") or ""
    match message["role"]:
        case "user":
            content = [{"type": "input_text", "text": text}]
            return [{"type": "message", "role": "user", "content": content}]
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
