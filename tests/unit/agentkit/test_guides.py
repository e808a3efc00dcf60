"""The Python of the guides about agents is Python, imports what there is, and asks of a call what a call can do."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from tests.unit.agentkit.fakes import FakeLine

from longline.agentkit.session import CallSession

GUIDES = sorted((Path(__file__).parents[3] / "docs" / "guide").glob("agent*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = [(guide.name, number, text) for guide in GUIDES for number, text in enumerate(BLOCK.findall(guide.read_text()))]


@pytest.mark.parametrize(("guide", "number", "text"), CODE, ids=[f"{name}-{number}" for name, number, _ in CODE])
async def test_code_of_a_guide_can_be_what_it_says(guide: str, number: int, text: str) -> None:
    own = set(dir(CallSession)) | set(vars(CallSession(FakeLine())))
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for node in ast.walk(compile(text.replace("…", "..."), f"{guide}:{number}", "exec", flags)):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("longline"):
                there = importlib.import_module(module)
                assert [each.name for each in names if not hasattr(there, each.name)] == [], module
            case ast.Attribute(value=ast.Name(id="call"), attr=attribute):
                assert attribute in own


def test_there_are_guides() -> None:
    assert CODE
