# SPDX-License-Identifier: BSD-3-Clause
"""Paths, caches, progress lines and child processes: what every script needs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


class ToolError(Exception):
    """Something the user can mend; the text says what is wrong and what to do."""


def cache_dir() -> Path:
    """Where things live that are expensive to make and not part of the tree."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base) / "aril"
    path.mkdir(parents=True, exist_ok=True)
    return path


def build_dir() -> Path:
    """The build directory: $O, or build/ in the tree."""
    return Path(os.environ.get("O") or TOP / "build").resolve()


def digest(*parts: bytes | str) -> str:
    """A short hash over the parts; it names cache entries."""
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "little"))
        h.update(data)
    return h.hexdigest()[:12]


def sha256_file(path: Path) -> str:
    h = hashlib.sha256()
    with path.open("rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on PATH.lock, so that two scripts never build the same thing at once."""
    with open(str(path) + ".lock", "w", encoding="ascii") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another script that is making {path.name}")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


_START = time.monotonic()


def elapsed() -> float:
    return time.monotonic() - _START


def say(text: str) -> None:
    """One progress line on stderr, with the time since the script began."""
    print(f"[{elapsed():6.1f}s] {text}", file=sys.stderr, flush=True)


class Waiting:
    """Tells what is waited for and how long so far.

    On a terminal the line is rewritten every second; elsewhere it is repeated every `every` seconds,
    so that a log stays short but never silent.
    """

    def __init__(self, what: str, every: float = 15.0):
        self.what = what
        self.every = every
        self.begin = time.monotonic()
        self.last = self.begin
        self.tty = sys.stderr.isatty()
        self.shown = False

    def tick(self, detail: str = "") -> None:
        now = time.monotonic()
        if now - self.last < (1.0 if self.tty else self.every):
            return
        self.last = now
        text = f"{self.what} ({now - self.begin:.0f} s so far{', ' + detail if detail else ''})"
        if self.tty:
            sys.stderr.write(f"\r\x1b[K[{elapsed():6.1f}s] {text}")
            sys.stderr.flush()
            self.shown = True
        else:
            say(text)

    def clear(self) -> None:
        """Removes the line, so that something else can be printed."""
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self.shown = False


def run_step(what: str, argv: Sequence[str | Path], log: Path, cwd: Path | None = None,
             env: dict[str, str] | None = None) -> None:
    """Runs a command with its output in LOG; shows how long it takes; raises ToolError with the
    log's last lines when it fails."""
    wait = Waiting(what)
    say(what)
    with log.open("ab") as out:
        proc = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, cwd=cwd, env=env)
        try:
            while True:
                try:
                    code = proc.wait(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    wait.tick()
        except BaseException:
            proc.terminate()
            proc.wait()
            raise
        finally:
            wait.clear()
    if code != 0:
        tail = log.read_text(errors="replace").splitlines()[-15:]
        raise ToolError(f"{what}: failed (exit code {code}); the log is {log} and ends with:\n  "
                        + "\n  ".join(tail))


def have(program: str) -> bool:
    return shutil.which(program, path=search_path()) is not None


def search_path() -> str:
    """PATH with the system folders that a user's PATH may lack."""
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def main(entry: Callable[[], int]) -> None:
    """Runs a script's main function; what the user can mend becomes one clear message and exit code 2."""
    os.environ["PATH"] = search_path()
    try:
        code = entry()
    except ToolError as e:
        print(f"error: {e}", file=sys.stderr)
        code = 2
    except OSError as e:
        if e.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
            raise		# a fault of ours: with its traceback
        print(f"error: {e.filename or 'writing'}: {e.strerror}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)
