//! Split roles over one etcd, and a first start over what an older service left there.

use conn3ction_tests::{Conn3ction, etcd::Etcd, shell, tool};

/// Starts `role` on a directory of its own.
fn start(etcd: &Etcd, role: &str) -> anyhow::Result<(Conn3ction, tempfile::TempDir)> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--role", role, "--etcd-endpoints", &etcd.url])?;
    Ok((server, data))
}

fn put(server: &Conn3ction, name: &str, value: &str) -> anyhow::Result<()> {
    let body = format!(r#"{{"values":["{value}"]}}"#);
    let answer = server.ask("PUT", &format!("/records/{name}.example.local/A"), &body)?;
    anyhow::ensure!(answer.status < 300, "{answer:?}");
    Ok(())
}

/// Waits until `command` prints `expected`.
fn until(command: &str, expected: &str) -> anyhow::Result<()> {
    shell(&format!(
        "for i in $(seq 600); do [ \"$({command})\" = '{expected}' ] && exit 0; sleep 0.05; done; {command}; exit 1"
    ))?;
    Ok(())
}

/// Waits until the responder on `port` gives `value` for `name`.
fn answered(port: u16, name: &str, value: &str) -> anyhow::Result<()> {
    until(&format!("dig @127.0.0.1 -p {port} {name}.example.local A +short +tries=1 +time=1"), value)
}

/// Waits until the documented key of `name` holds `value`.
fn written(etcd: &Etcd, name: &str, value: &str) -> anyhow::Result<()> {
    let ctl = tool("etcdctl-3.7.3")?;
    let key = format!("/conn3ction/zones/example.local/{name}/A");
    until(&format!("{} --endpoints {} get --print-value-only {key}", ctl.display(), etcd.url), value)
}

#[test]
fn each_role_does_its_own_part_and_any_of_them_may_die() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let (api, _api) = start(&etcd, "api")?;
    let (other_api, _other_api) = start(&etcd, "api")?;
    let (dns, _dns) = start(&etcd, "dns")?;
    let (other_dns, _other_dns) = start(&etcd, "dns")?;
    assert_eq!(api.dns.port(), 0, "a role answers DNS only if that is its part");

    // Without a projector nobody writes keys; one that comes later catches up.
    put(&api, "a", "10.0.0.1")?;
    put(&other_api, "b", "10.0.0.2")?;
    for dns in [&dns, &other_dns] {
        answered(dns.dns.port(), "a", "10.0.0.1")?;
        answered(dns.dns.port(), "b", "10.0.0.2")?;
    }
    assert_eq!(etcd.pairs("/conn3ction/zones/")?, []);
    let (projector, _projector) = start(&etcd, "projector")?;
    let (other_projector, _other_projector) = start(&etcd, "projector")?;
    assert_eq!(projector.dns.port(), 0);
    written(&etcd, "a", "10.0.0.1")?;
    written(&etcd, "b", "10.0.0.2")?;

    // One of each dies; the others go on.
    api.kill()?;
    dns.kill()?;
    projector.kill()?;
    put(&other_api, "a", "10.0.0.3")?;
    answered(other_dns.dns.port(), "a", "10.0.0.3")?;
    written(&etcd, "a", "10.0.0.3")?;

    // Those that come back have everything.
    let (api, _api) = start(&etcd, "api")?;
    let (dns, _dns) = start(&etcd, "dns")?;
    other_projector.kill()?;
    let (_projector, _projector_data) = start(&etcd, "projector")?;
    put(&api, "c", "10.0.0.4")?;
    for server in [&dns, &other_dns] {
        for (name, value) in [("a", "10.0.0.3"), ("b", "10.0.0.2"), ("c", "10.0.0.4")] {
            answered(server.dns.port(), name, value)?;
        }
    }
    written(&etcd, "c", "10.0.0.4")?;
    let mirror = etcd.pairs("/conn3ction/records/c.example.local")?;
    assert_eq!(mirror[0].1, r#"{"name":"c.example.local","type":"A","values":["10.0.0.4"],"ttl":60}"#);
    // One event each: the first zone's, and four writes; both api processes see the same ledger.
    for api in [&api, &other_api] {
        let events = api.ask("GET", "/events?min_revision=5&wait=30s", "")?;
        assert_eq!(events.json().as_array().map(Vec::len), Some(5), "{}", events.body);
    }
    assert_eq!(api.ask("GET", "/verify", "")?.json()["ok"], true);
    Ok(())
}

#[test]
fn a_role_without_an_api_can_be_watched_over_http() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    let (api, _api) = start(&etcd, "api")?;
    put(&api, "a", "10.0.0.1")?;
    for (role, view) in [("dns", "answers"), ("projector", "zone-keys")] {
        let (server, _data) = start(&etcd, role)?;
        assert_eq!(server.ask("GET", "/healthz", "")?.status, 200, "{role}");
        // The zone's creation and the record.
        let ready = server.ask("GET", "/readyz?min_revision=2&wait=30s", "")?;
        assert_eq!((ready.status, &ready.json()["revision"]), (200, &"1:2".into()), "{role}: {ready:?}");
        let views = ready.json()["views"].to_string();
        assert!(views.contains(&format!(r#""view":"{view}""#)), "{role}: {views}");
        let metrics = server.ask("GET", "/metrics", "")?;
        assert!(metrics.status == 200 && metrics.body.contains("conn3ction_"), "{role}: {metrics:?}");
        for (method, target) in [("GET", "/records"), ("PUT", "/records/a.example.local/A"), ("GET", "/docs")] {
            let answer = server.ask(method, target, r#"{"values":["10.0.0.2"]}"#)?;
            assert_eq!(answer.status, 404, "{role} {method} {target}: {answer:?}");
        }
    }
    Ok(())
}

#[test]
fn split_roles_share_a_ledger_in_etcd_or_do_not_start() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    for role in ["api", "projector", "dns"] {
        let refused = Conn3ction::start(data.path(), &["--role", role]).err().expect("refused").to_string();
        assert!(refused.contains("split roles share a ledger in etcd"), "{role}: {refused}");
    }
    Ok(())
}

#[test]
fn a_first_start_over_an_older_services_keys_writes_nothing_there_and_says_so() -> anyhow::Result<()> {
    let etcd = Etcd::start(&[])?;
    // As documented, and as its merged version wrote them: prefix and name without a slash.
    let old = [
        (
            "/conn3ction/records/a.example.local",
            r#"{"name":"a.example.local","type":"A","values":["10.0.0.1"],"ttl":60}"#,
        ),
        (
            "/conn3ction/recordsb.example.local",
            r#"{"name":"b.example.local","type":"A","values":["10.0.0.2"],"ttl":60}"#,
        ),
    ];
    for (key, value) in old {
        etcd.ctl(&["put", key, value])?;
    }
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--etcd-endpoints", &etcd.url])?;
    let ready = {
        // The views look at what is there after the start.
        let line = format!("curl -s http://{}/readyz | grep -c 'not in the ledger'", server.http);
        until(&format!("{line} || true"), "1")?;
        server.ask("GET", "/readyz", "")?
    };
    assert_eq!(ready.status, 503, "{}", ready.body);
    let told = "2 records are not in the ledger: conn3ction migrate --from /conn3ction/records";
    assert!(ready.body.contains(told), "{}", ready.body);
    // It lives, answers and takes writes; the old keys stay as they were.
    assert_eq!(server.ask("GET", "/healthz", "")?.status, 200);
    put(&server, "new", "10.0.0.9")?;
    answered(server.dns.port(), "new", "10.0.0.9")?;
    let keys: Vec<_> = etcd.pairs("/conn3ction/records")?;
    assert_eq!(keys, old.map(|(key, value)| (key.to_owned(), value.to_owned())));
    Ok(())
}
