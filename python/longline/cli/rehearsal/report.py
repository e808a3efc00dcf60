"""How rehearsals went: for people, as JSON, and as JUnit's XML for continuous integration."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from longline.agentkit.testing.record import table
from longline.cli.rehearsal.real_call import RealCall

LATE_MS = 40.0
"""A rehearsal that was itself later than this measured a busy machine."""


def facts(calls: Sequence[RealCall], target: str) -> dict[str, Any]:
    """All of it, to be written as JSON."""
    answers = [turn.answer_ms for call in calls for turn in call.answers if turn.answer_ms is not None]
    silences = [ms for call in calls for turn in call.interruptions if (ms := turn.silent_after_ms) is not None]
    return {
        "target": target,
        "calls": len(calls),
        "failed": sum(bool(call.failures) for call in calls),
        "answer_ms": figures(answers),
        "silent_after_interruption_ms": figures(silences),
        "rehearsals": [_facts_of(call) for call in calls],
    }


def _facts_of(call: RealCall) -> dict[str, Any]:
    turns = [
        dataclasses.asdict(turn) | {"silent_after_ms": turn.silent_after_ms, "was_interrupted": turn.was_interrupted}
        for turn in call.turns
    ]
    return {
        "name": call.name,
        "seed": call.seed,
        "passed": not call.failures,
        "failures": call.failures,
        "call_id": call.call_id or None,
        "duration_s": call.duration_s,
        "ended_by": call.ended_by or None,
        "turns": turns,
        "agent_turns": call.told,
        "heard_by_ear": dict(call.by_ear),
        "packets": call.packets,
        "rehearsal_late_ms": call.late_ms,
    }


def figures(values: Sequence[float]) -> dict[str, float]:
    """Of none: nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    at = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    ranked = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in at.items()}
    return {"count": len(ordered)} | {name: round(value, 1) for name, value in ranked.items()}


def text(call: RealCall) -> str:
    """One call, with its transcript."""
    verdict = "passed" if not call.failures else "FAILED"
    lines = [f"{verdict}  {call.name} (seed {call.seed}, {call.duration_s:.1f} s)"]
    lines += [f"        {failure}" for failure in call.failures]
    lines.append(table(call.turns))
    lines += [
        f"        the agent: caller {turn.get('caller', '')!r}, heard {turn.get('heard', '')!r}" for turn in call.told
    ]
    if call.late_ms > LATE_MS:
        lines.append(f"        this machine was too busy: the caller was late by up to {call.late_ms:.0f} ms")
    return "\n".join(lines)


def summary(calls: Sequence[RealCall]) -> str:
    """The last line."""
    told = facts(calls, "")
    parts = [f"{told['calls'] - told['failed']} of {told['calls']} passed"]
    for name, what in (("answer_ms", "answered after"), ("silent_after_interruption_ms", "silent after interruption")):
        if found := told[name]:
            parts.append(f"{what} p50 {found['p50']:.0f} ms, p95 {found['p95']:.0f} ms, of {found['count']}")
    return "; ".join(parts)


def write_json(path: Path, calls: Sequence[RealCall], target: str) -> None:
    path.write_text(json.dumps(facts(calls, target), indent=1) + "\n", encoding="utf-8")


def write_junit(path: Path, calls: Sequence[RealCall]) -> None:
    """A suite for each script, a case for each call."""
    by_name: dict[str, list[RealCall]] = defaultdict(list)
    for call in calls:
        by_name[call.name].append(call)
    root = ElementTree.Element("testsuites")
    for name, of_script in by_name.items():
        failed = sum(bool(call.failures) for call in of_script)
        suite = ElementTree.SubElement(
            root, "testsuite", name=_xml(name), tests=str(len(of_script)), failures=str(failed), errors="0"
        )
        for call in of_script:
            case = ElementTree.SubElement(
                suite, "testcase", classname=_xml(name), name=f"seed {call.seed}", time=f"{call.duration_s:.3f}"
            )
            if call.failures:
                failure = ElementTree.SubElement(case, "failure", message=_xml("; ".join(call.failures)))
                failure.text = _xml(text(call))
            ElementTree.SubElement(case, "system-out").text = _xml(text(call))
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _xml(text: str) -> str:
    """XML 1.0 has no control characters but these three."""
    return "".join(
        char for char in text if char in "\t\n\r" or (ord(char) >= 0x20 and ord(char) not in (0xFFFE, 0xFFFF))
    )
