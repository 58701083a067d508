"""When the flight recorder is written out by itself."""

from __future__ import annotations

import pytest

from vswitch.dataplane.drops import DropReason
from vswitch.debug.live.triggers import (
    QUIET,
    Counts,
    Trigger,
    UnknownReasonError,
    Watch,
    compile_all,
)
from vswitch.network.model import TriggerEvent, TriggerRequest
from vswitch.units import SECOND
from vswitch.wire.malformed import Malformed

NOTHING = Counts({}, 0, 0)
RESETS = Trigger(TriggerEvent.RESETS, None, 10.0)


def resets(count: int) -> Counts:
    return Counts({}, count, 0)


def fired(watch: Watch, counts: Counts, now: int) -> list[Trigger]:
    return [each.trigger for each in watch.look(counts, now)]


def test_trigger_fires_where_its_rate_comes_to_the_limit() -> None:
    watch = Watch([RESETS], NOTHING, 0)
    assert fired(watch, resets(9), 1 * SECOND) == []
    assert fired(watch, resets(19), 2 * SECOND) == [RESETS]


def test_rate_is_per_second_whatever_lies_between_two_looks() -> None:
    assert fired(Watch([RESETS], NOTHING, 0), resets(39), 4 * SECOND) == []
    (once,) = Watch([RESETS], NOTHING, 0).look(resets(60), 4 * SECOND)
    assert once.per_second == 15.0


def test_what_was_counted_before_is_no_rate() -> None:
    assert fired(Watch([RESETS], resets(1000), 0), resets(1000), 1 * SECOND) == []


def test_two_looks_at_one_time_are_one() -> None:
    watch = Watch([RESETS], NOTHING, 0)
    assert fired(watch, resets(100), 0) == []
    assert fired(watch, resets(100), 1 * SECOND) == [RESETS]


def test_rate_that_stays_high_fires_once() -> None:
    watch = Watch([RESETS], NOTHING, 0)
    seen = [fired(watch, resets(20 * second), second * SECOND) for second in range(1, 300)]
    assert seen == [[RESETS]] + [[]] * 298


def test_rate_that_comes_back_fires_again_after_a_while() -> None:
    watch = Watch([RESETS], NOTHING, 0)
    assert fired(watch, resets(20), 1 * SECOND) == [RESETS]
    assert fired(watch, resets(20), 2 * SECOND) == []
    assert fired(watch, resets(40), 3 * SECOND) == []
    assert fired(watch, resets(40), 4 * SECOND) == []
    later = 4 * SECOND + QUIET
    assert fired(watch, resets(40), later) == []
    assert fired(watch, resets(60), later + SECOND) == [RESETS]


def test_each_trigger_counts_its_own() -> None:
    every, ttl, too_short, dns = compile_all(
        [
            TriggerRequest(TriggerEvent.DROPPED, None, 5.0),
            TriggerRequest(TriggerEvent.DROPPED, "ttl_expired", 3.0),
            TriggerRequest(TriggerEvent.DROPPED, "truncated_ipv4", 3.0),
            TriggerRequest(TriggerEvent.UNRESOLVED, None, 1.0),
        ]
    )
    triggers = [every, ttl, too_short, dns]
    drops = {DropReason.TTL_EXPIRED: 3, Malformed.TRUNCATED_IPV4: 2}
    assert fired(Watch(triggers, NOTHING, 0), Counts(drops, 0, 0), SECOND) == [every, ttl]
    assert fired(Watch(triggers, NOTHING, 0), Counts({}, 99, 1), SECOND) == [dns]


def test_trigger_reads_as_it_was_written() -> None:
    (trigger,) = compile_all([TriggerRequest(TriggerEvent.DROPPED, "ttl_expired", 3.0)])
    assert str(trigger) == "dropped ttl_expired 3/s"
    assert (trigger.slug, RESETS.slug) == ("ttl_expired", "resets")


def test_unknown_reason_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownReasonError) as refused:
        compile_all([TriggerRequest(TriggerEvent.DROPPED, "ttl_expires", 3.0)])
    words = "no frame is dropped for the reason 'ttl_expires' (did you mean \"ttl_expired\"?)"
    assert str(refused.value) == words
