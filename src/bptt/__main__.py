"""``python -m bptt``: the command, where its script is not on the path."""

from bptt_command import main

main()
