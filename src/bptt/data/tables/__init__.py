"""Tables: files with named columns, and how the values of a column become numbers."""

from bptt.data.tables.coding import Category, Number, Numbers
from bptt.data.tables.delimited import Delimited
from bptt.data.tables.files import Given, Table, read_table, table_of
from bptt.data.tables.folders import read_folder
from bptt.data.tables.forms import Added

__all__ = [
    "Added",
    "Category",
    "Delimited",
    "Given",
    "Number",
    "Numbers",
    "Table",
    "read_folder",
    "read_table",
    "table_of",
]
