"""Stands in for the gateway and the citizen site, which this benchmark is not about: answers, and does nothing."""

from __future__ import annotations

import http.server
import os
import sys


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


PORT = {"data": "CIVIC_GATEWAY_PORT", "site": "CIVIC_SITE_PORT"}

if __name__ == "__main__":
    port = int(os.environ[PORT[sys.argv[1]]])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
