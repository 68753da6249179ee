"""The demo: a synthetic city, so that everything can be tried without one real row."""
