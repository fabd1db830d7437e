"""The exception for problems that a person has to solve. The developer's tools use it too."""


class Unusable(Exception):
    """A problem that a person has to solve before the program can run; its text is the one line that is printed."""
