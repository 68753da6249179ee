"""Driving a seat as its owner's browser does: start the server, run code in a real kernel."""

import json
import time
import urllib.error
import urllib.request
import uuid
import weakref

import websocket

from hub_config.client import Session

#: The longest that a test's cell may take, in seconds: well under a test's own limit, so that one which hangs is told
#: from a kernel that has fallen silent.
LONGEST_S = 120


class Seat:
    """The running server of `owner`, entered by the person with `secret` (the owner herself, unless a
    room)."""

    def __init__(self, url, secret, owner=None):
        self.session = Session(url, secret)
        self.url, self.owner = url, owner or self.session.name
        self._connected = self._close = None
        self.started_in = self._start()
        self.token = self.session.token([f"access:servers!user={self.owner}"], lifetime_s=3600, note="test")

    def _start(self):
        began = time.monotonic()
        if not self._is_ready():
            self.session.api("POST", f"users/{self.owner}/server", {})
        while not self._is_ready():
            assert time.monotonic() - began < 120
            time.sleep(0.2)
        return time.monotonic() - began

    def _is_ready(self):
        return bool(self.session.api("GET", f"users/{self.owner}")["servers"].get("", {}).get("ready"))

    def page(self, path):
        return self._open("GET", path).decode()

    def get(self, path):
        return json.loads(self._open("GET", path))

    def _open(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.url}/user/{self.owner}/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def run(self, code):
        """What `code` prints in a kernel of the seat, and `<image/png>` where it shows a picture; the kernel starts at
        the first call. What has not ended after `LONGEST_S` is an error that says what the server thinks of the
        kernel."""
        if not hasattr(self, "kernel"):
            self.kernel = self._start_kernel()
        channel = self._channel()
        number = uuid.uuid4().hex
        header = {"msg_id": number, "username": "", "session": number, "msg_type": "execute_request"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {
            "header": {**header, "version": "5.3"},
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
        }
        channel.send(json.dumps(message))
        printed = []
        end = time.monotonic() + LONGEST_S
        try:
            while True:
                # Its own limit for each message would not do: the server's ping every half minute is one too.
                channel.settimeout(max(end - time.monotonic(), 0.01))
                kind, text = channel.recv_data(control_frame=True)
                if kind != websocket.ABNF.OPCODE_TEXT:
                    continue
                told = json.loads(text)
                if told["parent_header"].get("msg_id") != number:
                    continue
                if told["msg_type"] == "stream":
                    printed.append(told["content"]["text"])
                if told["msg_type"] == "display_data" and "image/png" in told["content"]["data"]:
                    printed.append("<image/png>")
                if told["msg_type"] == "error":
                    printed.append(told["content"]["ename"])
                if told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
                    return "".join(printed).strip()
        except BaseException as failure:
            self._connected = self._close()
            if isinstance(failure, websocket.WebSocketTimeoutException):
                state = self.get("api/kernels")
                raise AssertionError(f"no end after {LONGEST_S} s; so far {printed}; {state}") from None
            raise

    def _start_kernel(self):
        """Once more where the server could not, as a person would; what it said is printed, since it should not."""
        try:
            return json.loads(self._open("POST", "api/kernels", {"name": "civic"}))["id"]
        except urllib.error.HTTPError as refusal:
            print("no kernel at first:", refusal.code, refusal.read()[:500])
            time.sleep(2)
            return json.loads(self._open("POST", "api/kernels", {"name": "civic"}))["id"]

    def _channel(self):
        """One for all runs: what a kernel says of a cell while its listener is still connecting is lost to it."""
        if self._connected is None:
            address = self.url.replace("http:", "ws:")
            self._connected = websocket.create_connection(
                f"{address}/user/{self.owner}/api/kernels/{self.kernel}/channels",
                header=[f"Authorization: token {self.token}"],
                timeout=60,
            )
            self._close = weakref.finalize(self, self._connected.close)
        return self._connected
