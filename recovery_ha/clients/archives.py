"""Archives for the actions of sessions: fetched, unpacked, and kept.

The operator says which there are, with their checksums. What is unpacked has
its checksum for a name, and has it only when it is whole: an engine that dies
meanwhile leaves a directory of another name, which the next one removes.
"""

import bz2
import contextlib
import fcntl
import gzip
import hashlib
import http.client
import io
import logging
import lzma
import os
import shutil
import socket
import ssl
import stat
import tarfile
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import urllib3
from urllib3 import connection

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import Download

LOG = logging.getLogger(__name__)

#: Seconds between two looks whether an archive is still wanted.
_LOOK_SECONDS = 0.1
#: Seconds within which a server must take the connection.
_CONNECT_SECONDS = 5.0
_CHUNK = 65536
#: Files, directories and links that an archive may have.
_MOST_ENTRIES = 100_000
_OK = 200
_UNFINISHED = ".unpacking-"
#: Seconds that a directory of that name is left alone: its maker is about to
#: lock it.
_GRACE_SECONDS = 5.0
_LOCK = fcntl.LOCK_EX | fcntl.LOCK_NB
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_COMPRESSED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
#: What fetching and unpacking raise about what they come upon. Encrypted
#: entries are a RuntimeError, unknown compressions are one, too.
_TROUBLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    http.client.HTTPException,
    lzma.LZMAError,
    tarfile.TarError,
    urllib3.exceptions.HTTPError,
    zipfile.BadZipFile,
    zlib.error,
)
#: Locks of the archives that threads of this process have fetched.
_BUSY: dict[str, threading.Lock] = {}


class NotFetched(Exception):
    """An archive cannot be had; the text says which one, and why."""


def fetch(
    options: Any, download: Download, *, check: Callable[[], None]
) -> Path:
    """Have an archive on this machine, unpacked.

    :param options: those of ``[maintenance_download]``.
    :param check: raises a :class:`errors.RecoveryHAError` when it is not
        wanted any more; called several times a second, by several threads.
    :returns: its directory.
    :raises NotFetched: it cannot be had.
    """
    if options.archives.get(download.url) != download.sha256:
        raise NotFetched(
            f"{download.url} with the SHA-256 {download.sha256} is not in"
            " this engine's [maintenance_download] archives."
        )
    kept = Path(options.directory) / download.sha256
    if not kept.is_dir():
        attempt = _Attempt(options, download, check)
        lock = _BUSY.setdefault(download.sha256, threading.Lock())
        while not lock.acquire(timeout=_LOOK_SECONDS):
            attempt.look()
        try:
            if not kept.is_dir():  # nor has another thread had it meanwhile
                attempt.make(kept)
        finally:
            lock.release()
    return kept


class _Attempt:
    """One attempt to have an archive, and what it may cost."""

    def __init__(
        self, options: Any, download: Download, check: Callable[[], None]
    ) -> None:
        self._options = options
        self._url = download.url
        self._sha256 = download.sha256
        self._check = check
        self._deadline = time.monotonic() + options.timeout
        self._room = options.max_unpacked_size

    def look(self) -> None:
        """Refuse to go on when it is not wanted, or has taken too long.

        :raises NotFetched: it has taken too long.
        """
        self._check()
        if time.monotonic() > self._deadline:
            raise self._failed(
                "was not fetched and unpacked within"
                f" {self._options.timeout:g} seconds"
            )

    def make(self, kept: Path) -> None:
        """Fetch and unpack it, and have it in a directory.

        :raises NotFetched: it cannot be.
        """
        with self._told(f"cannot be kept in {kept.parent}"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            _sweep(kept.parent)
            with _unfinished(kept.parent) as place:
                self._fetch(place / "archive")
                self._unpack(place / "archive", place / "unpacked")
                # The name must not outlive a power failure alone.
                os.sync()
                self.look()
                try:
                    (place / "unpacked").rename(kept)
                except OSError:
                    if not kept.is_dir():  # another engine has been faster
                        raise
        LOG.info("Archive %s is in %s.", self._url, kept)

    def _failed(self, what: str) -> NotFetched:
        return NotFetched(f"{self._url} {what.rstrip('.')}.")

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except _TROUBLE as exc:
            self.look()  # perhaps the connection was cut for that
            raise self._failed(f"{what}: {exc or type(exc).__name__}") from exc

    # Fetching

    def _fetch(self, path: Path) -> None:
        digest, left = hashlib.sha256(), self._options.max_size
        with (
            self._told("was not fetched"),
            path.open("wb") as file,
            self._answer() as answer,
        ):
            while data := answer.read(_CHUNK, decode_content=False):
                self.look()
                left -= len(data)
                if left < 0:
                    raise self._failed(
                        f"has more than {self._options.max_size} bytes"
                        " ([maintenance_download] max_size)"
                    )
                digest.update(data)
                file.write(data)
        self.look()  # a connection that was cut may look like its end
        if digest.hexdigest() != self._sha256:
            raise self._failed(
                f"has the SHA-256 {digest.hexdigest()}, and"
                f" {self._sha256} is wanted"
            )

    @contextlib.contextmanager
    def _answer(self) -> Iterator[urllib3.BaseHTTPResponse]:
        """Ask for it; redirects are not followed."""
        url = urllib3.util.parse_url(self._url)
        client: connection.HTTPConnection
        if url.scheme == "https":
            client = connection.HTTPSConnection(
                url.host or "",
                url.port,
                ssl_context=ssl.create_default_context(),
            )
        else:
            client = connection.HTTPConnection(url.host or "", url.port)
        client.timeout = min(_CONNECT_SECONDS, self._options.timeout)
        with contextlib.closing(client):
            client.connect()
            with self._watched(client.sock):
                client.timeout = self._options.timeout
                client.request(
                    "GET",
                    url.request_uri,
                    headers={"User-Agent": "recovery_ha"},
                    preload_content=False,
                    decode_content=False,
                )
                with contextlib.closing(client.getresponse()) as answer:
                    if answer.status != _OK:
                        raise self._failed(
                            f"was answered with {answer.status}"
                            f" {answer.reason or ''}".rstrip()
                        )
                    yield answer

    @contextlib.contextmanager
    def _watched(self, sock: socket.socket) -> Iterator[None]:
        """Have a connection cut when it is not wanted any more.

        A server may be silent, and a read would not end before.
        """
        # The descriptor of the first may be one of TLS.
        other = socket.socket(fileno=os.dup(sock.fileno()))
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_LOOK_SECONDS):
                try:
                    self.look()
                except (NotFetched, errors.RecoveryHAError):
                    with contextlib.suppress(OSError):
                        other.shutdown(socket.SHUT_RDWR)
                    return

        thread = threading.Thread(target=watch, name="archive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            other.close()

    # Unpacking

    def _unpack(self, archive: Path, into: Path) -> None:
        into.mkdir()
        with self._told("cannot be unpacked"), archive.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            if start.startswith(_ZIP):
                self._unzip(file, into)
                return
            for magic, opened in _COMPRESSED.items():
                if start.startswith(magic):
                    with opened(file) as stream:
                        self._untar(stream, into)
                    return
            self._untar(file, into)

    def _untar(self, stream: IO[bytes], into: Path) -> None:
        if not hasattr(tarfile, "data_filter"):
            raise self._failed("cannot be unpacked before Python 3.11.4")
        with tarfile.open(
            fileobj=_Counted(stream, self._take), mode="r|", bufsize=_CHUNK
        ) as tar:
            for count, member in enumerate(tar, 1):
                self._judge(member.name, count, into)
                if member.issparse():  # little in the archive, much unpacked
                    self._take(member.size)
                tar.extract(member, into, filter="data")

    def _unzip(self, file: IO[bytes], into: Path) -> None:
        with zipfile.ZipFile(file) as found:
            for count, info in enumerate(found.infolist(), 1):
                self._judge(info.filename, count, into)
                target = into / info.filename
                if info.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                mode = info.external_attr >> 16
                if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
                    raise self._failed(
                        f"has an entry that is no file: {info.filename!r}"
                    )
                target.parent.mkdir(parents=True, exist_ok=True)
                with found.open(info) as stream, target.open("wb") as out:
                    shutil.copyfileobj(
                        _Counted(stream, self._take), out, _CHUNK
                    )
                if mode:
                    target.chmod(mode & 0o755 | 0o600)

    def _take(self, size: int) -> None:
        """Count bytes that come out of it."""
        self.look()
        self._room -= size
        if self._room < 0:
            raise self._failed(
                "has more than"
                f" {self._options.max_unpacked_size} bytes when unpacked"
                " ([maintenance_download] max_unpacked_size)"
            )

    def _judge(self, name: str, count: int, into: Path) -> None:
        """Refuse an entry that would be somewhere else, or one too many.

        Nothing lies below a link: then no path is another one than it looks.
        """
        path = PurePosixPath(name)
        if (
            path.is_absolute()
            or ".." in path.parts
            or any((into / parent).is_symlink() for parent in path.parents)
        ):
            raise self._failed(f"has an entry that leads out of it: {name!r}")
        if count > _MOST_ENTRIES:
            raise self._failed(f"has more than {_MOST_ENTRIES} entries")


class _Counted(io.BufferedIOBase):
    """A stream that tells how much is read of it."""

    def __init__(self, stream: IO[bytes], take: Callable[[int], None]) -> None:
        self._stream = stream
        self._take = take

    def read(self, size: int | None = -1, /) -> bytes:
        """Return some bytes, after they were counted."""
        data = self._stream.read(-1 if size is None else size)
        self._take(len(data))
        return data


@contextlib.contextmanager
def _unfinished(directory: Path) -> Iterator[Path]:
    """Give a directory that is locked as long as this process lives."""
    path = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=directory))
    try:
        with (path / "lock").open("w") as lock:
            fcntl.flock(lock, _LOCK)
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _sweep(directory: Path) -> None:
    """Remove what those have left who died before they were done."""
    for path in directory.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):  # locked, or gone
            if time.time() - path.stat().st_mtime < _GRACE_SECONDS:
                continue
            with (path / "lock").open("a") as lock:
                fcntl.flock(lock, _LOCK)
                shutil.rmtree(path, ignore_errors=True)
