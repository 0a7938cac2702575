# SPDX-License-Identifier: BSD-3-Clause
"""Debian packages: which are missing, installing them, and packages of another release."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from lib.common import TOP, ToolError, cache_dir, have, run_step, say

PACKAGES = TOP / "scripts" / "packages.txt"


def package_groups(path: Path = PACKAGES) -> dict[str, list[str]]:
    """Reads packages.txt: lines of `[group]` and package names; # begins a comment."""
    groups: dict[str, list[str]] = {}
    group = "build"
    for line in path.read_text().splitlines():
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        if line.startswith("["):
            group = line.strip("[]")
            groups.setdefault(group, [])
        else:
            groups.setdefault(group, []).append(line)
    return groups


def missing(packages: list[str]) -> list[str]:
    """Those of the packages that aren't installed."""
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages],
                         capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in out.splitlines() if line.endswith(" installed")}
    return [p for p in packages if p not in installed]


def _as_root(argv: list[str]) -> list[str]:
    if os.geteuid() == 0:
        return argv
    if have("sudo"):
        return ["sudo", "env", "DEBIAN_FRONTEND=noninteractive", *argv]
    raise ToolError("packages are missing and this user is not root and has no sudo;\n"
                    "  as root: apt-get install " + " ".join(argv[argv.index("install") + 1:]
                                                             if "install" in argv else argv))


def ensure(*groups: str) -> None:
    """Installs what is missing of the named groups."""
    known = package_groups()
    need = missing([p for g in groups for p in known[g]])
    if not need:
        return
    if not have("apt-get"):
        raise ToolError("these Debian packages (or what they hold) are needed: " + " ".join(need))
    say("installing " + " ".join(need))
    log = cache_dir() / "apt.log"
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = _as_root(["apt-get", "install", "-y", "--no-install-recommends", *need])
    run_step("apt-get update", _as_root(["apt-get", "update"]), log, env=env)
    run_step("apt-get install", install, log, env=env)


def _dependency(package: str) -> str:
    """The first package that a metapackage depends on, "" when it isn't known here."""
    out = subprocess.run(["apt-cache", "depends", "--important", package], capture_output=True, text=True,
                         check=False).stdout
    found = re.search(r"^\s*(?:Pre)?Depends: (\S+)$", out, re.M)
    return found.group(1) if found else ""


def download(package: str, into: Path) -> Path:
    """Fetches a package's .deb, without installing it; apt checks its hash."""
    log = into / "apt.log"
    if subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).returncode != 0:
        run_step("apt-get update", _as_root(["apt-get", "update"]), log)
    argv = ["apt-get", "-oAPT::Sandbox::User=root"] if os.geteuid() == 0 else ["apt-get"]
    run_step(f"fetching {package}", [*argv, "download", package], log, cwd=into)
    found = sorted(into.glob(f"{package}_*.deb"))
    if not found:
        raise ToolError(f"apt-get download {package} left no .deb; see {log}")
    return found[0]


def download_dependency(package: str, into: Path) -> Path:
    """Fetches the .deb that a metapackage stands for, as download()."""
    if not _dependency(package):
        run_step("apt-get update", _as_root(["apt-get", "update"]), into / "apt.log")
    wanted = _dependency(package)
    if not wanted:
        raise ToolError(f"apt knows no package {package}; look at this machine's apt sources")
    return download(wanted, into)


def debian_mirror() -> tuple[str, str]:
    """URI and keyring of this machine's own Debian mirror, taken from its apt sources."""
    default_key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for path in files:
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if path.suffix == ".sources":
            for stanza in re.split(r"\n\s*\n", text):
                field = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.M))
                suites = field.get("Suites", "").split()
                if "bookworm" in suites and "main" in field.get("Components", "").split():
                    key = field.get("Signed-By", "").strip() or default_key
                    return field["URIs"].split()[0], key
        else:
            m = re.search(r"^deb(?:-src)?\s+(?:\[[^]]*\]\s+)?(\S+)\s+bookworm\s+.*\bmain\b", text, re.M)
            if m:
                return m.group(1), default_key
    raise ToolError("no Debian mirror found in this machine's apt sources")


def _other_release(kind: str, suite: str, into: Path) -> list[str]:
    """apt-get with a private configuration that knows only main of another Debian release; its lists are read.

    The machine's own sources and lists stay as they are; apt checks the signature of the release and the hashes of what
    it fetches. `kind` is "deb" or "deb-src". The log is `into`/apt.log.
    """
    uri, key = debian_mirror()
    if uri.startswith("file:") and not Path(uri.removeprefix("file://")).exists():
        raise ToolError(f"the mirror {uri} can't be reached")
    state = into / "apt"
    for sub in ("lists/partial", "archives/partial", "parts"):
        (state / sub).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text(f"{kind} [signed-by={key}] {uri} {suite} main\n")
    apt = ["apt-get", f"-oDir::Etc::SourceList={state}/sources.list", f"-oDir::Etc::SourceParts={state}/parts",
           f"-oDir::State::Lists={state}/lists", "-oDir::State::status=/dev/null", f"-oDir::Cache={state}",
           f"-oDir::Cache::Archives={state}/archives", "-oAPT::Get::List-Cleanup=0",
           "-oAPT::Sandbox::User=root" if os.geteuid() == 0 else "-oDebug::NoLocking=1",
           "-oAcquire::Languages=none", "-oAcquire::Retries=2", "-oAPT::Update::Error-Mode=any"]
    run_step(f"reading the package lists of Debian {suite}", [*apt, "update"], into / "apt.log", cwd=into)
    return apt


def source_tarball(package: str, suite: str, into: Path) -> Path:
    """Fetches only the .orig tarball of a source package of another Debian release."""
    apt = _other_release("deb-src", suite, into)
    log = into / "apt.log"
    run_step(f"fetching the source of {package} from Debian {suite}",
             [*apt, "source", "--download-only", "--tar-only", package], log, cwd=into)
    found = sorted(into.glob(f"{package}_*.orig.tar.*"))
    if not found:
        raise ToolError(f"apt-get source {package} left no .orig tarball; see {log}")
    return found[0]


def binary_packages(packages: list[str], suite: str, into: Path) -> Path:
    """Fetches packages of another Debian release and unpacks them, installing nothing. Returns their files' root."""
    apt = _other_release("deb", suite, into)
    log = into / "apt.log"
    run_step(f"fetching {', '.join(packages)} from Debian {suite}", [*apt, "download", *packages], log, cwd=into)
    root = into / "root"
    for package in packages:
        deb, = into.glob(f"{package}_*.deb")
        run_step(f"unpacking {deb.name}", ["dpkg-deb", "--extract", deb, root], log)
    return root
