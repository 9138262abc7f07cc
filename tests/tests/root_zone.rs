//! The real root zone, day after day: taken in, given out, and told apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use conn3ction_tests::{Conn3ction, root, shell};
use serde_json::Value;

/// Record sets by owner, type and covered type: TTL and values, without the white space that splits long ones.
type Sets = BTreeMap<Key, Set>;
type Key = (String, String, String);
type Set = (u32, BTreeSet<String>);
/// Changed sets, before and after.
type Changes = BTreeMap<Key, [Option<Set>; 2]>;

/// The files of `tests/data/root-zone`, the oldest first; that one is signed.
fn days() -> Vec<PathBuf> {
    let directory = root().join("tests/data/root-zone");
    let entries = std::fs::read_dir(directory).expect("the zones").map(|entry| entry.expect("an entry").path());
    let mut days: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "gz")).collect();
    days.sort();
    days
}

/// What BIND reads out of a master file: one sorted line a record. Owners are lower case; one file has some in capitals.
fn normal(file: &Path, scratch: &Path) -> anyhow::Result<String> {
    let (file, out) = (file.display(), scratch.join("normal"));
    let cat = if file.to_string().ends_with(".gz") { "zcat" } else { "cat" };
    let out = out.display();
    shell(&format!(
        "{cat} {file} > {out}.in && named-compilezone -q -i local -s full -o {out} . {out}.in && awk '!/^;/ {{ $1 = tolower($1); print }}' {out} | LC_ALL=C sort"
    ))
}

fn sets(normal: &str) -> Sets {
    let mut sets = Sets::new();
    for line in normal.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let covers = if words[3] == "RRSIG" { words[4] } else { "" };
        let key = (words[0].to_owned(), words[3].to_owned(), covers.to_owned());
        let set = sets.entry(key).or_default();
        set.0 = words[1].parse().expect("a TTL");
        set.1.insert(words[4..].concat());
    }
    sets
}

/// The sets that differ. A SOA that differs in its serial only is no change.
fn difference(before: &Sets, after: &Sets) -> Changes {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).filter(|(_, rtype, _)| rtype != "SOA").collect();
    let differing = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    differing.map(|key| (key.clone(), [before.get(key).cloned(), after.get(key).cloned()])).collect()
}

/// The changes of an event or a plan in the same form.
fn told(changes: &[Value]) -> Changes {
    let text = |change: &Value, member: &str| change[member].as_str().unwrap_or_default().to_owned();
    let set = |set: &Value| {
        let values = set["values"].as_array()?.iter().map(|value| value.as_str().expect("text").replace(' ', ""));
        Some((set["ttl"].as_u64()?.try_into().ok()?, values.collect()))
    };
    let told = changes.iter().map(|change| {
        let owner = format!("{}.", text(change, "name").trim_end_matches('.'));
        let key = (owner, text(change, "type"), text(change, "covers"));
        (key, [set(&change["before"]), set(&change["after"])])
    });
    told.collect()
}

#[test]
fn every_day_of_the_root_zone_goes_in_and_out_unchanged_and_the_next_differs_by_what_changed() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let server = Conn3ction::start(scratch.path(), &["--zones", ""])?;
    let days = days();
    assert_eq!(days.len(), 11);
    let mut before = Sets::new();
    std::thread::scope(|scope| {
        let mut checks = Vec::new();
        for (revision, day) in (1_u64..).zip(&days) {
            let file = day.to_str().expect("UTF-8");
            let run = |arguments: &[&str]| {
                let ran = server.cli(arguments)?;
                anyhow::ensure!(ran.code == 0, "{arguments:?} {ran:?}");
                Ok(ran.out)
            };
            let real = normal(day, scratch.path())?;
            let after = sets(&real);
            let expected = difference(&before, &after);

            let plan: Value =
                serde_json::from_str(&run(&["import", ".", file, "--mode=replace", "--dry-run", "--json"])?)?;
            let head = server.ask("GET", "/readyz", "")?.json()["revision"].clone();
            assert_eq!(head, format!("1:{}", revision - 1), "a dry run writes nothing");
            run(&["import", ".", file, "--mode=replace"])?;
            run(&["import", ".", file, "--mode=replace"])?;
            let head = server.ask("GET", "/readyz", "")?.json()["revision"].clone();
            assert_eq!(head, format!("1:{revision}"), "one event a day, none for the same day again");

            let event = server.ask("GET", &format!("/events/{revision}"), "")?.json();
            let lines = server.ask("GET", &format!("/events/{revision}/changes"), "")?.json();
            let changes = lines.as_array().expect("an array");
            let mut told_changes = told(changes);
            // The zone's first SOA is a change: it was made.
            told_changes.retain(|key, sets| key.1 != "SOA" || sets[0].is_some());
            for key in told_changes.keys().chain(expected.keys()) {
                assert_eq!(told_changes.get(key), expected.get(key), "{file}: {key:?}");
            }
            assert_eq!(event["change_count"], changes.len());
            assert_eq!(plan["change_count"], event["change_count"]);
            assert_eq!(plan["zones"], event["zones"]);
            let shown = changes.len().min(plan["changes"].as_array().expect("an array").len());
            assert!(shown == changes.len() || shown >= 100, "{shown} changes in the plan");
            assert_eq!(plan["changes"].as_array().expect("an array")[..], changes[..shown]);

            let out = scratch.path().join(format!("{revision}.zone"));
            std::fs::write(&out, run(&["export", "."])?)?;
            checks.push(scope.spawn(move || {
                let aside = tempfile::tempdir()?;
                anyhow::ensure!(normal(&out, aside.path())? == real, "{file}: the export differs");
                let out = out.display();
                shell(&format!("kzonecheck -t 20180130000000 -o . {out} && named-checkzone -q -i local . {out}"))
            }));
            before = after;
        }
        for check in checks {
            check.join().expect("a check")?;
        }
        Ok(())
    })
}
