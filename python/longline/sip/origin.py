"""The o= line of what we send in one dialog (RFC 3264 §8): one id for ever, and the next version when anything changed.

It is written where a description leaves, so that it is right whoever made the description, also on the node that goes
on with the call. Leaves out: everything else in a description.
"""

import re

from longline.sip.dialog import Dialog

_ORIGIN = re.compile(rb"^o=(\S+) +(\S+) +([0-9]{1,19})( [^\r\n]*)", re.MULTILINE)
MAX_VERSION = 2**63 - 1
"""RFC 8866 §5.2 has numeric strings; beyond 64 bits nobody counts."""


def next_description(dialog: Dialog, sdp: bytes) -> bytes:
    """The description as it leaves now: with the id of the first, and a version that counts what has left before."""
    match = _ORIGIN.search(sdp)
    if match is None:
        return sdp
    if dialog.sdp_version is None or dialog.sdp_origin is None:
        dialog.sdp_version = int(match[3])
        dialog.sdp_origin = f"{match[1].decode('latin-1')} {match[2].decode('latin-1')}"
        dialog.sent_sdp = sdp
        return sdp
    before = dialog.sent_sdp or dialog.local_sdp
    if before != _stamp(sdp, dialog, dialog.sdp_version):
        dialog.sdp_version = dialog.sdp_version + 1 if dialog.sdp_version < MAX_VERSION else 0
        before = _stamp(sdp, dialog, dialog.sdp_version)
    dialog.sent_sdp = before
    return before


def _stamp(sdp: bytes, dialog: Dialog, version: int) -> bytes:
    origin = (dialog.sdp_origin or "- 0").encode("latin-1")
    return _ORIGIN.sub(lambda match: b"o=" + origin + b" %d" % version + match[4], sdp, count=1)
