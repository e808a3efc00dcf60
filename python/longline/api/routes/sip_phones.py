"""The phones of the configuration, and where each has registered."""

from fastapi import APIRouter

from longline.api.answers import PageOf
from longline.api.deps import DepsOf, SipViewsOf
from longline.api.problems import declare
from longline.api.sip_answers import Phone

router = APIRouter(tags=["sip"])


@router.get("/sip/phones", responses=declare(403))
async def list_sip_phones(deps: DepsOf, views: SipViewsOf) -> PageOf[Phone]:
    """Every account that a phone may register with, on one page."""
    return views.phones(deps.phones.phones())
