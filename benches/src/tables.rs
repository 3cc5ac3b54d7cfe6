//! The gate on tables, which it has in Azure: of Azurite, whose own time does not count.

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::life::live_times;
use crate::measure::{Programs, Spread};

/// The calls of a life.
const CALLS: f64 = 7.0;

/// The account of every Azurite, and its published key.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// CPU milliseconds of the gate for each call, 8 lives at once.
pub(crate) async fn tables(
    programs: &Programs<'_>,
    (rounds, lives): (usize, usize),
) -> anyhow::Result<Spread> {
    let (_azurite, endpoint) = azurite(programs).await?;
    let keys = Command::new(programs.gate).arg("keygen").output().await?;
    let keys = String::from_utf8(keys.stdout)?;
    let store = format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};TableEndpoint={endpoint}/{ACCOUNT};"
    );
    let on_tables = |command: &mut Command| {
        command.env("HO_STORE", "tables");
        command.env("HO_TABLES_CONNECTION_STRING", &store);
        let keys = keys.lines().filter_map(|line| line.split_once('='));
        command.envs(keys.filter(|(name, _)| *name != "HO_KEYS"));
    };
    let running = programs.gate_with(on_tables).await?;
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let before = running.server.cpu();
        live_times(&running.kind, running.server.port, 8, lives).await?;
        let cpu = running.server.cpu() - before;
        // The first round warms all up.
        if round > 0 {
            measured.push(cpu.as_secs_f64() * 1e3 / (8 * lives) as f64 / CALLS);
        }
    }
    Ok(Spread::of(measured))
}

/// An Azurite in memory, which ends with this process, and its address.
async fn azurite(programs: &Programs<'_>) -> anyhow::Result<(Child, String)> {
    let mut azurite = Command::new("node")
        .arg(programs.azurite)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("Azurite needs Node")?;
    let mut lines = BufReader::new(azurite.stdout.take().context("it is piped")?).lines();
    let url = lines.next_line().await?.context("Azurite does not start")?;
    Ok((azurite, url.trim().trim_end_matches('/').to_owned()))
}
