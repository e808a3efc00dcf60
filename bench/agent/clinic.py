"""Does the clinic book what its callers want? Seeded callers over real SIP and RTP, heard from 8 kHz µ-law.

    python bench/agent/clinic.py --calls 10 --seed 1

One line for each call; the last is one JSON object. The status is 1 when fewer than nine of ten have what they want.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

from longline.base.log import set_up_logging
from longline.cli.clinic_caller import Persona
from longline.cli.clinic_stage import ClinicCall, Stage

WANTED_SHARE: Final = 0.9


async def run(calls: int, seed: int) -> dict[str, Any]:
    done: list[ClinicCall] = []
    with tempfile.TemporaryDirectory(prefix="clinic-") as folder:
        for number in range(seed, seed + calls):
            # A clinic with an empty calendar for each: who comes late must not find the day booked up.
            output = Path(folder) / str(number)
            async with Stage(output) as stage:
                call = await stage.call(Persona.of(number), output / "call.wav")
            done.append(call)
            heard = " / ".join(f"{turn.get('caller', '')} → {turn.get('heard', '')}" for turn in call.turns)
            verdict = "right" if call.is_right else f"WRONG: {call.booked} booked"
            print(f"{number}: wanted {' at '.join(call.persona.wants)}, {verdict}, interrupted {call.interruptions}")
            print(f"   said   {' / '.join(call.said)}\n   heard  {heard}", flush=True)
    answers = sorted(turn["total_ms"] for call in done for turn in call.turns if turn.get("total_ms") is not None)
    return {
        "calls": calls,
        "seed": seed,
        "booked_right": sum(call.is_right for call in done),
        "booked_wrong": sum(call.booked is not None and not call.is_right for call in done),
        "interruptions": sum(call.interruptions for call in done),
        "turns": len(answers),
        "turns_unclear": sum(turn.get("caller") == "[unclear]" for call in done for turn in call.turns),
        "answer_ms_p50": round(statistics.median(answers), 1) if answers else None,
        "answer_ms_p95": answers[int(0.95 * (len(answers) - 1))] if answers else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    set_up_logging("error")
    result = asyncio.run(run(arguments.calls, arguments.seed))
    print(json.dumps(result))
    raise SystemExit(result["booked_right"] < WANTED_SHARE * result["calls"])


if __name__ == "__main__":
    main()
