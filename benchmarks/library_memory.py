"""What the libraries alone weigh, before a line of the service is read.

    python -m benchmarks.library_memory

Prints, for the API and for the engine, the resident memory of a process that
has imported what each is built on and nothing else: the floor under what the
other benchmarks say of a worker's memory.
"""

import importlib
import pathlib
import resource
import subprocess
import sys
import warnings

_PAGE_MIB = resource.getpagesize() / 1024 / 1024

STACKS = {
    "api": {
        "oslo.config, oslo.log": ("oslo_config.cfg", "oslo_log.log"),
        "SQLAlchemy": ("sqlalchemy.orm",),
        "oslo.db": ("oslo_db.sqlalchemy.enginefacade",),
        "pecan": ("pecan",),
        "oslo.middleware": ("oslo_middleware",),
        "oslo.policy": ("oslo_policy.policy",),
        "oslo.messaging": (
            "oslo_messaging",
            "oslo_messaging._drivers.impl_rabbit",
        ),
        "keystonemiddleware": ("keystonemiddleware.auth_token",),
        "PyMySQL": ("pymysql",),
    },
    "engine": {
        "oslo.config, oslo.log": ("oslo_config.cfg", "oslo_log.log"),
        "oslo.service": ("oslo_service.service",),
        "SQLAlchemy": ("sqlalchemy.orm",),
        "oslo.db": ("oslo_db.sqlalchemy.enginefacade",),
        "oslo.messaging": (
            "oslo_messaging",
            "oslo_messaging._drivers.impl_rabbit",
        ),
        "openstacksdk": ("openstack.connection",),
        "taskflow": (
            "taskflow.engines",
            "taskflow.patterns.linear_flow",
            "taskflow.persistence.backends.impl_sqlalchemy",
        ),
        "PyMySQL": ("pymysql",),
    },
}


def _resident_mib() -> float:
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * _PAGE_MIB


def measure(stack: str) -> None:
    """Import a stack in this process and print what each part adds."""
    warnings.simplefilter("ignore")
    importlib.import_module("recovery_ha.threads")
    before = _resident_mib()
    print(f"{stack}: Python with oslo.service's threads {before:.1f} MiB")
    for name, modules in STACKS[stack].items():
        for module in modules:
            importlib.import_module(module)
        after = _resident_mib()
        print(f"  {name:24s} +{after - before:5.1f} = {after:6.1f} MiB")
        before = after


def main() -> None:
    """Measure each stack in a process of its own."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    for stack in STACKS:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.library_memory", stack],
            check=True,
        )


if __name__ == "__main__":
    main()
