"""What a user can get wrong."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the input (file, key or value) and the cure. Commands print it without a traceback and exit 2.
    """
