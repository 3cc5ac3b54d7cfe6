"""The README's examples, as they are installed: run by `scripts/clients` in a fresh environment, and by the tests."""

import re
from pathlib import Path

from human_oversight import Gate
from human_oversight.mock import MockGate

README = (Path(__file__).parents[1] / "README.md").read_text()


def main() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 3, "the README has its examples"
    for block in blocks:
        with MockGate().gate.scope() as gate:
            exec(block, {"__name__": "readme", "gate": gate})


if __name__ == "__main__":
    main()
    assert isinstance(Gate, type)
