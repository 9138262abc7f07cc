//! `restore` and `revert`: the plan first, then exactly that plan.

use anstyle::Style;
use conn3ction_schemas::{Timestamp, json};
use reqwest::Method;
use serde::Serialize;

use super::{
    age::told,
    client::{Client, Failure},
    output::{NOTE, Printer, agreed, escape},
    records::{dotted, show_changes, unchanged, warn},
};

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The zone's apex. It may have been deleted.
    zone: String,
    /// The moment: r1041, 2026-11-22T10:15:00Z, 40m, 2h, 3d.
    #[arg(long, value_name = "WHEN")]
    to: String,
    #[command(flatten)]
    part: Part,
    /// Only this name and what is below it.
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    under: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Revert {
    /// The event: r1041.
    revision: String,
    #[command(flatten)]
    part: Part,
    /// Only what it did in this zone.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Only this name and what is below it.
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    under: Option<String>,
}

/// What narrows a rollback.
#[derive(Debug, clap::Args)]
struct Part {
    /// Only this owner.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only this type at the owner.
    #[arg(long = "type", value_name = "TYPE", requires = "name")]
    rtype: Option<String>,
}

impl Restore {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let body = json::RestoreInput {
            to: self.to.clone(),
            name: self.part.name.clone(),
            rtype: self.part.rtype.clone(),
            under: self.under.clone(),
            reason: client.global.reason.clone(),
            ..json::RestoreInput::default()
        };
        let what = match &self.under {
            Some(top) => format!("{} and what is below", dotted(top)),
            None => self.part.shown().unwrap_or_else(|| dotted(&self.zone)),
        };
        let title =
            |plan: &json::Plan, when: &str| format!("Restore {what} to r{}{when}", plan.restores.unwrap_or_default());
        rollback(client, printer, &["zones", &self.zone, "restore"], &body, title).await
    }
}

impl Revert {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let body = json::RevertInput {
            zone: self.zone.clone(),
            name: self.part.name.clone(),
            rtype: self.part.rtype.clone(),
            under: self.under.clone(),
            reason: client.global.reason.clone(),
            ..json::RevertInput::default()
        };
        let below = || self.under.as_ref().map(|top| format!("{} and what is below", dotted(top)));
        let at = self.part.shown().or_else(below).map(|part| format!(" at {part}")).unwrap_or_default();
        let within = self.zone.as_ref().map(|zone| format!(" in {}", dotted(zone))).unwrap_or_default();
        let title =
            |plan: &json::Plan, when: &str| format!("Revert r{}{when}{at}{within}", plan.reverts.unwrap_or_default());
        rollback(client, printer, &["events", &self.revision, "revert"], &body, title).await
    }
}

impl Part {
    fn shown(&self) -> Option<String> {
        let name = dotted(self.name.as_ref()?);
        Some(self.rtype.as_ref().map_or(name.clone(), |rtype| format!("{name} {rtype}")))
    }
}

/// The line that undoes what an event did at `name`; none for one that made a zone, for that would take the zone away.
pub(super) fn undo(event: &json::EventJson, name: &str) -> Option<String> {
    if event.zones.iter().any(|zone| zone.created) {
        return None;
    }
    let line = format!("conn3ction revert r{}", event.revision);
    // The zone comes back whole or not at all; what the event did elsewhere is not what was asked about.
    let is_whole = event.zones.iter().any(|zone| zone.deleted) || event.change_count == 1;
    let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let at = |change: &&json::ChangeJson| bare(&change.name) == bare(name);
    let change = event.changes.iter().find(at).or(event.changes.first());
    Some(match change {
        Some(change) if !is_whole => format!("{line} --name {}", change.name),
        _ => line,
    })
}

/// Plans, shows the plan, asks, and does exactly this.
async fn rollback<T: Serialize>(
    client: &Client,
    printer: &Printer,
    path: &[&str],
    body: &T,
    title: impl Fn(&json::Plan, &str) -> String,
) -> Result<(), Failure> {
    let bad = |error: serde_json::Error| Failure::Usage(error.to_string());
    let asked = serde_json::to_vec(body).map_err(bad)?;
    let response = client.write(Method::POST, client.url(path, &[("dry_run", Some("true"))]), Some(asked)).await?;
    let plan: json::Plan = client.decode(response).await?;
    if client.global.dry_run && printer.for_programs() {
        printer.json_lines(&[plan]);
        return Ok(());
    }
    // Programs get the event; who runs them sees the plan all the same.
    show(client, &printer.aside(), &plan, title).await;
    if let Some(first) = plan.conflicts.first() {
        let (count, sets) = (plan.conflicts.len(), if plan.conflicts.len() == 1 { "set was" } else { "sets were" });
        let before = plan.reverts.unwrap_or_default().saturating_sub(1);
        let at = format!("r{before}");
        let was_there =
            client.open(client.url(&["zones", &first.zone], &[("at", Some(&at))]), "application/json").await;
        let other = match was_there {
            Ok(_) => format!("bring back what was before: conn3ction restore {} --to {at}", first.zone),
            Err(_) => format!("take the zone away, which was not there before: conn3ction zone delete {}", first.zone),
        };
        return Err(Failure::Conflict(format!(
            "{count} {sets} changed since; nothing was done\n\
             narrow it with --zone Z, --under N or --name N [--type T], or {other}"
        )));
    }
    let summary = summary(&plan);
    if plan.zones.is_empty() {
        unchanged(printer, &plan, "nothing to change: it is so already");
        return Ok(());
    }
    if client.global.dry_run {
        printer.note(&format!("{summary}. Nothing was done."));
        return Ok(());
    }
    if !agreed(printer, &summary, "Apply exactly this?", client.global.yes, &[&plan])? {
        return Ok(());
    }
    let body = serde_json::to_vec(&plan.apply).map_err(bad)?;
    let response = client.write(Method::POST, client.url(path, &[]), Some(body)).await?;
    let settled = client.settled(&response).await?;
    let views = settled.map(|views| format!("; {views}")).unwrap_or_default();
    let Some(event) = client.event(response).await else {
        printer.note(&format!("done{views}"));
        return Ok(());
    };
    let clear = caches_clear(&event.time, plan.cache_seconds);
    if printer.for_programs() {
        printer.json_lines(&[&event]);
    }
    printer.note(&format!("r{} {}{views}; caches clear by {clear}", event.revision, event.kind));
    Ok(())
}

async fn show(client: &Client, printer: &Printer, plan: &json::Plan, title: impl Fn(&json::Plan, &str) -> String) {
    let mut when = String::new();
    // The title tells the time of the revision; without it, it is still a title.
    if let Some(revision) = plan.restores.or(plan.reverts)
        && let Ok(event) = client.get::<json::EventJson>(client.url(&["events", &revision.to_string()], &[])).await
    {
        let [time, age] = told(&event.time, Timestamp::now());
        when = format!(" ({time}, {age})");
    }
    let at = plan.decided_at.rsplit(':').next().unwrap_or_default();
    printer.line(NOTE, &escape(&format!("{}, planned at r{at}", title(plan, &when))));
    show_changes(printer, &plan.changes, plan.change_count);
    for conflict in &plan.conflicts {
        printer.line(
            Style::new(),
            &escape(&format!("! {}  {}  {}", dotted(&conflict.name), conflict.rtype, conflict.detail)),
        );
    }
    warn(printer, &plan.warnings);
}

/// `0 created, 1 replaced, 0 deleted; serial 57 -> 58; old answers stay cached up to 300 s`.
fn summary(plan: &json::Plan) -> String {
    let json::Summary { created, replaced, deleted } = plan.summary;
    let alone = plan.zones.len() == 1;
    let serials = plan.zones.iter().map(|zone| {
        let name = if alone { String::new() } else { format!("{} ", zone.name) };
        let life = match (zone.created, zone.deleted) {
            (true, _) => " (the zone comes back)",
            (_, true) => " (the zone goes)",
            (false, false) => "",
        };
        let before = zone.previous_serial.map(|serial| format!("{serial} -> ")).unwrap_or_default();
        format!("{name}serial {before}{}{life}", zone.serial)
    });
    let serials: Vec<_> = serials.collect();
    format!(
        "{created} created, {replaced} replaced, {deleted} deleted; {}; old answers stay cached up to {} s",
        serials.join(", "),
        plan.cache_seconds
    )
}

/// The time of day at which the last cache has let go of what an event at `time` replaced.
fn caches_clear(time: &str, seconds: u32) -> String {
    let text = Timestamp::parse(time)
        .map(|time| time.plus_micros((i64::from(seconds) + 1) * 1_000_000).to_seconds_text())
        .unwrap_or_default();
    text.split_once('T').map_or_else(String::new, |(_, clock)| clock.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_clear_when_the_last_second_of_the_ttl_is_over() {
        assert_eq!(caches_clear("2026-11-22T02:30:12.900000Z", 300), "02:35:13Z");
        assert_eq!(caches_clear("2026-11-22T23:59:59Z", 0), "00:00:00Z");
    }
}
