"""Seats that are no processes of this machine: what containers and pods have in common, and containers."""
