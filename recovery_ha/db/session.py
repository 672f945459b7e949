"""Engines, transactions and their retries.

A function decorated with :func:`reader` or :func:`writer` gets a context
whose ``connection`` is open in a transaction; called from within another one
in the same thread it joins that transaction, so composing two writes
atomically costs nothing. The outermost call repeats the whole transaction
after a deadlock, a Galera certification failure or a lost connection.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import exc_filters
from oslo_serialization import jsonutils
from sqlalchemy import event
from sqlalchemy.engine import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    make_url,
)

from recovery_ha.context import RequestContext
from recovery_ha.domain import errors

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds a transaction may say nothing before the server ends it. An engine
#: whose machine died, or that was stopped, would else keep its locks on the
#: work that another engine is to take over.
_IDLE_SECONDS = 5
#: MariaDB has the variable, MySQL reads a comment.
_MYSQL_SESSION = (
    f"SET /*M!100300 SESSION idle_transaction_timeout = {_IDLE_SECONDS}, */"
    " SESSION innodb_lock_wait_timeout = 10"
)
#: MariaDB's error number for "too many connections".
_MYSQL_TOO_MANY = 1040
#: Seconds a SQLite writer of another process may hold the database.
_SQLITE_BUSY_SECONDS = 30


class Database:
    """The engines of one process.

    :ivar engine: for transactions that write; taskflow shares it.
    :ivar read_engine: for transactions that only read. On SQLite it is a
        second one on the same file, so that no reader waits for a writer;
        elsewhere the replica of ``slave_connection``, or ``engine``.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, *, statement_seconds: int | None = 60
    ) -> None:
        """Make the engines; nothing is connected to yet.

        :param statement_seconds: how long one statement may take; None
            leaves it to the database (migrations of large tables).
        :raises errors.InvalidConfiguration: if ``[database] connection`` is
            not set or not a database URL.
        """
        self._options = conf.database
        self._statement_seconds = statement_seconds
        url = _url(self._options.connection)
        self.engine = self._create(url, write=True)
        if url.get_backend_name() == "sqlite":
            self.read_engine = self._create(url, write=False)
        elif self._options.slave_connection:
            self.read_engine = self._create(
                _url(self._options.slave_connection), write=False
            )
        else:
            self.read_engine = self.engine

    def _create(self, url: URL, *, write: bool) -> Engine:
        options = self._options
        arguments: dict[str, Any] = {
            "pool_recycle": options.connection_recycle_time,
            # Each transaction is ended by whoever began it; ending it once
            # more when the connection goes back is a round trip for nothing.
            "pool_reset_on_return": None,
            "json_serializer": jsonutils.dumps,
            "json_deserializer": jsonutils.loads,
        }
        if url.get_backend_name() == "sqlite":
            # One connection writes at a time anyway; queueing for it in the
            # pool is fair, SQLite's own waiting is sleeping and trying.
            size = 1 if write else options.max_pool_size
            arguments |= {
                "poolclass": sa.QueuePool,
                "pool_size": size,
                "max_overflow": 0 if write else options.max_overflow,
                "pool_timeout": _SQLITE_BUSY_SECONDS,
                "connect_args": {"check_same_thread": False},
            }
        else:
            arguments |= {
                "pool_size": options.max_pool_size,
                "max_overflow": options.max_overflow,
                "pool_timeout": options.pool_timeout or 30,
                "isolation_level": "READ COMMITTED",
                "connect_args": _deadlines(url, self._statement_seconds),
            }
        engine = sa.create_engine(url, **arguments)
        if url.get_backend_name() == "sqlite":
            _prepare_sqlite(
                engine, options.sqlite_journal_synchronous, write=write
            )
        _name_refusals(engine)
        exc_filters.register_engine(engine)
        return engine

    def dispose(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()
        self.read_engine.dispose()

    @contextmanager
    def transaction(
        self, ctx: RequestContext, *, write: bool
    ) -> Iterator[Connection]:
        """Open a transaction in ``ctx``, or join the one that is open."""
        if ctx.connection is not None:
            yield ctx.connection
            return
        engine = self.engine if write else self.read_engine
        with engine.begin() as connection:
            ctx.connection = connection
            try:
                yield connection
            finally:
                ctx.connection = None


def _url(text: str | None) -> URL:
    if not text:
        raise errors.InvalidConfiguration(
            "[database] connection is not set. Example:"
            " mysql+pymysql://user:password@host/recovery_ha"
        )
    try:
        url = make_url(text)
        url.get_dialect().import_dbapi()
    except (
        sa.exc.ArgumentError,
        sa.exc.NoSuchModuleError,
        ImportError,  # no such driver here
    ) as exc:
        raise errors.InvalidConfiguration(
            f"[database] connection is not a database URL: {exc}"
        ) from exc
    except ValueError:
        # Not its own words: they may show a part of the password.
        raise errors.InvalidConfiguration(
            "[database] connection is not a database URL: its port is no"
            " number; a password with one of :/?#@ in it must be quoted."
        ) from None
    if url.get_backend_name() in {"mysql", "mariadb"}:
        # PyMySQL's own default, and oslo.db's, cannot hold every character.
        url = url.update_query_dict(
            {"charset": "utf8mb4"} if "charset" not in url.query else {}
        )
    return url


def _deadlines(url: URL, statement_seconds: int | None) -> dict[str, Any]:
    """Return driver arguments that bound silence, the database's and ours."""
    driver = url.get_driver_name()
    arguments: dict[str, Any] = {"connect_timeout": 10}
    if statement_seconds and driver in {"pymysql", "mysqldb"}:
        arguments["read_timeout"] = statement_seconds
        arguments["write_timeout"] = statement_seconds
        arguments["init_command"] = _MYSQL_SESSION
    elif statement_seconds and url.get_backend_name() == "postgresql":
        arguments["options"] = (
            f"-c statement_timeout={statement_seconds}s"
            f" -c idle_in_transaction_session_timeout={_IDLE_SECONDS}s"
        )
    return arguments


def _name_refusals(engine: Engine) -> None:
    """Have it a lost connection when the server accepts none.

    For PostgreSQL oslo.db looks for words that libpq has not used since its
    version 14; for MariaDB it does not know "too many connections".
    """

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if context.connection is not None or not isinstance(
            error, sa.exc.OperationalError
        ):
            return
        refused = {
            "postgresql": "does not exist" not in str(error),
            "mysql": error.orig is not None
            and error.orig.args[:1] == (_MYSQL_TOO_MANY,),
        }
        if refused.get(context.dialect.name):
            raise db_exc.DBConnectionError(error)


def _prepare_sqlite(engine: Engine, synchronous: str, *, write: bool) -> None:
    """Have SQLite keep what it committed, and never fail for being busy.

    A deferred transaction that has read and then wants to write while another
    one wrote fails at once, whatever the busy timeout: writers begin with the
    lock. (taskflow reference, section 1, SQLite.)
    """
    pragmas = [
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        f"busy_timeout={_SQLITE_BUSY_SECONDS * 1000}",
        "foreign_keys=ON",
    ]
    if not write:
        pragmas = [*pragmas[1:], "query_only=ON"]

    @event.listens_for(engine, "connect")
    def _set_pragmas(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # the driver itself begins nothing
        for pragma in pragmas:
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(
            "BEGIN IMMEDIATE" if write else "BEGIN DEFERRED"
        )


def _is_passing(exc: Exception) -> bool:
    """Tell whether the transaction may succeed when it is repeated.

    A deadlock inside a savepoint ends the whole transaction on MariaDB, and
    what is raised then is that the savepoint is gone; oslo.db keeps why.
    """
    if isinstance(exc, db_exc.DBError):
        exc = getattr(exc, "cause", None) or exc
    return isinstance(
        exc,
        (db_exc.DBConnectionError, db_exc.DBDeadlock, db_exc.RetryRequest),
    )


def repeating(
    max_retries: int,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that repeats a whole transaction.

    :param max_retries: how often it is repeated after a deadlock, a Galera
        certification failure or a lost connection; the pauses grow from
        0.05 to 2 seconds.
    """
    decorator: Callable[[Callable[P, R]], Callable[P, R]]
    decorator = oslo_db_api.wrap_db_retry(
        max_retries=max_retries,
        retry_interval=0.05,
        inc_retry_interval=True,
        max_retry_interval=2,
        jitter=True,
        retry_on_deadlock=True,
        retry_on_disconnect=True,
        exception_checker=_is_passing,
    )
    return decorator


def _transactional(
    function: Callable[Concatenate[RequestContext, P], R], *, write: bool
) -> Callable[Concatenate[RequestContext, P], R]:
    def once(ctx: RequestContext, *args: P.args, **kwargs: P.kwargs) -> R:
        with ctx.database.transaction(ctx, write=write):
            return function(ctx, *args, **kwargs)

    repeated = repeating(8)(once)

    def call(ctx: RequestContext, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if ctx.connection is not None:
            return function(ctx, *args, **kwargs)
        try:
            result: R = repeated(ctx, *args, **kwargs)
        except sa.exc.TimeoutError as exc:
            raise errors.DatabaseUnavailable(
                "No connection to the database became free in time."
            ) from exc
        except sa.exc.OperationalError as exc:
            # oslo.db lets pass what it has no class for.
            raise db_exc.DBError(exc) from exc
        return result

    functools.update_wrapper(call, function)
    return call


def reader(
    function: Callable[Concatenate[RequestContext, P], R],
) -> Callable[Concatenate[RequestContext, P], R]:
    """Run a function in a transaction that only reads."""
    return _transactional(function, write=False)


def writer(
    function: Callable[Concatenate[RequestContext, P], R],
) -> Callable[Concatenate[RequestContext, P], R]:
    """Run a function in a transaction that may write."""
    return _transactional(function, write=True)


def connection(ctx: RequestContext) -> Connection:
    """Return the connection of the transaction that ``ctx`` is in."""
    found = ctx.connection
    if found is None:
        raise RuntimeError("called outside a reader or writer")
    return found
