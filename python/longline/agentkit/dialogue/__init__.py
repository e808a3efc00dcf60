"""Dialogues that stand in a file: states, what may be said in each, and what is answered."""
