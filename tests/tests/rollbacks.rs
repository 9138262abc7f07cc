//! Guarantee 18 by random histories: a rollback makes its scope what it was and touches nothing else, is exactly what was planned,
//! is an event like any other, and can be taken back.

use std::collections::{BTreeMap, BTreeSet};

use conn3ction_tests::{Conn3ction, random::Random};
use serde_json::{Value, json};

/// One inside another, so that a cut and a zone can hide names.
const ZONES: [&str; 3] = ["a.test", "eu.a.test", "b.test"];
const LABELS: [&str; 8] = ["www", "api", "*.w", "x.y.ent", "ent", "eu", "ns.eu", "alias"];
const STEPS: u64 = 300;

/// Zone, name, type.
type Key = (String, String, String);
/// TTL and values, in order; a SOA without its serial, which never goes back.
type Set = (u64, Vec<String>);
type State = BTreeMap<Key, Set>;

struct Run {
    server: Conn3ction,
    random: Random,
    /// What was there at each revision.
    states: Vec<State>,
    seen: BTreeSet<&'static str>,
}

/// The part of a zone that a rollback is about.
struct Scope {
    zone: &'static str,
    name: Option<String>,
    under: Option<String>,
    rtype: Option<&'static str>,
}

impl Scope {
    fn holds(&self, (zone, name, rtype): &Key) -> bool {
        zone == self.zone
            && self.name.as_ref().is_none_or(|wanted| wanted == name)
            && self.under.as_ref().is_none_or(|top| name == top || name.ends_with(&format!(".{top}")))
            && self.rtype.is_none_or(|wanted| wanted == rtype)
    }

    fn of(&self, state: &State) -> State {
        state.iter().filter(|(key, _)| self.holds(key)).map(|(key, set)| (key.clone(), set.clone())).collect()
    }

    fn outside(&self, state: &State) -> State {
        state.iter().filter(|(key, _)| !self.holds(key)).map(|(key, set)| (key.clone(), set.clone())).collect()
    }
}

fn set(rtype: &str, of: &Value) -> Option<Set> {
    let values = of["values"].as_array()?.iter().filter_map(Value::as_str);
    let without_serial = |value: &str| {
        let place = |(place, word): (usize, &str)| if place == 2 { "-".into() } else { word.to_owned() };
        value.split(' ').enumerate().map(place).collect::<Vec<_>>().join(" ")
    };
    let mut values: Vec<String> =
        values.map(|value| if rtype == "SOA" { without_serial(value) } else { value.into() }).collect();
    values.sort();
    Some((of["ttl"].as_u64()?, values))
}

fn text(of: &Value) -> String {
    of.as_str().unwrap_or_default().to_owned()
}

impl Run {
    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.below(all.len() as u64) as usize]
    }

    fn name(&mut self, zone: &str) -> String {
        if self.random.below(8) == 0 { zone.into() } else { format!("{}.{zone}", self.pick(&LABELS)) }
    }

    fn head(&self) -> usize {
        self.states.len() - 1
    }

    /// What is there now, or was at `at`.
    fn state(&self, at: &str) -> anyhow::Result<State> {
        let mut state = State::new();
        for zone in ZONES {
            let records = self.server.ask("GET", &format!("/records?zone={zone}&limit=5000{at}"), "")?;
            anyhow::ensure!([200, 404].contains(&records.status), "{records:?}");
            for record in records.json().as_array().into_iter().flatten() {
                let (name, rtype) = (text(&record["name"]), text(&record["type"]));
                let set = set(&rtype, record).ok_or_else(|| anyhow::anyhow!("no set: {record}"))?;
                state.insert((zone.into(), name, rtype), set);
            }
        }
        Ok(state)
    }

    /// Sends a write. What it made is remembered; what was refused must have changed nothing.
    fn write(&mut self, method: &str, target: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.server.ask(method, target, &body)?;
        let (now, before) = (self.state("")?, self.head());
        let head = self.server.ask("GET", "/events?order=desc&limit=1", "")?.json()[0]["revision"].as_u64();
        if head == Some(before as u64 + 1) {
            self.states.push(now);
        } else {
            anyhow::ensure!(head == Some(before as u64), "{method} {target} {body}: from r{before} to r{head:?}");
            anyhow::ensure!(
                now == self.states[before],
                "{method} {target} {body} made no event but a change: {answer:?}"
            );
        }
        anyhow::ensure!(answer.status < 500, "{method} {target} {body}: {answer:?}");
        Ok((answer.status, if answer.body.is_empty() { Value::Null } else { answer.json() }))
    }

    /// A few random changes in one event, in one zone or several; many are refused.
    fn change(&mut self) -> anyhow::Result<()> {
        let mut changes = Vec::new();
        for _ in 0..=self.random.below(3) {
            let zone = self.pick(&ZONES);
            let name = self.name(zone);
            let (rtype, value) = match self.random.below(8) {
                0 => ("CNAME", format!("www.{zone}.")),
                1 => ("NS", format!("ns.eu.{zone}.")),
                2 => ("MX", "10 mx.b.test.".into()),
                3 => ("TXT", format!("\"{}\"", self.random.below(3))),
                _ => ("A", format!("192.0.2.{}", self.random.below(4))),
            };
            let op = self.pick(&["set", "set", "add", "remove", "delete"]);
            changes.push(match op {
                "delete" => json!({"op": op, "name": name, "type": rtype}),
                _ => {
                    json!({"op": op, "name": name, "type": rtype, "values": [value], "ttl": 60 + self.random.below(2)})
                }
            });
        }
        self.write("POST", "/changes", &json!({ "changes": changes })).map(drop)
    }

    fn zone(&mut self) -> anyhow::Result<()> {
        let zone = self.pick(&ZONES);
        if self.random.below(3) > 0 {
            self.write("POST", "/zones", &json!({ "name": zone })).map(drop)
        } else {
            self.write("DELETE", &format!("/zones/{zone}"), &Value::Null).map(drop)
        }
    }

    fn scope(&mut self) -> Scope {
        let zone = self.pick(&ZONES);
        let mut scope = Scope { zone, name: None, under: None, rtype: None };
        match self.random.below(6) {
            0 => scope.under = Some(self.name(zone)),
            1 => scope.name = Some(self.name(zone)),
            2 => {
                scope.name = Some(self.name(zone));
                scope.rtype = Some(self.pick(&["A", "CNAME", "TXT", "NS"]));
            }
            _ => {}
        }
        scope
    }

    fn restore(&mut self) -> anyhow::Result<()> {
        let scope = self.scope();
        let to = self.random.below(self.states.len() as u64) as usize;
        let mut body = json!({"to": format!("r{to}")});
        for (member, value) in [("name", &scope.name), ("under", &scope.under)] {
            if let Some(value) = value {
                body[member] = json!(value);
            }
        }
        if let Some(rtype) = scope.rtype {
            body["type"] = json!(rtype);
        }
        let target = format!("/zones/{}/restore", scope.zone);
        let (status, plan) = self.write("POST", &format!("{target}?dry_run=true"), &body)?;
        if status != 200 {
            let (again, problem) = self.write("POST", &target, &body)?;
            anyhow::ensure!((again, &problem["type"]) == (status, &plan["type"]), "{plan} but {problem}");
            self.seen.insert("restore refused");
            return Ok(());
        }
        let planned_at = self.head();
        while self.random.below(2) == 0 {
            self.change()?;
        }
        let before = self.states[self.head()].clone();
        let (status, event) = self.write("POST", &target, &plan["apply"])?;
        match status {
            201 => {
                let now = &self.states[self.head()];
                anyhow::ensure!(scope.of(now) == scope.of(&self.states[to]), "{body} is not as r{to}: {event}");
                anyhow::ensure!(scope.outside(now) == scope.outside(&before), "{body} went beyond its scope: {event}");
                anyhow::ensure!(event["changes"] == plan["changes"], "planned {plan}, done {event}");
                anyhow::ensure!(event["kind"] == "restored" && event["restores"] == plan["restores"], "{event}");
                let zone = &event["zones"][0];
                anyhow::ensure!(zone["previous_serial"].as_u64() < zone["serial"].as_u64(), "{event}");
                self.seen.insert("restored");
                self.back(&before)
            }
            200 => {
                anyhow::ensure!(scope.of(&before) == scope.of(&self.states[to]), "{body} has something to do");
                self.seen.insert("restored already");
                Ok(())
            }
            412 => {
                anyhow::ensure!(self.head() > planned_at, "nothing happened since the plan: {event}");
                self.seen.insert("plan overtaken");
                Ok(())
            }
            _ => anyhow::bail!("{body}: {status} {event}"),
        }
    }

    fn revert(&mut self) -> anyhow::Result<()> {
        let reverted = self.random.below(self.head() as u64) + 1;
        let event = self.server.ask("GET", &format!("/events/r{reverted}"), "")?.json();
        let before = self.states[self.head()].clone();
        let mut wanted = before.clone();
        let mut stands = true;
        for change in event["changes"].as_array().into_iter().flatten() {
            let rtype = text(&change["type"]);
            let key = (text(&change["zone"]), text(&change["name"]), rtype.clone());
            let [was, became] = ["before", "after"].map(|member| set(&rtype, &change[member]));
            let is = before.get(&key);
            stands &= is == was.as_ref() || is == became.as_ref();
            match was {
                Some(was) => wanted.insert(key, was),
                None => wanted.remove(&key),
            };
        }
        let (status, answer) = self.write("POST", &format!("/events/r{reverted}/revert"), &Value::Null)?;
        let now = self.states[self.head()].clone();
        match status {
            201 => {
                anyhow::ensure!(now == wanted, "r{reverted} undone leaves {now:?}, should {wanted:?}: {answer}");
                anyhow::ensure!(answer["kind"] == "reverted" && answer["reverts"] == reverted, "{answer}");
                self.seen.insert("reverted");
                self.back(&before)
            }
            200 => {
                anyhow::ensure!(now == wanted, "r{reverted}: nothing to undo, but {now:?} is not {wanted:?}");
                self.seen.insert("reverted already");
                Ok(())
            }
            409 | 422 => {
                // What lies in the way is a later change of a set, of its zone, or of what stands beside it.
                let kind = text(&answer["type"]);
                anyhow::ensure!(
                    !stands || kind != "/problems/revert-conflict" || self.zone_changed(reverted),
                    "{answer}"
                );
                self.seen.insert("conflict");
                Ok(())
            }
            _ => anyhow::bail!("r{reverted}: {status} {answer}"),
        }
    }

    /// Whether a zone of the event came or went since.
    fn zone_changed(&self, event: u64) -> bool {
        let there = |state: &State, zone: &str| state.contains_key(&(zone.into(), zone.into(), "SOA".into()));
        let since = &self.states[event as usize - 1..];
        ZONES.iter().any(|zone| since.windows(2).any(|pair| there(&pair[0], zone) != there(&pair[1], zone)))
    }

    /// Takes back the event that was just made, in one way or the other.
    fn back(&mut self, before: &State) -> anyhow::Result<()> {
        let head = self.head();
        match self.random.below(3) {
            0 => {
                let (status, answer) = self.write("POST", &format!("/events/r{head}/revert"), &Value::Null)?;
                anyhow::ensure!(status == 201, "r{head}, just made, cannot be undone: {answer}");
                self.seen.insert("taken back");
            }
            1 => {
                for zone in ZONES {
                    let body = json!({"to": format!("r{}", head - 1)});
                    let (status, answer) = self.write("POST", &format!("/zones/{zone}/restore"), &body)?;
                    if status >= 400 {
                        // A zone that was not there is not restored but deleted.
                        let was = before.contains_key(&(zone.into(), zone.into(), "SOA".into()));
                        anyhow::ensure!(!was, "{answer}");
                        self.write("DELETE", &format!("/zones/{zone}"), &Value::Null)?;
                    }
                }
                self.seen.insert("restored back");
            }
            _ => return Ok(()),
        }
        anyhow::ensure!(self.states[self.head()] == *before, "r{head} was not taken back");
        Ok(())
    }
}

#[test]
fn a_rollback_is_exactly_what_was_and_what_was_planned_and_can_be_taken_back() -> anyhow::Result<()> {
    let random = Random::new(Random::seed());
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--zones", ""])?;
    let mut run = Run { server, random, states: vec![State::new()], seen: BTreeSet::new() };
    for zone in ZONES {
        run.write("POST", "/zones", &json!({ "name": zone }))?;
    }
    for _ in 0..STEPS {
        match run.random.below(10) {
            0 => run.zone()?,
            1..=4 => run.change()?,
            5..=7 => run.restore()?,
            _ => run.revert()?,
        }
    }
    // No rollback changed what was before it.
    for _ in 0..20 {
        let revision = run.random.below(run.states.len() as u64) as usize;
        anyhow::ensure!(run.state(&format!("&at=r{revision}"))? == run.states[revision], "the past of r{revision}");
    }
    anyhow::ensure!(run.server.ask("GET", "/verify", "")?.json()["ok"] == true);
    let wanted =
        ["restored", "restore refused", "plan overtaken", "reverted", "conflict", "taken back", "restored back"];
    for what in wanted {
        assert!(run.seen.contains(what), "{what} never happened, in {} events", run.head());
    }
    Ok(())
}
