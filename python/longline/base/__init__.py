"""What every other package may use: ids, clock, configuration, errors, events, the bus and logging.

Nothing here imports another package of ours.
"""
