"""Measurements of the running system: `python -m benchmarks [NAME]`, `python -m benchmarks.attacks`.

Run from the checkout's root; no part of the wheel. Figures that are compared stand side by side in one run,
interleaved, since a shared machine is never the same twice.
"""
