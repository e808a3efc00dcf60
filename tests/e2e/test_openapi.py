"""The published OpenAPI document against a real node: schemathesis asks for what it allows, and for what it does not.

No answer is a 5xx that it does not declare, and each has a status, a type, headers and a body as declared. The long run
is `make fuzz-api`.
"""

import asyncio
import os
import sys
from pathlib import Path

from tests.support.node import API_KEY, Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp

SUPPORT = Path(__file__).parent.parent / "support" / "schemathesis"
TIMEOUT_S, LONG_TIMEOUT_S = 300.0, 7200.0

WHETHER_IT_IS_TAKEN = "positive_data_acceptance,negative_data_rejection"
"""Checks of whether what fits the schema is taken, and the rest refused. Some rules stand in words only, so what these
find is a matter of chance: they are for the long run."""


async def test_schemathesis_finds_no_answer_that_is_not_declared(tmp_path: Path) -> None:
    examples = os.environ.get("FUZZ_API_EXAMPLES", "5")
    seed = os.environ.get("FUZZ_API_SEED", "1")
    is_long = "FUZZ_API_EXAMPLES" in os.environ
    phases = "examples,coverage,fuzzing,stateful" if is_long else "coverage,stateful"
    leave_out = [] if is_long else ["--exclude-checks", WHETHER_IT_IS_TAKEN]
    (port,) = free_ports(1)
    settings = {"LONGLINE_TRUNKS__CARRIER__URI": f"sip:127.0.0.1:{port}", "LONGLINE_RECORDING": "false"}
    async with Sipp(tmp_path, "uas", port=port), Node(tmp_path / "node", **settings) as node:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(SUPPORT / "schemathesis.toml"),
            "run", node.url + "/openapi.json", "--header", f"x-api-key: {API_KEY}", "--no-color",
            "--phases", phases, "--max-examples", examples, "--seed", seed,
            "--continue-on-failure", "--suppress-health-check", "all", "--no-shrink", *leave_out,
            cwd=tmp_path, env=os.environ | {"SCHEMATHESIS_HOOKS": str(SUPPORT / "hooks.py")},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            output = (await asyncio.wait_for(process.stdout.read(), LONG_TIMEOUT_S if is_long else TIMEOUT_S)).decode(
                errors="replace"
            )
            status = await process.wait()
        except BaseException:
            process.kill()
            raise
        assert status == 0, "\n".join(line[:1000] for line in output.splitlines())
        print(output)
        faults = [line for line in node.log.read_text().splitlines() if "request failed" in line or "Traceback" in line]
        assert faults == []
        assert (await node.api.get("/readyz")).status_code == 200
