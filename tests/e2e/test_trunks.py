"""A call that one carrier cannot place is placed by the next, over real sockets."""

import asyncio
import json
import signal
from pathlib import Path

from tests.support.app import App, Backend, listen
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp


async def test_a_call_goes_on_from_a_dead_address_over_one_that_refuses_to_one_that_answers(tmp_path: Path) -> None:
    dead, refusing, answering = free_ports(3)
    targets = [
        {"uri": f"sip:127.0.0.1:{dead}", "priority": 1},
        {"uri": f"sip:127.0.0.1:{refusing}", "priority": 2},
    ]
    settings = {
        "LONGLINE_TRUNKS__FIRST__TARGETS": json.dumps(targets),
        "LONGLINE_TRUNKS__FIRST__PRIORITY": "1",
        "LONGLINE_TRUNKS__FIRST__HEALTH_INTERVAL_S": "0",
        "LONGLINE_TRUNKS__SECOND__URI": f"sip:127.0.0.1:{answering}",
        "LONGLINE_TRUNKS__SECOND__PRIORITY": "2",
        "LONGLINE_TRUNKS__SECOND__HEALTH_INTERVAL_S": "0",
    }
    async with App(listen) as app:
        flow = {"action": "stream", "ws_url": app.url, "chunk_size": 20}
        async with Backend(flow) as backend, Node(tmp_path / "node", **settings) as node:
            one = Sipp(tmp_path / "one", "callee_refuses", "-m", "1", port=refusing, status=503)
            two = Sipp(tmp_path / "two", "uas", "-rtp_echo", port=answering)
            async with one as refuses, two:
                body = {
                    "from_number": "+15550100", "to_number": "+15550101",
                    "flow_url": backend.flow_url, "status_callback_url": backend.webhook_url,
                }  # fmt: skip
                created = await node.api.post("/api/v1/voice/calls/initiate", json=body)
                await backend.until_told("stream.initiated")
                (await refuses.finish()).check()
                call = await node.call(created.json()["data"]["id"])
                trunks = {t["name"]: t for t in (await node.api.get("/api/v1/sip/trunks")).json()["data"]}
                assert trunks["second"]["live"]["calls"] == 1 and trunks["first"]["live"]["calls"] == 0
                assert [target["is_up"] for target in trunks["first"]["live"]["targets"]] == [False, True]
                sip_call = (await node.api.get(f"/api/v1/sip/calls/{call['id']}")).json()
                assert sip_call["sip_trunk_id"] == trunks["second"]["id"]
                await node.api.post(f"/api/v1/voice/calls/{call['id']}/hangup", json={})
                (ended,) = await node.until_over(1)
    assert (ended["state"], ended["reason"]) == ("completed", "completed")
    assert backend.told(ended["id"]).count("call.initiated") == backend.told(ended["id"]).count("call.answered") == 1


async def test_the_trunks_of_the_configuration_are_read_again_on_sighup(tmp_path: Path) -> None:
    file = tmp_path / "longline.toml"
    file.write_text('[trunks.old]\nuri = "sip:127.0.0.1:9"\n')
    async with Node(tmp_path / "node", "--config", str(file)) as node:
        assert node.process is not None

        async def names() -> list[str]:
            found = (await node.api.get("/api/v1/sip/trunks")).raise_for_status().json()["data"]
            return sorted(trunk["name"] for trunk in found if trunk["live"] is not None)

        assert await names() == ["old"]
        file.write_text('[trunks.new]\nuri = "sip:127.0.0.1:9"\n[trunks.more]\nnetworks = ["192.0.2.1"]\n')
        node.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while await names() != ["more", "new"]:
                await asyncio.sleep(0.02)
        file.write_text("[trunks.new]\nuri = 7\n")
        node.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while "trunks.new.uri" not in node.log.read_text():
                await asyncio.sleep(0.02)
        assert await names() == ["more", "new"]
