"""A telephone on the fake wire: an endpoint that negotiates media as a call of ours does, with buttons to press."""

import itertools

from tests.unit.sip.sip_pair import Party, Wire

from longline.sip.events import (
    Answered,
    IncomingCall,
    Progress,
    Reanswered,
    ReferDone,
    ReferProgress,
    Referred,
    Reoffer,
    SipEvent,
)
from longline.sip.sdp.description import SessionDescription
from longline.sip.sdp.offer_answer import Direction, LocalMedia, Negotiated, make_answer, make_offer, read_answer
from longline.sip.uac import Invitation


class Telephone(Party):
    """`media` is what each call settled on, by handle. It rings and answers; `busy` refuses, `absent` only rings."""

    def __init__(self, wire: Wire, host: str, *, busy: bool = False, absent: bool = False) -> None:
        super().__init__(wire, host)
        self.busy, self.absent = busy, absent
        self.media: dict[str, Negotiated] = {}
        self.react = self._on_event
        self._offers: dict[str, SessionDescription] = {}
        self._ports: dict[str, int] = {}
        self._referrals: dict[str, str] = {}
        self._numbers = itertools.count(4000, 2)

    # ---- buttons

    def call(self, uri: str, *, route: str | None = None, headers: list[tuple[str, str]] | None = None) -> str:
        port = self._new_port()
        offer = make_offer(self._local(port, "sendrecv"))
        invitation = Invitation(
            uri, f"sip:phone@{self.host}", sdp=offer.serialize(), route=route, headers=tuple(headers or ())
        )
        handle = self.endpoint.invite(self.wire.now, invitation)
        self._offers[handle], self._ports[handle] = offer, port
        self.drain()
        return handle

    def pick_up(self, handle: str) -> None:
        call = next(event for event in self.events if isinstance(event, IncomingCall) and event.handle == handle)
        self.do("answer", handle, self._answer_to(handle, call.offer))

    def hold(self, handle: str) -> None:
        self.reoffer(handle, "sendonly")

    def resume(self, handle: str) -> None:
        self.reoffer(handle, "sendrecv")

    def hang_up(self, handle: str) -> None:
        self.do("bye", handle)

    def transfer(self, handle: str, to: str | None = None, replaces: str | None = None) -> str:
        reference = self.endpoint.refer(self.wire.now, handle, to, replaces=replaces)
        self.drain()
        return reference

    # ---- lamps

    def direction(self, handle: str) -> str:
        return self.media[handle].direction

    @property
    def calls(self) -> list[str]:
        """The handles of the calls that stand."""
        return [handle for handle in self.endpoint._core.usages if handle in self.media]

    # ---- what happens

    def _on_event(self, event: SipEvent) -> None:
        handle, now = event.handle, self.wire.now
        if isinstance(event, IncomingCall):
            if self.busy:
                self.endpoint.reject(now, handle, 486)
                return
            if event.replaces is None:
                self.endpoint.ring(now, handle)
            if not self.absent or event.replaces is not None:
                self.endpoint.answer(now, handle, self._answer_to(handle, event.offer))
        elif isinstance(event, Reoffer):
            self.endpoint.reanswer(now, handle, self._answer_to(handle, event.offer))
        elif isinstance(event, Answered | Reanswered):
            assert event.sdp is not None
            self.media[handle] = read_answer(self._offers[handle], SessionDescription.parse(event.sdp))
            self._tell_referrer(handle, 200)
        elif isinstance(event, Referred):
            self.endpoint.accept_refer(now, event.referral)
            self._referrals[self.call(event.refer_to, headers=event.invite_headers)] = event.referral
        elif isinstance(event, Progress):
            self._tell_referrer(handle, event.status)
        elif type(event).__name__ == "Failed":
            self._tell_referrer(handle, event.status)  # type: ignore[union-attr]
        elif isinstance(event, ReferProgress | ReferDone):
            pass

    def _tell_referrer(self, handle: str, status: int) -> None:
        if handle in self._referrals:
            self.endpoint.notify_refer(self.wire.now, self._referrals[handle], status)
            if status >= 200:
                del self._referrals[handle]

    def reoffer(self, handle: str, direction: Direction, method: str | None = None) -> None:
        offer = make_offer(self._local(self._port_of(handle), direction))
        self.endpoint.reoffer(self.wire.now, handle, offer.serialize(), method)
        self._offers[handle] = offer
        self.drain()

    def _answer_to(self, handle: str, offer: bytes | None) -> bytes:
        local = self._local(self._port_of(handle), "sendrecv")
        if offer is None:  # they want ours; their answer comes in the ACK
            self._offers[handle] = make_offer(local)
            return self._offers[handle].serialize()
        answer, self.media[handle] = make_answer(SessionDescription.parse(offer), local)
        return answer.serialize()

    def _new_port(self) -> int:
        return next(self._numbers)

    def _port_of(self, handle: str) -> int:
        if handle not in self._ports:
            self._ports[handle] = self._new_port()
        return self._ports[handle]

    def _local(self, port: int, direction: Direction) -> LocalMedia:
        return LocalMedia(self.host, port, port + 1, codecs=("PCMU",), direction=direction)
