//! What CoreDNS's etcd plugin cannot show, and what is written for the rest.
//!
//! One function decides both ([`judge`]), so a record is in the keys exactly if it is not reported as hidden.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, SetKey};
use serde::Serialize;

use crate::{Content, content::is_occluded};

/// Why CoreDNS's etcd plugin does not show a record set as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the text of each says it")]
pub enum Reason {
    TooLarge,
    RootZone,
    LargeZone,
    Label,
    ReservedName,
    Delegation,
    Type,
    Soa,
    NameServers,
    ZeroTtl,
    TextBoundaries,
    NullMx,
    ZeroPreference,
    ForeignExchange,
    ExchangeBesideText,
    SrvZero,
    SrvWeights,
    SrvBesideOthers,
    SrvAddress,
    SrvTarget,
    SeveralPointers,
    Pointer,
    AliasOfItself,
    Alias,
    BareAlias,
}

impl Reason {
    /// Whether the record is written all the same: it is answered, but not to every question, or not exactly.
    pub const fn is_partly_shown(self) -> bool {
        matches!(self, Self::NameServers | Self::SrvTarget | Self::Pointer | Self::Alias | Self::BareAlias)
    }

    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::RootZone => "root-zone",
            Self::LargeZone => "large-zone",
            Self::Label => "label",
            Self::ReservedName => "reserved-name",
            Self::Delegation => "delegation",
            Self::Type => "type",
            Self::Soa => "soa",
            Self::NameServers => "name-servers",
            Self::ZeroTtl => "zero-ttl",
            Self::TextBoundaries => "text-boundaries",
            Self::NullMx => "null-mx",
            Self::ZeroPreference => "zero-preference",
            Self::ForeignExchange => "foreign-exchange",
            Self::ExchangeBesideText => "exchange-beside-text",
            Self::SrvZero => "srv-zero",
            Self::SrvWeights => "srv-weights",
            Self::SrvBesideOthers => "srv-beside-others",
            Self::SrvAddress => "srv-address",
            Self::SrvTarget => "srv-target",
            Self::SeveralPointers => "several-pointers",
            Self::AliasOfItself => "alias-of-itself",
            Self::Pointer => "pointer",
            Self::Alias => "alias",
            Self::BareAlias => "bare-alias",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the name's record sets together are over the 1 MiB that fit one value in etcd",
            Self::RootZone => "the root zone is not written: every unknown name would become etcd's business",
            Self::LargeZone => "a zone of over 50,000 record sets is written only if the settings name it",
            Self::Label => "CoreDNS cannot be asked for a name with a label `*`, `any` or with a slash in it",
            Self::ReservedName => "CoreDNS gives the names dns, apex.dns and ns.dns of a zone a meaning of their own",
            Self::Delegation => {
                "CoreDNS knows no delegations; nothing at or below a zone cut or below a DNAME is shown"
            }
            Self::Type => "CoreDNS serves no records of this type from etcd",
            Self::Soa => "CoreDNS makes up a SOA of its own",
            Self::NameServers => {
                "CoreDNS names a zone's servers ns.dns below it and shows only those with addresses in it"
            }
            Self::ZeroTtl => "CoreDNS takes a TTL of 0 for 300",
            Self::TextBoundaries => "CoreDNS cuts texts every 255 octets and knows no empty text",
            Self::NullMx => "CoreDNS cannot show the null MX",
            Self::ZeroPreference => "CoreDNS takes preference 0 for 10",
            Self::ForeignExchange => {
                "the exchange lies outside the owner, so address questions would find a CNAME to it"
            }
            Self::ExchangeBesideText => {
                "the exchange lies outside the zone, so text questions would find a CNAME to it"
            }
            Self::SrvZero => "CoreDNS takes priority 0 for 10 and weight 0 for 100",
            Self::SrvWeights => "CoreDNS rescales weights to percentages, which would change these",
            Self::SrvBesideOthers => "CoreDNS makes every record beside a SRV a part of it",
            Self::SrvAddress => "CoreDNS takes a target of this form for an address or for none",
            Self::SrvTarget => "CoreDNS answers address questions at a SRV's owner with a CNAME to its target",
            Self::SeveralPointers => "CoreDNS shows one PTR a name",
            Self::AliasOfItself => "CoreDNS takes a CNAME to its own owner or below it for a loop",
            Self::Pointer => "CoreDNS answers text questions for the name above a PTR with the text PTR",
            Self::Alias => "CoreDNS shows a CNAME only where it leads to records of the type asked for, A, AAAA or TXT",
            Self::BareAlias => {
                "CoreDNS shows this CNAME only where it leads to records of the type asked for, A, AAAA or TXT, not to who \
                 asks for the CNAME itself"
            }
        })
    }
}

/// One value as the plugin reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub(super) struct Service {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) mail: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<u32>,
    pub(super) group: String,
}

impl Service {
    /// A host that is no SRV target: port -1 keeps it out of SRV answers.
    fn host(host: String) -> Self {
        Self { host: Some(host), port: Some(-1), ..Self::default() }
    }
}

/// What becomes of one record set. Groups and places are the caller's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    Shown(Vec<Service>),
    Partly(Vec<Service>, Reason),
    Hidden(Reason),
}

impl Judgement {
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Shown(_) => None,
            Self::Partly(_, reason) | Self::Hidden(reason) => Some(*reason),
        }
    }

    pub(super) fn services(self) -> Vec<Service> {
        match self {
            Self::Shown(services) | Self::Partly(services, _) => services,
            Self::Hidden(_) => Vec::new(),
        }
    }
}

/// Why nothing at `owner` is shown, whatever it is.
pub(super) fn place(content: &dyn Content, zone: &Name, owner: &Name) -> Option<Reason> {
    if owner.labels().any(|label| label == b"*" || label == b"any" || label.contains(&b'/')) {
        return Some(Reason::Label);
    }
    if is_reserved(zone, owner) {
        return Some(Reason::ReservedName);
    }
    is_occluded(content, zone, owner).then_some(Reason::Delegation)
}

/// Whether `owner` is at or below `apex.dns` or `ns.dns` of `zone`.
fn is_reserved(zone: &Name, owner: &Name) -> bool {
    let Some(below) = owner.label_count().checked_sub(zone.label_count()) else { return false };
    let mut last = owner.labels().take(below).skip(below.saturating_sub(2));
    below >= 2 && matches!(last.next(), Some(b"apex" | b"ns")) && last.next() == Some(b"dns")
}

/// What becomes of the set `key` at `owner`, which holds `beside` (the set itself among them).
pub(super) fn judge(
    zone: &Name,
    owner: &Name,
    key: SetKey,
    set: &RecordSet,
    beside: &[(SetKey, RecordSet)],
) -> Judgement {
    let shown = match key.rtype {
        RecordType::SOA => Err(Reason::Soa),
        RecordType::NS if owner == zone => Ok(Judgement::Partly(Vec::new(), Reason::NameServers)),
        RecordType::A | RecordType::AAAA => addresses(set).map(Judgement::Shown),
        RecordType::TXT => set.rdata().iter().map(text).collect::<Result<_, _>>().map(Judgement::Shown),
        RecordType::MX => exchanges(zone, owner, set, beside).map(Judgement::Shown),
        RecordType::SRV => servers(zone, owner, set, beside),
        // They would stand at the owner's own key, which there is the apex's.
        RecordType::CNAME | RecordType::PTR if is_dns_node(zone, owner) => Err(Reason::ReservedName),
        RecordType::CNAME => alias(zone, owner, set),
        RecordType::PTR => pointer(set).map(|services| Judgement::Partly(services, Reason::Pointer)),
        _ => Err(Reason::Type),
    };
    let ttl = set.ttl().as_secs();
    let with_ttl = |services: Vec<Service>| {
        services.into_iter().map(|service| Service { ttl: Some(ttl), ..service }).collect::<Vec<_>>()
    };
    match shown {
        Err(reason) => Judgement::Hidden(reason),
        Ok(_) if ttl == 0 => Judgement::Hidden(Reason::ZeroTtl),
        Ok(Judgement::Shown(services)) => Judgement::Shown(with_ttl(services)),
        Ok(Judgement::Partly(services, reason)) => Judgement::Partly(with_ttl(services), reason),
        Ok(Judgement::Hidden(reason)) => Judgement::Hidden(reason),
    }
}

/// The address in text, for rdata of A and AAAA.
pub(super) fn address(rdata: &Rdata) -> Option<String> {
    let wire = rdata.as_wire();
    if let Ok(octets) = <[u8; 4]>::try_from(wire) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    // The plugin tells the families by the text, and would take `::ffff:192.0.2.1` for an IPv4 address.
    let octets = <[u8; 16]>::try_from(wire).ok()?;
    let address = Ipv6Addr::from(octets);
    address.to_ipv4_mapped().is_none().then(|| address.to_string())
}

fn addresses(set: &RecordSet) -> Result<Vec<Service>, Reason> {
    set.rdata().iter().map(|rdata| address(rdata).map(Service::host).ok_or(Reason::Type)).collect()
}

/// The texts of one TXT, joined as the plugin reads them: presentation form, cut every 255 octets of it.
fn text(rdata: &Rdata) -> Result<Service, Reason> {
    let mut pieces = Vec::new();
    let mut rest = rdata.as_wire();
    while let Some((&len, after)) = rest.split_first() {
        let (piece, after) = after.split_at_checked(len as usize).ok_or(Reason::TextBoundaries)?;
        pieces.push(escaped(piece));
        rest = after;
    }
    let joined = pieces.concat();
    let cuts = joined.as_bytes().chunks(255);
    let same = cuts.len() == pieces.len() && cuts.zip(&pieces).all(|(cut, piece)| cut == piece.as_bytes());
    // A last piece of exactly 255 octets gets an empty one behind it.
    if !same || joined.is_empty() || joined.len() % 255 == 0 {
        return Err(Reason::TextBoundaries);
    }
    Ok(Service { text: Some(joined), ..Service::default() })
}

fn escaped(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for &octet in octets {
        match octet {
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(octet as char),
            _ => text.push_str(&format!("\\{octet:03}")),
        }
    }
    text
}

fn exchanges(
    zone: &Name,
    owner: &Name,
    set: &RecordSet,
    beside: &[(SetKey, RecordSet)],
) -> Result<Vec<Service>, Reason> {
    let mut services = Vec::new();
    for rdata in set.rdata() {
        let (preference, target) = number(rdata.as_wire()).ok_or(Reason::Type)?;
        let target = Name::from_wire(target).map_err(|_| Reason::Type)?;
        if target.is_root() {
            return Err(Reason::NullMx);
        }
        if preference == 0 {
            return Err(Reason::ZeroPreference);
        }
        if !target.is_at_or_below(owner) {
            if owner != zone {
                return Err(Reason::ForeignExchange);
            }
            if beside.iter().any(|(key, _)| key.rtype == RecordType::TXT) {
                return Err(Reason::ExchangeBesideText);
            }
        }
        services.push(Service { mail: true, priority: Some(preference), ..Service::host(host_text(&target)) });
    }
    Ok(services)
}

fn servers(zone: &Name, owner: &Name, set: &RecordSet, beside: &[(SetKey, RecordSet)]) -> Result<Judgement, Reason> {
    // Without a blocker of its own, only SRVs may stand here; at the apex the whole zone would join in.
    if beside.len() > 1 || owner == zone || is_dns_node(zone, owner) {
        return Err(Reason::SrvBesideOthers);
    }
    let mut services = Vec::new();
    let mut sums = std::collections::BTreeMap::<u16, u32>::new();
    for rdata in set.rdata() {
        let (priority, rest) = number(rdata.as_wire()).ok_or(Reason::Type)?;
        let (weight, rest) = number(rest).ok_or(Reason::Type)?;
        let (port, target) = number(rest).ok_or(Reason::Type)?;
        let target = Name::from_wire(target).map_err(|_| Reason::Type)?;
        if priority == 0 || weight == 0 {
            return Err(Reason::SrvZero);
        }
        if target.is_root() {
            return Err(Reason::SrvAddress);
        }
        *sums.entry(priority).or_default() += u32::from(weight);
        services.push(Service {
            port: Some(port.into()),
            priority: Some(priority),
            weight: Some(weight),
            ..Service::host(host_text(&target))
        });
    }
    for service in &services {
        let (priority, weight) = (service.priority.unwrap_or_default(), service.weight.unwrap_or_default());
        // The plugin's own arithmetic.
        let scaled = (100.0 / f64::from(sums[&priority]) * f64::from(weight)).floor();
        if scaled != f64::from(weight) {
            return Err(Reason::SrvWeights);
        }
    }
    Ok(Judgement::Partly(services, Reason::SrvTarget))
}

fn alias(zone: &Name, owner: &Name, set: &RecordSet) -> Result<Judgement, Reason> {
    let [rdata] = set.rdata() else { return Err(Reason::Type) };
    let target = Name::from_wire(rdata.as_wire()).map_err(|_| Reason::Type)?;
    if target.is_at_or_below(owner) || target.is_root() {
        return Err(Reason::AliasOfItself);
    }
    if is_dns_node(zone, owner) {
        return Err(Reason::ReservedName);
    }
    let reason = if stands_itself(zone, owner, &target) { Reason::Alias } else { Reason::BareAlias };
    Ok(Judgement::Partly(vec![Service::host(host_text(&target))], reason))
}

/// Whether a CNAME can stand at its owner's own key, too, where the question for the CNAME itself finds it. There it is
/// read with the apex's subtree, whose text questions would follow it out of the zone.
pub(super) fn stands_itself(zone: &Name, owner: &Name, target: &Name) -> bool {
    owner.parent_wire() == Some(zone.as_wire()) && target.is_at_or_below(zone)
}

fn pointer(set: &RecordSet) -> Result<Vec<Service>, Reason> {
    let [rdata] = set.rdata() else { return Err(Reason::SeveralPointers) };
    let target = Name::from_wire(rdata.as_wire()).map_err(|_| Reason::Type)?;
    Ok(vec![Service::host(host_text(&target))])
}

/// `dns.{zone}`, whose own two keys belong to the apex.
pub(super) fn is_dns_node(zone: &Name, owner: &Name) -> bool {
    owner.parent_wire() == Some(zone.as_wire()) && owner.labels().next() == Some(b"dns")
}

/// A target as the plugin parses it, with its last dot, so that it is never taken for an address.
fn host_text(name: &Name) -> String {
    super::coredns::presentation(name)
}

fn number(wire: &[u8]) -> Option<(u16, &[u8])> {
    wire.split_first_chunk().map(|(octets, rest)| (u16::from_be_bytes(*octets), rest))
}
