"""A team's room seen from outside: its notebooks to look at, and runs' notebooks put there to be read."""
