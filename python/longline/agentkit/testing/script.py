"""What a caller does in a test, step by step, as data: the same for a call in memory and for a real one."""

from __future__ import annotations

from dataclasses import dataclass, field

DIGITS = frozenset("0123456789*#ABCD")
HEARS_WITHIN_S = 10.0
INTERRUPTION = "Wait a moment."


@dataclass(frozen=True, slots=True)
class Says:
    """Says it now, whoever else speaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Waits:
    seconds: float


@dataclass(frozen=True, slots=True)
class Hears:
    """Waits until the agent has said something and paused; with `words`, until it has said these, in this order and
    next to each other. What is not heard within `within_s` of when the agent was last heard has failed."""

    words: str = ""
    within_s: float = HEARS_WITHIN_S


@dataclass(frozen=True, slots=True)
class Interrupts:
    """Waits until the agent has spoken for `after_s`, and then speaks over it."""

    text: str = INTERRUPTION
    after_s: float = 1.0
    within_s: float = HEARS_WITHIN_S


@dataclass(frozen=True, slots=True)
class Presses:
    digits: str

    def __post_init__(self) -> None:
        if not self.digits or not DIGITS.issuperset(self.digits):
            raise ValueError(f"{self.digits!r} is not made of the keys 0-9, *, #, A-D")


@dataclass(frozen=True, slots=True)
class HangsUp:
    pass


@dataclass(frozen=True, slots=True)
class IsHungUp:
    """Waits until the agent hangs up."""

    within_s: float = HEARS_WITHIN_S


Step = Says | Waits | Hears | Interrupts | Presses | HangsUp | IsHungUp


@dataclass(frozen=True, slots=True)
class Script:
    """`pause_s`: an agent that is silent for so long has said what it had to say. After the last step the caller stays
    for `pause_s` and hangs up."""

    steps: tuple[Step, ...] = ()
    name: str = "caller"
    pause_s: float = 0.6
    lines: tuple[int, ...] = field(default=(), compare=False)
    """Where in its file each step stands, when it comes from one."""


def told(step: Step) -> str:
    """For people."""
    match step:
        case Says(text):
            return f"says {text!r}"
        case Waits(seconds):
            return f"waits {seconds:g} s"
        case Hears(words, within_s):
            return f"hears {repr(words) if words else 'the agent'} within {within_s:g} s"
        case Interrupts(text, after_s, _):
            return f"interrupts after {after_s:g} s with {text!r}"
        case Presses(digits):
            return f"presses {digits}"
        case HangsUp():
            return "hangs up"
        case IsHungUp(within_s):
            return f"is hung up within {within_s:g} s"
