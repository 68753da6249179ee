"""Entries for `c.JupyterHub.services`: the data gateway, the reports service, the citizen site."""

from __future__ import annotations

import os
import sys

from hub_config.home import VAULT_USER, read_token
from hub_config.roles import GATEWAY, REPORTS, SCOPES, SITE
from hub_config.settings import PROXY, Settings


def tethered(command: list[str], uid: int | None = None) -> list[str]:
    """`command` as a child of this process that ends with it; `command[0]` is an absolute path."""
    become = ["--uid", str(uid)] if uid is not None else []
    # -P: without it `-m` would put the current folder, where anyone may have put anything, first on the path.
    return [
        sys.executable,
        "-P",
        "-m",
        "hub_config.tether",
        "--parent",
        str(os.getpid()),
        *become,
        *command,
    ]


def proxy_command(settings: Settings) -> list[str]:
    """The node proxy, as root under a uid of its own: it faces the network and needs no file."""
    proxy = os.path.join(sys.prefix, "bin", "configurable-http-proxy")
    return tethered([proxy], settings.uid_base + PROXY if settings.is_root else None)


def _vault_side(settings: Settings) -> dict[str, object]:
    """What the two programs of the vault side have in common. They get the CIVIC_* settings they read, by name,
    and no other variable of whoever typed `civic up`: JupyterHub itself passes PATH, LANG and PYTHONPATH on."""
    environment = settings.environment()
    del environment["CIVIC_HUB_DATABASE_URL"]
    entry: dict[str, object] = {
        "environment": {name: value for name, value in environment.items() if value},
        "cwd": "/",
    }
    if settings.is_root:
        entry["user"] = VAULT_USER
    return entry


def render_services(settings: Settings) -> list[dict[str, object]]:
    """The services. `reports` has a token and no process yet; `site` has a process and no place in the proxy,
    because the citizen site is another origin."""
    python = [sys.executable, "-P", "-m"]
    return [
        {
            "name": GATEWAY,
            "url": f"http://127.0.0.1:{settings.gateway_port}",
            "command": tethered([*python, "data_access.gateway"]),
            # The gateway's pages ask the Hub who is there. The workspace runs it: a page "do you trust this
            # application?" would be a question about ourselves.
            "oauth_no_confirm": True,
            "oauth_client_allowed_scopes": list(SCOPES),
            "display": False,
            **_vault_side(settings),
        },
        {
            "name": REPORTS,
            "api_token": read_token(settings, "reports"),
            "display": False,
        },
        {
            "name": SITE,
            "command": tethered([*python, "data_access.gateway.site"]),
            "display": False,
            **_vault_side(settings),
        },
    ]
