"""Tables: files with named columns, and how the values of a column become numbers."""

from bptt.data.tables.coding import Category, Number
from bptt.data.tables.delimited import Delimited
from bptt.data.tables.files import Table, read_table
from bptt.data.tables.forms import Added

__all__ = ["Added", "Category", "Delimited", "Number", "Table", "read_table"]
