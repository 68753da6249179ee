"""What one run is to another and to the machine: two that look for each other's token, and some that want too much."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from civic_kernel.errors import CivicError, RunMemory, ScreenRefused
from civic_kernel.reports.record import read_run
from civic_kernel.reports.runner import Bounds, Request, run_report
from civic_kernel.settings import WARM_SOCKET, Settings, Token
from tests.reports import standin
from tests.reports.conftest import Write
from tests.reports.test_run import ASK

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a sandbox and users of its own need root")
#: Two tokens of one form, so that who looks for one would know the other when it sees it.
ONE, TWO = "hush-one-4be1c0ffee", "hush-two-4be1c0ffee"
#: Everything that a program can look through: its memory, its own and others' environments and memory, open files, and
#: all small files that it may read where programs leave things. Prints the names, not the tokens.
HUNT = r"""
import gc, glob, os, re
form = re.compile(rb"hush-(one|two)-4be1")
found = set()
def look(data):
    found.update(match.decode() for match in form.findall(data))
for held in gc.get_objects():
    for value in (held.values() if type(held) is dict else held if type(held) in (list, tuple) else ()):
        if type(value) in (str, bytes):
            look(value if type(value) is bytes else value.encode("utf-8", "replace"))
    token = getattr(type(held), "__slots__", ())
    if "_value" in token:
        look(str(getattr(held, "_value", "")).encode())
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        look(open(path, "rb").read())
    except OSError:
        pass
for process in glob.glob("/proc/[0-9]*"):
    try:
        with open(process + "/maps") as maps, open(process + "/mem", "rb", 0) as memory:
            for line in maps:
                if "[heap]" in line or "[stack]" in line:
                    low, high = (int(end, 16) for end in line.split()[0].split("-"))
                    memory.seek(low)
                    look(memory.read(min(high - low, 1 << 22)))
    except (OSError, ValueError):
        pass
for top in ("/room", "/dev/shm", *glob.glob("/tmp/civic-*"), *__PLACES__):
    for folder, _, names in os.walk(top):
        for name in names[:200]:
            path = os.path.join(folder, name)
            try:
                if os.path.isfile(path) and os.path.getsize(path) < 100_000:
                    look(open(path, "rb").read())
            except OSError:
                pass
print("FOUND", *sorted(found))
"""


def hunts(write: Write, gateway: standin.Gateway, settings: Settings, folder: Path) -> dict[str, set[str]]:
    """Two runs that are both there while each looks: whose tokens did each find?"""
    gateway.tokens = {ONE, TWO}
    gateway.held = {TWO}
    hunt = HUNT.replace("__PLACES__", repr((str(folder),)))
    notebook = write(ASK, hunt, ASK)
    two_asks = threading.Event()
    faults: list[CivicError] = []

    def run(name: str, token: str) -> None:
        def tell(done: int, total: int, title: str) -> None:
            if name == "two" and title == "step 1":
                two_asks.set()
            if name == "one" and title == "step 3":
                # Two may look now, and this one waits with its token until it has.
                gateway.held = {ONE}
            if name == "two" and title == "step 3":
                gateway.held = set()

        theirs = Settings(settings.gateway_url, "site", "safety", "en", Token(token))
        try:
            run_report(Request(notebook, {}), folder / name, theirs, progress=tell)
        except CivicError as fault:
            faults.append(fault)
            gateway.held = set()

    two = threading.Thread(target=run, args=("two", TWO))
    two.start()
    assert two_asks.wait(200)
    run("one", ONE)
    two.join()
    assert not faults, faults
    return {name: set(said(folder / name).split("FOUND")[1].split()) for name in ("one", "two")}


def said(run: Path) -> str:
    cells = read_run(run).executed.cells
    return "".join(o["text"] for c in cells for o in c.get("outputs", []) if o["output_type"] == "stream")


@as_root
@pytest.mark.usefixtures("warm")
def test_two_hostile_runs_do_not_find_each_others_token(
    write: Write, gateway: standin.Gateway, settings: Settings, tmp_path: Path
) -> None:
    found = hunts(write, gateway, settings, tmp_path)
    # That each finds its own shows that the search can find one.
    assert found == {"one": {"one"}, "two": {"two"}}


@as_root
def test_the_same_two_without_a_room_of_their_own_find_them(
    write: Write,
    gateway: standin.Gateway,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: kernels of one user, as for somebody who runs her own notebooks from a terminal."""
    monkeypatch.delenv(WARM_SOCKET, raising=False)
    assert "two" in hunts(write, gateway, settings, tmp_path)["one"]


GROWS = {
    "in one cell": "x = bytearray(900 << 20)",
    "step by step": "x = []\nwhile True: x.append(bytearray(10 << 20))",
    "in many processes": (
        "import os, time\n"
        "for _ in range(6):\n"
        "    if os.fork() == 0:\n"
        "        x = bytearray(os.urandom(1 << 20) * 100)\n"
        "        time.sleep(60)\n"
        "time.sleep(60)"
    ),
}


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(
    "how", [pytest.param("in many processes", marks=as_root), "in one cell", "step by step"]
)
def test_a_run_that_wants_too_much_memory_is_ended_and_says_so(
    how: str, write: Write, settings: Settings, tmp_path: Path
) -> None:
    partial = tmp_path / "partial.ipynb"
    with pytest.raises(RunMemory, match="step 2"):
        run_report(
            Request(write("print('before')", GROWS[how]), {}),
            tmp_path / "run",
            settings,
            bounds=Bounds(200, 300 << 20),
            partial=partial,
        )
    assert "before" in partial.read_text("utf-8"), "what was shown until then is kept"


@pytest.mark.usefixtures("warm")
def test_each_output_crosses_once_and_the_notebook_is_written_once(
    write: Write, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from civic_kernel.reports import channel

    received: list[dict[str, Any]] = []
    receive = channel.Channel.receive

    def counted(self: channel.Channel) -> dict[str, Any] | None:
        message = receive(self)
        received.append(message or {})
        return message

    monkeypatch.setattr(channel.Channel, "receive", counted)
    big = "print('x' * 200_000)"
    run_report(Request(write(big, big, "pass"), {}), tmp_path / "run", settings)
    crossed = [str(message).count("x" * 200_000) for message in received]
    assert sum(crossed) == 2 and max(crossed) == 1


@pytest.mark.usefixtures("warm")
def test_a_notebook_that_shows_its_token_leaves_no_file(
    write: Write, settings: Settings, tmp_path: Path
) -> None:
    shows = "import civic_kernel\nprint(civic_kernel.connect()._token.reveal())"
    for then, kind in (("pass", ScreenRefused), ("1 / 0", CivicError)):
        with pytest.raises(kind):
            run_report(
                Request(write(shows, then), {}), tmp_path / "run", settings, partial=tmp_path / "partial"
            )
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert standin.TOKEN.encode() not in written and not (tmp_path / "run").exists()
