"""Everything that bptt raises on purpose.

::

    BpttError                  one base: ``except bptt.BpttError`` catches them all
    ├── ShapeError             an array's shape or dtype is not what the equations ask for
    ├── ConfigError            an option, a name or a combination of options that means nothing
    ├── DataError              a text, a corpus or a token that cannot be used
    ├── RunError               a run folder or a checkpoint that cannot be read or written
    └── DivergedError          the loss is no longer finite

    BpttWarning                what is to be known and stops nothing; the command prints it as a line
    └── ZeroGradientWarning    a gate or a parameter that does not learn, which is allowed and seldom meant

Each message names what was given, what was wanted and the way out. On the command line it is printed
as one line and the exit code is 2 (1 for DivergedError: the command ran, and the answer is no).
"""


class BpttError(Exception):
    """Base of all errors that bptt raises on purpose."""


class ShapeError(BpttError, ValueError):
    """An array's shape or dtype is not what the equations ask for."""


class ConfigError(BpttError, ValueError):
    """An option, a name or a combination of options that means nothing."""


class DataError(BpttError, ValueError):
    """A text, a corpus or a token that cannot be used."""


class RunError(BpttError):
    """A run folder or a checkpoint that cannot be read or written."""


class DivergedError(BpttError, ArithmeticError):
    """The loss is no longer finite."""


class BpttWarning(UserWarning):
    """What is to be known and stops nothing."""


class ZeroGradientWarning(BpttWarning):
    """A gate's or a parameter's gradient is zero whatever the numbers are: it does not learn."""
