"""How every refusal is written: the Teler API's error envelope, and its form for validation errors.

The input of a field that failed validation is left out of the answer: it may be a credential.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from longline.api.allowed import allowed_methods
from longline.api.doors import Door, door_of
from longline.base.errors import BadRequest, InvalidField, NotFound, RequestError
from longline.base.log import get_logger

log = get_logger(__name__)


class Problem(BaseModel):
    """Why a request was not carried out. `code` is stable; `message` is for people."""

    success: bool = Field(default=False, description="Always false.")
    message: str
    code: str | None = None
    type: str | None = None


class FieldProblem(BaseModel):
    """One mistake: where it is (such as ["body", "to_number"]), what it is, and its kind."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationProblem(BaseModel):
    """What is wrong with a request, field by field."""

    success: bool = Field(default=False, description="Always false.")
    message: str = "Validation Error"
    errors: list[FieldProblem]


_MEANING = {
    400: "The request cannot be carried out as it is",
    403: "The API key is missing, not valid, or may not do this",
    404: "There is no such resource",
    409: "The resource is not in a state that allows this",
    410: "It is too late for that",
    413: "The body is larger than 256 KiB",
    416: "The range is not within the file",
    429: "The key or its account sends too many requests; Retry-After is in seconds",
    503: "The server cannot do this now; a retry may succeed",
}


def declare(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for the OpenAPI document."""
    declared: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        if status == 422:
            declared[422] = {"model": ValidationProblem, "description": "The request is not valid"}
        else:
            declared[status] = {"model": Problem, "description": _MEANING[status]}
    return declared


def problem(error: RequestError, headers: Mapping[str, str] | None = None) -> Response:
    return _envelope(error.status, error.message, error.code, error.type, headers)


def _envelope(
    status: int,
    message: str,
    code: str | None = None,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = {"success": False, "message": message, "code": code, "type": kind}
    body = {key: value for key, value in body.items() if value is not None}
    return JSONResponse(body, status_code=status, headers=headers)


def _invalid(errors: list[dict[str, Any]]) -> Response:
    return JSONResponse({"success": False, "message": "Validation Error", "errors": errors}, status_code=422)


async def _on_request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    door = _door(request)
    if door is not None:
        return door.refuse(error, {})
    if isinstance(error, InvalidField):
        return _invalid([{"loc": ["body", error.field], "msg": error.why, "type": "value_error"}])
    return problem(error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    door = _door(request)
    if door is not None:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return door.refuse(BadRequest(f"{place}: {first['msg'].removeprefix('Value error, ')}"), {})
    return _invalid(
        [
            {"loc": list(item["loc"]), "msg": item["msg"].removeprefix("Value error, "), "type": item["type"]}
            for item in error.errors()
        ]
    )


async def _on_http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: unknown routes and methods, and bodies that it could not decode."""
    assert isinstance(error, HTTPException)
    door = _door(request)
    if door is not None:
        refused = NotFound("There is no such resource.") if error.status_code == 404 else BadRequest()
        return door.refuse(refused, dict(error.headers or {}))
    if error.status_code == 400:
        return _invalid([{"loc": ["body"], "msg": "The body is not JSON in UTF-8.", "type": "json_invalid"}])
    headers = dict(error.headers or {})
    if error.status_code == 405 and (allowed := allowed_methods(request.app, request.url.path)):
        headers["Allow"] = allowed
    phrase = HTTPStatus(error.status_code).phrase
    return _envelope(
        error.status_code,
        phrase + ".",
        code=phrase.lower().replace(" ", "_"),
        kind="not_found" if error.status_code == 404 else "invalid_request",
        headers=headers,
    )


async def _on_fault(request: Request, error: Exception) -> Response:
    log.error("request failed", method=request.method, path=request.url.path, error_type=type(error).__name__)
    return _envelope(500, "Internal Server Error.", "internal_error", "internal_error")


def _door(request: Request) -> Door | None:
    """Another platform's door that the request has come by."""
    doors: tuple[Door, ...] = request.app.state.doors
    return door_of(doors, request.url.path)


def install(app: FastAPI, doors: tuple[Door, ...]) -> None:
    """Write every refusal of `app` in the envelope, and behind other platforms' doors as those do."""
    app.state.doors = doors
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_fault)
