"""The ringback tone: what a caller hears while somebody else's phone rings and no network plays it to him.

One second of 425 Hz and four of silence (ITU-T E.180; most of the world's networks). It is a file like any other that
the media server plays, made once for a node. Leaves out the tones of other countries: `dial_music` plays any file.
"""

from __future__ import annotations

import array
import contextlib
import math
import sys
import tempfile
import wave
from pathlib import Path

RATE_HZ = 8000
PITCH_HZ = 425
TONE_S = 1
PAUSE_S = 4
_AMPLITUDE = 3277
"""-20 dB of full scale: a tone that nobody turns down his phone for."""


def ringback_file(directory: Path) -> Path:
    """The WAV file; made in `directory` when it is not there. Raise OSError."""
    path = directory / "ringback.wav"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    tone = (_AMPLITUDE * math.sin(2 * math.pi * PITCH_HZ * at / RATE_HZ) for at in range(TONE_S * RATE_HZ))
    samples = array.array("h", (round(sample) for sample in tone))
    samples.extend([0] * (PAUSE_S * RATE_HZ))
    if sys.byteorder == "big":
        samples.byteswap()
    with tempfile.NamedTemporaryFile(dir=directory, suffix=".wav", delete=False) as file:
        try:
            with wave.open(file, "wb") as sound:
                sound.setnchannels(1)
                sound.setsampwidth(2)
                sound.setframerate(RATE_HZ)
                sound.writeframes(samples.tobytes())
            Path(file.name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(file.name).unlink()
            raise
    return path
