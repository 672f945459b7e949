"""The command recovery-ha-simulator: a simulated OpenStack to try out."""

import logging
import sys
from collections.abc import Sequence

from oslo_config import cfg

from recovery_ha.signals import Ending
from recovery_ha.simulator import settings
from recovery_ha.simulator.server import Simulator

READY = """\
The simulated cloud is ready at {url} with {computes} compute hosts; its \
control interface is {url}/control.
export OS_AUTH_URL={auth_url} OS_IDENTITY_API_VERSION=3 OS_REGION_NAME={region}
export OS_USERNAME=admin OS_PASSWORD=admin OS_PROJECT_NAME=admin
export OS_USER_DOMAIN_ID=default OS_PROJECT_DOMAIN_ID=default
"""
# Options that are worth a word of their own on the command line.
SHORT = ("port", "computes", "servers_per_compute")


def _new_config() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    settings.register_opts(conf)
    conf.register_cli_opts(
        [
            cfg.BoolOpt(
                "debug", default=False, help="Log every detail to stderr."
            ),
            *(
                cfg.IntOpt(
                    name.replace("_", "-"),
                    min=0,
                    help=f"The same as [simulator] {name}.",
                )
                for name in SHORT
            ),
        ]
    )
    return conf


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is asked to stop.

    :param argv: the arguments; None takes those of the process
    :returns: the exit code: 0, or 1 when it cannot start
    """
    conf = _new_config()
    try:
        conf(
            sys.argv[1:] if argv is None else argv,
            project="recovery_ha",
            prog="recovery-ha-simulator",
            default_config_files=[],
            default_config_dirs=[],
        )
        chosen = settings.from_conf(conf)
    except cfg.Error as error:
        sys.stderr.write(f"recovery-ha-simulator: {error}\n")
        return 1
    logging.basicConfig(
        level=logging.DEBUG if conf.debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for name in SHORT:
        if conf[name] is not None:
            setattr(chosen, name, conf[name])
    return _run(chosen)


def _run(chosen: settings.Settings) -> int:
    ending = Ending()
    simulator = Simulator(chosen)
    try:
        simulator.start()
    except OSError as error:
        sys.stderr.write(
            f"recovery-ha-simulator: cannot listen on {chosen.host} port "
            f"{chosen.port}: {error}\n"
        )
        return 1
    try:
        sys.stdout.write(
            READY.format(
                url=simulator.url,
                auth_url=simulator.auth_url,
                region=chosen.region,
                computes=chosen.computes,
            )
        )
        sys.stdout.flush()
        ending.wait()
    finally:
        simulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
