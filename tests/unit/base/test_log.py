"""No telephone number, digit, transcript or credential reaches the log, unless the operator wants it."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from longline.base.log import get_logger, pii, set_up_logging

NUMBER = "+14155550123"
DIGITS = "4242"
TRANSCRIPT = "my name is Ada"
KEY = "ll_secret-key"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    servers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.access")]
    before = [(server.level, server.propagate) for server in servers]
    for server in servers:  # a server that another test has started may have changed both
        server.setLevel(logging.NOTSET)
        server.propagate = True
    yield
    root.handlers[:], root.level = handlers, level
    for server, (level, propagate) in zip(servers, before, strict=True):
        server.setLevel(level)
        server.propagate = propagate
    structlog.reset_defaults()


def logged(do: Callable[[structlog.stdlib.BoundLogger], None], **options: object) -> str:
    output = io.StringIO()
    set_up_logging("debug", output=output, **options)  # type: ignore[arg-type]
    do(get_logger("test"))
    return output.getvalue()


def say_everything(log: structlog.stdlib.BoundLogger) -> None:
    log.info("call", to=pii(NUMBER), digits=pii(DIGITS), heard=pii(TRANSCRIPT), key=pii(KEY))
    log.info("nested", data={"to": pii(NUMBER), "list": [pii(DIGITS), NUMBER]}, pair=(pii(KEY), NUMBER))
    log.info(f"in the text {NUMBER}", uri=f"sip:{NUMBER}@host:5060", bare=NUMBER[1:], quoted=repr(NUMBER))
    log.bind(caller=pii(NUMBER)).warning("bound")
    try:
        raise ValueError(f"cannot call {NUMBER}")
    except ValueError:
        log.exception("failed", error=ValueError(NUMBER))
    logging.getLogger("uvicorn.access").info('"GET /api/v1/voice/calls?from_number=%s"', "%2B14155550123")
    logging.getLogger("some.library").info("to %s", NUMBER)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_personal_data_is_masked(log_format: str) -> None:
    text = logged(say_everything, log_format=log_format)
    assert len(text.splitlines()) >= 7
    for secret in (NUMBER[1:], NUMBER[1:-2], DIGITS, TRANSCRIPT, KEY):
        assert secret not in text
    assert "***23" in text  # the last two digits tell one call from another


def test_personal_data_is_shown_when_the_operator_wants_it() -> None:
    text = logged(say_everything, log_format="json", log_pii=True)
    for shown in (NUMBER, DIGITS, TRANSCRIPT, KEY):
        assert shown in text


def test_a_wrapped_value_is_masked_by_str_repr_and_format_too() -> None:
    assert f"{pii(NUMBER)} {pii(NUMBER)!r} {pii(DIGITS)}" == "***23 ***23 ***"
    assert str(pii(f"sip:{NUMBER}@host")) == "***23"
    assert str(pii(f"{TRANSCRIPT} {NUMBER}")) == "***"


@pytest.mark.parametrize(
    "harmless",
    [
        "0198c0de-1234-7abc-8000-123456789012",
        "01234567-1234-7abc-8000-123456789012",
        "cs_01M7Z2CSJCFQARNB24E7G5XZ77",
        "127.0.0.1:5060",
        "2026-06-01T12:00:00.000Z",
    ],
)
def test_ids_addresses_and_times_are_left_as_they_are(harmless: str) -> None:
    assert harmless in logged(lambda log: log.info("x", value=harmless), log_format="json")


def test_a_line_is_json_with_level_logger_and_time() -> None:
    line = json.loads(logged(lambda log: log.warning("odd", port=5060, ok=True, none=None), log_format="json"))
    assert (line["event"], line["level"], line["logger"]) == ("odd", "warning", "test")
    assert (line["port"], line["ok"], line["none"]) == (5060, True, None)
    assert line["timestamp"].endswith("Z")


def test_lines_below_the_level_are_not_written() -> None:
    output = io.StringIO()
    set_up_logging("warning", output=output, log_format="json")
    get_logger("test").info("quiet")
    get_logger("test").warning("loud")
    assert [json.loads(line)["event"] for line in output.getvalue().splitlines()] == ["loud"]
