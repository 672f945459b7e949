"""Archives are whole and the right ones, or not there at all."""

import contextlib
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest

from recovery_ha.clients import archives
from recovery_ha.clients.archives import NotFetched
from recovery_ha.conf import new_config
from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import Download
from recovery_ha.tests.fixtures.archives import (
    FILES,
    checksum,
    entry,
    serving,
    tarred,
    zipped,
)
from recovery_ha.tests.fixtures.certificates import make_certificate
from recovery_ha.tests.fixtures.receiver import Answer, Receiver
from recovery_ha.tests.fixtures.waiting import eventually


class Fetching:
    """An engine that fetches."""

    def __init__(self, directory):
        self.directory = directory
        self.conf = new_config([], default_config_files=[])
        self.check = lambda: None
        self.set(directory=str(directory))

    def set(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value, "maintenance_download")

    def __call__(self, url, data, wanted=None):
        """Fetch what is configured with the checksum of some bytes."""
        download = Download(url=url, sha256=wanted or checksum(data))
        self.set(archives={url: download.sha256})
        options = self.conf.maintenance_download
        return archives.fetch(options, download, check=self.check)

    def refused(self, *args, **kwargs):
        """Return why it cannot be had; then nothing is left of it."""
        with pytest.raises(NotFetched) as caught:
            self(*args, **kwargs)
        assert not self.directory.exists() or self.left() == []
        return str(caught.value)

    def left(self):
        return [path.name for path in self.directory.iterdir()]


@pytest.fixture
def fetch(tmp_path):
    return Fetching(tmp_path / "kept" / "downloads")


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "data",
    [
        *(tarred(compression=one) for one in ("", "gz", "bz2", "xz")),
        zipped(),
    ],
    ids=["tar", "gz", "bz2", "xz", "zip"],
)
def test_an_archive_is_unpacked_once(fetch, data):
    with serving(data) as server:
        url = f"{server.url}/a?version=2"
        path = fetch(url, data)
        assert fetch(url, data) == path
    assert [one.path for one in server.requests] == ["/a?version=2"]
    assert path == fetch.directory / checksum(data)
    assert contents(path) == FILES
    assert os.access(path / "firmware" / "flash.sh", os.X_OK)
    assert fetch.left() == [path.name]


def test_links_within_an_archive_are_kept(fetch):
    data = tarred(
        {"bin/tool": b"x"},
        entry("tool", tarfile.SYMTYPE, "bin/tool"),
        entry("hard", tarfile.LNKTYPE, "bin/tool"),
    )
    with serving(data) as server:
        path = fetch(server.url, data)
    assert (path / "tool").readlink().name == "tool"
    assert (path / "tool").read_bytes() == b"x"
    assert (path / "hard").read_bytes() == b"x"


def test_another_archive_than_was_configured(fetch):
    with serving(tarred({"a": b"evil"})) as server:
        said = fetch.refused(server.url, b"good")
    assert said.startswith(f"{server.url} has the SHA-256 ")
    assert checksum(tarred({"a": b"evil"})) in said
    assert f"{checksum(b'good')} is wanted" in said


def test_what_this_engine_is_not_allowed(fetch):
    download = Download(url="http://127.0.0.1:9/a", sha256="0" * 64)
    for configured in ({}, {download.url: "1" * 64}):
        fetch.set(archives=configured)
        with pytest.raises(NotFetched, match=r"\[maintenance_download\]"):
            archives.fetch(
                fetch.conf.maintenance_download, download, check=fetch.check
            )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404), "was answered with 404 Not Found."),
        # not followed: the operator names the address itself
        (Answer(302, headers=(("Location", "/b"),)), "answered with 302"),
        (Answer(parts=[b"x" * 10] * 20), "has more than 100 bytes"),
        (
            Answer(headers=(("Content-Length", "90"),), parts=[b"x"]),
            "was not fetched: ",
        ),
    ],
)
def test_what_a_server_may_say(fetch, answer, said):
    fetch.set(max_size=100)
    with Receiver(lambda _request: answer) as server:
        assert said in fetch.refused(f"{server.url}/a", b"")
        assert [one.path for one in server.requests] == ["/a"]


def test_nobody_there(fetch):
    said = fetch.refused("http://127.0.0.1:9/a", b"")
    assert said.startswith("http://127.0.0.1:9/a was not fetched: ")
    assert "refused" in said


def test_tls_is_verified(fetch, tmp_path, monkeypatch):
    good = make_certificate(tmp_path / "good.pem", "127.0.0.1")
    data = tarred()
    with Receiver(lambda _r: Answer(parts=[data]), good) as server:
        assert "certificate verify failed" in fetch.refused(server.url, data)
        monkeypatch.setenv("SSL_CERT_FILE", str(good))
        assert contents(fetch(server.url, data)) == FILES


@pytest.mark.parametrize("parts", [0, 1])
def test_a_slow_server_has_a_limit(fetch, parts):
    """Whether it says nothing, or a byte now and then."""
    stopped = threading.Event()

    def drip(_request):
        if not parts:
            stopped.wait(10)
        return Answer(parts=iter(lambda: stopped.wait(0.05) or b"x", True))

    fetch.set(timeout=0.5)
    with Receiver(drip) as server:
        begun = time.monotonic()
        said = fetch.refused(server.url, b"")
        assert time.monotonic() - begun < 2
        stopped.set()
    assert said.endswith("was not fetched and unpacked within 0.5 seconds.")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tarred({"../x": b""}), "leads out of it: '../x'"),
        (tarred({"a/../../x": b""}), "leads out of it"),
        (tarred({"/tmp/x": b""}), "leads out of it: '/tmp/x'"),
        (tarred({}, entry("x", tarfile.SYMTYPE, "../../y")), "outside"),
        (tarred({}, entry("x", tarfile.SYMTYPE, "/etc")), "absolute path"),
        (tarred({}, entry("x", tarfile.LNKTYPE, "../../y")), "outside"),
        (tarred({}, entry("x", tarfile.CHRTYPE)), "special file"),
        (tarred({}, entry("x", tarfile.FIFOTYPE)), "special file"),
        (
            tarred(
                {"real/a": b""},
                entry("link", tarfile.SYMTYPE, "real"),
                entry("link/b", tarfile.DIRTYPE),
            ),
            "leads out of it: 'link/b'",
        ),
        (tarred({str(n): b"" for n in range(6)}), "more than 5 entries"),
        (tarred({"zeros": bytes(10**6)}), "more than 65536 bytes when"),
        (zipped({"../x": b""}), "leads out of it: '../x'"),
        (zipped({"/tmp/x": b""}), "leads out of it"),
        (zipped({"x": b"/etc/passwd"}, 0o120777), "is no file: 'x'"),
        (zipped({str(n): b"" for n in range(6)}), "more than 5 entries"),
        (zipped({"zeros": bytes(10**6)}), "more than 65536 bytes when"),
        (b"<html>no archive</html>", "cannot be unpacked: "),
        (tarred()[:60], "cannot be unpacked: "),
        (zipped()[:60], "cannot be unpacked: "),
        (b"", "cannot be unpacked: "),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_is_not_unpacked(fetch, monkeypatch, data, said):
    monkeypatch.setattr(archives, "_MOST_ENTRIES", 5)
    fetch.set(max_unpacked_size=65536)
    with serving(data) as server:
        assert said in fetch.refused(server.url, data)


def test_a_sparse_file_counts_with_its_holes(fetch, tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**7)
    subprocess.run(
        ["tar", "-S", "-cf", "s.tar", "sparse"], cwd=tmp_path, check=True
    )
    data = (tmp_path / "s.tar").read_bytes()
    assert len(data) < 65536
    fetch.set(max_unpacked_size=10**6)
    with serving(data) as server:
        assert "bytes when unpacked" in fetch.refused(server.url, data)


def test_a_directory_that_cannot_be_made(fetch, tmp_path):
    (tmp_path / "file").write_text("")
    fetch.set(directory=str(tmp_path / "file" / "downloads"))
    said = fetch.refused("http://127.0.0.1:9/a", b"")
    assert f"cannot be kept in {tmp_path / 'file' / 'downloads'}: " in said


@pytest.mark.parametrize("late", [False, True])
def test_it_ends_when_it_is_not_wanted_any_more(fetch, late):
    """However silent the server is; also when it sends all at last."""
    data, lost, stopped = tarred(), threading.Event(), threading.Event()

    def check():
        if lost.is_set():
            raise errors.LeaseLost("gone")

    def answer(_request):
        lost.set()
        if not late:
            stopped.wait(10)
        return Answer(parts=[data])

    fetch.check = check
    with Receiver(answer) as server:
        begun = time.monotonic()
        with pytest.raises(errors.LeaseLost):
            fetch(server.url, data)
        assert time.monotonic() - begun < 2
        stopped.set()
    assert fetch.left() == []


def test_threads_fetch_it_once(fetch):
    data, paths = tarred(), []

    def answer(_request):
        time.sleep(0.3)
        return Answer(parts=[data])

    with Receiver(answer) as server:
        threads = [
            threading.Thread(
                target=lambda: paths.append(fetch(server.url, data))
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert paths == [fetch.directory / checksum(data)] * 4
    assert len(server.requests) == 1


def test_who_waits_for_another_thread_has_a_limit(fetch):
    data, stopped = tarred(), threading.Event()

    def answer(_request):
        stopped.wait(10)
        return Answer(parts=[data])

    with Receiver(answer) as server:
        first = threading.Thread(target=fetch, args=(server.url, data))
        first.start()
        server.wait_for(1)
        fetch.set(timeout=0.2)
        with pytest.raises(NotFetched, match=r"within 0.2 seconds"):
            fetch(server.url, data)
        stopped.set()
        first.join()
    assert fetch.left() == [checksum(data)]


# Other processes

_CHILD = """
import sys
from recovery_ha.clients import archives
from recovery_ha.conf import new_config
from recovery_ha.domain.maintenance import Download

directory, url, checksum = sys.argv[1:]
conf = new_config([], default_config_files=[])
for name, value in (("directory", directory), ("archives", {url: checksum})):
    conf.set_override(name, value, "maintenance_download")
download = Download(url=url, sha256=checksum)
options = conf.maintenance_download
print(archives.fetch(options, download, check=lambda: None))
"""


@contextlib.contextmanager
def halfway(fetch, data):
    """Give a server, and a process that has got half of an archive.

    It gets the rest when the event is set; others get all.
    """
    rest = threading.Event()

    def parts():
        yield data[:50]
        rest.wait(30)
        yield data[50:]

    def answer(_request):
        first = len(server.requests) == 1
        return Answer(parts=parts() if first else [data])

    with Receiver(answer) as server:
        child = subprocess.Popen(
            [
                *(sys.executable, "-c", _CHILD, fetch.directory),
                *(server.url, checksum(data)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            try:
                server.wait_for(1)
                eventually(
                    lambda: list(fetch.directory.glob("*/archive")), "it has"
                )
                yield server, child, rest
            finally:
                child.kill()
                rest.set()


def test_killed_in_the_middle_nothing_is_taken_for_whole(fetch, monkeypatch):
    data = tarred()
    with halfway(fetch, data) as (server, child, _rest):
        child.kill()
        child.wait()
        (left,) = fetch.left()
        assert left != checksum(data)
        path = fetch(server.url, data)
        # its maker might just be about to lock it
        assert sorted(fetch.left()) == sorted([left, path.name])
    assert contents(path) == FILES
    monkeypatch.setattr(archives, "_GRACE_SECONDS", 0.0)
    other = zipped()
    with serving(other) as server:
        fetch(server.url, other)
    assert sorted(fetch.left()) == sorted([path.name, checksum(other)])


def test_a_frozen_process_disturbs_nobody(fetch, monkeypatch):
    monkeypatch.setattr(archives, "_GRACE_SECONDS", 0.0)
    data = tarred()
    with halfway(fetch, data) as (server, child, rest):
        child.send_signal(signal.SIGSTOP)
        (left,) = fetch.left()
        path = fetch(server.url, data)
        # it lives, so what it makes is left alone
        assert sorted(fetch.left()) == sorted([left, path.name])
        before = path.stat().st_ino
        rest.set()
        child.send_signal(signal.SIGCONT)
        assert child.stdout.read().strip() == str(path)
    assert (fetch.left(), path.stat().st_ino) == ([path.name], before)
    assert contents(path) == FILES
