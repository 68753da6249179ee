"""What one person may use, so that there is enough for all: starts in a line, memory, space in a home."""
