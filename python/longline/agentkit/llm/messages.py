"""The messages of a conversation as an API accepts them, whatever an interruption has left of it.

The APIs refuse a conversation in which a call of a tool has no result, or a result no call, or something stands between
them, and they would refuse it again at each turn to come. So each result stands behind its call, a call without one
(the caller interrupted it) gets one that says so, and a result whose call is forgotten is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

NO_RESULT: Final = "The caller interrupted: the result is not known."


def whole(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """In OpenAI's chat format, as `Conversation.messages` has them. Turns without a word are left out."""
    told = [dict(message) for message in messages]
    results = {message.get("tool_call_id"): message for message in reversed(told) if message["role"] == "tool"}
    kept: list[dict[str, Any]] = []
    for message in told:
        calls = message.get("tool_calls") or ()
        if message["role"] == "tool" or not (message.get("content") or calls):
            continue
        kept.append(message)
        for call in calls:
            result = results.pop(call["id"], None)
            kept.append(result or {"role": "tool", "tool_call_id": call["id"], "content": NO_RESULT})
    return kept
