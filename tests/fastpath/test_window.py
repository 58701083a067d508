"""What fits a TCP connection and what does not, case by case, and how rarely a guess does."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.fastpath.window import GENEROUS, Exactness, Fit, Window

SPACE = 1 << 32
OUT, BACK = 0, 1
WIDE = 65535

NUMBERS = st.integers(0, SPACE - 1)
STARTS = (1000, SPACE - 5, (1 << 31) - 5)
"""First sequence numbers: ordinary, and where a number or its sign wraps around soon after."""


def wrap(number: int) -> int:
    return number % SPACE


class Talk:
    """A connection whose ends say what a test lets them, numbers counted from their SYNs."""

    def __init__(
        self,
        start: int = 1000,
        *,
        windows: tuple[int, int] = (WIDE, WIDE),
        scales: tuple[int | None, int | None] = (None, None),
    ) -> None:
        self.window = Window()
        self.first = (start, wrap(start + 77_000_000))
        self.window.begin(OUT, self.at(OUT, 0), self.at(OUT, 1), None, windows[0], scales[0])
        self.window.begin(
            BACK, self.at(BACK, 0), self.at(BACK, 1), self.at(OUT, 1), windows[1], scales[1]
        )

    def at(self, direction: int, number: int) -> int:
        return wrap(self.first[direction] + number)

    def say(
        self, direction: int, number: int, length: int = 0, ack: int = 1, window: int = WIDE
    ) -> Fit:
        """A segment of `length` octets from `number` on, acknowledging `ack`."""
        return self.window.accept(
            direction,
            self.at(direction, number),
            self.at(direction, number + length),
            self.at(1 - direction, ack),
            window,
        )

    def would(self, direction: int, number: int, length: int = 0, ack: int = 1) -> Fit:
        """The same without saying it."""
        numbers = self.at(direction, number), self.at(direction, number + length)
        return self.window.judge(direction, *numbers, self.at(1 - direction, ack), WIDE)


@pytest.mark.parametrize("start", STARTS)
def test_a_conversation_is_within(start: int) -> None:
    talk = Talk(start)
    assert talk.say(OUT, 1) is Fit.WITHIN
    assert talk.say(OUT, 1, 100) is Fit.WITHIN
    assert talk.say(BACK, 1, 1460, ack=101) is Fit.WITHIN
    assert talk.say(BACK, 1461, 1460, ack=101) is Fit.WITHIN
    assert talk.say(OUT, 101, ack=2921) is Fit.WITHIN
    assert talk.say(OUT, 101, 1, ack=2921) is Fit.WITHIN, "FIN"
    assert talk.say(BACK, 2921, 500, ack=102) is Fit.WITHIN, "half-closed, data goes on"
    assert talk.say(BACK, 3421, 1, ack=102) is Fit.WITHIN, "the other FIN"
    assert talk.say(OUT, 102, ack=3422) is Fit.WITHIN


@pytest.mark.parametrize("start", STARTS)
def test_segments_far_from_the_conversation_are_outside(start: int) -> None:
    talk = Talk(start)
    for direction in (OUT, BACK):
        for far in (10_000_000, -10_000_000, 1 << 30, 1 << 31, 3 << 30):
            assert talk.would(direction, 1 + far) is Fit.OUTSIDE
            assert talk.would(direction, 1 + far, 1000) is Fit.OUTSIDE
            assert talk.would(direction, 1, ack=1 + far) is Fit.OUTSIDE


@pytest.mark.parametrize("start", STARTS)
def test_the_bounds_are_where_they_are_said_to_be(start: int) -> None:
    """After 300 000 octets of which the last 50 000 are not acknowledged, window 100 000."""
    talk = Talk(start, scales=(0, 1))
    for number in range(1, 250_001, 50_000):
        talk.say(OUT, number, 50_000)
        talk.say(BACK, 1, ack=number + 50_000, window=50_000)
    talk.say(OUT, 250_001, 50_000)
    assert talk.would(OUT, 350_001) is Fit.WITHIN, "the limit"
    assert talk.would(OUT, 350_002) is Fit.OUTSIDE, "beyond the limit"
    assert talk.would(OUT, 190_000, 10_000) is Fit.WITHIN, "a window, and one, before the end"
    assert talk.would(OUT, 190_000, 9_999) is Fit.OUTSIDE, "before that"
    assert talk.would(BACK, 1, ack=300_001) is Fit.WITHIN, "all that was sent"
    assert talk.would(BACK, 1, ack=300_002) is Fit.OUTSIDE, "more than was sent"
    assert talk.would(BACK, 1, ack=100_000) is Fit.WITHIN, "twice its window, and one, below that"
    assert talk.would(BACK, 1, ack=99_999) is Fit.OUTSIDE, "below that"


@given(
    guess=st.tuples(NUMBERS, NUMBERS), length=st.integers(0, 65515), window=st.integers(0, WIDE),
    scales=st.tuples(st.integers(0, 14), st.integers(0, 14)), start=NUMBERS,
    direction=st.sampled_from((OUT, BACK)),
)  # fmt: skip
def test_what_fits_is_in_the_part_of_the_numbers_that_bounds_a_blind_guess(
    guess: tuple[int, int],
    length: int,
    window: int,
    scales: tuple[int, int],
    start: int,
    direction: int,
) -> None:
    """Uniform guesses: at most (2W + 2 + n) * (2V + 2) of 2**64 pairs can be WITHIN."""
    talk = Talk(start, scales=scales)
    for one in (OUT, BACK):
        talk.say(one, 1, 1000, window=window)
    w = max(GENEROUS, window << scales[1 - direction])
    v = max(GENEROUS, window << scales[direction])
    fit = talk.would(direction, guess[0], length, guess[1])
    in_sequence = wrap(guess[0] - (1001 - w - 1 - length)) < 2 * w + 2 + length
    in_acknowledgment = wrap(guess[1] - (1001 - 2 * v - 1)) < 2 * v + 2
    assert fit is Fit.OUTSIDE or (in_sequence and in_acknowledgment)


@pytest.mark.parametrize("length", [0, 1])
def test_a_keepalive_is_within(length: int) -> None:
    talk = Talk()
    talk.say(OUT, 1, 1_000_000 // 20)
    talk.say(BACK, 1, ack=50_001, window=100)
    assert talk.say(OUT, 50_000, length) is Fit.WITHIN
    assert talk.say(BACK, 1, ack=50_001) is Fit.WITHIN


def test_probes_of_a_window_of_zero_are_within() -> None:
    talk = Talk(windows=(WIDE, 1000))
    limit = GENEROUS + 1
    talk.say(OUT, 1, GENEROUS)
    assert talk.say(BACK, 1, ack=limit, window=0) is Fit.WITHIN
    assert talk.say(OUT, limit, 1) is Fit.WITHIN
    assert talk.say(OUT, limit + 1, 0) is Fit.WITHIN
    assert talk.say(OUT, limit + 2, 1) is Fit.OUTSIDE, "one octet is let in, and no more"


def test_super_frames_and_their_retransmissions_are_within() -> None:
    talk = Talk(scales=(7, 7))
    talk.say(BACK, 1, window=8000)
    for number in range(1, 1_000_001, 62_500):
        assert talk.say(OUT, number, 62_500) is Fit.WITHIN
    assert talk.say(OUT, 1, 62_500) is Fit.WITHIN
    assert talk.say(OUT, 1, 1448) is Fit.WITHIN


@pytest.mark.parametrize("scales", [(7, None), (None, 7), (None, None)])
def test_windows_are_not_scaled_unless_both_ends_say_so(
    scales: tuple[int | None, int | None],
) -> None:
    talk = Talk(scales=scales)
    talk.say(BACK, 1, window=60_000)
    talk.say(OUT, 1, window=60_000)
    for direction in (OUT, BACK):
        assert talk.would(direction, GENEROUS + 1) is Fit.WITHIN
        assert talk.would(direction, 1 + (60_000 << 7)) is Fit.OUTSIDE


def test_each_end_has_a_scale_of_its_own() -> None:
    talk = Talk(scales=(2, 9))
    talk.say(OUT, 1, window=60_000)
    talk.say(BACK, 1, window=60_000)
    assert talk.would(BACK, 1 + (60_000 << 2)) is Fit.WITHIN
    assert talk.would(BACK, 2 + (60_000 << 2)) is Fit.OUTSIDE
    assert talk.would(OUT, 1 + (60_000 << 9)) is Fit.WITHIN
    assert talk.would(OUT, 2 + (60_000 << 9)) is Fit.OUTSIDE


def test_scales_over_fourteen_count_as_fourteen() -> None:
    talk = Talk(scales=(0, 255))
    talk.say(BACK, 1, window=1000)
    assert talk.would(OUT, 1 + (1000 << 14)) is Fit.WITHIN
    assert talk.would(OUT, 2 + (1000 << 14)) is Fit.OUTSIDE


def test_windows_of_syns_are_never_scaled() -> None:
    talk = Talk(scales=(14, 14))
    for direction in (OUT, BACK):
        assert talk.would(direction, 1 + GENEROUS) is Fit.WITHIN
        assert talk.would(direction, 2 + GENEROUS) is Fit.OUTSIDE


def test_new_syn_may_have_the_scale_that_an_earlier_one_had_not() -> None:
    talk = Talk(scales=(None, 7))
    talk.window.begin(OUT, 900_000_000, 900_000_001, None, WIDE, 7)
    talk.window.begin(BACK, 700_000_000, 700_000_001, 900_000_001, WIDE, 7)
    assert talk.window.accept(BACK, 700_000_001, 700_000_001, 900_000_001, 60_000) is Fit.WITHIN
    far = 900_000_001 + (60_000 << 7)
    assert talk.window.judge(OUT, far, far, 700_000_001, WIDE) is Fit.WITHIN


def test_syn_that_is_sent_again_without_options_leaves_the_scale_that_the_first_one_had() -> None:
    window = Window()
    window.begin(OUT, 1000, 1001, None, WIDE, 7)
    window.begin(OUT, 1000, 1001, None, WIDE, None)
    window.begin(BACK, 5000, 5001, 1001, WIDE, 7)
    assert window.accept(OUT, 1001, 1001, 5001, 60_000) is Fit.WITHIN
    assert window.judge(BACK, 5001 + (60_000 << 7), 5001 + (60_000 << 7), 1001, 0) is Fit.WITHIN


def test_data_in_a_syn_may_be_taken_or_not() -> None:
    for taken in (0, 500, 1000):
        window = Window()
        window.begin(OUT, 1000, 2001, None, WIDE, None)
        assert window.answers(BACK, 1001 + taken) is Fit.WITHIN
        window.begin(BACK, 5000, 5001, 1001 + taken, WIDE, None)
        assert window.accept(OUT, 1001 + taken, 3000, 5001, WIDE) is Fit.WITHIN
        assert window.accept(BACK, 5001, 5101, 3000, WIDE) is Fit.WITHIN
    assert window.answers(BACK, 1000) is Fit.OUTSIDE
    assert window.answers(BACK, 3001) is Fit.OUTSIDE


def test_syn_that_is_sent_again_without_its_data_takes_nothing_back() -> None:
    window = Window()
    window.begin(OUT, 1000, 2001, None, WIDE, None)
    window.begin(OUT, 1000, 1001, None, WIDE, None)
    assert window.sent(OUT) == 2001
    assert window.answers(BACK, 2001) is Fit.WITHIN


def test_answer_to_a_syn_has_to_acknowledge_it() -> None:
    window = Window()
    window.begin(OUT, 1000, 1001, None, WIDE, None)
    assert window.answers(BACK, 1001) is Fit.WITHIN
    for wrong in (0, 1000, 1002, 900):
        assert window.answers(BACK, wrong) is Fit.OUTSIDE
    assert Window().answers(BACK, 77) is Fit.WITHIN, "nobody has seen what it answers"


@pytest.mark.parametrize("start", STARTS)
def test_both_ends_may_open_at_once(start: int) -> None:
    window = Window()
    back = wrap(start + 5000)
    window.begin(OUT, start, wrap(start + 1), None, WIDE, 3)
    window.begin(BACK, back, wrap(back + 1), None, WIDE, 4)
    assert window.answers(OUT, wrap(back + 1)) is Fit.WITHIN
    window.begin(OUT, start, wrap(start + 1), wrap(back + 1), WIDE, 3)
    assert window.answers(BACK, wrap(start + 1)) is Fit.WITHIN
    window.begin(BACK, back, wrap(back + 1), wrap(start + 1), WIDE, 4)
    one, other = wrap(start + 1), wrap(back + 1)
    assert window.accept(OUT, one, wrap(one + 1000), other, WIDE) is Fit.WITHIN
    assert window.accept(BACK, other, wrap(other + 1000), wrap(one + 1000), WIDE) is Fit.WITHIN
    assert window.judge(OUT, wrap(one + 10_000_000), one, other, WIDE) is Fit.OUTSIDE


def test_syn_with_another_number_begins_its_direction_anew() -> None:
    talk = Talk()
    talk.window.begin(OUT, 900_000_000, 900_000_001, None, WIDE, None)
    assert talk.window.answers(BACK, 900_000_001) is Fit.WITHIN
    talk.window.begin(BACK, 700_000_000, 700_000_001, 900_000_001, WIDE, None)
    assert talk.window.expects(OUT) == 900_000_001
    assert talk.window.expects(BACK) == 700_000_001
    accept = talk.window.accept
    assert accept(OUT, 900_000_001, 900_000_101, 700_000_001, WIDE) is Fit.WITHIN
    assert accept(BACK, 700_000_001, 700_000_001, 900_000_101, WIDE) is Fit.WITHIN


@pytest.mark.parametrize("start", STARTS)
def test_connection_that_nobody_saw_begin_is_believed(start: int) -> None:
    """What its ends have in flight, and how they scale their windows, is not known."""
    talk = Talk(start)
    talk.window = Window()
    assert talk.say(OUT, 5_000_000, 100, ack=9_000_000) is Fit.WITHIN
    assert talk.window.expects(OUT) == talk.at(OUT, 5_000_000)
    assert talk.window.sent(BACK) == talk.at(BACK, 9_000_000)
    assert talk.say(BACK, 80_000_000, 1000, ack=5_000_100) is Fit.WITHIN
    assert talk.say(OUT, 5_000_100, 100, ack=9_050_000) is Fit.WITHIN
    assert talk.say(BACK, 9_050_000, 1000, ack=70_000_100) is Fit.WITHIN
    assert talk.window.sent(OUT) == talk.at(OUT, 5_000_200)
    assert talk.window.expects(BACK) == talk.at(BACK, 9_050_000)


@pytest.mark.parametrize("start", STARTS)
def test_connection_of_which_one_syn_was_seen_is_believed_but_for_what_that_one_rules_out(
    start: int,
) -> None:
    window = Window()
    first, other = wrap(start + 1), wrap(start + 501)
    window.begin(BACK, start, first, other, WIDE, 7)
    assert (window.expects(OUT), window.sent(OUT)) == (other, other)
    assert window.accept(OUT, other, wrap(other + 99), first, 1) is Fit.WITHIN
    assert window.accept(OUT, wrap(other + 5_000_000), other, first, 1) is Fit.WITHIN
    assert window.accept(OUT, other, other, wrap(first + (1 << 31)), 1) is Fit.OUTSIDE
    assert (window.expects(BACK), window.sent(OUT)) == (first, wrap(other + 99))


def test_first_segment_that_acknowledges_what_was_not_sent_changes_nothing() -> None:
    window = Window()
    window.begin(OUT, 1000, 1001, None, WIDE, None)
    before = bytes(window.state)
    assert window.accept(BACK, 5000, 5100, 80_000_000, WIDE) is Fit.OUTSIDE
    assert bytes(window.state) == before


def test_segments_outside_change_nothing() -> None:
    talk = Talk()
    talk.say(OUT, 1, 1000)
    before = bytes(talk.window.state)
    assert talk.say(OUT, 50_000_000, 1000, window=0) is Fit.OUTSIDE
    assert talk.say(BACK, 1, 1000, ack=50_000_000) is Fit.OUTSIDE
    assert bytes(talk.window.state) == before


def test_judging_changes_nothing() -> None:
    talk = Talk()
    before = bytes(talk.window.state)
    assert talk.would(OUT, 1, 1000) is Fit.WITHIN
    assert bytes(talk.window.state) == before


def test_sender_that_ignores_the_window_does_not_shut_itself_out() -> None:
    """It begins at the limit and goes far beyond: its retransmissions are still within."""
    talk = Talk()
    limit = GENEROUS + 1
    talk.say(OUT, 1, GENEROUS)
    assert talk.say(OUT, limit, 65_000) is Fit.WITHIN
    assert talk.say(OUT, 1, 1) is Fit.WITHIN


def test_window_that_is_ignored_again_and_again_gets_no_wider_than_any_window_is() -> None:
    talk = Talk(scales=(14, 14))
    talk.say(BACK, 1, window=WIDE)
    for number in range(1, 1 << 30, 65_000):
        talk.say(OUT, number, 65_000)
    limit = 1 + (WIDE << 14)
    assert talk.say(OUT, limit, 65_000) is Fit.WITHIN
    end = limit + 65_000
    assert talk.would(OUT, end - (1 << 30)) is Fit.WITHIN
    assert talk.would(OUT, end - (1 << 30) - 1) is Fit.OUTSIDE


# Resets


def test_reset_is_exact_where_the_receiver_expects_it() -> None:
    talk = Talk()
    talk.say(BACK, 1, 3000)
    talk.say(OUT, 1, ack=2001)
    at = talk.at
    assert talk.window.reset_fits(BACK, at(BACK, 2001)) is Exactness.EXACT, "acknowledged last"
    assert talk.window.reset_fits(BACK, at(BACK, 3001)) is Exactness.EXACT, (
        "behind all that was sent"
    )
    assert talk.window.reset_fits(BACK, at(BACK, 2002)) is Exactness.IN_WINDOW
    end = 2001 + WIDE
    assert talk.window.reset_fits(BACK, at(BACK, end - 1)) is Exactness.IN_WINDOW
    assert talk.window.reset_fits(BACK, at(BACK, end)) is Exactness.OUTSIDE
    assert talk.window.reset_fits(BACK, at(BACK, 2000)) is Exactness.OUTSIDE
    assert talk.window.reset_fits(BACK, at(BACK, 1 << 31)) is Exactness.OUTSIDE


@given(start=NUMBERS, guess=NUMBERS)
def test_guessed_reset_is_exact_with_two_numbers_of_all(start: int, guess: int) -> None:
    talk = Talk(start)
    talk.say(OUT, 1, 700)
    expected = {talk.at(OUT, 1), talk.at(OUT, 701)}
    assert (talk.window.reset_fits(OUT, guess) is Exactness.EXACT) is (guess in expected)


@pytest.mark.parametrize("start", STARTS)
def test_reset_that_answers_a_syn_is_exact_by_what_it_acknowledges(start: int) -> None:
    window = Window()
    window.begin(OUT, start, wrap(start + 1), None, WIDE, None)
    assert window.reset_fits(BACK, 0, wrap(start + 1)) is Exactness.EXACT
    assert window.reset_fits(BACK, 0, start) is Exactness.OUTSIDE
    assert window.reset_fits(BACK, 0, None) is Exactness.OUTSIDE


def test_reset_after_a_syn_alone_is_exact_behind_it() -> None:
    window = Window()
    window.begin(OUT, 1000, 1001, None, WIDE, None)
    assert window.reset_fits(OUT, 1001) is Exactness.EXACT


@pytest.mark.parametrize("start", STARTS)
def test_own_reset_has_the_number_that_the_receiver_expects(start: int) -> None:
    talk = Talk(start)
    assert talk.window.expects(OUT) == talk.at(OUT, 1)
    talk.say(OUT, 1, 3000)
    talk.say(BACK, 1, 10, ack=2001)
    assert talk.window.expects(OUT) == talk.at(OUT, 2001)
    assert talk.window.sent(OUT) == talk.at(OUT, 3001)
    assert talk.window.expects(BACK) == talk.at(BACK, 1)
    assert talk.window.sent(BACK) == talk.at(BACK, 11)
    assert talk.window.reset_fits(OUT, talk.window.expects(OUT)) is Exactness.EXACT


def test_own_reset_to_who_waits_for_an_answer_to_its_syn_acknowledges_it() -> None:
    window = Window()
    window.begin(OUT, 1000, 1001, None, WIDE, None)
    assert window.sent(OUT) == 1001
    acknowledged = window.sent(OUT)
    assert window.reset_fits(BACK, window.expects(BACK), acknowledged) is Exactness.EXACT


def test_acknowledgments_do_not_go_back() -> None:
    talk = Talk()
    talk.say(OUT, 1, 3000)
    talk.say(BACK, 1, ack=2001)
    assert talk.say(BACK, 1, ack=1001) is Fit.WITHIN
    assert talk.window.expects(OUT) == talk.at(OUT, 2001)


def test_a_window_is_small() -> None:
    """A million of them have to fit; the allocator adds less than 16 bytes."""
    assert sys.getsizeof(Talk().window) <= 112
