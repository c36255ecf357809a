"""Where questions still look for these; it goes with the last who imports it."""

from alsriaz.questions.tally import OTHER, SEVERAL, Tally

__all__ = ["OTHER", "SEVERAL", "Tally"]
