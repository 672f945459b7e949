"""The oslo.messaging transport of a configuration that is not global."""

import oslo_messaging
from oslo_config import cfg
from oslo_messaging._metrics import client as metrics_client
from oslo_messaging._tracing import client as tracing_client

#: Engines listen here; a cast reaches one of them, a fanout all.
TOPIC = "recovery_ha.engine"


def get_transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """Return the transport that ``transport_url`` names; nothing connects.

    oslo.messaging registers two of its groups on its own global
    configuration only and fails without them on any other, so they are
    registered here.
    """
    conf.register_opts(
        metrics_client.oslo_messaging_metrics, group="oslo_messaging_metrics"
    )
    conf.register_opts(
        tracing_client.oslo_messaging_tracing, group="oslo_messaging_tracing"
    )
    return oslo_messaging.get_rpc_transport(conf)
