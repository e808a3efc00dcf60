"""No test depends on how fast this machine is just now: hypothesis, too, may take its time."""

from hypothesis import settings

settings.register_profile("longline", deadline=None)
settings.load_profile("longline")
