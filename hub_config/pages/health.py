"""`GET /hub/api/civic/health`: for whoever watches the workspace from outside. Says which part, and nothing else."""

from __future__ import annotations

import json
from functools import cache

from jupyterhub.apihandlers import APIHandler

from hub_config.operations.health import Health
from hub_config.runtime import current_engine, current_settings


@cache
def current_health() -> Health:
    return Health(current_settings(), current_engine())


class HealthHandler(APIHandler):  # type: ignore[misc]  # jupyterhub ships no types
    """200 where all is well, 503 where a part is down."""

    async def get(self) -> None:
        parts = await current_health().look()
        self.set_status(503 if "down" in parts.values() else 200)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps({"status": "down" if "down" in parts.values() else "ok", "parts": parts}))
