"""Who belongs: persons, teams and rooms, their memberships, and how a change reaches the running Hub."""
