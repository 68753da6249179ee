"""Addresses of our own pages under /hub/, and the handler of each."""

from __future__ import annotations

from typing import Any

from hub_config.pages.health import HealthHandler
from hub_config.pages.help import HelpHandler
from hub_config.pages.home import AbsentPage, HomePage
from hub_config.pages.limits import LimitsHandler
from hub_config.pages.sign_out import SignOutHandler
from hub_config.pages.teams import TeamsHandler
from hub_config.pages.watch import FrameHandler, VersionHandler, WatchHandler
from hub_config.pages.workshops import CardsPage, LeadNow, LeadPage, WorkshopPage, WorkshopsPage

#: (pattern, handler), as JupyterHub's own table has them. A handler derives from `jupyterhub.handlers.BaseHandler`, or
#: for the paths under `api/` from `jupyterhub.apihandlers.APIHandler`.
HANDLERS: list[tuple[str, Any]] = [
    (r"/home", HomePage),
    (r"/(?:token|admin|accept-share)(?:/.*)?", AbsentPage),
    (r"/api/civic/help", HelpHandler),
    (r"/api/civic/health", HealthHandler),
    (r"/limits", LimitsHandler),
    (r"/logout", SignOutHandler),
    (r"/workshop", WorkshopPage),
    (r"/workshops", WorkshopsPage),
    (r"/workshops/([a-z0-9-]+)", LeadPage),
    (r"/workshops/([a-z0-9-]+)/now", LeadNow),
    (r"/workshops/([a-z0-9-]+)/cards", CardsPage),
    (r"/teams", TeamsHandler),
    (r"/watch/([a-z0-9-]{1,40})", WatchHandler),
    (r"/watch/([a-z0-9-]{1,40})/page", FrameHandler),
    (r"/watch/([a-z0-9-]{1,40})/version", VersionHandler),
]
