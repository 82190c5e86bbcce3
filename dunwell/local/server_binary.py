"""Finds a Temporal server that can skip time, downloads it, or builds it.

`python -m dunwell.local.server_binary` is the last part of `make setup`: it prints the path, or says what it tried.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# Time skipping for single workflows came with server 1.32.
OLDEST_SERVER = (1, 32)
# The first release of the CLI whose own server can skip time; the SDK's default is older.
_CLI_TO_DOWNLOAD = "v1.9.1"
_DOWNLOADS = "https://temporal.download/"
_OLDEST_GO = (1, 21)  # the first that fetches the newer Go which tools/go.mod asks for
_COMMAND = "github.com/temporalio/cli/cmd/temporal"


class NoServer(RuntimeError):
    """There is no Temporal server that can skip time; the message says what was tried and what to do."""

    def __init__(self, tried: list[str]) -> None:
        super().__init__(
            "No Temporal server that can skip time (server 1.32 or newer). Tried:\n"
            + "".join(f"  - {trial}\n" for trial in tried)
            + "Do one of these:\n"
            "  - with network access, or Go 1.21 or newer and a Go module proxy: run `make setup` again\n"
            "  - name a binary: TEMPORAL_CLI=/path/to/temporal\n"
            "  - name a running server: TEMPORAL_ADDRESS=host:7233"
        )


def find_binary() -> Path:
    """The server binary to use: TEMPORAL_CLI, `temporal` on PATH, or the one kept in the user's cache folder.

    Raises NoServer.
    """
    tried: list[str] = []
    found = _find(tried)
    if found is None:
        raise NoServer(tried)
    return found


def obtain_binary() -> Path:
    """As find_binary, but downloads or builds the server if there is none yet. Raises NoServer."""
    tried: list[str] = []
    found = _find(tried)
    if found is not None:
        return found
    with _alone():
        # Another checkout may have put one there while this one waited.
        found = _kept([]) or _download(tried) or _build(tried)
    if found is None:
        raise NoServer(tried)
    return found


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dunwell"


def server_version(binary: Path | str) -> tuple[int, ...] | None:
    """The version of the server inside a `temporal` binary; None if it does not say."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"Server (\d+(?:\.\d+)+)", said)
    return tuple(map(int, found.group(1).split("."))) if found else None


def _find(tried: list[str]) -> Path | None:
    return _named(tried) or _on_path(tried) or _kept(tried)


def _named(tried: list[str]) -> Path | None:
    name = os.environ.get("TEMPORAL_CLI")
    if not name:
        tried.append("TEMPORAL_CLI: not set")
        return None
    return _if_it_skips_time("TEMPORAL_CLI", name, tried)


def _on_path(tried: list[str]) -> Path | None:
    name = shutil.which("temporal")
    if name is None:
        tried.append("`temporal` on PATH: not found")
        return None
    return _if_it_skips_time("`temporal` on PATH", name, tried)


def _kept(tried: list[str]) -> Path | None:
    """The newest in the cache folder. It was asked for its version when it was put there."""
    kept: dict[tuple[int, ...], Path] = {}
    for binary in cache_folder().glob("temporal-*/temporal"):
        if re.fullmatch(r"\d+(\.\d+)+", text := binary.parent.name.removeprefix("temporal-")):
            kept[tuple(map(int, text.split(".")))] = binary
    usable = [version for version in kept if version >= OLDEST_SERVER]
    if not usable:
        tried.append(f"the cache folder {cache_folder()}: holds none")
        return None
    return kept[max(usable)]


def _if_it_skips_time(source: str, name: str, tried: list[str]) -> Path | None:
    version = server_version(name)
    if version is None:
        tried.append(f"{source}: {name} does not run, or does not tell its server's version")
    elif version < OLDEST_SERVER:
        tried.append(f"{source}: {name} has server {_dotted(version)}, which cannot skip time")
    else:
        return Path(name).resolve()
    return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _keep(source: str, binary: Path, tried: list[str]) -> Path | None:
    if _if_it_skips_time(source, str(binary), tried) is None:
        return None
    version = server_version(binary) or OLDEST_SERVER
    kept = cache_folder() / f"temporal-{_dotted(version)}" / "temporal"
    kept.parent.mkdir(parents=True, exist_ok=True)
    binary.chmod(0o755)
    # In one move: nobody ever sees half a binary under this name.
    binary.replace(kept)
    return kept


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One download or build at a time for all checkouts of this user."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(tried: list[str]) -> Path | None:
    source = f"the SDK's download of the Temporal CLI {_CLI_TO_DOWNLOAD}"
    _say(f"No Temporal server that can skip time yet; trying {source} ...")
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="download-") as folder:
        # Each in a process of its own: neither a name server nor a half-open connection then holds up the set-up.
        for step, seconds in (("reach", 10), ("fetch", 300)):
            failure = _try_for(seconds, step, folder)
            if failure is not None:
                tried.append(f"{source}: {failure}")
                return None
        found = [path for path in Path(folder).rglob("*") if path.is_file() and os.access(path, os.X_OK)]
        if not found:
            tried.append(f"{source}: it left no executable")
            return None
        return _keep(source, found[0], tried)


def _try_for(seconds: int, step: str, folder: str) -> str | None:
    """Runs a step of the download in a process of its own. Returns None, or what failed."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dunwell.local.server_binary", step, folder],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=CHECKOUT,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds} s"
    lines = done.stderr.strip().splitlines()
    return None if done.returncode == 0 else (lines[-1] if lines else f"exit status {done.returncode}")


def _reach() -> None:
    try:
        urllib.request.urlopen(_DOWNLOADS, timeout=8).close()
    except urllib.error.HTTPError:
        return  # it answered, and that is all that was asked
    except OSError as error:
        sys.exit(f"{_DOWNLOADS} cannot be reached: {getattr(error, 'reason', error)}")


async def _fetch(folder: str) -> None:
    from temporalio.testing import WorkflowEnvironment  # noqa: PLC0415  # half a second that a found binary does not need

    try:
        environment = await WorkflowEnvironment.start_local(
            download_dest_dir=folder, dev_server_download_version=_CLI_TO_DOWNLOAD
        )
    except RuntimeError as error:
        sys.exit(str(error).replace("\n", " "))
    await environment.shutdown()


def _build(tried: list[str]) -> Path | None:
    source = f"a build from {CHECKOUT / 'tools' / 'go.mod'}"
    go = shutil.which("go")
    if go is None:
        tried.append(f"{source}: there is no `go` on PATH")
        return None
    said = subprocess.run([go, "version"], capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found.group(1)), int(found.group(2))) < _OLDEST_GO:
        tried.append(
            f"{source}: {go} is too old ({said.strip() or 'no version'}); it takes Go {_dotted(_OLDEST_GO)} or newer"
        )
        return None
    _say("Building the Temporal server from its source, once for this user: four to five minutes on two cores ...")
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="build-") as folder:
        binary, log = Path(folder) / "temporal", Path(folder) / "log"
        status = _run_go([go, "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", str(binary), _COMMAND], log)
        if status != 0:
            last = log.read_text(errors="replace").strip().splitlines()[-3:]
            tried.append(f"{source}: go build ended with status {status}: {' / '.join(last)}")
            return None
        return _keep(source, binary, tried)


def _run_go(command: list[str], log: Path) -> int:
    began = time.monotonic()
    with log.open("w") as sink:
        build = subprocess.Popen(
            command, cwd=CHECKOUT / "tools", env={**os.environ, "CGO_ENABLED": "0"}, stdout=sink, stderr=sink
        )
        try:
            while True:
                try:
                    return build.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    _say(f"  still building, {time.monotonic() - began:.0f} s")
        finally:
            if build.poll() is None:
                build.terminate()
                build.wait()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    match sys.argv[1:]:
        case []:
            try:
                print(obtain_binary())
            except NoServer as error:
                sys.exit(str(error))
        case ["reach", _]:
            _reach()
        case ["fetch", folder]:
            asyncio.run(_fetch(folder))
        case unknown:
            sys.exit(f"unknown arguments {unknown}: call it without any")


if __name__ == "__main__":
    main()
