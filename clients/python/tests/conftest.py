"""The gate that the tests run against: `HO_GATE`, or the one that cargo has built."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
sys.path.insert(0, str(REPOSITORY / "conformance"))

from run import Gate as RealGate  # noqa: E402


@pytest.fixture(scope="session")
def program() -> str:
    path = os.environ.get("HO_GATE", str(REPOSITORY / "target/debug/human-oversight"))
    assert Path(path).is_file(), f"{path}: build the gate with cargo build, or set HO_GATE"
    return path


@pytest.fixture
def real(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealGate]:
    """A gate as a process, whose emails a test reads and whose forms it posts. The environment names it."""
    gate = RealGate(program, tmp_path)
    monkeypatch.setenv("HO_URL", gate.url)
    monkeypatch.setenv("APPROVER_EMAILS", "alice@example.com")
    monkeypatch.setattr("human_oversight.gate._of_environment", None)
    yield gate
    gate.stop()
