"""`python -m hub_config.starting.tether --parent PID [--uid N] COMMAND…`: run a command that ends with its parent.

The Hub starts its proxy and its services itself, without a place for a hook of ours; so it starts this, which
ties itself to the Hub and becomes the command. After the uid was changed, because a change clears the tie.
"""

from __future__ import annotations

import os
import sys

from hub_config.starting.processes import become, die_with_parent


def main(argv: list[str]) -> None:
    parent, uid, command = 0, None, argv
    while command and command[0] in ("--parent", "--uid"):
        if command[0] == "--parent":
            parent = int(command[1])
        else:
            uid = int(command[1])
        command = command[2:]
    if uid is not None:
        become(uid)
    die_with_parent(parent)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
