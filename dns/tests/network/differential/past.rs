//! Answers about the past: those that a server gave which knew no more than there was then.

use std::{net::IpAddr, sync::Arc};

use conn3ction_dns::{
    History as Access, Store, Suffix, Transport, Version, answer, answer_with_history, server::AddressList,
    store::Sealed,
};
use conn3ction_schemas::{Name, Rdata, RecordType, Timestamp};

use super::{
    ask::{Question, option},
    history::{History, Known, time},
    questions,
    reply::{Record, Reply},
    signed, zones,
};
use crate::random::Random;

/// How many histories; each has its own seed.
fn rounds(default: u64) -> u64 {
    let given = std::env::var("TESTS_HISTORIES").ok();
    given.map_or(default, |text| text.parse().expect("TESTS_HISTORIES is a number"))
}

/// Several drafts of a few zones: each with the same apexes, the last with signed ones only. Signers take no nested apex,
/// which may begin with `*`.
fn drafts(random: &mut Random, count: usize) -> Vec<Vec<zones::RandomZone>> {
    let apexes = zones::apexes(random, count, 40);
    let mut drafts: Vec<_> = (0..4).map(|_| zones::zones_at(random, &apexes)).collect();
    let plain: Vec<_> = apexes.into_iter().filter(|apex| zones::name(apex).label_count() == 2).collect();
    let plain = zones::zones_at(random, &plain);
    drafts.push(signed::sign_all(random, &plain));
    drafts
}

#[test] // guarantee 16
fn what_was_is_answered_octet_by_octet_as_by_a_store_that_knows_no_later_event() {
    let mut random = Random::seeded("histories", 1);
    let mut asked = 0;
    for _ in 0..rounds(5) {
        let drafts = drafts(&mut random, 6);
        let history = History::random(&mut random, &drafts, 30, true);
        let directory = tempfile::tempdir().expect("a directory");
        let stores = stores(&mut random, &history, directory.path());
        let zones: Vec<_> = drafts.into_iter().flatten().collect();
        let versions: Vec<_> = (0..6).map(|_| random.below(30) as u64 + 1).chain([history.last()]).collect();
        for version in versions {
            let (fresh, mut writer) = Store::new();
            history.write(&mut writer, 1..=version);
            let types = [questions::TYPES, &[RecordType::DNSKEY, RecordType::NSEC3]].concat();
            for question in questions::questions(&mut random, &zones, &types, 5) {
                let moment = random.pick(&["revision", "time", "time between"]);
                for (kind, store) in &stores {
                    let seen = Seen { history: &history, version, fresh: &fresh, kind, store };
                    seen.by_option(&question, moment);
                    seen.by_name(&question, moment);
                    asked += 2;
                }
            }
        }
    }
    println!("{asked} answers");
}

/// The same history in memory, in a file, and one part here, the other there.
fn stores(random: &mut Random, history: &History, directory: &std::path::Path) -> [(&'static str, Arc<Store>); 3] {
    let (hot, mut writer) = Store::new();
    history.write(&mut writer, 1..=history.last());
    let opened = |version: u64| {
        let path = directory.join(version.to_string());
        hot.seal(Version(version), &path, |_| Ok(())).expect("a file");
        let (store, mut writer) = Store::open(&Sealed::open(&path).expect("sealed states"));
        history.write(&mut writer, version + 1..=history.last());
        store
    };
    let (cold, part) = (opened(history.last()), opened(1 + random.below(history.last() as usize - 1) as u64));
    [("in memory", hot), ("sealed", cold), ("sealed in part", part)]
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

pub(crate) fn access(store: &Arc<Store>) -> Access {
    let moments = Arc::new(Known(Arc::clone(store)));
    Access { moments, allow: AddressList::loopback(), suffix: Some(Suffix::default()) }
}

/// A store that holds all of `history`, beside one that was filled up to `version`.
struct Seen<'a> {
    history: &'a History,
    version: u64,
    fresh: &'a Arc<Store>,
    kind: &'a str,
    store: &'a Arc<Store>,
}

impl Seen<'_> {
    fn moment(&self, by: &str) -> String {
        let time = time(self.version);
        match by {
            "revision" => format!("r{}", self.version),
            "time" => time.to_seconds_text(),
            // Half way to the next event.
            _ => Timestamp(time.0 + 5_000_000).to_seconds_text(),
        }
    }

    fn ask(&self, store: &Arc<Store>, packet: &[u8], transport: Transport) -> Vec<u8> {
        let mut out = vec![0; 65_535];
        let octets = answer_with_history(Some(&access(store)), &store.now(), packet, HERE, transport, &mut out)
            .expect("a reply");
        out.truncate(octets);
        out
    }

    fn by_option(&self, question: &Question, by: &str) {
        let edns = question.edns.unwrap_or((512, false));
        let limit = usize::from(edns.0.clamp(512, 1232));
        let transport = Transport::Udp { max_size: 1232 };
        let question = Question { edns: Some(edns), ..question.clone() };
        let past = Question { moment: Some(self.moment(by)), ..question.clone() };
        let reply = self.ask(self.store, &past.to_wire(7), transport);

        let now = self.fresh.now();
        let name = Name::from_wire(&question.name.to_ascii_lowercase()).expect("a name");
        let version = match by {
            "revision" => self.version,
            _ => {
                let zone = now.zone_of(&name);
                // DS is the parent's to tell (RFC 4035 section 3.1.4.1).
                let is_at_apex = zone.as_ref().is_some_and(|zone| *zone.apex() == name);
                let above = name.parent().filter(|_| question.rtype == RecordType::DS && is_at_apex);
                above.and_then(|above| now.zone_of(&above)).or(zone).map_or(0, |zone| zone.last_change().0)
            }
        };
        let text = match version {
            0 => "r0".to_owned(),
            version => format!("r{version} {}", time(version).to_seconds_text()),
        };
        let told = option(&text);
        // The option takes its room from the answer.
        let mut live = vec![0; limit - told.len()];
        let octets = answer(&now, &question.to_wire(7), transport, &mut live).expect("a reply");
        live.truncate(octets);
        live[octets - 2..].copy_from_slice(&(told.len() as u16).to_be_bytes());
        live.extend(told);
        if question.flags & 0x0100 == 0 {
            assert_eq!(reply, live, "{} {past} {}", self.kind, self.shown(&reply, &live));
        } else {
            // Who recurses may cache the answer without the option, so it must not last.
            let mut expected = Reply::read(&live).expect("a reply");
            for records in &mut expected.sections {
                records.iter_mut().for_each(|record| record.ttl = 0);
                records.sort();
            }
            assert_eq!(Reply::read(&reply), Some(expected), "{} {past} {}", self.kind, self.shown(&reply, &live));
        }
    }

    fn by_name(&self, question: &Question, by: &str) {
        let moment = self.moment(by);
        let Some(past) = by_name(question, &moment) else { return };
        let packet = past.to_wire(7);
        let [reply, fresh] = [self.store, self.fresh].map(|store| self.ask(store, &packet, Transport::Tcp));
        assert_eq!(reply, fresh, "{} {past} {}", self.kind, self.shown(&reply, &fresh));

        let now = self.fresh.now();
        let name = Name::from_wire(&question.name.to_ascii_lowercase()).expect("a name");
        let is_left_out = is_dnssec(question.rtype) && question.rtype != RecordType::DS;
        if is_left_out || now.zone_of(&name).is_none() {
            return;
        }
        let inner = Question { edns: None, flags: 0, moment: None, ..question.clone() };
        let mut live = vec![0; 65_535];
        let octets = answer(&now, &inner.to_wire(7), Transport::Tcp, &mut live).expect("a reply");
        let live = Reply::read(&live[..octets]).expect("a reply");
        if live.sections[0].iter().any(|record| record.rtype == RecordType::DS) {
            return;
        }
        let reply = Reply::read(&reply).expect("a reply");
        check_moved(&question.name, &reply, &live, &moment, &self.history.apexes(self.version));
    }

    fn shown(&self, reply: &[u8], expected: &[u8]) -> String {
        let text = |octets| Reply::read(octets).map_or("malformed".to_owned(), |reply| reply.to_string());
        format!("at r{}\n{}expected {}", self.version, text(reply), text(expected))
    }
}

pub(super) fn is_dnssec(rtype: RecordType) -> bool {
    [43, 46, 47, 48, 50, 51, 59, 60].contains(&rtype.0)
}

/// The same question below the moment; `None` if that is too long a name.
pub(super) fn by_name(question: &Question, moment: &str) -> Option<Question> {
    let moment = moment.replace(['-', ':'], "").to_lowercase();
    Some(Question { name: moved(&question.name, &moment)?, moment: None, ..question.clone() })
}

/// `name` below the moment; `None` if that is too long a name.
fn moved(name: &[u8], moment: &str) -> Option<Vec<u8>> {
    let label = [&[moment.len() as u8], moment.as_bytes()].concat();
    let moved = [&name[..name.len() - 1], &label, b"\x04asof\0"].concat();
    (moved.len() <= 255).then_some(moved)
}

/// Holds `reply`, to `question` below `moment`, against `live`, the reply to the name itself from zones with these apexes.
pub(super) fn check_moved(question: &[u8], reply: &Reply, live: &Reply, moment: &str, apexes: &[Name]) {
    let moment = moment.replace(['-', ':'], "").to_lowercase();
    let mut fits = true;
    let mut below = |name: &[u8]| {
        moved(name, &moment).unwrap_or_else(|| {
            fits = false;
            vec![0]
        })
    };
    let is_ours = |name: &[u8]| {
        Name::from_wire(&name.to_ascii_lowercase())
            .is_ok_and(|name| apexes.iter().any(|apex| name.is_at_or_below(apex)))
    };
    let mut sections = live.sections.clone();
    for (section, records) in sections.iter_mut().enumerate() {
        records.retain(|record| !is_dnssec(record.rtype));
        for Record { owner, rtype, ttl, rdata } in records.iter_mut() {
            (*owner, *ttl) = (below(owner), 0);
            let names = Rdata::from_stored(rdata).map_names(*rtype, |name| is_ours(name).then(|| below(name)));
            *rdata = names.as_wire().to_vec();
            if *rtype == RecordType::SOA && section == 1 {
                let at = rdata.len() - 4;
                rdata[at..].fill(0);
            }
        }
        records.sort();
    }
    // A name above an apex exists below the moment, whatever a shorter zone says of it (RFC 8020).
    let asked = Name::from_wire(&question.to_ascii_lowercase());
    let is_above = |apex: &Name| asked.as_ref().is_ok_and(|asked| apex != asked && apex.is_at_or_below(asked));
    if live.rcode == 3 && apexes.iter().any(is_above) {
        assert_eq!((reply.rcode, reply.sections[0].len()), (0, 0), "{reply}moved from {live}");
        return;
    }
    if fits {
        assert_eq!((reply.rcode, &reply.sections), (live.rcode, &sections), "{reply}moved from {live}");
        assert_eq!(reply.is_authoritative(), live.is_authoritative());
    } else {
        assert_eq!(reply.rcode, 2, "{reply}moved from {live}");
    }
}
