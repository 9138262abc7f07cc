//! Master files: real ones, small ones, wrong ones.

use std::{collections::BTreeSet, io::Read};

use conn3ction_schemas::{
    Name, RecordType, SetKey,
    zonefile::{Fault, Reader, Record, Zone, write_zone},
};
use proptest::prelude::*;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn read(text: &str) -> Result<Zone, Vec<Fault>> {
    let apex = name("example.");
    Zone::assemble(&apex, Reader::new(text.as_bytes(), apex.clone()))
}

/// The zone as `owner ttl type rdata` lines.
fn lines(zone: &Zone) -> Vec<String> {
    let line = |set: &conn3ction_schemas::zonefile::ZoneSet| {
        let head = format!("{} {} {}", set.owner, set.set.ttl(), set.key.rtype);
        let texts = set.set.rdata().iter().map(|rdata| format!("{head} {}", rdata.to_text(set.key.rtype)));
        texts.collect::<Vec<_>>()
    };
    zone.sets.iter().flat_map(line).collect()
}

fn written(zone: &Zone, apex: &Name) -> Vec<u8> {
    let mut out = Vec::new();
    write_zone(&mut out, apex, zone.sets.iter().map(|set| (&set.owner, set.key, &set.set))).expect("memory");
    out
}

/// The records of a file that has one on each line, in one spelling: base64 and hex
/// without blanks, letters small but for base64, addresses as Rust prints them.
fn plain_records(text: &str) -> BTreeSet<String> {
    let record = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let head: Vec<_> = words.by_ref().take(4).collect();
        let rdata = words.collect::<Vec<_>>();
        let rdata = match head[3] {
            "RRSIG" => format!("{} {}", rdata[..8].join(" "), rdata[8..].concat()),
            "DNSKEY" => format!("{} {}", rdata[..3].join(" "), rdata[3..].concat()),
            "DS" => format!("{} {}", rdata[..3].join(" "), rdata[3..].concat()).to_lowercase(),
            "AAAA" => rdata[0].parse::<std::net::Ipv6Addr>().expect("an address").to_string(),
            _ => rdata.join(" ").to_lowercase(),
        };
        format!("{} {} {rdata}", head[0].to_lowercase(), head[1..].join(" "))
    };
    text.lines().filter(|line| !line.starts_with(['$', ';']) && !line.is_empty()).map(record).collect()
}

#[test]
fn the_real_root_zones_round_trip_record_for_record() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/root-zone");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "gz") {
            continue;
        }
        seen += 1;
        let mut text = String::new();
        let file = std::fs::File::open(&path).expect("the file");
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip");
        let zone = Zone::assemble(&Name::root(), Reader::new(text.as_bytes(), Name::root()))
            .unwrap_or_else(|faults| panic!("{}: {}", path.display(), faults[0]));
        assert_eq!(zone.warnings, [], "{}", path.display());
        let printed = written(&zone, &Name::root());
        let printed_text = String::from_utf8(printed.clone()).expect("ASCII");
        let (ours, theirs) = (plain_records(&printed_text), plain_records(&text));
        assert!(ours.len() > 19_000, "{}", ours.len());
        assert_eq!(ours.symmetric_difference(&theirs).take(4).collect::<Vec<_>>(), Vec::<&String>::new());
        let again = Zone::assemble(&Name::root(), Reader::new(&printed[..], Name::root())).expect("what was written");
        assert_eq!(again, zone);
    }
    assert_eq!(seen, 11);
}

#[test] // RFC 1035 section 5.1
fn owners_origins_classes_ttls_and_parentheses_in_every_order() {
    let zone = read(
        r#"
; a comment
$TTL 1h
@	IN SOA ns1 host\.master (
		7      ; serial
		1h 15m ( 1w )
		300 )  ; minimum
	NS ns1
	300 IN NS ns2.example.
ns1	60 A 192.0.2.1
ns1	IN 60 AAAA 2001:db8::1
ns2 A 192.0.2.2;no blank before this
$ORIGIN sub.example.
@ TXT "a ; b" c\;d "(" ( "two
$ORIGIN example.
"#,
    );
    let faults = zone.expect_err("the last quotation mark is open");
    assert_eq!((faults[0].line, faults[0].column), (14, 26), "{}", faults[0]);

    let zone = read(
        "$TTL 1h\n@ IN SOA ns1 host\\.master (\n 7 ; serial\n 1h 15m ( 1w )\n 300 ) ; minimum\n NS ns1\n\t300 IN NS ns2.example.\n\
         ns1\t60 A 192.0.2.1\nns1 IN 60 AAAA 2001:db8::1\nNS2 A 192.0.2.2;no blank before this\n$ORIGIN sub.example.\n\
         @ TXT \"a ; b\" c\\;d \"(\" (\n\"two\"\n)\n\\@.x CLASS1 TXT z\r\n*.w TYPE1 \\# 4 c0000203\n",
    )
    .expect("a good file");
    assert_eq!(
        lines(&zone),
        [
            "example. 300 NS ns1.example.",
            "example. 300 NS ns2.example.",
            "example. 3600 SOA ns1.example. host\\.master.example. 7 3600 900 604800 300",
            "ns1.example. 60 A 192.0.2.1",
            "ns1.example. 60 AAAA 2001:db8::1",
            "ns2.example. 3600 A 192.0.2.2",
            "sub.example. 3600 TXT \"a ; b\" \"c;d\" \"(\" \"two\"",
            "*.w.sub.example. 3600 A 192.0.2.3",
            "\\@.x.sub.example. 3600 TXT \"z\"",
        ]
    );
    assert_eq!(zone.warnings.len(), 1, "{:?}", zone.warnings);
    assert!(zone.warnings[0].to_string().contains("from 300 to 3600"), "{}", zone.warnings[0]);
}

#[test] // RFC 2308 section 4, RFC 1035 section 5.1
fn a_record_without_ttl_takes_the_default_else_the_last_else_the_soa_minimum() {
    for (text, ttl) in [
        ("a 5 A 192.0.2.1\nb A 192.0.2.2\n", 5),
        ("$TTL 7\na 5 A 192.0.2.1\nb A 192.0.2.2\n", 7),
        ("@ SOA a b 1 2 3 4 9\nb A 192.0.2.2\n", 9),
        ("b A 192.0.2.2\n@ 3 SOA a b 1 2 3 4 9\n", 9),
    ] {
        let zone = read(text).expect(text);
        let set = zone.sets.iter().find(|set| set.owner == name("b.example.")).expect("b");
        assert_eq!(set.set.ttl().as_secs(), ttl, "{text}");
    }
}

#[test]
fn generate_makes_a_record_per_number() {
    let zone = read(
        "$TTL 5\n$GENERATE 1-3 host-$ A 192.0.2.$\n$GENERATE 0-4/2 ${-1,3,d}x CNAME \\$${10,4,x}.z\n$GENERATE 1-1 ${0,3,n} 9 IN PTR p$$\n",
    );
    let faults = zone.expect_err("0-1 is below 0");
    assert!(faults[0].detail.contains("${-1,3,d}"), "{}", faults[0]);
    let zone = read(
        "$TTL 5\n$GENERATE 1-3 host-$ A 192.0.2.$\n$GENERATE 0-4/2 ${1,3,d}x CNAME \\$${10,4,x}.z\n$GENERATE 18-18 ${0,3,n} 9 IN PTR p$$\n",
    )
    .expect("good");
    assert_eq!(
        lines(&zone),
        [
            "001x.example. 5 CNAME \\$000a.z.example.",
            "003x.example. 5 CNAME \\$000c.z.example.",
            "005x.example. 5 CNAME \\$000e.z.example.",
            "2.1.example. 9 PTR p\\$.example.",
            "host-1.example. 5 A 192.0.2.1",
            "host-2.example. 5 A 192.0.2.2",
            "host-3.example. 5 A 192.0.2.3",
        ]
    );
}

/// A file with one fault: line, column, a piece of its text.
const FAULTS: &[(&str, u64, u64, &str)] = &[
    ("a 5 A 192.0.2\n", 1, 7, "no IPv4 address"),
    ("\na 5 NOPE x\n", 2, 5, "`NOPE` is no TTL, class or record type"),
    ("a 5 CH A 192.0.2.1\n", 1, 5, "only IN"),
    ("a 5 5 A 192.0.2.1\n", 1, 5, "is no TTL, class or record type"),
    ("a 2147483648 A 192.0.2.1\n", 1, 3, "at most 2147483647"),
    ("a 1h1 A\n", 1, 7, "missing"),
    ("a 5\n", 1, 3, "type is missing"),
    (" 5 A 192.0.2.1\n", 1, 2, "no owner"),
    ("a..b 5 A 192.0.2.1\n", 1, 1, "empty label"),
    ("a 5 A 192.0.2.1 x\n", 1, 7, "left over"),
    ("a 5 MX (\n10\nm..x )\n", 2, 1, "exchange: "),
    ("a 5 A ( 192.0.2.1\n", 1, 7, "not closed before the end"),
    ("a 5 A 192.0.2.1 )\n", 1, 17, "no parenthesis to close"),
    ("a 5 TXT \"x\n", 1, 9, "not closed on its line"),
    ("a 5 OPT x\n", 1, 9, "no zone holds"),
    ("a 5 TYPE65280 x\n", 1, 15, "LENGTH HEX"),
    ("$ORIGIN\n", 1, 1, "a name is missing"),
    ("$ORIGIN a b\n", 1, 11, "left over"),
    ("$TTL x\n", 1, 6, "no TTL"),
    ("$INCLUDE /etc/passwd\n", 1, 1, "not supported here"),
    ("$BOGUS\n", 1, 1, "not known"),
    ("$GENERATE 1-70000 a$ 5 A 192.0.2.1\n", 1, 1, "more than 65536"),
    ("$GENERATE 2-1 a$ A 192.0.2.1\n", 1, 11, "no range"),
    ("$GENERATE 1-2/0 a$ A 192.0.2.1\n", 1, 11, "no range"),
    ("$GENERATE 1-2 a${0,300} A 192.0.2.1\n", 1, 1, "no ${offset,width,base}"),
    ("a.other. 5 A 192.0.2.1\n", 1, 1, "outside the zone"),
    ("a 5 SOA x y 1 2 3 4 5\n", 1, 1, "a SOA of a.example."),
    ("@ 5 SOA x y 1 2 3 4 5\n@ 5 SOA x y 2 2 3 4 5\n", 2, 1, "differs from the first"),
    ("@ 5 SOA x y 1 2 3 4 5\n@ 5 SOA x y 1 2 3 4 5\na 5 A 192.0.2.1\n", 3, 1, "follows the second SOA (line 2)"),
    ("a 5 A 192.0.2.1\na 5 CNAME b\n", 2, 1, "has a CNAME"),
    ("a 5 CNAME b\na 5 CNAME c\n", 1, 1, "more than one CNAME"),
    ("a 5 DNAME b\na 5 DNAME c\n", 1, 1, "more than one DNAME"),
    ("a A 192.0.2.1\n", 1, 1, "no TTL here"),
];

#[test]
fn every_fault_has_its_line_and_column() {
    for (text, line, column, piece) in FAULTS {
        let faults = read(text).expect_err(text);
        assert_eq!((faults.len(), faults[0].line, faults[0].column), (1, *line, *column), "{text:?}: {faults:?}");
        assert!(faults[0].detail.contains(piece), "{text:?}: {}", faults[0]);
    }
}

#[test]
fn all_faults_are_listed_up_to_a_thousand() {
    let faults = read("a 5 A x\nb 5 A 192.0.2.1\nc 5 A y\n").expect_err("two");
    assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 3]);
    let faults = read(&"a 5 A x\n".repeat(3000)).expect_err("many");
    assert_eq!(faults.len(), 1000);
    assert!(faults[999].detail.ends_with("the rest was not read"), "{}", faults[999]);
}

#[test] // RFC 2181 section 5.2, RFC 4034 section 3
fn equal_records_merge_and_signatures_over_different_types_keep_their_ttls() {
    let signature = |covered, ttl, tag| {
        format!("@ {ttl} RRSIG {covered} 8 1 60 20300101000000 20200101000000 {tag} example. AA==\n")
    };
    let text = format!(
        "@ 5 SOA x y 1 2 3 4 5\na 5 A 192.0.2.1\nA.example. 9 A 192.0.2.1\n{}{}{}@ 5 SOA x y 1 2 3 4 5\n",
        signature("A", 60, 1),
        signature("A", 70, 2),
        signature("MX", 80, 1)
    );
    let zone = read(&text).expect("good");
    let ttl = |key| zone.sets.iter().find(|set| set.key == key).map(|set| set.set.ttl().as_secs());
    assert_eq!(ttl(SetKey::rrsig(RecordType::A)), Some(60));
    assert_eq!(ttl(SetKey::rrsig(RecordType::MX)), Some(80));
    assert_eq!(ttl(SetKey::of(RecordType::A)), Some(5));
    assert_eq!(zone.warnings.len(), 2, "{:?}", zone.warnings);
}

#[test]
fn a_cname_may_stand_beside_its_dnssec_records_only() {
    let text = "a 5 CNAME b\na 5 NSEC b.example. CNAME RRSIG NSEC\n\
                a 5 RRSIG CNAME 8 2 60 20300101000000 20200101000000 1 example. AA==\n";
    assert_eq!(read(text).expect("good").sets.len(), 3);
}

#[test]
fn sets_and_names_over_their_limits_are_faults() {
    let many: String = (0..1001).map(|n| format!("a 5 TXT t{n}\n")).collect();
    assert!(read(&many).expect_err("too many")[0].detail.contains("at most 1000"));
    let types: String = (0..101).map(|n| format!("a 5 TYPE{} \\# 0\n", 1000 + n)).collect();
    assert!(read(&types).expect_err("too many")[0].detail.contains("more than 100"));
}

#[test]
fn an_include_is_read_where_the_caller_says_how() {
    let text = "$TTL 5\na A 192.0.2.1\n$INCLUDE inner sub\n  A 192.0.2.2\n$INCLUDE gone\n";
    let include = |file: &str| match file {
        "inner" => Ok(Box::new(&b"b A 192.0.2.3\n A x\n"[..]) as Box<dyn std::io::BufRead>),
        _ => Err(format!("there is no {file}")),
    };
    let items: Vec<Result<Record, Fault>> =
        Reader::new(text.as_bytes(), name("example.")).with_include(Box::new(include)).collect();
    let shown: Vec<_> = items
        .iter()
        .map(|item| match item {
            Ok(record) => format!("{} {}", record.owner, record.rdata.to_text(record.rtype)),
            Err(fault) => fault.to_string(),
        })
        .collect();
    assert_eq!(shown[..2], ["a.example. 192.0.2.1", "b.sub.example. 192.0.2.3"]);
    assert!(shown[2].starts_with("inner: line 2, column 4: "), "{}", shown[2]);
    assert_eq!(shown[3..], ["a.example. 192.0.2.2", "line 5, column 1: there is no gone"]);

    let endless = |_: &str| Ok(Box::new(&b"$INCLUDE again\n"[..]) as Box<dyn std::io::BufRead>);
    let faults: Vec<_> =
        Reader::new(&b"$INCLUDE again\n"[..], name("example.")).with_include(Box::new(endless)).collect();
    assert_eq!(faults.len(), 1);
}

#[test]
fn the_print_of_a_transfer_by_dig_is_taken() {
    let text = "\n; <<>> DiG 9.18.33 <<>> AXFR example. @127.0.0.1\n;; global options: +cmd\n\
                example.\t\t3600\tIN\tSOA\tns.example. h.example. 1 2 3 4 5\nexample.\t\t3600\tIN\tNS\tns.example.\n\
                example.\t\t3600\tIN\tSOA\tns.example. h.example. 1 2 3 4 5\n;; Query time: 0 msec\n;; XFR size: 3 records\n";
    let zone = read(text).expect("good");
    assert_eq!((zone.sets.len(), zone.soa.map(|soa| soa.serial.0)), (2, Some(1)));
}

#[test]
fn deep_and_endless_entries_are_faults_even_on_a_small_stack() {
    let run = || {
        for text in ["(".repeat(1_000_000), "a 5 TXT (\n".to_owned() + &"x\n".repeat(1_000_000), "a".repeat(3_000_000)]
        {
            assert!(read(&text).is_err());
        }
        let text = format!("a 5 TXT {}x{}\n", "( ".repeat(32), ") ".repeat(32));
        assert_eq!(read(&text).expect("borne").sets.len(), 1);
    };
    std::thread::Builder::new().stack_size(256 * 1024).spawn(run).expect("a thread").join().expect("no overflow");
}

#[test]
fn an_input_that_breaks_off_is_a_fault() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("corrupt deflate stream"))
        }
    }
    let input = std::io::BufReader::new((&b"a 5 A 192.0.2.1\n"[..]).chain(Broken));
    let items: Vec<_> = Reader::new(input, name("example.")).collect();
    assert_eq!(items.len(), 2);
    assert!(items[1].as_ref().expect_err("broken").detail.contains("corrupt deflate stream"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([ \\t\\n\"();\\\\$@.a-c0-9]|A |TXT |SOA |\\$ORIGIN |\\$TTL |\\$GENERATE |1-3 ){0,200}") {
        _ = read(&text);
    }

    #[test]
    fn no_octets_make_the_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let apex = name("example.");
        _ = Zone::assemble(&apex, Reader::new(&octets[..], apex.clone()));
    }
}
