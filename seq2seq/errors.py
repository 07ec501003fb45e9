"""The one error for what a person can mend."""


class InputError(Exception):
    """Bad input: the message names the file, line or key, says what was found and what would do.

    The programs print the message as one line and exit with status 2; it never carries a traceback to the prompt.
    What is our own mistake is an `assert`, not an `InputError`.
    """
