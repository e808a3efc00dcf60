"""The application's side of a voice agent: runs in somebody else's process and imports nothing of the node."""
