"""The schema of call flows. No key is needed: it says nothing of this server."""

from typing import Any

from fastapi import APIRouter

from longline.flows.schema import flow_schema

router = APIRouter(tags=["flows"])


@router.get("/flow-schema.json", summary="The JSON Schema of a call flow")
async def schema() -> dict[str, Any]:
    """What a flow URL may answer, and what `flow` of a new call may be."""
    return flow_schema()
