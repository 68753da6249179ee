"""Signing out from outside: the Hub, the seat, and what is open in it."""

import urllib.error
import urllib.parse
import urllib.request

import pytest
import websocket

from hub_config.client import Session
from hub_config.errors import SignInRefused
from tests.hub.seat import Seat

pytestmark = pytest.mark.hub


@pytest.fixture(scope="module")
def seat(hub):
    opened = Seat(hub.url, hub.secrets["expert-han"])
    opened.run("kept = 7")
    return opened


def open_channel(seat, token):
    """A websocket to her kernel."""
    return websocket.create_connection(
        f"{seat.url.replace('http:', 'ws:')}/user/{seat.owner}/api/kernels/{seat.kernel}/channels",
        header=[f"Authorization: token {token}"],
        timeout=20,
    )


def sign_out_everywhere(session):
    body = urllib.parse.urlencode({"_xsrf": session._xsrf()}).encode()
    return session._open(urllib.request.Request(f"{session.url}/hub/logout", body)).decode()


def test_signed_out_everywhere_her_browsers_and_their_websockets_end_and_her_kernel_goes_on(hub, seat):
    other = Session(hub.url, hub.secrets["expert-han"])
    channel = open_channel(seat, seat.token)
    assert seat.get("api/kernels")[0]["id"] == seat.kernel  # the seat now remembers the Hub's word
    sign_out_everywhere(other)
    for session in (other, seat.session):
        with pytest.raises(SignInRefused):
            session.api("GET", "user")
    assert closed(channel)
    for path in ("api/kernels", f"api/kernels/{seat.kernel}/channels"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            seat.get(path)
        assert refused.value.code in (401, 403)
        refused.value.close()
    again = Seat(hub.url, hub.secrets["expert-han"])
    again.kernel = seat.kernel
    assert again.run("print(kept)") == "7"


def closed(channel):
    """Whether the server ends the connection; what it still says first is read away."""
    try:
        while channel.recv_data(control_frame=False)[0] != websocket.ABNF.OPCODE_CLOSE:
            pass
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        pass
    except websocket.WebSocketTimeoutException:
        return False
    finally:
        channel.shutdown()
    return True
