"""The routes: one file per resource, at most 15 lines per route, and no logic."""
