"""Series: values in equal steps of time, and windows of them from which the next are forecast."""

from bptt.data.series.clock import Clock, Step
from bptt.data.series.columns import Columns
from bptt.data.series.panel import Gaps, Panel, read_panel
from bptt.data.series.windows import OWN_INPUTS, Origins, Scaling, WindowBatches, Windowed, Windows

__all__ = [
    "OWN_INPUTS",
    "Clock",
    "Columns",
    "Gaps",
    "Origins",
    "Panel",
    "Scaling",
    "Step",
    "WindowBatches",
    "Windowed",
    "Windows",
    "read_panel",
]
