"""Say back to the caller what the caller says: the smallest application there is.

Run it, then `longline serve --stream ws://127.0.0.1:9000 --chunk-size 20`, and call.
"""

import argparse
import asyncio
import json

from websockets.asyncio.server import ServerConnection, serve


async def call(socket: ServerConnection) -> None:
    """One call: every chunk of the caller's audio goes straight back."""
    async for text in socket:
        message = json.loads(text)
        if message["type"] == "audio":
            audio = message["data"]["audio_b64"]
            await socket.send(json.dumps({"type": "audio", "audio_b64": audio, "chunk_id": message["message_id"]}))


async def main(port: int) -> None:
    async with serve(call, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(main(parser.parse_args().port))
