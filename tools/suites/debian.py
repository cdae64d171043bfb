"""Debian source packages, from a package source list of our own, so that the machine's is left alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tools.suites.suite import SuiteError, Unreachable

_MACHINE = Path("/etc/apt")
_TIMEOUT_S = 300


class Source(NamedTuple):
    """A source package.

    Args:
        version: Debian's version, or "local" for a directory of the user's.
        path: the unpacked source.
        programs: the unpacked binary packages that were asked for; empty without any.
    """

    version: str
    path: Path
    programs: Path


def own_list(machine: Path = _MACHINE) -> str:
    """Debian's own entries of the machine's package sources, for sources as well as programs, in the deb822 form.

    Args:
        machine: the directory that holds sources.list and sources.list.d.
    """
    stanzas = []
    files = [machine / "sources.list", *sorted(machine.glob("sources.list.d/*"))]
    for file in files:
        if file.suffix == ".sources":
            stanzas += _from_stanzas(file.read_text("utf-8"))
        elif file.suffix == ".list" and file.exists():
            stanzas += _from_lines(file.read_text("utf-8"))
    return "\n\n".join(stanzas) + "\n" if stanzas else ""


def _from_stanzas(text: str) -> list[str]:
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if line.strip() and not line.startswith("#")]
        if not _is_debian(line for line in lines if line.lower().startswith("uris:")):
            continue
        kept = [line for line in lines if not line.lower().startswith("types:")]
        found.append("\n".join(["Types: deb deb-src", *kept]))
    return found


def _from_lines(text: str) -> list[str]:
    """One-line entries; the source entry of a repository repeats its binary entry and is left out."""
    found = []
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s*(.*)", line.strip())
        if not match or not _is_debian([match[2]]):
            continue
        stanza = ["Types: deb deb-src", f"URIs: {match[2]}", f"Suites: {match[3]}"]
        if match[4]:
            stanza.append(f"Components: {match[4]}")
        signed = re.search(r"signed-by=(\S+)", match[1] or "")
        if signed:
            stanza.append(f"Signed-By: {signed[1]}")
        found.append("\n".join(stanza))
    return found


def _is_debian(uris: object) -> bool:
    return any("debian" in uri for uri in uris)  # type: ignore[attr-defined]


def fetch(package: str, programs: tuple[str, ...], folder: Path) -> Source:
    """A source package and programs built from it, unpacked; what was fetched once is taken again.

    Args:
        package: the name of the source package.
        programs: names of binary packages.
        folder: where fetched things are kept: `folder/package/version`.

    Raises:
        Unreachable: no package source answers.
        SuiteError: the package is not there, or cannot be unpacked.
    """
    kept = sorted((folder / package).glob("*/complete"), key=lambda path: path.stat().st_mtime)
    if not kept:
        kept = [_fetch(package, programs, folder)]
    home = kept[-1].parent
    return Source(home.name.replace("%3a", ":"), home / "source", home / "programs")


def local(directory: Path, folder: Path) -> Source:
    """A source that the user has: a copy of it, made anew.

    Raises:
        SuiteError: there is no such directory.
    """
    if not directory.is_dir():
        raise SuiteError(f"{directory}: no such directory")
    copy = folder / "local" / directory.resolve().name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy / "source", symlinks=True)
    (copy / "programs").mkdir()
    return Source("local", copy / "source", copy / "programs")


def _fetch(package: str, programs: tuple[str, ...], folder: Path) -> Path:
    """Downloads and unpacks; the file "complete" is written last, and its path returned."""
    apt = _Apt(folder / "apt")
    apt.update()
    version = apt.version(package)
    home = folder / package / version.replace(":", "%3a")
    shutil.rmtree(home, ignore_errors=True)
    download = home / "download"
    download.mkdir(parents=True)
    apt.run(["source", "--download-only", f"{package}={version}"], download)
    dsc = next(download.glob("*.dsc"), None)
    if dsc is None:
        raise SuiteError(f"the source package {package} has no .dsc file")
    _command(["dpkg-source", "--no-check", "-x", str(dsc), str(home / "source")], home)
    (home / "programs").mkdir()
    for name in programs:
        apt.run(["download", f"{name}:amd64"], download)
        for deb in sorted(download.glob(f"{name}_*.deb")):
            _command(["dpkg-deb", "--extract", str(deb), str(home / "programs")], home)
    (home / "complete").touch()
    return home / "complete"


class _Apt:
    """apt-get with a state of its own in a directory."""

    def __init__(self, folder: Path) -> None:
        for tool in ("apt-get", "apt-cache", "dpkg-source", "dpkg-deb"):
            if not shutil.which(tool):
                raise Unreachable(f"fetching a Debian source package needs {tool} (Debian: apt-get install dpkg-dev)")
        entries = own_list()
        if not entries:
            raise Unreachable("the machine's package sources name no Debian repository")
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        sources = folder / "own.sources"
        sources.write_text(entries, "utf-8")
        self._options = [
            f"-oDir::Etc::SourceList={sources}",
            "-oDir::Etc::SourceParts=/dev/null",
            f"-oDir::State::Lists={folder / 'lists'}",
            f"-oDir::Cache={folder / 'cache'}",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Retries=1",
            "-oAcquire::http::Timeout=20",
        ]
        self._folder = folder

    def update(self) -> None:
        """Read the package lists; without any there is nothing to be had."""
        try:
            self.run(["update", "-oAPT::Update::Error-Mode=any"], self._folder)
        except SuiteError as error:
            raise Unreachable(f"no package source can be reached: {error}") from None

    def version(self, package: str) -> str:
        """The newest version of a source package."""
        line = ["apt-cache", *self._options, "showsrc", package]
        text = subprocess.run(line, capture_output=True, text=True, check=False).stdout
        versions: list[str] = []
        for stanza in text.split("\n\n"):
            fields: dict[str, str] = dict(re.findall(r"^(Package|Version): (.*)$", stanza, re.MULTILINE))
            if fields.get("Package") == package and "Version" in fields:
                versions.append(fields["Version"])
        if not versions:
            raise SuiteError(f"there is no Debian source package {package}")
        newest = versions[0]
        for other in versions[1:]:
            if subprocess.run(["dpkg", "--compare-versions", other, "gt", newest], check=False).returncode == 0:
                newest = other
        return newest

    def run(self, words: list[str], cwd: Path) -> None:
        """One command of apt-get."""
        _command(["apt-get", "-q", *self._options, *words], cwd)


def _command(line: list[str], cwd: Path) -> None:
    """Runs a program quietly; what it says goes into the error if it fails."""
    try:
        done = subprocess.run(
            line, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise SuiteError(f"{line[0]} took more than {_TIMEOUT_S} s") from None
    if done.returncode:
        errors = [text for text in done.stderr.splitlines() if not text.startswith("W:")]
        last = errors[-1].removeprefix("E: ") if errors else f"exit status {done.returncode}"
        raise SuiteError(f"{line[0]} failed: {last}")
