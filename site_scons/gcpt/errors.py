"""The one exception for what a user can mend."""


class UserError(Exception):
    """Bad input. Its text is the one line that the user sees: what is wrong, where, how to mend it."""
