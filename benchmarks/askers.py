"""A hundred askers at once, in a process of their own: what they cost is not the gateway's time.

Reads `{"address", "rounds": [[{"path", "token", "body"}, …], …]}` from standard input; each inner list is one asker,
who asks one thing after another over a connection of her own. Prints one line of JSON: seconds of the whole, and of
every request its seconds, status, code and the answer's id and charge.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp

#: Longer than a browser would wait. Past it a request is an error, not a slow answer.
PATIENCE_SECONDS = 120


async def ask_all(address: str, askers: list[list[dict[str, Any]]]) -> dict[str, Any]:
    # The server closes a connection after five idle seconds: one that is nearly as old is not used again.
    connector = aiohttp.TCPConnector(limit=len(askers), keepalive_timeout=2)
    patience = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    async with aiohttp.ClientSession(address, connector=connector, timeout=patience) as session:
        began = time.perf_counter()
        found = await asyncio.gather(*(_ask(session, requests) for requests in askers))
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "requests": [each for asker in found for each in asker]}


async def _ask(session: aiohttp.ClientSession, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [await _one(session, request) for request in requests]


async def _one(session: aiohttp.ClientSession, request: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"token {request['token']}"}
    began = time.perf_counter()
    async with session.post(request["path"], json=request["body"], headers=headers) as response:
        content = await response.read()
        seconds = time.perf_counter() - began
    document = json.loads(content)
    kept = {key: document.get(key) for key in ("code", "answer_id", "charged")}
    return {"seconds": seconds, "status": response.status, **kept}


if __name__ == "__main__":
    wanted = json.load(sys.stdin)
    print(json.dumps(asyncio.run(ask_all(wanted["address"], wanted["askers"]))))
