"""What can be said about a configuration before a switch has it: read, checked, and its triggers.

`vswitch up`, its `--check` and `vswitch reload` read a file by the same functions, so that what the
one takes the other does not refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from vswitch.daemon.recordings import DIRECTORY
from vswitch.daemon.store import FILE, Store
from vswitch.debug.live import triggers
from vswitch.debug.live.triggers import UnknownReasonError
from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.model import Configuration
from vswitch.network.networks import NOTHING_STANDS
from vswitch.wire.values import IpNetwork


def load(path: Path, keep_clear: Iterable[IpNetwork] = ()) -> Configuration:
    """The configuration in the file at `path`; see `parse`. Raises ConfigurationError."""
    return parse(config.read_text(path), str(path), keep_clear)


def resumed(
    configuration: Configuration, path: Path, keep_clear: Iterable[IpNetwork] = ()
) -> Configuration:
    """The same `configuration` for a switch that goes on with its state: networks that ask for no
    subnet have the one that they had, or one that is clear of what was made at run time.

    Raises ConfigurationError or StoreError.
    """
    file = state_file(configuration)
    if not file.exists():
        return configuration
    with closing(Store(file)) as store:
        before = store.subnets.all()
        made = [network.subnet for network in store.networks.all().values()]
    names = {network.name for network in configuration.networks}
    standing = {name: subnet for name, subnet in before.items() if name in names}
    return parse(config.read_text(path), str(path), (*keep_clear, *made), standing)


def state_file(configuration: Configuration) -> Path:
    """Where a switch keeps what outlives it."""
    own = configuration.state_directory or DIRECTORY / configuration.name
    return Path(own) / FILE


def parse(
    text: str,
    file: str,
    keep_clear: Iterable[IpNetwork] = (),
    standing: Mapping[str, IpNetwork] = NOTHING_STANDS,
) -> Configuration:
    """The configuration in `text`; see `network.configuration.config.parse`.

    Raises ConfigurationError.
    """
    configuration = config.parse(text, file, keep_clear, standing)
    try:
        triggers.compile_all(configuration.recorder.triggers)
    except UnknownReasonError as error:
        raise ConfigurationError([f"{file}: recorder.triggers: {error}"]) from error
    return configuration
