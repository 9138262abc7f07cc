//! The past of zones that were kept in git or in dated files: small repositories with the traits of real ones.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use conn3ction_tests::{Conn3ction, Ran, audit, binary, shell};
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
    for line in ["*.zone p.test # my zone", "*.zone beta.test extra", "[bad beta.test"] {
        std::fs::write(&map, format!("# ours\n{line}\n"))?;
        let ran = import(&server, &["--zones", map.to_str().expect("UTF-8")], &git.path)?;
        assert!(ran.code == 2 && ran.err.contains("map, line 2: "), "{line}: {ran:?}");
    }
    Ok(())
}

#[test]
fn dated_files_include_what_is_beside_them_and_run_on_within_a_day() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let days = scratch.path().join("days");
    shell(&format!(
        "mkdir -p {0}/sub && cd {0} && echo notes > notes.txt && echo 'w A 192.0.2.1' > inc.txt
         zone() {{ printf '$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nv A 192.0.2.%s\n$INCLUDE %s\n' $1 $2; }}
         zone 1 inc.txt > example.org-20200109-1.zone
         zone 2 inc.txt > example.org-20200109-2.zone
         zone 3 inc.txt > example.org-20200109-10.zone
         # The included file of this date sorts behind the zone; that of the next one changes the zone on its own.
         zone 1 x/late.txt > sub/a.test-20200201.zone; echo 'w A 192.0.2.2' > sub/late-20200201.txt; echo 'w A 192.0.2.3' > sub/late-20200301.txt
         # What is missing comes later.
         zone 1 missing.txt > b.test-20200201.zone; echo 'w A 192.0.2.4' > missing-20200302.txt",
        days.display()
    ))?;
    let server = server(&scratch.path().join("data"))?;
    let ran = import(&server, &[], &days)?;
    assert!(ran.code == 0 && ran.err.contains("zones: example.org, a.test, b.test"), "{ran:?}");
    assert!(
        ran.err.contains("1 file left out for want of a date such as 2026-01-31 in its name: notes.txt\n"),
        "{ran:?}"
    );
    let sources: Vec<_> =
        events(&server)?.iter().map(|event| event["source"].as_str().map(|it| it[15..].to_owned())).collect();
    let expected = [
        "example.org-20200109-1.zone",
        "example.org-20200109-2.zone",
        "example.org-20200109-10.zone",
        "sub/a.test-20200201.zone",
        "sub/late-20200301.txt",
        "missing-20200302.txt",
    ];
    assert_eq!(sources, expected.map(|it| Some(it.to_owned())), "{ran:?}");
    for (name, at, answer) in [
        ("w.example.org", "r1", "192.0.2.1"),
        ("v.example.org", "r2", "192.0.2.2"),
        ("v.example.org", "", "192.0.2.3"),
        ("w.a.test", "2020-02-02T00:00:00Z", "192.0.2.2"),
        ("w.a.test", "", "192.0.2.3"),
        ("w.b.test", "", "192.0.2.4"),
    ] {
        assert_eq!(dig(&server, name, at)?, answer, "{name} {at}");
    }
    Ok(())
}

#[test]
fn a_file_that_moves_keeps_its_zone_and_is_followed() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut git = Repository::new(scratch.path().join("git"))?;
    let zone = |net: &str| {
        format!(
            "printf '$TTL 60\\n@ SOA ns h 1 2 3 4 5\\n@ NS ns\\nns A 192.0.2.1\\nw A {net}.1\\nx A {net}.2\\ny A {net}.3\\n'"
        )
    };
    let [one, two] = ["192.0.2", "198.51.100"].map(zone);
    git.commit("first", &format!("{one} > db.beta.test; {two} > db.gamma.test; echo 'only a name' > README"))?;
    git.commit("moved", "git mv db.beta.test beta.zone")?;
    git.commit("changed", "echo 'z A 192.0.2.4' >> beta.zone")?;
    git.commit("moved and changed", "mkdir z; git mv beta.zone z/beta.hosts; echo 'zz A 192.0.2.5' >> z/beta.hosts")?;
    git.commit("gamma moves, too", "git mv db.gamma.test z/gamma.db; echo 'z A 198.51.100.4' >> z/gamma.db")?;

    let told = server(&scratch.path().join("told"))?;
    let ran = import(&told, &[], &git.path)?;
    assert!(ran.code == 0 && ran.err.contains("5 versions, 4 events"), "{ran:?}");
    assert!(ran.err.contains("zones: beta.test, gamma.test"), "{ran:?}");
    assert!(ran.err.contains("beta.zone: was db.beta.test, so it still holds beta.test."), "{ran:?}");
    assert!(events(&told)?.iter().all(|event| event["kind"] == "zone-imported"), "no zone goes");

    // Any of its names is the file's.
    for (place, file) in ["db.beta.test", "./beta.zone", "z/beta.hosts"].into_iter().enumerate() {
        let server = server(&scratch.path().join(format!("followed{place}")))?;
        let ran = import(&server, &["--zone", "delta.test", "--file", file], &git.path)?;
        assert!(ran.code == 0 && ran.err.contains("5 versions, 3 events"), "{file}: {ran:?}");
        for (name, at, answer) in
            [("y", "r1", "192.0.2.3"), ("z", "r1", ""), ("z", "r2", "192.0.2.4"), ("zz", "", "192.0.2.5")]
        {
            assert_eq!(dig(&server, &format!("{name}.delta.test"), at)?, answer, "{file} {name} {at}");
        }
    }
    let ran = import(&told, &["--zone", "delta.test", "--file", "nofile"], &git.path)?;
    assert!(ran.code == 1 && ran.err.contains("no version has a file nofile"), "{ran:?}");
    let ran = import(
        &told,
        &["--zone", "delta.test", "--file", "nofile"],
        &conn3ction_tests::root().join("tests/data/root-zone"),
    )?;
    assert!(ran.code == 1 && ran.err.contains("no version has a file nofile"), "{ran:?}");
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

/// A repository whose `commits` change `zones` in turn, the first one all of them, with more octets than sockets hold.
fn long_history(path: &Path, zones: &[&str], commits: usize) -> anyhow::Result<()> {
    let mut script = String::new();
    let ballast = format!(" {:0250}", 0).repeat(32);
    for number in 0..commits {
        let time = 1_577_836_800 + number;
        script.push_str(&format!("commit refs/heads/main\ncommitter Ann <ann@example> {time} +0000\ndata 1\nc\n"));
        for (place, zone) in zones.iter().enumerate().filter(|(place, _)| number == 0 || number % zones.len() == *place)
        {
            let text = format!(
                "@ 60 SOA ns h {} 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nw{} A 192.0.2.2\nt TXT {number}{ballast}\n",
                100 + number % 7,
                number / 3
            );
            script.push_str(&format!("M 644 inline {}/db.{zone}\ndata {}\n{text}\n", place % 2, text.len()));
        }
    }
    shell(&format!("git init -q -b main {}", path.display()))?;
    let mut git = Command::new("git");
    let ran = Ran::new(git.arg("-C").arg(path).args(["fast-import", "--quiet"]), &script)?;
    anyhow::ensure!(ran.code == 0, "{ran:?}");
    shell(&format!(
        "cd {} && git reset -q --hard && git config user.name Bo && git config user.email bo@example",
        path.display()
    ))?;
    Ok(())
}

/// An import that runs on while the test does something else.
fn importing(server: &Conn3ction, path: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new(binary());
    command.args(["--server", &format!("http://{}", server.http), "import-history"]).arg(path);
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

fn head(server: &Conn3ction) -> anyhow::Result<u64> {
    let ready = server.ask("GET", "/readyz", "")?.json();
    Ok(ready["head"].as_str().and_then(|head| head.rsplit([':', 'r']).next()?.parse().ok()).unwrap_or_default())
}

fn wait_for(server: &Conn3ction, revision: u64) -> anyhow::Result<()> {
    while head(server)? < revision {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(())
}

/// What an import made of its versions, without what differs from run to run; and the digest of each view.
fn made(server: &Conn3ction) -> anyhow::Result<(Vec<Value>, Vec<Value>)> {
    let events = audit::events(server)?;
    let target = format!("/projections?min_revision=r{}&wait=30s", events.len());
    let views = server.ask("GET", &target, "")?.json();
    let views = views.as_array().into_iter().flatten();
    let views = views.map(|view| serde_json::json!([view["view"], view["digest"]])).collect();
    let members = ["revision", "kind", "time", "actor", "source", "zones", "change_count"];
    let events = events.iter().map(|event| members.iter().map(|member| event[*member].clone()).collect()).collect();
    Ok((events, views))
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_broke_off() -> anyhow::Result<()> {
    const COMMITS: u64 = 1500;
    let scratch = tempfile::tempdir()?;
    let git = scratch.path().join("git");
    long_history(&git, &["a.test", "b.test", "c.test"], COMMITS as usize)?;
    let unbroken = Conn3ction::start(&scratch.path().join("unbroken"), &["--zones", ""])?;
    let ran = import(&unbroken, &[], &git)?;
    assert!(ran.code == 0 && ran.err.contains(&format!("{COMMITS} events, r1 to r{COMMITS}, 0 left out")), "{ran:?}");
    let whole = made(&unbroken)?;

    let data = scratch.path().join("data");
    let mut server = Conn3ction::start(&data, &["--zones", ""])?;
    let mut client = importing(&server, &git)?;
    wait_for(&server, 100)?;
    client.kill()?;
    client.wait()?;
    let mut client = importing(&server, &git)?;
    let reached = head(&server)?;
    assert!(reached < COMMITS - 300, "it was killed in the middle: {reached}");
    wait_for(&server, reached + 300)?;
    server.kill()?;
    client.wait()?;
    let said = std::io::read_to_string(client.stderr.take().expect("standard error"))?;
    assert!(said.contains("the same command goes on where it broke off"), "{said}");

    server = Conn3ction::start(&data, &["--zones", ""])?;
    let reached = head(&server)?;
    assert!((400..COMMITS).contains(&reached), "the server was killed in the middle: {reached}");
    let dry = import(&server, &["--dry-run"], &git)?;
    let left = COMMITS - reached;
    assert!(
        dry.err.contains(&format!("{left} of {COMMITS} versions would become events, {reached} were there")),
        "{dry:?}"
    );
    let ran = import(&server, &[], &git)?;
    let said = format!("{left} events, r{} to r{COMMITS}, {reached} were there already", reached + 1);
    assert!(ran.code == 0 && ran.err.contains(&said), "{said}: {ran:?}");
    let (events, views) = made(&server)?;
    let differs = events.iter().zip(&whole.0).find(|(here, there)| here != there);
    assert!(events.len() == whole.0.len() && differs.is_none(), "{differs:?}");
    assert_eq!(views, whole.1);
    let verified = server.cli(&["verify"])?;
    assert_eq!(verified.code, 0, "{verified:?}");
    let again = import(&server, &[], &git)?;
    assert!(again.code == 3 && again.err.contains("has a past in this ledger already"), "{again:?}");
    assert_eq!(head(&server)?, COMMITS);
    Ok(())
}

#[test]
fn a_history_that_is_refused_leaves_the_ledger_as_it_was() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let git = scratch.path().join("git");
    long_history(&git, &["a.test"], 40)?;
    let server = server(&scratch.path().join("data"))?;
    let created = server.cli(&["zone", "create", "a.test"])?;
    assert_eq!(created.code, 0, "{created:?}");
    let refused = |path: &Path, head_before: u64| -> anyhow::Result<()> {
        let ran = import(&server, &[], path)?;
        assert!(ran.code == 3 && ran.err.contains("a.test. has a past in this ledger already"), "{ran:?}");
        assert_eq!(head(&server)?, head_before, "{ran:?}");
        Ok(())
    };
    refused(&git, 1)?;
    let deleted = server.cli(&["zone", "delete", "a.test", "--yes"])?;
    assert_eq!(deleted.code, 0, "{deleted:?}");
    refused(&git, 2)?;
    Ok(())
}

#[test]
fn another_history_of_the_same_zone_is_refused_whole() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let [git, more, other] = ["git", "more", "other"].map(|name| scratch.path().join(name));
    long_history(&git, &["a.test"], 14)?;
    long_history(&more, &["a.test", "b.test"], 40)?;
    // The same commits, and then others; the last of ours is not among them.
    shell(&format!(
        "git clone -q {0} {1} && cd {1} && git config user.name Bo && git config user.email bo@example && git reset -q --hard HEAD~1
         for at in $(seq 40); do echo \"x$at A 192.0.2.9\" >> 0/db.a.test; git commit -qam more; done",
        git.display(),
        other.display()
    ))?;
    let server = server(&scratch.path().join("data"))?;
    assert_eq!(import(&server, &[], &git)?.code, 0);
    for path in [&git, &more, &other] {
        let ran = import(&server, &[], path)?;
        assert!(ran.code == 3 && ran.err.contains("a.test. has a past in this ledger already"), "{ran:?}");
        assert_eq!(head(&server)?, 14, "{ran:?}");
    }
    // Commits behind those that are there are what a broken import would have had to bring.
    shell(&format!("cd {} && echo 'new A 192.0.2.7' >> 0/db.a.test && git commit -qam new", git.display()))?;
    let ran = import(&server, &[], &git)?;
    assert!(ran.code == 0 && ran.err.contains("15 versions, 1 events, r15 to r15, 14 were there already"), "{ran:?}");
    // What somebody else wrote since ends the history.
    assert_eq!(server.cli(&["set", "hand.a.test", "A", "192.0.2.99"])?.code, 0);
    shell(&format!("cd {} && echo 'newer A 192.0.2.7' >> 0/db.a.test && git commit -qam newer", git.display()))?;
    let ran = import(&server, &[], &git)?;
    assert!(ran.code == 3 && head(&server)? == 16, "{ran:?}");
    Ok(())
}
