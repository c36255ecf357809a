"""How a long step tells how far it has come."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Called with one line for a person, now and then."""
