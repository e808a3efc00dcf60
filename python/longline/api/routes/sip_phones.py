"""The phones of the configuration, and where each has registered."""

from fastapi import APIRouter

from longline.api.answers import PageOf
from longline.api.deps import CallerOf, DepsOf, SipViewsOf
from longline.api.problems import declare
from longline.api.sip_answers import Phone
from longline.base.ids import DEFAULT_ACCOUNT_ID

router = APIRouter(tags=["sip"])


@router.get("/sip/phones", responses=declare(403))
async def list_sip_phones(deps: DepsOf, caller: CallerOf, views: SipViewsOf) -> PageOf[Phone]:
    """Every account that a phone may register with, on one page. They are the default account's."""
    return views.phones(deps.phones.phones() if caller.account_id == DEFAULT_ACCOUNT_ID else [])
