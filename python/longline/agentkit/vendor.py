"""What adapters of vendors share: their SDK is imported when it is wanted, and whatever goes wrong in it is weather.

    sdk = load("openai", extra="openai")            # or an ImportError that says what to install

    with faults("openai chat"):                     # any exception within is a ProviderError
        async for chunk in stream: ...

The SDKs are told not to try again by themselves: a caller is waiting, and how long he may is the agent's business.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from longline.agentkit.ports import ProviderError

MAX_PROBLEM: Final = 300
"""Characters of what a vendor says is wrong that are kept."""
MAX_RETRY_AFTER_S: Final = 3_600.0
CONNECT_S: Final = 5.0
"""How long a connection may take to be made."""
IDLE_CONNECTION_S: Final = 120.0
"""How long a connection is kept for the next turn, unless the vendor closes it: with the five seconds that HTTP clients
are content with, most turns would begin with a handshake."""


def load(module: str, *, extra: str) -> Any:
    """The vendor's SDK. Raises ImportError with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{module} is not installed: pip install longline[{extra}]") from error


def http_client(sdk: Any, timeout_s: float) -> Any:
    """For an SDK that is built on httpx2: `timeout_s` without a byte is a fault, and connections are kept."""
    httpx2 = importlib.import_module("httpx2")
    return sdk.DefaultAsyncHttpxClient(
        timeout=timeout_s,
        limits=httpx2.Limits(max_connections=1_000, max_keepalive_connections=100, keepalive_expiry=IDLE_CONNECTION_S),
    )


def openai_client(api_key: str | None, base_url: str | None, timeout_s: float) -> tuple[Any, Any]:
    """An `openai.AsyncOpenAI`, and the HTTP client that it is built on. Raises ImportError, `openai.OpenAIError`."""
    sdk = load("openai", extra="openai")
    http = http_client(sdk, timeout_s)
    return sdk.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, http_client=http), http


def older_http_client(timeout_s: float) -> Any:
    """The same for an SDK that takes a client of `httpx`."""
    httpx = importlib.import_module("httpx")
    for late in ("anyio.streams.tls", "anyio._backends._asyncio"):  # else its first request imports them
        with contextlib.suppress(ImportError):
            importlib.import_module(late)
    return httpx.AsyncClient(
        timeout=timeout_s,
        limits=httpx.Limits(max_connections=1_000, max_keepalive_connections=100, keepalive_expiry=IDLE_CONNECTION_S),
    )


def abort(connection: Any) -> None:
    """Close a WebSocket of `websockets` at once: for when its far end does not say goodbye."""
    transport = getattr(connection, "transport", None)
    if transport is not None:
        transport.abort()


@contextlib.contextmanager
def faults(provider: str) -> Iterator[None]:
    """Whatever the SDK raises within is a ProviderError. Cancelling and closing pass through."""
    try:
        yield
    except ProviderError:
        raise
    except TimeoutError as error:
        raise ProviderError(provider, "took too long") from error
    except Exception as error:
        raise ProviderError(provider, problem_of(error), retry_after_s=retry_after_s(error)) from error


def status_of(error: BaseException) -> int | None:
    """The HTTP status with which it was refused, by whichever attribute the SDK has it in."""
    for source in (error, getattr(error, "response", None)):
        status = getattr(source, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def problem_of(error: BaseException) -> str:
    """One line: the status, where there is one, and what the vendor or the network says; never the headers of a
    request, which hold the key."""
    status = status_of(error)
    told = getattr(error, "message", None) or getattr(error, "body", None) or ("" if hasattr(error, "body") else error)
    text = " ".join(str(told).split()) or type(error).__name__
    cause = error.__cause__
    if cause is not None and str(cause) and str(cause) not in text and not hasattr(cause, "headers"):
        text = f"{text} ({' '.join(str(cause).split())})"
    return (f"HTTP {status}: {text}" if status is not None else text)[:MAX_PROBLEM]


def told_by(message: object, *names: str) -> str:
    """What a message of a vendor's says of a fault: those of its attributes that it has."""
    parts = (getattr(message, name, None) for name in names)
    return ": ".join(" ".join(str(part).split()) for part in parts if part)[:MAX_PROBLEM] or "an error"


def retry_after_s(error: BaseException | None) -> float | None:
    """RFC 9110 §10.2.3, seconds or a date, and the header in milliseconds that some vendors have beside it. Of the
    error, or of what it was raised for: not every SDK hands the headers of the answer on."""
    while error is not None:
        for source in (getattr(error, "response", None), error):
            headers = getattr(source, "headers", None)
            if isinstance(headers, Mapping) and (told := _retry_after(headers)) is not None:
                return told
        error = error.__cause__ or error.__context__
    return None


def _retry_after(given: Mapping[str, Any]) -> float | None:
    headers = {str(name).lower(): value for name, value in given.items()}
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return _bounded(float(headers[name]) * unit_s)
    with contextlib.suppress(KeyError, TypeError, ValueError):
        at, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
        return _bounded((at - now).total_seconds())
    return None


def _bounded(seconds: float) -> float:
    if seconds != seconds:  # not a number
        raise ValueError("no number of seconds")
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)
