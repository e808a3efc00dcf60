"""OpenAI Realtime answers the phone: one model hears and speaks, takes orders by a tool, and can be interrupted.

Run it (it needs longline[openai] and OPENAI_API_KEY), then
`longline serve --stream ws://127.0.0.1:9000 --dialect longline`, and call.
"""

import argparse
import asyncio
import itertools

from longline.agentkit import CallSession, Report, serve
from longline.agentkit.realtime import RealtimeAgent
from longline.agentkit.tools import hang_up, tool

PRICES = {"margherita": 9, "funghi": 11, "diavola": 12}
numbers = itertools.count(1)


@tool
async def order(pizza: str, count: int, call: CallSession) -> str:
    """Orders pizzas: margherita, funghi or diavola. Ask for the count first."""
    price = PRICES.get(pizza.lower())
    if price is None:
        return f"There is no {pizza}. There are {', '.join(PRICES)}."
    number = next(numbers)
    print(f"order {number}: {count} x {pizza}, for {call.info.from_number}", flush=True)
    return f"Order {number} costs {count * price} euros and is ready in twenty minutes."


def report(turn: Report) -> None:
    """What was said, and of the answer what the caller heard."""
    waited = turn.waterfall.total_ms
    print(f"caller: {turn.caller}", flush=True)
    print(f"agent:  {turn.heard}{' …' if turn.was_interrupted else ''}  ({waited} ms)", flush=True)


agent = RealtimeAgent(
    instructions="You take orders for a pizzeria, in short sentences. Never promise what no tool has confirmed.",
    greeting="Hello, this is Pizza Longline. What may I bring you?",
    tools=[order, hang_up()],
    turn_detection={"type": "server_vad", "idle_timeout_ms": 8_000},
    report=report,
)


async def main(port: int) -> None:
    async with serve(agent, "127.0.0.1", port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(main(parser.parse_args().port))
