"""The desk of a clinic books appointments, offline: pocketsphinx hears, clinic.yaml thinks, flite speaks.

Run it, then `longline serve --stream ws://127.0.0.1:9000 --dialect longline`, and call.
`make demo` does all of it. It needs flite (`apt-get install flite`) and `pip install longline[offline]`.
"""

import argparse
import asyncio
import json
from pathlib import Path

from longline.agentkit import CallSession, Report, VoiceAgent, serve
from longline.agentkit.llm.script import ScriptLlm
from longline.agentkit.report import print_turns, to_all
from longline.agentkit.stt.pocketsphinx import PocketsphinxStt
from longline.agentkit.tools import hang_up, tool
from longline.agentkit.tts.flite import FliteTts
from longline.streamkit.app_messages import BargeIn, Hello
from longline.streamkit.format import FormatWish

HOURS = ("nine", "ten", "eleven", "two", "three", "four")
TAKEN = {("Monday", "nine"), ("Tuesday", "ten"), ("Wednesday", "two"), ("Thursday", "eleven"), ("Friday", "four")}
TELEPHONE = Hello(audio=FormatWish(encoding="pcm_s16le", rate_hz=8000), barge_in=BargeIn())


class Clinic:
    """What `serve` wants: something that talks on a call. The calendar may be kept in a file."""

    hello = TELEPHONE

    def __init__(self, calendar: Path | None) -> None:
        self.calendar = calendar
        self.booked: dict[tuple[str, str], str] = {}
        self.tts = FliteTts(voice="slt")
        self.report = to_all(told, print_turns())

    async def __call__(self, call: CallSession) -> None:
        def is_free(day: str, hour: str) -> bool:
            return (day, hour) not in TAKEN and self.booked.get((day, hour)) in (None, call.info.call_id)

        @tool
        def look_up(day: str, hour: str) -> dict[str, str]:
            """Is this appointment free, and which of that day are, if not?"""
            others = [other for other in HOURS if other != hour and is_free(day, other)][:2]
            outcome = "free" if is_free(day, hour) else "taken" if others else "full"
            return {"outcome": outcome, "free": " or ".join(others)}

        @tool
        def book(day: str, hour: str) -> str:
            """Books it."""
            if not is_free(day, hour):
                return "taken"
            self.booked[day, hour] = call.info.call_id
            if self.calendar is not None:
                self.calendar.write_text(json.dumps([{"day": day, "hour": hour} for day, hour in self.booked]))
            return "booked"

        brain = ScriptLlm(Path(__file__).with_name("clinic.yaml"))  # where a call is, is known by a brain of its own
        ears, tools = PocketsphinxStt(grammar=brain.grammar), [look_up, book, hang_up()]
        agent = VoiceAgent(ears, brain, self.tts, greeting=brain.greeting, tools=tools, report=self.report)
        agent.turn.completeness = brain.completeness  # what may be said is known, and when it has been said, too
        agent.silence = ("Are you still there?", "Please call again. Goodbye.")
        await agent(call)


def told(turn: Report) -> None:
    print(f"caller: {turn.caller}\nagent:  {turn.heard}{' …' if turn.was_interrupted else ''}")


async def main(port: int, calendar: Path | None) -> None:
    async with serve(Clinic(calendar), "127.0.0.1", port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--calendar", type=Path, help="where the appointments are kept")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.port, arguments.calendar))
