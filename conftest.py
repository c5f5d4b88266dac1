"""What is left out where an optional package is missing."""

from importlib.util import find_spec

OF_TORCH = ["src/bptt/torch/*", "src/bptt/bench/with_layers.py", "tests/helpers/trained_in_processes.py"]

collect_ignore_glob = [] if find_spec("torch") else OF_TORCH
