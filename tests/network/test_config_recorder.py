"""`[recorder]` of a configuration: what it becomes, and its mistakes."""

from __future__ import annotations

import pytest

from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.model import RecorderSettings, TriggerEvent, TriggerRequest

MEBIBYTE = 1024 * 1024


def parsed(keys: str) -> RecorderSettings:
    return config.parse(f'name = "lab"\n[recorder]\n{keys}', "lab.toml").recorder


def test_recorder_is_on_without_being_mentioned() -> None:
    settings = config.parse('name = "lab"', "lab.toml").recorder
    assert settings == RecorderSettings(16 * MEBIBYTE, None, 8, ())
    assert parsed("") == settings


def test_every_key_is_read() -> None:
    settings = parsed(
        'size = "64 MiB"\ndirectory = "/srv/dumps"\nkeep = 3\n'
        'triggers = ["dropped 1000/s", "dropped ttl_expired 10/s", "resets 50/s", "unresolved 5/s"]'
    )
    assert settings == RecorderSettings(
        64 * MEBIBYTE,
        "/srv/dumps",
        3,
        (
            TriggerRequest(TriggerEvent.DROPPED, None, 1000.0),
            TriggerRequest(TriggerEvent.DROPPED, "ttl_expired", 10.0),
            TriggerRequest(TriggerEvent.RESETS, None, 50.0),
            TriggerRequest(TriggerEvent.UNRESOLVED, None, 5.0),
        ),
    )


def test_recorder_can_be_off() -> None:
    assert parsed("size = 0").size == 0


SIZE = 'allowed is a size from "1 MiB" to "256 MiB", or 0 for no recorder'
TRIGGER = 'allowed is "dropped 1000/s", "dropped REASON 10/s", "resets 50/s" or "unresolved 5/s"'


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ('size = "512 KiB"', f'size: found "512 KiB": {SIZE}'),
        ('size = "2GiB"', f'size: found "2GiB": {SIZE}'),
        ("size = 16", f"size: found 16: {SIZE}"),
        ("size = false", f"size: found false: {SIZE}"),
        (
            'directory = "dumps"',
            'directory: found "dumps": allowed is the absolute path of a directory',
        ),
        ("keep = 0", "keep: found 0: allowed is a number of dumps from 1 to 1000"),
        ("keep = true", "keep: found true: allowed is a number of dumps from 1 to 1000"),
        ('triggers = ["rst 5/s"]', f'triggers[0]: found "rst 5/s": {TRIGGER}'),
        ('triggers = ["resets 0/s"]', f'triggers[0]: found "resets 0/s": {TRIGGER}'),
        ('triggers = ["resets 5"]', f'triggers[0]: found "resets 5": {TRIGGER}'),
        (
            'triggers = "resets 5/s"',
            f'triggers: found "resets 5/s": allowed is a list, each item {TRIGGER[11:]}',
        ),
        (
            'triggers = ["resets x 5/s"]',
            'triggers[0]: found "resets x 5/s": a reason only goes with "dropped", '
            'not with "resets"',
        ),
        (
            "trigers = []",
            "trigers: unknown key: allowed is size, directory, keep, triggers; "
            'did you mean "triggers"?',
        ),
    ],
)
def test_mistake_is_told_in_one_line(keys: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parsed(keys)
    assert refused.value.lines == (f"lab.toml: recorder.{line}",)
