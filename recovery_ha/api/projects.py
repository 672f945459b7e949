"""Whose clusters and runs a caller may read and change."""

from recovery_ha.api.service import Service
from recovery_ha.context import RequestContext
from recovery_ha.domain.errors import Forbidden
from recovery_ha.policies import base


def readable(service: Service, context: RequestContext) -> str | None:
    """Return the project whose things the caller may read; None: all.

    :raises Forbidden: the token is of no project.
    """
    if service.policy.check(context, base.ALL_PROJECTS):
        return None
    return _own(context)


def writable(context: RequestContext) -> str | None:
    """Return the project whose things the caller may change; None: all.

    :raises Forbidden: the token is of no project.
    """
    return None if context.is_admin else _own(context)


def _own(context: RequestContext) -> str:
    if not context.project_id:
        raise Forbidden("A token of a project is needed.")
    return str(context.project_id)
