"""The REST API as an ASGI application, put together from its routes."""

from typing import Final

from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.routing import APIRoute

from longline import __version__
from longline.api import auth, problems
from longline.api.callers import Callers
from longline.api.compat import plivo, telnyx, twilio
from longline.api.compat.plivo import PLIVO_DOOR
from longline.api.compat.telnyx import TELNYX_DOOR
from longline.api.compat.twilio import TWILIO_DOOR
from longline.api.deps import Deps
from longline.api.docs_page import router as docs_router
from longline.api.idempotency import IdempotencyTable
from longline.api.limits import BodyLimitMiddleware
from longline.api.observed import ObservedMiddleware
from longline.api.openapi import true_document
from longline.api.rates import RequestRates
from longline.api.routes import (
    calls,
    controls,
    events,
    flow_schema,
    health,
    ip_acls,
    metrics,
    recordings,
    secrets,
    sip_calls,
    sip_phones,
    sip_trunks,
    streams,
    virtual_numbers,
    voice_apps,
)

API_PREFIX: Final = "/api/v1"
DOORS: Final = (TWILIO_DOOR, PLIVO_DOOR, TELNYX_DOOR)
"""Those of other platforms."""

_DESCRIPTION: Final = """\
Places phone calls and joins live ones to your application by one WebSocket. Compatible with the Teler API.

Ids are shown as raw UUIDs under webhook version 2025-08-01 and with a prefix under 2026-06-01; both forms are accepted
everywhere. Lists are pages: pass `next_cursor` as `cursor_after` for the next one. Every refusal is an object with
`success: false`, a `message` and, except for a missing key, a stable `code`."""


def create_app(deps: Deps) -> FastAPI:
    """The application. It opens and closes nothing: what `deps` holds is the caller's."""
    app = FastAPI(
        title="Longline",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        strict_content_type=False,  # a JSON body is one also when its client does not say so
    )
    app.state.deps = deps
    app.state.idempotency = IdempotencyTable()
    problems.install(app, DOORS)
    app.add_middleware(BodyLimitMiddleware)
    callers = Callers(deps.durable.accounts, deps.clock, deps.config.api_key)
    rates = RequestRates(deps.config.api_requests_per_key, deps.config.api_requests_per_account)
    app.add_middleware(auth.ApiKeyMiddleware, callers=callers, rates=rates, clock=deps.clock, doors=DOORS)
    app.add_middleware(ObservedMiddleware, observe=deps.observe_request, begin_trace=deps.begin_trace)
    protection = [Security(auth.declared), Depends(auth.check_scope)]
    app.include_router(_protected(), prefix=API_PREFIX, dependencies=protection)
    for platform in (twilio, plivo, telnyx):
        app.include_router(platform.router, dependencies=protection)
    app.include_router(recordings.signed_router, prefix=API_PREFIX)
    app.include_router(health.router)
    app.include_router(flow_schema.router)
    app.include_router(metrics.router)
    app.include_router(docs_router)
    app.openapi = lambda: true_document(app)  # type: ignore[method-assign]
    return app


def _protected() -> APIRouter:
    router = APIRouter()
    of_calls = (calls, controls, streams, events, recordings, voice_apps, virtual_numbers, secrets)
    for part in (*of_calls, sip_trunks, ip_acls, sip_calls, sip_phones):
        router.include_router(part.router)
    return router


def _operation_id(route: APIRoute) -> str:
    return route.name
