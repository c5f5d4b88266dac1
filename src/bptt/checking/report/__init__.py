"""What was found, told: to a person, to an editor or a server that reads SARIF, to a program."""

from bptt.checking.report.log import sarif
from bptt.checking.report.record import Report, Reports, worst
from bptt.checking.report.words import head, patch, relation, text, traced

__all__ = ["Report", "Reports", "head", "patch", "relation", "sarif", "text", "traced", "worst"]
