"""Every error that is somebody's to mend, by whose it is.

    BaseException
    `-- Stopped                SIGTERM or Ctrl-C: nobody's fault, but the work is not done

    AlsriazError               alone: not the caller's, such as a Spark that does not start
    `-- CallerError            the caller can fix it: train and serve exit 1, HTTP answers 4xx
        |-- SpecError          a setting of the training run, or of the server
        |-- DataError          the sales files
        |-- ModelError         a model folder that can't be used
        |-- RuleError          include and exclude rules; names the field
        `-- RequestError       an HTTP request; carries a code and the field

Anything else that is raised is our own defect: exit 2, HTTP 500.
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


class RuleError(CallerError):
    """An include or exclude rule is malformed or contradicts another one."""

    def __init__(self, field: str, message: str) -> None:
        """Name the rule by `field`, its path in the rules object, for example ``include.items[3]``."""
        super().__init__(message)
        self.field = field


class RequestError(CallerError):
    """An HTTP request, or one record of a batch, can't be answered."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        """Take the error's `code` (its HTTP status stands in ``serving.wire.STATUS``) and the field at fault."""
        super().__init__(message)
        self.code = code
        self.field = field


class Stopped(BaseException):
    """The process was asked to end before its work was done.

    No Exception, like KeyboardInterrupt: a library that catches what it can't explain must let it pass.
    """

    def __init__(self, signal_number: int) -> None:
        """Take the signal that asked."""
        super().__init__(f"stopped by signal {signal_number} before the work was done")
        self.signal_number = signal_number
