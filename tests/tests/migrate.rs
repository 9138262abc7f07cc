//! `migrate` takes over what an older service or a plain CoreDNS keeps in a real etcd; every key is taken or named.

use conn3ction_tests::{Conn3ction, etcd::Etcd, shell};

fn put(etcd: &Etcd, key: &str, value: &str) -> anyhow::Result<()> {
    etcd.ctl(&["put", key, value]).map(|_| ())
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
    assert!(planned.out.contains("+ app.shop.example. 60 A 192.0.2.1"), "{planned:?}");
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
    assert_eq!(events.len(), 4, "two zones, two change sets");
    for event in events {
        assert_eq!(event["source"], "migrate:/polycloud");
        assert!(event["reason"].as_str().is_some_and(|reason| reason.contains("at etcd revision")), "{event}");
    }
    let again = migrate(&["--yes"])?;
    assert!(again.out.contains("there already"), "{again:?}");
    assert_eq!(server.ask("GET", "/events", "")?.json().as_array().map(Vec::len), Some(4), "nothing twice");
    assert_eq!(etcd.pairs("/polycloud")?.len(), 5, "old keys are only read");
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
