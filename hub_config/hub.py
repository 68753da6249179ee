"""`python -m hub_config.hub -f CONFIG`: JupyterHub, with pages in the reader's language."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

# jsonschema, which JupyterHub imports, takes this where it is there, to check the format `iri`: a grammar that is built
# as it is imported, for a whole second. No schema of JupyterHub's or ours has that format, so here it is not there.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

from jupyterhub.app import JupyterHub
from jupyterhub.handlers import BaseHandler
from prometheus_client import REGISTRY
from tornado.ioloop import PeriodicCallback
from traitlets import Float

from hub_config.members.membership import Membership
from hub_config.operations.health import Machine
from hub_config.operations.logs import WithoutSecrets
from hub_config.pages.common import with_pages
from hub_config.pages.table import HANDLERS
from hub_config.runtime import current_settings
from hub_config.signing_in import sessions
from hub_config.workshop.closing import Closing


class CivicHub(JupyterHub):  # type: ignore[misc]
    """JupyterHub whose page handlers know the reader's language. Settings of `c.JupyterHub` hold for it."""

    name = "jupyterhub"

    sweep_seconds = Float(
        60,
        config=True,
        help="How often those are looked for who may no longer stay; the promise is a minute.",
    )

    def init_logging(self) -> None:
        super().init_logging()
        for handler in self.log.handlers:
            handler.addFilter(WithoutSecrets())

    def init_handlers(self) -> None:
        super().init_handlers()
        REGISTRY.register(Machine(current_settings()))  # shown by JupyterHub's own /hub/metrics
        # JupyterHub 6.1 sets it for requests with a token only and reads it for all: a person whose card has ended
        # got "500" from the very check that refuses her.
        BaseHandler._token_authenticated = False
        # In front: JupyterHub's own table ends with what answers every other address.
        self.handlers[:0] = self.add_url_prefix(self.hub_prefix, list(HANDLERS))
        self.handlers: list[tuple[Any, ...]] = [with_pages(entry) for entry in self.handlers]

    async def init_users(self) -> None:
        self.membership = Membership(self)
        await super().init_users()

    async def start(self) -> None:
        self.closing = Closing(self)
        self.membership.start()
        await super().start()
        self.closing.start()
        # Who could no longer sign in is out within a minute, whatever she has open.
        PeriodicCallback(lambda: sessions.sweep(self), 1000 * self.sweep_seconds).start()

    async def cleanup(self) -> None:
        # JupyterHub waits for one service after the other; here for the slowest. What fails, fails there again.
        managed = [service for service in self._service_map.values() if service.managed]
        await asyncio.gather(*(service.stop() for service in managed), return_exceptions=True)
        await super().cleanup()


if __name__ == "__main__":
    CivicHub.launch_instance()
