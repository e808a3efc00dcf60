"""The Replaces header (RFC 3891 §6.1): a dialog, named by whoever wants to take a place in it."""

from dataclasses import dataclass

from longline.base.errors import RemoteProtocolError
from longline.sip.syntax.headers import parse_params


@dataclass(frozen=True, slots=True)
class Replaces:
    """The dialog as the one who gets the INVITE knows it: `to_tag` is his own, `from_tag` that of his far end."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def parse_replaces(value: str) -> Replaces:
    """RemoteProtocolError(400) when it does not name one dialog."""
    call_id, _, params_text = value.partition(";")
    params = parse_params(f";{params_text}" if params_text else "")
    to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
    if not call_id.strip() or " " in call_id.strip() or not to_tag or not from_tag:
        raise RemoteProtocolError("bad Replaces")
    return Replaces(call_id.strip(), to_tag, from_tag, "early-only" in params)
