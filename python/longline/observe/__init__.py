"""What observes a node without being asked by it: metrics, traces, live events. Each hangs on the event bus."""
