"""The exception a user is meant to read, and those of its kinds that programs must tell apart."""


class VivantError(Exception):
    """A job failed for a reason the user can act on.

    The message is one or two plain sentences: what is wrong, and what to do next. The command line prints it
    and exits with code 1; the service sends it to the client. Anything else that escapes is a bug in Vivant.
    """

    code = "failed"  # for programs: one of `wire.errors.CODES`


class NoPersonError(VivantError):
    """Nobody was found in the photo."""

    code = "no_person"


class DivergedError(VivantError):
    """The optimisation left the numbers."""

    code = "diverged"
