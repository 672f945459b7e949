"""Maintenance sessions: ``/maintenance``, and what projects have in them."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from oslo_utils import uuidutils

from recovery_ha.api import links, listing, projects
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import maintenance as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.validation import parse_time
from recovery_ha.api.views import maintenance as views
from recovery_ha.clients.maintenance_events import session_payload
from recovery_ha.db import services
from recovery_ha.db.maintenance import creation, replies, sessions, wishes
from recovery_ha.db.paging import Page
from recovery_ha.domain.errors import BadRequest, SessionInstanceNotFound
from recovery_ha.domain.maintenance import (
    SESSION,
    Download,
    InstanceAction,
    PluginType,
    PluginUse,
    ReplyStatus,
    Session,
    SessionAction,
    SessionState,
)
from recovery_ha.domain.replies import Reply
from recovery_ha.microversion import Version
from recovery_ha.policies import maintenance as rules

LOG = logging.getLogger(__name__)

#: Of a session that does not say which.
_WORKFLOW = "default"


class _Sessions:
    """What all routes of sessions have in common."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def _act(
        self,
        call: Call,
        uuid: str,
        action: SessionAction,
        state: SessionState | None = None,
    ) -> Session | None:
        """Do what is wanted of a session, and have engines look at it."""
        done = wishes.act(
            call.context,
            uuid,
            action,
            payload=_payload(call, uuid),
            state=state,
        )
        LOG.info(
            "Session %s: %s asked for by user %s: %s.",
            uuid,
            action,
            call.context.user_id,
            done.effect,
        )
        self.service.wake()
        return done.session


class Sessions(_Sessions):
    """Sessions, for administrators."""

    @expose(
        versions=("1.0", None),
        policy=rules.INDEX,
        query=schemas.QUERY,
        body=None,
        response=schemas.LIST,
        status=200,
    )
    def index(self, call: Call) -> dict[str, Any]:
        """List sessions, the newest first."""
        page = newest_first(call, self.service)
        found = sessions.list_page(
            call.context, page, **listing.texts(call.query, "state", "host")
        )
        ids = [one.uuid for one in found]
        return {
            # Fenix answers the one, and has the other in its documents.
            "sessions": ids,
            "session_id": ids,
            "maintenance_sessions": [views.listed(one) for one in found],
            "sessions_links": links.next_page(
                self.service,
                call.request,
                found,
                page.limit,
                ids[-1] if ids else "",
            ),
        }

    @expose(
        versions=("1.0", None),
        policy=rules.CREATE,
        query=common.NO_QUERY,
        body=schemas.CREATE,
        response=schemas.CREATED,
        status=200,
    )
    def create(self, call: Call) -> dict[str, Any]:
        """Begin a session."""
        body, uuid = call.body, uuidutils.generate_uuid()
        workflow = body.get("workflow", _WORKFLOW)
        actions = [
            PluginUse(
                ordinal=ordinal,
                plugin=one["plugin"],
                type=PluginType(one["type"]),
                metadata=one.get("metadata", {}),
            )
            for ordinal, one in enumerate(body.get("actions", ()))
        ]
        self._check_plugins(call, workflow, actions)
        downloads = self._downloads(body.get("download", ()))
        creation.create(
            call.context,
            uuid=uuid,
            hosts=body.get("hosts", ()),
            maintenance_at=_time(body["maintenance_at"]),
            metadata=body.get("metadata", {}),
            workflow=workflow,
            actions=actions,
            payload=_payload(call, uuid),
            downloads=downloads,
        )
        LOG.info("Session %s: created by user %s.", uuid, call.context.user_id)
        # The row is committed: whatever happens now, it is not lost.
        self.service.wake()
        return {"session_id": uuid}

    def _check_plugins(
        self, call: Call, workflow: str, actions: list[PluginUse]
    ) -> None:
        """Refuse what no engine has.

        :raises BadRequest: it names what the engines have.
        """
        down_time = self.service.down_time
        known = services.known_workflows(call.context, down_time)
        if workflow not in known:
            raise _unknown("workflow", workflow, known)
        if not actions:
            return
        known = services.known_actions(call.context, down_time)
        for one in actions:
            if one.plugin not in known:
                raise _unknown("actions.plugin", one.plugin, known)

    def _downloads(self, urls: Sequence[str]) -> list[Download]:
        """Return archives with their checksums as they are now.

        :raises BadRequest: one is not configured; it names those that are.
        """
        known = self.service.archives
        for url in urls:
            if url not in known:
                raise BadRequest(
                    "Invalid input for field/attribute download. Value:"
                    f" {url!r}. Allowed: archives that the operator has"
                    " named, with their checksums, in [maintenance_download]"
                    f" archives: {', '.join(sorted(known)) or 'none'}."
                )
        return [Download(url=url, sha256=known[url]) for url in urls]

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(self, call: Call, session: str) -> dict[str, Any]:
        """Show where a session stands."""
        found = sessions.get(call.context, session)
        return views.session(found, with_run=_with_run(call))

    @expose(
        versions=("1.0", None),
        policy=rules.UPDATE,
        query=common.NO_QUERY,
        body=schemas.UPDATE,
        response=schemas.UPDATED,
        status=200,
    )
    def update(self, call: Call, session: str) -> dict[str, Any]:
        """Continue a session that has failed or is paused."""
        state = (call.body or {}).get("state")
        self._act(
            call,
            session,
            SessionAction.CONTINUE,
            None if state is None else SessionState(state),
        )
        request = call.request
        base = str(self.service.link_prefix or request.application_url)
        path = request.path_info.rstrip("/")
        return {
            "maintenance": f"{base.rstrip('/')}{path}",
            "session_id": session,
        }

    @expose(
        versions=("1.0", None),
        policy=rules.DELETE,
        query=common.NO_QUERY,
        body=None,
        response=schemas.DELETED,
        status=200,
    )
    def delete(self, call: Call, session: str) -> dict[str, Any]:
        """Delete a session; engines undo what it did to hosts."""
        self._act(call, session, SessionAction.DELETE)
        return {}


class SessionDetail(_Sessions):
    """All that belongs to a session: ``/maintenance/{session}/detail``."""

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.DETAIL,
        status=200,
    )
    def index(self, call: Call, session: str) -> dict[str, Any]:
        """Show a session with hosts, projects, instances and actions."""
        found = sessions.get(call.context, session)
        return views.detail(found, with_run=_with_run(call))


class SessionActions(_Sessions):
    """What administrators want: ``/maintenance/{session}/action``."""

    @expose(
        versions=("1.0", None),
        policy=rules.ACTION,
        query=common.NO_QUERY,
        body=schemas.ACTION,
        response=schemas.ONE,
        status=202,
    )
    def create(self, call: Call, session: str) -> dict[str, Any]:
        """Ask for an action; engines do what is not done at once."""
        action = SessionAction(call.body["action"])
        found = self._act(call, session, action)
        if found is None:  # only a deletion leaves none
            raise sessions.not_found(session)
        return views.session(found, with_run=_with_run(call))


class _Parts:
    """What both routes of projects have in common."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def _read(self, call: Call, session: str, project: str) -> list[str]:
        own = projects.readable(self.service, call.context)
        _refuse_foreign(own, session, project)
        return sessions.project_instances(call.context, session, project)

    def _reply(
        self,
        call: Call,
        session: str,
        project: str,
        instance: str | None = None,
    ) -> Any:
        """Write down a reply; it is answered with itself."""
        own = projects.writable(call.context)
        _refuse_foreign(own, session, project)
        said = _said(call.body)
        is_new = replies.reply(call.context, session, project, said, instance)
        LOG.info(
            "Session %s: %s by project %s%s%s.",
            session,
            said,
            project,
            f" for instance {instance}" if instance else "",
            "" if is_new else ", as before",
        )
        if is_new:
            self.service.wake()
        return call.body


class SessionProjects(_Parts):
    """A project in a session: ``/maintenance/{session}/{project}``."""

    @expose(
        versions=("1.0", None),
        policy=rules.INSTANCES,
        query=common.NO_QUERY,
        body=None,
        response=schemas.INSTANCES,
        status=200,
    )
    def show(self, call: Call, session: str, project: str) -> dict[str, Any]:
        """List the instances that a project is asked about now."""
        return {"instance_ids": self._read(call, session, project)}

    @expose(
        versions=("1.0", None),
        policy=rules.REPLY,
        query=common.NO_QUERY,
        body=schemas.REPLY,
        response=schemas.REPLIED,
        status=200,
    )
    def update(self, call: Call, session: str, project: str) -> Any:
        """Reply for a project."""
        return self._reply(call, session, project)


class SessionInstances(_Parts):
    """``/maintenance/{session}/{project}/{instance}``."""

    @expose(
        versions=("1.0", None),
        policy=rules.INSTANCES,
        query=common.NO_QUERY,
        body=None,
        response=schemas.INSTANCES,
        status=200,
    )
    def show(
        self, call: Call, session: str, project: str, instance: str
    ) -> dict[str, Any]:
        """List an instance, if its project is asked about it now."""
        asked = self._read(call, session, project)
        known = sessions.read_instances(call.context, session, project)
        if instance not in {one.instance_id for one in known}:
            raise SessionInstanceNotFound(
                f"Invalid instance: project {project} has no instance"
                f" {instance} in this session."
            )
        return {"instance_ids": [one for one in asked if one == instance]}

    @expose(
        versions=("1.0", None),
        policy=rules.REPLY,
        query=common.NO_QUERY,
        body=schemas.REPLY,
        response=schemas.REPLIED,
        status=200,
    )
    def update(
        self, call: Call, session: str, project: str, instance: str
    ) -> Any:
        """Reply for one instance."""
        return self._reply(call, session, project, instance)


def newest_first(call: Call, service: Service) -> Page:
    """Return the page that is asked for; by id unless asked otherwise."""
    page = listing.page(call.query, service.max_limit)
    if "sort_key" in call.query:
        return page
    return Page(page.limit, page.marker, (("id", page.sort[0][1]),))


def _payload(call: Call, uuid: str) -> dict[str, Any]:
    """Return what is told of a session, by one who begins or continues it."""
    return session_payload(
        session=uuid,
        project_id=call.context.project_id,
        state=str(SESSION.initial),
        percent_done=0,
    )


def _with_run(call: Call) -> bool:
    return bool(call.version >= Version(1, 4))


def _time(text: str) -> datetime:
    return parse_time(text).replace(microsecond=0)


def _unknown(field: str, value: str, known: frozenset[str]) -> BadRequest:
    return BadRequest(
        f"Invalid input for field/attribute {field}. Value: {value!r}."
        f" Allowed: {', '.join(sorted(known))}."
    )


def _refuse_foreign(own: str | None, session: str, project: str) -> None:
    """Refuse the part of another project, as if there were none.

    :param own: the caller's project; None: any is.
    :raises errors.SessionNotFound: it is another one.
    """
    if own not in {None, project}:
        raise sessions.not_found(session)


def _said(body: dict[str, Any]) -> Reply:
    """Return the reply of a checked body."""
    status, _, state = body["state"].partition("_")
    action = body.get("instance_action")
    return Reply(
        state=SessionState(state),
        status=ReplyStatus(status.lower()),
        actions={
            key: InstanceAction(value)
            for key, value in body.get("instance_actions", {}).items()
        },
        action=None if action is None else InstanceAction(action),
        reason=body.get("reason"),
    )
