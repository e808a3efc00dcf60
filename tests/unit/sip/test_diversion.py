"""Whom a call was for before: what Diversion and History-Info say of it."""

import pytest
from tests.unit.sip.sip_pair import OFFER, Party, Wire

from longline.sip.events import IncomingCall
from longline.sip.syntax.diversion import MAX_DIVERSIONS, Diversion, diversions_of

ALICE = "sip:+15550101@carrier.example"
BOB = "sip:+15550102@carrier.example;user=phone"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([], []),
        ([f"<{ALICE}>;reason=user-busy"], [(ALICE, "+15550101", "user-busy")]),
        ([f'"A, B" <{ALICE}>;counter=1;reason="no-answer";privacy=off'], [(ALICE, "+15550101", "no-answer")]),
        ([f"<{ALICE}>"], [(ALICE, "+15550101", "unknown")]),
        (["<tel:+15550103>;reason=Unconditional"], [("tel:+15550103", "+15550103", "unconditional")]),
        ([f"<{ALICE}>;reason=deflection, <{BOB}>;reason=no-answer"],
         [(ALICE, "+15550101", "deflection"), (BOB, "+15550102", "no-answer")]),
        ([f"<{ALICE}>", f"<{BOB}>"], [(ALICE, "+15550101", "unknown"), (BOB, "+15550102", "unknown")]),
        (["<sip:%2B1555;npdi@x.example>"], [("sip:%2B1555;npdi@x.example", "+1555", "unknown")]),
        (["nonsense", '"open', "<http://x/>", "<sip:@@>", f"<{ALICE}>"], [(ALICE, "+15550101", "unknown")]),
    ],
)  # fmt: skip
def test_diversion_is_read(values: list[str], told: list[tuple[str, str, str]]) -> None:
    assert diversions_of([("Diversion", value) for value in values]) == tuple(Diversion(*one) for one in told)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("<sip:bob@x.example>;index=1", []),
        ("<sip:bob@x.example?Reason=SIP%3Bcause%3D302>;index=1, <sip:c@y.example>;index=1.1",
         [("sip:bob@x.example", "bob", "unconditional")]),
        ("<sip:a@x.example?Privacy=history&Reason=SIP%3Bcause%3D486%3Btext%3D%22Busy%22>;index=1,"
         "<sip:b@x.example?Reason=Q.850%3Bcause%3D999>;index=1.1,<sip:c@y.example>;index=1.1.1",
         [("sip:b@x.example", "b", "unknown"), ("sip:a@x.example", "a", "user-busy")]),
        ("<sip:bob@x.example>;index=1, <sip:c@y.example;cause=408>;index=1.1",
         [("sip:bob@x.example", "bob", "no-answer")]),
        ("<sip:bob@x.example?Reason=SIP;cause=4>;index=1, <sip:c@y.example>;index=1.1",
         [("sip:bob@x.example", "bob", "unknown")]),
    ],
)  # fmt: skip
def test_history_is_read(value: str, told: list[tuple[str, str, str]]) -> None:
    assert diversions_of([("History-Info", value)]) == tuple(Diversion(*one) for one in told)


def test_diversion_says_it_better_than_history() -> None:
    history = ("History-Info", "<sip:b@x.example>;index=1, <sip:c@y.example>;index=1.1")
    assert [one.user for one in diversions_of([history, ("Diversion", f"<{ALICE}>")])] == ["+15550101"]


def test_diversions_are_bounded() -> None:
    assert len(diversions_of([("Diversion", ", ".join([f"<{ALICE}>"] * 100))])) == MAX_DIVERSIONS


def test_call_that_comes_in_tells_whom_it_was_for() -> None:
    wire = Wire()
    caller, callee = Party(wire, "192.0.2.1"), Party(wire, "192.0.2.2")
    caller.invite(callee.host, sdp=OFFER, headers=[("diversion", f"<{ALICE}>;reason=no-answer")])
    wire.run(1)
    event = callee.last(IncomingCall)
    assert isinstance(event, IncomingCall)
    assert event.diversions == (Diversion(ALICE, "+15550101", "no-answer"),)
