use std::{net::IpAddr, sync::Arc};

use conn3ction_schemas::{
    Epoch, Name, Rdata, RecordSet, RecordType, Revision, Serial, SetKey, Timestamp, Token, Ttl, When,
};

use super::*;
use crate::{
    store::{Store, Version, Writer},
    wire::{read_name, read_record},
};

/// Revision N took effect N seconds after the epoch.
struct Ledger(Arc<Store>);

impl Moments for Ledger {
    fn find(&self, when: When) -> Result<Moment, NoMoment> {
        let version = match when {
            When::Now => self.0.published(),
            When::Revision(_, Revision(revision)) => Version(revision),
            When::Time(Timestamp(micros)) => Version(micros as u64 / 1_000_000),
            When::Age(_) => return Err(NoMoment("no clock here".into())),
        };
        if version > self.0.published() {
            return Err(NoMoment(format!("r{version} is not yet").into()));
        }
        let is_final = version < self.0.published();
        Ok(Moment { view: self.0.at(version), version: Some(version), is_final })
    }

    fn event(&self, version: Version) -> Option<EventNote> {
        Some(EventNote {
            token: Token { epoch: Epoch(1), revision: Revision(version.0) },
            time: Timestamp(version.0 as i64 * 1_000_000),
            actor: format!("actor{version}"),
            reason: (version.0 == 2).then(|| "move to lb-7".to_owned()),
        })
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn put(writer: &mut Writer, owner: &str, rtype: RecordType, values: &[&str]) {
    let rdata: Vec<_> = values.iter().map(|value| Rdata::parse(rtype, value, None).expect("rdata")).collect();
    let set = RecordSet::new(Ttl::from_secs(300).expect("a TTL"), rdata).ok();
    writer.set(&name("shop.example."), &name(owner), SetKey::of(rtype), set.as_ref());
}

/// r1: the zone; r2: `api` moves and `old` goes; r3: `new` comes.
fn history() -> (History, Arc<Store>) {
    let (history, store, _) = written();
    (history, store)
}

/// That history, and who may go on with it.
fn written() -> (History, Arc<Store>, Writer) {
    let (store, mut writer) = Store::new();
    let zone = name("shop.example.");
    writer.begin(Version(1), Timestamp(1_000_000));
    writer.create_zone(&zone);
    put(&mut writer, "shop.example.", RecordType::SOA, &["ns.shop.example. host.shop.example. 1 3600 600 86400 60"]);
    put(&mut writer, "shop.example.", RecordType::NS, &["ns.shop.example."]);
    put(&mut writer, "ns.shop.example.", RecordType::A, &["192.0.2.53"]);
    put(&mut writer, "api.shop.example.", RecordType::A, &["192.0.2.10"]);
    put(&mut writer, "old.shop.example.", RecordType::A, &["192.0.2.9"]);
    put(&mut writer, "www.shop.example.", RecordType::CNAME, &["api.shop.example."]);
    put(&mut writer, "cdn.shop.example.", RecordType::CNAME, &["edge.cdn.test."]);
    put(&mut writer, "shop.example.", RecordType::MX, &["10 ns.shop.example.", "20 mx.elsewhere.test."]);
    put(&mut writer, "sub.shop.example.", RecordType::NS, &["ns.sub.shop.example.", "ns.elsewhere.test."]);
    put(&mut writer, "ns.sub.shop.example.", RecordType::A, &["192.0.2.99"]);
    let digest = format!("1 8 2 {}", "ab".repeat(32));
    put(&mut writer, "signed.shop.example.", RecordType::NS, &["ns.elsewhere.test."]);
    put(&mut writer, "signed.shop.example.", RecordType::DS, &[&digest]);
    put(&mut writer, "tosigned.shop.example.", RecordType::CNAME, &["signed.shop.example."]);
    put(&mut writer, "dn.shop.example.", RecordType::DNAME, &["shop.example."]);
    put(&mut writer, &format!("{0}.{0}.{0}.shop.example.", "l".repeat(60)), RecordType::A, &["192.0.2.1"]);
    let longest = format!("{0}.{0}.{0}.{0}.shop.example.", "f".repeat(58));
    put(&mut writer, "far.shop.example.", RecordType::CNAME, &[&longest]);
    writer.serial(&zone, Serial(1));
    writer.publish();
    writer.begin(Version(2), Timestamp(2_000_000));
    put(&mut writer, "api.shop.example.", RecordType::A, &["192.0.2.77"]);
    put(&mut writer, "old.shop.example.", RecordType::A, &[]);
    writer.serial(&zone, Serial(2));
    writer.publish();
    writer.begin(Version(3), Timestamp(3_000_000));
    put(&mut writer, "new.shop.example.", RecordType::A, &["192.0.2.3"]);
    writer.serial(&zone, Serial(3));
    writer.publish();
    let moments = Arc::new(Ledger(Arc::clone(&store)));
    let allow = crate::server::AddressList::loopback();
    (History { moments, allow, suffix: Some(Suffix::default()) }, store, writer)
}

fn query(asked: &str, rtype: RecordType, options: Option<&[u8]>) -> Vec<u8> {
    let mut packet = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(options.is_some())];
    packet.extend_from_slice(name(asked).as_wire());
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if let Some(options) = options {
        packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.len() as u8]);
        packet.extend_from_slice(options);
    }
    packet
}

fn moment(text: &str) -> Vec<u8> {
    [&[0xff, 0x49, 0, text.len() as u8], text.as_bytes()].concat()
}

/// A reply as lines: the code, then each record with its section, then each option.
fn ask(history: &History, store: &Arc<Store>, packet: &[u8]) -> Vec<String> {
    ask_from(history, store, packet, [127, 0, 0, 1].into())
}

fn ask_from(history: &History, store: &Arc<Store>, packet: &[u8], peer: IpAddr) -> Vec<String> {
    let mut out = [0; 1232];
    let transport = Transport::Udp { max_size: 1232 };
    let octets = answer(Some(history), &store.now(), packet, peer, transport, &mut out).expect("a reply");
    let reply = &out[..octets];
    let mut lines = vec![format!("{}{}", reply[3] & 15, if reply[2] & 4 != 0 { " aa" } else { "" })];
    let mut at = 12;
    read_name(reply, &mut at).expect("the question");
    at += 4;
    for (section, letter) in [(6, 'a'), (8, 'n'), (10, 'x')] {
        for _ in 0..u16::from_be_bytes([reply[section], reply[section + 1]]) {
            let record = read_record(reply, &mut at).expect("a record");
            let ttl_at = at - record.rdata.len() - 6;
            let ttl = u32::from_be_bytes(reply[ttl_at..ttl_at + 4].try_into().expect("four"));
            if record.rtype == RecordType::OPT {
                options_of(record.rdata, &mut lines);
                continue;
            }
            let owner = Name::from_wire(&record.owner).expect("an owner");
            let rdata = Rdata::from_stored(record.rdata).to_text(record.rtype);
            lines.push(format!("{letter} {owner} {ttl} {} {rdata}", record.rtype));
        }
    }
    assert_eq!(at, reply.len(), "nothing follows the last record");
    lines
}

fn options_of(mut rest: &[u8], lines: &mut Vec<String>) {
    while let [high, low, len_high, len_low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*len_high, *len_low]));
        let (code, value) = (u16::from_be_bytes([*high, *low]), &after[..len]);
        lines.push(match code {
            15 => format!("ede {} {}", value[1], String::from_utf8_lossy(&value[2..])),
            19 => format!("zoneversion {value:?}"),
            _ => format!("option {}", String::from_utf8_lossy(value)),
        });
        rest = &after[len..];
    }
}

#[test]
fn the_option_asks_the_past_and_nothing_asks_the_present() {
    let (history, store) = history();
    let a = |options: Option<&[u8]>| ask(&history, &store, &query("api.shop.example.", RecordType::A, options));
    assert_eq!(a(None), ["0 aa", "a api.shop.example. 300 A 192.0.2.77"]);
    assert_eq!(a(Some(&[])), ["0 aa", "a api.shop.example. 300 A 192.0.2.77"]);
    assert_eq!(
        a(Some(&moment("r1"))),
        ["0 aa", "a api.shop.example. 300 A 192.0.2.10", "option r1 1970-01-01T00:00:01Z"]
    );
    assert_eq!(a(Some(&moment("19700101T000001Z")))[1], "a api.shop.example. 300 A 192.0.2.10");
    assert_eq!(
        a(Some(&moment("now")))[1..],
        ["a api.shop.example. 300 A 192.0.2.77", "option r3 1970-01-01T00:00:03Z not-final"]
    );
    let old = |text| ask(&history, &store, &query("old.shop.example.", RecordType::A, Some(&moment(text))));
    assert_eq!(old("r1")[1], "a old.shop.example. 300 A 192.0.2.9");
    assert_eq!(old("r2")[0], "3 aa");
    assert_eq!(old("r2")[1], "n shop.example. 60 SOA ns.shop.example. host.shop.example. 2 3600 600 86400 60");
}

#[test]
fn the_empty_option_tells_where_the_live_answer_comes_from() {
    let (history, store) = history();
    let told = |asked| ask(&history, &store, &query(asked, RecordType::A, Some(&moment("")))).split_off(1);
    let set_by_2 = ["option r2 1970-01-01T00:00:02Z", "ede 0 as of r2 1970-01-01T00:00:02Z actor2: move to lb-7"];
    assert_eq!(told("api.shop.example.")[1..], set_by_2);
    assert_eq!(told("old.shop.example.")[1..], set_by_2, "who took it away");
    assert_eq!(told("www.shop.example.")[2..], set_by_2, "what the alias leads to is younger");
}

#[test]
fn names_that_only_others_below_them_make_exist_are_told_as_such() {
    let (history, store, mut writer) = written();
    writer.begin(Version(4), Timestamp(4_000_000));
    put(&mut writer, "a.ent.shop.example.", RecordType::A, &["192.0.2.4"]);
    writer.publish();
    writer.begin(Version(5), Timestamp(5_000_000));
    writer.create_zone(&name("deep.mid.shop.example."));
    writer.publish();
    let empty = ask(&history, &store, &query("ent.shop.example.", RecordType::A, Some(&moment(""))));
    assert_eq!(empty[0], "0 aa");
    assert!(empty.contains(&"option r4 1970-01-01T00:00:04Z".to_owned()), "{empty:?}");
    // RFC 9156: a resolver comes label by label to the zone below.
    let above = |text: &str| ask(&history, &store, &query(text, RecordType::NS, None)).swap_remove(0);
    assert_eq!(above("mid.shop.example.r5.asof."), "0 aa");
    assert_eq!(above("mid.shop.example.r4.asof."), "3 aa");
}

#[test]
fn two_moments_in_one_question_are_malformed_and_one_said_twice_is_not() {
    let (history, store) = history();
    let asked = |first: &str, second: &str| {
        let options = [moment(first), moment(second)].concat();
        ask(&history, &store, &query("api.shop.example.", RecordType::A, Some(&options)))
    };
    assert_eq!(asked("r1", "r2"), ["1", "ede 0 two moments in one question"]);
    assert_eq!(asked("r1", "r1")[1], "a api.shop.example. 300 A 192.0.2.10");
}

#[test]
fn a_time_that_is_told_can_be_asked() {
    let mut options = options::Options::default();
    let time = Timestamp(1_764_000_000_530_230);
    options.moment(Some(Version(4)), Some(time), false);
    let mut told = [0; 128];
    let len = options.append(&mut told, 2);
    let text = std::str::from_utf8(&told[6..len]).expect("ASCII");
    assert_eq!(text, "r4 2025-11-24T16:00:00.53023Z not-final");
    assert_eq!(text.split(' ').nth(1).map(str::parse), Some(Ok(When::Time(time))));
    let note = EventNote {
        token: Token { epoch: Epoch(1), revision: Revision(4) },
        time,
        actor: "ann".to_owned(),
        reason: None,
    };
    assert_eq!(ExtendedError::of(&note, None, true).text, "as of r4 2025-11-24T16:00:00.53023Z ann");
}

#[test]
fn with_rd_set_the_past_has_no_time_to_live() {
    let (history, store) = history();
    let mut packet = query("www.shop.example.", RecordType::A, Some(&moment("r1")));
    packet[2] |= 1;
    assert_eq!(
        ask(&history, &store, &packet)[1..3],
        ["a www.shop.example. 0 CNAME api.shop.example.", "a api.shop.example. 0 A 192.0.2.10"]
    );
}

#[test]
fn who_may_not_ask_is_refused_and_what_cannot_be_asked_is_said() {
    let (history, store) = history();
    let api = |options: &[u8]| query("api.shop.example.", RecordType::A, Some(options));
    let stranger: IpAddr = [192, 0, 2, 200].into();
    for packet in [api(&moment("r1")), api(&moment("")), query("api.shop.example.r1.asof.", RecordType::A, Some(&[]))] {
        assert_eq!(
            ask_from(&history, &store, &packet, stranger),
            ["5", "ede 18 this address may not ask about the past"]
        );
    }
    assert_eq!(ask_from(&history, &store, &api(&[]), stranger)[0], "0 aa");
    for bad in ["15", "yesterday", "\u{e9}"] {
        assert_eq!(ask(&history, &store, &api(&moment(bad)))[0], "1", "{bad}");
    }
    assert_eq!(ask(&history, &store, &api(&moment("r9"))), ["2", "ede 0 r9 is not yet"]);
    let mut out = [0; 512];
    let malformed = query("api.shop.example.x.asof.", RecordType::A, None);
    let udp = Transport::Udp { max_size: 1232 };
    answer(Some(&history), &store.now(), &malformed, [127, 0, 0, 1].into(), udp, &mut out).expect("a reply");
    assert_eq!(out[3] & 15, 1);
}

#[test]
fn a_name_below_the_suffix_is_answered_so_that_it_can_be_followed() {
    let (history, store) = history();
    let a = |asked: &str, rtype| ask(&history, &store, &query(asked, rtype, None));
    assert_eq!(
        a("wWw.Shop.example.R1.ASOF.", RecordType::A),
        [
            "0 aa",
            "a www.shop.example.r1.asof. 0 CNAME api.shop.example.r1.asof.",
            "a api.shop.example.r1.asof. 0 A 192.0.2.10"
        ]
    );
    assert_eq!(a("cdn.shop.example.r1.asof.", RecordType::A)[1], "a cdn.shop.example.r1.asof. 0 CNAME edge.cdn.test.");
    assert_eq!(
        a("shop.example.r1.asof.", RecordType::MX)[1..],
        [
            "a shop.example.r1.asof. 0 MX 10 ns.shop.example.r1.asof.",
            "a shop.example.r1.asof. 0 MX 20 mx.elsewhere.test.",
            "x ns.shop.example.r1.asof. 0 A 192.0.2.53"
        ]
    );
    assert_eq!(
        a("x.sub.shop.example.r1.asof.", RecordType::A),
        [
            "0",
            "n sub.shop.example.r1.asof. 0 NS ns.sub.shop.example.r1.asof.",
            "n sub.shop.example.r1.asof. 0 NS ns.elsewhere.test.",
            "x ns.sub.shop.example.r1.asof. 0 A 192.0.2.99"
        ]
    );
    assert_eq!(
        a("api.dn.shop.example.r2.asof.", RecordType::A)[1..],
        [
            "a dn.shop.example.r2.asof. 0 DNAME shop.example.r2.asof.",
            "a api.dn.shop.example.r2.asof. 0 CNAME api.shop.example.r2.asof.",
            "a api.shop.example.r2.asof. 0 A 192.0.2.77"
        ]
    );
    assert_eq!(
        a("old.shop.example.r2.asof.", RecordType::A),
        [
            "3 aa",
            "n shop.example.r2.asof. 0 SOA ns.shop.example.r2.asof. host.shop.example.r2.asof. 2 3600 600 86400 0"
        ]
    );
    assert_eq!(a("api.shop.example.r1.asof.", RecordType::DS)[0], "0 aa");
    let long = format!("{0}.{0}.{0}.shop.example.19700101t000001z.asof.", "l".repeat(60));
    assert_eq!(a(&long, RecordType::A)[1], format!("a {long} 0 A 192.0.2.1"));
    let aliased = format!("{0}.{0}.{0}.dn.shop.example.19700101t000001z.asof.", "l".repeat(60));
    assert_eq!(ask(&history, &store, &query(&aliased, RecordType::A, Some(&[]))).len(), 5);
    assert_eq!(
        ask(&history, &store, &query("far.shop.example.r1.asof.", RecordType::A, Some(&[]))),
        ["2", "ede 0 a name of the answer has no room for the moment"]
    );
}

#[test] // RFC 4035 section 3.1.4.1
fn a_ds_is_asked_of_the_parent_and_left_out() {
    let (history, store) = history();
    let ds = |asked: &str| ask(&history, &store, &query(asked, RecordType::DS, None));
    let soa = "n shop.example.r1.asof. 0 SOA ns.shop.example.r1.asof. host.shop.example.r1.asof. 1 3600 600 86400 0";
    assert_eq!(ds("sub.shop.example.r1.asof."), ["0 aa", soa]);
    assert_eq!(ds("signed.shop.example.r1.asof."), ["0 aa", soa]);
    assert_eq!(ds("shop.example.r1.asof."), ["0 aa", soa], "we have no parent of it");
    assert_eq!(
        ds("tosigned.shop.example.r1.asof."),
        ["0 aa", "a tosigned.shop.example.r1.asof. 0 CNAME signed.shop.example.r1.asof.", soa]
    );
    let below = ds("x.sub.shop.example.r1.asof.");
    assert_eq!(
        below[1], "n sub.shop.example.r1.asof. 0 NS ns.sub.shop.example.r1.asof.",
        "below the cut it is the child's"
    );
    // The same without a moment.
    let live = ask(&history, &store, &query("sub.shop.example.", RecordType::DS, None));
    assert_eq!(live, ["0 aa", "n shop.example. 60 SOA ns.shop.example. host.shop.example. 3 3600 600 86400 60"]);
}

#[test]
fn names_between_the_suffix_and_a_zone_exist() {
    let (history, store) = history();
    let a = |asked: &str| ask(&history, &store, &query(asked, RecordType::A, None));
    for between in ["asof.", "r1.asof.", "example.r1.asof."] {
        assert_eq!(a(between), ["0 aa", "n asof. 0 SOA localhost. hostmaster.localhost. 0 0 0 0 0"], "{between}");
    }
    for nothing in ["test.r1.asof.", "example.r0.asof.", "www.hop.example.r1.asof."] {
        assert_eq!(a(nothing)[0], "3 aa", "{nothing}");
    }
    let ns = ask(&history, &store, &query("asof.", RecordType::NS, None));
    assert_eq!(ns, ["0 aa", "a asof. 0 NS localhost."]);
    assert_eq!(a("xasof.")[0], "5", "another name that ends in the same letters");
}

/// Nothing came of an event, too: of the wildcard that went, of the name that hides one, of the delegation that ended.
#[test]
fn an_answer_that_there_is_nothing_names_the_event_that_made_it_so() {
    let (history, store, mut writer) = written();
    let mut event = |version: u64, owner: &str, rtype: RecordType, values: &[&str]| {
        writer.begin(Version(version), Timestamp(version as i64 * 1_000_000));
        put(&mut writer, owner, rtype, values);
        writer.serial(&name("shop.example."), Serial(version as u32));
        writer.publish();
    };
    event(4, "*.w.shop.example.", RecordType::A, &["192.0.2.4"]);
    event(5, "deep.x.w.shop.example.", RecordType::TXT, &["x"]);
    event(6, "*.w.shop.example.", RecordType::A, &[]);
    event(7, "sub.shop.example.", RecordType::NS, &[]);
    event(8, "unrelated.shop.example.", RecordType::A, &["192.0.2.8"]);
    for (asked, by) in [
        ("foo.w.shop.example.r8.asof.", "r6"),
        ("x.w.shop.example.r8.asof.", "r5"),
        ("y.sub.shop.example.r8.asof.", "r7"),
        ("old.shop.example.r8.asof.", "r2"),
        ("foo.w.shop.example.r5.asof.", "r4"),
        ("never.shop.example.r8.asof.", "r1"),
    ] {
        let lines = ask(&history, &store, &query(asked, RecordType::A, Some(&[])));
        let told = lines.last().expect("a line");
        assert!(told.contains(&format!(", set by {by} ")), "{asked}: {told}");
    }
}

#[test]
fn an_answer_below_the_suffix_names_its_event() {
    let (history, store) = history();
    let told = |asked: &str| {
        let lines = ask(&history, &store, &query(asked, RecordType::A, Some(&[])));
        lines.last().expect("a line").clone()
    };
    for not_ours in ["google.com.r2.asof.", "example.r2.asof.", "r2.asof."] {
        assert!(!told(not_ours).starts_with("ede"), "nobody's event made it so: {not_ours}");
    }
    assert_eq!(told("api.shop.example.r2.asof."), "ede 0 as of r2 1970-01-01T00:00:02Z actor2: move to lb-7");
    assert_eq!(
        told("api.shop.example.r3.asof."),
        "ede 0 as of r3 1970-01-01T00:00:03Z not-final, set by r2 actor2: move to lb-7"
    );
}

#[test]
fn the_version_of_the_zone_is_told() {
    let (history, store) = history();
    let told = ask(&history, &store, &query("api.shop.example.", RecordType::A, Some(&[0, 19, 0, 0])));
    assert_eq!(told[2], "zoneversion [2, 0, 0, 0, 0, 3]");
    let not_ours = ask(&history, &store, &query("api.test.", RecordType::A, Some(&[0, 19, 0, 0])));
    assert_eq!(not_ours, ["5"]);
    let malformed = ask(&history, &store, &query("api.shop.example.", RecordType::A, Some(&[0, 19, 0, 1, 1])));
    assert_eq!(malformed[0], "1");
}
