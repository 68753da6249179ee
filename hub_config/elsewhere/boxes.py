"""What seats in containers and in pods have in common: the image's inside, and what a seat starts there.

The image has the workspace under /opt/civic (hub_config/k8s/Dockerfile) and nothing of this machine: no vault, no
state, no template. A seat runs as the person's own number there, in her home, on a system that she cannot write.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hub_config.members.people import Account
from hub_config.settings import Settings
from hub_config.spawners import make_seat_arguments, make_seat_environment

PREFIX = Path("/opt/civic")
HOME = Path("/home/seat")
#: JupyterLab's settings for each language lie below, written when the image is made.
STATE = Path("/srv/civic")
PORT = 8888

#: A home may be an empty volume. Examples that a person deleted whole come back at her next start, as with `civic up`
#: they would not: there the home is made by the Hub, which a pod's volume is out of reach of.
_START = (
    "umask 077; mkdir -p .local/share/jupyter .collaboration; "
    f"[ -e examples ] || cp -r {PREFIX}/share/civic/notebooks examples; "
    f'exec {PREFIX}/bin/python -P -m jupyterhub.singleuser "$@"'
)
#: The word after the script is its own name; the server's arguments follow.
COMMAND = ["/bin/sh", "-c", _START, "seat"]

#: Of the machine that the Hub runs on, or of its template.
_OUTSIDE = ("CIVIC_WARM_SOCKET", "PYTHONPATH")


def inside(settings: Settings) -> Settings:
    """The same workspace with the paths that a seat sees."""
    return replace(settings, home=STATE)


def make_box_environment(settings: Settings, account: Account) -> dict[str, str]:
    """As `make_seat_environment`, for the inside of the image."""
    environment = make_seat_environment(inside(settings), account, HOME)
    environment |= {"PATH": f"{PREFIX}/bin:/usr/local/bin:/usr/bin:/bin", "TMPDIR": "/tmp"}
    return {name: value for name, value in environment.items() if name not in _OUTSIDE}


def make_box_arguments(settings: Settings, account: Account) -> list[str]:
    """As `make_seat_arguments`; every kernel starts cold, since a template's children would be its own container's."""
    arguments = make_seat_arguments(inside(settings), account, HOME)
    return [each for each in arguments if not each.startswith("--KernelProvisionerFactory.")]
