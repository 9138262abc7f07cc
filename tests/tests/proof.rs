//! `verify`: whatever is not what the ledger says is found and named, wherever it lies.

use conn3ction_tests::{Conn3ction, Ran, etcd::Etcd};
use serde_json::Value;

fn views(server: &Conn3ction, head: u64) -> anyhow::Result<()> {
    let shown = server.ask("GET", &format!("/projections?min_revision=r{head}&wait=30s"), "")?;
    anyhow::ensure!(shown.status == 200, "{shown:?}");
    Ok(())
}

fn verify(server: &Conn3ction, further: &[&str]) -> anyhow::Result<Ran> {
    server.cli(&[&["verify"], further].concat())
}

#[test]
fn a_chain_passes_through_what_somebody_kept_of_it_and_through_nothing_else() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    for n in 1..=4 {
        let ran = server.cli(&["set", "a.example.local", "A", &format!("192.0.2.{n}")])?;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let hash = |revision: u64| -> anyhow::Result<String> {
        let event = server.ask("GET", &format!("/events/{revision}"), "")?.json();
        Ok(event["hash"].as_str().unwrap_or_default().to_owned())
    };
    let (third, last) = (hash(3)?, hash(5)?);
    let kept = [format!("r3:{third}"), format!("1:5:{last}")];
    let whole = verify(&server, &["--anchor", &kept[0], "--anchor", &kept[1]])?;
    assert_eq!(whole.code, 0, "{whole:?}");
    for line in [format!("anchor r3: ok  {third}"), "answers r5: ok".into(), "records r5: ok".into()] {
        assert!(whole.out.contains(&line), "{line}: {whole:?}");
    }

    let forked = verify(&server, &["--anchor", &kept[0], "--anchor", &format!("3:{last}")])?;
    assert_eq!(forked.code, 1, "{forked:?}");
    assert!(forked.err.contains(&format!("does not pass through r3:{last}")), "{forked:?}");
    assert!(forked.err.contains(&format!("hash is {third} now")), "{forked:?}");
    let beyond = verify(&server, &["--anchor", &format!("r6:{last}")])?;
    assert_eq!(beyond.code, 1, "{beyond:?}");
    assert!(beyond.err.contains(&format!("the chain ends at r5, before r6:{last}")), "{beyond:?}");
    assert_eq!(verify(&server, &["--anchor", "r3:12"])?.code, 2);

    let asked = server.ask("GET", &format!("/verify?anchor={}&anchor=r3:{last}", kept[0]), "")?.json();
    assert_eq!(asked["ok"], false, "{asked}");
    assert_eq!(asked["anchors"][0]["ok"], true, "{asked}");
    assert_eq!(asked["anchors"][1]["found"], Value::from(third), "{asked}");
    Ok(())
}

/// What is in etcd is what the ledger says, key by key, whoever writes it.
#[test]
fn a_key_in_etcd_that_the_ledger_did_not_put_there_is_named() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let all = Conn3ction::start(one.path(), &["--etcd-endpoints", &etcd.url])?;
    let api = Conn3ction::start(two.path(), &["--role", "api", "--etcd-endpoints", &etcd.url])?;
    for name in ["a", "b", "c"] {
        assert_eq!(all.cli(&["set", &format!("{name}.example.local"), "A", "192.0.2.1"])?.code, 0);
    }
    views(&all, 4)?;
    views(&api, 4)?;
    for server in [&all, &api] {
        let whole = verify(server, &[])?;
        assert_eq!(whole.code, 0, "{whole:?}");
        for view in ["answers", "records", "mirror", "zone-keys"] {
            assert!(whole.out.contains(&format!("{view} r4: ok")), "{view}: {whole:?}");
        }
    }

    let key = "/conn3ction/zones/example.local/b/A";
    assert_eq!(etcd.ctl(&["get", "--print-value-only", key])?.trim(), "192.0.2.1");
    type Spoil = fn(&Etcd) -> anyhow::Result<String>;
    let spoils: [(&str, &str, Spoil); 3] = [
        ("zone-keys", "1 key differs, the first is /conn3ction/zones/example.local/b/A, of another value", |etcd| {
            etcd.ctl(&["put", "/conn3ction/zones/example.local/b/A", "192.0.2.9"])
        }),
        ("mirror", "1 key differs, the first is /conn3ction/records/c.example.local, missing", |etcd| {
            etcd.ctl(&["del", "/conn3ction/records/c.example.local"])
        }),
        ("mirror", "1 key differs, the first is /conn3ction/records/x.example.local, not in the ledger", |etcd| {
            etcd.ctl(&["put", "/conn3ction/records/x.example.local", "{}"])
        }),
    ];
    for (view, difference, spoil) in spoils {
        spoil(&etcd)?;
        for server in [&all, &api] {
            let ran = verify(server, &[])?;
            assert_eq!(ran.code, 5, "{ran:?}");
            assert!(ran.out.contains(&format!("{view} r4: DIFFERS: {difference}")), "{difference}: {ran:?}");
            assert!(ran.err.contains(&format!("not what the ledger says: {view}")), "{ran:?}");
        }
        assert_eq!(all.cli(&["rebuild", view])?.code, 0);
        let mended = verify(&all, &[])?;
        assert_eq!(mended.code, 0, "{mended:?}");
    }
    Ok(())
}
