"""A token is handed to nobody whose name no authority vouches for, also where no certificates are read."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from civic_kernel.calling import open_http
from tests.tls import NAME, certificate


class Somebody(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server with TLS whose certificate nobody signed, and that certificate."""
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ThreadingHTTPServer(("127.0.0.1", 0), Somebody) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://{NAME}:{server.server_port}", pem
        server.shutdown()


def test_who_trusts_the_certificate_is_answered(impostor: tuple[str, Path]) -> None:
    address, pem = impostor
    trusting = ssl.create_default_context(cafile=str(pem))
    assert httpx.get(address, verify=trusting, trust_env=False).status_code == 200


@pytest.mark.parametrize("spelt", ["https", "HTTPS"])
def test_an_impostor_at_an_https_address_gets_nothing(impostor: tuple[str, Path], spelt: str) -> None:
    address, _ = impostor
    with open_http(address.replace("https", spelt)) as http, pytest.raises(httpx.ConnectError, match="CERT"):
        http.get("/")


def test_a_client_for_plain_http_trusts_no_certificate_at_all(impostor: tuple[str, Path]) -> None:
    address, _ = impostor
    with open_http("http://127.0.0.1:1") as http, pytest.raises(httpx.ConnectError, match="CERT"):
        http.get(address)
