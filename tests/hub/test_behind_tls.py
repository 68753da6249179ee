"""With a server in front that ends TLS: cookies are for TLS alone, and no answer leads a browser back to HTTP."""

import http.client
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from hub_config.starting import running
from tests.hub.conftest import add_people, free_ports, make_settings, write_config
from tests.tls import NAME, certificate

pytestmark = pytest.mark.hub


class Front(BaseHTTPRequestHandler):
    """As hub_config/systemd/nginx.conf: the Host as it came, the two headers set."""

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("forwarded", "x-scheme")
        }
        asked |= {
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": self.client_address[0],
            "Connection": "close",
        }
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        behind.request(self.command, self.path, body, asked)
        answer = behind.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _pass_on

    def log_message(self, *_):
        pass


@pytest.fixture
def address(folder):
    [port] = free_ports(1)
    site = "https://open.example.org"
    settings = make_settings(
        folder / "home", CIVIC_PUBLIC_URL=f"https://{NAME}:{port}", CIVIC_PUBLIC_SITE_URL=site
    )
    secrets = add_people(settings)
    pem = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ThreadingHTTPServer(("127.0.0.1", port), Front) as front:
        front.behind = settings.port
        front.socket = context.wrap_socket(front.socket, server_side=True)
        threading.Thread(target=front.serve_forever, daemon=True).start()
        with running.start(settings, print, config=write_config(folder)):
            yield settings, secrets, ssl.create_default_context(cafile=pem)
        front.shutdown()


def test_cookies_are_for_tls_alone_and_nothing_leads_back_to_http(address):
    settings, secrets, trusted = address
    assert settings.address.startswith("https://")
    with httpx.Client(base_url=settings.address, verify=trusted) as browser:
        navigating = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
        page = browser.get("/hub/login", headers=navigating)
        assert page.status_code == 200
        form = {"code": secrets["expert-han"], "_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
        origin = {**navigating, "Origin": settings.address, "Referer": f"{settings.address}/hub/login"}
        signed_in = browser.post("/hub/login?next=%2Fhub%2Fhome", data=form, headers=origin)
        assert (signed_in.status_code, signed_in.headers["Location"]) == (302, "/hub/home")
        home = browser.get("/hub/home", headers=navigating)
        assert home.status_code == 200 and "http://" not in home.text
        told = browser.get("/services/data/", headers=navigating)
        given = [
            line for answer in (page, signed_in, home, told) for line in answer.headers.get_list("set-cookie")
        ]
        assert any(line.startswith("jupyterhub-hub-login=") for line in given)
        # The reader's language is the one that may travel in the clear.
        insecure = [
            line for line in given if "secure" not in line.lower() and not line.startswith("civic_lang=")
        ]
        assert insecure == []
        for answer in (page, signed_in, home, told):
            assert not answer.headers.get("Location", "").startswith("http://")
        elsewhere = browser.post("/hub/login?next=https%3A%2F%2Fevil.example%2F", data=form, headers=origin)
        assert "evil.example" not in elsewhere.headers.get("Location", "")
