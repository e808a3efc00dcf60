"""Voices: an adapter is a file."""
