"""Rehearsals: scripted callers on real calls."""
