"""An adapter imports its vendor when it is made, not when a caller waits for its first word: SDKs like to be lazy."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, importlib, sys
from tests.support import {vendor}_service as services
from tests.support.vendor_socket import said

Ears, Voice = (next(value for name, value in vars(services).items() if name.lower() == "{vendor}" + kind)
               for kind in ("ears", "voice"))
stt = next(value for name, value in vars(importlib.import_module("longline.agentkit.stt.{vendor}")).items()
           if name.lower() == "{vendor}stt")
tts = next(value for name, value in vars(importlib.import_module("longline.agentkit.tts.{vendor}")).items()
           if name.lower() == "{vendor}tts")

async def audio():
    for frame in (*said("hello"), b""):
        yield frame

async def main():
    async with Ears() as ears, Voice() as voice:
        assert not any(name.split(".")[0] == "{vendor}" for name in sys.modules)
        listens, speaks = stt(api_key="k", base_url=ears.url), tts(voice="v", api_key="k", base_url=voice.url)
        made = set(sys.modules)
        assert [transcript async for transcript in listens.listen(audio(), 8_000)]
        assert [sound async for sound in speaks.say("Hello.")]
        print(*sorted(set(sys.modules) - made))
        await speaks.aclose()

asyncio.run(main())
"""


@pytest.mark.parametrize("vendor", ["deepgram", "elevenlabs", "cartesia"])
def test_the_first_word_imports_nothing(vendor: str) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT.format(vendor=vendor)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
