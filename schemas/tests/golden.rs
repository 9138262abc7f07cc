//! The stored form is for ever: what `golden/*.txt` holds is read by this build and written by it octet for octet.
//!
//! A file is written once, by running this test with `TESTS_WRITE_GOLDEN=1` while it does not exist, and never
//! changed after that. A new form version gets new files; the old ones stay.

use std::{env, fs, path::Path};

use bytes::Bytes;
use conn3ction_schemas::{
    Actor, Delta, Epoch, EventHeader, Kind, Name, Rdata, RecordSet, RecordType, Revision, Serial, SetKey, Timestamp,
    Ttl, ZoneChange,
    event::{
        Auth, BodyDigest, FORMAT_VERSION, FormError, Hash, Idempotency, Salt, SealedHeader, ZoneLife,
        chunk::{ChunkWriter, deltas},
    },
};
use uuid::Uuid;

const CDDL: &str = include_str!("../event.cddl");
const SALT: Salt = Salt(*b"sixteen octets !");

/// A header and its deltas.
struct Golden {
    header: SealedHeader,
    deltas: Vec<Delta>,
    chunk: Bytes,
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// `TTL TYPE VALUE`, with more values behind ` | `.
fn set(text: &str) -> (SetKey, RecordSet) {
    let mut parts = text.splitn(3, ' ');
    let ttl = parts.next().and_then(|secs| secs.parse().ok()).expect("a TTL");
    let rtype: RecordType = parts.next().and_then(|rtype| rtype.parse().ok()).expect("a type");
    let values = parts.next().expect("values").split(" | ");
    let rdata: Vec<_> = values.map(|value| Rdata::parse(rtype, value, None).expect(value)).collect();
    let key = SetKey::for_rdata(rtype, &rdata[0]);
    (key, RecordSet::new(Ttl::from_secs(ttl).expect("a TTL"), rdata).expect("a set"))
}

fn delta(zone: u32, owner: &str, before: &str, after: &str) -> Delta {
    let [before, after] = [before, after].map(|text| (!text.is_empty()).then(|| set(text)));
    let key = before.as_ref().or(after.as_ref()).expect("one of the two").0;
    Delta { zone, owner: name(owner), key, before: before.map(|it| it.1), after: after.map(|it| it.1) }
}

fn zone(apex: &str, before: Option<u32>, after: u32, life: ZoneLife) -> ZoneChange {
    ZoneChange { zone: name(apex), before: before.map(Serial), after: Serial(after), life }
}

/// One event of every kind, linked to a chain. The first uses every member, the third none that may be left out.
fn events() -> Vec<Golden> {
    let soa =
        |serial: u32| format!("3600 SOA ns1.shop.example. hostmaster.shop.example. {serial} 7200 900 1209600 300");
    let everything = [
        delta(0, "*.2.0.192.in-addr.arpa.", "3600 PTR old.shop.example.", "3600 PTR www.shop.example."),
        delta(
            1,
            "shop.example.",
            "",
            "60 RRSIG MX 15 2 3600 20150819220000 20150729220000 3613 shop.example. AQIDBA==",
        ),
        delta(1, "shop.example.", "2147483647 CAA 0 issue \"ca.example\"", ""),
        delta(1, "_9943._foo.shop.example.", "", "0 SVCB 16 foo.example.org. alpn=h2,h3-19 ipv4hint=192.0.2.1"),
        delta(1, "api.shop.example.", "300 A 192.0.2.10 | 192.0.2.9", "60 A 192.0.2.77"),
        delta(1, "api.shop.example.", "", "300 TXT \"one\" \"two \\200\""),
        delta(1, "new.shop.example.", "", "60 TYPE65280 \\# 4 0A000001"),
    ];
    let both = vec![
        zone("2.0.192.in-addr.arpa.", Some(4_294_967_295), 0, ZoneLife::Stays),
        zone("shop.example.", Some(56), 57, ZoneLife::Stays),
    ];
    let born = [delta(0, "new.example.", "", "3600 NS localhost."), delta(0, "new.example.", "", &soa(1))];
    let gone = [delta(0, ".", "3600 NS localhost.", ""), delta(0, ".", &soa(9), "")];
    let back = [delta(0, "api.shop.example.", "60 A 192.0.2.77", "300 A 192.0.2.10 | 192.0.2.9")];
    let plans = [
        (Kind::RecordsChanged, both, everything.to_vec(), None),
        (Kind::ZoneCreated, vec![zone("new.example.", None, 1, ZoneLife::Created)], born.to_vec(), None),
        (Kind::ZoneDeleted, vec![zone(".", Some(9), 9, ZoneLife::Deleted)], gone.to_vec(), None),
        (
            Kind::ZoneImported,
            vec![zone("new.example.", Some(1), 2_018_013_000, ZoneLife::Stays)],
            vec![born[0].clone()],
            None,
        ),
        (Kind::Restored, vec![zone("shop.example.", Some(57), 58, ZoneLife::Stays)], back.to_vec(), Some(Revision(40))),
        (Kind::Reverted, vec![zone("shop.example.", Some(58), 59, ZoneLife::Stays)], back.to_vec(), Some(Revision(41))),
    ];
    let mut previous_hash = Hash::default();
    let mut golden = Vec::new();
    for (at, (kind, zones, deltas, of)) in (0..).zip(plans) {
        let bare = kind == Kind::ZoneDeleted;
        let place = |delta: &Delta| (delta.zone, delta.owner.clone(), delta.key);
        assert!(deltas.is_sorted_by_key(place), "{kind:?} is in canonical order");
        let mut writer = ChunkWriter::default();
        deltas.iter().for_each(|delta| assert!(writer.push(delta).is_none(), "one chunk"));
        let chunk = writer.finish().expect("a chunk");
        let mut digest = BodyDigest::new(&SALT);
        digest.chunk(&chunk);
        let committed_at = Timestamp(1_763_776_327_481_233 + i64::from(at));
        let header = SealedHeader::seal(EventHeader {
            format: FORMAT_VERSION,
            revision: Revision(u64::from(u32::MAX) - 1 + u64::from(at)),
            epoch: Epoch(1 + 300 * at),
            id: Uuid::from_u128(0x019a_9b2e_7c1a_7000_8000_0000_0000_0000 + u128::from(at)),
            committed_at,
            // History can be older than the epoch of time itself.
            time: if kind == Kind::ZoneImported { Timestamp(-86_400_000_000) } else { committed_at },
            raw_clock: committed_at.plus_micros(-7),
            kind,
            actor: Actor {
                name: if bare { String::new() } else { "ci-déploiement".into() },
                auth: if bare { Auth::None } else { Auth::Token },
            },
            source: "rest".into(),
            request_id: "5f0c".into(),
            idempotency: (!bare).then(|| Idempotency { key: "key-1".into(), digest: Hash::of(b"request") }),
            reason: (!bare).then(|| "CHG-881 move api to lb-7".into()),
            zones,
            change_count: deltas.len() as u64,
            of,
            previous_hash,
            body_digest: digest.finish(),
        });
        previous_hash = header.hash();
        golden.push(Golden { header, deltas, chunk });
    }
    golden
}

/// The file of an event: octets in hex, indented, and below them what they say in diagnostic notation (RFC 8949
/// section 8).
fn printed(golden: &Golden) -> String {
    let mut text = format!("An event of kind {}, form version {FORMAT_VERSION}.\n", golden.header.kind.as_str());
    let mut part = |title: &str, octets: &[u8]| {
        text += &format!("\n{title}:\n");
        for line in data_encoding::HEXLOWER.encode(octets).as_bytes().chunks(112) {
            text += &format!("  {}\n", String::from_utf8_lossy(line));
        }
        text += &format!("{}\n", minicbor::display(octets));
    };
    part("header", golden.header.octets());
    part("body chunk", &golden.chunk);
    text += &format!("\nhash {}\n", golden.header.hash());
    text += &format!("salt {}\n", data_encoding::HEXLOWER.encode(&SALT.0));
    text + &format!("body digest {}\n", golden.header.body_digest)
}

/// The octets of the two parts of a file.
fn octets(text: &str) -> [Bytes; 2] {
    let part = |title: &str| {
        let lines = text.lines().skip_while(|line| *line != title).skip(1);
        let hex: String = lines.map_while(|line| line.strip_prefix("  ")).collect();
        Bytes::from(data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex"))
    };
    [part("header:"), part("body chunk:")]
}

#[test]
fn golden_events_are_read_and_written_octet_for_octet() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let events = events();
    assert_eq!(events.iter().map(|golden| golden.header.kind).collect::<Vec<_>>(), Kind::ALL);
    for golden in &events {
        let path = directory.join(format!("{}.txt", golden.header.kind.as_str()));
        if !path.exists() && env::var_os("TESTS_WRITE_GOLDEN").is_some() {
            fs::write(&path, printed(golden)).expect("writes");
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(text, printed(golden), "{} is written otherwise now: stored forms are for ever", path.display());
        let [header, chunk] = octets(&text);
        assert_eq!(*SealedHeader::decode(header).expect("a header"), *golden.header);
        let read: Result<Vec<_>, _> = deltas(&chunk).collect();
        assert_eq!(read.expect("deltas"), golden.deltas);
    }
    assert_eq!(fs::read_dir(directory).expect("a directory").count(), events.len(), "a file nobody reads");
}

#[test]
fn golden_events_are_what_event_cddl_says() {
    let start = |rule: &str| format!("start = {rule}\n{CDDL}");
    let fits = |rule: &str, octets: &[u8]| cddl::validate_cbor_from_slice(&start(rule), octets, None);
    for Golden { header, chunk, .. } in events() {
        let kind = header.kind.as_str();
        fits("event-header", header.octets()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        fits("body-chunk", &chunk).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(fits("event-header", &chunk).is_err() && fits("body-chunk", header.octets()).is_err(), "{kind}");
        let mut sealed = Vec::new();
        minicbor::Encoder::new(&mut sealed).bytes(header.octets()).expect("writes");
        fits("sealed-header", &sealed).unwrap_or_else(|error| panic!("{kind}: {error}"));
        // Each member is in the document: taken away, or of another type, it is missed.
        let members = members(header.octets());
        for at in 0..members.len() {
            let optional = [11, 12, 15].contains(&members[at].0);
            let mut less = members.clone();
            less.remove(at);
            assert_eq!(fits("event-header", &map(&less)).is_ok(), optional, "{kind} without {}", members[at].0);
            let mut other = members.clone();
            other[at].1 = vec![0xf9, 0x3c, 0x00]; // 1.0
            assert!(fits("event-header", &map(&other)).is_err(), "{kind}: {} is a float", members[at].0);
        }
        let mut more = members.clone();
        more.push((18, vec![1]));
        assert!(fits("event-header", &map(&more)).is_err(), "{kind}: a member that version 1 does not have");
    }
}

/// The members of a CBOR map by their numbers.
fn members(octets: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut d = minicbor::Decoder::new(octets);
    let count = d.map().expect("a map").expect("of definite length");
    let mut member = || {
        let number = d.u64().expect("a number");
        let start = d.position();
        d.skip().expect("a value");
        (number, octets[start..d.position()].to_vec())
    };
    (0..count).map(|_| member()).collect()
}

fn map(members: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut octets = Vec::new();
    minicbor::Encoder::new(&mut octets).map(members.len() as u64).expect("writes");
    for (number, value) in members {
        minicbor::Encoder::new(&mut octets).u64(*number).expect("writes");
        octets.extend_from_slice(value);
    }
    octets
}

#[test]
fn a_form_version_newer_than_known_is_refused_by_its_number() {
    let header = &events()[0].header;
    let mut members = members(header.octets());
    for newer in [FORMAT_VERSION + 1, 23, 24, 255] {
        members[0].1 = minicbor::to_vec(newer).expect("writes");
        // Whatever else a later version changed, the number is what is reported.
        for octets in [map(&members), map(&members[..1]), map(&[members[0].clone(), (99, vec![0xf6])])] {
            let error = SealedHeader::decode(octets.into()).expect_err("refused");
            assert!(matches!(error, FormError::Newer(found) if found == newer), "{newer}: {error}");
        }
    }
}

#[test]
fn what_stands_behind_a_header_or_a_chunk_is_refused() {
    let golden = &events()[0];
    let longer = |octets: &Bytes| Bytes::from([octets.as_ref(), &[0]].concat());
    assert!(SealedHeader::decode(longer(golden.header.octets())).is_err());
    assert!(deltas(&longer(&golden.chunk)).any(|delta| delta.is_err()));
}

#[test]
fn members_of_a_header_that_are_missing_or_in_another_order_are_refused() {
    let header = &events()[0].header;
    let members = members(header.octets());
    assert!(SealedHeader::decode(map(&members).into()).is_ok());
    for at in 1..members.len() {
        let (mut less, mut swapped) = (members.clone(), members.clone());
        less.remove(at);
        swapped.swap(at - 1, at);
        assert_eq!(SealedHeader::decode(map(&less).into()).is_ok(), [11, 12, 15].contains(&members[at].0), "{at}");
        assert!(SealedHeader::decode(map(&swapped).into()).is_err(), "{at}");
    }
}

#[test]
fn texts_of_a_header_are_utf8_or_it_is_refused() {
    let events = events();
    let mut texts = 0;
    for header in events.iter().map(|event| &event.header) {
        let (octets, read) = (header.octets(), header.read());
        let key = read.idempotency().map(|idempotency| idempotency.key);
        for text in [Some(read.actor()), Some(read.source()), Some(read.request_id()), read.reason(), key] {
            let Some(text) = text.filter(|text| text.is_ascii() && text.len() > 1) else { continue };
            let at = text.as_ptr().addr() - octets.as_ptr().addr();
            let with = |first_two: [u8; 2]| {
                let mut changed = octets.to_vec();
                changed[at..at + 2].copy_from_slice(&first_two);
                SealedHeader::decode(changed.into()).is_ok()
            };
            assert!(with([0xc3, 0xa9]), "{text}");
            assert!(!with([0xc3, b'a']), "{text}");
            texts += 1;
        }
    }
    assert!(texts >= 5, "{texts}");
}

#[test]
fn names_with_capitals_and_sets_out_of_order_are_refused() {
    let owner = Name::root().child(b"abc").expect("a name");
    let ttl = Ttl::from_secs(60).expect("a TTL");
    let set = RecordSet::new(ttl, [b"value-1", b"value-2"].map(|wire| Rdata::from_stored(wire)).into()).expect("a set");
    let delta = Delta { zone: 0, owner, key: SetKey::of(RecordType::TXT), before: None, after: Some(set) };
    let mut writer = ChunkWriter::default();
    assert!(writer.push(&delta).is_none());
    let chunk = writer.finish().expect("a chunk");
    let with = |old: &[u8], new: &[u8]| {
        let at = chunk.windows(old.len()).position(|octets| octets == old).expect("is there");
        let octets = [&chunk[..at], new, &chunk[at + old.len()..]].concat();
        deltas(&octets).collect::<Result<Vec<_>, _>>().is_ok()
    };
    assert!(with(b"value-2", b"value-3"));
    assert!(!with(b"value-2", b"value-1"), "twice the same");
    assert!(!with(b"value-2", b"value-0"));
    assert!(with(b"abc", b"xyz"));
    assert!(!with(b"abc", b"aBc"));
}
