"""The examples of the native protocol are applications that conform to it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from longline.streamkit.app_messages import Hello
from longline.streamkit.conformance import application
from longline.streamkit.conformance.application import ApplicationKit
from longline.streamkit.server import serve

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["resumable", "interruptible"])
async def test_an_example_conforms(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "TALK_S", 0.4)
    async with serve(example(name).talk, "127.0.0.1", 0, hello=Hello(speech=True)) as app:
        kit = ApplicationKit(f"ws://127.0.0.1:{app.port}")
        await kit.conversation()
        await kit.resuming()
    assert kit.report.is_passed, kit.report.to_text()
    assert kit.report.results["resumes"].times == 1
