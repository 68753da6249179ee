"""`python -m data_access.gateway`: both apps in one process, ended with the Hub that started it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn

from data_access.compose import compose, read_settings
from data_access.errors import CivicError
from data_access.flows.loading import sweep
from data_access.gateway.identity import HubIdentity
from data_access.gateway.pages import add_pages
from data_access.gateway.public import public_app
from data_access.gateway.workspace import workspace_app
from data_access.texts import text


def main() -> int:
    settings = read_settings()
    try:
        parts = compose(settings)
        sweep(parts.vault)
        # What a load that was cut off has paid for and not published.
        parts.lost.publish_all()
    except CivicError as fault:
        print(text("en", "errors", f"{fault.code}.message", **fault.facts), file=sys.stderr)
        return fault.exit_code
    identity = HubIdentity(settings.hub_api_url, settings.hub_token)
    prefix = settings.service_prefix.rstrip("/")
    workspace = workspace_app(parts, identity, prefix)
    add_pages(workspace, parts, identity, prefix)
    try:
        asyncio.run(
            _serve(
                _server(workspace, settings.bind, settings.gateway_port),
                *_for_runs(workspace, settings.run_socket),
                _server(public_app(parts), settings.bind, settings.public_port),
            )
        )
    except KeyboardInterrupt:
        pass  # how uvicorn hands on SIGINT after its own orderly end
    finally:
        parts.close()
    return 0


def _server(app: object, host: str, port: int) -> uvicorn.Server:
    # Access lines would hold nothing that the audit chain does not say better, and a query string might.
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def _for_runs(app: object, path: Path) -> list[uvicorn.Server]:
    """The workspace's app once more, on a socket that report runs may connect to: whoever comes by it shows the same
    token as by the proxy. Not where its folder has not been made, as beside a gateway in a container."""
    if not path.parent.is_dir():
        return []
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        uds=str(path),
        lifespan="off",  # the app's own beginning and end are the other server's
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
    return [uvicorn.Server(config)]


async def _serve(*servers: uvicorn.Server) -> None:
    """Serve until one ends; then end the others too."""
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
