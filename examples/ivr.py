"""A telephone menu by keys: who knows it need not listen to it, since a key ends what is being said.

Run it (it needs flite), then `longline serve --stream ws://127.0.0.1:9000 --dialect longline`, and call. Orders are
1001# to 1003#.
"""

import argparse
import asyncio

from longline.agentkit import CallSession, KeyRules, RequestRefused, serve
from longline.agentkit.tts.flite import FliteTts

MENU = "For our opening hours, press 1. For your order, press 2. To talk to somebody, press 0."
ORDERS = {"1001": "is on its way", "1002": "waits for you", "1003": "was delivered yesterday"}
ONE_KEY = KeyRules(longest=1, ends="")
NUMBER = KeyRules(longest=8, ends="#")


async def ask(call: CallSession, question: str, rules: KeyRules) -> str:
    """What is keyed in, be it while the question is still asked; empty when nothing is, twice."""
    for _ in range(2):
        said = call.say(question)
        entry = await call.keys(rules, within_s=15)
        if not said.is_over:
            call.interrupt()
        if entry or call.over is not None:
            return entry
    return ""


async def talk(call: CallSession) -> None:
    """One call: the menu, again and again."""
    call.say("Welcome.")
    while call.over is None:
        match await ask(call, MENU, ONE_KEY):
            case "1":
                await call.say("We are open from nine to five.").ended
            case "2":
                number = await ask(call, "Please key in the number of your order, and the hash key.", NUMBER)
                print(f"asked for order {number}", flush=True)
                await call.say(f"Your order {ORDERS.get(number, 'is not known to us')}.").ended
            case "0":
                try:
                    await call.transfer(args.operator)
                except RequestRefused as refused:
                    print(refused, flush=True)
                    await call.say("I am sorry, nobody can be called.").ended
            case "":
                await call.say("Goodbye.").ended
                call.hangup()
                return
            case _:
                await call.say("That is not on the menu.").ended


async def main(port: int) -> None:
    async with serve(talk, "127.0.0.1", port, tts=FliteTts()):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--operator", default="sip:operator@127.0.0.1:5070")
    args = parser.parse_args()
    asyncio.run(main(args.port))
