"""Entries for `c.JupyterHub.services`: the data gateway, the reports service, the citizen site, the culler."""

from __future__ import annotations

import os

from hub_config.home import REPORTS_USER, VAULT_USER, read_token, warm_socket
from hub_config.roles import CULLER, GATEWAY, MONITOR, REPORTS, SCOPES, SITE
from hub_config.settings import CULLER_USER, OIDC, PREFIX, PROXY, PYTHON, SITE_SERVER, Settings

#: Seconds between two looks for seats that nobody uses.
CULL_EVERY_S = 60


def tethered(command: list[str], uid: int | None = None) -> list[str]:
    """`command` as a child of this process that ends with it; `command[0]` is an absolute path."""
    become = ["--uid", str(uid)] if uid is not None else []
    # -P: without it `-m` would put the current folder, where anyone may have put anything, first on the path.
    return [
        PYTHON,
        "-P",
        "-m",
        "hub_config.starting.tether",
        "--parent",
        str(os.getpid()),
        *become,
        *command,
    ]


def proxy_command(settings: Settings) -> list[str]:
    """The node proxy, as root under a uid of its own: it faces the network and needs no file."""
    proxy = os.path.join(PREFIX, "bin", "configurable-http-proxy")
    return tethered([proxy], settings.uid_base + PROXY if settings.is_root else None)


def _gateway_environment(settings: Settings) -> dict[str, str]:
    """The CIVIC_* settings that the gateway reads, by name, and no other variable of whoever typed `civic up`
    (JupyterHub itself passes PATH, LANG and PYTHONPATH on). The workspace's own database is not among them;
    and whatever address people use, the gateway is reached through the proxy alone."""
    environment = {**settings.environment(), "CIVIC_BIND": "127.0.0.1"}
    del environment["CIVIC_HUB_DATABASE_URL"]
    return {name: value for name, value in environment.items() if value and name not in OIDC}


def _reports_environment(settings: Settings) -> dict[str, str]:
    """Where it works and whom it asks; none of the vault's settings, and no database."""
    names = ("CIVIC_HOME", "CIVIC_REPORTS_PORT", "CIVIC_RUNS_AT_ONCE", "CIVIC_RUN_MEMORY", "CIVIC_LANGUAGE")
    environment = {name: settings.environment()[name] for name in names}
    return {
        **environment,
        "CIVIC_GATEWAY_URL": settings.gateway_url,
        "CIVIC_WARM_SOCKET": str(warm_socket(settings)),
        "HOME": str(settings.home / "runs"),
    }


def _site_environment(settings: Settings) -> dict[str, str]:
    """Where the public folder is, which port to open, and where the public records are asked for."""
    names = ("CIVIC_HOME", "CIVIC_BIND", "CIVIC_SITE_PORT", "CIVIC_PUBLIC_GATEWAY_PORT")
    return {name: settings.environment()[name] for name in names}


def _culler_command(settings: Settings) -> list[str]:
    """The Hub's own culler. It ends servers, and kernels end with theirs; the servers end kernels that nobody uses
    while they are in use themselves (spawners.py), later than this: ending one counts as use."""
    options = [f"--timeout={60 * settings.seat_idle}", f"--cull-every={CULL_EVERY_S}"]
    uid = settings.uid_base + CULLER_USER if settings.is_root else None
    return tethered([PYTHON, "-P", "-m", "jupyterhub_idle_culler", *options], uid)


def render_services(settings: Settings) -> list[dict[str, object]]:
    """The services. `monitor` (Prometheus, which runs elsewhere) has a token and no process; `site` has a process and
    no place in the proxy, because the citizen site is another origin. The reports service's token is one that was
    made beforehand, since verbs of the workspace run reports with it as well."""
    python = [PYTHON, "-P", "-m"]
    gateway: dict[str, object] = {
        "name": GATEWAY,
        "url": f"http://127.0.0.1:{settings.gateway_port}",
        "command": tethered([*python, "data_access.gateway"]),
        "environment": _gateway_environment(settings),
        "cwd": "/",
        # The gateway's pages ask the Hub who is there. The workspace runs it: a page "do you trust this
        # application?" would be a question about ourselves.
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": list(SCOPES),
        "display": False,
    }
    reports: dict[str, object] = {
        "name": REPORTS,
        "api_token": read_token(settings, "reports"),
        "display": False,
    }
    if settings.seats == "here":
        # It runs nothing without the template, which serves the seats of this machine.
        reports |= {
            "url": f"http://127.0.0.1:{settings.reports_port}",
            "command": tethered([*python, "civic_kernel.reports.service"]),
            "environment": _reports_environment(settings),
            "cwd": "/",
            **({"user": REPORTS_USER} if settings.is_root else {}),
        }
    if settings.is_root:
        gateway["user"] = VAULT_USER
    site_uid = settings.uid_base + SITE_SERVER if settings.is_root else None
    culler: dict[str, object] = {"name": CULLER, "display": False}
    if settings.seat_idle:
        culler |= {"command": _culler_command(settings), "cwd": "/"}
    return [
        gateway,
        culler,
        reports,
        {"name": MONITOR, "api_token": read_token(settings, "monitor"), "display": False},
        {
            "name": SITE,
            "command": tethered([*python, "data_access.gateway.site"], site_uid),
            "environment": _site_environment(settings),
            "cwd": "/",
            "display": False,
        },
    ]
