"""Directives that show what the code says, so that it cannot be wrong.

``.. command-help:: recovery-ha-manage db purge`` runs the command with
``--help``; ``.. state-machine:: NOTIFICATION`` draws a table of moves;
``.. error-codes::`` lists every error with its code; ``.. microversions::``,
``.. recovery-tasks::`` and ``.. simulator-options::`` list what their names
say.
"""

import contextlib
import importlib
import importlib.metadata
import inspect
import io
import itertools
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

_TASKS = "recovery_ha.task_flow.tasks"


def _paragraph(*parts: nodes.Node) -> nodes.paragraph:
    made = nodes.paragraph()
    made.extend(parts)
    return made


def _code(text: str) -> nodes.literal:
    return nodes.literal(text=text)


def _words(text: str) -> nodes.paragraph:
    """Return a docstring's first paragraph; backquotes mean code."""
    first, *_rest = text.split("\n\n")
    summary = " ".join(first.split()).replace("``", "`")
    made = nodes.paragraph()
    for index, part in enumerate(summary.split("`")):
        made += _code(part) if index % 2 else nodes.Text(part)
    return made


def _table(
    widths: Sequence[int],
    heads: Sequence[str],
    rows: Iterable[Sequence[nodes.Node]],
) -> nodes.table:
    group = nodes.tgroup(cols=len(widths))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += nodes.thead("", _row([_paragraph(nodes.Text(h)) for h in heads]))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group)


def _row(cells: Iterable[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


def _literal(text: str, language: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, language=language)


def command_help(words: Sequence[str]) -> str:
    """Return what a command of this package prints with ``--help``."""
    command, *rest = words
    (point,) = importlib.metadata.entry_points(
        group="console_scripts", name=command
    )
    main = point.load()
    argv, out = sys.argv, io.StringIO()
    sys.argv = [command, *rest, "--help"]
    try:
        with contextlib.redirect_stdout(out):
            status = main()
    except SystemExit as exc:
        status = exc.code
    finally:
        sys.argv = argv
    if status:
        raise RuntimeError(f"{' '.join(words)} --help: status {status}")
    return out.getvalue().rstrip()


class CommandHelp(Directive):
    """The real help text of a command or one of its subcommands."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Run it."""
        words = self.arguments[0].split()
        text = f"$ {' '.join(words)} --help\n{command_help(words)}"
        return [_literal(text, "none")]


class StateMachineTable(Directive):
    """A table of moves, and its drawing for Graphviz."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Read the machine."""
        from recovery_ha.domain import maintenance, recovery  # noqa: PLC0415

        name = self.arguments[0]
        module = recovery if hasattr(recovery, name) else maintenance
        machine = getattr(module, name)
        rows = []
        for state, after in machine.moves.items():
            next_states = nodes.paragraph()
            for number, target in enumerate(s for s in machine.moves):
                if target not in after:
                    continue
                if number and len(next_states):
                    next_states += nodes.Text(", ")
                next_states += _code(str(target))
            if not after:
                next_states += nodes.Text("nothing: it has ended")
            first = _paragraph(_code(str(state)))
            if state == machine.initial:
                first += nodes.Text(" (the first)")
            rows.append((first, next_states))
        return [
            _table((25, 75), ("state", "may become"), rows),
            _paragraph(nodes.Text("The same for Graphviz:")),
            _literal(machine.to_dot().rstrip(), "none"),
        ]


def errors() -> Iterator[type[Exception]]:
    """Yield each error class, in the order of the source."""
    from recovery_ha.api import errors as api  # noqa: PLC0415
    from recovery_ha.domain import errors as domain  # noqa: PLC0415

    for module in (domain, api):
        yield from sorted(
            (
                item
                for item in vars(module).values()
                if inspect.isclass(item)
                and issubclass(item, domain.RecoveryHAError)
                and item.__module__ == module.__name__
            ),
            key=lambda item: inspect.getsourcelines(item)[1],
        )


def _status(kind: type[Exception]) -> str:
    """Return the HTTP status of an error, or a dash if clients get none."""
    from recovery_ha.api import errors as api  # noqa: PLC0415

    arguments: tuple[Any, ...] = ("",)
    if kind is api.MethodNotAllowed:
        arguments = ("", ())
    logging.disable()
    try:
        status: int = api.answer({}, kind(*arguments)).status_int
    finally:
        logging.disable(logging.NOTSET)
    return "-" if status == 500 else str(status)  # noqa: PLR2004 - HTTP


class ErrorCodes(Directive):
    """Every error code, and where it stands in HTTP."""

    def run(self) -> list[nodes.Node]:
        """Read the classes."""
        rows = []
        for code, group in itertools.groupby(errors(), lambda kind: kind.code):
            kind = next(group)
            rows.append(
                (
                    _paragraph(_code(code)),
                    _paragraph(nodes.Text(_status(kind))),
                    _words(inspect.getdoc(kind) or ""),
                )
            )
        return [_table((45, 10, 60), ("code", "status", "meaning"), rows)]


class Microversions(Directive):
    """The list of microversions."""

    def run(self) -> list[nodes.Node]:
        """Read the list."""
        from recovery_ha import microversion  # noqa: PLC0415

        rows = [
            (_paragraph(_code(str(version))), _words(sentence))
            for version, sentence in microversion.MICROVERSIONS
        ]
        return [_table((15, 85), ("version", "what came with it"), rows)]


class SimulatorOptions(Directive):
    """The options of the simulated cloud."""

    def run(self) -> list[nodes.Node]:
        """Read the group."""
        from recovery_ha.simulator import settings  # noqa: PLC0415

        rows = [
            (
                _paragraph(_code(option.name)),
                _paragraph(_code(str(option.default) or "(empty)")),
                _paragraph(nodes.Text(option.help)),
            )
            for option in settings.OPTIONS
        ]
        heads = (f"[{settings.GROUP.name}]", "default", "what")
        return [_table((30, 25, 70), heads, rows)]


class RecoveryTasks(Directive):
    """The built-in tasks of recovery flows."""

    def run(self) -> list[nodes.Node]:
        """Read the entry points."""
        rows = []
        for point in importlib.metadata.entry_points(group=_TASKS):
            if not point.value.startswith("recovery_ha."):
                continue
            task = point.load()
            rows.append(
                (
                    _paragraph(_code(point.name)),
                    _paragraph(_code(task.__name__)),
                    _words(inspect.getdoc(task) or ""),
                )
            )
        return [_table((40, 35, 55), ("entry point", "class", "what"), rows)]


def setup(app: Any) -> dict[str, Any]:
    """Announce the directives to Sphinx."""
    os.environ.update(COLUMNS="79", NO_COLOR="1")  # for argparse
    with warnings.catch_warnings():
        # The libraries touch eventlet; with threads chosen first, as every
        # command does, they do not use it.
        warnings.simplefilter("ignore")
        importlib.import_module("recovery_ha.cmd.standalone")
    app.add_directive("command-help", CommandHelp)
    app.add_directive("error-codes", ErrorCodes)
    app.add_directive("microversions", Microversions)
    app.add_directive("recovery-tasks", RecoveryTasks)
    app.add_directive("simulator-options", SimulatorOptions)
    app.add_directive("state-machine", StateMachineTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
