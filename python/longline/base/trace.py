"""Which trace (W3C Trace Context) something belongs to, as data: a call carries it from the request that placed it.

Leaves out the tracing itself (`observe/tracing.py`): without it nothing is ever set.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from uuid import UUID

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""Of the request to the API that is being served."""

TraceHeaders = Callable[[UUID], Mapping[str, str]]
"""The headers that tell an application to which trace a request for this call belongs."""


def no_headers(_call_id: UUID) -> Mapping[str, str]:
    return {}
