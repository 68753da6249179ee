"""The statistics of the urban problems: pure functions from frames to frames."""
