"""The lines: one file for each protocol that brings a caller."""
