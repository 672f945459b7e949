"""Clusters that are provisioned: ``/clusters``, and what is below."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from recovery_ha.api import links, listing, projects
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import clusters as schemas
from recovery_ha.api.schemas import common
from recovery_ha.api.service import Service
from recovery_ha.api.views import clusters as views
from recovery_ha.db import cluster_runs
from recovery_ha.db.ledger import clusters as db
from recovery_ha.db.ledger import events, steps, units
from recovery_ha.db.paging import Page
from recovery_ha.domain.errors import BadRequest, StepNotFound
from recovery_ha.domain.history import (
    Cluster,
    ClusterInstance,
    NodeGroup,
    Step,
)
from recovery_ha.domain.ledger import CLUSTER
from recovery_ha.domain.provisioning import StepType, find_current
from recovery_ha.policies import clusters as rules

#: Events of a step that are shown with a cluster, the latest;
#: ``/progress`` has all of them.
_MOST_EVENTS = 5000


class _Clusters:
    """What all routes of clusters have in common."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def _find(self, call: Call, reference: str) -> Cluster:
        """Return a cluster to be shown."""
        project_id = projects.readable(self.service, call.context)
        return db.get(call.context, reference, project_id=project_id)

    def _find_own(self, call: Call, reference: str) -> Cluster:
        """Return a cluster to be changed."""
        project_id = projects.writable(call.context)
        return db.get(call.context, reference, project_id=project_id)

    def _managed(self, cluster: Cluster) -> bool:
        """Tell whether a plug-in provisions a cluster."""
        return cluster.plugin_name in self.service.plugins


class Clusters(_Clusters):
    """Clusters with their steps."""

    @expose(
        versions=("1.0", None),
        policy=rules.INDEX,
        query=schemas.QUERY,
        body=None,
        response=schemas.LIST,
        status=200,
    )
    def index(self, call: Call) -> dict[str, Any]:
        """List clusters with their steps."""
        page = self._page(call)
        found = db.list_page(
            call.context,
            page,
            project_id=projects.readable(self.service, call.context),
            **listing.texts(call.query, "name", "status", "plugin_name"),
        )
        told = _steps_of(call, found)
        marker = found[-1].uuid if found else ""
        return {
            "clusters": [
                views.cluster(one, told[one.uuid], _wanted(call))
                for one in found
            ],
            "clusters_links": links.next_page(
                self.service, call.request, found, page.limit, marker
            ),
        }

    def _page(self, call: Call) -> Page:
        """Return the page; ``sort_by`` is Sahara's way to sort."""
        query = dict(call.query)
        if "sort_by" in query:
            key = query["sort_by"][-1]
            query["sort_key"] = [key.removeprefix("-")]
            query["sort_dir"] = ["desc" if key.startswith("-") else "asc"]
        page = listing.page(query, self.service.max_limit)
        # By id, which is quicker, unless somebody wants it otherwise.
        return page if "sort_key" in query else replace(page, sort=())

    @expose(
        versions=("1.0", None),
        policy=rules.CREATE,
        query=common.NO_QUERY,
        body=schemas.CREATE,
        response=schemas.ONE,
        status=202,
    )
    def create(self, call: Call) -> dict[str, Any]:
        """Create a cluster; a plug-in, if it has one, begins with it."""
        body = call.body.get("cluster", call.body)
        plugin_name = body.get("plugin_name")
        managed = plugin_name in self.service.plugins
        version = body.get("plugin_version") or body.get("hadoop_version")
        found = cluster_runs.create(
            call.context,
            managed=managed,
            request_id=call.context.request_id,
            name=body["name"],
            project_id=call.context.project_id,
            plugin_name=plugin_name,
            plugin_version=version,
            description=body.get("description"),
            extra={key: body[key] for key in views.KEPT if key in body},
            node_groups=_groups(body.get("node_groups", ())),
        )
        if managed:
            self.service.wake()
        return self._view(call, found)

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=schemas.SHOW_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(self, call: Call, cluster: str) -> dict[str, Any]:
        """Show a cluster with its steps, and their events if wanted."""
        return self._view(call, self._find(call, cluster))

    @expose(
        versions=("1.0", None),
        policy=rules.UPDATE,
        query=common.NO_QUERY,
        body=schemas.UPDATE,
        response=schemas.ONE,
        status=202,
    )
    def update(self, call: Call, cluster: str) -> dict[str, Any]:
        """Scale a cluster, or say how it is."""
        body = call.body.get("cluster", call.body)
        found = self._find_own(call, cluster)
        managed = self._managed(found)
        says = {"status", "status_description"} & set(body)
        if says and len(says) < len(body):
            raise BadRequest(
                "Invalid input for field/attribute status. Value: given."
                " Allowed: either status and status_description, or"
                " resize_node_groups and add_node_groups."
            )
        if says:
            found = cluster_runs.set_status(
                call.context,
                found.uuid,
                body.get("status", found.status),
                managed=managed,
                description=body.get("status_description"),
            )
            return self._view(call, found)
        found = cluster_runs.scale(
            call.context,
            found,
            managed=managed,
            resize={
                group["name"]: group["count"]
                for group in body.get("resize_node_groups", ())
            },
            add=_groups(body.get("add_node_groups", ())),
            request_id=call.context.request_id,
        )
        if managed:
            self.service.wake()
        return self._view(call, found)

    @expose(
        versions=("1.0", None),
        policy=rules.DELETE,
        query=common.NO_QUERY,
        body=None,
        response=None,
        status=204,
    )
    def delete(self, call: Call, cluster: str) -> None:
        """Delete a cluster, or have its plug-in do so."""
        found = self._find_own(call, cluster)
        managed = self._managed(found)
        cluster_runs.delete(
            call.context,
            found.uuid,
            managed=managed,
            request_id=call.context.request_id,
        )
        if managed:
            self.service.wake()

    def _view(self, call: Call, cluster: Cluster) -> dict[str, Any]:
        wanted = _wanted(call)
        told = _steps_of(call, [cluster], with_events=wanted.events)
        return {"cluster": views.cluster(cluster, told[cluster.uuid], wanted)}


class ClusterProgress(_Clusters):
    """What happened in a step: ``/clusters/{cluster}/progress``."""

    @expose(
        versions=("1.0", None),
        policy=rules.PROGRESS,
        query=schemas.PROGRESS_QUERY,
        body=None,
        response=schemas.EVENTS,
        status=200,
    )
    def index(self, call: Call, cluster: str) -> dict[str, Any]:
        """List the events of a step, by default the current one."""
        query, found = call.query, self._find(call, cluster)
        wanted = replace(_wanted(call), events=True)
        step = self._step(call, found)
        page = listing.page(
            {key: query[key] for key in ("limit",) if key in query},
            self.service.max_limit,
        )
        said = [] if step is None else self._list(call, step, page)
        marker = str(said[-1].id) if said else ""
        return {
            "events": [views.event(one, step, wanted) for one in said if step],
            "events_links": links.next_page(
                self.service, call.request, said, page.limit, marker
            ),
        }

    def _step(self, call: Call, cluster: Cluster) -> Step | None:
        """Return the step that is asked for; None: there is no current one.

        :raises StepNotFound: the cluster has no such step.
        """
        if "provision_step" not in call.query:
            return find_current(_steps_of(call, [cluster])[cluster.uuid])
        return _get_step(call, cluster, call.query["provision_step"][-1])

    def _list(self, call: Call, step: Step, page: Page) -> list[Any]:
        query = call.query
        marker = query["marker"][-1] if "marker" in query else "0"
        return events.list_step_events(
            call.context,
            [step.id],
            since=int(marker),
            limit=page.limit or self.service.max_limit,
            **listing.texts(query, "instance_id"),
            **listing.booleans(query, "successful"),
        )


class ClusterSteps(_Clusters):
    """Steps that somebody outside tells: ``/clusters/{cluster}/steps``."""

    @expose(
        versions=("1.0", None),
        policy=rules.STEPS,
        query=common.NO_QUERY,
        body=schemas.NEW_STEP,
        response=schemas.STEP,
        status=201,
    )
    def create(self, call: Call, cluster: str) -> dict[str, Any]:
        """Begin a step, and a run if there is none."""
        body = call.body.get("step", call.body)
        found = self._find_own(call, cluster)
        kind = body.get("step_type")
        step = cluster_runs.begin_step(
            call.context,
            found,
            managed=self._managed(found),
            step_name=body["step_name"],
            step_type=None if kind is None else StepType(kind),
            total=body.get("total"),
            request_id=call.context.request_id,
        )
        return {"step": views.step(step, _wanted(call))}


class ClusterEvents(_Clusters):
    """``/clusters/{cluster}/steps/{step}/events``."""

    @expose(
        versions=("1.0", None),
        policy=rules.EVENTS,
        query=common.NO_QUERY,
        body=schemas.NEW_EVENTS,
        response=schemas.STEP,
        status=201,
    )
    def create(self, call: Call, cluster: str, step: str) -> dict[str, Any]:
        """Tell how a step went with instances; answer how it is now."""
        found = self._find_own(call, cluster)
        told = call.body.get("events") or [call.body["event"]]
        after = cluster_runs.tell_step(
            call.context,
            _get_step(call, found, step),
            [_said(one) for one in told],
            events=self.service.event_log,
            request_id=call.context.request_id,
        )
        return {"step": views.step(after, _wanted(call))}


def _wanted(call: Call) -> views.Wanted:
    return views.Wanted(
        events=call.query.get("show_progress", [""])[-1].lower() == "true",
        epoch="time_format" in call.query,
        traces=bool(call.context.is_admin),
    )


def _steps_of(
    call: Call, found: Sequence[Cluster], *, with_events: bool = False
) -> dict[str, list[Step]]:
    """Return the steps of clusters, in their order; a few statements."""
    runs = db.list_runs(call.context, [one.uuid for one in found])
    told = steps.list_steps(
        call.context,
        [run.id for of_cluster in runs.values() for run in of_cluster],
        events=with_events,
        event_limit=_MOST_EVENTS,
    )
    return {
        uuid: [step for run in of_cluster for step in told[run.id]]
        for uuid, of_cluster in runs.items()
    }


def _get_step(call: Call, cluster: Cluster, reference: str) -> Step:
    """Return a step of a cluster.

    :raises StepNotFound: it has none of that id.
    """
    unknown = StepNotFound(
        f"Cluster {cluster.uuid} has no step with id {reference}."
    )
    if not (reference.isascii() and reference.isdecimal()):
        raise unknown
    if len(reference) > _DIGITS:
        raise unknown
    step = steps.get(call.context, int(reference))
    if step.cluster_id != cluster.uuid:
        raise unknown
    return step


#: So many digits fit into an integer of every database.
_DIGITS = 9


def _groups(told: Sequence[dict[str, Any]]) -> list[NodeGroup]:
    """Return the node groups of a checked body."""
    groups = []
    for group in told:
        uuid = db.new_group_uuid()
        groups.append(
            NodeGroup(
                uuid=uuid,
                name=group["name"],
                count=group["count"],
                flavor_id=group.get("flavor_id"),
                node_processes=group.get("node_processes", ()),
                instances=tuple(
                    ClusterInstance(**one, node_group_id=uuid)
                    for one in group.get("instances", ())
                ),
            )
        )
    return groups


def _said(told: dict[str, Any]) -> units.Said:
    """Return what an event of a checked body says."""
    unit = units.Unit(
        told.get("instance_id", CLUSTER),
        told.get("instance_name"),
        told.get("node_group_id"),
    )
    failure = None
    if told["successful"] is False:
        failure = units.Failure(
            told.get("event_info") or "", told.get("error_id")
        )
    return units.Said(
        unit, told["successful"], failure, told.get("event_info")
    )
