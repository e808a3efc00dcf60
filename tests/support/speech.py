"""Speech for synthetic callers, by flite: the voice that a recogniser understands over a telephone line."""

import asyncio
import io
import wave

import numpy as np

from tests.support.tone import Samples


async def speech(text: str, voice: str = "rms", rate_hz: int = 8_000) -> Samples:
    """At the rate of the line; linear interpolation is enough for a telephone's band."""
    flite = await asyncio.create_subprocess_exec(
        "flite", "-voice", voice, "-t", text, "-o", "/dev/stdout", stdout=asyncio.subprocess.PIPE
    )
    data, _ = await flite.communicate()
    with wave.open(io.BytesIO(data)) as wav:
        samples = np.frombuffer(wav.readframes(1 << 28), "<i2").astype(np.float64)
        step = wav.getframerate() // rate_hz
    whole = samples[: len(samples) // step * step].reshape(-1, step).mean(axis=1)
    return np.asarray(whole, dtype=np.int16)
