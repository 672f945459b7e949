"""What projects ask for their instances, and for groups of them."""

from typing import Any

from recovery_ha.api import links, listing, projects
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import constraints as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import constraints as views
from recovery_ha.db.maintenance import constraints as db
from recovery_ha.db.paging import Page
from recovery_ha.domain.errors import BadRequest, Forbidden
from recovery_ha.domain.maintenance import (
    GroupConstraints,
    InstanceAction,
    InstanceConstraints,
)
from recovery_ha.policies import constraints as rules


class _Constraints:
    """What entries of both kinds have in common."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def _list(self, call: Call, of: Any, key: str) -> dict[str, Any]:
        page = listing.page(call.query, self.service.max_limit)
        if "sort_key" not in call.query:
            direction = call.query.get("sort_dir", ["asc"])[0]
            page = Page(page.limit, page.marker, (("id", direction),))
        found, marker = of.list_page(
            call.context,
            page,
            projects.readable(self.service, call.context),
        )
        return {
            key: [views.entry(one) for one in found],
            f"{key}_links": links.next_page(
                self.service,
                call.request,
                found,
                page.limit,
                marker,
            ),
        }

    def _show(self, call: Call, of: Any, reference: str) -> dict[str, Any]:
        own = projects.readable(self.service, call.context)
        return views.entry(of.get(call.context, reference, own))

    def _put(
        self,
        call: Call,
        of: Any,
        entry: InstanceConstraints | GroupConstraints,
    ) -> dict[str, Any]:
        of.put(call.context, entry)
        return views.entry(entry)

    def _delete(self, call: Call, of: Any, reference: str) -> dict[str, Any]:
        of.delete(call.context, reference, projects.writable(call.context))
        return {}


class Instances(_Constraints):
    """Constraints of instances: ``/instance``."""

    @expose(
        versions=("1.0", None),
        policy=rules.INSTANCE_INDEX,
        query=schemas.QUERY,
        body=None,
        response=schemas.INSTANCES,
        status=200,
    )
    def index(self, call: Call) -> dict[str, Any]:
        """List the constraints of instances."""
        return self._list(call, db.INSTANCES, "instances")

    @expose(
        versions=("1.0", None),
        policy=rules.INSTANCE_DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.INSTANCE,
        status=200,
    )
    def show(self, call: Call, instance: str) -> dict[str, Any]:
        """Show the constraints of an instance."""
        return self._show(call, db.INSTANCES, instance)

    @expose(
        versions=("1.0", None),
        policy=rules.INSTANCE_UPDATE,
        query=common.NO_QUERY,
        body=schemas.PUT_INSTANCE,
        response=schemas.INSTANCE,
        status=200,
    )
    def update(self, call: Call, instance: str) -> dict[str, Any]:
        """Have these constraints of an instance, instead of any others."""
        body = call.body
        _check_id("instance_id", body, instance, _LONGEST_INSTANCE)
        kind = body.get("migration_type")
        if kind == schemas.MIGRATION:
            kind = InstanceAction.MIGRATE
        entry = InstanceConstraints(
            instance_id=instance,
            project_id=owner(call, body, "project_id"),
            group_id=body.get("group_id"),
            instance_name=body.get("instance_name"),
            max_interruption_time=body.get("max_interruption_time"),
            migration_type=None if kind is None else InstanceAction(kind),
            resource_mitigation=body.get("resource_mitigation", False),
            lead_time=body.get("lead_time", 0),
        )
        return self._put(call, db.INSTANCES, entry)

    @expose(
        versions=("1.0", None),
        policy=rules.INSTANCE_DELETE,
        query=common.NO_QUERY,
        body=None,
        response=schemas.DELETED,
        # Some clients take nothing else for success.
        status=200,
    )
    def delete(self, call: Call, instance: str) -> dict[str, Any]:
        """Remove the constraints of an instance."""
        return self._delete(call, db.INSTANCES, instance)


class Groups(_Constraints):
    """Constraints of groups of instances: ``/instance_group``."""

    @expose(
        versions=("1.0", None),
        policy=rules.GROUP_INDEX,
        query=schemas.QUERY,
        body=None,
        response=schemas.GROUPS,
        status=200,
    )
    def index(self, call: Call) -> dict[str, Any]:
        """List the constraints of groups."""
        return self._list(call, db.GROUPS, "instance_groups")

    @expose(
        versions=("1.0", None),
        policy=rules.GROUP_DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.GROUP,
        status=200,
    )
    def show(self, call: Call, group: str) -> dict[str, Any]:
        """Show the constraints of a group."""
        return self._show(call, db.GROUPS, group)

    @expose(
        versions=("1.0", None),
        policy=rules.GROUP_UPDATE,
        query=common.NO_QUERY,
        body=schemas.PUT_GROUP,
        response=schemas.GROUP,
        status=200,
    )
    def update(self, call: Call, group: str) -> dict[str, Any]:
        """Have these constraints of a group, instead of any others."""
        body = call.body
        _check_id("group_id", body, group, _LONGEST_GROUP)
        entry = GroupConstraints(
            group_id=group,
            project_id=owner(call, body, "project_id"),
            group_name=body.get("group_name"),
            anti_affinity_group=body.get("anti_affinity_group", False),
            max_instances_per_host=body.get("max_instances_per_host", 0),
            max_impacted_members=body.get("max_impacted_members", 1),
            recovery_time=body.get("recovery_time", 0),
            resource_mitigation=body.get("resource_mitigation", False),
        )
        return self._put(call, db.GROUPS, entry)

    @expose(
        versions=("1.0", None),
        policy=rules.GROUP_DELETE,
        query=common.NO_QUERY,
        body=None,
        response=schemas.DELETED,
        status=200,
    )
    def delete(self, call: Call, group: str) -> dict[str, Any]:
        """Remove the constraints of a group."""
        return self._delete(call, db.GROUPS, group)


#: Characters of an id.
_LONGEST_INSTANCE, _LONGEST_GROUP = 36, 64


def _check_id(
    name: str, body: dict[str, Any], reference: str, longest: int
) -> None:
    """Refuse an id in the body that is not the URL's, or one that none has.

    :raises BadRequest: it is.
    """
    if len(reference) > longest:
        raise BadRequest(
            f"Invalid input for field/attribute {name}. Value:"
            f" {reference[:80]!r}. Allowed: up to {longest} characters."
        )
    if body.get(name, reference) != reference:
        raise BadRequest(
            f"Invalid input for field/attribute {name}. Value:"
            f" {body[name]!r}. Allowed: that of the URL, {reference!r}."
        )


def owner(call: Call, body: dict[str, Any], field: str) -> str:
    """Return the project that something new is to belong to.

    :param field: the field of the body that may name it, as a refusal does.
    :raises Forbidden: it is not the caller's.
    :raises BadRequest: nobody says which.
    """
    named: str | None = body.get("project_id")
    own = projects.writable(call.context)
    if own is not None:
        if named not in {None, own}:
            raise Forbidden(
                "Only an administrator may act for another project than that"
                f" of the token: {named}."
            )
        return own
    found = named or call.context.project_id
    if not found:
        raise BadRequest(
            f"Invalid input for field/attribute {field}. Value: missing."
            " Allowed: the id of a project."
        )
    return str(found)
