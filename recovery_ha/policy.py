"""Deciding whether a caller may do something.

oslo.policy looks at its files at every question and changes its rules in
place while others read them. Here they are looked at once a second, and a
changed set of rules takes the place of the old one as a whole; a set that
cannot be read leaves the old one in force.
"""

import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from recovery_ha import policies
from recovery_ha.conf import new_config
from recovery_ha.context import RequestContext
from recovery_ha.domain import errors

LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class Policy:
    """The rules of one configuration."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Read the rules.

        :raises errors.InvalidConfiguration: the operator's file cannot be
            used; the text names it.
        """
        self._conf = conf
        self._lock = threading.Lock()
        self._enforcer = _enforcer(conf)
        self._state = _state_of_files(conf)
        self._looked_at = time.monotonic()

    def check(self, ctx: RequestContext, rule: str) -> bool:
        """Tell whether the caller may do what ``rule`` is about."""
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self._look()
        credentials = {
            "user_id": ctx.user_id,
            "project_id": ctx.project_id,
            "domain_id": ctx.domain_id,
            "system_scope": ctx.system_scope,
            "roles": ctx.roles,
            "is_admin": ctx.is_admin,
            "is_admin_project": ctx.is_admin_project,
            "service_roles": ctx.service_roles,
        }
        target = {"project_id": ctx.project_id, "user_id": ctx.user_id}
        return bool(self._enforcer.authorize(rule, target, credentials))

    def authorize(self, ctx: RequestContext, rule: str) -> None:
        """Refuse what the caller may not do.

        :raises errors.Forbidden: the text names the rule.
        """
        if not self.check(ctx, rule):
            raise errors.Forbidden(
                f"Policy doesn't allow {rule} to be performed."
            )

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
            self._enforcer = _enforcer(self._conf)
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
