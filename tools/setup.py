"""Makes .venv from the hash-pinned lock and gets a Temporal server. Called by make with whatever Python there is.

Only the standard library, and only what Python 3.6 can read: an old Python is to be told so, not to fail on the syntax.
"""

import hashlib
import json
import os
import subprocess
import sys

OLDEST_PYTHON = (3, 11)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(CHECKOUT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
LOCK = os.path.join(CHECKOUT, "requirements-dev.txt")
SERVER_SOURCES = ("tools/go.mod", "tools/go.sum", "dunwell/local/server_binary.py")
STAMP = os.path.join(VENV, "setup.json")


def main():
    if sys.version_info[:2] < OLDEST_PYTHON:
        sys.exit(
            "Dunwell needs Python 3.11 or newer; %s is Python %d.%d.%d.\n"
            "Install a newer one, or name it: make PYTHON=/path/to/python3.11 ..."
            % (sys.executable, *sys.version_info[:3])
        )
    done = read_stamp()
    packages = packages_wanted()
    if done.get("packages") != packages or not os.path.exists(PYTHON):
        make_venv()
        install_packages()
        done = {"packages": packages}
        write_stamp(done)
    server = server_wanted()
    if done.get("server") != server or not kept_server_is_there(done):
        done["server"], done["temporal"] = server, get_server()
        write_stamp(done)


def packages_wanted():
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    with open(LOCK, "rb") as lock:
        digest.update(lock.read())
    return digest.hexdigest()


def server_wanted():
    """What the choice of a server depends on; the same means that nothing has to be looked up again."""
    named = [
        os.environ.get(name, "") for name in ("TEMPORAL_ADDRESS", "TEMPORAL_CLI", "XDG_CACHE_HOME", "HOME", "PATH")
    ]
    digest = hashlib.sha256(repr(named).encode())
    for path in SERVER_SOURCES:
        with open(os.path.join(CHECKOUT, path), "rb") as source:
            digest.update(source.read())
    return digest.hexdigest()


def kept_server_is_there(done):
    return done.get("temporal") == "" or os.path.exists(done.get("temporal") or "/nowhere")


def make_venv():
    if os.path.exists(PYTHON) and runs([PYTHON, "-c", "import pip, sys; sys.exit(sys.version_info[:2] < (3, 11))"]):
        return
    say("Making .venv with Python %d.%d ..." % sys.version_info[:2])
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=False)
    if made.returncode != 0:
        sys.exit(
            "python -m venv failed for %s (see above).\n"
            "Debian and Ubuntu keep it in a package of its own: apt-get install python3-venv. "
            "Or name another Python: make PYTHON=/path/to/python3.11 ..." % sys.executable
        )


def install_packages():
    say("Installing the packages of requirements-dev.txt ...")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", LOCK]
    installed = subprocess.run(pip, check=False)
    if installed.returncode != 0:
        sys.exit(
            "pip could not install the packages of requirements-dev.txt (see above).\n"
            "Without network access, point pip to a mirror or a folder of wheels: PIP_INDEX_URL=..., "
            "or PIP_NO_INDEX=1 PIP_FIND_LINKS=/path/to/wheels."
        )


def get_server():
    """The path of the server binary; empty if a running server was named."""
    address = os.environ.get("TEMPORAL_ADDRESS")
    if address:
        say("Using the Temporal server at TEMPORAL_ADDRESS=%s." % address)
        return ""
    got = subprocess.run(
        [PYTHON, "-m", "dunwell.local.server_binary"], cwd=CHECKOUT, stdout=subprocess.PIPE, check=False
    )
    if got.returncode != 0:
        sys.exit(1)
    path = got.stdout.decode().strip()
    say("Temporal server: %s" % path)
    return path


def runs(command):
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def read_stamp():
    try:
        with open(STAMP) as stamp:
            return json.load(stamp)
    except (OSError, ValueError):
        return {}


def write_stamp(done):
    with open(STAMP + ".new", "w") as stamp:
        json.dump(done, stamp)
    os.replace(STAMP + ".new", STAMP)


def say(line):
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
