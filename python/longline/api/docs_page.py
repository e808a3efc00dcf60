"""/docs and /redoc: a page that shows /openapi.json. It loads nothing from any other host."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_PAGE: Final = (Path(__file__).parent / "docs.html").read_text(encoding="utf-8")
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@router.get("/docs")
@router.get("/redoc")
async def docs() -> HTMLResponse:
    return HTMLResponse(_PAGE, headers=_HEADERS)
