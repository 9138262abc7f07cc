//! Holds a server to what clients were told: in the ledger, in every view, in every door.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Conn3ction, etcd::Etcd, load::Written, shell};

/// Every event, oldest first.
///
/// # Errors
///
/// The connection's, or revisions that are not 1, 2, 3 …
pub fn events(server: &Conn3ction) -> anyhow::Result<Vec<Value>> {
    let mut events: Vec<Value> = Vec::new();
    loop {
        let page = server.ask("GET", &format!("/events?limit=5000&after=r{}", events.len()), "")?;
        anyhow::ensure!(page.status == 200, "{page:?}");
        let Value::Array(page) = page.json() else { anyhow::bail!("no list") };
        if page.is_empty() {
            return Ok(events);
        }
        for event in page {
            let wanted = events.len() as u64 + 1;
            anyhow::ensure!(event["revision"] == wanted, "not dense: {} where r{wanted} was due", event["revision"]);
            events.push(event);
        }
    }
}

impl Written {
    /// Checks everything that `server` shows against what its clients were told.
    ///
    /// # Errors
    ///
    /// The first thing that is otherwise.
    pub fn audit(&self, server: &Conn3ction) -> anyhow::Result<()> {
        let events = events(server)?;
        let head = events.len();
        let mut applied: BTreeMap<&str, u64> = BTreeMap::new();
        for (event, revision) in events.iter().zip(1..) {
            if let Some(key) = event["reason"].as_str().filter(|reason| reason.starts_with("load-"))
                && let Some(earlier) = applied.insert(key, revision)
            {
                anyhow::bail!("{key} was applied twice, at r{earlier} and r{revision}");
            }
        }
        for (key, revision) in &self.acknowledged {
            let found = applied.get(key.as_str());
            anyhow::ensure!(found == Some(revision), "{key} was acknowledged at r{revision}, found at {found:?}");
        }
        if let Some(key) = self.denied.iter().find(|key| applied.contains_key(key.as_str())) {
            anyhow::bail!("nothing was stored of {key}, said a server, but it is at r{}", applied[key.as_str()]);
        }
        anyhow::ensure!(applied.len() == self.acknowledged.len(), "events that nobody asked for");

        self.views(server, head)?;
        let verified = server.ask("GET", &format!("/verify?min_revision=r{head}&wait=30s"), "")?;
        anyhow::ensure!(verified.json()["ok"] == true && verified.json()["to"] == head, "{verified:?}");
        let records = server.ask("GET", "/records?type=A&zone=example.local", "")?.json();
        let records = records.as_array().into_iter().flatten();
        let pair =
            |record: &Value| Some((record["name"].as_str()?.to_owned(), record["values"][0].as_str()?.to_owned()));
        self.same("GET /records", records.filter_map(pair).collect())?;
        let zone = shell(&format!("dig @127.0.0.1 -p {} example.local AXFR +noall +answer", server.dns.port()))?;
        let pair = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [owner, _, "IN", "A", address] => Some((owner.trim_end_matches('.').to_owned(), address.to_owned())),
            _ => None,
        };
        self.same("AXFR", zone.lines().filter_map(pair).collect())
    }

    /// Checks the keys in etcd: the documented zone keys and the mirror.
    ///
    /// # Errors
    ///
    /// The first that differs.
    pub fn audit_keys(&self, etcd: &Etcd) -> anyhow::Result<()> {
        let pair = |(key, value): (String, String)| {
            let host = key.strip_prefix("/conn3ction/zones/example.local/")?.strip_suffix("/A")?;
            Some((format!("{host}.example.local"), value))
        };
        let flat = etcd.pairs("/conn3ction/zones/example.local/")?;
        self.same("zone keys", flat.into_iter().filter_map(pair).collect())?;
        let pair = |(key, value): (String, String)| {
            let record: Value = serde_json::from_str(&value).ok()?;
            let name = key.strip_prefix("/conn3ction/records/")?.to_owned();
            Some((name, record["values"][0].as_str()?.to_owned()))
        };
        self.same("mirror", etcd.pairs("/conn3ction/records/load-")?.into_iter().filter_map(pair).collect())
    }

    /// Every view stands at `head`, and a rebuild from nothing gives the same digest.
    fn views(&self, server: &Conn3ction, head: usize) -> anyhow::Result<()> {
        let views = server.ask("GET", &format!("/projections?min_revision=r{head}&wait=30s"), "")?;
        anyhow::ensure!(views.status == 200, "{views:?}");
        for view in views.json().as_array().into_iter().flatten() {
            anyhow::ensure!(view["revision"] == head, "the ledger is at r{head}, {view}");
            let name = view["view"].as_str().unwrap_or_default();
            let rebuilt = server.ask("POST", &format!("/projections/{name}/rebuild"), "")?;
            anyhow::ensure!(rebuilt.status == 200, "{rebuilt:?}");
            anyhow::ensure!(rebuilt.json()["digest"] == view["digest"], "a rebuild of {view} gives {}", rebuilt.body);
        }
        Ok(())
    }

    fn same(&self, place: &str, found: BTreeMap<String, String>) -> anyhow::Result<()> {
        for name in self.names.keys().chain(found.keys()) {
            let (wanted, found) = (self.names.get(name), found.get(name));
            anyhow::ensure!(wanted == found, "{place}: {name} is {found:?}, should be {wanted:?}");
        }
        Ok(())
    }
}
