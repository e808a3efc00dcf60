"""A snapshot of an answered call (RFC 5057: its INVITE usage), with which another process goes on: versioned, bounded,
JSON types only.

It has the dialog, and the timers that must run out at the same moment wherever the call is: those that a feature has
entered in `Core.moving_timers`, as absolute times. What is lost: transactions. Of an INVITE of ours that had no final
response the branch is known, and a 2xx that comes for it is acknowledged; what it offered counts as refused. Leaves
out: keeping it (`ledger`, `dialog_store`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from longline.base.errors import LocalProtocolError
from longline.sip import offers
from longline.sip.dialog import Dialog
from longline.sip.offers import Move
from longline.sip.syntax.body import sdp_of
from longline.sip.syntax.message import Response
from longline.sip.timers import Timer
from longline.sip.usage import InviteUsage, Stage
from longline.sip.wire import Target

if TYPE_CHECKING:
    from longline.sip.core import Core

SNAPSHOT_VERSION = 1
MAX_SNAPSHOT_BYTES = 65_536
"""A snapshot as JSON: two session descriptions of 8 KB, and the routes of one message. A longer one is not taken."""
CSEQ_SKIP = 100
"""How far CSeq and nonce counts jump ahead: gaps are legal (RFC 3261 §12.2.2, RFC 7616 §3.4), reuse is not. A dialog
is kept at least once in half as many requests."""
KEPT_STAGES = frozenset((Stage.ANSWERING, Stage.ACCEPTED, Stage.CONFIRMED))
"""Before an answer there is nothing to go on with: the caller's INVITE comes again, or ours is lost."""


def take(core: Core, now: float, utc: float, usage: InviteUsage) -> dict[str, Any]:
    """`utc` is the time of the clock on the wall, in seconds, at `now`. LocalProtocolError before the answer."""
    if usage.stage not in KEPT_STAGES:
        raise LocalProtocolError("only an answered call can move")
    armed = {timer.name: core.timers.at(usage.handle, timer) for timer in core.moving_timers}
    return {
        "version": SNAPSHOT_VERSION,
        "handle": usage.handle,
        "dialog": usage.dialog.to_dict(),
        "timers": {name: round(utc + at - now, 3) for name, at in armed.items() if at is not None},
    }


def restore(core: Core, now: float, utc: float, snapshot: dict[str, Any]) -> InviteUsage:
    """Go on with the call. ValueError for what is no snapshot of this version, LocalProtocolError when the call is here
    already. A timer that ran out meanwhile is due at once."""
    if snapshot.get("version") != SNAPSHOT_VERSION:
        raise ValueError(f"the snapshot has version {snapshot.get('version')!r}, not {SNAPSHOT_VERSION}")
    if len(json.dumps(snapshot)) > MAX_SNAPSHOT_BYTES:
        raise ValueError(f"the snapshot is longer than {MAX_SNAPSHOT_BYTES} bytes")
    try:
        dialog = Dialog.from_dict(snapshot["dialog"])
        timers = {Timer[name]: float(at) for name, at in snapshot["timers"].items()}
        usage = InviteUsage(str(snapshot["handle"]), Stage.CONFIRMED, dialog)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no snapshot of a dialog: {error!r}") from error
    if usage.handle in core.usages or dialog.id in core.dialogs:
        raise LocalProtocolError(f"call {usage.handle} is here already")
    dialog.local_cseq += CSEQ_SKIP
    for session in dialog.digests:
        session.nc += CSEQ_SKIP
    dialog.confirmed = True
    offers.make(dialog, Move.REFUSE)
    usage.lost_invite, dialog.open_invite = dialog.open_invite, None
    core.add(usage)
    core.index(usage)
    for timer, at in timers.items():
        core.timers.arm(usage.handle, timer, now + max(0.0, at - utc))
    core.ledger.adopt(usage)
    return usage


def acknowledge_lost(core: Core, now: float, response: Response) -> bool:
    """A 2xx to an INVITE that was sent before the call moved here: without an ACK the peer would end the call (RFC 3261
    §13.3.1.4). False when the response is no such thing."""
    number, method = response.cseq
    if method != "INVITE" or not 200 <= response.status < 300:
        return False
    usage = core.dialogs.get((response.call_id, response.from_.tag or "", response.to.tag))
    if usage is None or usage.lost_invite is None or usage.lost_invite != response.top_via.branch:
        return False
    dialog = usage.dialog
    dialog.refresh_target(response)
    dialog.remote_sdp = sdp_of(response) or dialog.remote_sdp
    request = dialog.request("ACK", number)

    def send(now: float, targets: Sequence[Target]) -> None:
        if targets:
            core.add_via(request, targets[0])
            core.layer.send(request.encode(), targets[0], usage.handle)
        else:
            core.counters["sip.unroutable"] += 1

    core.locate_dialog(now, dialog, send)
    return True
