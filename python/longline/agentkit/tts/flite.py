"""flite: a small voice that needs no key, no network and no model but its own. English.

A sentence is made in a twentieth of a second, all of it before the first sample comes.
"""

from __future__ import annotations

from longline.agentkit.tts.program import ProgramVoice


class FliteTts(ProgramVoice):
    """`voice` is a name of `flite -lv` (slt and awb sound best; rms is the deepest) or a .flitevox file. `pace` is
    how fast it speaks: 1.2 is a fifth faster."""

    def __init__(self, *, voice: str = "slt", pace: float = 1.0, program: str = "flite") -> None:
        if not 0.25 <= pace <= 4:
            raise ValueError("pace is 0.25 to 4")
        stretch = () if pace == 1 else ("--setf", f"duration_stretch={1 / pace:.3f}")
        command = (program, "-voice", voice, *stretch, "-o", "/dev/stdout", "-t")
        super().__init__("flite", command, install="apt-get install flite")
