"""Every error that somebody can fix, by whose it is.

    BaseException
    `-- Stopped                SIGTERM or Ctrl-C: nobody's fault, but the work is not done

    AlsriazError               by itself: not the caller's, such as a Spark that does not start
    `-- CallerError            the caller can fix it
        |-- SpecError          a setting of the training run, or of the server
        |-- DataError          the sales files, or the table of items
        |-- ModelError         a model folder that can't be used
        |-- BadValue           a value in a request, in rules or in settings; names the field
        `-- RequestError       a request that can't be answered although its values are good; carries a code

Anything else that is raised is our own defect. Exit statuses and HTTP statuses are for the edges to decide: see
`training.main` and `serving.wire`.
"""


class AlsriazError(Exception):
    """Base of all errors that carry a sentence for a person."""


class CallerError(AlsriazError):
    """Something the caller gave can't be used. The message names it, quotes it and says what to do."""


class SpecError(CallerError):
    """A setting is unknown, mistyped, out of range, or contradicts another."""


class DataError(CallerError):
    """The sales files, or the table of items, can't be found or can't be read, or leave too little to learn from."""


class ModelError(CallerError):
    """A model folder is missing, unfinished, damaged, or of another format version."""


class BadValue(CallerError):
    """A value is missing, unknown, mistyped, out of range, or contradicts another one.

    Attributes:
        field: the path that leads to the value, for example ``include.items[3]``.
        fault: ``missing_field``, ``unknown_field`` or ``bad_value``.
    """

    def __init__(self, field: str, message: str, fault: str = "bad_value") -> None:
        """Take the path, a whole sentence, and what is wrong."""
        super().__init__(message)
        self.field = field
        self.fault = fault


class RequestError(CallerError):
    """A request, or one record of it, can't be answered."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        """Take the error's `code`, which clients tell errors apart by, and the path of the field at fault."""
        super().__init__(message)
        self.code = code
        self.field = field


class Stopped(BaseException):
    """The process was asked to end before its work was done.

    Not an Exception, like KeyboardInterrupt: a library that catches what it can't explain must let it pass.
    """

    def __init__(self, signal_number: int) -> None:
        """Take the signal that asked."""
        super().__init__(f"stopped by signal {signal_number} before the work was done")
        self.signal_number = signal_number
