//! The list of a person who has signed in.

use std::time::{Instant, SystemTime};

use anyhow::ensure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use serde_json::json;
use tokio::process::Command;

use crate::life::Connection;
use crate::measure::{Programs, Spread, fill};
use crate::process::{Folder, Server, free_port, gate};

/// The most that a list has.
const MOST: u64 = 500;

const TENANT: &str = "00000000-0000-4000-8000-0000000000aa";

/// Milliseconds of the list, until its last byte and of CPU time, by the number of open requests that ask its person.
pub(crate) async fn list(
    programs: &Programs<'_>,
    sizes: &[u64],
) -> anyhow::Result<Vec<(u64, Spread, f64)>> {
    let dir = Folder::new()?;
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut command = gate(programs.gate, dir.path());
    sign_in(&mut command, port, &url);
    let server = Server::at(port, &mut command).await?;
    let (mut there, mut measured) = (0, Vec::new());
    for &rows in sizes {
        fill(port, rows - there, 3_600).await?;
        there = rows;
        let mut http = Connection::open(port).await?;
        let (mut took, before) = (Vec::new(), server.cpu());
        for _ in 0..30 {
            let started = Instant::now();
            let principal = principal()?;
            let headers = [("x-ms-client-principal", principal.as_str())];
            let page = http.send_with(Method::GET, "/api/requests", &headers, String::new());
            let page = page.await?.expect(200)?;
            took.push(started.elapsed().as_secs_f64() * 1e3);
            let listed = page.text()?.matches("<a href=\"/api/decision/").count();
            ensure!(listed >= rows.min(MOST) as usize, "{listed} of {rows}");
        }
        let cpu = (server.cpu() - before).as_secs_f64() * 1e3 / 30.0;
        measured.push((rows, Spread::of(took), cpu));
    }
    Ok(measured)
}

/// As behind the platform, which says who has signed in.
fn sign_in(command: &mut Command, port: u16, url: &str) {
    for (name, value) in [
        ("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string().as_str()),
        ("HO_LOCAL", "1"),
        ("HO_BASE_URL", url),
        ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
        ("HO_IDENTITY", "entra"),
        ("HO_ENTRA_TENANT", TENANT),
        ("WEBSITE_AUTH_ENABLED", "True"),
    ] {
        command.env(name, value);
    }
}

/// What the platform says of the approver whom all requests ask.
fn principal() -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let claims = [
        ("auth_time", now.as_secs().to_string().as_str()),
        ("preferred_username", "approver@example.com"),
        (
            "http://schemas.microsoft.com/identity/claims/objectidentifier",
            "3c9e7a10-0000-4000-8000-000000000b0b",
        ),
        (
            "http://schemas.microsoft.com/identity/claims/tenantid",
            TENANT,
        ),
        ("ver", "2.0"),
    ]
    .map(|(typ, val)| json!({"typ": typ, "val": val}));
    let principal =
        json!({"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"});
    Ok(BASE64.encode(principal.to_string()))
}
