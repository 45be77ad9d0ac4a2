"""The exception for faults that a user can fix."""


class UserError(Exception):
    """Invalid input. The message is the one line that the user sees: where, what is wrong, how to fix it."""
