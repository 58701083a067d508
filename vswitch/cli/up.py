"""`vswitch up`: check the configuration, then become the switch."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from vswitch.cli.problem import Problem, require_root
from vswitch.daemon import configured
from vswitch.daemon.process.doors import DoorError, Keys
from vswitch.network.configuration.mistakes import ConfigurationError
from vswitch.network.model import Configuration
from vswitch.wire.values import IpNetwork

_NO_PLUGINS = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""Else pydantic looks for plugins in all that is installed, whenever a switch starts."""


def check(path: Path) -> None:
    """Say whether the configuration can be honoured, and touch nothing."""
    configuration = _load(path)
    networks, endpoints = len(configuration.networks), len(configuration.endpoints)
    print(f"{path}: switch {configuration.name}: {networks} networks, {endpoints} endpoints: ok")


def up(path: Path, fast_path: str | None, *, removes: bool) -> None:
    """Run the switch in the foreground, by the fast path of that name. Nothing is left of it where
    it `removes` what it has."""
    from vswitch.daemon.daemon import StartError
    from vswitch.daemon.kernel.journal import AlreadyRunning
    from vswitch.daemon.kernel.links import LinkError
    from vswitch.daemon.networks import host_subnets
    from vswitch.daemon.process.privileges import MissingCapabilitiesError
    from vswitch.daemon.process.service import serve
    from vswitch.daemon.store import StoreError
    from vswitch.fastpath import NoSuchFastPath

    os.environ |= _NO_PLUGINS
    try:
        keep_clear = host_subnets()
        configuration = _load(path, keep_clear)
        require_root("vswitch up")
        configuration = configured.resumed(configuration, path, keep_clear)
    except (ConfigurationError, LinkError, StoreError) as error:
        raise Problem(str(error)) from error
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"
    )
    try:
        serve(configuration, fast_path, path.absolute(), removes=removes)
    except (
        *(AlreadyRunning, DoorError, MissingCapabilitiesError),
        *(NoSuchFastPath, StartError, OSError),
    ) as error:
        raise Problem(str(error)) from error


def _load(path: Path, keep_clear: Iterable[IpNetwork] = ()) -> Configuration:
    try:
        configuration = configured.load(path, keep_clear)
        Keys.of(configuration.api)
    except ConfigurationError as error:
        raise Problem(str(error)) from error
    except DoorError as error:
        raise Problem(f"{path}: {error}") from error
    return configuration
