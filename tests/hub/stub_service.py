"""Stands in for the vault side's two programs while the Hub's own promises are tested: a real server, run by
the real Hub under the gateway's user, that asks the real Hub about tokens. `python stub_service.py
data|site`."""

import json
import os
import sys
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def ask_hub(path, token):
    request = urllib.request.Request(f"{os.environ['JUPYTERHUB_API_URL']}/{path}")
    request.add_header("Authorization", f"token {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        return {"refused": refusal.code}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        told = {"uid": os.geteuid(), "groups": os.getgroups(), "environment": sorted(os.environ)}
        token = self.headers.get("Authorization", "").removeprefix("token ")
        if token:
            asker = ask_hub("user", token)
            told["asker"] = asker
            if asker.get("kind") == "user":
                told["user"] = ask_hub(f"users/{asker['name']}", os.environ["JUPYTERHUB_API_TOKEN"])
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = os.environ["CIVIC_GATEWAY_PORT" if sys.argv[1] == "data" else "CIVIC_SITE_PORT"]
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
