"""What a REGISTER makes of the bindings of an account."""

import pytest

from longline.base.errors import RemoteProtocolError
from longline.sip.access.bindings import MAX_BINDINGS, MAX_EXPIRES_S, Binding, Bindings, IntervalTooBrief
from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request
from longline.sip.wire import Source

HOME = Source("UDP", "192.0.2.7", 5060)
HOTEL = Source("UDP", "198.51.100.4", 41822)


def register(
    contact: str | list[str] | None = "<sip:alice@192.0.2.7>", *, cseq: int = 1, call_id: str = "one", **headers: str
) -> Request:
    fields = [("Call-ID", call_id), ("CSeq", f"{cseq} REGISTER")]
    fields += [("Contact", value) for value in ([contact] if isinstance(contact, str) else contact or [])]
    fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request("REGISTER", "sip:here", Headers(fields))


def contacts(bindings: tuple[Binding, ...]) -> list[str]:
    return [binding.contact for binding in bindings]


def test_binding_lasts_as_long_as_was_granted() -> None:
    table = Bindings()
    (binding,) = table.register(100, "alice", register(Expires="600"), HOME)
    assert binding.expires_at == 700
    assert table.of(699, "alice") == (binding,)
    assert table.of(700, "alice") == ()


@pytest.mark.parametrize(
    ("contact", "expires", "granted"),
    [
        ("<sip:a@h>;expires=120", "600", 120),
        ("<sip:a@h>", None, 3600),
        ("<sip:a@h>", "999999999999999", MAX_EXPIRES_S),
        ("<sip:a@h>;expires=soon", "600", 3600),
        ("sip:a@h;expires=90", None, 90),
    ],
)
def test_interval_is_that_of_the_contact_then_of_the_header_then_ours(
    contact: str, expires: str | None, granted: int
) -> None:
    request = register(contact, **({"Expires": expires} if expires else {}))
    (binding,) = Bindings().register(0, "alice", request, HOME)
    assert binding.expires_at == granted


def test_short_interval_is_refused_and_nothing_changes() -> None:
    table = Bindings()
    table.register(0, "alice", register(), HOME)
    with pytest.raises(IntervalTooBrief) as refusal:
        table.register(1, "alice", register(["<sip:new@h>", "<sip:b@h>;expires=59"], cseq=2), HOME)
    assert refusal.value.status == 423
    assert contacts(table.of(1, "alice")) == ["sip:alice@192.0.2.7"]


def test_register_without_contact_tells_what_is_bound() -> None:
    table = Bindings()
    table.register(0, "alice", register(), HOME)
    assert contacts(table.register(1, "alice", register(None, cseq=2), HOME)) == ["sip:alice@192.0.2.7"]
    assert table.register(1, "bob", register(None), HOME) == ()


def test_several_bindings_come_in_the_order_of_q_and_then_the_latest() -> None:
    table = Bindings()
    table.register(0, "alice", register(["<sip:a@desk>;q=0.5", "<sip:a@mobile>;q=0.9"]), HOME)
    table.register(0, "alice", register("<sip:a@lab>;q=0.5;expires=7000", call_id="two"), HOME)
    assert contacts(table.of(1, "alice")) == ["sip:a@mobile", "sip:a@lab", "sip:a@desk"]


def test_expires_0_removes_one_binding_and_a_star_all() -> None:
    table = Bindings()
    table.register(0, "alice", register(["<sip:a@h1>", "<sip:a@h2>", "<sip:a@h3>"]), HOME)
    assert contacts(table.register(1, "alice", register("<sip:a@h2>;expires=0", cseq=2), HOME)) == [
        "sip:a@h1",
        "sip:a@h3",
    ]
    assert table.register(2, "alice", register("*", cseq=3, Expires="0"), HOME) == ()
    assert table.accounts() == []


@pytest.mark.parametrize(
    "request_",
    [
        register("*", cseq=9),
        register("*", cseq=9, Expires="60"),
        register(["*", "<sip:a@h>"], cseq=9, Expires="0"),
        register("<tel:+14155550100>", cseq=9),
        register("<sip:a@h>;q=2", cseq=9),
        register("<sip:a@h>;q=x", cseq=9),
        register("<sip:" + "a" * 2000 + "@h>", cseq=9),
        register("<sip:a@h:99999>", cseq=9),
        register("<sip:a@h>;reg-id=x", cseq=9),
        register("<sip:a@h>", cseq=9, Path="<http://p>"),
        register("<sip:a@h>", cseq=9, Path=", ".join(["<sip:p;lr>"] * 9)),
    ],
)
def test_bad_register_is_refused_with_400_and_changes_nothing(request_: Request) -> None:
    table = Bindings()
    before = table.register(0, "alice", register(), HOME)
    with pytest.raises(RemoteProtocolError) as refusal:
        table.register(1, "alice", request_, HOME)
    assert refusal.value.status == 400
    assert table.of(1, "alice") == before


@pytest.mark.parametrize("late", [register("<sip:a@h>", cseq=5), register("*", cseq=5, Expires="0")])
def test_register_that_was_overtaken_changes_nothing(late: Request) -> None:
    table = Bindings()
    before = table.register(0, "alice", register("<sip:a@h>", cseq=5), HOME)
    with pytest.raises(RemoteProtocolError) as refusal:
        table.register(1, "alice", late, HOME)
    assert refusal.value.status == 500
    assert table.of(1, "alice") == before
    late.headers.set("Call-ID", "after a restart")
    del late.call_id
    table.register(1, "alice", late, HOME)
    assert table.of(1, "alice") != before


def test_refresh_replaces_the_binding_it_is_for() -> None:
    table = Bindings()
    table.register(0, "alice", register("<sip:alice@Host.example;transport=udp;ob>"), HOME)
    table.register(50, "alice", register("<sip:alice@host.EXAMPLE;transport=UDP>", cseq=2), HOTEL)
    (binding,) = table.of(51, "alice")
    assert (binding.host, binding.expires_at) == ("198.51.100.4", 3650)


def test_contact_that_is_named_twice_is_one_binding() -> None:
    table = Bindings()
    assert len(table.register(0, "alice", register(["<sip:a@h>", "<sip:a@H>;q=0.5"]), HOME)) == 1


def test_phone_that_names_itself_has_one_binding_wherever_it_is() -> None:
    table = Bindings()
    name = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>";reg-id=1'
    table.register(0, "alice", register(f"<sip:alice@192.0.2.7>{name}"), HOME)
    table.register(1, "alice", register(f"<sip:alice@10.0.0.3>{name}", call_id="two"), HOTEL)
    (binding,) = table.of(2, "alice")
    assert (binding.contact, binding.host, binding.reg_id) == ("sip:alice@10.0.0.3", "198.51.100.4", 1)


def test_too_many_bindings_are_refused() -> None:
    table = Bindings()
    table.register(0, "alice", register([f"<sip:a@h{n}>" for n in range(MAX_BINDINGS)]), HOME)
    with pytest.raises(RemoteProtocolError) as refusal:
        table.register(1, "alice", register("<sip:a@one.more>", call_id="two"), HOME)
    assert refusal.value.status == 403
    assert len(table.of(1, "alice")) == MAX_BINDINGS


def test_address_behind_a_nat_is_kept_and_recognised() -> None:
    table = Bindings()
    (binding,) = table.register(0, "alice", register("<sip:alice@10.0.0.3:5062>"), HOTEL)
    assert binding.is_translated
    assert (binding.transport, binding.host, binding.port) == ("UDP", "198.51.100.4", 41822)
    (binding,) = table.register(0, "bob", register("<sip:bob@192.0.2.7:5062>"), HOME)
    assert not binding.is_translated
    assert (table.at(1, HOTEL), table.at(1, HOME), table.at(1, Source("UDP", "192.0.2.7", 1))) == ("alice", "bob", None)
    assert table.at(4000, HOTEL) is None


def test_path_is_kept_in_its_order() -> None:
    request = register("<sip:alice@10.0.0.3>", Path="<sip:p2.example;lr>, <sip:p1.example;lr>")
    (binding,) = Bindings().register(0, "alice", request, HOME)
    assert binding.path == ("<sip:p2.example;lr>", "<sip:p1.example;lr>")


def test_lost_connection_leaves_the_binding_with_its_address() -> None:
    table = Bindings()
    table.register(0, "alice", register(), Source("TCP", "192.0.2.7", 40000, 7))
    assert table.of(1, "alice")[0].connection == 7
    table.connection_lost(8)
    assert table.of(1, "alice")[0].connection == 7
    table.connection_lost(7)
    assert table.of(1, "alice")[0].connection is None


def test_connection_of_one_phone_is_not_that_of_another() -> None:
    table = Bindings()
    for name, connection in (("alice", 7), ("bob", 7), ("carol", 8)):
        source = Source("TCP", "192.0.2.7", 40000 + connection, connection)
        table.register(0, name, register(f"<sip:{name}@192.0.2.7>"), source)
    table.register(1, "bob", register("<sip:bob@192.0.2.7>", cseq=2), Source("TCP", "192.0.2.7", 40009, 9))
    table.connection_lost(7)
    assert [table.of(2, name)[0].connection for name in ("alice", "bob", "carol")] == [None, 9, 8]
    for connection in (8, 9):
        table.connection_lost(connection)
    assert table._by_connection == {}


def test_binding_survives_in_the_form_that_is_stored() -> None:
    table = Bindings()
    request = register('<sip:alice@10.0.0.3>;q=0.3;+sip.instance="<urn:x>"', Path="<sip:p;lr>", User_Agent="Phone/1")
    (binding,) = table.register(1000, "alice", request, HOTEL)
    stored = binding.to_dict(1100)
    assert stored["expires_s"] == 3500
    assert Binding.from_dict(stored, 5.0) == Binding(**{**_fields(binding), "expires_at": 3505.0})


def _fields(binding: Binding) -> dict[str, object]:
    return {name: getattr(binding, name) for name in Binding.__dataclass_fields__}
