"""One person at a notebook of a room, as her browser is: a copy of the document, and a websocket that may be away."""

import json
import time
import urllib.parse
import urllib.request

import websocket
from jupyter_ydoc import YNotebook
from pycrdt import Doc, Encoder, create_sync_message, create_update_message, handle_sync_message

SYNC, RAW = 0, 2


class Typist:
    """`base` ends with a slash; `token` of the Hub or the server. Opens `path` at once."""

    def __init__(self, base, token, path):
        self.base, self.token, self.path = base, token, path
        self.doc = Doc()
        self.notebook = YNotebook(self.doc)
        self._waiting, self.socket = [], None
        self.doc.observe(lambda event: self._waiting.append(event.update))
        self.session = self._ask("PUT", f"api/collaboration/session/{urllib.parse.quote(path)}")
        self.connect()

    def _ask(self, method, address):
        request = urllib.request.Request(
            self.base + address,
            json.dumps({"format": "json", "type": "notebook"}).encode(),
            {"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def connect(self):
        """Also again, with what was typed meanwhile."""
        if self.socket is not None:
            self.socket.shutdown()
        room = f"{self.session['format']}:{self.session['type']}:{self.session['fileId']}"
        address = self.base.replace("http", "ws", 1) + f"api/collaboration/room/{room}"
        self.socket = websocket.create_connection(
            f"{address}?sessionId={self.session['sessionId']}",
            header=[f"Authorization: token {self.token}"],
            timeout=10,
        )
        self.socket.send_binary(create_sync_message(self.doc))
        self.until(lambda: len(self.notebook.ycells) > 0)
        self.socket.send_binary(create_update_message(self.doc.get_update()))

    def sleep(self):
        self.socket.shutdown()

    @property
    def sources(self):
        return [str(cell["source"]) for cell in self.notebook.ycells]

    def type(self, text, cell=0, away=False):
        self._waiting.clear()
        source = self.notebook.ycells[cell]["source"]
        source += text
        if not away:
            for update in self._waiting:
                self.socket.send_binary(create_update_message(update))

    def save(self):
        """The command in the menu."""
        encoder = Encoder()
        encoder.write_var_uint(RAW)
        encoder.write_var_string("save")
        encoder.write_var_uint(1)
        self.socket.send_binary(encoder.to_bytes())

    def until(self, hold, seconds=15):
        """Takes what comes in until `hold()`; AssertionError after `seconds`."""
        end = time.monotonic() + seconds
        while not hold():
            assert time.monotonic() < end, self.sources
            self.socket.settimeout(0.2)
            try:
                message = self.socket.recv()
            except websocket.WebSocketTimeoutException:
                continue
            if message and message[0] == SYNC:
                reply = handle_sync_message(message[1:], self.doc)
                if reply:
                    self.socket.send_binary(reply)
