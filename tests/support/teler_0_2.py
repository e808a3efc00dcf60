"""Run with teler 0.2.2 on its path, in a process of its own: two generations of one package do not fit into one.

Prints one JSON object: what the API answered to its two clients, and what its flows look like.
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from importlib import metadata
from typing import Any

import teler
from teler.exceptions import ForbiddenException


def stranger(base_url: str, order: dict[str, Any]) -> str | None:
    try:
        client: Any = teler.Client("wrong", base_url=base_url)
        client.calls.create(**order)
    except ForbiddenException as error:
        return str(error)
    return None


async def main() -> None:
    base_url, ws_url = sys.argv[1], sys.argv[2]
    order = {
        "from_number": "+15550100",
        "to_number": "+15550101",
        "flow_url": sys.argv[3],
        "status_callback_url": sys.argv[4],
        "record": False,
    }
    key = os.environ["TELER_API_KEY"]
    old: Any
    with teler.Client(key, base_url=base_url) as old:
        created = await asyncio.to_thread(old.calls.create, **order)
    async with teler.AsyncClient(key, base_url=base_url) as old:
        created_async = await old.calls.create(**order)
    print(
        json.dumps(
            {
                "version": metadata.version("teler"),
                "created": asdict(created),
                "created_async": asdict(created_async),
                "stranger": stranger(base_url, order),
                "stream": teler.CallFlow.stream(ws_url, chunk_size=100, record=False),
                "play": teler.CallFlow.play("tone.wav"),
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
