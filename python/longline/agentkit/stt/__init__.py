"""Transcribers: an adapter is a file."""
