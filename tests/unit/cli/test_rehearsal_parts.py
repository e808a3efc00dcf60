"""The parts of a rehearsal: its bad network, its RTP, its turns by ear, its report."""

import itertools
import random
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from longline.agentkit import mulaw
from longline.agentkit.testing.mouth import speak
from longline.agentkit.testing.record import CallRecord
from longline.agentkit.testing.script_file import Impairment
from longline.agentkit.tts.flite import FliteTts
from longline.cli import app
from longline.cli.rehearsal.bad_network import BadNetwork
from longline.cli.rehearsal.ears import Ears
from longline.cli.rehearsal.real_call import RealCall
from longline.cli.rehearsal.report import facts, write_json, write_junit
from longline.cli.rehearsal.rtp import SILENCE, Receiver, Sender


def carried(impairment: Impairment, seed: str, count: int = 5_000) -> list[float | None]:
    network = BadNetwork(impairment, seed)
    return [network.due(number * 0.02) for number in range(count)]


def test_a_bad_network_does_what_it_is_told_and_the_same_for_the_same_seed() -> None:
    bad = Impairment(loss=0.02, jitter_ms=30, reorder=0.01)
    dues = carried(bad, "1/out")
    assert dues == carried(bad, "1/out") != carried(bad, "2/out")
    assert dues.count(None) / len(dues) == pytest.approx(0.02, abs=0.006)
    late = [due - number * 0.02 for number, due in enumerate(dues) if due is not None]
    assert min(late) >= 0 and max(late) <= 0.03 + 0.045 + 1e-9
    arrived = [due for due in dues if due is not None]
    overtaken = sum(after < before for before, after in itertools.pairwise(arrived))
    assert overtaken / len(dues) == pytest.approx(0.01, abs=0.005)


def test_jitter_alone_lets_no_packet_overtake_another_and_a_good_network_does_nothing() -> None:
    dues = [due for due in carried(Impairment(jitter_ms=200), "x") if due is not None]
    assert dues == sorted(dues)
    assert carried(Impairment(), "x", 10) == [number * 0.02 for number in range(10)]


def test_what_is_sent_is_received_whatever_becomes_of_its_order() -> None:
    sender, receiver = Sender(101), Receiver()
    packets = [sender.audio(bytes([number]) * 160) for number in range(50)]
    lost, late = packets[10], packets.pop(20)
    packets.remove(lost)
    packets.insert(23, late)
    heard = [receiver.receive(packet) for packet in packets]
    offsets = [each.offset for each in heard if each is not None]
    assert sorted(offsets) == [160 * number for number in range(50) if number != 10]
    assert (receiver.packets, receiver.lost, receiver.refused) == (49, 1, 0)


def test_a_stream_that_begins_anew_follows_the_one_before() -> None:
    receiver = Receiver()
    for sender in (Sender(None), Sender(None)):
        offsets = [heard.offset for _ in range(3) if (heard := receiver.receive(sender.audio(SILENCE))) is not None]
    assert offsets == [480, 640, 800]


def test_a_key_is_one_event_whose_end_is_sent_three_times() -> None:
    sender = Sender(101)
    before = sender.audio()
    packets = sender.key("#")
    after = sender.audio()
    times = {packet[4:8] for packet in packets}
    assert len(packets) == 7 and len(times) == 1
    events = [struct.unpack("!BBH", packet[12:]) for packet in packets]
    assert {event for event, _, _ in events} == {11}
    assert [flags >> 7 for _, flags, _ in events] == [0, 0, 0, 0, 1, 1, 1]
    assert [duration for _, _, duration in events] == [160, 320, 480, 640, 800, 800, 800]
    first, last = (struct.unpack("!I", packet[4:8])[0] for packet in (before, after))
    assert last - first & 0xFFFFFFFF == 160 * 8


def test_garbage_is_counted_and_nothing_else() -> None:
    receiver, chance = Receiver(), random.Random(1)
    whole = Sender(None).audio()
    for _ in range(3_000):
        data = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.5 else chance.randbytes(40))
        receiver.receive(bytes(data))
    assert receiver.refused > 100


def test_speech_that_is_cut_off_in_pieces_is_one_turn_and_an_answer_is_another() -> None:
    record = CallRecord()
    record.agent_sounds(0.0, 1.0)
    record.caller_speaks(1.2, "wait", interrupts=True)
    record.agent_sounds(1.3, 1.45)
    record.caller_sounds(1.9)
    record.agent_sounds(2.6, 3.0)
    agent, caller, answer = record.turns()
    assert (agent.ended_at, agent.silent_after_ms) == (1.45, 250.0)
    assert (caller.text, answer.answer_ms) == ("wait", 700.0)
    quick = CallRecord()
    quick.agent_sounds(0.0, 1.1)
    quick.caller_speaks(1.0, "[pressed 2]")
    quick.caller_sounds(1.2)
    quick.agent_sounds(1.45, 2.0)
    assert [turn.role for turn in quick.turns()] == ["agent", "caller", "agent"], "keys are answered at once"


def test_a_report_is_for_people_and_for_machines(tmp_path: Path) -> None:
    record = CallRecord()
    record.caller_speaks(0.0, "hello")
    record.caller_sounds(1.0)
    record.agent_sounds(1.5, 2.0)
    good = RealCall("desk", record.turns(), 3.0, "caller", seed=1)
    bad = RealCall("desk", [], 1.0, "agent", problem="desk: step 1\x1b[0m", seed=2)
    told = facts([good, bad], "sip:a@b")
    assert (told["calls"], told["failed"], told["answer_ms"]["p95"]) == (2, 1, 500.0)
    write_json(tmp_path / "r.json", [good, bad], "sip:a@b")
    write_junit(tmp_path / "r.xml", [good, bad])
    (suite,) = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("desk", "2", "1")
    assert [case.find("failure") is not None for case in suite] == [False, True]


@pytest.mark.parametrize(
    ("script", "against", "told"),
    [
        ("steps:\n  - shouts: hi\n", "sip:a@b", "desk.yaml:2: no step is called 'shouts'"),
        ("steps:\n  - hears\n", "http://127.0.0.1/", "neither sip:"),
        ("steps:\n  - hears\n", "sip:", "not a SIP URI"),
    ],
    ids=["the script", "the scheme", "the URI"],
)
def test_what_cannot_be_rehearsed_is_told_before_anybody_is_called(
    tmp_path: Path, script: str, against: str, told: str
) -> None:
    (tmp_path / "desk.yaml").write_text(script)
    done = CliRunner().invoke(app, ["rehearse", str(tmp_path / "desk.yaml"), "--against", against])
    assert done.exit_code == 2 and told in done.output


async def test_words_are_known_by_ear() -> None:
    text = "Monday at nine is yours. Goodbye!"
    pcm = mulaw.to_linear(mulaw.from_linear((await speak(FliteTts(voice="rms"), [text], 8_000))[text]))
    async with Ears() as ears:
        heard = [await ears.hear(pcm, words) for words in ("Monday at nine", "Close at six!", "zxqv", "")]
    assert heard == [True, False, False, False]
