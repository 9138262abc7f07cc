//! What comes by UDP and TCP: queries, EDNS options, names that carry a moment, questions for transfers.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use conn3ction_dns::{
    EventNote, History, Moment, Moments, NoMoment, Store, Suffix, Transport, Version, answer, answer_with_history,
    asks_for_transfer, server::AddressList, transfer::Incoming,
};
use conn3ction_schemas::{
    Epoch, Name, RecordType, Revision, Serial, Timestamp, Token, When,
    zonefile::{Reader, Zone},
};

/// Everything that makes an answer long or roundabout.
const ZONE: &str = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n@ MX 10 mail\nns A 192.0.2.1\nns AAAA 2001:db8::1\n\
    *.wild TXT \"a wildcard\"\nalias CNAME www\nwww CNAME ns\nloop CNAME loop2\nloop2 CNAME loop\n\
    dn DNAME example.\nsub NS ns.sub\nsub DS 1 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d\n\
    ns.sub A 192.0.2.2\na.b.ent A 192.0.2.3\nsvc SVCB 1 ns port=53\nmail A 192.0.2.4\n$GENERATE 1-200 big A 10.0.0.$\n";

/// Revisions 1 to 3 of one zone.
struct Past(Arc<Store>);

impl Moments for Past {
    fn find(&self, when: When) -> Result<Moment, NoMoment> {
        let version = match when {
            When::Now => self.0.published(),
            When::Revision(_, Revision(revision)) => Version(revision),
            When::Time(Timestamp(micros)) => Version(micros.clamp(0, 3) as u64),
            When::Age(_) => Version(1),
        };
        if version > self.0.published() {
            return Err(NoMoment("not yet".into()));
        }
        Ok(Moment { view: self.0.at(version), version: Some(version), is_final: version.0 < 3 })
    }

    fn event(&self, version: Version) -> Option<EventNote> {
        Some(EventNote {
            token: Token { epoch: Epoch(1), revision: Revision(version.0) },
            time: Timestamp(version.0 as i64),
            actor: "ann".into(),
            reason: Some("é".repeat(300)),
        })
    }
}

fn world() -> &'static (Arc<Store>, History) {
    static WORLD: OnceLock<(Arc<Store>, History)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let apex: Name = "example.".parse().expect("a name");
        let zone = Zone::assemble(&apex, Reader::new(ZONE.as_bytes(), apex.clone())).expect("a zone");
        let (store, mut writer) = Store::new();
        for version in 1..=3 {
            writer.begin(Version(version), Timestamp(version as i64));
            if version == 1 {
                writer.create_zone(&apex);
            }
            for set in zone.sets.iter().filter(|set| version != 2 || set.key.rtype != RecordType::CNAME) {
                writer.set(&apex, &set.owner, set.key, Some(&set.set));
            }
            writer.serial(&apex, Serial(version as u32));
            writer.publish();
        }
        let moments = Arc::new(Past(store.clone()));
        (store, History { moments, allow: AddressList::loopback(), suffix: Some(Suffix::default()) })
    })
}

/// A message from anybody, over UDP and TCP, from one who may ask about the past and from one who may not.
///
/// # Panics
///
/// If a reply is too long, or no reply to this message.
pub fn dns_message(octets: &[u8]) {
    let (store, history) = world();
    let view = store.now();
    let mut out = vec![0xaa; 65_535];
    for (transport, limit) in [(Transport::Udp { max_size: 1232 }, 1232), (Transport::Tcp, 65_535)] {
        let reply = |length: Option<usize>, out: &[u8]| {
            let Some(length) = length else { return };
            assert!((12..=limit).contains(&length), "{length} octets over {transport:?}");
            assert_eq!(out[..2], octets[..2], "the id");
            assert!(out[2] & 0x80 != 0, "QR");
        };
        reply(answer(&view, octets, transport, &mut out), &out);
        for peer in [IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 1])] {
            reply(answer_with_history(Some(history), &view, octets, peer, transport, &mut out), &out);
        }
    }
    let _ = asks_for_transfer(octets);
}

/// The options of a query: its OPT record's rdata.
///
/// # Panics
///
/// As [`dns_message`].
pub fn edns_options(octets: &[u8]) {
    let mut packet = question(b"\x03www\x07example\x00", RecordType::A, true);
    packet.extend_from_slice(&(octets.len() as u16).to_be_bytes());
    packet.extend_from_slice(octets);
    dns_message(&packet);
}

/// A name asked for below `asof.`, in wire form without its last two labels.
///
/// # Panics
///
/// As [`dns_message`].
pub fn asof_names(octets: &[u8]) {
    for rtype in [RecordType::A, RecordType::MX, RecordType::SOA, RecordType::DS, RecordType::CNAME] {
        dns_message(&question(&[octets, b"\x04asof\x00"].concat(), rtype, false));
    }
}

/// A message of a zone that another server sends, and the same again as the next one.
///
/// # Panics
///
/// If a zone is called whole that does not begin and end with its SOA.
pub fn transfer_message(octets: &[u8]) {
    let apex: Name = "example.".parse().expect("a name");
    let mut incoming = Incoming::new(apex.clone(), 0x0709);
    let mut is_whole = false;
    for _ in 0..2 {
        match incoming.take(octets) {
            Ok(whole) => is_whole = whole,
            Err(_) => return,
        }
        if is_whole {
            break;
        }
    }
    let records = incoming.into_records();
    if is_whole {
        let ends = [records.first(), records.last()];
        assert!(ends.into_iter().flatten().all(|record| record.rtype == RecordType::SOA && record.owner == apex));
        assert!(records.len() > 1);
    }
    let _ = Zone::assemble(&apex, records.into_iter().map(Ok));
}

/// Messages of a transfer to start from: records of every kind of rdata, whose names are compressed where they may be.
pub fn transfer_messages() -> Vec<Vec<u8>> {
    let mut message = question(b"\x07example\x00", RecordType::AXFR, false);
    message[2] = 0x84;
    let soa = b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x1d\x02ns\xc0\x0c\x01h\xc0\x0c\x00\x00\x00\x05\
        \x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04";
    let begun = [&message[..], soa].concat();
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut record = |owner: &[u8], rtype: u16, rdata: &[u8]| {
        let head = [&rtype.to_be_bytes()[..], &[0, 1, 0, 0, 0, 60], &(rdata.len() as u16).to_be_bytes()].concat();
        records.push([owner, &head, rdata].concat());
    };
    record(b"\xc0\x0c", 2, b"\x02ns\xc0\x0c");
    record(b"\x01a\xc0\x0c", 15, b"\x00\x0a\xc0\x0c");
    record(b"\x01A\xc0\x0c", 33, b"\x00\x01\x00\x02\x00\x35\x02ns\x07example\x00");
    record(b"\x01t\xc0\x0c", 16, b"\x04text\x00");
    record(b"\x01s\xc0\x0c", 64, b"\x00\x01\x00\x00\x03\x00\x02\x00\x35");
    record(b"\x01n\xc0\x0c", 47, b"\xc0\x0c\x00\x01\x40");
    record(b"\x01u\xc0\x0c", 65280, b"anything");
    let all = records.concat();
    let counted = |mut message: Vec<u8>, count: u8| {
        message[7] = count;
        message
    };
    let whole = [&begun[..], &all, soa].concat();
    vec![counted(whole, 9), counted([&begun[..], &all].concat(), 8), counted(begun, 1)]
}

/// A query; with `edns` it ends where the length of the options stands.
fn question(name: &[u8], rtype: RecordType, edns: bool) -> Vec<u8> {
    let mut packet = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    packet.extend_from_slice(name);
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if edns {
        packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0x80, 0]);
    }
    packet
}

/// Messages to start from.
pub fn messages() -> Vec<Vec<u8>> {
    let types = [1, 2, 5, 6, 15, 16, 28, 43, 46, 47, 64, 251, 252, 255];
    let names: &[&[u8]] = &[
        b"\x07example\x00",
        b"\x05alias\x07example\x00",
        b"\x04loop\x07example\x00",
        b"\x01x\x02dn\x07example\x00",
        b"\x01x\x04wild\x07example\x00",
        b"\x01b\x03ent\x07example\x00",
        b"\x01y\x03sub\x07example\x00",
        b"\x03big\x07example\x00",
        b"\x03svc\x07EXAMPLE\x02r2\x04asof\x00",
        b"\x00",
    ];
    let mut all: Vec<_> =
        names.iter().flat_map(|name| types.map(|rtype| question(name, RecordType(rtype), false))).collect();
    for options in options() {
        let mut packet = question(names[0], RecordType::SOA, true);
        packet.extend_from_slice(&(options.len() as u16).to_be_bytes());
        packet.extend_from_slice(&options);
        all.push(packet);
    }
    // An IXFR with the asker's SOA.
    let mut ixfr = question(names[0], RecordType::IXFR, false);
    ixfr[9] = 1;
    ixfr.extend_from_slice(b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x16\x00\x00\x00\x00\x00\x01");
    ixfr.extend_from_slice(&[0; 16]);
    all.push(ixfr);
    all
}

/// Options to start from: moments, ZONEVERSION, a cookie, padding.
pub fn options() -> Vec<Vec<u8>> {
    let moment = |text: &str| [&[0xff, 0x49, 0, text.len() as u8], text.as_bytes()].concat();
    let mut all: Vec<_> = ["", "r2", "1:2", "now", "2h", "2026-11-22T01:52:07Z", "r99"].map(moment).to_vec();
    all.push(b"\x00\x13\x00\x00".to_vec());
    all.push(b"\x00\x0a\x00\x08\x01\x02\x03\x04\x05\x06\x07\x08\x00\x0c\x00\x02\x00\x00".to_vec());
    all.push([moment("r2"), b"\x00\x13\x00\x00".to_vec()].concat());
    all
}

/// Names below `asof.` to start from.
pub fn asof_questions() -> Vec<Vec<u8>> {
    let names: &[&[u8]] = &[
        b"\x03www\x07example\x02r1",
        b"\x07example\x02r2",
        b"\x05alias\x07example\x03now",
        b"\x01x\x02dn\x07example\x0220",
        b"\x01y\x03sub\x07example\x1020261122T101500Z",
        b"\x02r1",
        b"",
    ];
    names.iter().map(|name| name.to_vec()).collect()
}
