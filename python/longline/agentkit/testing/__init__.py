"""Test a voice agent without a phone, in virtual time."""

from longline.agentkit.testing.virtual_time import VirtualTimeError, VirtualTimeLoop, run, virtual_time

__all__ = ["VirtualTimeError", "VirtualTimeLoop", "run", "virtual_time"]
