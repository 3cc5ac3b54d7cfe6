"""Writes the figures of a run of scripts/bench into docs/performance.md, and draws its plots."""

import json
import math
import platform
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs/performance.md"
PLOTS = ROOT / "docs/performance"
BLUE, GREY, INK = "#0050b8", "#8a8a8a", "#333333"


def spread(of, digits=1):
    median, low, high = of
    return f"{median:,.{digits}f} ({low:,.{digits}f} … {high:,.{digits}f})"


def verdict(is_met):
    return "reached" if is_met else "**missed**"


def targets(f):
    one, many = f["c1"], f["c32"]
    resume = f["resume"]["1 s poller ms"][0] / f["resume"]["gate ms"][0]
    start = f["start"]["gate ms"][0] / f["start"]["bare ms"][0]
    waiting = f["waiting"]
    binary = (ROOT / "target/release/human-oversight").stat().st_size / 1e6
    rows = [
        ("CPU time per approval, 32 concurrent: times less", "3", spread(many["times less CPU"]),
         many["times less CPU"][0] >= 3),
        ("approvals per second, 32 concurrent: times as many", "4", spread(many["times as many lives"]),
         many["times as many lives"][0] >= 4),
        ("the same, 1 at a time", "–", spread(one["times as many lives"]), None),
        ("time from the decision until the waiting agent continues, median, ms", "5", spread(f["resume"]["gate ms"], 2),
         f["resume"]["gate ms"][0] <= 5),
        ("the same: times sooner than an agent that polls every second", "100", f"{resume:,.0f}", resume >= 100),
        ("time from the start to the first response: multiple of a bare server's", "3", f"{start:.1f}", start <= 3),
        ("CPU time until then, ms (resolution 10)", "50", spread(f["start"]["gate CPU ms"], 0),
         f["start"]["gate CPU ms"][0] < 50),
        ("memory when idle, MiB", "12", f"{waiting['idle KiB'] / 1024:.1f}", waiting["idle KiB"] <= 12 * 1024),
        ("memory per agent, with 1,000 waiting, KiB", "32", f"{waiting['KiB per waiting agent']:.1f}",
         waiting["KiB per waiting agent"] <= 32),
        ("CPU usage while they wait, %", "0", f"{waiting['CPU %']:.1f}", waiting["CPU %"] < 0.5),
        ("status reads: share of a bare server's throughput", "45 %", f"{f['status']['of bare'][0] * 100:.0f} %",
         f["status"]["of bare"][0] >= 0.45),
        ("CPU time of a call with the store in tables, ms", "0.7", spread(f["tables"]["CPU ms of a call"], 2),
         f["tables"]["CPU ms of a call"][0] <= 0.7),
        ("evaluation of the largest policy, 500 rules that all apply, ms", "1", spread(f["policy"]["evaluation ms"], 2),
         f["policy"]["evaluation ms"][0] < 1),
        ("size of the binary, MB", "12", f"{binary:.1f}", binary <= 12),
    ]
    yield "| figure | target | measured | |"
    yield "|---|---:|---:|---|"
    for name, target, measured, is_met in rows:
        yield f"| {name} | {target} | {measured} | {'' if is_met is None else verdict(is_met)} |"


def absolute(f):
    yield "| | gate | hand-rolled |"
    yield "|---|---:|---:|"
    for c in ("1", "32"):
        of = f[f"c{c}"]
        yield f"| approvals per second, {c} concurrent | {spread(of['gate lives/s'])} | {spread(of['hand-rolled lives/s'])} |"
        yield f"| CPU ms per approval, {c} concurrent | {spread(of['gate CPU ms'], 2)} | {spread(of['hand-rolled CPU ms'], 2)} |"
    resume = f["resume"]
    yield (f"| decision → the agent continues, ms | {spread(resume['gate ms'], 2)} "
           f"| {spread(resume['1 s poller ms'], 0)}, polling every second |")
    yield ""
    yield (f"The disk here takes {f['disk']['durable writes/s']:,.0f} sequential durable writes per second. "
           f"A bare server starts in {spread(f['start']['bare ms'])} ms, the gate in {spread(f['start']['gate ms'])} ms. "
           f"It serves {spread(f['status']['bare/s'], 0)} status reads per second, the gate {spread(f['status']['gate/s'], 0)}.")


def sizes(f):
    yield "| | rows | submit, ms | status, ms | sweep, ms |"
    yield "|---|---:|---:|---:|---:|"
    for name, what in (("history", "finished"), ("open", "open, none due")):
        for size in f[name]:
            yield (f"| {what} | {size['rows']:,} | {size['submit ms']:.2f} | {size['status ms']:.2f} "
                   f"| {size['sweep ms']:.2f} |")


def due(f):
    yield "| due at once | seconds | per request, ms | sweeps | longest, s |"
    yield "|---:|---:|---:|---:|---:|"
    for of in f["due"]:
        yield (f"| {of['rows']:,} | {of['s']:.2f} | {of['s'] / of['rows'] * 1e3:.2f} | {of['sweeps']} "
               f"| {of['longest s']:.1f} |")


def cases(f):
    alone, many = f["cases"], f["cases among many"]
    yield f"| approval, 8 concurrent | CPU ms | among {many['open']:,} open requests |"
    yield "|---|---:|---:|"
    for name, key in (("nothing decided before", "plain"), ("50 kept decisions, of which the page tells", "precedent"),
                      ("by two of a policy's group: two emails, pages and forms", "quorum")):
        yield f"| {name} | {spread(alone[f'{key} CPU ms'], 2)} | {spread(many[f'{key} CPU ms'], 2)} |"
    yield ""
    yield "| open requests of a person | the list, ms | CPU ms |"
    yield "|---:|---:|---:|"
    for of in f["lists"]:
        yield f"| {of['rows']:,} | {spread(of['list ms'], 1)} | {of['CPU ms']:.1f} |"
    yield ""
    yield "| kept decisions of other agents | the page with 50 of its own, ms |"
    yield "|---:|---:|"
    for of in f["precedents"]:
        yield f"| {of['rows']:,} | {of['page ms']:.2f} |"


def machine():
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    cpus = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.+)", cpus)
    yield (f"Measured on {date.today()} at commit `{commit.stdout.strip()}`, {platform.system()} on "
           f"{cpus.count('processor')} processors ({model[1] if model else platform.machine()}), with everything, including "
           "the load generator, on one machine. Figures are the medians of the rounds, with minimum and maximum.")


def bars(f):
    """Approvals per second, with the spread of the rounds."""
    groups = [("1 concurrent", f["c1"]), ("32 concurrent", f["c32"])]
    top = max(of["gate lives/s"][2] for _, of in groups)
    out = []
    for g, (name, of) in enumerate(groups):
        for n, (key, colour) in enumerate((("gate", BLUE), ("hand-rolled", GREY))):
            median, low, high = of[f"{key} lives/s"]
            y = 40 + g * 90 + n * 34
            width = [value / top * 430 for value in (median, low, high)]
            out.append(f'<rect x="150" y="{y}" width="{width[0]:.1f}" height="24" fill="{colour}"/>')
            out.append(f'<path d="M{150 + width[1]:.1f} {y + 12} H{150 + width[2]:.1f}" stroke="{INK}" stroke-width="2"/>')
            out.append(f'<text x="{158 + width[2]:.1f}" y="{y + 17}">{median:,.0f}</text>')
            out.append(f'<text x="142" y="{y + 17}" text-anchor="end">{key}</text>')
        out.append(f'<text x="10" y="{40 + g * 90 - 6}" font-weight="bold">{name}</text>')
    return svg("Approvals per second", 650, 220, out)


def lines(title, series, y_label):
    """A plot with logarithmic axes."""
    points = [point for _, _, line in series for point in line]
    lx = [math.log10(x) for x, _ in points]
    ly = [math.log10(y) for _, y in points]
    x0, x1, y0, y1 = min(lx), max(lx), math.floor(min(ly)), math.ceil(max(ly))

    def at(x, y):
        return (70 + (math.log10(x) - x0) / (x1 - x0) * 400, 230 - (math.log10(y) - y0) / (y1 - y0) * 180)

    out = []
    for power in range(y0, y1 + 1):
        _, y = at(10**x0, 10**power)
        out.append(f'<path d="M70 {y:.1f} H470" stroke="#dddddd"/>')
        out.append(f'<text x="62" y="{y + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    for power in range(math.ceil(x0), math.floor(x1) + 1):
        x, _ = at(10**power, 10**y0)
        out.append(f'<text x="{x:.1f}" y="248" text-anchor="middle">{10**power:,}</text>')
    for name, colour, line in series:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = at(*line[-1])
        out.append(f'<text x="{x + 6:.1f}" y="{y + 4:.1f}" fill="{colour}">{name}</text>')
    out.append(f'<text x="70" y="40">{y_label}</text>')
    return svg(title, 650, 262, out)


def svg(title, width, height, content):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="12" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="18" font-size="14" font-weight="bold">{title}</text>',
        *content,
        "</svg>\n",
    ])


def main():
    figures = json.loads(Path(sys.argv[1]).read_text())
    text = DOC.read_text()
    for name, made in {"machine": machine, "targets": targets, "absolute": absolute, "sizes": sizes, "due": due,
                       "cases": cases}.items():
        block = "\n".join(made() if name == "machine" else made(figures))
        text, found = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{block}\n{m[2]}", text, flags=re.S)
        assert found == 1, name
    DOC.write_text(text)
    PLOTS.mkdir(exist_ok=True)
    (PLOTS / "lives.svg").write_text(bars(figures))
    of = {
        (name, what): [(size["rows"], size[f"{what} ms"]) for size in figures[name]]
        for name in ("history", "open")
        for what in ("submit", "status", "sweep")
    }
    series = [
        ("submit, history", BLUE, of["history", "submit"]),
        ("status, history", GREY, of["history", "status"]),
        ("sweep, open", "#c04000", of["open", "sweep"]),
    ]
    (PLOTS / "size.svg").write_text(lines("Latency and table size", series, "ms, by number of rows"))


main()
