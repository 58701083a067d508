"""A lab whose switch is told more than which endpoints it has: settings of translation, limits."""

from __future__ import annotations

import json
from pathlib import Path

from tests.linux.lab import Lab


class TunedLab(Lab):
    """A `Lab` with further tables in its configuration. Other networks than `front` go there."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._tables: list[str] = []

    def add_table(self, name: str, **keys: object) -> None:
        """Put `[name]` with `keys` into the configuration."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self._tables.append("\n".join([f"[{name}]", *lines]))

    def write_configuration(self, *, interface: str = "up0") -> Path:
        """The configuration file of this lab's switch."""
        path = super().write_configuration(interface=interface)
        with path.open("a") as file:
            file.writelines(f"\n{table}\n" for table in self._tables)
        return path
