"""The tones that a node makes itself: the ringback, which a caller hears while somebody else's phone rings and no
network plays it to him, and the beep before a recording.

Ringback is one second of 425 Hz and four of silence (ITU-T E.180; most of the world's networks). A tone is a file like
any other that the media server plays, made once for a node. Leaves out the tones of other countries: `dial_music` plays
any file.
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
BEEP_HZ = 1000
BEEP_S = 0.3
_AMPLITUDE = 3277
"""-20 dB of full scale: a tone that nobody turns down his phone for."""


def ringback_file(directory: Path) -> Path:
    """The ringback tone; made in `directory` when it is not there. Raise OSError."""
    return _file(directory / "ringback.wav", PITCH_HZ, TONE_S, PAUSE_S)


def beep_file(directory: Path) -> Path:
    """What says "speak now"; made in `directory` when it is not there. Raise OSError."""
    return _file(directory / "beep.wav", BEEP_HZ, BEEP_S)


def _file(path: Path, pitch_hz: int, tone_s: float, pause_s: float = 0) -> Path:
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    tone = (_AMPLITUDE * math.sin(2 * math.pi * pitch_hz * at / RATE_HZ) for at in range(round(tone_s * RATE_HZ)))
    samples = array.array("h", (round(sample) for sample in tone))
    samples.extend([0] * round(pause_s * RATE_HZ))
    if sys.byteorder == "big":
        samples.byteswap()
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".wav", delete=False) as file:
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
