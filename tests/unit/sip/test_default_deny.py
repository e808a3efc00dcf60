"""Who is let in, who is challenged, and who hears nothing at all."""

import ipaddress

import pytest
from tests.unit.sip.sip_pair import ANSWER, Party, answers_at_once
from tests.unit.sip.strangers import (
    DOMAIN,
    PHONES,
    STRANGER,
    Phone,
    guarded,
    request_text,
    responses,
    without_noise,
)

from longline.sip.access.default_deny import MAX_TRANSACTIONS_PER_PHONE
from longline.sip.access.lockout import LockoutPolicy
from longline.sip.access.peers import DigestUser, Peer, Peers
from longline.sip.events import Canceled, Ended, IncomingCall, LockedOut, Unanswered
from longline.sip.syntax.message import KNOWN_METHODS, Response
from longline.sip.wire import Source

CARRIER = Source("UDP", "192.0.2.1", 5060)


@pytest.mark.parametrize("method", [*sorted(KNOWN_METHODS), "FROBNICATE"])
def test_stranger_at_a_name_that_is_not_ours_hears_nothing(method: str) -> None:
    wire, node = guarded()
    assert wire.inject(node, request_text(method, "sip:100@192.0.2.2"), STRANGER) == []
    assert node.endpoint.transactions == 0
    why = "domain" if method in ("INVITE", "REGISTER") else "strangers"
    # An ACK is never answered, by anybody.
    assert node.events == ([Unanswered(why, "198.51.100.9", 1)] if method != "ACK" else [])


@pytest.mark.parametrize("method", sorted(KNOWN_METHODS - {"INVITE", "REGISTER"}))
def test_stranger_who_asks_for_anything_but_a_call_or_a_registration_hears_nothing(method: str) -> None:
    wire, node = guarded()
    assert wire.inject(node, request_text(method), STRANGER) == []
    assert wire.inject(node, request_text(method, extra="To: <sip:x@y>;tag=1\r\n"), STRANGER) == []


@pytest.mark.parametrize(
    "data",
    [
        request_text().replace(b"Max-Forwards: 70", b"Max-Forwards: x"),
        request_text().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1),
        request_text().replace(b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\r\n" * 2),
    ],
)
def test_only_those_we_know_are_told_of_their_mistakes(data: bytes) -> None:
    wire, node = guarded()
    assert wire.inject(node, data, STRANGER) == []
    assert [one.status >= 400 for one in responses(wire.inject(node, data, CARRIER))] == [True]


def test_scanners_do_not_fill_the_log() -> None:
    wire, node = guarded()
    for _ in range(100):
        wire.inject(node, request_text("OPTIONS"), STRANGER)
    wire.run(10)
    wire.inject(node, request_text("OPTIONS"), STRANGER)
    assert [event.count for event in node.events if isinstance(event, Unanswered)] == [1, 100]


def test_without_accounts_nobody_is_challenged() -> None:
    wire, node = guarded()
    node.endpoint.set_peers(Peers([]))
    assert wire.inject(node, request_text(), STRANGER) == []
    assert node.endpoint.counters["sip.dropped_strangers"] == 1


def test_trunk_is_let_in_by_its_address_and_the_call_has_its_name() -> None:
    wire, node = guarded()
    wire.inject(node, request_text(uri="sip:100@anything.example", extra="X-Case: 7\r\n"), CARRIER)
    (call,) = node.events
    assert isinstance(call, IncomingCall)
    assert call.peer == "carrier"
    assert ("X-Case", "7") in call.headers


def test_network_that_the_policy_names_is_let_in_without_a_name() -> None:
    wire, node = guarded(networks=(ipaddress.ip_network("198.51.100.0/24"),))
    told = "p-asserted-identity: <sip:ceo@here.example>\r\nx-role: admin\r\nDIVERSION: <sip:a@b>\r\nSubject: hi\r\n"
    wire.inject(node, request_text(user="dave", extra=told), STRANGER)
    (call,) = node.events
    assert isinstance(call, IncomingCall)
    names = {name.lower() for name, _ in call.headers}
    assert call.peer is None
    assert "subject" in names
    assert not names & {"p-asserted-identity", "x-role", "diversion"}


def test_nobody_calls_in_the_name_of_a_phone_without_its_password() -> None:
    wire, node = guarded(networks=(ipaddress.ip_network("198.51.100.0/24"),))
    (answer,) = responses(wire.inject(node, request_text(user="alice"), STRANGER))
    assert answer.status == 401
    assert node.events == []


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_phone_with_its_password_may_call(algorithm: str) -> None:
    wire, node = guarded()
    Phone(wire, node, "alice").ask(
        "INVITE", algorithm=algorithm, extra="X-Case: 7\r\nP-Asserted-Identity: <sip:ceo@here.example>\r\n"
    )
    (call,) = node.events
    assert isinstance(call, IncomingCall)
    assert call.peer == "phone:alice"
    assert ("X-Case", "7") in call.headers
    assert "P-Asserted-Identity" not in dict(call.headers)


def test_challenge_costs_no_transaction_and_its_retransmission_has_the_same_tag() -> None:
    wire, node = guarded()
    data = request_text()
    first, second = (responses(wire.inject(node, data, STRANGER))[0] for _ in range(2))
    assert (first.status, first.to.tag) == (401, second.to.tag)
    assert first.to.tag
    assert node.endpoint.transactions == 0


def test_no_answer_to_a_stranger_has_more_octets_than_his_question() -> None:
    wire, node = guarded()
    statuses = set()
    for padding in range(0, 400, 20):
        data = (
            f"INVITE sip:{DOMAIN} SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKq{padding}\r\nf: <sip:a@b>;tag=1\r\n"
            f"t: <sip:{DOMAIN}>\r\ni: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nX-Long: {'x' * padding}\r\n\r\n"
        ).encode()
        sent = wire.inject(node, data, STRANGER)
        statuses.add(len(sent[0].message.headers.get_all("WWW-Authenticate")) if sent else 0)
        assert sum(len(one.transmit.data) for one in sent) <= len(data)
    assert statuses == {0, 1, 2}
    assert node.endpoint.counters["sip.dropped_amplification"] > 0


def test_phone_over_tcp_gets_every_challenge_however_short_its_question() -> None:
    wire, node = guarded()
    data = (
        f"REGISTER sip:{DOMAIN} SIP/2.0\r\nv: SIP/2.0/TCP h;branch=z9hG4bKq\r\nf: <sip:a@b>;tag=1\r\nt: <sip:a@b>\r\n"
        "i: 1\r\nCSeq: 1 REGISTER\r\nl: 0\r\n\r\n"
    ).encode()
    (answer,) = responses(wire.inject(node, data, Source("TCP", "198.51.100.9", 5060, 7)))
    assert len(answer.headers.get_all("WWW-Authenticate")) == 2


def test_unknown_name_and_wrong_password_get_the_same_answers() -> None:
    wire, node = guarded()
    known = Phone(wire, node, "alice", "a wrong guess")
    unknown = Phone(wire, node, "alicf", "a wrong guess", Source("UDP", "198.51.100.8", 5060))
    answers = [[phone.ask("REGISTER", f"sip:{DOMAIN}") for _ in range(20)] for phone in (known, unknown)]
    assert [one is None for one in answers[0]] == [one is None for one in answers[1]]
    assert without_noise(answers[0][0]) == without_noise(answers[1][0]).replace("alicf", "alice").replace(".8", ".9")


def test_address_that_guesses_passwords_is_not_answered_any_more() -> None:
    wire, node = guarded(lockout=LockoutPolicy(per_address=5, lock_s=100))
    eve = Phone(wire, node, "alice", "a wrong guess")
    answers = [eve.ask("REGISTER", f"sip:{DOMAIN}") for _ in range(8)]
    assert [one is None for one in answers] == [False] * 4 + [True] * 4
    assert LockedOut("address", "198.51.100.9") in node.events
    assert Phone(wire, node, "bob").register() is None
    elsewhere = Phone(wire, node, "bob", source=Source("UDP", "198.51.100.77", 5060)).register()
    assert elsewhere is not None and elsewhere.status == 200
    wire.run(101)
    later = Phone(wire, node, "bob").register()
    assert later is not None and later.status == 200


def test_scanner_that_answers_no_challenge_is_locked_out() -> None:
    wire, node = guarded(lockout=LockoutPolicy(unanswered=30), rate_per_s=1000, burst=1000)
    answered = [
        bool(wire.inject(node, request_text("REGISTER", f"sip:{DOMAIN}", user=str(n)), STRANGER))
        for n in range(100, 200)
    ]
    assert sum(answered) == 30
    assert node.endpoint.counters["sip.locked_scan"] == 1


def test_stranger_may_ask_so_often_and_then_waits() -> None:
    wire, node = guarded(rate_per_s=10, burst=5)
    assert sum(bool(wire.inject(node, request_text(), STRANGER)) for _ in range(20)) == 5
    wire.run(0.21)
    assert sum(bool(wire.inject(node, request_text(), STRANGER)) for _ in range(20)) == 2


def test_credentials_that_were_seen_on_the_way_are_good_for_nothing() -> None:
    wire, node = guarded()
    alice = Phone(wire, node, "alice")
    alice.ask("INVITE")
    calls = len(node.events)
    replayed = alice.send("INVITE", f"sip:service@{DOMAIN}", extra=alice.digest)
    assert replayed is not None
    assert (replayed.status, "stale=TRUE" in str(replayed.headers.get("WWW-Authenticate"))) == (401, True)
    thief = Phone(wire, node, "alice", source=Source("UDP", "198.51.100.66", 5060))
    stolen = thief.send("INVITE", f"sip:service@{DOMAIN}", extra=alice.digest)
    assert stolen is not None and stolen.status == 401
    assert len(node.events) == calls


def test_phone_calls_in_its_own_name_or_in_none() -> None:
    wire, node = guarded()
    alice = Phone(wire, node, "alice")
    refused = alice.ask("INVITE", user="bob")
    assert refused is not None and refused.status == 403
    assert node.events == []
    alice.ask("INVITE", user="alice")
    assert len(node.events) == 1


def test_trunk_that_logs_in_may_call_in_any_name() -> None:
    trunk = Peer("office", users=(DigestUser("office", "office's password"),), domain="office.example")
    wire, node = guarded(trunk)
    phone = Phone(wire, node, "office")
    phone.ask("INVITE", "sip:+14155550100@office.example", user="+14155550199")
    (call,) = node.events
    assert isinstance(call, IncomingCall)
    assert call.peer == "office"


def test_channel_limit_counts_calls_of_both_directions_and_frees_them() -> None:
    small = Peer("small", networks=(ipaddress.ip_network("203.0.113.5/32"),), channel_limit=2)
    wire, node = guarded(small)
    source = Source("UDP", "203.0.113.5", 5060)
    node.invite("203.0.113.5", peer="small")
    wire.inject(node, request_text(host="203.0.113.5"), source)
    refused = responses(wire.inject(node, request_text(host="203.0.113.5"), source))[0]
    assert (refused.status, refused.reason, refused.headers.get("Retry-After")) == (503, "Channel Limit Reached", "10")
    node.do("reject", node.events[-1].handle, 486)
    assert responses(wire.inject(node, request_text(host="203.0.113.5"), source))[0].status == 100


def test_call_that_ends_frees_one_channel_and_no_more() -> None:
    small = Peer("small", networks=(ipaddress.ip_network("203.0.113.5/32"),), channel_limit=2)
    wire, node = guarded(small)
    far = Party(wire, "203.0.113.5")
    answers_at_once(far, ANSWER)
    first, _ = node.invite("203.0.113.5", peer="small"), node.invite("203.0.113.5", peer="small")
    wire.run(1)
    node.do("bye", first)  # it is over for us, and a second later for the stack as well
    wire.run(1)
    source = Source("UDP", "203.0.113.5", 5060)
    statuses = [responses(wire.inject(node, request_text(host="203.0.113.5"), source))[0].status for _ in range(2)]
    assert statuses == [100, 503]


def test_call_rate_of_a_peer_is_limited() -> None:
    slow = Peer("slow", networks=(ipaddress.ip_network("203.0.113.5/32"),), cps_limit=2)
    wire, node = guarded(slow)
    source = Source("UDP", "203.0.113.5", 5060)
    statuses = [responses(wire.inject(node, request_text(host="203.0.113.5"), source))[0].status for _ in range(4)]
    assert statuses == [100, 100, 503, 503]
    wire.run(0.5)
    assert responses(wire.inject(node, request_text(host="203.0.113.5"), source))[0].status == 100
    assert node.endpoint.counters["sip.refused_cps"] == 2


def test_phone_cannot_fill_the_table_of_transactions() -> None:
    wire, node = guarded(rate_per_s=10_000, burst=10_000)
    alice = Phone(wire, node, "alice")
    alice.register()
    for _ in range(2 * MAX_TRANSACTIONS_PER_PHONE):
        alice.send("OPTIONS", f"sip:{DOMAIN}")
    assert node.endpoint.transactions == MAX_TRANSACTIONS_PER_PHONE
    wire.run(40)
    answer = alice.send("OPTIONS", f"sip:{DOMAIN}")
    assert answer is not None and answer.status == 200


def bye(node_tag: str, call: IncomingCall, caller_tag: str, user: str = "alice", extra: str = "") -> bytes:
    data = request_text("BYE", user=user, call_id=call.call_id, cseq=9, extra=extra).decode()
    lines = [
        f"From: <sip:{user}@{DOMAIN}>;tag={caller_tag}" if line.startswith("From:")
        else f"To: <sip:service@{DOMAIN}>;tag={node_tag}" if line.startswith("To:") else line
        for line in data.split("\r\n")
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def test_bye_from_another_address_is_refused_and_from_the_peer_is_not() -> None:
    wire, node = guarded()
    answers_at_once(node, ANSWER)
    wire.inject(node, request_text(), CARRIER)
    (call,) = node.events
    assert isinstance(call, IncomingCall)
    dialog = node.endpoint.dialog(call.handle)
    spoofed = bye(dialog.local_tag, call, dialog.remote_tag or "")
    assert wire.inject(node, spoofed, Source("UDP", "203.0.113.66", 5060)) == []
    assert node.endpoint.counters["sip.dropped_spoofed"] == 1
    (answer,) = responses(wire.inject(node, spoofed, Source("UDP", "192.0.2.14", 5060)))
    assert answer.status == 200
    assert isinstance(node.events[-1], Ended)


def test_phone_that_moved_says_its_password_to_end_its_call() -> None:
    wire, node = guarded()
    answers_at_once(node, ANSWER)
    Phone(wire, node, "alice").ask("INVITE")
    (call,) = node.events
    assert isinstance(call, IncomingCall)
    dialog = node.endpoint.dialog(call.handle)
    mobile = Source("UDP", "198.51.100.200", 999)

    def hang_up(user: str | None = None) -> Response:
        digest = ""
        if user is not None:
            challenge = str(hang_up().headers.get("WWW-Authenticate"))
            digest = Phone(wire, node, user).credentials("BYE", f"sip:service@{DOMAIN}", challenge)
        data = bye(dialog.local_tag, call, dialog.remote_tag or "", extra=digest)
        return responses(wire.inject(node, data, mobile))[0]

    assert hang_up().status == 401
    assert hang_up("bob").status == 403
    assert not any(isinstance(event, Ended) for event in node.events)
    assert hang_up("alice").status == 200
    assert isinstance(node.events[-1], Ended)


def test_cancel_from_another_address_is_dropped() -> None:
    wire, node = guarded()
    invite = request_text()
    wire.inject(node, invite, CARRIER)
    cancel = invite.replace(b"INVITE", b"CANCEL").replace(b"Content-Type: application/sdp\r\n", b"")
    cancel = cancel.partition(b"Content-Length")[0] + b"Content-Length: 0\r\n\r\n"
    assert wire.inject(node, cancel, Source("UDP", "203.0.113.66", 5060)) == []
    assert not any(isinstance(event, Canceled) for event in node.events)
    beside = Source("UDP", "192.0.2.14", 5060)
    assert [one.status for one in responses(wire.inject(node, cancel, beside))] == [200, 487]


def test_peers_are_replaced_as_a_whole() -> None:
    wire, node = guarded()
    node.endpoint.set_peers(Peers(PHONES))
    assert wire.inject(node, request_text(uri="sip:x@elsewhere"), CARRIER) == []
