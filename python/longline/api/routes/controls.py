"""What is done to a live call: hanging up, pressing keys, muting, playing, giving it to somebody else.

Each is accepted at once and told of by the call's events. A repeated Idempotency-Key gets the first answer again.
"""

from typing import Annotated

from fastapi import APIRouter, Body, Header

from longline.api.answers import CallControlResponse, PlayResponse, TransferResponse
from longline.api.control_requests import HoldRequest, MuteRequest, PlayRequest, TransferRequest
from longline.api.deps import DepsOf, IdempotencyOf, ViewsOf
from longline.api.owned import ExistingCallId
from longline.api.problems import declare
from longline.api.requests import DtmfRequest, HangupRequest
from longline.base.ids import Prefix, new_request_id

router = APIRouter(tags=["calls"])

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


@router.post("/voice/calls/{call_id}/hangup", status_code=202, responses=declare(403, 404, 409, 413, 422))
async def hang_up_call(
    call_id: ExistingCallId,
    deps: DepsOf,
    idempotency: IdempotencyOf,
    request: Annotated[HangupRequest | None, Body()] = None,
    key: IdempotencyKey = None,
) -> CallControlResponse:
    """End a call, or one leg of it. A repeated Idempotency-Key gets the first answer again."""
    order = request or HangupRequest()

    async def hang_up() -> CallControlResponse:
        await deps.manager.hangup(call_id, reason=order.reason, leg_id=order.leg_id)
        return CallControlResponse(request_id=new_request_id())

    return await idempotency.run(f"hangup {call_id}", key, order, hang_up)


@router.post("/voice/calls/{call_id}/dtmf", status_code=202, responses=declare(403, 404, 409, 413, 422, 503))
async def send_call_dtmf(
    call_id: ExistingCallId, request: DtmfRequest, deps: DepsOf, idempotency: IdempotencyOf, key: IdempotencyKey = None
) -> CallControlResponse:
    """Press keys toward the far end. The answer comes when they are queued; each key that has been sent is told by an
    event `dtmf.sent`. A repeated Idempotency-Key gets the first answer again, and presses nothing."""

    async def send() -> CallControlResponse:
        await deps.manager.send_digits(call_id, request.digits, tone_ms=request.duration_ms, leg_id=request.leg_id)
        return CallControlResponse(request_id=new_request_id())

    return await idempotency.run(f"dtmf {call_id}", key, request, send)


@router.post("/voice/calls/{call_id}/mute", status_code=202, responses=declare(403, 404, 409, 413, 422, 503))
async def mute_call_leg(
    call_id: ExistingCallId, request: MuteRequest, deps: DepsOf, idempotency: IdempotencyOf, key: IdempotencyKey = None
) -> CallControlResponse:
    """Let nobody hear one leg of a call, or all again."""

    async def mute() -> CallControlResponse:
        await deps.manager.mute(call_id, request.leg_id, request.on)
        return CallControlResponse(request_id=new_request_id())

    return await idempotency.run(f"mute {call_id}", key, request, mute)


@router.post("/voice/calls/{call_id}/hold", status_code=202, responses=declare(403, 404, 409, 413, 422, 503))
async def hold_call_leg(
    call_id: ExistingCallId, request: HoldRequest, deps: DepsOf, idempotency: IdempotencyOf, key: IdempotencyKey = None
) -> CallControlResponse:
    """Put one leg of a call on hold, or take it back: it neither hears the others nor is heard by them. Its phone is
    told; the event `call.held` or `call.resumed` says that it has agreed, `call.hold_failed` that it has not."""

    async def hold() -> CallControlResponse:
        await deps.manager.hold(call_id, request.leg_id, request.on)
        return CallControlResponse(request_id=new_request_id())

    return await idempotency.run(f"hold {call_id}", key, request, hold)


@router.post("/voice/calls/{call_id}/play", status_code=202, responses=declare(403, 404, 409, 413, 422, 503))
async def play_to_call(
    call_id: ExistingCallId,
    request: PlayRequest,
    deps: DepsOf,
    views: ViewsOf,
    idempotency: IdempotencyOf,
    key: IdempotencyKey = None,
) -> PlayResponse:
    """Play a WAV file to one leg of a call alone."""

    async def play() -> PlayResponse:
        playback_id = await deps.controls.play(call_id, request.to_order())
        return PlayResponse(request_id=new_request_id(), playback_id=views.id(Prefix.PLAYBACK, playback_id))

    return await idempotency.run(f"play {call_id}", key, request, play)


@router.post("/voice/calls/{call_id}/transfer", status_code=202, responses=declare(400, 403, 404, 409, 413, 422, 503))
async def transfer_call(
    call_id: ExistingCallId,
    request: TransferRequest,
    deps: DepsOf,
    views: ViewsOf,
    idempotency: IdempotencyOf,
    key: IdempotencyKey = None,
) -> TransferResponse:
    """Give a live call to somebody else. The caller stays with whoever he talks to until the other answers; a transfer
    that fails leaves him there, unless `on_failure` says otherwise. One at a time."""

    async def transfer() -> TransferResponse:
        begun = await deps.controls.transfer(call_id, request.to_order())
        return views.transfer(call_id, begun)

    return await idempotency.run(f"transfer {call_id}", key, request, transfer)
