"""The bridges to other frameworks say what is to be installed where those are not."""

import importlib
import importlib.util

import pytest


@pytest.mark.parametrize(("bridge", "framework"), [("pipecat", "pipecat"), ("livekit", "livekit")])
def test_a_framework_that_is_missing_is_named_with_what_installs_it(bridge: str, framework: str) -> None:
    if importlib.util.find_spec(framework) is not None:
        pytest.skip(f"{framework} is installed here")
    with pytest.raises(ImportError, match=rf"pip install longline\[{bridge}\]"):
        importlib.import_module(f"longline.agentkit.{bridge}")
