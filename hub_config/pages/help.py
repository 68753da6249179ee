"""`/hub/api/civic/help`: a workshop's participant asks for help, or says that she needs none any more.

Her seat calls it with its own token, and the pages with her session. Nothing in the request names a seat: whoever
calls speaks for herself.
"""

from __future__ import annotations

import json

from jupyterhub.apihandlers import APIHandler
from tornado import web

from hub_config.errors import WorkshopRefused
from hub_config.runtime import current_workshops


class HelpHandler(APIHandler):  # type: ignore[misc]
    """GET and POST `{"wanted": bool}` → `{"wanted": bool, "since": seconds since 1970 or null}`; 404 for whoever is
    in no open workshop."""

    @web.authenticated
    def get(self) -> None:
        seat = current_workshops().seat(self._name())
        if seat is None or current_workshops().open_for(seat.name) is None:
            raise web.HTTPError(404)
        self._tell(seat.help_since)

    @web.authenticated
    def post(self) -> None:
        given = self.get_json_body()
        wanted = given.get("wanted") if isinstance(given, dict) else None
        if not isinstance(wanted, bool):
            raise web.HTTPError(400, '"wanted" is true or false')
        try:
            self._tell(current_workshops().ask_help(self._name(), wanted))
        except WorkshopRefused:
            raise web.HTTPError(404) from None

    def _name(self) -> str:
        # A service's token is nobody's seat.
        return str(getattr(self.current_user, "name", ""))

    def _tell(self, since: int | None) -> None:
        self.finish(json.dumps({"wanted": since is not None, "since": since}))
