"""Vmoves of a notification."""

from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.domain.recovery import VMoveStatus, VMoveType

_TIME_OR_NULL: Schema = {"anyOf": [common.ANSWER_TIME, {"type": "null"}]}
_VMOVE = common.resource(
    uuid=common.UUID,
    notification_uuid=common.UUID,
    instance_uuid=common.STRING,
    instance_name=common.STRING,
    source_host=common.STRING,
    dest_host=common.STRING_OR_NULL,
    start_time=_TIME_OR_NULL,
    end_time=_TIME_OR_NULL,
    type={"enum": [str(kind) for kind in VMoveType]},
    status={"enum": [str(status) for status in VMoveStatus]},
    message=common.STRING_OR_NULL,
)
QUERY = common.query(type="string", status="string")
ONE = Schemas(("1.0", None, common.wrapped("vmove", _VMOVE)))
LIST = Schemas(("1.0", None, common.listed("vmoves", _VMOVE)))
