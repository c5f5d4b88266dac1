"""What is left out where an optional package is missing."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["src/bptt/torch/*"]
