"""How a command ends, for scripts: the exit statuses of all verbs, and their words for `--help`.

A verb that has more to say says so in its own help, within these: `replay` ends with 1 where
something differs from what is expected, and with 2 where something could not be replayed; so does
`diff`, where a configuration would change something, and where that can not be said.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses. From `NOT_PREPARED` on they are of `run`, as of `docker run`."""

    DONE = 0
    FAILED = 1
    """It could not be done, and stderr says why, in a line for each reason."""
    USAGE = 2
    """The command line is wrong; nothing was done (click's own status for that)."""
    NOT_PREPARED = 125
    """The switch could not prepare a place for the command."""
    NOT_EXECUTABLE = 126
    """The command is there, but can not be executed."""
    NOT_FOUND = 127
    """There is no such command."""
    SIGNALLED = 128
    """And the number of the signal that ended the command."""

    @classmethod
    def of_refused_exec(cls, error: OSError) -> Exit:
        """How `run` and `exec` end where the command can not be begun."""
        return cls.NOT_FOUND if isinstance(error, FileNotFoundError) else cls.NOT_EXECUTABLE


IN_WORDS = (
    f"Exit status: {Exit.DONE:d} done; {Exit.FAILED:d} it could not be done, and stderr says why; "
    f"{Exit.USAGE:d} the command line is wrong. [bold]run[/bold] ends as its command does: "
    f"{Exit.NOT_PREPARED:d} no place could be prepared for it, {Exit.NOT_EXECUTABLE:d} it can not "
    f"be executed, {Exit.NOT_FOUND:d} there is no such command, {Exit.SIGNALLED:d} and more a "
    "signal ended it."
)
