"""Checking what was published from public files alone: a second implementation, on purpose."""
