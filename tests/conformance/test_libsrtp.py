"""Our SRTP against libsrtp, in both directions: every suite, over wraps, out of order, replayed, changed on the way."""

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pylibsrtp import Error, Policy, Session

from longline.sip.sdp.crypto import SUITES

ROOT = Path(__file__).parents[2]
PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
PACKETS = [*range(65_500, 65_536, 3), *range(0, 65_536, 4_000), *range(0, 65_536, 20_000), *range(1, 40)]
"""Sequence numbers: wraps, packet by packet and by jumps that the index is guessed over."""


class Ours:
    """Our sender and receiver, one packet a line."""

    def __init__(self, suite: str, key: bytes) -> None:
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        program = target / "debug" / "examples" / "srtp_lines"
        self._process = subprocess.Popen(
            [program, suite, key.hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, verb: str, packet: bytes) -> bytes | str:
        """The packet, or the word for why it was refused."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{verb} {packet.hex()}\n")
        answer = self._process.stdout.readline().strip()
        return answer if answer.istitle() else bytes.fromhex(answer)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(10) == 0
        self._process.stdout.close()


@pytest.fixture(scope="module", autouse=True)
def program() -> None:
    """`cargo test` has built it already, where it has run."""
    command = ["cargo", "build", "--quiet", "--locked", "--package", "longline-media-engine", "--example", "srtp_lines"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)


@pytest.fixture(params=PROFILES)
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def key(suite: str) -> bytes:
    return bytes((n * 7 + 3) % 256 for n in range(SUITES[suite]))


@pytest.fixture
def ours(suite: str, key: bytes) -> Iterator[Ours]:
    ours = Ours(suite, key)
    yield ours
    ours.close()


def theirs(suite: str, key: bytes, ssrc_type: int) -> Session:
    return Session(Policy(key=key, ssrc_type=ssrc_type, srtp_profile=PROFILES[suite]))


def rtp(sequence: int, ssrc: int = 0x1234_5678, size: int = 160) -> bytes:
    """With a contributing source and a header extension for every third: these stay in the clear."""
    first, beside = 0x80, b""
    if sequence % 3 == 0:
        first, beside = 0x91, struct.pack("!IHHI", 7, 0xBEDE, 1, 0x10FF_0000)
    header = struct.pack("!BBHII", first, 0, sequence, sequence * 160, ssrc)
    return header + beside + bytes((sequence + n) % 256 for n in range(size))


def rtcp(ssrc: int) -> bytes:
    return (
        struct.pack("!BBHI", 0x80, 200, 6, ssrc) + bytes(range(20)) + struct.pack("!BBHIBB2x", 0x81, 202, 2, ssrc, 1, 0)
    )


def test_libsrtp_understands_what_we_send_over_wraps(suite: str, key: bytes, ours: Ours) -> None:
    receiver = theirs(suite, key, Policy.SSRC_ANY_INBOUND)
    for sequence in PACKETS:
        packet = rtp(sequence, size=sequence % 200)
        protected = ours.ask("protect", packet)
        assert isinstance(protected, bytes) and protected != packet
        assert receiver.unprotect(protected) == packet, sequence


def test_we_understand_what_libsrtp_sends_over_wraps(suite: str, key: bytes, ours: Ours) -> None:
    sender = theirs(suite, key, Policy.SSRC_ANY_OUTBOUND)
    for sequence in PACKETS:
        packet = rtp(sequence, size=sequence % 200)
        assert ours.ask("unprotect", sender.protect(packet)) == packet, sequence


def test_both_send_the_same_bytes(suite: str, key: bytes, ours: Ours) -> None:
    sender = theirs(suite, key, Policy.SSRC_ANY_OUTBOUND)
    for sequence in range(50):
        assert ours.ask("protect", rtp(sequence)) == sender.protect(rtp(sequence))
        assert ours.ask("protect_rtcp", rtcp(5)) == sender.protect_rtcp(rtcp(5))


def test_disorder_over_a_wrap_is_understood_and_a_replay_refused_by_both(suite: str, key: bytes, ours: Ours) -> None:
    sender, receiver = (theirs(suite, key, kind) for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND))
    numbers = [n % 65_536 for n in range(65_480, 65_600)]
    packets = [sender.protect(rtp(number)) for number in numbers]
    shuffled = [packets[n] for n in sorted(range(len(packets)), key=lambda n: n // 20 * 20 - n % 20)]
    for protected in shuffled:
        assert ours.ask("unprotect", protected) == receiver.unprotect(protected)
    for protected in shuffled:
        assert ours.ask("unprotect", protected) == "Replayed"
        with pytest.raises(Error, match="replay"):
            receiver.unprotect(protected)


def test_many_sources_are_told_apart(suite: str, key: bytes, ours: Ours) -> None:
    sender = theirs(suite, key, Policy.SSRC_ANY_OUTBOUND)
    for sequence in (10, 65_000, 5):
        for ssrc in range(1, 9):
            packet = rtp(sequence, ssrc)
            assert ours.ask("unprotect", sender.protect(packet)) == packet


def test_control_packets_go_both_ways_and_their_replays_do_not(suite: str, key: bytes, ours: Ours) -> None:
    sender, receiver = (theirs(suite, key, kind) for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND))
    for _ in range(100):
        from_us = ours.ask("protect_rtcp", rtcp(7))
        assert isinstance(from_us, bytes) and receiver.unprotect_rtcp(from_us) == rtcp(7)
        from_them = sender.protect_rtcp(rtcp(9))
        assert ours.ask("unprotect_rtcp", from_them) == rtcp(9)
        assert ours.ask("unprotect_rtcp", from_them) == "Replayed"


def test_one_bit_changed_anywhere_is_refused_by_both(suite: str, key: bytes, ours: Ours) -> None:
    sender, receiver = (theirs(suite, key, kind) for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND))
    protected, control = sender.protect(rtp(100)), sender.protect_rtcp(rtcp(3))
    for at in range(len(protected)):
        changed = bytearray(protected)
        changed[at] ^= 1 << at % 8
        assert ours.ask("unprotect", bytes(changed)) in ("Unauthentic", "Malformed"), at
    for at in range(len(control)):
        changed = bytearray(control)
        changed[at] ^= 1 << at % 8
        assert ours.ask("unprotect_rtcp", bytes(changed)) in ("Unauthentic", "Malformed"), at
    # Nothing of it has moved us: the packets themselves are still taken.
    assert ours.ask("unprotect", protected) == rtp(100) == receiver.unprotect(protected)
    assert ours.ask("unprotect_rtcp", control) == rtcp(3) == receiver.unprotect_rtcp(control)
