"""An INVITE usage (RFC 5057): one call as the user agent core sees it, around one dialog.

`STEPS` is the table {(stage, step): next stage}; a step that is not in it is not allowed in that stage.
Leaves out: what is sent when; that is `uac` and `uas`.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from longline.base.errors import LocalProtocolError
from longline.sip import offers
from longline.sip.dialog import Dialog
from longline.sip.exchange import Exchange
from longline.sip.offers import Move
from longline.sip.syntax.message import Request, Response
from longline.sip.transaction_layer import ServerTransaction
from longline.sip.ways import Way
from longline.sip.wire import Target

if TYPE_CHECKING:
    from longline.sip.features.redirect import Redirection

MAX_FORKS = 16
"""Early dialogs of one INVITE, and 2xx from further branches of it that we acknowledge and end; more are dropped and
counted (`sip.forks_dropped`)."""


class Stage(Enum):
    CALLING = "our INVITE has no final response"
    CANCELING = "we gave up; CANCEL is sent as soon as it may be"
    ANSWERING = "200 came with an offer; our answer goes into the ACK"
    OFFERED = "their INVITE has no final response"
    ACCEPTED = "200 sent, no ACK yet"
    CONFIRMED = "answered and acknowledged"
    ENDED = "over for the user; only transactions are left"


class Step(Enum):
    CANCEL = "we gave up"
    ANSWERED = "200 came"
    ANSWERED_WITH_OFFER = "200 came with an offer"
    ACKNOWLEDGE = "we sent the answer in the ACK"
    ACCEPT = "we sent 200"
    ACKED = "the ACK came"
    END = "BYE, refusal, CANCEL or failure"


STEPS: dict[tuple[Stage, Step], Stage] = {
    (Stage.CALLING, Step.CANCEL): Stage.CANCELING,
    (Stage.CALLING, Step.ANSWERED): Stage.CONFIRMED,
    (Stage.CALLING, Step.ANSWERED_WITH_OFFER): Stage.ANSWERING,
    (Stage.CALLING, Step.END): Stage.ENDED,
    (Stage.CANCELING, Step.END): Stage.ENDED,
    (Stage.ANSWERING, Step.ACKNOWLEDGE): Stage.CONFIRMED,
    (Stage.ANSWERING, Step.END): Stage.ENDED,
    (Stage.OFFERED, Step.ACCEPT): Stage.ACCEPTED,
    (Stage.OFFERED, Step.END): Stage.ENDED,
    (Stage.ACCEPTED, Step.ACKED): Stage.CONFIRMED,
    (Stage.ACCEPTED, Step.END): Stage.ENDED,
    (Stage.CONFIRMED, Step.END): Stage.ENDED,
}


@dataclass(slots=True, eq=False)
class Reinvite:
    """A re-INVITE of the peer, from its arrival to its ACK."""

    transaction: ServerTransaction
    late_offer: bool
    answered: bool = False


@dataclass(slots=True, eq=False)
class Unpracked:
    """The last reliable provisional response of ours (`reliable.py`)."""

    rseq: int
    data: bytes
    has_sdp: bool
    interval: float
    is_acknowledged: bool = False


@dataclass(slots=True, eq=False)
class Change:
    """An offer of ours in mid-call, from the wish to its outcome. `sessions` is the dialog's count when it was made.
    `is_refresh`: nothing is to change, and in an UPDATE nothing is offered."""

    sdp: bytes
    method: str
    dialog: Dialog
    sessions: int
    is_refresh: bool = False
    sent: bytes | None = None
    """As it left, with its version."""
    exchange: Exchange | None = None
    """The request that it is in; None while it waits."""
    tries: int = 0
    is_canceled: bool = False


@dataclass(slots=True, eq=False)
class InviteUsage:
    handle: str
    stage: Stage
    dialog: Dialog
    invite: Request | None = None
    """Incoming: the INVITE that made the call."""
    tells_silence: bool = False
    """Outgoing: `Unheard` is wanted."""
    exchange: Exchange | None = None
    """Outgoing: our INVITE."""
    server: ServerTransaction | None = None
    proceeding: bool = False
    """Outgoing: a provisional response came, so CANCEL may be sent."""
    cancel_sent: bool = False
    reason: str | None = None
    """The Reason header of our CANCEL or of a BYE that has to wait."""
    bye_waits: bool = False
    """Incoming: BYE was asked for before the ACK; RFC 3261 §15 has it wait."""
    early: dict[str, Dialog] = field(default_factory=dict)
    """Outgoing: the early dialogs by their To tags, one for each fork of the INVITE that rings (RFC 3261 §12.1.2)."""
    acks: dict[tuple[str, int], tuple[bytes, Target]] = field(default_factory=dict)
    """The ACK of each 2xx by To tag and CSeq, to be sent again with every retransmission."""
    answer_cseq: int = 0
    """The CSeq of the INVITE that was answered, for its ACK."""
    late_offer: bool = False
    """The INVITE had no offer."""
    ok: tuple[bytes, Target] | None = None
    """Incoming: the 200 that is sent again until the ACK comes."""
    ok_interval: float = 0.0
    ok_cseq: int = 0
    """Incoming: the CSeq of the INVITE whose ACK is awaited."""
    reinvite: Reinvite | None = None
    asked: ServerTransaction | None = None
    """An UPDATE or PRACK of the peer whose offer we have not answered."""
    change: Change | None = None
    """What we want to change ourselves, and are about it."""
    next_change: Change | None = None
    """What is to follow: it was asked for during a refresh."""
    unpracked: Unpracked | None = None
    rings: list[bytes | None] = field(default_factory=list)
    """Incoming: the descriptions (or None) of provisional responses that wait for a PRACK."""
    answer_waits: bytes | None = None
    """Incoming: the 200 waits for a PRACK, with this description."""
    open_pracks: int = 0
    """Outgoing: PRACKs without a final response."""
    open_infos: int = 0
    """INFOs of ours without a final response."""
    prack_waits: tuple[Dialog, Response] | None = None
    """Outgoing: a reliable provisional response with an offer, whose PRACK waits for our answer."""
    redirection: "Redirection | None" = None
    """Outgoing: where the call may go after a 3xx."""
    replaces: str | None = None
    """Incoming: the handle of the call that ends when this one is answered."""
    was_referred: bool = False
    """A REFER has come in this dialog: the next one is told apart by its id."""
    subscriptions: list[str] = field(default_factory=list)
    """What keeps the dialog known when the call is over (RFC 5057 §4.1): a REFER whose outcome is not told yet."""
    ways: list[Way] = field(default_factory=list)
    """Outgoing: where else to call when there is no answer here."""
    lost_invite: str | None = None
    """Restored: the branch of an INVITE of ours whose transaction was lost when the call moved."""
    kept: tuple[Any, ...] | None = None
    """What was stored last (`ledger`)."""
    channel: str | None = None
    """The peer that it counts as a call of."""

    def dialog_with(self, remote_tag: str | None) -> Dialog:
        """The dialog with this fork of our INVITE; of a call that is answered there is but one."""
        return self.early.get(remote_tag or "", self.dialog) if self.dialog.remote_tag is None else self.dialog

    @property
    def is_answered(self) -> bool:
        return self.stage in (Stage.ACCEPTED, Stage.CONFIRMED, Stage.ANSWERING)

    def dialog_now(self) -> Dialog:
        """The dialog for a command: before the answer, that of the fork whose session is settled, if there is one."""
        if self.dialog.remote_tag is not None or not self.early:
            return self.dialog
        forks = list(self.early.values())
        return next((fork for fork in reversed(forks) if fork.sessions), forks[-1])

    def forget_reinvite(self) -> None:
        """The peer's re-INVITE came to nothing; the session stays as it was."""
        if self.reinvite is not None and not self.reinvite.late_offer and not self.reinvite.answered:
            offers.make(self.dialog, Move.REFUSE)
        self.reinvite = None

    def step(self, step: Step) -> None:
        """Move on, or LocalProtocolError when the stage does not allow it."""
        after = STEPS.get((self.stage, step))
        if after is None:
            raise LocalProtocolError(f"call {self.handle}: not allowed now ({step.value}; {self.stage.value})")
        self.stage = after
