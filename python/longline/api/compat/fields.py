"""The fields of a request as another platform's clients send them: a JSON object, a form, or a query, all the same."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from longline.base.errors import BadRequest

FIELDS_MAX: Final = 500
"""Of a form; more are refused."""


async def read_fields(request: Request) -> dict[str, Any]:
    """Those of the query, and over them those of the body. Raises BadRequest."""
    fields: dict[str, Any] = dict(request.query_params)
    body = await request.body()
    if not body.strip():
        return fields
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError:
            raise BadRequest("The body is no form in UTF-8.") from None
        return fields | dict(pairs)
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON in UTF-8.") from None
    if not isinstance(given, dict):
        raise BadRequest("The body is no JSON object.")
    return fields | given


_FORM: Final = "application/x-www-form-urlencoded"

FieldsOf = Annotated[dict[str, Any], Depends(read_fields)]
