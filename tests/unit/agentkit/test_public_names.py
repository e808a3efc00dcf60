"""What `longline.agentkit` offers: all of it is there, loaded when it is used, and no vendor with it."""

import subprocess
import sys

import pytest

from longline import agentkit


def test_every_public_name_is_there() -> None:
    assert sorted(agentkit._WHERE) == sorted(agentkit.__all__)
    for name in agentkit.__all__:
        assert getattr(agentkit, name) is not None
    with pytest.raises(AttributeError, match="no Nonsense"):
        agentkit.Nonsense  # noqa: B018


def test_an_adapter_imports_its_vendor_when_it_is_made() -> None:
    code = (
        "import importlib, pathlib, sys, longline.agentkit as a\n"
        "folder = pathlib.Path(a.__file__).parent\n"
        "names = [p for each in ('stt', 'llm', 'tts', 'realtime') for p in (folder / each).glob('*.py')]\n"
        "[importlib.import_module(f'longline.agentkit.{p.parent.name}.{p.stem}') for p in names]\n"
        "vendors = {'openai', 'anthropic', 'deepgram', 'elevenlabs', 'cartesia', 'pocketsphinx'}\n"
        "assert len(names) > 10 and not vendors & set(sys.modules), vendors & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_nothing_is_loaded_before_it_is_used_and_no_vendor_at_all() -> None:
    code = (
        "import sys, longline.agentkit as a\n"
        "assert not [m for m in sys.modules if m.startswith('longline.agentkit.')]\n"
        "[getattr(a, n) for n in a.__all__]\n"
        "vendors = {'openai', 'anthropic', 'deepgram', 'elevenlabs', 'cartesia', 'onnxruntime', 'soxr'}\n"
        "assert not vendors & set(sys.modules), vendors & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
