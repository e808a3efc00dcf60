"""The REST APIs of other platforms, as their clients know them: a folder each.

A route of theirs does what one of ours does, in their words; `doors.py` knows where each begins and how it refuses.
"""
