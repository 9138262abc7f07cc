//! The past of zones that were kept in git or in dated files: small repositories with the traits of real ones.

use std::path::{Path, PathBuf};

use conn3ction_tests::{Conn3ction, Ran, shell};
use serde_json::Value;

/// A git repository made commit by commit, a minute apart.
struct Repository {
    path: PathBuf,
    commits: u64,
}

impl Repository {
    fn new(path: PathBuf) -> anyhow::Result<Self> {
        shell(&format!(
            "git init -q -b main {0} && cd {0} && git config user.name Ann && git config user.email ann@example",
            path.display()
        ))?;
        Ok(Self { path, commits: 0 })
    }

    /// Runs `script` in the work tree and commits what it left, at `minute` of 2020-01-01.
    fn commit_at(&mut self, minute: u64, message: &str, script: &str) -> anyhow::Result<()> {
        self.commits += 1;
        let time = format!("2020-01-01T00:{minute:02}:00Z");
        shell(&format!(
            "cd {} && {{ {script}\n}} && git add -A && GIT_AUTHOR_DATE={time} GIT_COMMITTER_DATE={time} git commit -q --allow-empty -m '{message}'",
            self.path.display()
        ))?;
        Ok(())
    }

    fn commit(&mut self, message: &str, script: &str) -> anyhow::Result<()> {
        self.commit_at(self.commits + 1, message, script)
    }
}

fn server(scratch: &Path) -> anyhow::Result<Conn3ction> {
    Conn3ction::start(scratch, &["--zones", "", "--ledger", "memory"])
}

fn import(server: &Conn3ction, arguments: &[&str], path: &Path) -> anyhow::Result<Ran> {
    server.cli(&[&["import-history"], arguments, &[path.to_str().expect("UTF-8")]].concat())
}

fn events(server: &Conn3ction) -> anyhow::Result<Vec<Value>> {
    Ok(serde_json::from_str(&shell(&format!("curl -sf http://{}/events", server.http))?)?)
}

/// What `dig` says of `name`, now or at a moment.
fn dig(server: &Conn3ction, name: &str, at: &str) -> anyhow::Result<String> {
    let option = if at.is_empty() { String::new() } else { format!("+ednsopt=65353:$(printf {at} | xxd -p)") };
    let text = shell(&format!("dig +short +norec @127.0.0.1 -p {} {name} {option}", server.dns.port()))?;
    Ok(text.trim().replace('\n', " "))
}

#[test]
fn every_trait_of_a_history_in_git_becomes_what_it_was() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut git = Repository::new(scratch.path().join("git"))?;
    let long = "x".repeat(300);
    // Two zones, one told by $ORIGIN, one by its file's name; both include a file under the path of their old machine.
    git.commit(
        "first",
        "mkdir inc; printf 'www A 192.0.2.2\\n' > inc/hosts.inc
         printf '$ORIGIN example.org.\\n$TTL 60\\n@ SOA ns host 100 2 3 4 5\\n@ NS ns\\nns A 192.0.2.1\\n$ORIGIN deep.example.org.\\na A 192.0.2.7\\n$ORIGIN example.org.\\n$INCLUDE /etc/bind/inc/hosts.inc\\n' > org.zone
         printf '$TTL 60\\n@ SOA ns h 7 2 3 4 5\\n@ NS ns\\nns A 192.0.2.9\\n$GENERATE 1-3 h$ A 192.0.2.1$\\n$INCLUDE inc/hosts.inc\\n' > db.example.net",
    )?;
    git.commit("shared", "printf 'www A 192.0.2.3\\n' > inc/hosts.inc")?;
    git.commit("broken", "echo 'bad A x' >> org.zone")?;
    git.commit("mended, serial down", "sed -i '/^bad/d; s/ 100 / 99 /' org.zone; echo 'new A 192.0.2.4' >> org.zone")?;
    git.commit("nothing", "true")?;
    git.commit_at(6, "long", &format!("echo 't TXT {long}' >> org.zone"))?;
    git.commit_at(6, "same second", "echo 'twin A 192.0.2.6' >> org.zone")?;
    git.commit("renamed", "mkdir zones; git mv org.zone zones/moved.zone")?;
    git.commit("net goes", "git rm -q db.example.net")?;
    // A side branch: only its merge is a version.
    git.commit("merge", "git checkout -qb side; echo 'side A 192.0.2.8' >> zones/moved.zone; git commit -qam side; git checkout -q main; git merge -q --no-ff --no-commit side")?;
    git.commit("net is back, earlier than before", "git show HEAD~8:db.example.net > db.example.net")?;
    git.commit("origin moves", "sed -i 's/example.org/example.test/' zones/moved.zone")?;

    let server = server(&scratch.path().join("data"))?;
    let dry = import(&server, &["--dry-run"], &git.path)?;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(events(&server)?.is_empty(), "a dry run writes nothing");
    assert!(dry.err.contains("9 of 12 versions would become events"), "{dry:?}");
    let strict = import(&server, &["--strict"], &git.path)?;
    assert!(strict.code != 0 && events(&server)?.is_empty(), "strict stops before anything is imported: {strict:?}");

    let ran = import(&server, &[], &git.path)?;
    assert_eq!(ran.code, 0, "{ran:?}");
    for said in
        ["org.zone: left out: line 10, column", "a text of over 255 octets, split", "12 versions, 9 events, r1 to r9"]
    {
        assert!(ran.err.contains(said), "{said}: {ran:?}");
    }
    let events = events(&server)?;
    let told: Vec<String> = events
        .iter()
        .map(|event| {
            let zones = event["zones"].as_array().expect("zones").iter();
            let zones: Vec<_> =
                zones.map(|zone| format!("{} {}", zone["name"].as_str().expect("a name"), zone["serial"])).collect();
            format!(
                "{} {} {}: {}",
                event["kind"].as_str().unwrap_or_default(),
                event["change_count"],
                event["reason"].as_str().unwrap_or_default(),
                zones.join(", ")
            )
        })
        .collect();
    let expected = [
        "zone-imported 12 first: example.net 7, example.org 100",
        "zone-imported 2 shared: example.net 8, example.org 101",
        "zone-imported 1 mended, serial down: example.org 102",
        "zone-imported 1 long: example.org 103",
        "zone-imported 1 same second: example.org 104",
        "zone-deleted 7 net goes: example.net 8",
        "zone-imported 1 merge: example.org 105",
        "zone-imported 7 net is back, earlier than before: example.net 9",
        "zone-imported 18 origin moves: example.org 105, example.test 99",
    ];
    assert_eq!(told, expected);
    assert!(events.iter().all(|event| event["actor"] == "Ann <ann@example>"));
    assert_eq!(events[0]["time"], "2020-01-01T00:01:00.000000Z");
    assert_eq!(events[4]["time"], "2020-01-01T00:06:00.000001Z", "two commits of one second");

    for (name, at, answer) in [
        ("www.example.org", "2020-01-01T00:01:30Z", "192.0.2.2"),
        ("www.example.net", "2020-01-01T00:02:00Z", "192.0.2.3"),
        ("a.deep.example.org", "r1", "192.0.2.7"),
        ("h2.example.net", "r1", "192.0.2.12"),
        ("new.example.org", "2020-01-01T00:03:30Z", ""),
        ("new.example.org", "2020-01-01T00:04:00Z", "192.0.2.4"),
        ("www.example.net", "2020-01-01T00:09:30Z", ""),
        ("www.example.net", "", "192.0.2.3"),
        ("www.example.org", "", ""),
        ("twin.example.test", "", "192.0.2.6"),
    ] {
        assert_eq!(dig(&server, name, at)?, answer, "{name} {at}");
    }
    let verified = server.cli(&["verify"])?;
    assert_eq!(verified.code, 0, "{verified:?}");

    let again = import(&server, &[], &git.path)?;
    assert!(again.code != 0 && again.err.contains("has a past in this ledger already"), "{again:?}");
    let dry = import(&server, &["--dry-run"], &git.path)?;
    assert!(dry.code == 3 && dry.err.contains("has a past in this ledger already"), "{dry:?}");
    // What happens now goes on behind the past.
    let written = server.cli(&["set", "now.example.test", "A", "192.0.2.99"])?;
    assert_eq!(written.code, 0, "{written:?}");
    Ok(())
}

#[test]
fn a_map_file_says_which_files_hold_which_zones() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut git = Repository::new(scratch.path().join("git"))?;
    let zone = "printf '$TTL 60\\n@ SOA ns.x. host.x. 1 2 3 4 5\\n@ NS ns.x.\\nw A 192.0.2.1\\n'";
    git.commit("first", &format!("mkdir z; {zone} > z/db.fwd; {zone} > z/db.rev; {zone} > z/db.old"))?;
    let map = scratch.path().join("map");
    std::fs::write(&map, "# GLOB ORIGIN\nz/db.* example.org\n*.rev 2.0.192.in-addr.arpa\ndb.old -\n")?;
    let server = server(&scratch.path().join("data"))?;
    let ran = import(&server, &["--zones", map.to_str().expect("UTF-8")], &git.path)?;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(dig(&server, "w.example.org", "")?, "192.0.2.1");
    assert_eq!(dig(&server, "w.2.0.192.in-addr.arpa", "")?, "192.0.2.1");
    Ok(())
}

#[test]
fn dated_root_zones_become_days_of_history() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let server = server(&scratch.path().join("data"))?;
    // Three days of them, the signed one first: the whole month takes a debug build ten seconds.
    let days = scratch.path().join("days");
    let from = conn3ction_tests::root().join("tests/data/root-zone");
    shell(&format!(
        "mkdir {0} && cp {1}/2018-01-*.zone.gz {1}/2018-02-04.zone.gz {0}",
        days.display(),
        from.display()
    ))?;
    shell(&format!(
        "cd {0} && printf '. 60 SOA a. b. 1 2 3 4 5\nx A y\n' > 2018-03-01.bad.zone && echo > server.log && echo > other.log",
        days.display()
    ))?;
    let ran = import(&server, &["--zone", "."], &days)?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let undated = "2 files left out for want of a date such as 2026-01-31 in their names: other.log and others\n";
    assert!(ran.err.contains(undated) && !ran.err.contains("server.log"), "{ran:?}");
    assert_eq!(ran.err.matches("bad.zone").count(), 1, "{ran:?}");
    let events = events(&server)?;
    assert_eq!(events.len(), 3);
    for event in &events {
        let name = event["source"].as_str().and_then(|source| source.strip_prefix("import-history:")).expect("a file");
        assert_eq!(event["time"].as_str().map(|time| &time[..10]), Some(&name[..10]));
    }
    Ok(())
}
