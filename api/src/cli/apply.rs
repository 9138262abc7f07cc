//! `apply`: a change set, a saved plan, or lines of verbs, as one atomic event.

use conn3ction_schemas::{event::Hash, json};
use reqwest::{
    Method, Response,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use sha2::{Digest, Sha256};

use super::{
    client::{Client, Failure},
    lines,
    output::Printer,
    records::{change_set, written},
    zones::{read_octets, send_file},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "A plan is what --dry-run --json prints, whatever the verb. It is applied exactly, or refused \
    if what it is about changed since.\n\
    Lines are split into words as a shell does: ' keeps everything, \" all but \\\" and \\\\. Elsewhere a backslash stays, \
    for it is the DNS's own: set t.example. TXT \"a b\"")]
pub(super) struct Apply {
    /// The file; `-` is standard input. JSON of a change set or of a plan, or lines such as `set www.example. A 192.0.2.1`.
    file: String,
    /// The master file that the plan of an import was made of.
    #[arg(value_name = "ZONEFILE")]
    zone_file: Option<String>,
}

impl Apply {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let text = read_text(&self.file)?;
        if !text.trim_start().starts_with('{') {
            let lines = lines::read(&text)?;
            let reason = client.global.reason.clone();
            let request = json::ChangeSet { reason, expected_revision: None, changes: lines.changes };
            return change_set(client, printer, &request).await.map_err(|failure| lines::placed(failure, &lines.at));
        }
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| self.fault(&error))?;
        if value.get("decided_at").is_some() {
            let saved = serde_json::from_value(value).map_err(|error| self.fault(&error))?;
            return plan(client, printer, saved, self.zone_file.as_deref()).await;
        }
        let mut request: json::ChangeSet = serde_json::from_value(value).map_err(|error| self.fault(&error))?;
        request.reason = client.global.reason.clone().or(request.reason);
        change_set(client, printer, &request).await.map_err(numbered)
    }

    fn fault(&self, error: &serde_json::Error) -> Failure {
        let file = &self.file;
        Failure::Usage(match error.classify() {
            serde_json::error::Category::Eof => format!("{file}: the JSON breaks off in line {}", error.line()),
            _ => format!("{file} is neither a change set, nor a plan, nor lines of verbs: {error}"),
        })
    }
}

/// Does what a plan shows, and shows what became of it; the body of an import is the file that was planned.
pub(super) async fn plan(
    client: &Client,
    printer: &Printer,
    plan: json::Plan,
    zone_file: Option<&str>,
) -> Result<(), Failure> {
    let file = |planned: &str| {
        let path = zone_file.ok_or_else(|| {
            let words = "this is the plan of an import; name its master file, too: conn3ction apply PLAN ZONEFILE";
            Failure::Usage(words.into())
        })?;
        let octets = read_octets(path)?;
        if Hash(Sha256::digest(&octets).into()).to_string() == planned {
            return Ok(octets);
        }
        Err(Failure::Conflict(format!("{path} is not the file that was planned; plan it again")))
    };
    let response = send(client, HeaderMap::new(), plan, file).await?;
    written(client, printer, response).await
}

/// Sends what a plan shows to where it says, under its guard; `file` gives the master file of an import, whose digest it
/// is told.
pub(super) async fn send(
    client: &Client,
    mut headers: HeaderMap,
    plan: json::Plan,
    file: impl FnOnce(&str) -> Result<Vec<u8>, Failure>,
) -> Result<Response, Failure> {
    if !plan.conflicts.is_empty() {
        let count = plan.conflicts.len();
        return Err(Failure::Conflict(format!("{count} record sets stand in the way of this plan; plan it narrower")));
    }
    let Some(to) = plan.apply_to else {
        return Err(Failure::Usage("the plan does not say where it goes; plan it again with this version".into()));
    };
    let mut url = client.path(&to.path);
    if client.global.dry_run {
        url.query_pairs_mut().append_pair("dry_run", "true");
    }
    let method = match &*to.method {
        "POST" => Method::POST,
        "DELETE" => Method::DELETE,
        other => return Err(Failure::Usage(format!("no plan is applied by {other}"))),
    };
    let guard = to.if_match.map(|token| format!("\"{token}\""));
    // A reason given now counts more than that of the plan.
    let reason = client.global.reason.clone().or(plan.reason);
    for (name, value) in [(reqwest::header::IF_MATCH, guard), (REASON, reason)] {
        if let Some(value) = value {
            headers.insert(name.clone(), sendable(&name, &value)?);
        }
    }
    if let Some(planned) = to.file_sha256 {
        return send_file(client, &headers, url, file(&planned)?).await;
    }
    let mut body = plan.apply;
    if let (Some(reason), Some(body)) = (&client.global.reason, body.as_object_mut()) {
        body.insert("reason".into(), reason.as_str().into());
    }
    let body = if body.is_null() { None } else { Some(serde_json::to_vec(&body)) };
    let body = body.transpose().map_err(|error| Failure::Usage(error.to_string()))?;
    client.write_with(&headers, method, url, body).await
}

/// The header with the reason of a write.
pub(super) const REASON: HeaderName = HeaderName::from_static("conn3ction-reason");

/// `value` as the value of the header `name`.
pub(super) fn sendable(name: &HeaderName, value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| Failure::Usage(format!("{name}: control characters cannot be sent")))
}

/// Faults of a change set that somebody wrote as JSON, named by the number of the change.
fn numbered(failure: Failure) -> Failure {
    lines::each_fault(failure, |error, at| error.detail = format!("change {}: {}", at + 1, error.detail))
}

/// The text of a file, or of standard input for `-`.
pub(super) fn read_text(path: &str) -> Result<String, Failure> {
    let read = if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    read.map_err(|source| Failure::File { path: path.into(), source })
}
