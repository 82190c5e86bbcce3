"""The set-up takes the first Temporal server that can skip time, and says what it tried if there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dunwell.local.server_binary import NoServer, find_binary

ROOT = Path(__file__).resolve().parents[2]


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any server: nothing on PATH, an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TEMPORAL_CLI", raising=False)
    return tmp_path


def test_a_named_binary_goes_before_the_path_and_the_path_before_the_cache(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = program(bare / "cache" / "dunwell" / "temporal-1.32.1" / "temporal", "kept")
    assert find_binary() == kept

    on_path = program(bare / "bin" / "temporal", "temporal version 1.9.1 (Server 1.32.0, UI 2.50.1)")
    assert find_binary() == on_path

    named = program(bare / "mine", "temporal version 2.0.0 (Server 1.40.3, UI 3.0.0)")
    monkeypatch.setenv("TEMPORAL_CLI", str(named))
    assert find_binary() == named


def test_a_server_too_old_to_skip_time_is_passed_over_and_named(bare: Path) -> None:
    program(bare / "bin" / "temporal", "temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)")
    program(bare / "cache" / "dunwell" / "temporal-1.31.2" / "temporal", "kept")

    with pytest.raises(NoServer, match=r"server 1\.31\.2, which cannot skip time") as failure:
        find_binary()

    assert "TEMPORAL_CLI=/path/to/temporal" in str(failure.value)


@pytest.mark.parametrize(
    ("go", "complaint"),
    [(None, "there is no `go` on PATH"), ("go version go1.19.8 linux/amd64", "takes Go 1.21 or newer")],
    ids=["no Go", "an old Go"],
)
def test_without_network_and_a_fitting_go_one_message_says_what_was_tried(
    bare: Path, go: str | None, complaint: str
) -> None:
    if go is not None:
        program(bare / "bin" / "go", go)

    tried = subprocess.run(
        [sys.executable, "-m", "dunwell.local.server_binary"],
        env={**os.environ, "HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert tried.returncode == 1
    for part in ("TEMPORAL_CLI: not set", "on PATH: not found", "cannot be reached", complaint, "TEMPORAL_ADDRESS="):
        assert part in tried.stderr
    assert "Traceback" not in tried.stderr


def test_an_old_python_is_told_which_one_it_takes() -> None:
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0);"
        "runpy.run_path('tools/setup.py', run_name='__main__')"
    )
    told = subprocess.run([sys.executable, "-c", pretend], cwd=ROOT, capture_output=True, text=True, check=False)

    assert told.returncode == 1
    assert "needs Python 3.11 or newer" in told.stderr
    assert "is Python 3.9.2" in told.stderr
    assert "make PYTHON=" in told.stderr
