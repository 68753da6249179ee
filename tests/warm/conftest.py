"""A real template with few imports, so that tests are quick; as root with two uids of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from civic_kernel import warm
from hub_config.settings import PYTHON, checkout_path

ROOT = Path(__file__).resolve().parents[2]
#: The template's program with nothing preloaded: what is tested is who may become whom, not pandas.
BARE = """
import sys
from civic_kernel.warm import __main__ as program
program.preload = lambda: __import__("numpy.random")
sys.exit(program.main(sys.argv[1:]))
"""
#: Where tests run as root, these become people; far from the workspace's own ranges.
FIRST = 1_700_000 + os.getpid() % 1000 * 20
ALICE, BOB, RUN = FIRST, FIRST + 1, FIRST + 10


def listens(path):
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(path) == 0


class Running:
    def __init__(self, folder, *arguments, program=("-c", BARE)):
        self.folder = folder
        self.socket = str(folder / "s")
        self.process = subprocess.Popen(
            # From no folder but a checkout that everybody may read; else what is installed.
            [PYTHON, "-P", *program, self.socket, *arguments],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "SECRET_OF_THE_HUB": "x",
                "JUPYTERHUB_API_TOKEN": "x",
                **({"PYTHONPATH": str(checkout)} if (checkout := checkout_path()) else {}),
            },
            stderr=subprocess.PIPE,
        )
        end = time.monotonic() + 90
        while not listens(self.socket):
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.02)

    def stop(self, number=15):
        self.process.send_signal(number)
        self.process.wait(timeout=10)
        self.process.stderr.close()

    def files(self):
        """What the template holds open, but for what everybody does."""
        folder = f"/proc/{self.process.pid}/fd"
        held = set()
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                held.add(os.readlink(f"{folder}/{name}"))
        return {name for name in held if name.startswith(("socket:", "pipe:"))}

    def home(self, uid):
        home = self.folder / str(uid)
        if not home.exists():
            home.mkdir()
            if os.geteuid() == 0:
                os.chown(home, uid, uid)
        return home

    def program(self, uid, code, env=None, **more):
        """A child that runs `code`: a kernel is what a request can ask for, and its start-up file is the person's
        own, so her code runs in it after every step that makes a child."""
        home = self.home(uid)
        folder = home / "profile/startup"
        folder.mkdir(parents=True, exist_ok=True)
        body = "".join(f"    {line}\n" for line in code.strip().splitlines())
        (folder / "first.py").write_text(
            # Not to standard output: ipykernel takes that for its client, of which there is none.
            "import functools, os, sys, traceback\nfile = open('said', 'w')\n"
            f"print = functools.partial(print, file=file, flush=True)\ntry:\n{body}except BaseException:\n"
            "    traceback.print_exc(file=file)\nfile.flush()\nos._exit(0)\n"
        )
        if os.geteuid() == 0:
            for path in [home, *home.rglob("*")]:
                os.chown(path, uid, uid)
        letter = warm.Letter(
            argv=("kernel", "--ipython-dir", str(home), "--profile-dir", str(home / "profile")),
            env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(env or {})},
            cwd=str(home),
            log=str(home / "log"),
        )
        order = warm.Order(warm.Kind.KERNEL, uid=uid if os.geteuid() == 0 else -1, **more)
        return warm.ask(self.socket, order, letter)

    def printed(self, uid, code, **more):
        """What `code` printed in a child, once it has ended."""
        child = self.program(uid, code, **more)
        end = time.monotonic() + 40
        while child.is_alive():
            assert time.monotonic() < end
            time.sleep(0.02)
        return (self.home(uid) / "said").read_text()


def arguments():
    if os.geteuid() != 0:
        return []
    return ["--uids", str(FIRST), str(FIRST + 20), "--runs", str(RUN), "--cgroup", f"civic-test-{FIRST}"]


def start(folder):
    return Running(folder, *arguments())


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="civic-warm-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def template(folder):
    yield from until_stopped(start(folder))


@pytest.fixture
def true_template(folder):
    """With all that the workspace's own has imported."""
    yield from until_stopped(Running(folder, *arguments(), program=("-m", "civic_kernel.warm")))


def until_stopped(running):
    yield running
    if running.process.poll() is None:
        running.stop()
