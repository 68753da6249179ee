"""What a seat is given that nobody should give it: it refuses or drops it, and works on."""

import json
import os
import urllib.error
import urllib.parse

import pytest
import websocket

from tests.hub.seat import Seat

pytestmark = [
    pytest.mark.hub,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="shares its seats with tests that need root"),
]


@pytest.fixture(scope="module")
def expert(hub):
    seat = Seat(hub.url, hub.secrets["expert-han"])
    seat.run("kept = 41")
    return seat


#: In one string of one cell, so that nothing of it can be left out on the way.
MAKE = """
import json
cell = {{"cell_type": "code", "id": "a", "metadata": {{}}, "execution_count": 1, "source": "1", "outputs": [
    {{"output_type": "stream", "name": "stdout", "text": "x" * ({} * 1_000_000)}}]}}
with open({!r}, "w") as file:
    json.dump({{"cells": [cell], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}, file)
"""


def test_a_notebook_of_200_megabytes_is_refused_in_words_and_the_seat_goes_on(expert):
    expert.run(MAKE.format(200, "큰 공책.ipynb") + MAKE.format(5, "small.ipynb"))
    path = urllib.parse.quote("큰 공책.ipynb")
    assert expert.get(f"api/contents/{path}?content=0")["size"] > 200_000_000
    with pytest.raises(urllib.error.HTTPError) as refused:
        expert.get(f"api/contents/{path}")
    with refused.value as answer:
        assert answer.code == 413
        said = json.loads(answer.read())["message"]
    assert "200 MB" in said and "--clear-output" in said
    assert len(expert.get("api/contents/small.ipynb")["content"]["cells"]) == 1
    expert.run("import os; os.unlink('큰 공책.ipynb'); os.unlink('small.ipynb')")
    assert expert.run("print(kept + 1)") == "42"


GARBAGE = [
    ("", websocket.ABNF.OPCODE_TEXT),
    ("{", websocket.ABNF.OPCODE_TEXT),
    ("[" * 50_000, websocket.ABNF.OPCODE_TEXT),
    ('{"header": null, "channel": "shell"}', websocket.ABNF.OPCODE_TEXT),
    ('{"header": {"msg_type": "shutdown_request"}, "channel": "nowhere"}', websocket.ABNF.OPCODE_TEXT),
    (b"\xff\xfe\x00" * 1000, websocket.ABNF.OPCODE_BINARY),
    (b"\xff" * 64, websocket.ABNF.OPCODE_TEXT),
    (b"x" * 30_000_000, websocket.ABNF.OPCODE_BINARY),
]


def test_a_websocket_that_sends_garbage_is_its_senders_trouble_alone(hub, expert):
    expert.run("kept = 41")
    address = f"{hub.url.replace('http:', 'ws:')}/user/expert-han/api/kernels/{expert.kernel}/channels"
    for sent, kind in GARBAGE:
        one = websocket.create_connection(
            address, header=[f"Authorization: token {expert.token}"], timeout=20
        )
        try:
            one.send(sent, kind)
            one.sock.sendall(b"\x8f\xff not a frame")
        except (OSError, websocket.WebSocketException):
            pass  # dropped already, or nobody reads on
        finally:
            one.sock.close()
    assert expert.run("print(kept + 1)") == "42"
    assert expert.get("api/status")["kernels"] >= 1
