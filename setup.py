"""Packaging: everything is said in setup.cfg and pyproject.toml."""

import setuptools

setuptools.setup(setup_requires=["pbr>=7.0.0"], pbr=True)
