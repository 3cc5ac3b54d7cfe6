"""Has Microsoft's own parser of TMDL read the report's model and write it again; what it writes must be what
it read. By hand, since its terms are those of a preview: report/README.md says how."""

import filecmp
import json
import subprocess
import sys
import tempfile
from pathlib import Path

server = sys.argv[1]
model = Path(__file__).resolve().parents[2] / "report/ApprovalOversight.SemanticModel/definition"
process = subprocess.Popen(
    [server, "--start", "--skipconfirmation"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
)


def send(message):
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


def call(number, method, params):
    send({"id": number, "method": method, "params": params})
    for line in process.stdout:
        answer = json.loads(line)
        if answer.get("id") == number:
            if "error" in answer or answer["result"].get("isError"):
                sys.exit(json.dumps(answer, indent=2))
            return answer["result"]
    sys.exit("it ended without an answer")


def tool(number, name, **request):
    said = call(number, "tools/call", {"name": name, "arguments": {"request": request}})
    said = json.loads(said["content"][0]["text"])
    if "data" not in said:
        sys.exit(json.dumps(said, indent=2))
    return said


client = {"name": "tmdl", "version": "1"}
call(1, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
send({"method": "notifications/initialized"})
print(tool(2, "connection_operations", operation="ConnectFolder", folderPath=str(model))["message"])
with tempfile.TemporaryDirectory() as folder:
    tool(3, "database_operations", operation="ExportToTmdlFolder", tmdlFolderPath=folder)
    names = lambda root: sorted(str(path.relative_to(root)) for path in root.rglob("*.tmdl"))
    if names(model) != names(Path(folder)):
        sys.exit(f"it wrote {names(Path(folder))}")
    for name in names(model):
        if not filecmp.cmp(model / name, Path(folder) / name, shallow=False):
            sys.exit(f"it writes {name} otherwise")
        print(f"{name}: as it was")
process.stdin.close()
process.wait()
