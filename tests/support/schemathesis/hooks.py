"""Keeps what schemathesis makes up on this machine: no call, webhook or flow request of the test leaves it."""

import re
from typing import Any

import schemathesis

NOBODY = "127.0.0.1:9"
"""The discard port; nothing listens there."""


def at_home(value: Any) -> Any:
    """The same, with every host in it replaced by this one."""
    if isinstance(value, dict):
        return {
            key: "127.0.0.1" if key == "domain_name" and is_domain(item) else at_home(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [at_home(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r"^(https?|wss?)://[^/?#]+", rf"\1://{NOBODY}", value)
        return re.sub(r"^(sips?):([^@]*@)?[^;?]+", rf"\1:\2{NOBODY}", value)
    return value


def is_domain(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value) is not None


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: "schemathesis.Case[Any]", kwargs: dict[str, Any]) -> None:
    if isinstance(case.body, dict | list):
        case.body = at_home(case.body)
