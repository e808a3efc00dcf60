"""Where in a flow something went wrong: what fails inside of an action is told with the action's own path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from longline.calls.ports import FlowFailed


@contextlib.contextmanager
def within(place: str) -> Iterator[None]:
    """A FlowFailed that tells of "$.media_url" tells of "$.prompt[0].media_url" when `place` is "$.prompt[0]"."""
    try:
        yield
    except FlowFailed as error:
        if place == "$" or not error.detail.startswith("$"):
            raise
        raise FlowFailed(error.reason, place + error.detail[1:]) from error
