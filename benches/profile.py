"""Says where the processor time of an approval goes: `scripts/profile` builds what this runs.

Each program that is named is measured in the same run: the instructions and the system calls of one life, and its
processor time; of the last one also the causes, with a flame graph. `--write` puts them into docs/performance.md.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs/performance.md"
BENCH = ROOT / "benches/target/release/human-oversight-bench"

# The first that fits a frame, from the innermost outwards; frames of the kernel are seen only by the first list.
IN_KERNEL = [
    ("kernel: sockets", r"^(tcp_|inet_|sock_|__sys_(sendto|recvfrom|accept))"),
    ("kernel: waiting and waking", r"^(eventfd_|futex_|do_futex|ep_|do_epoll|__x64_sys_(futex|epoll))"),
    ("kernel: log and files of emails", r"^(pipe_|__x64_sys_(write|openat|rename|mkdir|close|statx))"),
    ("kernel: disk and locks of the store", r"^__x64_sys_(fdatasync|fsync|pread64|pwrite64|fcntl|ftruncate)"),
    ("kernel: memory", r"^(asm_exc_page_fault|__x64_sys_(mprotect|madvise|brk|mmap|munmap))"),
]
KERNEL = r"^(entry_SYSCALL|asm_|ret_from_fork|__x64_sys)"
CAUSES = [
    ("memory", r"^(_?mi_\w+|_int_\w+|malloc\w*|cfree|free|realloc|calloc|__mem\w+|unlink_chunk\w*|sysmalloc)"),
    ("log", r"^(tracing\w*|sharded_slab|matchers|thread_local)\b"),
    ("SHA-256 and HMAC", r"^ring::(digest|hmac)|sha256"),
    ("signatures", r"ring::(ec|signature|limb)|25519|_ge_|^ge_|^fe_|fiat_|sha512|p256|bn_"),
    ("JSON", r"^(serde_json|serde|serde_core|serde_json_canonicalizer|ryu\w*|zmij|itoa)\b"),
    ("SQLite", r"^(sqlite3|rusqlite|libsqlite3|json[A-Z]|wal[A-Z]|pager|btree|balance|moveTo|getPage)"),
    ("pages and emails", r"^(human_oversight::(render|mailer)|lettre|askama|similar|quoted_printable|email_encoding)"),
    ("what content reads like", r"^(human_oversight::(content|reveal)|unicode\w*)"),
    ("HTTP", r"^(hyper|hyper_util|axum|axum_core|http|httparse|tower|tower_\w+|matchit)\b"),
    ("scheduler", r"^(tokio|mio|parking_lot\w*)\b"),
    ("the gate's own code", r"^human_oversight"),
]
# Frames that say nothing about the cause.
PLUMBING = r"^(core|std|alloc|tokio|futures\w*|axum|axum_core|tower\w*|hyper|hyper_util|http|mio|__libc\w*|_start|start_thread|clone\w*|main|entry_\w+|do_syscall_64|x64_sys_call|__GI_\w+|asm_\w+)\b|^\[unknown\]$"


class Gate:
    """A gate that runs, with its emails in memory as in scripts/bench."""

    def __init__(self, program, under=()):
        self.dir, self.mail = tempfile.TemporaryDirectory(), tempfile.TemporaryDirectory(dir="/dev/shm")
        env = {
            "PATH": os.environ["PATH"], "HO_PORT": "0", "HO_STORE": f"embedded:{self.dir.name}",
            "HO_MAIL": f"file:{self.mail.name}", "HO_OPEN_LIMIT": "10000", "HO_SWEEP_SECONDS": "86400",
            "HO_MAIL_BUDGET": "off", "HO_OWNER_BUDGET": "off", "HO_POLICY_BUDGET": "off",
        }
        self.log = Path(self.dir.name) / "log"
        self.process = subprocess.Popen([*under, program], env=env, stdin=subprocess.DEVNULL, stdout=self.log.open("w"))
        while not (url := re.search(r'url="http://127.0.0.1:(\d+)', self.log.read_text())):
            assert self.process.poll() is None, "the gate has ended"
            time.sleep(0.01)
        self.port = url[1]

    def live(self, connections, number):
        subprocess.run([BENCH, "lives", self.port, self.mail.name, str(connections), str(number)], check=True)

    def ticks(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.dir.cleanup()
        self.mail.cleanup()


def instructions(program):
    """Of one life, one at a time, as in the test `an_approval_takes_the_recorded_instructions`."""
    counted = []
    for lives in (10, 50):
        with tempfile.NamedTemporaryFile("r") as log:
            gate = Gate(program, ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log.name}"])
            gate.live(1, lives)
            gate.stop()
            counted.append(int(re.search(r"Collected : (\d+)", log.read())[1]))
    return (counted[1] - counted[0]) / 40


def attached(gate, tool, connections, number):
    """Runs lives while a tool is attached; returns what it reports when it is interrupted."""
    process = subprocess.Popen(tool, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(1)
    gate.live(connections, number)
    process.send_signal(signal.SIGINT)
    return process.communicate()[0]


def system_calls(program, connections):
    gate, number = Gate(program), 200 // connections
    gate.live(connections, 3)
    text = attached(gate, ["strace", "-f", "-c", "-U", "calls,name", "-p", str(gate.process.pid)], connections, number)
    gate.stop()
    rows = re.findall(r"^\s*(\d+) (\w+)$", text, flags=re.M)
    return {name: int(calls) / (number * connections) for calls, name in rows if name != "total"}


def frame(text):
    """The name of a frame: a system call, a function of the gate, or the crate of another."""
    text = re.sub(r"\+0x[0-9a-f]+$", "", text)
    text = re.sub(r"::h[0-9a-f]{16}$|\{\{?closure[^}]*\}\}?|::\{shim[^}]*\}", "", text)
    if text.startswith("<"):
        text = re.sub(r"^<(?:.* as )?([\w:]+).*?>::", r"\1::", text) if " as " in text and "human_oversight" not in text.split(" as ")[0] \
            else re.sub(r"^<(?:&|mut |dyn |\[)*([\w:]+).*?>::", r"\1::", text)
    text = re.sub(r"<[^<>]*>", "", re.sub(r"<[^<>]*>", "", re.sub(r"<[^<>]*>", "", text)))
    return re.sub(r":{2,}", "::", text).rstrip(":")


def profile(program, connections, number, warm):
    """Samples of stacks, outermost frame first, and the processor milliseconds of a life."""
    gate = Gate(program)
    gate.live(connections, warm)
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf"
        before = gate.ticks()
        attached(gate, ["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "--call-graph", "dwarf,16384", "-o", data,
                        "-p", str(gate.process.pid)], connections, number)
        each = (gate.ticks() - before) * 10 / (connections * number)
        gate.stop()
        text = subprocess.run(["perf", "script", "-i", data, "--no-inline", "-F", "ip,sym"], capture_output=True, text=True).stdout
    stacks = []
    for sample in text.split("\n\n"):
        frames = [line.strip().split(" ", 1)[-1] for line in sample.splitlines() if line.strip()]
        if frames:
            stacks.append([frame(it) for it in reversed(frames)])
    return stacks, each


def cause(stack):
    if any(re.search(KERNEL, name) for name in stack):
        for what, pattern in IN_KERNEL:
            if any(re.search(pattern, name) for name in stack):
                return what
        return "kernel: the rest"
    for name in reversed(stack):
        for what, pattern in CAUSES:
            if re.search(pattern, name):
                return what
    return "what has no name"


def causes(stacks):
    counted = Counter(cause(stack) for stack in stacks)
    return {what: counted[what] / len(stacks) for what, _ in counted.most_common()}


def short(stack):
    """What a flame graph shows of a stack."""
    shown = []
    for name in stack:
        if call := re.match(r"(?:__x64|k)_?(sys_\w+)", name):
            return [*shown, call[1]]
        if re.search(PLUMBING, name):
            continue
        name = re.sub(r"^human_oversight::", "", name) if name.startswith("human_oversight::") else name.split("::")[0]
        if not shown or shown[-1] != name:
            shown.append(name)
    return shown or ["scheduler"]


def flame(stacks, title):
    root = {}
    for stack in stacks:
        level = root
        for name in short(stack):
            node = level.setdefault(name, [0, {}])
            node[0] += 1
            level = node[1]
    out, depths = [], [0]

    def draw(level, x, depth):
        for name, (count, below) in sorted(level.items()):
            width = count / len(stacks) * 980
            if width >= 4:
                depths.append(depth)
                colour = "#d08030" if name.startswith("sys_") else "#f0c040" if "::" in name else "#80a8d8"
                shown = name[: int(width / 6)] if width > 30 else ""
                out.append(f'<g><title>{name}: {count / len(stacks):.1%}</title><rect x="{x:.1f}" y="{26 + depth * 17}" '
                           f'width="{width - 0.5:.1f}" height="16" fill="{colour}"/>'
                           f'<text x="{x + 2:.1f}" y="{38 + depth * 17}">{shown}</text></g>')
                draw(below, x, depth + 1)
            x += width

    draw(root, 10, 0)
    height = 50 + max(depths) * 17
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 {height}" font-family="monospace" font-size="10" role="img">',
        f"<title>{title}</title>",
        f'<rect width="1000" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="18" font-size="13" font-weight="bold">{title}</text>',
        *out, "</svg>\n",
    ])


def table(heads, columns, digits, least):
    """A row for each name that has at least `least` in a column, the largest first."""
    names = sorted({name for of in columns for name in of}, key=lambda name: -max(of.get(name, 0) for of in columns))
    yield f"| {' | '.join(heads)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for name in names:
        values = [of.get(name, 0) for of in columns]
        if max(values) >= least:
            yield f"| {name} | {' | '.join(f'{value:.{digits}f}' for value in values)} |"


def main():
    arguments = [it for it in sys.argv[1:] if it != "--write"]
    names = arguments
    heads = ["before", "now"][-len(names):]
    totals, calls = {}, []
    for program, head in zip(arguments, heads):
        one, many = system_calls(program, 1), system_calls(program, 32)
        calls += [one, many]
        last, each = profile(program, 32, 40, 5)
        spent = {what: share * each * 1e3 for what, share in causes(last).items()}
        totals[head] = (instructions(program), sum(one.values()), sum(many.values()), each * 1e3)
    blocks = {
        "spent": [*table(["cause", "µs of processor time for each approval"], [spent], 0, 5)],
        "calls": [*table(["system calls for each approval", *(f"{head}, {c}" for head in heads for c in ("1", "32 at once"))],
                         calls, 1, 0.3)],
        "counted": ["| for each approval | instructions | system calls, 1 | 32 at once | µs, 32 at once |", "|---|---:|---:|---:|---:|",
                    *(f"| {head} | {it[0]:,.0f} | {it[1]:.0f} | {it[2]:.0f} | {it[3]:,.0f} |" for head, it in totals.items())],
    }
    for name, lines in blocks.items():
        print("\n".join(lines), end="\n\n")
    picture = flame(last, "Where the processor time of an approval goes, 32 at once")
    if "--write" in sys.argv:
        text = DOC.read_text()
        for name, lines in blocks.items():
            block = "\n".join(lines)
            text, found = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{block}\n{m[2]}", text, flags=re.S)
            assert found == 1, name
        DOC.write_text(text)
        (ROOT / "docs/performance/flame.svg").write_text(picture)


main()
