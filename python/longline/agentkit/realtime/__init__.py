"""Speech to speech: one model that hears and speaks, in place of a pipeline (OpenAI Realtime)."""

from longline.agentkit.realtime.agent import RealtimeAgent

__all__ = ["RealtimeAgent"]
