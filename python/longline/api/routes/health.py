"""Whether the server lives, and whether it can take calls. No key is needed."""

from fastapi import APIRouter, Response

from longline.api.answers import Health, Readiness
from longline.api.deps import DepsOf
from longline.api.readiness import check

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def health() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "A part that calls need is not there"}})
async def readiness(deps: DepsOf, response: Response) -> Readiness:
    """Every part that a call needs is there."""
    found = await check(deps.durable, deps.readiness())
    response.status_code = 200 if found.status == "ready" else 503
    return found
