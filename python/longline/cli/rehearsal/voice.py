"""The caller's voice: flite's, made before the call, at the rate of a telephone line."""

from __future__ import annotations

import asyncio
import io
import shutil
import wave

import numpy

from longline.agentkit.resample import Resampler
from longline.base.errors import LonglineError
from longline.cli.rehearsal.rtp import RATE_HZ

SYNTHESIS_LIMIT_S = 30.0


class NoVoice(LonglineError):
    """flite is not there, or has no such voice."""


async def speech(text: str, voice: str) -> bytes:
    """PCM of 16 bits at RATE_HZ. Raises NoVoice."""
    program = shutil.which("flite")
    if program is None:
        raise NoVoice("callers speak with flite, and it is not installed: apt-get install flite")
    flite = await asyncio.create_subprocess_exec(
        program, "-voice", voice, "-t", text, "-o", "/dev/stdout",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SYNTHESIS_LIMIT_S):
            data, errors = await flite.communicate()
    except TimeoutError:
        flite.kill()
        raise NoVoice(f"flite took more than {SYNTHESIS_LIMIT_S:g} s for {text!r}") from None
    try:
        with wave.open(io.BytesIO(data)) as file:
            samples = numpy.frombuffer(file.readframes(1 << 28), "<i2")
            rate_hz = file.getframerate()
    except (wave.Error, EOFError) as error:
        raise NoVoice(f"flite said nothing in the voice {voice!r}: {errors.decode(errors='replace')}") from error
    resampler = Resampler(RATE_HZ)
    return resampler.convert(samples.tobytes(), rate_hz) + resampler.rest()
