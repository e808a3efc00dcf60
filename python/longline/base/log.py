"""Logging: structlog, as JSON lines or for a terminal, with personal data masked.

Phone numbers, digits, transcripts and credentials are wrapped in `pii()` where they are logged. Unless the setting
`log_pii` is true they are rendered masked, and as a second net anything that looks like a phone number or the key of a
crypto line in any other text is masked too. Log lines of libraries (uvicorn, sqlalchemy …) go through the same
processors.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog

LogFormat = Literal["auto", "json", "console"]

_PHONE_NUMBER: Final = re.compile(
    r"(?<![\w.])(?<![0-9a-f]{4}-)"  # not the middle of a word, nor a group of a UUID
    r"(\+|%2B|sips?:\+?|tel:\+?)?(\d{7,15})"
    r"(?![\w.])(?!-[0-9a-f]{4}-)",
    re.IGNORECASE,
)
_INLINE_KEY: Final = re.compile(r"(inline:)[A-Za-z0-9+/=]+", re.IGNORECASE)
"""A key of SRTP in a session description (RFC 4568)."""
_SHOWN_DIGITS: Final = 2
_NUMBER_MIN: Final = 7
_MASK: Final = "***"


class Pii:
    """A value that must not reach a log as it is. `str()` and `repr()` give the mask."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __str__(self) -> str:
        return _mask(str(self.value))

    __repr__ = __str__


def pii(value: object) -> Pii:
    """Wrap a phone number, digits, a transcript or a credential for logging."""
    return Pii(value)


def _mask(text: str) -> str:
    """Keep the last two digits of a phone number, so that two calls can be told apart; nothing of anything else."""
    match = re.fullmatch(r"(?:sips?:|tel:)?\+?(\d+)(?:[@;].*)?", text)
    if match and len(match[1]) >= _NUMBER_MIN:
        return _MASK + match[1][-_SHOWN_DIGITS:]
    return _MASK


def _scrub(text: str) -> str:
    text = _INLINE_KEY.sub(lambda m: m[1] + _MASK, text)
    return _PHONE_NUMBER.sub(lambda m: (m[1] or "") + _MASK + m[2][-_SHOWN_DIGITS:], text)


class _PersonalData:
    """The processor that masks, or reveals, personal data in every value of a log line."""

    def __init__(self, reveal: bool) -> None:
        self._reveal = reveal

    def __call__(self, _logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {key: self._render(value) for key, value in event.items()}

    def _render(self, value: Any) -> Any:
        if isinstance(value, Pii):
            return value.value if self._reveal else str(value)
        if isinstance(value, str):
            return value if self._reveal else _scrub(value)
        if isinstance(value, dict):
            return {key: self._render(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._render(item) for item in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return value if self._reveal else _scrub(str(value))


def set_up_logging(
    level: str = "info", *, log_format: LogFormat = "auto", log_pii: bool = False, output: TextIO | None = None
) -> None:
    """Configure logging for the process. `auto` is console on a terminal, else JSON. May be called again."""
    stream = output or sys.stderr
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(default=str)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _PersonalData(log_pii),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for quiet in ("httpx2", "httpcore2", "alembic", "aiosqlite"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `log = get_logger(__name__)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
