"""A leg's side of the media: its ports, and the offers and answers (RFC 3264) that connect them to the far end.

Leaves out when to offer or answer, and the versions of what is sent (`sip/origin.py`).
"""

from __future__ import annotations

import base64
import secrets
from typing import Any

from longline.media.protocol.commands import Opus, PayloadType, Srtp, TelephoneEvent
from longline.media.session import LegAddress, LegLabel, LegRemote, MediaSession
from longline.sip.sdp.crypto import SrtpKeys, SrtpPolicy
from longline.sip.sdp.description import SessionDescription
from longline.sip.sdp.offer_answer import Direction, LocalMedia, Negotiated, make_answer, make_offer, read_answer


class LegMedia:
    """`open` first. `offer` and `read_answer`, or `answer` alone, settle what `connect` then tells the media server."""

    def __init__(
        self,
        session: MediaSession,
        leg_id: str,
        codecs: tuple[str, ...],
        srtp: SrtpPolicy = "preferred",
        label: LegLabel | None = None,
    ) -> None:
        """`label` is what the applications of the call's streams are told of it."""
        self._session = session
        self._leg_id = leg_id
        self._label = label
        self._codecs = codecs
        self._srtp: SrtpPolicy = srtp
        self._address: LegAddress | None = None
        self._offer: SessionDescription | None = None
        self._agreed: SessionDescription | None = None
        self._session_id = secrets.randbits(62)
        self._direction: Direction = "sendrecv"
        self.signalling_ip: str | None = None
        """Where the far end's SIP came from, when it is known."""
        self.negotiated: Negotiated | None = None

    def use_srtp(self, policy: SrtpPolicy) -> None:
        """From the next offer or answer on: the trunk that a leg goes through may want another than the node."""
        self._srtp = policy

    async def open(self, family: int | None = None) -> None:
        """Reserve ports, at an address of the family 4 or 6 if one is named. Raise MediaUnavailable, or
        MediaCommandRefused when there are none left, or none of that family."""
        self._address = await self._session.open_leg(self._leg_id, family, self._label)

    @property
    def is_offering(self) -> bool:
        """An offer of ours waits for its answer."""
        return self._offer is not None

    def hold(self, on: bool) -> None:
        """From the next offer or answer on the far end is not listened to, or is again."""
        self._direction = "sendonly" if on else "sendrecv"  # RFC 3264 §8.4

    @property
    def is_held(self) -> bool:
        """The far end does not listen to us: it wants to be sent nothing."""
        return self.negotiated is not None and self.negotiated.direction in ("recvonly", "inactive")

    def withdraw(self, offer: bytes) -> None:
        """An offer of ours came to nothing."""
        if self._offer is not None and self._offer.serialize() == offer:
            self._offer = None

    def offer(self) -> bytes:
        """Our offer."""
        self._offer = make_offer(self._local())
        return self._offer.serialize()

    def answer(self, offer: bytes) -> bytes:
        """The answer to the far end's offer. Raise OfferRefused, or SdpError when it is no session description."""
        description, negotiated = make_answer(SessionDescription.parse(offer), self._local())
        self.negotiated, self._agreed = negotiated, description
        return description.serialize()

    def answer_another(self, offer: bytes | None, signalling_ip: str | None) -> bytes:
        """The answer to the offer of somebody who takes the place of the far end, or our offer when he makes none.

        Nothing that was settled with the far end before holds for him, least of all its keys; it holds for it when this
        raises OfferRefused or SdpError."""
        was, self.negotiated = self.negotiated, None
        try:
            if offer is not None:
                answer = self.answer(offer)
                self._offer, self.signalling_ip = None, signalling_ip
                return answer
            self.signalling_ip = signalling_ip
            return self.offer()
        finally:
            self.negotiated = self.negotiated or was

    def read_answer(self, answer: bytes) -> None:
        """The far end's answer to our offer. Raise OfferRefused when it settles on nothing."""
        if self._offer is None:
            return  # a repetition of an answer that was read already
        self.negotiated = read_answer(self._offer, SessionDescription.parse(answer))
        self._agreed, self._offer = self._offer, None

    def read_refresh(self, answer: bytes) -> None:
        """What the far end said when the same was offered once more to refresh the session (RFC 4028 §7.4). Raise as
        `read_answer`."""
        if self._agreed is not None:
            self.negotiated = read_answer(self._agreed, SessionDescription.parse(answer))

    def read_early_answer(self, answer: bytes) -> None:
        """An answer in a provisional response; the one in the 200 may be another's. Raise as `read_answer`."""
        if self._offer is not None:
            self.negotiated = read_answer(self._offer, SessionDescription.parse(answer))

    async def mute(self, *, input: bool, output: bool) -> None:
        """Let it not be heard (`input`), or hear nothing (`output`). Raise MediaUnavailable, MediaCommandRefused."""
        await self._session.mute_leg(self._leg_id, input=input, output=output)

    async def close(self) -> dict[str, Any]:
        """Let the ports go; returns what the leg has seen. Raise MediaUnavailable, MediaCommandRefused."""
        return await self._session.close_leg(self._leg_id)

    @property
    def address(self) -> LegAddress:
        """Where the media server listens for this leg."""
        assert self._address is not None, "open() comes first"
        return self._address

    async def link(self, to: LegAddress) -> None:
        """Send to, and hear, another leg of the media server, without any offer. Raise MediaUnavailable,
        MediaCommandRefused."""
        remote = LegRemote(
            rtp=to.rtp,
            rtcp=to.rtcp,
            payload_types=(PayloadType(0, "PCMU"),),
            telephone_event=TelephoneEvent(101),
            direction="sendrecv",
            rtcp_mux=False,
        )
        await self._session.connect_leg(self._leg_id, remote)

    async def connect(self) -> None:
        """Tell the media server what was settled."""
        settled = self.negotiated
        if settled is None:
            return
        remote = leg_remote(settled, self.signalling_ip)
        await self._session.connect_leg(self._leg_id, remote)

    def what_flows(self) -> dict[str, str | None]:
        """The codec, and the suite of SRTP or None: what an observer may know of the media."""
        settled = self.negotiated
        if settled is None:
            return {}
        return {"codec": settled.audio[0][1].name, "srtp_suite": settled.srtp.suite if settled.srtp else None}

    def _local(self) -> LocalMedia:
        assert self._address is not None, "open() comes first"
        host, rtp_port = self._address.rtp
        return LocalMedia(
            address=host,
            rtp_port=rtp_port,
            rtcp_port=self._address.rtcp[1],
            codecs=self._codecs,
            session_id=self._session_id,
            direction=self._direction,
            srtp=self._srtp,
            settled=self.negotiated,
        )


def leg_remote(settled: Negotiated, signalling_ip: str | None = None) -> LegRemote:
    """What SDP has settled, as the media server wants it."""
    event = settled.telephone_event
    opus = settled.opus
    return LegRemote(
        rtp=settled.remote_rtp,
        rtcp=settled.remote_rtcp,
        payload_types=tuple(PayloadType(number, codec.kind, codec.sample_rate_hz) for number, codec in settled.audio),
        telephone_event=None if event is None else TelephoneEvent(event.payload_type, event.clock_hz),
        ptime_ms=settled.ptime_ms,
        opus=Opus(opus.bitrate_bps, opus.fec, opus.dtx),
        direction=settled.direction,
        rtcp_mux=settled.rtcp_mux,
        also_from=signalling_ip,
        srtp=None if settled.srtp is None else _srtp(settled.srtp),
    )


def _srtp(keys: SrtpKeys) -> Srtp:
    send, receive = (base64.b64encode(key).decode() for key in (keys.send_key, keys.receive_key))
    return Srtp(keys.suite, send, receive)
