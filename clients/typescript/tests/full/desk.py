"""A gate as a process, for the tests: each line of its standard input calls a method of `Gate` in `run.py`."""

import json
import sys
import tempfile
from pathlib import Path

program, repository, scenario = sys.argv[1:]
sys.path.insert(0, str(Path(repository) / "conformance"))

from run import Gate  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    gate = Gate(program, Path(folder), json.loads(scenario))
    print(json.dumps(gate.url), flush=True)
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        print(json.dumps(getattr(gate, method)(*arguments)), flush=True)
    gate.stop()
