"""Which folders are packages: every one of autogrow/, and conf/.

conf/ lies at the top, where people look for it, and ships inside the package, where an installed autogrow finds it.
Pyproject's own `packages.find` cannot have it in addition to those it finds; all else stands in pyproject.toml.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["autogrow", "autogrow.*"]), "autogrow.conf"],
    package_dir={"autogrow.conf": "conf"},
)
