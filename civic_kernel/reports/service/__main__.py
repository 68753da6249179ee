"""`python -m civic_kernel.reports.service`: started by the Hub, ended with it."""

from __future__ import annotations

import logging
import sys

import uvicorn

from civic_kernel.errors import CivicError
from civic_kernel.reports.outcome import Bounds
from civic_kernel.reports.queue import MOST_AT_ONCE, width_here
from civic_kernel.reports.service.app import reports_app
from civic_kernel.reports.service.desk import Desk, Place
from civic_kernel.reports.service.identity import HubIdentity
from civic_kernel.settings import read_service


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(name)s %(levelname)s %(message)s")
    # The address of each request that is made would be a line, and some of ours name datasets.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = read_service()
    except CivicError as refused:
        print(refused, file=sys.stderr)
        return refused.exit_code
    bounds = Bounds(memory=settings.memory << 20)
    place = Place(settings.notebooks, settings.batches, settings.gateway_url, bounds)
    desk = Desk(place, min(settings.width, MOST_AT_ONCE) or width_here())
    app = reports_app(desk, HubIdentity(settings.hub_api_url), settings.prefix)
    try:
        uvicorn.run(
            app,
            host="127.0.0.1",
            port=settings.port,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=2,
        )
    finally:
        desk.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
