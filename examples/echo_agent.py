"""Say back to the caller what the caller says, whatever platform brings him: longline.v1, Teler's or Twilio's protocol.

The smallest agent there is. Run it, then `longline serve --stream ws://127.0.0.1:9000 --dialect longline`, and call.
The key # hangs up.
"""

import argparse
import asyncio

from longline.agentkit import CallSession, Digit, Frame, serve


async def talk(call: CallSession) -> None:
    """One call, over all of its connections."""
    echo = call.begin()
    async for event in call:
        match event:
            case Frame(pcm):
                call.add(echo, pcm)
            case Digit("#"):
                call.hangup()
    print(f"{echo.heard_ms / 1000:.1f} of {echo.said_ms / 1000:.1f} s were heard", flush=True)


async def main(port: int) -> None:
    async with serve(talk, "127.0.0.1", port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(main(parser.parse_args().port))
