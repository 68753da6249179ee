"""The `civic` command as a process with settings of its own, and the processes that it leads to."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil

from hub_config.starting.running import running_pid

UP = Path(__file__).with_name("up_with_stub.py")
ROOT = Path(__file__).resolve().parents[2]


class Civic:
    """The `civic` command, with its own settings."""

    def __init__(self, settings, config):
        self.settings, self.config, self.started = settings, config, []
        self.env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings.environment()}

    def popen(self, *words):
        command = [sys.executable, UP, self.config, *words]
        return subprocess.Popen(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words):
        process = self.popen(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def up(self):
        """`civic up` in the foreground, once it has said that it is up."""
        process = self.popen("up")
        self.started.append(process)
        for line in process.stdout:
            if "Ctrl-C" in line:
                return process
        raise AssertionError(process.stderr.read())


def processes_of(settings):
    """Those of this workspace: by its folder in the command line, or by a uid of its range."""
    found = []
    for process in psutil.process_iter(["cmdline", "uids", "status"]):
        about = process.info
        if about["status"] == psutil.STATUS_ZOMBIE or not about["uids"]:
            continue
        ours = settings.uid_base <= about["uids"].real < settings.uid_base + 40_000
        if ours or any(str(settings.home.parent) in word for word in about["cmdline"] or []):
            found.append(process)
    return found


def hub_of(settings):
    """The Hub among the supervisor's children, which the warm template and adopted seats are as well."""
    children = psutil.Process(running_pid(settings)).children()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):  # ended just now, or waits to be reaped
            if "hub_config.hub" in child.cmdline():
                return child
    return None


def template_of(settings):
    """The template itself. Its forked children carry its command line: as root they are somebody else, and otherwise
    younger, as long as it has not been replaced."""
    found = []
    for child in psutil.Process(running_pid(settings)).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # ended just now, or waits to be reaped
            if "civic_kernel.warm" in " ".join(child.cmdline()) and child.uids().real == os.geteuid():
                found.append((child.create_time(), child))
    return min(found, key=lambda one: one[0])[1] if found else None
