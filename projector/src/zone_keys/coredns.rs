//! The layout that CoreDNS's etcd plugin reads: a path of reversed labels, JSON values, groups and blockers.
//!
//! - A question reads the whole subtree of its name. Every entry carries its owner's *group*, and a *blocker* (`V0`, a
//!   host that points at its own owner) names the winning group at each name, so nothing of a descendant leaks.
//! - `{}` at a name's own key turns NXDOMAIN to a CNAME or PTR question into NODATA.
//! - Values stand in `V1`, `V2` …: the plugin lower-cases questions, so no name can reach a key in upper case.
//! - The apex's addresses stand at `apex.dns`, its name servers at `ns.dns` below the zone, where the plugin looks.

use std::collections::BTreeMap;

use conn3ction_schemas::{Name, RecordType, SetKey};

use super::limits::{self, Judgement, Reason, Service, address, is_dns_node, judge};
use crate::{Content, content::is_occluded, prefix::Prefix};

/// Adds the keys of `name` in `zone`, its longest zone.
pub(super) fn keys(
    prefix: &Prefix,
    content: &dyn Content,
    zone: &Name,
    name: &Name,
    keys: &mut BTreeMap<String, String>,
) {
    if name != zone && !content.exists(zone, name) {
        return;
    }
    let mut node = Node { at: path(prefix, name), group: name.without_dot(), next: 1, keys };
    match limits::place(content, zone, name) {
        None => {}
        Some(Reason::Delegation) => {
            let below = name.parent().is_none_or(|parent| is_occluded(content, zone, &parent));
            if !below && !is_dns_node(zone, name) {
                node.exists();
                node.blocker(name);
            }
            return;
        }
        Some(_) => return,
    }
    let sets = content.sets(zone, name);
    let judged: Vec<(RecordType, Judgement)> =
        sets.iter().map(|(key, set)| (key.rtype, judge(zone, name, *key, set, &sets))).collect();
    let has = |rtype| judged.iter().any(|(at, judgement)| *at == rtype && !matches!(judgement, Judgement::Hidden(_)));
    if !is_dns_node(zone, name) {
        node.exists();
        if !has(RecordType::SRV) {
            node.blocker(name);
        }
    }
    let mut addresses = Vec::new();
    for (rtype, judgement) in judged {
        let stands_itself = judgement.reason() == Some(Reason::Alias);
        for service in judgement.services() {
            match rtype {
                RecordType::A | RecordType::AAAA if name == zone => addresses.push(service),
                RecordType::CNAME => {
                    if stands_itself {
                        node.itself(Service { group: zone.without_dot(), ..service.clone() });
                    }
                    node.value(service);
                }
                // A name's own key is read with its parent's subtree, so it carries the parent's group; the text keeps
                // it out of the parent's answers to everything but TXT.
                RecordType::PTR => node.itself(Service {
                    group: name.parent().map(|parent| parent.without_dot()).unwrap_or_default(),
                    text: Some("PTR".into()),
                    ..service
                }),
                _ => node.value(service),
            }
        }
    }
    if name == zone {
        apex(prefix, content, zone, addresses, keys);
    }
}

/// What stands beside the apex: `dns`, `apex.dns` with its addresses, `ns.dns` with its name servers.
fn apex(
    prefix: &Prefix,
    content: &dyn Content,
    zone: &Name,
    addresses: Vec<Service>,
    keys: &mut BTreeMap<String, String>,
) {
    // A zone name of almost 255 octets has no room for them.
    let Ok(dns) = zone.child(b"dns") else { return };
    // Or it is a zone of its own, with its own keys there.
    if content.zone_of(&dns).as_ref() != Some(zone) {
        return;
    }
    let mut node = Node { at: path(prefix, &dns), group: dns.without_dot(), next: 1, keys };
    node.exists();
    node.blocker(&dns);
    if let Ok(name) = dns.child(b"apex") {
        let mut node = Node { at: path(prefix, &name), group: name.without_dot(), next: 1, keys };
        node.blocker(&name);
        addresses.into_iter().for_each(|service| node.value(service));
    }
    if let Ok(name) = dns.child(b"ns") {
        name_servers(path(prefix, &name), &name.without_dot(), content, zone, keys);
    }
}

fn name_servers(at: String, group: &str, content: &dyn Content, zone: &Name, keys: &mut BTreeMap<String, String>) {
    let Some(servers) = content.set(zone, zone, SetKey::of(RecordType::NS)) else { return };
    if servers.ttl().as_secs() == 0 {
        return;
    }
    for server in servers.rdata().iter().filter_map(|rdata| Name::from_wire(rdata.as_wire()).ok()) {
        let ours = content.zone_of(&server).as_ref() == Some(zone);
        let Some(label) = server.labels().next().filter(|_| ours && limits::place(content, zone, &server).is_none())
        else {
            continue;
        };
        let label = segment(label);
        let hosts = [RecordType::A, RecordType::AAAA].into_iter().filter_map(|rtype| {
            let set = content.set(zone, &server, SetKey::of(rtype))?;
            Some(set.rdata().iter().filter_map(address).collect::<Vec<_>>())
        });
        for host in hosts.flatten() {
            let key = (1..)
                .map(|n| if n == 1 { format!("{at}/{label}") } else { format!("{at}/{label}-{n}") })
                .find(|key| !keys.contains_key(key));
            let service = Service {
                host: Some(host),
                port: Some(-1),
                ttl: Some(servers.ttl().as_secs()),
                group: group.into(),
                ..Service::default()
            };
            if let Some(key) = key {
                keys.insert(key, json(&service));
            }
        }
    }
}

/// The keys of one name.
struct Node<'a> {
    at: String,
    group: String,
    next: u32,
    keys: &'a mut BTreeMap<String, String>,
}

impl Node<'_> {
    fn exists(&mut self) {
        self.keys.entry(self.at.clone()).or_insert_with(|| "{}".into());
    }

    fn itself(&mut self, service: Service) {
        self.keys.insert(self.at.clone(), json(&service));
    }

    fn blocker(&mut self, name: &Name) {
        let service =
            Service { host: Some(presentation(name)), port: Some(-1), group: self.group.clone(), ..Service::default() };
        self.keys.insert(format!("{}/V0", self.at), json(&service));
    }

    fn value(&mut self, service: Service) {
        let service = Service { group: self.group.clone(), ..service };
        self.keys.insert(format!("{}/V{}", self.at, self.next), json(&service));
        self.next += 1;
    }
}

fn json(service: &Service) -> String {
    serde_json::to_string(service).unwrap_or_else(|_| unreachable!("a service is plain text and numbers"))
}

/// The key of `name`: its labels from the root down.
fn path(prefix: &Prefix, name: &Name) -> String {
    let labels: Vec<String> = name.labels().map(segment).collect();
    labels.iter().rev().fold(prefix.as_str().to_owned(), |path, label| path + "/" + label)
}

/// The name as the plugin's DNS library prints it, with the last dot.
pub(super) fn presentation(name: &Name) -> String {
    if name.is_root() {
        return ".".into();
    }
    name.labels().fold(String::new(), |text, label| text + &segment(label) + ".")
}

/// A label as the plugin's DNS library prints it.
fn segment(label: &[u8]) -> String {
    let mut text = String::with_capacity(label.len());
    for &octet in label {
        match octet {
            b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
                text.push('\\');
                text.push(octet as char);
            }
            0x21..=0x7e => text.push(octet as char),
            _ => text.push_str(&format!("\\{octet:03}")),
        }
    }
    text
}
