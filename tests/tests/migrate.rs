//! `migrate` takes over what an older service or a plain CoreDNS keeps in a real etcd; every key is taken or named.

use conn3ction_tests::{Conn3ction, etcd::Etcd, shell};
use serde_json::Value;

fn put(etcd: &Etcd, key: &str, value: &str) -> anyhow::Result<()> {
    etcd.ctl(&["put", key, value]).map(|_| ())
}

/// An A set of `name` in shop.example.
fn put_a(etcd: &Etcd, name: &str, address: &str) -> anyhow::Result<()> {
    put(etcd, &format!("/old/{name}.shop.example"), &format!(r#"{{"type":"A","values":["{address}"],"ttl":60}}"#))
}

fn records(server: &Conn3ction) -> anyhow::Result<Vec<String>> {
    let told = server.cli(&["get", "-o", "zone"])?;
    anyhow::ensure!(told.code == 0, "{told:?}");
    let own = |line: &&str| !line.contains(" SOA ") && !line.contains(" NS ");
    Ok(told.out.lines().filter(own).map(str::to_owned).collect())
}

#[test]
fn the_records_of_an_older_service_become_events_that_name_their_source() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    put(
        &etcd,
        "/polycloud/app.shop.example",
        r#"{"name":"app.shop.example","type":"A","values":["192.0.2.1"],"ttl":60}"#,
    )?;
    // The old service's merged version glued prefix and name.
    put(
        &etcd,
        "/polycloudapi.shop.example",
        r#"{"name":"api.shop.example","type":"A","values":["192.0.2.2"],"ttl":30}"#,
    )?;
    put(
        &etcd,
        "/polycloud/mail.other.test",
        r#"[{"name":"mail.other.test","type":"MX","values":["10 mx.other.test."]},{"name":"mail.other.test","type":"TXT","values":["hello"]}]"#,
    )?;
    put(&etcd, "/polycloud/broken.shop.example", "{")?;
    put(&etcd, "/polycloud/odd.shop.example", r#"{"name":"odd.shop.example","type":"A","values":["300.1.1.1"]}"#)?;
    put(&etcd, "/elsewhere/x.shop.example", r#"{"name":"x.shop.example","type":"A","values":["192.0.2.9"]}"#)?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--zones", ""])?;
    let migrate = |more: &[&str]| {
        let fixed = ["migrate", "--from", "/polycloud", "--etcd-endpoints", &etcd.url];
        server.cli(&[&fixed[..], more].concat())
    };

    let planned = migrate(&["--dry-run"])?;
    assert_eq!(planned.code, 1, "two keys cannot be taken: {planned:?}");
    assert!(planned.out.contains("shop.example: 2 record sets, a new zone"), "{planned:?}");
    assert!(planned.out.contains("+ app.shop.example.  60  A\n+   192.0.2.1\n"), "{planned:?}");
    for key in ["/polycloud/broken.shop.example", "/polycloud/odd.shop.example"] {
        assert!(planned.err.contains(key), "{planned:?}");
    }
    assert_eq!(migrate(&[])?.code, 2, "nobody can be asked");
    assert!(records(&server)?.is_empty(), "a plan and a question write nothing");

    let done = migrate(&["--yes"])?;
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.out.contains("2 record sets taken over"), "{done:?}");
    let all = records(&server)?;
    assert_eq!(
        all,
        [
            "api.shop.example. 30 IN A 192.0.2.2",
            "app.shop.example. 60 IN A 192.0.2.1",
            "mail.other.test. 60 IN MX 10 mx.other.test.",
            "mail.other.test. 60 IN TXT \"hello\"",
        ]
    );
    let events = server.ask("GET", "/events", "")?.json();
    let events = events.as_array().expect("events");
    assert_eq!(events.len(), 2, "two zones, each made with its sets");
    for event in events {
        assert_eq!(event["source"], "migrate:/polycloud");
        assert!(event["reason"].as_str().is_some_and(|reason| reason.contains("at etcd revision")), "{event}");
    }
    let again = migrate(&["--yes"])?;
    assert!(again.code == 1 && again.err.contains("nothing to do: 4 record sets are here as in etcd"), "{again:?}");
    assert_eq!(server.ask("GET", "/events", "")?.json().as_array().map(Vec::len), Some(2), "nothing twice");
    assert_eq!(etcd.pairs("/polycloud")?.len(), 5, "old keys are only read");
    Ok(())
}

#[test]
fn a_plan_shows_what_is_new_what_it_would_replace_and_who_changed_that_here() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    for (name, value) in [("a", "192.0.2.1"), ("b", "192.0.2.2"), ("c", "192.0.2.3"), ("d", "192.0.2.4")] {
        put_a(&etcd, name, value)?;
    }
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--zones", ""])?;
    let migrate = |more: &[&str]| {
        let fixed = ["migrate", "--from", "/old", "--etcd-endpoints", &etcd.url, "--actor", "mover"];
        server.cli(&[&fixed[..], more].concat())
    };
    let head =
        || -> anyhow::Result<usize> { Ok(server.ask("GET", "/events", "")?.json().as_array().map_or(0, Vec::len)) };
    let json = |text: &str| -> anyhow::Result<Vec<Value>> {
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    };

    // A new zone and its sets are one event, planned by the server as a whole.
    let planned = migrate(&["--dry-run", "--json"])?;
    let [plan] = &json(&planned.out)?[..] else { anyhow::bail!("{planned:?}") };
    assert_eq!((&plan["kind"], &plan["change_count"]), (&"zone-imported".into(), &6.into()), "{planned:?}");
    assert_eq!((&plan["source"], &plan["zones"][0]["created"]), (&"migrate:/old".into(), &true.into()));
    assert!(planned.err.contains("4 keys below /old"), "words go beside: {planned:?}");
    let done = migrate(&["--yes", "--json"])?;
    let [event] = &json(&done.out)?[..] else { anyhow::bail!("{done:?}") };
    assert_eq!((&event["revision"], &event["changes"]), (&1.into(), &plan["changes"]), "exactly the plan");
    assert_eq!((done.code, &event["source"]), (0, &"migrate:/old".into()), "{done:?}");
    assert!(done.err.contains("+ a.shop.example.  60  A\n"), "who runs it sees the plan: {done:?}");

    // Nothing changed, so there is nothing to ask or to do.
    let again = migrate(&[])?;
    assert_eq!((again.code, &*again.out), (0, "shop.example: 4 record sets, 4 unchanged\n"), "{again:?}");
    assert!(again.err.ends_with("nothing to do: 4 record sets are here as in etcd\n"), "{again:?}");
    let again = migrate(&["--json", "--yes"])?;
    let [same] = &json(&again.out)?[..] else { anyhow::bail!("{again:?}") };
    assert_eq!((again.code, &same["unchanged"], head()?), (0, &true.into(), 1), "{again:?}");

    // Changed here, gone here, changed in etcd, new in etcd, as it was.
    server.cli(&["set", "a.shop.example", "A", "10.0.0.1", "--actor", "ann", "-m", "CHG-7"])?;
    server.cli(&["delete", "b.shop.example", "A", "--actor", "bob"])?;
    put_a(&etcd, "c", "192.0.2.33")?;
    put_a(&etcd, "e", "192.0.2.5")?;
    let planned = migrate(&["--dry-run"])?;
    let shown = "shop.example: 5 record sets, 1 unchanged\n\
                 ~ a.shop.example.  60  A\n-   10.0.0.1\n+   192.0.2.1\n\
                 + b.shop.example.  60  A\n+   192.0.2.2\n\
                 ~ c.shop.example.  60  A\n-   192.0.2.3\n+   192.0.2.33\n\
                 + e.shop.example.  60  A\n+   192.0.2.5\n";
    assert_eq!((planned.code, &*planned.out), (0, shown), "{planned:?}");
    let warned: Vec<_> = planned.err.lines().filter(|line| line.starts_with("warning: ")).collect();
    let edited = [
        "warning: edited-here: a.shop.example. A was changed at r2 by ann: CHG-7",
        "warning: edited-here: b.shop.example. A was deleted at r3 by bob",
    ];
    assert_eq!(warned, edited, "what a migration left is nobody's edit");
    let summary = "2 created, 2 replaced, 1 unchanged; old answers stay cached up to 60 s";
    assert!(planned.err.ends_with(&format!("{summary}. Nothing was done.\n")), "{planned:?}");
    let [plan] = &json(&migrate(&["--dry-run", "--json"])?.out)?[..] else { anyhow::bail!("one plan") };
    assert_eq!(plan["warnings"].as_array().map(Vec::len), Some(2), "{plan}");
    // Where nobody can be asked, the plan is there to look at.
    let asked = migrate(&[])?;
    assert_eq!((asked.code, &*asked.out, head()?), (2, shown, 3), "{asked:?}");
    let done = migrate(&["--yes"])?;
    assert_eq!((done.code, head()?), (0, 4), "{done:?}");
    assert!(done.out.contains("\nr4 shop.example: 4 record sets taken over"), "{done:?}");

    // A zone that was deleted here comes back as a new one; who deleted it is told.
    server.cli(&["zone", "delete", "shop.example", "--yes", "--actor", "ann"])?;
    let planned = migrate(&["--dry-run"])?;
    assert!(planned.out.starts_with("shop.example: 5 record sets, a new zone\n"), "{planned:?}");
    assert!(planned.err.contains("edited-here: shop.example. SOA was deleted at r5 by ann"), "{planned:?}");
    Ok(())
}

#[test]
fn what_a_migration_would_be_refused_for_is_told_by_its_dry_run() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    put_a(&etcd, "a", "192.0.2.1")?;
    put_a(&etcd, "b", "192.0.2.2")?;
    let both = r#"[{"type":"A","values":["192.0.2.3"]},{"type":"CNAME","values":["a.shop.example."]}]"#;
    put(&etcd, "/old/both.shop.example", both)?;
    put(&etcd, "/old/both.new.test", both)?;
    put(&etcd, "/old/fine.other.test", r#"{"type":"A","values":["192.0.2.9"]}"#)?;
    put(&etcd, "/old/broken.other.test", "{")?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--zones", "shop.example"])?;
    server.cli(&["set", "a.shop.example", "CNAME", "www.shop.example."])?;
    let before = server.ask("GET", "/events", "")?.json();
    let migrate =
        |more: &[&str]| server.cli(&[&["migrate", "--from", "/old", "--etcd-endpoints", &etcd.url][..], more].concat());
    let (planned, refused) = (migrate(&["--dry-run"])?, migrate(&["--yes"])?);
    for ran in [&planned, &refused] {
        assert_eq!((ran.code, &*ran.out), (3, ""), "{ran:?}");
        for told in [
            "conn3ction: 3 faults; nothing was done\n",
            "/old/a.shop.example: a.shop.example would have a CNAME beside A (delete the one or the other first)",
            "/old/both.shop.example: both.shop.example would have a CNAME beside A (delete the one or the other first)",
            "/old/both.new.test: both.new.test. has a CNAME, so no A can stand beside it",
            "/old/broken.other.test: ",
        ] {
            assert!(ran.err.contains(told), "{told}: {ran:?}");
        }
        assert!(!ran.err.contains("same file") && !ran.err.contains("change set"), "{ran:?}");
    }
    assert_eq!(planned.err, refused.err);
    assert_eq!(server.ask("GET", "/events", "")?.json(), before, "none of it was done, of no zone");

    // A lone conflict with what is here.
    etcd.ctl(&["del", "--prefix", "/old/bo"])?;
    etcd.ctl(&["del", "/old/broken.other.test"])?;
    let (planned, refused) = (migrate(&["--dry-run", "--json"])?, migrate(&["--yes", "--json"])?);
    for ran in [&planned, &refused] {
        assert_eq!((ran.code, &*ran.out), (3, ""), "{ran:?}");
        let problem: Value = serde_json::from_str(ran.err.lines().last().unwrap_or_default())?;
        assert_eq!(problem["type"], "/problems/cname-conflict", "{ran:?}");
        assert_eq!(problem["errors"][0]["hint"], "delete the one or the other first", "{ran:?}");
    }
    // So it is for a master file.
    let file = data.path().join("zone.db");
    std::fs::write(&file, "a 60 A 192.0.2.1\n")?;
    let import = server.cli(&["import", "shop.example", &file.to_string_lossy()])?;
    assert!(import.code == 3 && import.err.ends_with("delete the one or the other first\n"), "{import:?}");
    server.cli(&["delete", "a.shop.example", "ANY"])?;
    assert_eq!(migrate(&["--yes"])?.code, 0);
    Ok(())
}

#[test]
fn many_sets_become_several_events_of_a_zone_that_is_here_and_one_of_a_new_zone() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    for zone in ["shop.example", "new.test"] {
        let records: Vec<String> = (0..2_500)
            .map(|n| {
                format!(r#"{{"name":"h{n}.{zone}","type":"A","values":["10.0.{}.{}"],"ttl":60}}"#, n / 250, n % 250)
            })
            .collect();
        // A key that is no name, so that it can hold several.
        etcd.ctl_with(&["put", &format!("/many/..{zone}")], &format!("[{}]", records.join(",")))?;
    }
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--zones", "shop.example"])?;
    let fixed = ["migrate", "--from", "/many", "--etcd-endpoints", &etcd.url];
    let planned = server.cli(&[&fixed[..], &["--dry-run", "--json"]].concat())?;
    assert_eq!((planned.code, planned.out.lines().count()), (0, 4), "{}", planned.err);
    let done = server.cli(&[&fixed[..], &["--yes", "--json"]].concat())?;
    let counts: Result<Vec<Value>, _> = done.out.lines().map(serde_json::from_str).collect();
    let counts: Vec<_> = counts?.iter().map(|event| event["change_count"].clone()).collect();
    assert_eq!(counts, [1_000, 1_000, 500, 2_502], "a new zone has its SOA and NS besides");
    let again = server.cli(&fixed)?;
    assert!(again.err.ends_with("nothing to do: 5000 record sets are here as in etcd\n"), "{}", again.err);
    Ok(())
}

#[test]
fn what_a_plain_coredns_answers_from_is_taken_over() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    put(&etcd, "/skydns/example/shop/app", r#"{"host":"192.0.2.1","ttl":60}"#)?;
    put(&etcd, "/skydns/example/shop/www/a", r#"{"host":"192.0.2.2","ttl":60}"#)?;
    put(&etcd, "/skydns/example/shop/www/b", r#"{"host":"2001:db8::2","ttl":60}"#)?;
    put(&etcd, "/skydns/example/shop/alias", r#"{"host":"app.shop.example","ttl":300}"#)?;
    put(&etcd, "/skydns/arpa/in-addr/192/0/2/1", r#"{"host":"app.shop.example"}"#)?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--zones", ""])?;
    let fixed = ["migrate", "--from", "/skydns", "--format", "skydns", "--etcd-endpoints", &etcd.url, "--yes"];
    let done = server.cli(&[&fixed[..], &["--zone", "shop.example", "--zone", "2.0.192.in-addr.arpa"]].concat())?;
    assert_eq!(done.code, 0, "{done:?}");
    let all = records(&server)?;
    for line in ["app.shop.example. 60 IN A 192.0.2.1", "alias.shop.example. 300 IN CNAME app.shop.example."] {
        assert!(all.iter().any(|other| other == line), "{line} in {all:#?}");
    }
    assert!(
        all.iter().any(|line| line.contains(" A 192.0.2.2"))
            && all.iter().any(|line| line.contains(" AAAA 2001:db8::2"))
    );
    let answered = shell(&format!("dig @127.0.0.1 -p {} +short alias.shop.example", server.dns.port()))?;
    assert_eq!(answered, "app.shop.example.\n192.0.2.1\n");
    Ok(())
}

#[test]
fn without_etcd_or_with_a_foreign_source_nothing_is_done() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    let away = server.cli(&["migrate", "--from", "/x", "--etcd-endpoints", "http://127.0.0.1:1", "--yes"])?;
    assert_eq!(away.code, 4, "{away:?}");
    let plain = "conn3ction: etcd at http://127.0.0.1:1 cannot be reached: Connection refused (os error 111)\n";
    assert_eq!(away.err, plain);
    assert_eq!(server.cli(&["migrate", "--from", "/", "--yes"])?.code, 2);
    let claimed = shell(&format!(
        "curl -s -o /dev/null -w '%{{http_code}}' -H 'Conn3ction-Source: rest' -X DELETE http://{}/records/x.example.local",
        server.http
    ))?;
    assert_eq!(claimed, "400");
    Ok(())
}
