"""Base images for tests and the demo, made without a container hub where there is none.

busybox comes from the machine's own static binary. Debian is pulled when it can be; else it is made with
debootstrap from the machine's own apt mirror, once, and kept as a tar in the user's cache folder. That image
carries the mirror's address, so it stays on this machine: it is never pushed anywhere but to loopback.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.engines import DockerEngine, MissingEngine, find_program

BUSYBOX = "cosgen/busybox:test"
DEBIAN = "cosgen/debian:bookworm"
DEBIAN_PULLED = "debian:bookworm-slim"
SUITE = "bookworm"
SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian")
STALE = ("var/cache/apt", "var/lib/apt/lists", "var/log", "tmp")


def import_busybox(engine: DockerEngine) -> str:
    """Put a busybox root file system into the engine, unless it is there; return its reference."""
    with contextlib.closing(engine.client()) as client:
        if not _has_image(client, BUSYBOX):
            _import(client, BUSYBOX, busybox_tar(), ["/bin/sh"])
    return BUSYBOX


def busybox_tar() -> bytes:
    """Make the tar of a busybox root: one static binary and a link per applet, the same bytes every time."""
    binary = Path(find_program("busybox"))
    applets = subprocess.run(
        [str(binary), "--list"], check=True, capture_output=True, text=True
    ).stdout.split()
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "root", "proc", "sys", "dev", "usr", "usr/bin", "var", "var/tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder.endswith("tmp") else 0o755
            archive.addfile(entry)
        _add_file(archive, "bin/busybox", binary.read_bytes(), 0o755)
        _add_file(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        _add_file(archive, "etc/group", b"root:x:0:\n", 0o644)
        for applet in sorted(set(applets) - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, "busybox", 0o777
            archive.addfile(entry)
    return output.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def get_debian(engine: DockerEngine) -> str:
    """Return a Debian bookworm reference that is in the engine: pulled when it can be, else made here."""
    with contextlib.closing(engine.client()) as client:
        for reference in (DEBIAN, DEBIAN_PULLED):
            if _has_image(client, reference):
                return reference
        if _can_pull(client, DEBIAN_PULLED):
            return DEBIAN_PULLED
        with debian_tar().open("rb") as archive:
            _import(client, DEBIAN, archive, ["/bin/bash"])
    return DEBIAN


def _has_image(client: Any, reference: str) -> bool:
    import docker

    try:
        client.images.get(reference)
    except docker.errors.ImageNotFound:
        return False
    return True


def _can_pull(client: Any, reference: str) -> bool:
    import docker

    try:
        client.images.pull(reference)
    except docker.errors.APIError:
        return False
    return True


def _import(client: Any, reference: str, archive: Any, command: list[str]) -> None:
    repository, _, tag = reference.rpartition(":")
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    changes = [f"CMD {command!r}".replace("'", '"'), f"ENV {path}"]
    client.api.import_image_from_data(archive, repository=repository, tag=tag, changes=changes)


def debian_tar() -> Path:
    """Return the tar of a slim Debian root file system, made with debootstrap when it is not in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cosgen-tests"
    architecture = os.uname().machine
    kept = cache / f"debian-{SUITE}-{architecture}-1.tar"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / "rootfs.tar"
            _bootstrap(Path(scratch) / "root", made)
            made.replace(kept)
    return kept


def _bootstrap(root: Path, archive: Path) -> None:
    if os.geteuid() != 0:
        raise MissingEngine("debootstrap needs root")
    arguments = [
        find_program("debootstrap"),
        "--variant=minbase",
        "--include=ca-certificates",
        SUITE,
        str(root),
    ]
    done = subprocess.run([*arguments, _mirror()], check=False, capture_output=True, text=True)
    if done.returncode:
        raise MissingEngine(f"debootstrap failed: {done.stdout.strip().splitlines()[-1:]}")
    for name in (*SLIM, *STALE):
        _empty(root / name)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    excludes = "".join(f"path-exclude /{name}/*\n" for name in SLIM)
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(excludes)
    (root / "etc/apt/apt.conf.d/90machine").write_text("".join(_apt_settings()))
    tar = ["tar", "--numeric-owner", "--sort=name", "-C", str(root), "-cf", str(archive), "."]
    subprocess.run(tar, check=True)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _mirror() -> str:
    """Return the Debian mirror of this machine's apt settings."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text() for path in places if path.is_file())
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for url in re.findall(r"https?://[^\s\]]+", "\n".join(lines)):
        if url.rstrip("/").endswith("/debian"):
            return str(url)
    raise MissingEngine("apt's settings name no Debian mirror to bootstrap from")


def _apt_settings() -> Iterator[str]:
    """Yield the settings of this machine's apt that decide whether its mirror can be used."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    wanted = re.compile(r"Acquire::(Check-|https?::Proxy|Retries)")
    yield from (line for line in dump.splitlines(keepends=True) if wanted.match(line))
