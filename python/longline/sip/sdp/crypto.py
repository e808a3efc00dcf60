"""The crypto attribute of SDP (RFC 4568): SRTP keys that signalling carries, parsed and serialised.

Suites: those of RFC 4568 and RFC 7714 that the media server speaks. A line is refused, and it is said why, rather than
taken for less than it says: a key of the wrong length, a master key identifier, a session parameter that would switch
protection off. Keys never show in a `repr`. Leaves out: which profile goes with which policy; that is `offer_answer`.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from longline.base.errors import RemoteProtocolError
from longline.sip.sdp.description import Media

SrtpPolicy = Literal["off", "preferred", "required"]
"""off: no SRTP. preferred: answered when it is offered, not offered. required: offered, and nothing else is taken."""

SUITES: Final = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AEAD_AES_256_GCM": 44,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
"""The suites, and the bytes of master key and salt of each."""
OFFERED_SUITES: Final = ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM", "AEAD_AES_128_GCM")
"""In the order of our offer: what every phone knows comes first, since some read the first line only. The suite with a
tag of 32 bits is answered, not offered."""
MAX_LINES = 16
"""Crypto lines that are read of one m= line. Rule for more: they are not looked at."""
MIN_LIFETIME = 1 << 16
"""Packets under one key. The far end renews its key itself; one that is used up sooner than 22 minutes is refused."""
MAX_LIFETIME = 1 << 48
"""RFC 3711 §9.2."""

_LINE = re.compile(r"([0-9]{1,9})\s+(\S+)\s+(\S+)((?:\s+\S+)*)\s*\Z")
_NAME = re.compile(r"[A-Z][A-Z0-9_]{1,39}\Z")
_WINDOW = re.compile(r"WSH=[0-9]{1,6}\Z")


class CryptoRefused(RemoteProtocolError):
    """A crypto line that cannot be used; the text says why, without the key."""

    def __init__(self, why: str) -> None:
        super().__init__(why, 488)
        self.why = why


@dataclass(frozen=True, slots=True)
class Crypto:
    """One crypto line: `key` is master key and salt."""

    tag: int
    suite: str
    key: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What offer and answer settled: one suite, and master key and salt for each direction. `send` is ours."""

    suite: str
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)


def new_crypto(tag: int, suite: str) -> Crypto:
    """A line with a fresh key."""
    return Crypto(tag, suite, secrets.token_bytes(SUITES[suite]))


def parse_crypto(value: str) -> Crypto:
    """The value of one attribute. Raise CryptoRefused."""
    match = _LINE.match(value)
    if match is None:
        raise CryptoRefused("a crypto line is not tag, suite and key")
    suite = match.group(2)
    if suite not in SUITES:
        raise CryptoRefused(f"the crypto suite{_named(suite)} is not supported")
    for parameter in match.group(4).split():
        # RFC 4568 §6.3.7: a window size is a hint. All other session parameters change what is on the wire.
        if _WINDOW.match(parameter) is None:
            raise CryptoRefused(f"the SRTP session parameter{_named(parameter.partition('=')[0])} is not supported")
    return Crypto(int(match.group(1)), suite, _parse_inline(match.group(3), SUITES[suite]))


def usable_lines(media: Media) -> tuple[list[Crypto], list[str]]:
    """The crypto lines of an m= line that can be used, in order, and why the others cannot."""
    lines: list[Crypto] = []
    whys: list[str] = []
    values = [value or "" for name, value in media.attributes if name == "crypto"]
    for value in values[:MAX_LINES]:
        try:
            line = parse_crypto(value)
        except CryptoRefused as refusal:
            whys.append(refusal.why)
            continue
        if any(other.tag == line.tag for other in lines):
            whys.append("a crypto tag is used twice")  # RFC 4568 §9.1: tags are unique
        else:
            lines.append(line)
    return lines, whys


def keys_of_answer(offered: Sequence[Crypto], media: Media) -> SrtpKeys:
    """The keys an answer to our lines settles. Raise CryptoRefused when it chose none of them, or more than one."""
    chosen, whys = usable_lines(media)
    if len(chosen) != 1 or whys:
        # RFC 4568 §5.1.3: exactly one line, or the answer is not valid.
        raise CryptoRefused("; ".join(whys) or f"the answer has {len(chosen)} crypto lines, not one")
    (line,) = chosen
    for ours in offered:
        if (ours.tag, ours.suite) == (line.tag, line.suite):
            return settle(ours, line)
    raise CryptoRefused("the answer has a crypto line that was not offered")


def settle(ours: Crypto, theirs: Crypto) -> SrtpKeys:
    """Both lines as keys. Raise CryptoRefused when they share a key: what two streams under one key say can be told."""
    if secrets.compare_digest(ours.key, theirs.key):
        raise CryptoRefused("the far end uses our SRTP key as its own")
    return SrtpKeys(ours.suite, ours.key, theirs.key)


def _parse_inline(text: str, length: int) -> bytes:
    method, _, info = text.partition(":")
    if method.lower() != "inline" or not info:
        raise CryptoRefused("a crypto line has no inline key")
    if ";" in info:
        # RFC 4568 §6.1: several keys are told apart by an identifier.
        raise CryptoRefused("a crypto line has more than one key")
    encoded, *more = info.split("|")
    if any(":" in part for part in more) or len(more) > 1:
        raise CryptoRefused("SRTP master key identifiers (MKI) are not supported")
    if more:
        _check_lifetime(more[0])
    try:
        # Some phones leave out the padding.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise CryptoRefused("an SRTP key is not base64") from None
    if len(key) != length:
        raise CryptoRefused("an SRTP key is not of the length of its suite")
    return key


def _check_lifetime(text: str) -> None:
    match = re.fullmatch(r"2\^([0-9]{1,2})|([0-9]{1,15})", text)
    if match is None:
        raise CryptoRefused("an SRTP key has a lifetime that is no number")
    lifetime = 1 << int(match.group(1)) if match.group(1) else int(match.group(2))
    if not MIN_LIFETIME <= lifetime <= MAX_LIFETIME:
        raise CryptoRefused("an SRTP key has a lifetime that is not between 2^16 and 2^48 packets")


def _named(word: str) -> str:
    """A word of the peer's for our explanation, if it looks like a name. A misplaced key does not."""
    return f" {word}" if _NAME.match(word) else ""
