"""The OpenAPI document, without the answers that the framework declares and that no route of ours gives.

The framework gives a 422 of its own shape to every route that has a parameter. Ours is declared where it can come; a
malformed id in a path is a 404. What is added are links: which answer names the id that another route's path asks for.
"""

import re
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from longline.api.problems import declare

_TOO_MANY: Final = {
    "description": declare(429)[429]["description"],
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    "headers": {"Retry-After": {"schema": {"type": "string"}, "description": "In seconds"}},
}
"""The answer of every route that wants a key, whatever it does."""

_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")

_SOURCES: Final = {
    "call_id": ("/api/v1/voice/calls/initiate", "post", "202", "/data/id"),
    "event_id": ("/api/v1/events", "get", "200", "/data/0/id"),
}
"""Where an id comes from that is not made by a POST beside its path: path, method, status and JSON pointer."""


def true_document(app: FastAPI) -> dict[str, Any]:
    """Made once, then kept in the application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        for methods in document["paths"].values():
            for operation in methods.values():
                _drop_foreign(operation["responses"])
                if operation.get("security"):
                    operation["responses"]["429"] = _TOO_MANY
                    operation["responses"] = dict(sorted(operation["responses"].items()))
        for name in _NOT_OURS:
            document["components"]["schemas"].pop(name, None)
        _add_links(document["paths"])
        app.openapi_schema = document
    return app.openapi_schema


def _drop_foreign(responses: dict[str, Any]) -> None:
    schema = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if str(schema.get("$ref", "")).rpartition("/")[2] in _NOT_OURS:
        del responses["422"]


def _add_links(paths: dict[str, Any]) -> None:
    for path, methods in paths.items():
        for operation in methods.values():
            names: list[str] = re.findall(r"\{(\w+)\}", path)
            if not names:
                continue
            *outer, last = names
            made_at = path.partition(f"/{{{last}}}")[0]
            where, method, status, pointer = _SOURCES.get(last, (made_at, "post", "201", "/id"))
            answer = paths.get(where, {}).get(method, {}).get("responses", {}).get(status)
            if answer is not None:
                known = {name: f"$request.path.{name}" for name in outer}
                parameters = known | {last: f"$response.body#{pointer}"}
                link = {"operationId": operation["operationId"], "parameters": parameters}
                answer.setdefault("links", {})[operation["operationId"]] = link
