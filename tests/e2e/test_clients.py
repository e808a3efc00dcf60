"""Applications that we did not write, unmodified, each in a two-way call: it hears the caller and is heard, gives way
when he talks, gets his keys, and takes its leave in its own way."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.base.plivo import account_id
from longline.base.twilio import Sid, sid
from tests.support.app import App, AppCall
from tests.support.breaking_proxy import BreakingProxy
from tests.support.clients import APPLICATIONS, PYTHON, ROOT, ClientApp, has_package
from tests.support.cloud_hosts import CloudHosts
from tests.support.conversation import (
    CALLER_HZ,
    GREETING_HZ,
    REPLY_HZ,
    VOICE,
    Conversation,
    Exchange,
    converse,
    exchange,
    near,
    pitch_of,
)
from tests.support.node import API_KEY
from tests.support.raw_phone import EVENT_PAYLOAD_TYPE, RawPhone
from tests.support.realtime import RealtimeModel
from tests.support.tone import pitch_hz, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path_factory.mktemp("clients")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pipecat(node: Exchange, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClientApp]:
    account = {
        "TWILIO_BASE_URL": node.node.url,
        "TWILIO_ACCOUNT_SID": sid(Sid.ACCOUNT, DEFAULT_ACCOUNT_ID),
        "PLIVO_AUTH_ID": account_id(DEFAULT_ACCOUNT_ID),
        "TOKEN": API_KEY,
    }
    async with CloudHosts(tmp_path_factory.mktemp("hosts"), node.node.url, "api.telnyx.com", "api.plivo.com") as hosts:
        async with ClientApp("pipecat_bot.py", **account, **hosts.environment) as app:
            yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def longline_bot() -> AsyncIterator[ClientApp]:
    async with ClientApp("pipecat_longline_bot.py", PYTHONPATH=str(ROOT / "python")) as app:
        yield app


@pytest.mark.parametrize("provider", ["twilio", "telnyx", "plivo", "exotel"])
async def test_pipecat_finds_out_whose_stream_it_has(node: Exchange, pipecat: ClientApp, provider: str) -> None:
    """And it hangs up by that platform's API, but for Exotel's: there it closes its socket, and the flow goes on."""
    pipecat.told.clear()
    stream = {"action": "stream", "ws_url": pipecat.url("/bot"), "dialect": provider}
    then = {"action": "hangup"} if provider == "exotel" else {"action": "pause", "duration": 60}
    async with node.call_with([stream, then]) as phone:
        await converse(pipecat, phone, provider)
    assert heard_hz(pipecat) == near(CALLER_HZ)
    call = (await pipecat.until("stream"))["call"]
    assert call["call_id"] and call["stream_id"]
    if provider in ("telnyx", "exotel"):
        assert call["from_number"] and call["to_number"]


async def test_pipecat_joined_by_twiml_is_told_the_parameters(node: Exchange, pipecat: ClientApp) -> None:
    """<Connect> lasts as long as the bot's socket, which its hanging up ends."""
    pipecat.told.clear()
    parameters = '<Parameter name="from_number" value="+15550100"/><Parameter name="plan" value="gold &amp; more"/>'
    connect = f'<Connect><Stream url="{pipecat.url("/bot")}">{parameters}</Stream></Connect>'
    async with node.call_with(f"<Response>{connect}<Pause length='60'/></Response>") as phone:
        await converse(pipecat, phone, "twilio")
    call = (await pipecat.until("stream"))["call"]
    assert call["body"] == {"from_number": "+15550100", "plan": "gold & more"}
    assert call["from_number"] == "+15550100" and call["call_id"].startswith("CA")


async def test_pipecat_joined_by_an_ncco(node: Exchange, pipecat: ClientApp) -> None:
    """Vonage's messages are of 20 ms, its audio is linear at 16 kHz."""
    pipecat.told.clear()
    websocket = {"type": "websocket", "uri": pipecat.url("/vonage"), "content-type": "audio/l16;rate=16000"}
    async with node.call_with([{"action": "connect", "endpoint": [websocket]}], "vonage") as phone:
        await converse(pipecat, phone, "vonage")
    assert heard_hz(pipecat) == near(CALLER_HZ)


async def test_pipecat_hears_a_law_where_telnyx_says_so(node: Exchange, pipecat: ClientApp) -> None:
    """What it hears is in the encoding that `start` names, what it says in another."""
    pipecat.told.clear()
    options = {"encoding": "alaw", "input_encoding": "mulaw"}
    async with node.call(pipecat.url("/bot"), "telnyx", **options) as phone:
        await converse(pipecat, phone, "telnyx")
    assert (await pipecat.until("stream"))["call"]["outbound_encoding"] == "PCMA"
    assert heard_hz(pipecat) == near(CALLER_HZ)


async def test_pipecat_on_our_own_transport(node: Exchange, longline_bot: ClientApp) -> None:
    """What was cut is known to it as far as it was heard; the call is hung up when the pipeline has ended."""
    longline_bot.told.clear()
    stream = {"action": "stream", "ws_url": longline_bot.url(), "dialect": "longline"}
    async with node.call_with([stream, {"action": "pause", "duration": 60}]) as phone:
        talk = await converse(longline_bot, phone, "longline")
        heard_ms = sum(packet.at < talk.silent_from for packet in talk.heard()) * 20
    (greeting, reply) = (await longline_bot.until("said"))["heard"]
    assert heard_hz(longline_bot) == near(CALLER_HZ)
    assert greeting[2] and greeting[1] == pytest.approx(heard_ms, abs=40)
    assert reply[1:] == [pytest.approx(600, abs=80), False]


async def test_pipecat_is_told_of_marks_and_sends_keys(node: Exchange, longline_bot: ClientApp) -> None:
    """A mark is answered when all before it was heard; keys leave as events, not as tones."""
    longline_bot.told.clear()
    stream = {"action": "stream", "ws_url": longline_bot.url(), "dialect": "longline"}
    async with node.call_with([stream, {"action": "pause", "duration": 60}]) as phone:
        talk = Conversation(longline_bot, phone)
        await talk.is_greeted()
        await talk.interrupt()
        await talk.press("6", REPLY_HZ)
        mark = await talk.told("mark", name="reply")
        first = talk.heard(talk.silent_from)[0].at
        assert mark["outcome"] == "played" and mark["at"] - first == pytest.approx(0.6, abs=0.3)
        await phone.press("8")
        await talk.until(lambda: keys_of(phone) == "42")
        await talk.take_leave()


async def test_pipecats_context_holds_the_words_that_were_heard() -> None:
    """Of twenty words of 200 ms, interrupted: whether the voice tells when its words end, or it is reckoned."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "python")}
    program = await asyncio.create_subprocess_exec(
        str(PYTHON), "pipecat_words.py", cwd=APPLICATIONS, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(program.communicate(), 60)
    told = [json.loads(line) for line in output.splitlines()]
    assert [line["tells_words"] for line in told] == [False, True]
    for line in told:
        assert 0 < line["heard_ms"] < 3_000
        assert line["context"] == [f"word{10 + number}" for number in range(len(line["context"]))]
        assert len(line["context"]) == pytest.approx(line["heard_ms"] / 200, abs=1.5)


async def test_pipecat_does_not_notice_a_lost_connection(node: Exchange, longline_bot: ClientApp) -> None:
    """The socket is reset in the middle of its greeting: it goes on without a gap, and still gives way."""
    longline_bot.told.clear()
    async with BreakingProxy(int(longline_bot.url("").rpartition(":")[2])) as proxy:
        stream = {"action": "stream", "ws_url": f"ws://127.0.0.1:{proxy.port}/", "dialect": "longline"}
        async with node.call_with([stream, {"action": "pause", "duration": 60}]) as phone:
            talk = Conversation(longline_bot, phone)
            await talk.is_greeted()
            before = len(talk.heard())
            proxy.reset()
            await talk.told("lost")
            await talk.until(lambda: len(talk.heard()) >= before + 75)
            packets = talk.heard()
            assert (packets[-1].sequence - packets[5].sequence) % (1 << 16) == len(packets) - 6
            await talk.interrupt()
            await talk.press("5", REPLY_HZ)
            await talk.take_leave()
    assert len([line for line in longline_bot.told if line["event"] == "stream"]) == 1


async def test_livekit_agents_without_a_room(node: Exchange) -> None:
    """Its session takes the call for its audio, and the chat holds of an interrupted answer what was heard."""
    async with ClientApp("livekit_bot.py", PYTHONPATH=str(ROOT / "python")) as app:
        stream = {"action": "stream", "ws_url": app.url(), "dialect": "longline"}
        async with node.call_with([stream, {"action": "pause", "duration": 60}]) as phone:
            talk = await converse(app, phone, "livekit")
            heard_ms = sum(packet.at < talk.silent_from for packet in talk.heard()) * 20
        said = await app.until("said")
    assert heard_hz(app) == near(CALLER_HZ)
    (greeting, reply) = said["heard"]
    assert greeting[2] and greeting[1] == pytest.approx(heard_ms, abs=60)
    assert reply == [600, 600, False]
    ((words, was_interrupted), answer) = said["history"]
    assert was_interrupted and ("One two three four five " * 20).startswith(words)
    assert len(words.split()) == pytest.approx(heard_ms / 200, abs=1.5), "a hundred words in twenty seconds"
    assert answer == ["Reply.", False]


@pytest.mark.skipif(not has_package("pipecat_asterisk"), reason="pipecat-asterisk wants Python 3.12")
async def test_pipecat_asterisk_is_spoken_to_as_by_asterisk(node: Exchange, pipecat: ClientApp) -> None:
    """It keeps up to sixteen seconds in our queue, in messages of 65,500 bytes, and hangs up the call by command."""
    pipecat.told.clear()
    stream = {"action": "stream", "ws_url": pipecat.url("/asterisk"), "dialect": "asterisk"}
    stream |= {"encoding": "pcm_s16le", "sample_rate": "16k"}
    async with node.call_with([stream, {"action": "pause", "duration": 60}]) as phone:
        await converse(pipecat, phone, "asterisk")
    assert heard_hz(pipecat) == near(CALLER_HZ)
    assert (await pipecat.until("stream"))["headers"]["sec-websocket-protocol"] == "media"


async def test_plivo_stream_sdk(node: Exchange) -> None:
    """It says twenty seconds in one message. A checkpoint is told when it was played, and only then."""
    attributes = 'bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000"'
    async with ClientApp("plivo_bot.py") as app:
        document = f"<Response><Stream {attributes}>{app.url()}</Stream></Response>"
        async with node.call_with(document, "plivo") as phone:
            await converse(app, phone, "plivo")
    call = (await app.until("stream"))["call"]
    assert call["account_id"].startswith("MA") and call["tracks"] == ["inbound"]
    assert heard_hz(app) == near(CALLER_HZ)
    told = [line["event"] for line in app.told]
    assert told.count("cleared") == 1
    assert [line["name"] for line in app.told if line["event"] == "played"] == ["reply"]


async def test_jambonz_sdk(node: Exchange) -> None:
    """It knows one of the two subprotocols. Marks say whether they were played; a clip says when it is done."""
    async with ClientApp("jambonz_bot.js") as app, node.call(app.url("/audio"), "jambonz") as phone:
        talk = Conversation(app, phone)
        stream = await talk.told("stream")
        await talk.is_greeted()
        await talk.interrupt()
        await talk.press("5", REPLY_HZ)
        await talk.press("6", 700)
        assert (await talk.told("play_done"))["id"] == "clip"
        await talk.take_leave()
    assert heard_hz(app) == near(CALLER_HZ)
    assert (stream["call"]["sampleRate"], stream["call"]["mixType"]) == (8000, "mono")
    marks = [(line["name"], line["outcome"]) for line in app.told if line["event"] == "mark"]
    assert marks == [("greeting", "cleared"), ("reply", "playout")]


async def test_a_realtime_session_of_openai_agents(node: Exchange) -> None:
    """Its model speaks in bursts, seconds ahead of what is heard; what is cut off is told to it to a few frames."""
    async with RealtimeModel(GREETING_HZ, REPLY_HZ) as model:
        async with ClientApp("openai_bot.js", REALTIME_URL=model.url) as app, node.call(app.url(), "twilio") as phone:
            talk = await converse(app, phone, "twilio")
            played_ms = sum(packet.at < talk.silent_from for packet in talk.heard()) * 20
    assert model.heard_hz == near(CALLER_HZ)
    (cut,) = model.of_type("conversation.item.truncate")
    assert cut["audio_end_ms"] == pytest.approx(played_ms, abs=600), "a mark each half second says what was heard"
    asked = model.of_type("session.update")[0]["session"]["audio"]
    assert asked["input"]["format"] == asked["output"]["format"] == {"type": "audio/pcmu"}


@pytest.mark.parametrize("program", ["teler_bot.py", "teler_bot.js"])
async def test_telers_stream_connectors_bridge_a_call(node: Exchange, program: str) -> None:
    """In Python and for Node: what we tell goes to a remote service, and what that says comes back, `clear` too."""
    interrupted: list[float] = []
    heard: list[float] = []
    gone_quiet = asyncio.Event()

    async def give_way(call: AppCall) -> None:
        await call.say(tone(GREETING_HZ, 20))
        while np.abs((await call.hear(0.1)).astype(int)).max() < 1500:
            pass
        await call.send({"type": "clear"})
        interrupted.append(time.time())
        heard.append(pitch_hz(await call.hear(0.3)))
        await gone_quiet.wait()
        await call.say(tone(REPLY_HZ, 0.6))
        await call.hear(1.0)

    async with App(give_way) as remote, ClientApp(program, REMOTE_URL=remote.url) as bridge:
        async with node.call(bridge.url("/stream"), "teler", chunk_size=100) as phone:
            talk = Conversation(bridge, phone)
            await talk.is_greeted()
            await phone.speak(0.8, VOICE)
            await talk.gives_way(interrupted[0])
            gone_quiet.set()
            await talk.until(lambda: len(talk.heard(talk.silent_from)) >= 25)
            assert pitch_of(talk.heard(talk.silent_from)[3:23]) == near(REPLY_HZ)
            await talk.told("ended")
            await talk.is_hung_up()
    assert not remote.errors and heard == [near(CALLER_HZ)]


def heard_hz(app: ClientApp) -> float:
    (heard,) = [line["pitch_hz"] for line in app.told if line["event"] == "heard"]
    assert isinstance(heard, float)
    return heard


def keys_of(phone: RawPhone) -> str:
    """The keys that were sent to the phone (RFC 4733), each once."""
    events = {data[4:8]: data[12] for _, data in phone.rtp.received if data[1] & 0x7F == EVENT_PAYLOAD_TYPE}
    return "".join("0123456789*#ABCD"[event] for event in events.values())
