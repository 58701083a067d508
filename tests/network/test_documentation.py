"""What the documents show is what the switch takes: every example of a configuration is sound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vswitch.network.configuration import config, leaseschema, nameschema, schema

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"^name = ", re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """Every block of TOML in a document, with where it stands."""
    found = []
    for document in ("README.md", "CONFIGURATION.md"):
        text = (ROOT / document).read_text()
        for block in re.finditer(r"```toml\n(.*?)```", text, re.DOTALL):
            line = text.count("\n", 0, block.start()) + 1
            found.append((f"{document}:{line}", block[1]))
    return found


@pytest.mark.parametrize(("where", "text"), examples(), ids=[where for where, _ in examples()])
def test_example_of_a_configuration_is_accepted(where: str, text: str) -> None:
    named = text if NAME.search(text) else f'name = "example"\n{text}'
    assert config.parse(named, where).name


def test_document_of_the_configuration_names_every_key() -> None:
    """A key that nobody can read of does not exist for a user."""
    text = (ROOT / "CONFIGURATION.md").read_text()
    tables = (
        schema.UplinkTable,
        schema.TimeoutsTable,
        schema.QuotasTable,
        schema.LimitsTable,
        schema.NetworkTable,
        leaseschema.DhcpTable,
        leaseschema.BootTable,
        schema.FilterTable,
        schema.Document,
        schema.EndpointTable,
        schema.MembershipTable,
        nameschema.DnsTable,
        nameschema.CacheTable,
        nameschema.NetworkDnsTable,
        schema.RecorderTable,
        schema.ApiTable,
    )
    missing = [
        f"{table.__name__}.{key}"
        for table in tables
        for key in table.model_fields
        if not re.search(rf"\b{key}\b", text)
    ]
    assert missing == []
