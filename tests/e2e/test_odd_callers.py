"""Callers with odd names, numbers and headers: sound SIP that goes all the way into records, events and webhooks."""

from pathlib import Path

from tests.support.app import App, listen
from tests.support.node import Node
from tests.support.raw_phone import RawPhone

ODD: dict[str, tuple[bytes, bytes]] = {
    "display_name_without_utf8": (b"From: <sip:raw@", b'From: "\xff\xfe\xed\xa0\x80" <sip:raw@'),
    "display_name_of_4_kb": (b"From: <sip:raw@", b'From: "' + b"x" * 4000 + b'" <sip:raw@'),
    "number_with_nul": (b"From: <sip:raw@", b"From: <sip:%00+1555%00@"),
    "number_without_utf8": (b"From: <sip:raw@", b"From: <sip:%ff%fe@"),
    "number_with_line_ends": (b"From: <sip:raw@", b"From: <sip:a%0d%0aX-Forged:%201@"),
    "number_of_2_kb": (b"From: <sip:raw@", b"From: <sip:" + b"9" * 2000 + b"@"),
    "number_as_script": (b"From: <sip:raw@", b"From: <sip:%3Cscript%3Ealert(1)%3C%2Fscript%3E@"),
    "number_as_sql": (b"From: <sip:raw@", b"From: <sip:x'%3B%20DROP%20TABLE%20calls%3B--@"),
    "no_number": (b"From: <sip:raw@", b"From: <sip:"),
    "tel_number": (b"From: <sip:raw@127.0.0.1", b"From: <tel:+15550100;x=127.0.0.1"),
    "called_number_with_nul": (b"INVITE sip:longline@", b"INVITE sip:%00%ff%0a@"),
    "called_number_of_2_kb": (b"INVITE sip:longline@", b"INVITE sip:" + b"8" * 2000 + b"@"),
    "header_without_utf8": (b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\r\nX-Note: \xff\xfe\x80\r\n"),
    "headers_by_the_dozen": (
        b"Max-Forwards: 70\r\n",
        b"Max-Forwards: 70\r\n" + b"".join(b"X-Note-%d: %s\r\n" % (n, b"v" * 60) for n in range(100)),
    ),
    "call_id_without_utf8": (b"Call-ID: ", b"Call-ID: \xff\xfe"),
}


class OddPhone(RawPhone):
    """Every message of it has something replaced."""

    def __init__(self, sip_port: int, old: bytes, new: bytes) -> None:
        super().__init__(sip_port)
        self._old, self._new = old, new

    def send_sip(self, message: bytes) -> None:
        assert self._old in message or not message.startswith(b"INVITE")
        super().send_sip(message.replace(self._old, self._new))


async def test_odd_callers_are_answered_recorded_and_told_of_like_others(tmp_path: Path) -> None:
    async with App(listen) as app, Node(tmp_path, "--stream", app.url) as node:
        for count, (name, (old, new)) in enumerate(ODD.items(), 1):
            async with OddPhone(node.sip_port, old, new) as phone:
                assert await phone.call() == 200, name
                await phone.speak(0.1)
            calls = await node.until_over(count)
            assert (name, calls[-1]["reason"]) == (name, "normal_clearing")
            assert "\x00" not in calls[-1]["from_number"] + calls[-1]["to_number"], name
        log = node.log.read_text()
    assert "Traceback" not in log and "fault" not in log
    assert len(app.calls) == len(ODD)
