"""Addresses of our own pages under /hub/, and the handler of each."""

from __future__ import annotations

from typing import Any

from hub_config.pages.limits import LimitsHandler
from hub_config.pages.sign_out import SignOutHandler
from hub_config.pages.teams import TeamsHandler

#: (pattern, handler), as JupyterHub's own table has them. A handler derives from `jupyterhub.handlers.BaseHandler`, or
#: for the paths under `api/` from `jupyterhub.apihandlers.APIHandler`.
HANDLERS: list[tuple[str, Any]] = [
    (r"/limits", LimitsHandler),
    (r"/logout", SignOutHandler),
    (r"/teams", TeamsHandler),
]
