"""What was found, told: to a person, to an editor or a server that reads SARIF, to a program.

================  =====================================================================================
``Report``        what is known of one example
``worst``         the verdict on several
``text``          a report as the command prints it
``head``          how it begins: the verdict, before it is known what makes it so
``patch``         the diff alone, with a reason for each change
``traced``        each statement of the backward: what it is the gradient at, from which step on it is not
``sarif``         reports as a SARIF 2.1.0 log
``relation``      what a wrong gradient is instead
================  =====================================================================================
"""

from bptt.checking.report.instead import relation
from bptt.checking.report.log import sarif
from bptt.checking.report.record import Report, Reports, worst
from bptt.checking.report.words import head, patch, text, traced

__all__ = ["Report", "Reports", "head", "patch", "relation", "sarif", "text", "traced", "worst"]
