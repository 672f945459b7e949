"""Report a deployment to recovery_ha from outside; one file, copy it at will.

It needs Python 3.11, keystoneauth1 and POSIX, and nothing else of recovery_ha.
The caller's thread sends nothing and, unless ``strict``, nothing is raised in
it: what goes wrong is logged as a warning.

What is kept: when :meth:`Reporter.task` or :meth:`Reporter.end` has returned
without a warning, the item is in the run's file, and no end of this process
loses it; it is on the disk before it is sent, and from then on no end of the
machine does. It leaves the file when the API has answered it. What is left is
sent by the next run of the same reporter, directory and API, or by ``python
reporter.py replay DIRECTORY``. What is sent twice has the same ``seq``.
"""

import argparse
import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import math
import os
import random
import re
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from keystoneauth1 import adapter, loading
from keystoneauth1 import exceptions as ka_exc

LOG = logging.getLogger(__name__)
STATUSES = ("running", "ready", "error", "skipped")
_MOST_ITEMS = 1000
#: Of a request: oslo.middleware refuses 114688 bytes by default.
_BATCH_BYTES = 100_000
_ITEM_BYTES = 32_000
_MESSAGE_LENGTH = 4000
#: Below, a file is not written anew for what was answered at its beginning.
_COMPACT_BYTES = 2**20
_REQUEST_SECONDS = 10.0
_LONGEST_DELAY = 30.0
_REPLAY_ATTEMPTS = 5
#: Of one run about items; all are counted.
_MOST_WARNINGS = 10
_TASK = "deployment_graph_task_name"
_NOT_FOUND = 404
#: Answers that the same request would get again.
_FINAL = frozenset({400, 409, 413, 422})


class ReporterError(Exception):
    """Something cannot be reported."""


class SpoolFull(ReporterError):
    """The directory holds as much as it may."""


class NotDelivered(ReporterError):
    """A run has ended, and the API has not taken all that was said of it."""


class _Unanswered(Exception):
    """A request had no answer of use, for now or for good."""

    def __init__(
        self, message: str, status: int = 0, retry_after: float = 0.0
    ) -> None:
        super().__init__(message[:500])
        self.status = status
        self.retry_after = retry_after


class _Batch(NamedTuple):
    """What is to be sent next, and where in the file it ends."""

    items: list[dict[str, Any]]
    end: dict[str, Any] | None
    poisoned: list[bytes]
    upto: int


class Spool:
    """The file of a run, locked: its making, then what was not answered yet.

    Lines of JSON: ``{"create": …}``, any ``{"report": …}``, ``{"end": …}``.
    """

    def __init__(
        self,
        path: Path,
        header: Mapping[str, Any] | None = None,
        most_bytes: int = 0,
    ) -> None:
        """Open a file; with a header, make it if need be.

        :param most_bytes: of the whole directory; for what is appended.
        :raises ReporterError: it is open elsewhere, or no run's file.
        :raises OSError: it cannot be opened or made.
        """
        self.path, self._lock = path.resolve(), threading.Lock()
        self._fd = _open_locked(self.path, create=header is not None)
        _open_spools.add(self)
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)
            self._most = most_bytes
            for other in {*self.path.parent.iterdir()} - {self.path}:
                with contextlib.suppress(FileNotFoundError):
                    self._most -= other.stat().st_size
            self._size = os.fstat(self._fd).st_size
            self._read_header(header)
            stack.pop_all()

    def _read_header(self, header: Mapping[str, Any] | None) -> None:
        line, newline, _rest = os.pread(self._fd, self._size, 0).partition(
            b"\n"
        )
        if header is not None and not newline:
            # It is new, or its process was killed before it had begun.
            os.ftruncate(self._fd, 0)
            self._size, line = 0, _encode(header)
            self._write(line, bounded=True)
            os.fsync(self._fd)
            _sync_directory(self.path.parent)
        try:
            self.header = dict(json.loads(line))
            dict(self.header["create"])
        except (ValueError, TypeError, KeyError) as exc:
            raise ReporterError(f"{self.path} is no run's file.") from exc
        self._start = self._answered = len(line.rstrip()) + 1
        if os.pread(self._fd, 1, self._size - 1) != b"\n":
            # A killed process has left the last line unfinished.
            self._write(b"\n", bounded=False)

    @property
    def is_empty(self) -> bool:
        """Whether everything was answered."""
        return self._answered >= self._size

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        """Give a line to the operating system.

        :raises SpoolFull: there is no room; never for the end of a run.
        :raises ReporterError: the file is closed.
        :raises OSError: it could not be written, and is not there.
        """
        line = _encode({kind: body})
        with self._lock:
            if self._fd < 0:
                raise ReporterError("Nothing of the run can be sent.")
            self._write(line, bounded=kind != "end")

    def _write(self, line: bytes, *, bounded: bool) -> None:
        if bounded and self._size + len(line) > self._most:
            raise SpoolFull(
                f"{self.path.parent} is full of what could not be sent; see"
                " why, and have it sent with `reporter.py replay`."
            )
        try:
            _write_all(self._fd, line, self.path)
        except OSError:
            # Half a line would spoil the next one.
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(line)

    def peek(self) -> _Batch:
        """Return what is to be sent next; it is on the disk afterwards.

        Like all that moves the file it is for one thread; only to append is
        for any, and does not wait for the disk.
        """
        with self._lock:
            upto, length = self._answered, _BATCH_BYTES
            data = os.pread(self._fd, length, upto)
            while b"\n" not in data and upto + len(data) < self._size:
                length *= 2
                data = os.pread(self._fd, length, upto)
        os.fsync(self._fd)
        items: list[dict[str, Any]] = []
        poisoned: list[bytes] = []
        for line in data.split(b"\n")[:-1]:
            kind, body = _decode(line)
            if len(items) == _MOST_ITEMS or (kind == "end" and items):
                break
            upto += len(line) + 1
            if kind == "end":
                return _Batch(items, body, poisoned, upto)
            if kind == "report":
                items.append(body)
            elif line:
                poisoned.append(line)
        return _Batch(items, None, poisoned, upto)

    def forget(self, upto: int) -> None:
        """Drop the lines before the offset of a batch."""
        with self._lock:
            self._answered = upto
            if self.is_empty:
                os.ftruncate(self._fd, self._start)
                self._answered = self._size = self._start
            elif upto > max(_COMPACT_BYTES, self._size // 2):
                with contextlib.suppress(OSError, ReporterError):
                    self._compact()

    def _compact(self) -> None:
        data = b"\n".join([*self._unanswered(), b""])
        new = self.path.with_suffix(".new")
        new.unlink(missing_ok=True)
        fd = _open_locked(new, create=True)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, fd)
            stack.callback(new.unlink)
            _write_all(fd, data, new)
            os.fsync(fd)
            new.replace(self.path)
            stack.pop_all()
        os.close(self._fd)
        self._fd, self._size, self._answered = fd, len(data), self._start

    def read(self) -> list[bytes]:
        """Return all lines that were not answered, and the first."""
        with self._lock:
            return self._unanswered()

    def _unanswered(self) -> list[bytes]:
        data = os.pread(self._fd, self._start, 0)
        data += os.pread(self._fd, self._size, self._answered)
        return data.split(b"\n")[:-1]

    def set_aside(self, lines: Sequence[bytes]) -> None:
        """Keep lines that cannot be sent in a file beside, for a human."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        fd = os.open(self.path.with_suffix(".bad"), flags, 0o600)
        with os.fdopen(fd, "ab") as file:
            file.writelines(line + b"\n" for line in lines)

    def close(self, *, remove: bool = False) -> None:
        """Let others have the file, or delete it."""
        with self._lock:
            if remove:
                self.path.unlink(missing_ok=True)
            self.let_go()

    def let_go(self) -> None:
        """Close the descriptor, whose number may soon be another file's."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


_open_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


def _let_go_of_all() -> None:
    """Have a fork's child not keep files locked for as long as it lives."""
    for spool in _open_spools:
        spool.let_go()


os.register_at_fork(after_in_child=_let_go_of_all)


def _open_locked(path: Path, *, create: bool) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
    flags |= os.O_CREAT if create else 0
    for _attempt in range(10):
        fd = os.open(path, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have replaced or deleted it meanwhile.
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except FileNotFoundError:
            pass
        except OSError as exc:
            os.close(fd)
            raise ReporterError(f"{path} is in use.") from exc
        os.close(fd)
    raise ReporterError(f"{path} is in use.")


def _write_all(fd: int, data: bytes, path: Path) -> None:
    if os.write(fd, data) != len(data):
        raise OSError(errno.ENOSPC, "No space left", str(path))


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, default=str, allow_nan=False).encode() + b"\n"


def _decode(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return the kind of a line and its body; no kind if it is none."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        ((kind, body),) = json.loads(line).items()
        if kind in {"report", "end"} and isinstance(body, dict):
            return kind, body
    return "", {}


class Api:
    """The API that runs are reported to."""

    def __init__(
        self, session: Any = None, endpoint: str | None = None
    ) -> None:
        """Find out how to talk to it; nothing is sent yet.

        :param session: of keystoneauth1; None: as OS_* variables say, and
            without a token if they do not say where Keystone is.
        :param endpoint: None: OS_ENDPOINT_OVERRIDE, or what the catalog has.
        :raises ka_exc.ClientException: the variables do not suffice.
        """
        parser = argparse.ArgumentParser()
        auth = "password" if os.environ.get("OS_AUTH_URL") else "none"
        loading.register_auth_argparse_arguments(parser, [], default=auth)
        loading.register_session_argparse_arguments(parser)
        loading.register_adapter_argparse_arguments(parser, "instance-ha")
        parser.set_defaults(timeout=_REQUEST_SECONDS)
        known = parser.parse_args([])
        if session is None:
            session = loading.load_session_from_argparse_arguments(
                known, auth=loading.load_auth_from_argparse_arguments(known)
            )
        self._url = ""
        self._adapter = adapter.Adapter(
            session,
            service_type=known.os_service_type,
            interface=known.os_interface,
            region_name=known.os_region_name,
            endpoint_override=endpoint or known.os_endpoint_override,
        )

    def request(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """Send a request and return the object that it is answered with.

        :raises _Unanswered: there is no such answer.
        """
        try:
            answer = self._adapter.request(
                self._base() + path,
                method,
                json=body,
                raise_exc=False,
                timeout=_REQUEST_SECONDS,
            )
        except (ka_exc.ClientException, OSError) as exc:
            raise _Unanswered(f"{method} {path}: {exc}") from exc
        with contextlib.suppress(ValueError):
            if answer.ok and isinstance(found := answer.json(), dict):
                return found
        after = answer.headers.get("Retry-After", "")
        raise _Unanswered(
            f"{method} {path}: {answer.status_code} {answer.text}",
            answer.status_code,
            float(after) if after.isdecimal() else 0.0,
        )

    def _base(self) -> str:
        """Return the address of version 1, whether the catalog has it."""
        if not self._url:
            url = (self._adapter.get_endpoint() or "").rstrip("/")
            if not url:
                raise _Unanswered("The catalog has no instance-ha.")
            self._url = url if re.search(r"/v1(/|$)", url) else f"{url}/v1"
        return self._url


class Delivery:
    """Sends what is in a file, one request at a time.

    :ivar refused: how many lines the API has not taken.
    :ivar over: nothing will follow, and the file is gone.
    :ivar heard_at: by the monotonic clock, when there was an answer.
    """

    def __init__(self, spool: Spool, api: Api) -> None:
        self.spool, self._api, self._path = spool, api, ""
        self.refused, self.over = 0, False
        self.heard_at = time.monotonic()

    def step(self, *, heartbeat: bool = False) -> bool:
        """Send the next request, and tell whether there is more.

        :param heartbeat: send one although there is nothing to say.
        :raises _Unanswered: it is to be sent again later.
        """
        try:
            if self._path:
                self._send_batch(heartbeat)
            else:
                self._create()
        except _Unanswered as exc:
            # A transaction that is missing later on has been deleted.
            if exc.status not in _FINAL and (
                exc.status != _NOT_FOUND or not self._path
            ):
                raise
            self._drop(str(exc), *self.spool.read())
            self._close()
        return not (self.over or self.spool.is_empty)

    def _request(self, method: str, path: str, body: Any) -> dict[str, Any]:
        answer = self._api.request(method, path, body)
        self.heard_at = time.monotonic()
        return answer

    def _create(self) -> None:
        create = self.spool.header["create"]
        made = self._request("POST", "/transactions", create)
        if "id" not in made:
            raise _Unanswered("What was created has no id.")
        self._path = f"/transactions/{made['id']}"

    def _send_batch(self, heartbeat: bool) -> None:
        batch = self.spool.peek()
        if batch.items or (heartbeat and batch.end is None):
            self._report(batch.items)
        if batch.poisoned:
            self._drop("no JSON of ours", *batch.poisoned)
        if batch.end is None:
            self.spool.forget(batch.upto)
        else:
            self._request("PUT", self._path, batch.end)
            self._close()

    def _report(self, items: list[dict[str, Any]]) -> None:
        """Send items, and look for the one that has all of them refused."""
        path = f"{self._path}/reports"
        try:
            answer = self._request("POST", path, {"reports": items})
        except _Unanswered as exc:
            if exc.status not in _FINAL or not items:
                raise
            if len(items) == 1:
                self._drop(str(exc), _encode({"report": items[0]}).rstrip())
                return
            half = len(items) // 2
            self._report(items[:half])
            self._report(items[half:])
            return
        told = answer.get("reports") or ()
        for item, verdict in zip(items, told, strict=False):
            if verdict.get("result") in {"illegal", "unknown"}:
                unit = (item.get("node_id"), item.get(_TASK))
                self._warn(f"{unit}: {verdict.get('message')}")

    def _drop(self, reason: str, *lines: bytes) -> None:
        self.spool.set_aside(lines)
        self._warn(f"set aside: {reason}", len(lines))

    def _warn(self, sentence: str, count: int = 1) -> None:
        if self.refused < _MOST_WARNINGS:
            LOG.warning("%s: %s", self.spool.path, sentence)
        self.refused += count

    def _close(self) -> None:
        self.over = True
        self.spool.close(remove=True)


def _send_left(
    paths: Iterable[Path], connect: Callable[[Any], Api]
) -> Iterator[None]:
    """Send what ended processes have left, request by request.

    :param connect: returns the API for an endpoint.
    """
    for path in paths:
        try:
            spool = Spool(path)
        except (ReporterError, OSError) as exc:
            LOG.info("%s is left: %s", path, exc)
            continue
        delivery: Delivery | None = None
        answered = False
        try:
            delivery = Delivery(spool, connect(spool.header.get("endpoint")))
            while delivery.step():
                yield
            answered = True
        except (_Unanswered, OSError, ka_exc.ClientException) as exc:
            LOG.info("%s is left: %s", path, exc)
        finally:
            if delivery is None or not delivery.over:
                # A run without an end is one whose process was killed: it
                # ends with its lease.
                spool.close(remove=answered)
        yield


def replay(directory: str | os.PathLike[str], api: Api | None = None) -> int:
    """Send what is in a directory, and return how many runs stay there.

    :param api: None: as OS_* variables say, at the endpoint that the run's
        own process was told.
    """
    left: list[Path] = []
    for attempt in range(_REPLAY_ATTEMPTS):
        if attempt:
            time.sleep(_delay(attempt, 0.0))
        left = sorted(Path(directory).glob("*.jsonl"))
        for _request in _send_left(
            left, lambda endpoint: api or Api(None, endpoint)
        ):
            pass
        left = [path for path in left if path.exists()]
        if not left:
            break
    return len(left)


class Reporter:
    """Reports one run, in a with statement or with start, end and close.

    The end of the block ends the run ``ready``, an exception ``error``.
    """

    def __init__(
        self,
        session: Any = None,
        *,
        reporter: str,
        name: str,
        endpoint: str | None = None,
        external_id: str | None = None,
        cluster_id: str | int | None = None,
        tasks: Sequence[Mapping[str, Any]] | None = None,
        lease_seconds: float = 60,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 64 * 2**20,
        flush_seconds: float = 1.0,
        close_seconds: float = 5.0,
        strict: bool = False,
        **fields: Any,
    ) -> None:
        """Describe a run; nothing happens yet.

        :param session: see :class:`Api`, as ``endpoint``.
        :param reporter: who reports; the same for all runs of a kind.
        :param external_id: what the reporter calls the run: a second run of
            that name goes on with the first. None: a new one.
        :param tasks: the graph, ``{"task_name", "nodes", …}`` each; what is
            not in it cannot be reported then.
        :param lease_seconds: after so long a silence the API closes the run.
        :param spool: directory; None: ``$RECOVERY_HA_SPOOL``, or
            ``recovery_ha/spool`` where the user's programs keep their state.
        :param spool_bytes: how much the directory may hold.
        :param flush_seconds: items wait for others at most so long.
        :param close_seconds: the end of the run waits for the API so long.
        :param strict: raise what goes wrong.
        :param fields: more of ``POST /v1/transactions``: kind, parent_id,
            graph_type, dry_run, lossy.
        """
        self.external_id = external_id or str(uuid.uuid4())
        create = {
            "kind": "deployment",
            **fields,
            "name": name,
            "reporter": reporter,
            "external_id": self.external_id,
            "cluster_id": cluster_id,
            "tasks": None if tasks is None else [*tasks],
            "lease_seconds": lease_seconds,
        }
        known = {k: v for k, v in create.items() if v is not None}
        self._header: dict[str, Any] = {"create": known, "endpoint": endpoint}
        self._session, self._endpoint = session, endpoint
        self._directory = Path(spool or _state_directory())
        self._most_bytes, self._strict = spool_bytes, strict
        self._lease, self._flush = lease_seconds, flush_seconds
        self._patience, self._deadline = close_seconds, math.inf
        self._wake, self._lock = threading.Event(), threading.Lock()
        self._seq, self._waiting, self._lost = 0, 0, 0
        self._ended = False
        self._spool: Spool | None = None
        self._delivery: Delivery | None = None
        self._thread: threading.Thread | None = None
        self._warned: set[type] = set()

    def start(self) -> None:
        """Write down that the run begins, and begin to send.

        :raises ReporterError: it is being reported already, or there is no
            room.
        :raises OSError: the directory is of no use.
        :raises ka_exc.ClientException: it is not said how to log in; what is
            reported stays in the directory.
        """
        # Another API or reporter has nothing to do with what this one leaves.
        auth = getattr(self._session, "auth", None)
        names = [self._header["create"]["reporter"], self._endpoint]
        names.append(getattr(auth, "auth_url", os.environ.get("OS_AUTH_URL")))
        prefix, suffix = _digest(names), _digest(self.external_id)
        path = self._directory / f"{prefix}-{suffix}.jsonl"
        with self._harmless():
            self._directory.mkdir(0o700, parents=True, exist_ok=True)
            self._spool = Spool(path, self._header, self._most_bytes)
            api = Api(self._session, self._endpoint)
            others = {*self._directory.glob(f"{prefix}-*.jsonl")} - {path}
            left = _send_left(sorted(others), lambda _endpoint: api)
            self._delivery = Delivery(self._spool, api)
            self._thread = threading.Thread(
                target=self._work,
                args=(self._delivery, left),
                name="recovery_ha reporter",
                daemon=True,
            )
            self._thread.start()

    def task(
        self,
        node: str,
        task: str,
        status: str,
        *,
        message: str | None = None,
        summary: Mapping[str, Any] | None = None,
        custom: Mapping[str, Any] | None = None,
        attempt: int | None = None,
        time: datetime | None = None,
        **step: str | None,
    ) -> None:
        """Say what became of a task on a node; takes microseconds.

        :param status: one of :data:`STATUSES`.
        :param summary: JSON; left out if it is large, as ``custom``.
        :param attempt: None: the latest, or the next if that has ended.
        :param time: aware, when it happened; None: now.
        :param step: step_name, step_type, node_group_id, instance_id,
            instance_name, event_info.
        :raises SpoolFull: there is no room; only if strict, as all else.
        """
        moment = time or datetime.now(UTC)
        item: dict[str, Any] = {
            "node_id": node,
            _TASK: task,
            "task_status": status,
            "time": moment.astimezone(UTC).isoformat(),
            "message": message and message[:_MESSAGE_LENGTH],
            "summary": summary,
            "custom": custom,
            "attempt": attempt,
            **step,
        }
        item = {k: v for k, v in item.items() if v is not None}
        with self._harmless():
            if status not in STATUSES:
                raise ReporterError(f"A task cannot be {status!r}.")
            if len(_encode(item)) > _ITEM_BYTES:
                item.pop("custom", None)
                item["summary"] = {"left_out": "too large"}
            self._append("report", item)

    def end(
        self,
        status: str,
        message: str | None = None,
        *,
        outcome: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """End the run, ``ready`` or ``error``; later words are not taken."""
        said = {"message": message, "outcome": outcome, "result": result}
        body: dict[str, Any] = {"status": status}
        body |= {k: v for k, v in said.items() if v is not None}
        with self._harmless():
            self._append("end", body)
            self._ended = True

    def _append(self, kind: str, body: dict[str, Any]) -> None:
        with self._lock:
            if self._spool is None or self._ended:
                raise ReporterError("The run is not open.")
            if kind == "report":
                # Rises also from process to process.
                self._seq = max(self._seq + 1, time.time_ns() // 1000)
                body["seq"] = self._seq
            self._spool.append(kind, body)
            self._waiting += 1
        if self._waiting >= _MOST_ITEMS:
            self._wake.set()

    def close(self) -> None:
        """Wait for the API to take what is left, but not for long.

        :raises NotDelivered: it has not taken all of it; only if strict.
        """
        self._deadline = time.monotonic() + self._patience
        self._wake.set()
        if self._thread is not None:
            self._thread.join(self._patience)
        elif self._spool is not None:
            self._spool.close()
        own = self._delivery
        with self._harmless():
            if own is None or not own.over:
                raise NotDelivered(
                    f"{self._directory} keeps what the API has not taken of"
                    f" {self.external_id}; `reporter.py replay` sends it."
                )
            if own.refused or self._lost:
                raise NotDelivered(
                    f"Of {self.external_id} the API has refused {own.refused}"
                    f" items, and {self._lost} were never written down."
                )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        done = exc is None or (
            isinstance(exc, SystemExit) and exc.code in {None, 0}
        )
        # What was raised in the block is not to be hidden by what is here.
        self._strict = self._strict and exc is None
        if not self._ended and done:
            self.end("ready")
        elif not self._ended:
            aborted = isinstance(exc, KeyboardInterrupt)
            sentence = ": ".join(filter(None, (type(exc).__name__, str(exc))))
            self.end(
                "error",
                sentence[:_MESSAGE_LENGTH],
                outcome="aborted" if aborted else None,
            )
        self.close()

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Log what goes wrong, the first time of its kind, or let it out."""
        try:
            yield
        except (
            *(ReporterError, OSError, ValueError, TypeError),
            ka_exc.ClientException,
        ) as exc:
            if self._strict:
                raise
            self._lost += 1
            if type(exc) not in self._warned:
                LOG.warning("Not reported: %s", exc)
            self._warned.add(type(exc))

    def _work(self, own: Delivery, left: Iterator[None]) -> None:
        """Send, until all is answered or the deadline is near."""
        failures = 0
        while True:
            self._wake.clear()
            closing, self._waiting = self._deadline < math.inf, 0
            try:
                quiet = time.monotonic() - own.heard_at
                more = not own.over and own.step(
                    heartbeat=quiet > self._lease / 3
                )
                more = next(left, self) is not self or more
                failures, wait = 0, 0.0 if more else self._flush
            except (_Unanswered, OSError) as exc:
                if failures == 1:
                    LOG.warning("Kept in %s: %s", self._directory, exc)
                failures, more = failures + 1, True
                wait = _delay(failures, getattr(exc, "retry_after", 0.0))
            if (closing or own.over) and not more:
                break
            if time.monotonic() + wait > self._deadline:
                break
            if wait:
                self._wake.wait(wait)
        if not own.over:
            own.spool.close()


def _delay(failures: int, retry_after: float) -> float:
    """Return how long to wait; a connection may just have been stale."""
    if failures == 1 and not retry_after:
        return 0.0
    backoff = min(_LONGEST_DELAY, 0.25 * 2.0 ** min(failures, 10))
    return max(retry_after, backoff * random.uniform(0.5, 1))  # noqa: S311


def _digest(value: Any) -> str:
    text = json.dumps(value, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _state_directory() -> Path:
    if named := os.environ.get("RECOVERY_HA_SPOOL"):
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "recovery_ha" / "spool"


def main(argv: Sequence[str] | None = None) -> int:
    """Send what is left in a directory.

    :returns: the exit status: 0 if nothing is left.
    """
    parser = argparse.ArgumentParser(
        prog="reporter.py",
        description="Send what ended processes could not report. OS_*"
        " variables say how to log in.",
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("replay", help=main.__doc__)
    command.add_argument("directory", type=Path)
    directory = parser.parse_args(argv).directory
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if left := replay(directory):
        LOG.warning("%s runs are left in %s.", left, directory)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
