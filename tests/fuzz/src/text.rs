//! What people and programs write: names, rdata, master files, moments, JSON, token files.

use conn3ction::decide::{
    command::Op,
    input::{self, RawChange},
};
use conn3ction_schemas::{
    Name, Rdata, RecordType, Token, When,
    json::{ChangeSet, RecordInput, ZoneInput},
    zonefile::{Reader, Zone, write_zone},
};

/// A name in text, absolute and relative, and in wire form.
///
/// # Panics
///
/// If a name that was read does not come back from what it prints.
pub fn name(octets: &[u8]) {
    let origin = Name::root();
    let wire = Name::split_wire(octets).map(|(name, rest)| {
        assert_eq!(name.as_wire().len() + rest.len(), octets.len(), "what is left is what was not read");
        name
    });
    for name in [Name::parse_absolute(octets), Name::parse_relative(octets, &origin), wire].into_iter().flatten() {
        assert!(name.as_wire().len() <= 255 && name.labels().all(|label| label.len() <= 63));
        assert_eq!(name.to_string().parse().as_ref(), Ok(&name), "as text");
        assert_eq!(Name::parse_absolute(name.without_dot().as_bytes()).as_ref(), Ok(&name), "without its dot");
        assert_eq!(Name::from_wire(name.as_wire()).as_ref(), Ok(&name), "as wire");
    }
}

/// Names to start from.
pub fn names() -> Vec<Vec<u8>> {
    let label = "a".repeat(63);
    let texts = [
        "www.example.com.",
        r"a\.b\032c\255.example",
        "*.x",
        "@",
        ".",
        r"\@.local",
        &format!("{label}.{label}.{label}"),
    ];
    let wires: [&[u8]; 2] = [b"\x03www\x07example\x00", b"\x00"];
    texts.iter().map(|text| text.as_bytes().to_vec()).chain(wires.map(<[u8]>::to_vec)).collect()
}

/// `TYPE RDATA` in text.
///
/// # Panics
///
/// If rdata that was read does not come back from what it prints, or from its wire form.
pub fn rdata_text(octets: &[u8]) {
    let Some((rtype, text)) = std::str::from_utf8(octets).ok().and_then(|text| text.split_once(' ')) else { return };
    let Ok(rtype) = rtype.parse::<RecordType>() else { return };
    for origin in [None, Some(Name::root())] {
        if let Ok(rdata) = Rdata::parse(rtype, text, origin.as_ref()) {
            comes_back(rtype, &rdata);
        }
    }
}

/// A type in two octets, then rdata in wire form.
///
/// # Panics
///
/// As [`rdata_text`].
pub fn rdata_wire(octets: &[u8]) {
    let Some((rtype, wire)) = octets.split_first_chunk() else { return };
    let rtype = RecordType(u16::from_be_bytes(*rtype));
    if let Ok(rdata) = Rdata::from_wire(rtype, wire) {
        comes_back(rtype, &rdata);
    }
}

fn comes_back(rtype: RecordType, rdata: &Rdata) {
    let text = rdata.to_text(rtype);
    assert_eq!(Rdata::parse(rtype, &text, None).as_ref(), Ok(rdata), "{rtype} {text}");
    assert_eq!(Rdata::from_wire(rtype, rdata.as_wire()).as_ref(), Ok(rdata), "{rtype} {text}");
    // None of these may fail on what is valid.
    let _ = (rdata.target(rtype), rdata.soa(), rdata.map_names(rtype, |name| Some(name.to_vec())));
}

/// At least one per type.
const RDATA: &[&str] = &[
    "A 192.0.2.1",
    "AAAA 2001:db8::1",
    "CNAME www.example.com.",
    "DNAME example.",
    r"NS a\.b\032c.example.",
    "PTR host.example.",
    r"SOA ns.example. host\.master.example. 7 1h 15m 1w 300",
    "MX 10 mail.example.",
    r#"TXT "v=spf1 -all" "tw\"o" \195\169"#,
    "SPF v=spf1",
    "SRV 0 5 5060 sip.example.",
    r#"CAA 128 iodef "mailto:a@example.com""#,
    r#"HINFO PDP-11 "UNIX V7""#,
    "RP a.example. b.example.",
    "AFSDB 1 afs.example.",
    "KX 10 kx.example.",
    "MB host.example.",
    "MINFO owner.example. errors.example.",
    "X25 311061700956",
    "RT 10 relay.example.",
    "PX 10 ab.example. o-ab.example.",
    "GPOS -32.6882 116.8652 10.0",
    "L32 10 192.0.2.0",
    "LP 10 L64.Example.",
    "KEY 512 3 5 AQAB",
    "DLV 30795 5 1 310D27F4D82C1FC2400704EA9939FE6E1CEAA3B9",
    "AVC app-name:WOLFGANG",
    "LOC 42 21 54.123 N 71 06 18 W -24m 30m 10m 2m",
    r#"NAPTR 100 10 "u" "sip+E2U" "!^.*$!sip:info@foo.bar!i" ."#,
    r#"URI 10 1 "ftp://ftp1.example.com/public""#,
    "APL 1:192.168.32.0/21 !2:ff00::/8",
    "EUI48 00-00-5e-00-53-2a",
    "EUI64 00-00-5e-ef-10-00-00-2a",
    "DS 20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d",
    "CDS 0 0 0 00",
    "CDNSKEY 0 3 0 AA==",
    "DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    "RRSIG MX 15 2 3600 20150819220000 20150729220000 3613 example. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaP",
    "NSEC host.example. A MX RRSIG NSEC TYPE1234",
    "NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA",
    "NSEC3PARAM 1 0 12 aabbccdd",
    "CSYNC 66 3 A NS AAAA",
    "ZONEMD 2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE7EB1A7B641A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE",
    "TLSA 0 0 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "SMIMEA 3 1 0 aabb",
    "SSHFP 2 1 123456789abcdef67890123456789abcdef67890",
    "OPENPGPKEY AQIDBA==",
    "CERT PGP 0 0 AQIDBA==",
    "DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
    r#"SVCB 16 foo.example. mandatory=alpn,ipv4hint alpn="h2,f\\oo" ipv4hint=192.0.2.1 ipv6hint=2001:db8::1 key667="a b""#,
    "HTTPS 1 . alpn=h3 no-default-alpn port=443 ech=AEb+DQA= dohpath=/q{?dns} key65280",
    r"TYPE731 \# 6 abcdef012345",
    r"A \# 4 0A000001",
];

/// Rdata in text to start from.
pub fn rdata_texts() -> Vec<Vec<u8>> {
    RDATA.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Rdata in wire form to start from.
///
/// # Panics
///
/// If the list is wrong.
pub fn rdata_wires() -> Vec<Vec<u8>> {
    let wire = |text: &&str| {
        let (rtype, text) = text.split_once(' ').expect("TYPE RDATA");
        let rtype: RecordType = rtype.parse().expect("a type");
        let rdata = Rdata::parse(rtype, text, None).unwrap_or_else(|error| panic!("{rtype} {text}: {error}"));
        [&rtype.0.to_be_bytes(), rdata.as_wire()].concat()
    };
    RDATA.iter().map(wire).collect()
}

/// A master file of `example.`, with includes of itself.
///
/// # Panics
///
/// If a zone that was read does not come back from what it is written as.
pub fn master_file(octets: &[u8]) {
    let apex: Name = "example.".parse().expect("a name");
    let again = octets.to_vec();
    let include = move |_: &str| Ok(Box::new(std::io::Cursor::new(again.clone())) as Box<dyn std::io::BufRead>);
    drop(Zone::assemble(&apex, Reader::new(octets, apex.clone()).with_include(Box::new(include))));
    if let Ok(zone) = Zone::assemble(&apex, Reader::new(octets, apex.clone())) {
        let mut written = Vec::new();
        let sets = zone.sets.iter().map(|set| (&set.owner, set.key, &set.set));
        write_zone(&mut written, &apex, sets).expect("memory");
        let again = Zone::assemble(&apex, Reader::new(&written[..], apex.clone()));
        let again = again.unwrap_or_else(|faults| panic!("{faults:?}\n{}", String::from_utf8_lossy(&written)));
        assert_eq!(again.sets, zone.sets, "{}", String::from_utf8_lossy(&written));
    }
}

/// Master files to start from.
pub fn master_files() -> Vec<Vec<u8>> {
    const PLAIN: &str = "$ORIGIN example.\n$TTL 1h ; an hour\n@ IN SOA ns host (\n  2024010101 ; serial\n  1h 15m 1w 1d )\n\
        \tNS ns\nns A 192.0.2.1\n 60 AAAA 2001:db8::1\nwww 5 IN CNAME ns\n* TXT \"a;b\" ( c\n d )\n";
    const DIRECTIVES: &str = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.\n$GENERATE 1-5/2 h${0,3,d} 60 A 10.0.0.$\n\
        $GENERATE 0-3 ${-1,2,x} CNAME a$$.\\$\n$ORIGIN sub\na.b 1w2d A 10.1.1.1\n$INCLUDE other.zone sub2.example.\n\
        $TTL 5\nx\\.y\\032z A 10.1.1.2\n";
    let all = RDATA.iter().enumerate().filter(|(_, text)| !text.starts_with("SOA"));
    let all: String = all.map(|(at, text)| format!("h{at} 300 IN {text}\n")).collect();
    [PLAIN.to_owned(), DIRECTIVES.to_owned(), format!("{PLAIN}{all}")].map(String::into_bytes).to_vec()
}

/// `when`, and `epoch:revision`.
///
/// # Panics
///
/// If what was read does not come back from what it prints.
pub fn moment(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    for when in [text.parse(), When::parse_revision(text)].into_iter().flatten() {
        assert_eq!(when.to_string().parse(), Ok(when), "{text:?} prints as {when}");
    }
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.to_string().parse(), Ok(token), "{text:?}");
    }
}

/// Moments to start from.
pub fn moments() -> Vec<Vec<u8>> {
    let all =
        ["r1041", "1:1041", "1041", "now", "40m", "2h", "3d", "1w", "2026-11-22T01:52:07.481233Z", "20261122T101500Z"];
    let offset = "2026-11-22T01:52:07+01:00";
    all.iter().chain(&[offset]).map(|text| text.as_bytes().to_vec()).collect()
}

/// The JSON bodies of writes, and the door behind them.
pub fn json_change(octets: &[u8]) {
    drop(serde_json::from_slice::<ZoneInput>(octets));
    if let Ok(record) = serde_json::from_slice::<RecordInput>(octets) {
        let raw = RawChange {
            pointer: String::new(),
            zone: record.zone.as_deref(),
            name: record.name.as_deref().unwrap_or_default(),
            rtype: record.rtype.as_deref(),
            covers: record.covers.as_deref(),
            ttl: record.ttl.map(u64::from),
            values: &record.values,
        };
        drop(input::change(Op::Create, &raw));
    }
    let Ok(set) = serde_json::from_slice::<ChangeSet>(octets) else { return };
    for change in set.changes {
        let values = change.values.unwrap_or_default();
        for op in [Op::Set, Op::Delete, Op::Add, Op::Remove] {
            let raw = RawChange {
                pointer: "/changes/0".into(),
                zone: change.zone.as_deref(),
                name: &change.name,
                rtype: change.rtype.as_deref(),
                covers: change.covers.as_deref(),
                ttl: change.ttl.map(u64::from),
                values: &values,
            };
            drop(input::change(op, &raw));
        }
    }
}

/// Bodies to start from.
pub fn json_changes() -> Vec<Vec<u8>> {
    let all = [
        r#"{"name":"app.example.local","type":"A","values":["10.1.2.3"],"ttl":60}"#,
        r#"{"name":"a.example","type":"RRSIG","covers":"DS","zone":"example","values":["x"],"reason":"r"}"#,
        r#"{"reason":"CHG-882","expected_revision":"1:1044","changes":[{"op":"remove","name":"api.shop.example","type":"A","values":["192.0.2.11"]},{"op":"set","name":"www.shop.example","type":"CNAME","values":["api.shop.example."],"ttl":300}]}"#,
        r#"{"name":"shop.example","nameservers":["ns.example."],"contact":"a@b.example","ttl":60}"#,
    ];
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A token file.
pub fn token_file(octets: &[u8]) {
    if let Ok(text) = std::str::from_utf8(octets) {
        let _ = conn3ction::check_token_file(text);
    }
}

/// Token files to start from.
pub fn token_files() -> Vec<Vec<u8>> {
    let hash = "ab".repeat(32);
    vec![format!("# ours\n\n{hash} ci-deploy write\n{hash} auditor read\n").into_bytes()]
}
