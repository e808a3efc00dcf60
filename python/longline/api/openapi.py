"""The OpenAPI document, without the answers that the framework declares and that no route of ours gives.

The framework gives a 422 of its own shape to every route that has a parameter. Ours is declared where it can come; a
malformed id in a path is a 404.
"""

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
        app.openapi_schema = document
    return app.openapi_schema


def _drop_foreign(responses: dict[str, Any]) -> None:
    schema = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if str(schema.get("$ref", "")).rpartition("/")[2] in _NOT_OURS:
        del responses["422"]
