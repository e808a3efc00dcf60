"""Replaces (RFC 3891): an INVITE that takes the place of a call.

`find_replaced` is the check of §3 of an INVITE that comes in; what it finds is told with the IncomingCall, and ended
once the new call is answered. Whoever names a call by its Call-ID and both tags, and is let in at all, may take its
place: the tags are 64 random bits each. Leaves out: Join (RFC 3911).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longline.sip.dialog import Dialog
from longline.sip.refused import Refused
from longline.sip.syntax.message import Request
from longline.sip.syntax.replaces import Replaces, parse_replaces
from longline.sip.usage import InviteUsage, Stage

if TYPE_CHECKING:
    from longline.sip.core import Core

OPTION_TAG = "replaces"


def replaces_of(dialog: Dialog) -> Replaces:
    """What somebody else tells our far end in order to take our place in this dialog."""
    # RFC 3891 §6.1: a tag that is missing, of a peer of RFC 2543, is written 0.
    return Replaces(dialog.call_id, dialog.remote_tag or "0", dialog.local_tag)


def find_dialog(core: Core, replaces: Replaces) -> InviteUsage | None:
    """The call of ours that is named, whatever its stage."""
    usage = core.dialogs.get((replaces.call_id, replaces.to_tag, replaces.from_tag))
    if usage is None and replaces.from_tag == "0":
        usage = core.dialogs.get((replaces.call_id, replaces.to_tag, None))
    return usage


def find_replaced(core: Core, request: Request) -> InviteUsage | None:
    """RFC 3891 §3: the call whose place an INVITE takes; None when it takes nobody's."""
    value = request.headers.get("Replaces")
    if value is None:
        return None
    if "Join" in request.headers:
        raise Refused(400, "Replaces And Join")  # RFC 3911 §4: they contradict each other
    replaces = parse_replaces(value)
    usage = find_dialog(core, replaces)
    if usage is None or usage.stage is Stage.OFFERED:
        # An early dialog that we did not begin cannot be replaced either.
        raise Refused(481)
    if usage.stage in (Stage.ENDED, Stage.CANCELING):
        raise Refused(603)
    if replaces.early_only and usage.stage is not Stage.CALLING:
        raise Refused(486)
    return usage
