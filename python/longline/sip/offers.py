"""Offer and answer as states (RFC 3264 §4, RFC 6337 §2.2): whose offer is open in a dialog, and what may come then.

`MOVES` is the table {(open offer, move): open offer}; a move that is not in it is not allowed now. Leaves out: what is
in an offer (`offer_answer`), and which message carries it (`uac`, `uas`, `reoffer`, `reinvite`, `reliable`).
"""

from enum import Enum
from typing import Literal

from longline.sip.dialog import Dialog

OpenOffer = Literal["", "ours", "theirs"]


class Move(Enum):
    WE_OFFER = "an offer of ours leaves"
    THEY_OFFER = "an offer of theirs comes"
    WE_ANSWER = "we answer their offer"
    THEY_ANSWER = "they answer our offer"
    REFUSE = "the open offer is refused, or taken back: the session stays as it was"


MOVES: dict[tuple[OpenOffer, Move], OpenOffer] = {
    ("", Move.WE_OFFER): "ours",
    ("", Move.THEY_OFFER): "theirs",
    ("ours", Move.THEY_ANSWER): "",
    ("ours", Move.REFUSE): "",
    ("theirs", Move.WE_ANSWER): "",
    ("theirs", Move.REFUSE): "",
}


def allows(dialog: Dialog, move: Move) -> bool:
    return (dialog.open_offer, move) in MOVES


def make(dialog: Dialog, move: Move) -> bool:
    """Move by the table. False, and nothing changes, when the table has no such move."""
    to = MOVES.get((dialog.open_offer, move))
    if to is None:
        return False
    dialog.open_offer = to
    if move in (Move.WE_ANSWER, Move.THEY_ANSWER):
        dialog.sessions += 1
    return True
