//! `verify`: whatever is not what the ledger says is found and named, wherever it lies.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use conn3ction_tests::{Conn3ction, Ran, binary, etcd::Etcd};
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
    // A write does not wait for the local copy of the records.
    let behind = |view: &serde_json::Value| view["revision"] != 5;
    while server.ask("GET", "/readyz", "")?.json()["views"].as_array().is_none_or(|views| views.iter().any(behind)) {}
    let kept = [format!("r3:{third}"), format!("1:5:{last}")];
    let whole = verify(&server, &["--anchor", &kept[0], "--anchor", &kept[1]])?;
    assert_eq!(whole.code, 0, "{whole:?}");
    for line in [format!("anchor r3: ok  {third}"), "answers r5: ok".into(), "records r5: ok".into()] {
        assert!(whole.out.contains(&line), "{line}: {whole:?}");
    }

    let forked = verify(&server, &["--anchor", &kept[0], "--anchor", &format!("3:{last}")])?;
    assert_eq!(forked.code, 5, "{forked:?}");
    assert!(forked.err.contains(&format!("does not pass through r3:{last}")), "{forked:?}");
    assert!(forked.err.contains(&format!("hash is {third} now")), "{forked:?}");
    let beyond = verify(&server, &["--anchor", &format!("r6:{last}")])?;
    assert_eq!(beyond.code, 5, "{beyond:?}");
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

fn on(arguments: &[&str]) -> anyhow::Result<Ran> {
    Ran::new(Command::new(binary()).args(arguments), "")
}

/// A directory that no server holds is verified as it lies, the sealed answers and the records beside the ledger.
#[test]
fn a_directory_is_verified_without_a_server_and_damage_is_named_by_its_revision() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let path = data.path().to_str().unwrap_or_default();
    let server = Conn3ction::start(data.path(), &["--hot-floor", "8"])?;
    for n in 1..=9 {
        assert_eq!(server.cli(&["set", "a.example.local", "TXT", &format!("value-{n}")])?.code, 0);
    }
    views(&server, 10)?;
    server.logged_until("answers sealed");
    let hash = server.ask("GET", "/events/4", "")?.json()["hash"].as_str().unwrap_or_default().to_owned();
    let held = on(&["--data", path, "verify"])?;
    assert_eq!(held.code, 1, "{held:?}");
    assert!(held.err.contains(&format!("in use by process {}", server.pid())), "{held:?}");
    server.kill()?;

    let whole = on(&["--data", path, "verify", "--anchor", &format!("r4:{hash}")])?;
    assert_eq!(whole.code, 0, "{whole:?}");
    // A killed server may leave the copy a moment behind.
    for line in ["chain r1 to r10: ", "anchor r4: ok", "answers r", "records r", ": ok  "] {
        assert!(whole.out.contains(line), "{line}: {whole:?}");
    }
    assert!(!whole.out.contains("DIFFERS"), "{whole:?}");

    let segment = std::fs::read_dir(data.path().join("ledger"))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| std::fs::read(path).is_ok_and(|octets| find(&octets, b"value-6").is_some()));
    let segment = segment.ok_or_else(|| anyhow::anyhow!("no segment holds the value"))?;
    let mut octets = std::fs::read(&segment)?;
    let at = find(&octets, b"value-6").unwrap_or_default();
    octets[at] ^= 1;
    std::fs::write(&segment, octets)?;
    let damaged = on(&["--data", path, "verify"])?;
    assert_eq!(damaged.code, 5, "{damaged:?}");
    assert!(damaged.err.contains("the first bad revision is r7"), "{damaged:?}");

    let nothing = on(&["--data", "/nowhere", "verify"])?;
    assert_eq!(nothing.code, 1, "{nothing:?}");
    Ok(())
}

fn find(octets: &[u8], text: &[u8]) -> Option<usize> {
    octets.windows(text.len()).position(|window| window == text)
}

/// The same for a ledger in etcd, with the views there, while the servers are dead.
#[test]
fn an_etcd_is_verified_without_a_server() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--etcd-endpoints", &etcd.url])?;
    for n in 1..=5 {
        assert_eq!(server.cli(&["set", &format!("a{n}.example.local"), "A", "192.0.2.1"])?.code, 0);
    }
    views(&server, 6)?;
    server.kill()?;
    let whole = on(&["verify", "--etcd-endpoints", &etcd.url])?;
    assert_eq!(whole.code, 0, "{whole:?}");
    for line in ["chain r1 to r6: ", "mirror r6: ok", "zone-keys r6: ok"] {
        assert!(whole.out.contains(line), "{line}: {whole:?}");
    }
    etcd.ctl(&["put", "/conn3ction/zones/example.local/a3/A", "192.0.2.3"])?;
    let differs = on(&["verify", "--etcd-endpoints", &etcd.url])?;
    assert_eq!(differs.code, 5, "{differs:?}");
    assert!(differs.out.contains("the first is /conn3ction/zones/example.local/a3/A"), "{differs:?}");

    // One batch is swapped for another.
    let batches = etcd.ctl(&["get", "--prefix", "--keys-only", "/conn3ction/ledger/log/"])?;
    let keys: Vec<_> = batches.lines().filter(|line| !line.is_empty()).collect();
    let octets = etcd.ctl(&["get", "--hex", "--print-value-only", keys[4]])?;
    let octets: Vec<u8> = octets
        .trim()
        .split("\\x")
        .filter(|digits| !digits.is_empty())
        .map(|digits| u8::from_str_radix(digits, 16))
        .collect::<Result<_, _>>()?;
    let put = format!("/usr/bin/env printf '%b' '{}' > {}/batch", hex(&octets), data.path().display());
    conn3ction_tests::shell(&put)?;
    let ctl = conn3ction_tests::tool("etcdctl-3.7.3")?;
    let line = format!("{} --endpoints {} put {} < {}/batch", ctl.display(), etcd.url, keys[2], data.path().display());
    conn3ction_tests::shell(&line)?;
    let swapped = on(&["verify", "--etcd-endpoints", &etcd.url])?;
    assert_eq!(swapped.code, 5, "{swapped:?}");
    assert!(swapped.err.contains("the first bad revision is r"), "{swapped:?}");
    let gone = on(&["verify", "--etcd-endpoints", "http://127.0.0.1:1"])?;
    assert_eq!(gone.code, 4, "{gone:?}");
    Ok(())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("\\x{octet:02x}")).collect()
}

/// Every view comes out of nothing as it is shown, at any moment, and leaves nothing behind.
#[test]
fn a_replay_to_any_moment_comes_to_what_is_shown_of_it() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let data = tempfile::tempdir()?;
    let flags = ["--ledger", "file", "--etcd-endpoints", &etcd.url];
    let server = Conn3ction::start(data.path(), &flags)?;
    for n in 1..=9 {
        assert_eq!(server.cli(&["set", &format!("a{}.example.local", n % 4), "A", &format!("192.0.2.{n}")])?.code, 0);
    }
    views(&server, 10)?;
    let time = server.ask("GET", "/events/6", "")?.json()["time"].as_str().unwrap_or_default().to_owned();
    let entries = || Ok::<_, std::io::Error>(std::fs::read_dir(data.path())?.count());
    let before = entries()?;
    for (to, revision) in [("r4", 4), (&*time, 6), ("now", 10)] {
        let ran = server.cli(&["replay", "--to", to])?;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.starts_with(&format!("replayed to r{revision}: {revision} events in ")), "{ran:?}");
        for view in ["answers", "records", "mirror", "zone-keys"] {
            assert!(ran.out.contains(&format!("{view} r{revision}: ok")), "{view}: {ran:?}");
        }
    }
    assert_eq!(entries()?, before);
    let later = server.cli(&["replay", "--to", "r11"])?;
    assert_eq!(later.code, 1, "{later:?}");
    server.kill()?;
    let offline = on(&["--data", data.path().to_str().unwrap_or_default(), "replay", "--to", "r5"])?;
    assert_eq!(offline.code, 0, "{offline:?}");
    assert!(offline.out.contains("records r5: ok"), "{offline:?}");
    Ok(())
}

/// Every file below `directory` with its octets and when it was changed.
fn files(directory: &Path) -> anyhow::Result<BTreeMap<PathBuf, (SystemTime, Vec<u8>)>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else {
            let (changed, octets) = (path.metadata()?.modified()?, std::fs::read(&path)?);
            all.insert(path, (changed, octets));
        }
    }
    Ok(all)
}

/// Whoever proves or reads a directory changes nothing in it, even where the end of its ledger is gone; and that is told.
#[test]
fn a_directory_that_is_verified_or_read_stays_as_it_was_and_a_lost_end_is_told() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--hot-floor", "8"])?;
    for n in 1..=9 {
        assert_eq!(server.cli(&["set", "a.example.local", "TXT", &format!("value-{n}")])?.code, 0);
    }
    views(&server, 10)?;
    server.logged_until("answers sealed");
    let copy = data.path().join("copy");
    assert_eq!(server.cli(&["export", "--ledger", &copy.display().to_string()])?.code, 0);
    server.kill()?;

    let verbs: [&[&str]; 4] = [
        &["verify"],
        &["log"],
        &["get", "a.example.local", "TXT", "--at", "r3"],
        &["restore", "example.local", "--to", "r3", "--dry-run"],
    ];
    for directory in [data.path(), &copy] {
        let before = files(directory)?;
        for verb in verbs {
            let ran = on(&[&["--data", &directory.display().to_string()], verb].concat())?;
            assert_eq!(ran.code, 0, "{verb:?}: {ran:?}");
        }
        assert!(files(directory)? == before, "{}", directory.display());
    }

    let segment = copy.join("ledger/00000000-0000000000000000.seg");
    let whole = std::fs::read(&segment)?;
    for lost in [1, 40, 300] {
        std::fs::write(&segment, &whole[..whole.len() - lost])?;
        let before = files(&copy)?;
        let ran = on(&["--data", &copy.display().to_string(), "verify"])?;
        assert!(ran.code == 5 && ran.err.contains("of a write that is not whole"), "{ran:?}");
        assert!(files(&copy)? == before, "{lost} octets lost");
    }
    Ok(())
}

/// A copy of the whole ledger, from any kind of ledger, is a directory that everything reads and `verify` proves; it is gone on
/// with later, and never mixed with another ledger.
#[test]
fn the_ledger_is_exported_and_the_copy_proves_the_same_chain() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let (one, two, copies) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
    let on_files = Conn3ction::start(one.path(), &[])?;
    let on_etcd = Conn3ction::start(two.path(), &["--etcd-endpoints", &etcd.url])?;
    let zone: String = (0..6_000).map(|n| format!("n{n} 60 TXT \"{}\"\n", "x".repeat(60))).collect();
    std::fs::write(copies.path().join("zone"), format!("@ 60 SOA ns h 1 1 1 1 1\n@ 60 NS ns\n{zone}"))?;
    let (zone, mut chains) = (copies.path().join("zone").display().to_string(), Vec::new());
    for (server, name) in [(&on_files, "files"), (&on_etcd, "etcd")] {
        let copy = copies.path().join(name).display().to_string();
        assert_eq!(server.cli(&["set", "a.example.local", "A", "192.0.2.1"])?.code, 0);
        let empty = server.cli(&["export", "--ledger", &copy])?;
        assert!(empty.code == 0 && empty.out.contains(&format!("copied r1 to r2 into {copy}: ")), "{empty:?}");
        // Too large to come along with its header.
        assert_eq!(server.cli(&["import", "large.test", &zone])?.code, 0);
        assert_eq!(server.cli(&["set", "a.example.local", "A", "192.0.2.2"])?.code, 0);
        let more = server.cli(&["export", "--ledger", &copy, "--json"])?;
        assert_eq!(more.code, 0, "{more:?}");
        let told: Value = serde_json::from_str(&more.out)?;
        assert_eq!((&told["events"], &told["to"]), (&Value::from(2), &Value::from(4)), "{told}");
        let nothing = server.cli(&["export", "--ledger", &copy])?;
        assert!(nothing.code == 0 && nothing.out.contains("nothing new"), "{nothing:?}");

        let hash = told["hash"].as_str().unwrap_or_default();
        let chain = format!("chain r1 to r4: {hash}");
        for proof in [on(&["--data", &copy, "verify"])?, verify(server, &[])?] {
            assert!(proof.code == 0 && proof.out.contains(&chain), "{chain}: {proof:?}");
        }
        let log = on(&["--data", &copy, "log", "--oneline"])?;
        assert!(log.code == 0 && log.out.lines().count() == 4, "{log:?}");
        let past = on(&["--data", &copy, "get", "a.example.local", "A", "--at", "r2"])?;
        assert!(past.code == 0 && past.out.contains("192.0.2.1"), "{past:?}");
        chains.push(copy);
    }
    let other = on_etcd.cli(&["export", "--ledger", &chains[0]])?;
    assert!(other.code == 5 && other.err.contains("these are two ledgers"), "{other:?}");
    let young = Conn3ction::start(copies.path().join("young").as_path(), &[])?;
    let ahead = young.cli(&["export", "--ledger", &chains[0]])?;
    assert!(ahead.code == 5 && ahead.err.contains("is ahead of this server"), "{ahead:?}");
    let tried =
        on_files.cli(&["export", "--ledger", &copies.path().join("tried").display().to_string(), "--dry-run"])?;
    assert!(tried.code == 2 && !copies.path().join("tried").exists(), "{tried:?}");
    let filled = on_files.cli(&["export", "--ledger", &copies.path().display().to_string()])?;
    assert!(filled.code == 2 && filled.err.contains("holds other files and no ledger"), "{filled:?}");
    let again = on(&["--data", &chains[0], "verify"])?;
    assert!(again.code == 0 && again.out.contains("chain r1 to r4: "), "{again:?}");
    Ok(())
}
