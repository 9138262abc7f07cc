//! Bad and odd input: names, values of each type, limits, rules of zones, master files.

use conn3ction_tests::Conn3ction;
use serde_json::json;

use crate::{get, places, problem, put, send, server};

/// `STATUS KIND PLACES` of `POST /records`.
fn create(server: &Conn3ction, name: &str, rtype: &str, values: &[&str]) -> anyhow::Result<String> {
    let body = json!({ "name": name, "type": rtype, "values": values }).to_string();
    let answer = send(server, "POST /records", &[], &body)?;
    Ok(match answer.status {
        201 => "201".to_owned(),
        status => format!("{status} {} {}", problem(&answer), places(&answer)),
    })
}

#[test]
fn bad_values_of_each_type_are_refused_by_their_place() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    for (rtype, bad) in [
        ("A", "10.0.0.256"),
        ("A", ""),
        ("AAAA", "2001:db8::g"),
        ("AFSDB", "1"),
        ("CAA", "0 issue"),
        ("CAA", "256 issue \"ca.example\""),
        ("CDNSKEY", "257 3 13 ?"),
        ("CDS", "1 13 2 0g"),
        ("CNAME", "single-label"),
        ("CSYNC", "1 x A"),
        ("DNAME", "a..b"),
        ("DNSKEY", "256 3 8"),
        ("DS", "1 13 2 abc"),
        ("HINFO", "cpu"),
        ("HTTPS", "1 . alpn"),
        ("KX", "10"),
        ("LOC", "91 0 0 N 0 0 0 E 0m"),
        ("MX", "mail.example.local."),
        ("MX", "65536 mail.example.local."),
        ("NAPTR", "1 1 U"),
        ("NS", ""),
        ("NSEC", "a. NOTYPE"),
        ("NSEC3", "1 0 0"),
        ("NSEC3PARAM", "1 0"),
        ("OPENPGPKEY", "?"),
        ("PTR", "a b"),
        ("RP", "one."),
        ("RRSIG", "A 13"),
        ("SMIMEA", "0 0 1 x"),
        ("SOA", "a. b. 1 2 3 4"),
        ("SRV", "1 2 65536 a."),
        ("SSHFP", "1 1 0"),
        ("SVCB", "1 . port=65536"),
        ("SVCB", "1 . mandatory=port"),
        ("TLSA", "3 1 1 0"),
        ("TXT", "\"not closed"),
        ("URI", "1 1"),
        ("TYPE65280", "text"),
        ("TYPE65280", "\\# 2 00"),
    ] {
        let told = create(&server, "x.example.local", rtype, &[bad])?;
        assert_eq!(told, "422 invalid-record /values/0", "{rtype} {bad}");
    }
    // Every bad value of a set, not the first.
    let told = create(&server, "x.example.local", "A", &["10.0.0.1", "x", "10.0.0.2", "y"])?;
    assert_eq!(told, "422 invalid-record /values/1 /values/3");
    for (rtype, place) in [
        ("OPT", "/type"),
        ("ANY", "/type"),
        ("AXFR", "/type"),
        ("NOTYPE", "/type"),
        ("TYPE0", "/type"),
        ("TYPE65536", "/type"),
    ] {
        assert_eq!(
            create(&server, "x.example.local", rtype, &["x"])?,
            format!("422 invalid-record {place}"),
            "{rtype}"
        );
    }
    assert_eq!(create(&server, "x.example.local", "A", &[])?, "422 invalid-record /values");
    assert_eq!(get(&server, "/records")?.header("conn3ction-revision"), "1:1");
    Ok(())
}

#[test]
fn bad_names_are_refused_and_odd_ones_are_kept_octet_for_octet() -> anyhow::Result<()> {
    let (_data, server) = server(&["--zones", "example.local.,other.test."])?;
    let long = "x".repeat(64);
    let deep = vec!["x".repeat(60); 4].join(".");
    for (name, told) in [
        ("a..b.example.local", "422 invalid-record /name"),
        (".a.example.local", "422 invalid-record /name"),
        ("", "422 invalid-record /name"),
        (&format!("{long}.example.local"), "422 invalid-record /name"),
        (&format!("{deep}.example.local"), "422 invalid-record /name"),
        ("a\\256.example.local", "422 invalid-record /name"),
        ("a.example.local\\", "422 invalid-record /name"),
        ("a.elsewhere.test", "422 outside-zones /name"),
        ("xexample.local", "422 outside-zones /name"),
        (".", "422 outside-zones /name"),
    ] {
        assert_eq!(create(&server, name, "A", &["10.0.0.1"])?, told, "{name}");
    }
    let hint = |name: &str| -> anyhow::Result<String> {
        let body = json!({ "name": name, "type": "A", "values": ["10.0.0.1"] }).to_string();
        Ok(send(&server, "POST /records", &[], &body)?.json()["errors"][0]["hint"].to_string())
    };
    assert!(hint("www.shop.example")?.contains("shop.example"));
    assert!(hint("shop.example")?.contains("\\\"shop.example\\\""), "nobody means a top-level domain");
    // What is given, what is shown, the path segment.
    for (given, shown, segment) in [
        ("a b.example.local", "a\\032b.example.local", "a%5C032b.example.local"),
        ("0/25.example.local", "0/25.example.local", "0=2F25.example.local"),
        ("0/26.example.local", "0/26.example.local", "0%2F26.example.local"),
        ("user@host.example.local", "user\\@host.example.local", "user@host.example.local"),
        ("@.example.local", "\\@.example.local", "%5C@.example.local"),
        ("a\\.b.example.local", "a\\.b.example.local", "a%5C.b.example.local"),
        ("\\000\\255.example.local", "\\000\\255.example.local", "%5C000%5C255.example.local"),
        ("%3f?#.example.local", "%3f?#.example.local", "%253f%3F%23.example.local"),
        ("a=2Fb.example.local", "a=2fb.example.local", "a%5C0612fb.example.local"),
        ("-._.example.local", "-._.example.local", "-._.example.local"),
        ("x.*.example.local", "x.*.example.local", "x.%2A.example.local"),
        ("<b>\"&.example.local", "<b>\\\"&.example.local", "%3Cb%3E%5C%22%26.example.local"),
        ("é.example.local", "\\195\\169.example.local", "%C3%A9.example.local"),
    ] {
        assert_eq!(create(&server, given, "A", &["10.0.0.1"])?, "201", "{given}");
        let answer = get(&server, &format!("/records/{segment}/A"))?;
        assert_eq!((answer.status, &answer.json()["name"]), (200, &shown.into()), "{given}: {}", answer.body);
        // The hint of a refusal is a path that works.
        let body = json!({ "name": given, "type": "A", "values": ["10.0.0.2"] }).to_string();
        let refused = send(&server, "POST /records", &[], &body)?.json();
        let path = refused["errors"][0]["hint"]
            .as_str()
            .and_then(|hint| hint.strip_prefix("PUT ")?.strip_suffix(" replaces it"));
        let path = path.unwrap_or_else(|| panic!("{refused}"));
        assert_eq!(send(&server, &format!("PUT {path}"), &[], r#"{"values":["10.0.0.3"]}"#)?.status, 200, "{path}");
        assert_eq!(send(&server, &format!("DELETE {path}"), &[], "")?.status, 204, "{path}");
    }
    Ok(())
}

#[test]
fn zones_of_odd_names_are_made_served_exported_and_deleted() -> anyhow::Result<()> {
    let (_data, server) = server(&["--zones", ""])?;
    for (name, segment) in [
        ("0/25.2.0.192.in-addr.arpa", "0=2F25.2.0.192.in-addr.arpa"),
        ("user\\@corp\\.x.test", "user%5C%40corp%5C.x.test"),
        ("\\000\\255\\032.test", "%5C000%5C255%5C032.test"),
        ("local", "local"),
        (".", "=2E"),
    ] {
        let made = send(&server, "POST /zones", &[], &json!({ "name": name }).to_string())?;
        assert_eq!((made.status, &made.json()["name"]), (201, &name.into()), "{name}: {}", made.body);
        assert_eq!(get(&server, &format!("/zones/{segment}"))?.json()["name"], name);
        let file = get(&server, &format!("/zones/{segment}/zonefile"))?;
        assert_eq!(file.status, 200, "{name}");
        let again = send(&server, &format!("POST /zones/{segment}/import?mode=replace"), &[], &file.body)?;
        assert_eq!(again.status, 200, "an export is the zone, {name}: {}", again.body);
        let dotted = if name == "." { ".".to_owned() } else { format!("{name}.") };
        let dig = format!("dig @127.0.0.1 -p {} '{dotted}' SOA +short", server.dns.port());
        assert!(conn3ction_tests::shell(&dig)?.starts_with("localhost."), "{name}");
        assert_eq!(send(&server, &format!("DELETE /zones/{segment}"), &[], "")?.status, 204, "{name}");
    }
    Ok(())
}

#[test]
fn rules_of_zones_are_kept() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    put(&server, "a.example.local", "A", "10.0.0.1")?;
    put(&server, "c.example.local", "CNAME", "a.example.local.")?;
    put(&server, "d.example.local", "DNAME", "other.test.")?;
    put(&server, "x.y.example.local", "A", "10.0.0.1")?;
    let soa = "localhost. hostmaster.example.local. 1 60 30 1209600 60";
    for (name, rtype, values, told) in [
        ("c.example.local", "A", &["10.0.0.1"][..], "409 cname-conflict /type"),
        ("a.example.local", "CNAME", &["b.example.local."], "409 cname-conflict /type"),
        ("example.local", "CNAME", &["b.example.local."], "409 cname-conflict /type"),
        ("n.example.local", "CNAME", &["a.example.local.", "b.example.local."], "409 cname-conflict /values"),
        ("n.example.local", "SOA", &[soa], "422 zone-rule /type"),
        ("below.d.example.local", "A", &["10.0.0.1"], "422 zone-rule /name"),
        ("y.example.local", "DNAME", &["other.test."], "422 zone-rule /type"),
        ("d.example.local", "NS", &["ns.other.test."], "422 zone-rule /type"),
    ] {
        assert_eq!(create(&server, name, rtype, values)?, told, "{name} {rtype}");
    }
    for (line, body, told) in [
        ("DELETE /records/example.local/SOA", "", "422 zone-rule /type"),
        ("DELETE /records/example.local/NS", "", "422 zone-rule /type"),
        ("DELETE /records/example.local/ANY", "", "422 zone-rule /type /type"),
        (
            "PUT /records/a.example.local/A",
            r#"{"name":"b.example.local","values":["10.0.0.1"]}"#,
            "422 invalid-record /name",
        ),
        ("PUT /records/a.example.local/A", r#"{"type":"AAAA","values":["10.0.0.1"]}"#, "422 invalid-record /type"),
        (
            "PUT /records/a.example.local/A",
            r#"{"zone":"nowhere.test","values":["10.0.0.1"]}"#,
            "404 zone-not-found /zone",
        ),
        ("PUT /records/a.example.local/A", r#"{"ttl":2147483648,"values":["10.0.0.1"]}"#, "422 invalid-record /ttl"),
        ("PUT /records/a.example.local/A", r#"{"ttl":-1,"values":["10.0.0.1"]}"#, "400 malformed /ttl"),
        ("PUT /records/a.example.local/A", r#"{"ttl":4294967296,"values":["10.0.0.1"]}"#, "400 malformed /ttl"),
        ("PUT /records/a.example.local/A", r#"{"covers":"A","values":["10.0.0.1"]}"#, "422 invalid-record /covers"),
        (
            "POST /changes",
            r#"{"changes":[{"op":"remove","name":"a.example.local","type":"A","values":["10.0.0.9"]}]}"#,
            "404 record-not-found /changes/0/values/0",
        ),
        (
            "POST /changes",
            r#"{"changes":[{"op":"delete","name":"a.example.local","values":["10.0.0.1"]}]}"#,
            "422 invalid-record /changes/0/values",
        ),
    ] {
        let answer = send(&server, line, &[], body)?;
        assert_eq!(
            format!("{} {} {}", answer.status, problem(&answer), places(&answer)),
            told,
            "{line} {body}: {}",
            answer.body
        );
    }
    // The largest TTL there is; a CNAME in the place of other data, within one change set.
    assert_eq!(
        send(&server, "PUT /records/a.example.local/A", &[], r#"{"ttl":2147483647,"values":["10.0.0.1"]}"#)?.status,
        200
    );
    let swap = r#"{"changes":[{"op":"delete","name":"a.example.local"},{"op":"create","name":"a.example.local","type":"CNAME","values":["b.example.local."]}]}"#;
    assert_eq!(send(&server, "POST /changes", &[], swap)?.status, 201);
    Ok(())
}

#[test]
fn sets_and_names_have_limits() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let addresses =
        |count: usize| -> Vec<String> { (0..count).map(|n| format!("10.1.{}.{}", n / 250, n % 250)).collect() };
    let set = |name: &str, rtype: &str, values: Vec<String>| -> anyhow::Result<String> {
        let answer =
            send(&server, &format!("PUT /records/{name}/{rtype}"), &[], &json!({ "values": values }).to_string())?;
        Ok(if answer.status < 300 {
            answer.status.to_string()
        } else {
            format!("{} {} {}", answer.status, problem(&answer), answer.json()["detail"])
        })
    };
    assert_eq!(set("many.example.local", "A", addresses(1_000))?, "201");
    let told = set("many.example.local", "A", addresses(1_001))?;
    assert!(told.starts_with("422 invalid-record") && told.contains("1000"), "{told}");
    // A set that does not fit one DNS message.
    let texts = |count: usize| (0..count).map(|n| format!("{n:04} {}", "x".repeat(245))).collect::<Vec<_>>();
    assert_eq!(set("big.example.local", "TXT", texts(240))?, "201");
    let told = set("big.example.local", "TXT", texts(260))?;
    assert!(told.starts_with("422 invalid-record") && told.contains("message"), "{told}");
    // 100 types at a name.
    let changes = |from: usize, to: usize| {
        let sets = (from..to).map(|n| json!({"op": "set", "name": "types.example.local", "type": format!("TYPE{}", 65_280 + n), "values": ["\\# 0"]}));
        json!({ "changes": sets.collect::<Vec<_>>() }).to_string()
    };
    assert_eq!(send(&server, "POST /changes", &[], &changes(0, 100))?.status, 201);
    let over = send(&server, "POST /changes", &[], &changes(100, 101))?;
    assert_eq!((over.status, problem(&over).as_str()), (422, "zone-rule"), "{}", over.body);
    Ok(())
}

#[test]
fn every_fault_of_a_master_file_is_named_by_line_and_column() -> anyhow::Result<()> {
    let (_data, server) = server(&[])?;
    let faulty = "$TTL 60\n\
        good A 10.0.0.1\n\
        bad A 10.0.0.256\n\
        \x20  MX ten mail\n\
        other.test. A 10.0.0.1\n\
        x IN CNAME (a\n\
        b )\n\
        y NOTYPE z\n\
        $NOSUCH x\n\
        w TXT \"open\n\
        v 99999999999 A 10.0.0.1\n\
        a..b A 10.0.0.1\n";
    let answer = send(&server, "POST /zones/example.local/import", &[], faulty)?;
    assert_eq!((answer.status, problem(&answer).as_str()), (422, "invalid-record"), "{}", answer.body);
    assert_eq!(places(&answer), "3:7 4:7 5:1 6:13 8:3 9:1 10:7 11:3 12:1", "{:#}", answer.json());
    // A file may be right line by line and still be no zone.
    for (file, told) in [
        ("@ 60 CNAME a\n", "409 cname-conflict"),
        ("c 60 CNAME a\nc 60 A 10.0.0.1\n", "422 invalid-record"),
        ("@ SOA a. b. 1 1 1 1 1\n@ SOA c. b. 2 1 1 1 1\n", "422 invalid-record"),
        ("$TTL 60\na A 10.0.0.1\na CH A 10.0.0.1\n", "422 invalid-record"),
        ("", "422 invalid-record"),
        ("; Transfer failed.\n", "422 invalid-record"),
    ] {
        let answer = send(&server, "POST /zones/example.local/import", &[], file)?;
        assert_eq!(format!("{} {}", answer.status, problem(&answer)), told, "{file}: {}", answer.body);
    }
    let answer = send(&server, "POST /zones/new.test/import", &[], "a 60 A 10.0.0.1\n")?;
    assert_eq!(
        (answer.status, problem(&answer).as_str()),
        (422, "zone-rule"),
        "a new zone needs its SOA: {}",
        answer.body
    );
    assert_eq!(get(&server, "/records")?.header("conn3ction-revision"), "1:1");
    // Equal lines merge, mixed TTLs become the lowest with a warning, an equal second SOA ends the zone.
    let odd = "@ 60 SOA localhost. hostmaster 5 60 30 1209600 60\n@ 60 NS localhost.\na 60 A 10.0.0.1\na 60 A 10.0.0.1\na 30 A 10.0.0.2\n\
        @ 60 SOA localhost. hostmaster 5 60 30 1209600 60\n";
    let plan = send(&server, "POST /zones/example.local/import?mode=replace&dry_run=true", &[], odd)?.json();
    assert_eq!(plan["warnings"][0]["line"], 3, "{plan}");
    assert_eq!(send(&server, "POST /zones/example.local/import?mode=replace", &[], odd)?.status, 201);
    assert_eq!(get(&server, "/records/a.example.local")?.json()["ttl"], 30);
    assert_eq!(get(&server, "/zones/example.local")?.json()["serial"], 5);
    // What clashes with what is there has its place, too; what nobody will see is warned of.
    let dname = "@ 60 SOA a. b. 1 1 1 1 1\n@ NS ns\nns A 10.0.0.1\nd DNAME a\ne.d A 10.0.0.1\n";
    let imported = send(&server, "POST /zones/dname.test/import", &[], dname)?.json();
    assert_eq!(imported["warnings"][0]["type"], "below-dname", "{imported}");
    send(&server, "POST /zones/dname.test/import", &[], "held 60 A 10.0.0.1\n")?;
    let clash = send(&server, "POST /zones/dname.test/import", &[], "\n\nx 60 A 10.0.0.1\nheld 60 CNAME x\n")?;
    assert_eq!((clash.status, places(&clash).as_str()), (409, "4:1"), "{}", clash.body);
    Ok(())
}
