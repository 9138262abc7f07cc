//! Keys and reasons of single records, as tables.

use std::collections::BTreeMap;

use conn3ction_dns::{Store, View};
use conn3ction_schemas::{Rdata, RecordSet, RecordType, Revision, Serial, SetKey, Timestamp, Ttl};

use super::*;
use crate::Mirror;

const ZONE: &str = "example.local.";

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// `owner ttl type value`, each alone in its set unless owner and type repeat.
fn content(lines: &[&str]) -> View {
    let mut sets: BTreeMap<(Name, SetKey), (u32, Vec<Rdata>)> = BTreeMap::new();
    for line in ["@ 60 SOA . . 1 2 3 4 5", "@ 60 NS ns.elsewhere.example."].iter().chain(lines) {
        let mut words = line.splitn(4, ' ');
        let [owner, ttl, rtype, value] = std::array::from_fn(|_| words.next().expect("four words"));
        let owner = if owner == "@" { ZONE.into() } else { format!("{owner}.{ZONE}") };
        let rtype: RecordType = rtype.parse().expect("a type");
        let set = sets.entry((name(&owner), SetKey::of(rtype))).or_default();
        *set = (ttl.parse().expect("a TTL"), [&set.1[..], &[Rdata::parse(rtype, value, None).expect(value)]].concat());
    }
    store(sets.into_iter().map(|((owner, key), (ttl, rdata))| (owner, key, record_set(ttl, rdata))))
}

fn record_set(ttl: u32, rdata: Vec<Rdata>) -> RecordSet {
    RecordSet::new(Ttl::from_secs(ttl).expect("a TTL"), rdata).expect("a set")
}

fn store(sets: impl Iterator<Item = (Name, SetKey, RecordSet)>) -> View {
    let (store, mut writer) = Store::new();
    writer.begin(Revision(1).into(), Timestamp(1));
    writer.create_zone(&name(ZONE));
    sets.for_each(|(owner, key, set)| writer.set(&name(ZONE), &owner, key, Some(&set)));
    writer.serial(&name(ZONE), Serial(1));
    writer.publish();
    store.now()
}

fn zone_keys(large: &[&str]) -> ZoneKeys {
    ZoneKeys::new(Prefix::new("Z", "/z").expect("a prefix"), large.iter().map(|zone| name(zone)))
}

#[test]
fn each_limit_of_the_plugin_is_reported_for_the_record_that_meets_it_and_for_no_other() {
    let long = format!("\"{}\"", "a".repeat(254));
    for (line, reason) in [
        ("a 60 A 192.0.2.1", None),
        ("a 60 AAAA 2001:db8::1", None),
        ("a 60 AAAA ::ffff:192.0.2.1", Some(Reason::Type)),
        ("a 60 TXT \"a b\\\\c\"", None),
        (&format!("a 60 TXT {long}"), None),
        ("a 60 TXT \"a\" \"b\"", Some(Reason::TextBoundaries)),
        ("a 60 TXT \"\"", Some(Reason::TextBoundaries)),
        ("a 0 A 192.0.2.1", Some(Reason::ZeroTtl)),
        ("@ 60 MX 10 mail.example.local.", None),
        ("@ 60 MX 0 mail.example.local.", Some(Reason::ZeroPreference)),
        ("@ 60 MX 0 .", Some(Reason::NullMx)),
        ("@ 60 MX 10 mail.example.net.", None),
        ("a 60 MX 10 a.example.local.", None),
        ("a 60 MX 10 mail.example.local.", Some(Reason::ForeignExchange)),
        ("_s._tcp 60 SRV 10 100 80 a.example.local.", Some(Reason::SrvTarget)),
        ("_s._tcp 60 SRV 0 100 80 a.example.local.", Some(Reason::SrvZero)),
        ("_s._tcp 60 SRV 10 60 80 a.example.local.", Some(Reason::SrvWeights)),
        ("@ 60 SRV 10 100 80 a.example.local.", Some(Reason::SrvBesideOthers)),
        ("_s._tcp 60 SRV 10 100 80 .", Some(Reason::SrvAddress)),
        ("a 60 CNAME b.example.local.", Some(Reason::Alias)),
        ("a 60 CNAME b.example.net.", Some(Reason::BareAlias)),
        ("a.b 60 CNAME b.example.local.", Some(Reason::BareAlias)),
        ("a 60 CNAME a.example.local.", Some(Reason::AliasOfItself)),
        ("a 60 CNAME b.a.example.local.", Some(Reason::AliasOfItself)),
        ("a 60 PTR b.example.net.", Some(Reason::Pointer)),
        ("a 60 CAA 0 issue \"ca.example\"", Some(Reason::Type)),
        ("* 60 A 192.0.2.1", Some(Reason::Label)),
        ("any 60 A 192.0.2.1", Some(Reason::Label)),
        ("a/b 60 A 192.0.2.1", Some(Reason::Label)),
        ("x.apex.dns 60 A 192.0.2.1", Some(Reason::ReservedName)),
        ("dns 60 A 192.0.2.1", None),
        ("dns 60 PTR b.example.net.", Some(Reason::ReservedName)),
        ("dns 60 CNAME b.example.local.", Some(Reason::ReservedName)),
        ("a 60 NS b.example.net.", Some(Reason::Delegation)),
        ("a 60 DNAME b.example.net.", Some(Reason::Type)),
    ] {
        let content = content(&[line]);
        let mut words = line.split(' ');
        let owner = words.next().filter(|owner| *owner != "@").map_or(ZONE.into(), |owner| format!("{owner}.{ZONE}"));
        let key = SetKey::of(words.nth(1).expect("a type").parse().expect("a type"));
        let zone = content.zone(&name(ZONE)).expect("a zone");
        for at in zone.owners() {
            for set in at.sets() {
                let told = zone_keys(&[]).not_representable(
                    &content,
                    &name(ZONE),
                    &at.name(),
                    set.key(),
                    &set.to_record_set(),
                );
                if at.name() == name(&owner) && set.key() == key {
                    assert_eq!(told, reason, "{line}");
                } else {
                    assert!(matches!(told, Some(Reason::Soa | Reason::NameServers)), "{line}: {told:?}");
                }
            }
        }
    }
}

/// Else the keys would depend on which name was looked at last, and the digest would count one key twice.
#[test]
fn no_key_belongs_to_two_names() {
    let sort = ["PTR b.example.net.", "CNAME b.example.local.", "A 192.0.2.1", "SRV 10 100 80 a.example.local."];
    for value in sort {
        let content = content(&["@ 60 A 192.0.2.1", &format!("dns 60 {value}"), "x.dns 60 A 192.0.2.2"]);
        let names = ["", "dns.", "x.dns."].map(|labels| name(&format!("{labels}{ZONE}")));
        let mut keys = BTreeMap::new();
        for name in names {
            for key in zone_keys(&[]).keys(&content, &name).into_keys() {
                assert_eq!(keys.insert(key.clone(), name.clone()), None, "{key}, with {value}");
            }
        }
    }
}

/// A text question for the apex reads every child's own key, and would follow what leads out of the zone.
#[test]
fn only_an_alias_into_the_zone_stands_at_its_own_key() {
    for (target, stands) in [("b.example.local.", true), ("b.example.net.", false)] {
        let content = content(&[&format!("a 60 CNAME {target}")]);
        let keys = zone_keys(&[]).keys(&content, &name("a.example.local."));
        assert_eq!(keys["/z/local/example/a"] != "{}", stands, "{keys:#?}");
        assert!(keys["/z/local/example/a/V1"].contains(target));
    }
}

#[test]
fn a_zone_of_over_50_000_sets_not_names_is_written_only_if_it_is_named() {
    let text = |n: u64| record_set(60, vec![Rdata::parse(RecordType::TXT, &format!("\"{n}\""), None).expect("a text")]);
    let address = |_| record_set(60, vec![Rdata::parse(RecordType::A, "192.0.2.1", None).expect("an address")]);
    for (sets, reason) in [(MOST_SETS, None), (MOST_SETS + 1, Some(Reason::LargeZone))] {
        let content = store((0..sets).map(|n| {
            let (key, set) = match n % 2 {
                0 => (SetKey::of(RecordType::A), address(n)),
                _ => (SetKey::of(RecordType::TXT), text(n)),
            };
            (name(&format!("h{}.{ZONE}", n / 2)), key, set)
        }));
        let owner = name(&format!("h1.{ZONE}"));
        assert_eq!(zone_keys(&[]).zone_not_written(&content, &name(ZONE)), reason);
        assert_eq!(zone_keys(&[]).keys(&content, &owner).is_empty(), reason.is_some());
        assert_eq!(zone_keys(&[ZONE]).zone_not_written(&content, &name(ZONE)), None);
        assert!(!zone_keys(&[ZONE]).keys(&content, &owner).is_empty());
    }
}

#[test]
fn a_mirror_value_over_what_etcd_takes_is_left_out_and_reported() {
    // Of types without a text form of their own: JSON shows two digits an octet.
    let set = record_set(
        60,
        vec![Rdata::parse(RecordType(65_280), &format!("\\# 60000 {}", "00".repeat(60_000)), None).expect("octets")],
    );
    let mirror = Mirror::new(Prefix::new("R", "/r").expect("a prefix"));
    for (types, fits) in [(8, true), (9, false)] {
        let sets = (0..types).map(|n| (name("a.example.local."), SetKey::of(RecordType(65_280 + n)), set.clone()));
        let content = store(sets);
        let owner = name("a.example.local.");
        assert_eq!(mirror.keys(&content, &owner).len(), usize::from(fits));
        let mut told = Vec::new();
        #[cfg(feature = "etcd")]
        crate::not_shown::all(crate::ViewName::Mirror, &zone_keys(&[]), &content, &mut |found| told.push(found.reason));
        assert_eq!(told, vec![Reason::TooLarge; if fits { 0 } else { types.into() }]);
    }
}
