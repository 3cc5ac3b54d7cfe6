//! The gate beside a hand-rolled alternative. `scripts/bench` builds all of it and runs this.

mod cases;
mod life;
mod list;
mod measure;
mod policy;
mod process;
mod tables;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use life::{Kind, live_times};
use measure::{Programs, Spread, Throughput};
use serde_json::json;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .with_context(|| format!("{name} is not set"))
    };
    match arguments.first().map(String::as_str) {
        form @ (Some("all") | Some("quick") | Some("features")) => {
            let (gate, bare, python, peer, azurite) = (
                path("BENCH_GATE")?,
                path("BENCH_BARE")?,
                path("BENCH_PYTHON")?,
                path("BENCH_PEER")?,
                path("BENCH_AZURITE")?,
            );
            let programs = Programs {
                gate: &gate,
                bare: &bare,
                python: &python,
                peer: &peer,
                azurite: &azurite,
            };
            if form == Some("features") {
                let mut figures = json!({});
                return features(&programs, false, &mut figures).await;
            }
            all(&programs, form == Some("quick")).await
        }
        Some("lives") => lives(&arguments[1..]).await,
        _ => bail!("all, quick, features, or lives PORT MAILS CONNECTIONS NUMBER"),
    }
}

/// Runs this number of lives on each connection, at a gate that runs already: for `benches/profile.py`.
async fn lives(arguments: &[String]) -> anyhow::Result<()> {
    let [port, mails, connections, number] = arguments else {
        bail!("lives PORT MAILS CONNECTIONS NUMBER");
    };
    let kind = Kind::Gate(PathBuf::from(mails));
    let number = number.parse()?;
    live_times(&kind, port.parse()?, connections.parse()?, number).await
}

/// Prints each figure when it is measured, and all of them as JSON at the end.
async fn all(programs: &Programs<'_>, quick: bool) -> anyhow::Result<()> {
    let rounds = if quick {
        (2, Duration::from_secs(1))
    } else {
        (5, Duration::from_secs(4))
    };
    let mut figures = json!({});
    for connections in [1, 32] {
        let of = measure::throughput(programs, connections, rounds).await?;
        let Throughput {
            gate,
            hand_rolled,
            ratio,
        } = of;
        figures[format!("c{connections}")] = json!({
            "gate lives/s": spread(gate.0), "gate CPU ms": spread(gate.1),
            "hand-rolled lives/s": spread(hand_rolled.0), "hand-rolled CPU ms": spread(hand_rolled.1),
            "times as many lives": spread(ratio.0), "times less CPU": spread(ratio.1),
        });
        eprintln!("c={connections}: {}", figures[format!("c{connections}")]);
    }
    let (held, polled) = measure::resume(programs, if quick { 5 } else { 40 }).await?;
    figures["resume"] = json!({"gate ms": spread(held), "1 s poller ms": spread(polled)});
    eprintln!("resume: {}", figures["resume"]);
    let start = measure::start(programs, if quick { 5 } else { 30 }).await?;
    figures["start"] = json!({"gate ms": spread(start.gate), "gate CPU ms": spread(start.gate_cpu), "bare ms": spread(start.bare)});
    eprintln!("start: {}", figures["start"]);
    let (idle, each, busy) = measure::waiting(programs, if quick { 100 } else { 1_000 }).await?;
    figures["waiting"] = json!({"idle KiB": idle, "KiB per waiting agent": each, "CPU %": busy});
    eprintln!("waiting: {}", figures["waiting"]);
    let (gate, bare, ratio) = measure::status(programs, rounds).await?;
    figures["status"] =
        json!({"gate/s": spread(gate), "bare/s": spread(bare), "of bare": spread(ratio)});
    eprintln!("status: {}", figures["status"]);
    figures["disk"] = json!({"durable writes/s": measure::disk(rounds.1)?});
    let (past, open): (&[u64], &[u64]) = if quick {
        (&[1, 1_000], &[128])
    } else {
        (&[1, 1_000, 1_000_000], &[128, 1_024, 10_240, 102_400])
    };
    for (name, sizes) in [
        ("history", measure::history(programs, past).await?),
        ("open", measure::open(programs, open).await?),
    ] {
        let sizes = sizes.iter().map(|size| {
            json!({"rows": size.rows, "submit ms": size.submit, "status ms": size.status, "sweep ms": size.sweep})
        });
        figures[name] = sizes.collect();
        eprintln!("{name}: {}", figures[name]);
    }
    let due: &[u64] = if quick {
        &[100]
    } else {
        &[100, 1_000, 10_000, 100_000]
    };
    figures["due"] = json!([]);
    for &rows in due {
        let of = measure::due(programs, rows).await?;
        let of =
            json!({"rows": of.rows, "s": of.all, "longest s": of.longest, "sweeps": of.sweeps});
        eprintln!("due: {of}");
        figures["due"].as_array_mut().expect("an array").push(of);
    }
    let (rounds, requests) = if quick { (1, 100) } else { (5, 2_000) };
    let evaluation = policy::evaluation(programs.gate, rounds, requests)?;
    figures["policy"] = json!({"evaluation ms": spread(evaluation)});
    eprintln!("policy: {}", figures["policy"]);
    features(programs, quick, &mut figures).await?;
    println!("{figures:#}");
    Ok(())
}

/// What a plain approval does not use.
async fn features(
    programs: &Programs<'_>,
    quick: bool,
    figures: &mut serde_json::Value,
) -> anyhow::Result<()> {
    let rows: &[u64] = if quick {
        &[1_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000]
    };
    let (rounds, many) = if quick {
        ((1, 5), 128)
    } else {
        ((5, 60), 10_240)
    };
    for (name, open) in [("cases", 0), ("cases among many", many)] {
        let of = cases::cases(programs, open, rounds).await?;
        figures[name] = json!({
            "open": open, "plain CPU ms": spread(of.plain), "precedent CPU ms": spread(of.precedent),
            "quorum CPU ms": spread(of.quorum),
        });
        eprintln!("{name}: {}", figures[name]);
    }
    let on_tables = tables::tables(programs, rounds).await?;
    figures["tables"] = json!({"CPU ms of a call": spread(on_tables)});
    eprintln!("tables: {}", figures["tables"]);
    let sizes: &[u64] = if quick { &[20] } else { &[20, 500, 10_240] };
    let lists = list::list(programs, sizes).await?;
    let lists = lists.iter().map(|(rows, took, cpu)| {
        json!({"rows": rows, "list ms": spread(*took), "CPU ms": (cpu * 100.0).round() / 100.0})
    });
    figures["lists"] = lists.collect();
    eprintln!("lists: {}", figures["lists"]);
    let pages = cases::precedents(programs, rows).await?;
    let pages = pages
        .iter()
        .map(|(rows, ms)| json!({"rows": rows, "page ms": ms}));
    figures["precedents"] = pages.collect();
    eprintln!("precedents: {}", figures["precedents"]);
    Ok(())
}

fn spread(of: Spread) -> serde_json::Value {
    let round = |value: f64| (value * 1_000.0).round() / 1_000.0;
    json!([round(of.median), round(of.min), round(of.max)])
}
