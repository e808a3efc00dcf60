"""Which methods a path has, for the Allow header of a 405 (RFC 9110 §15.5.6).

The framework names those of the first route whose path fits; a path of ours has several routes, one for each method.
"""

import re

from fastapi import FastAPI


def allowed_methods(app: FastAPI, path: str) -> str | None:
    """As the OpenAPI document has them: "GET, POST". None for a path that is not in it."""
    paths = app.openapi()["paths"]
    for template in (path, *paths):  # one without parameters goes before one with them
        if template in paths and re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            return ", ".join(sorted(method.upper() for method in paths[template]))
    return None
