//! Replay is pure, and clocks order nothing: the same ledger gives the same views on another machine in another year, and
//! what is written under a wrong clock follows what is there.

use std::{fs, path::Path};

use conn3ction_tests::{Conn3ction, FAKETIME, audit, load::Load, random::Random, shell};

/// The digest of each view at the head, by its name.
fn digests(server: &Conn3ction) -> anyhow::Result<Vec<(String, String)>> {
    let head = audit::events(server)?.len();
    let views = server.ask("GET", &format!("/projections?min_revision=r{head}&wait=30s"), "")?.json();
    let text = |view: &serde_json::Value, member: &str| view[member].as_str().unwrap_or_default().to_owned();
    Ok(views.as_array().into_iter().flatten().map(|view| (text(view, "view"), text(view, "digest"))).collect())
}

fn copy_ledger(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.join("ledger"))?;
    for entry in fs::read_dir(from.join("ledger"))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join("ledger").join(entry.file_name()))?;
    }
    Ok(())
}

#[test]
fn the_same_ledger_gives_the_same_views_in_another_year_and_environment() -> anyhow::Result<()> {
    let data = [tempfile::tempdir()?, tempfile::tempdir()?];
    let server = Conn3ction::start(data[0].path(), &[])?;
    shell(&format!(
        "curl -sf --data-binary @tests/data/root-zone/2018-01-31.zone.gz 'http://{}/zones/=2E/import?mode=replace'",
        server.http
    ))?;
    let load = Load::start(Random::seed(), 4, &[server.http]);
    load.acknowledged(200)?;
    let written = load.stop()?;
    let here = digests(&server)?;
    let zone = |server: &Conn3ction| {
        shell(&format!("dig @127.0.0.1 -p {} example.local AXFR +noall +answer | sort", server.dns.port()))
    };
    let shown = zone(&server)?;
    server.kill()?;

    copy_ledger(data[0].path(), data[1].path())?;
    let other = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME", "+4000d"),
        ("TZ", "Asia/Kathmandu"),
        ("LANG", "tr_TR.UTF-8"),
        ("HOME", "/nonexistent"),
        ("TOKIO_WORKER_THREADS", "1"),
    ];
    let server = Conn3ction::start_in(&other, data[1].path(), &[])?;
    assert_eq!(digests(&server)?, here);
    assert_eq!(zone(&server)?, shown);
    written.audit(&server)
}

#[test]
fn a_clock_that_jumps_by_years_reorders_nothing() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    for (number, clock) in ["+0d", "+365d", "-365d", "-4000d", "+1d"].into_iter().enumerate() {
        let server = Conn3ction::start_in(&[("LD_PRELOAD", FAKETIME), ("FAKETIME", clock)], data.path(), &[])?;
        let load = Load::named(&format!("jump{number}"), Random::seed(), 2, &[server.http]);
        load.acknowledged(20)?;
        load.stop()?;
        let verified = server.ask("GET", "/verify", "")?.json();
        assert_eq!(verified["ok"], true, "{clock}: {verified}");
        server.kill()?;
    }
    let server = Conn3ction::start(data.path(), &[])?;
    let mut last = String::new();
    for event in audit::events(&server)? {
        // All in UTC with as many digits.
        let time = event["time"].as_str().unwrap_or_default().to_owned();
        assert!(time > last && time.len() == 27, "{event}");
        last = time;
    }
    Ok(())
}

/// A point in time is that of the zones, whenever their past was taken in.
#[test]
fn a_replay_to_a_time_is_of_what_took_effect_by_then() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let version = |day: u8, value: &str, more: &str| {
        format!(
            r#"{{"id":"v{day}","time":"2021-01-0{day}T00:00:00Z","zones":[{{"name":"old.test","serial":{day}}}],"changes":[{more}
            {{"zone":"old.test","name":"a.old.test","type":"A","after":{{"ttl":60,"values":["{value}"]}}}}]}}"#
        )
        .replace('\n', " ")
    };
    let apex = r#"{"zone":"old.test","name":"old.test","type":"SOA","after":{"ttl":60,"values":["ns.old.test. h.old.test. 1 2 3 4 5"]}},
        {"zone":"old.test","name":"old.test","type":"NS","after":{"ttl":60,"values":["ns.old.test."]}},"#;
    let past = [version(1, "10.0.0.1", apex), version(2, "10.0.0.2", ""), version(3, "10.0.0.3", "")].join("\n");
    let taken = server.ask("POST", "/history", &past)?;
    assert_eq!(taken.status, 201, "{taken:?}");
    for (to, revision) in [("2021-01-02T12:00:00Z", 3), ("2021-01-01T00:00:00Z", 2), ("2020-12-31T00:00:00Z", 0)] {
        let report = server.ask("GET", &format!("/replay?to={to}"), "")?.json();
        assert_eq!((&report["ok"], &report["to"]), (&true.into(), &revision.into()), "{to}: {report}");
    }
    Ok(())
}
