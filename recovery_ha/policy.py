"""Deciding whether a caller may do something.

oslo.policy looks at its files at every question and changes its rules in
place while others read them. Here they are looked at once a second, and a
changed set of rules takes the place of the old one as a whole; a set that
cannot be read leaves the old one in force.

An answer depends on the rule and the caller alone, and working it out costs
as much as the rest of a request: answers are kept as long as their rules.
"""

import functools
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from recovery_ha import entry_points, policies
from recovery_ha.conf import new_config
from recovery_ha.context import RequestContext
from recovery_ha.domain import errors

LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
#: How many answers are kept.
_KEPT = 4096
#: What a rule may look at, in the order in which :meth:`Policy.check` has it.
_CREDENTIALS = (
    "user_id",
    "project_id",
    "domain_id",
    "system_scope",
    "is_admin",
    "is_admin_project",
    "roles",
    "service_roles",
)


class Policy:
    """The rules of one configuration."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Read the rules.

        :raises errors.InvalidConfiguration: the operator's file cannot be
            used; the text names it.
        """
        self._conf = conf
        self._lock = threading.Lock()
        self._decide = _decisions(_enforcer(conf))
        self._state = _state_of_files(conf)
        self._looked_at = time.monotonic()

    def check(self, ctx: RequestContext, rule: str) -> bool:
        """Tell whether the caller may do what ``rule`` is about."""
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self._look()
        return self._decide(
            rule,
            ctx.user_id,
            ctx.project_id,
            ctx.domain_id,
            ctx.system_scope,
            ctx.is_admin,
            ctx.is_admin_project,
            tuple(ctx.roles),
            tuple(ctx.service_roles),
        )

    def authorize(self, ctx: RequestContext, rule: str) -> None:
        """Refuse what the caller may not do.

        :raises errors.Forbidden: the text names the rule.
        """
        if not self.check(ctx, rule):
            raise errors.Forbidden(
                f"Policy doesn't allow {rule} to be performed."
            )

    def unknown_rules(self) -> list[str]:
        """Return the names in the operator's files that no rule looks at.

        They were mistyped, or are of another release.
        """
        enforcer = _enforcer(self._conf)
        texts = "\n".join(map(str, enforcer.rules.values()))
        used = set(re.findall(r"rule:([^\s()]+)", texts))
        known = used | set(enforcer.registered_rules)
        return sorted(set(enforcer.file_rules) - known)

    def _look(self) -> None:
        """Take over rules that have changed on disk."""
        if not self._lock.acquire(blocking=False):
            return  # another thread is at it; the old rules hold meanwhile
        try:
            self._looked_at = time.monotonic()
            state = _state_of_files(self._conf)
            if state == self._state:
                return
            self._state = state
            self._decide = _decisions(_enforcer(self._conf))
            LOG.info("The policy files have changed and were read again.")
        except errors.InvalidConfiguration as exc:
            LOG.error(  # noqa: TRY400 - the text says it all
                "%s The rules of before stay in force.", exc
            )
        finally:
            self._lock.release()


def _enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults(policies.list_rules(conf.policy.auditor))
    try:
        enforcer.load_rules()
    except (cfg.Error, OSError, ValueError) as exc:
        name = enforcer.policy_path or conf.oslo_policy.policy_file
        text = " ".join(str(exc).split())
        raise errors.InvalidConfiguration(
            f"The policy file {name} cannot be used: {text}"
        ) from exc
    # From now on it never looks at its files: see the module's docstring.
    enforcer.use_conf = False
    return enforcer


def _decisions(enforcer: policy.Enforcer) -> Callable[..., bool]:
    """Return the function that decides by a set of rules."""

    def decide(rule: str, *values: Any) -> bool:
        credentials = dict(zip(_CREDENTIALS, values, strict=True))
        for name in ("roles", "service_roles"):
            credentials[name] = list(credentials[name])
        target = {name: credentials[name] for name in _CREDENTIALS[:2]}
        return bool(enforcer.authorize(rule, target, credentials))

    if _asks_others(enforcer):
        return decide
    return functools.lru_cache(maxsize=_KEPT)(decide)


def _asks_others(enforcer: policy.Enforcer) -> bool:
    """Tell whether a rule asks something that may answer differently later.

    Those are the kinds of check that come from plug-ins, ``http`` first.
    """
    plugins = entry_points.of_group("oslo.policy.rule_checks")
    kinds = "|".join(re.escape(plugin.name) for plugin in plugins)
    return any(
        re.search(rf"\b({kinds}):", str(check))
        for check in enforcer.rules.values()
    )


def _state_of_files(conf: cfg.ConfigOpts) -> tuple[Any, ...]:
    """Return what changes when a policy file appears, changes or goes."""
    options = conf.oslo_policy
    found: list[Path] = []
    for name in (options.policy_file, *options.policy_dirs):
        where: str | None = conf.find_file(name)
        if where is not None:
            found.append(Path(where))
            if found[-1].is_dir():
                found += sorted(found[-1].iterdir())
    state = []
    for path in found:
        try:
            status = path.stat()
        except OSError:
            continue
        state.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(state)


def get_enforcer() -> policy.Enforcer:
    """Return the enforcer for oslo.policy's command-line tools.

    The ``oslo.policy.enforcer`` entry point. The tools' own options are taken
    out of the command line, the rest (``--config-file``) is ours.
    """
    words, rest = sys.argv[1:], []
    while words:
        word = words.pop(0)
        name, given, _value = word.lstrip("-").partition("=")
        if name not in {"namespace", "output-file"}:
            rest.append(word)
        elif not given and words:
            words.pop(0)
    conf = new_config(rest)
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults(policies.list_rules(conf.policy.auditor))
    return enforcer
