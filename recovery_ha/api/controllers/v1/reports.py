"""What deployers say about their runs: ``/transactions/{id}/reports``."""

from typing import Any

from recovery_ha.api import runs
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.reporting import report_item
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import reporting as schemas
from recovery_ha.api.service import Service
from recovery_ha.db.ledger.reports import report
from recovery_ha.domain.history import ReportAnswer
from recovery_ha.policies import transactions as rules


class Reports:
    """Reports about tasks on nodes."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.REPORT,
        query=common.NO_QUERY,
        body=schemas.REPORT,
        response=schemas.REPORTED,
        status=200,
    )
    def create(self, call: Call, transaction: str) -> dict[str, Any]:
        """Take a report, and say of each item what became of it."""
        run = runs.find_own(self.service, call.context, transaction)
        runs.refuse_ours(run)
        items = call.body["reports"]
        answers = report(
            call.context,
            run.id,
            [report_item(item) for item in items],
            events=self.service.event_log,
            request_id=call.context.request_id,
        )
        return {
            "reports": [
                _answer(item.get("seq"), answer)
                for item, answer in zip(items, answers, strict=True)
            ]
        }


def _answer(seq: int | None, answer: ReportAnswer) -> dict[str, Any]:
    found: dict[str, Any] = {"seq": seq, "result": str(answer.verdict)}
    if answer.reason:
        found["message"] = answer.reason
    return found
