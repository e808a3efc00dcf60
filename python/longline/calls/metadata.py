"""What an application attaches to a call: a bounded JSON object of its own, which flow requests and streams carry.

Pure. A change is a JSON merge patch (RFC 7396): a value replaces, null removes, objects are merged.
"""

from __future__ import annotations

import json
from typing import Any

from longline.base.errors import InvalidField

METADATA_KEY = "metadata"
"""Where it is among a call's properties."""

MAX_METADATA_BYTES = 4096
"""Of its compact JSON in UTF-8. Rule: more is refused, and what there was stays."""
MAX_METADATA_DEPTH = 8
"""Objects and lists within each other, itself included."""


def check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """The same object. Raise ValueError, with what is wrong, when it is too large, too deep, or no JSON."""
    if _depth(value) > MAX_METADATA_DEPTH:
        raise ValueError(f"must not be nested deeper than {MAX_METADATA_DEPTH} levels")
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
    except ValueError:  # UnicodeEncodeError is one: half of a surrogate pair
        raise ValueError("must be JSON, in UTF-8 and without NaN or infinity") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must have at most {MAX_METADATA_BYTES} bytes as JSON; it has {size}")
    return value


def patched(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What a merge patch makes of it; neither is changed."""
    merged = dict(value)
    for key, item in patch.items():
        if item is None:
            merged.pop(key, None)  # RFC 7396 §2: null removes
        elif isinstance(item, dict):
            there = merged.get(key)
            merged[key] = patched(there if isinstance(there, dict) else {}, item)
        else:
            merged[key] = item
    return merged


def update_metadata(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """As `patched`. Raise InvalidField when what comes of it is too large."""
    try:
        return check_metadata(patched(value, patch))
    except ValueError as error:
        raise InvalidField(METADATA_KEY, str(error)) from None


def _depth(value: Any) -> int:
    """Without recursion: what comes is a stranger's."""
    deepest, left = 0, [(value, 1)]
    while left:
        item, depth = left.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, depth)
            if deepest > MAX_METADATA_DEPTH:
                return deepest
            left += [(child, depth + 1) for child in (item.values() if isinstance(item, dict) else item)]
    return deepest
