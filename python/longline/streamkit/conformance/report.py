"""What came of the checks, as text and as JSON. A check that was never reached was skipped, and says why if it can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PASSED: Final = "passed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"


@dataclass(frozen=True)
class Rule:
    """One rule of docs/reference/longline-v1.md; `section` is where it stands."""

    name: str
    section: int
    text: str


@dataclass
class Result:
    outcome: str = SKIPPED
    why: str = ""
    times: int = 0


@dataclass
class Report:
    """A rule is passed when it held every time that it was looked at, and was looked at."""

    subject: str
    rules: Mapping[str, Rule]
    results: dict[str, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.results = {name: Result() for name in self.rules}

    def check(self, name: str, holds: bool, why: str = "") -> bool:
        """Looked at once more; `why` is told of the first time that it does not hold."""
        result = self.results[name]
        result.times += 1
        if not holds and result.outcome != FAILED:
            result.outcome, result.why = FAILED, why
        elif result.outcome == SKIPPED:
            result.outcome, result.why = PASSED, ""
        return holds

    def skip(self, name: str, why: str) -> None:
        """Why it could not be looked at."""
        if self.results[name].outcome == SKIPPED:
            self.results[name].why = why

    @property
    def failed(self) -> list[str]:
        return [name for name, result in self.results.items() if result.outcome == FAILED]

    @property
    def is_passed(self) -> bool:
        """Nothing failed, and something was looked at."""
        return not self.failed and any(result.outcome == PASSED for result in self.results.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "protocol": "longline.v1",
            "subject": self.subject,
            "passed": self.is_passed,
            "checks": [
                {
                    "name": name,
                    "section": self.rules[name].section,
                    "rule": self.rules[name].text,
                    "outcome": result.outcome,
                    "why": result.why,
                    "times": result.times,
                }
                for name, result in self.results.items()
            ],
        }

    def to_text(self) -> str:
        width = max(len(name) for name in self.rules)
        lines = [f"longline.v1 conformance of {self.subject}", ""]
        for name, result in self.results.items():
            rule = self.rules[name]
            line = f"{result.outcome:<7}  §{rule.section}  {name:<{width}}  {rule.text}"
            lines.append(line + (f"\n{'':<{width + 13}}  {result.why}" if result.why else ""))
        counts = [
            f"{sum(result.outcome == outcome for result in self.results.values())} {outcome}"
            for outcome in (PASSED, FAILED, SKIPPED)
        ]
        return "\n".join([*lines, "", ", ".join(counts)])


def rules(table: Iterable[tuple[str, int, str]]) -> dict[str, Rule]:
    return {name: Rule(name, section, text) for name, section, text in table}
