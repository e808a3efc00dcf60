"""The ids in a path of what must be the account's own: another's is 404, like one that never was.

A live call is asked of the calls of this node, so that acting on it waits for no database.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from longline.api.callers import Caller
from longline.api.deps import CallerOf, Deps, DepsOf
from longline.api.fields import path_call_id
from longline.base.errors import CallNotFound

CallId = Annotated[UUID, Depends(path_call_id)]
"""Well-formed, and nothing else: for a route that looks it up by `StoreOf`."""


async def own_call(call_id: UUID | None, deps: Deps, caller: Caller) -> UUID:
    """The id of a call of the account that there is, or was. Raises CallNotFound, for None too."""
    if call_id is None:
        raise CallNotFound
    owner = deps.manager.account_of_live(call_id) or await deps.durable.account_of_call(call_id)
    if owner != caller.account_id:
        raise CallNotFound
    return call_id


async def existing_call(call_id: CallId, deps: DepsOf, caller: CallerOf) -> UUID:
    return await own_call(call_id, deps, caller)


ExistingCallId = Annotated[UUID, Depends(existing_call)]
