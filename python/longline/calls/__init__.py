"""Calls: from the first message of a call to its last event."""
