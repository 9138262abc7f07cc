use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use conn3ction_schemas::{Name, Rdata, RecordType, Ttl};
use serde::Deserialize;

use super::Gathering;

/// A service as CoreDNS's etcd plugin and its writers store it; what else they add is of no use here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Service {
    host: String,
    port: i64,
    priority: u16,
    weight: u16,
    text: String,
    mail: bool,
    ttl: u32,
}

/// What the plugin says where a service has none, in seconds.
const DEFAULT_TTL: u32 = 300;
/// The priority that the plugin reads for 0.
const DEFAULT_PRIORITY: u16 = 10;

/// Labels from the root down.
type Path<'a> = Vec<&'a str>;

/// Takes services: key, key without the prefix (labels from the root down), value.
///
/// For a name the plugin answers with every service at or below it, so a key's last segment may be a label of a name of its
/// own or only tell the values of the name above it apart. It is taken for the latter where it and all that stands beside
/// it look so; a mail or SRV service, which is asked for at the name above, is taken there, too. Notes say what the plugin
/// answered besides.
pub(super) fn take(gathering: &mut Gathering, services: &[(&str, &str, &[u8])]) {
    let paths: Vec<Path<'_>> =
        services.iter().map(|(_, rest, _)| rest.split('/').filter(|label| !label.is_empty()).collect()).collect();
    let (mut beside, mut above) = (BTreeMap::new(), BTreeSet::new());
    for path in &paths {
        let Some((last, parent)) = path.split_last() else { continue };
        *beside.entry(parent).or_insert(true) &= is_value_label(last);
        above.extend((1..path.len()).map(|depth| &path[..depth]));
    }
    let mut joined: BTreeMap<Path<'_>, Vec<String>> = BTreeMap::new();
    for ((key, _, value), path) in services.iter().zip(&paths) {
        let service: Service = match serde_json::from_slice(value) {
            Ok(service) => service,
            Err(error) => {
                gathering.leave(key, format!("the value is no service: {error}"));
                continue;
            }
        };
        let Some((_, parent)) = path.split_last() else {
            gathering.leave(key, "the key's segments make no name");
            continue;
        };
        let is_value = !parent.is_empty() && beside.get(parent) == Some(&true) && !above.contains(&path[..]);
        if is_value {
            joined.entry(parent.to_vec()).or_default().push(dotted(path));
            add(gathering, key, parent, &service, |_| true);
            continue;
        }
        add(gathering, key, path, &service, |_| true);
        let is_asked_above = |rtype| matches!(rtype, RecordType::MX | RecordType::SRV);
        let answers = !service.host.is_empty() || !service.text.is_empty();
        if parent.len() > 1 && answers && add(gathering, key, parent, &service, is_asked_above) {
            let note = format!("taken at {}, too, where the plugin answers with it", dotted(parent));
            gathering.notes.push(((*key).into(), note));
        }
    }
    for (parent, names) in joined {
        let names = names.join(", ");
        let note = format!("values of that name; the plugin also answered {names}, which are no names here");
        gathering.notes.push((dotted(&parent), note));
    }
}

/// A path as a name.
fn dotted(path: &[&str]) -> String {
    path.iter().rev().copied().collect::<Vec<_>>().join(".")
}

/// Adds what `service` stands for at the name of `path`, of the types that are wanted; whether there was any.
fn add(
    gathering: &mut Gathering,
    key: &str,
    path: &[&str],
    service: &Service,
    is_wanted: impl Fn(RecordType) -> bool,
) -> bool {
    let Ok(owner) = dotted(path).parse::<Name>() else {
        gathering.leave(key, "the key's segments make no name");
        return false;
    };
    if service.host.is_empty() && service.text.is_empty() {
        gathering.leave(key, "neither a host nor a text: it answers nothing");
        return false;
    }
    let ttl = Ttl::from_secs(if service.ttl == 0 { DEFAULT_TTL } else { service.ttl }).ok();
    let mut is_any = false;
    for (rtype, text) in records(&owner, service).into_iter().filter(|(rtype, _)| is_wanted(*rtype)) {
        is_any = true;
        match Rdata::parse(rtype, &text, None) {
            Ok(rdata) => gathering.add(key, owner.clone(), rtype, ttl, vec![rdata]),
            Err(error) => gathering.leave(key, format!("{rtype} {text}: {}", error.detail)),
        }
    }
    is_any
}

/// Segments that writers put behind a name: `x1`, `V1`, a number, or ExternalDNS's eight hex digits.
fn is_value_label(label: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let hex = label.len() == 8 && label.bytes().all(|octet| octet.is_ascii_hexdigit());
    hex || label.strip_prefix(['x', 'X', 'v', 'V']).is_some_and(digits)
}

/// The records that a service stands for.
fn records(owner: &Name, service: &Service) -> Vec<(RecordType, String)> {
    let mut records = Vec::new();
    if !service.text.is_empty() {
        let quoted = service.text.replace('\\', "\\\\").replace('"', "\\\"");
        records.push((RecordType::TXT, format!("\"{quoted}\"")));
    }
    let host = service.host.trim_end_matches('.');
    if host.is_empty() {
        return records;
    }
    let reverse = owner.as_wire().ends_with(b"\x04arpa\0");
    let priority = if service.priority == 0 { DEFAULT_PRIORITY } else { service.priority };
    records.push(match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (RecordType::A, address.to_string()),
        Ok(IpAddr::V6(address)) => (RecordType::AAAA, address.to_string()),
        Err(_) if reverse => (RecordType::PTR, format!("{host}.")),
        Err(_) if service.mail => (RecordType::MX, format!("{priority} {host}.")),
        Err(_) if service.port > 0 => {
            (RecordType::SRV, format!("{priority} {} {} {host}.", service.weight, service.port))
        }
        Err(_) => (RecordType::CNAME, format!("{host}.")),
    });
    records
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn lines(migration: &Migration) -> Vec<String> {
        let changes =
            migration.zones.iter().flat_map(|(zone, changes)| changes.iter().map(move |change| (zone, change)));
        changes
            .map(|(zone, change)| {
                let (Which::Type(rtype, _), Values::Parsed(values)) = (change.which, &change.values) else {
                    panic!("{change:?}")
                };
                let values: Vec<_> = values.iter().map(|value| value.to_text(rtype)).collect();
                let ttl = change.ttl.map_or("-".into(), |ttl| ttl.to_string());
                format!("{zone} {} {ttl} {rtype} {}", change.owner, values.join(" | "))
            })
            .collect()
    }

    fn planned(format: Format, prefix: &str, entries: &[(&str, &str)]) -> Migration {
        let entries = entries.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
        let ours = name("example.local.");
        plan(format, prefix, entries, |owner| owner.is_at_or_below(&ours).then(|| ours.clone()))
    }

    #[test]
    fn records_are_taken_with_and_without_the_slash_and_faults_keep_their_key() {
        let migration = planned(
            Format::Records,
            "/old/records",
            &[
                (
                    "/old/records/app.example.local",
                    r#"{"name":"app.example.local","type":"A","values":["10.1.2.3"],"ttl":60}"#,
                ),
                ("/old/recordsb.example.local", r#"[{"name":"b.example.local","type":"TXT","values":["x y"]}]"#),
                ("/old/records/c.d.shop.test", r#"{"name":"c.d.shop.test","type":"A","values":["10.1.2.4"]}"#),
                ("/old/records/bad", "not json"),
                ("/old/records/e.example.local", r#"{"name":"e.example.local","type":"A","values":["10.1"]}"#),
                ("/old/records/f.example.local", r#"{"name":"g.example.local","type":"A","values":["10.1.2.3"]}"#),
            ],
        );
        assert_eq!(
            lines(&migration),
            [
                "example.local. app.example.local. 60 A 10.1.2.3",
                "example.local. b.example.local. - TXT \"x y\"",
                "shop.test. c.d.shop.test. - A 10.1.2.4"
            ]
        );
        let left: Vec<_> = migration.left.iter().map(|item| item.place.clone()).collect();
        let keys = ["bad", "e.example.local", "f.example.local"];
        assert_eq!(left, keys.map(|key| Place::Key(format!("/old/records/{key}"))));
    }

    #[test]
    fn services_become_the_records_that_the_plugin_answers_with() {
        let migration = planned(
            Format::Skydns,
            "/skydns",
            &[
                ("/skydns/local/example/app/x1", r#"{"host":"10.1.2.3","ttl":60}"#),
                ("/skydns/local/example/app/x2", r#"{"host":"10.1.2.4","ttl":30}"#),
                ("/skydns/local/example/www", r#"{"host":"app.example.local"}"#),
                ("/skydns/local/example/_sip/1a2b3c4d", r#"{"host":"s.example.local","port":5060,"weight":5}"#),
                ("/skydns/local/example/t", r#"{"text":"v=\"1\""}"#),
                ("/skydns/arpa/in-addr/10/0/0/127", r#"{"host":"h.example.local"}"#),
                ("/skydns/local/example/no", "{}"),
            ],
        );
        assert_eq!(
            lines(&migration),
            [
                "10.in-addr.arpa. 127.0.0.10.in-addr.arpa. 300 PTR h.example.local.",
                "example.local. _sip.example.local. 300 SRV 10 5 5060 s.example.local.",
                "example.local. app.example.local. 30 A 10.1.2.3 | 10.1.2.4",
                "example.local. t.example.local. 300 TXT \"v=\\\"1\\\"\"",
                "example.local. www.example.local. 300 CNAME app.example.local.",
            ]
        );
        assert_eq!(migration.left.len(), 1);
        let notes: Vec<_> = migration.notes.iter().map(|(key, note)| format!("{key}: {note}")).collect();
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[2].starts_with("app.example.local: values of that name") && notes[2].contains("x1.app."));
    }

    #[test]
    fn what_looks_like_a_value_is_a_name_where_others_beside_it_are() {
        let migration = planned(
            Format::Skydns,
            "/skydns",
            &[
                ("/skydns/local/example/v2", r#"{"host":"10.9.0.2"}"#),
                ("/skydns/local/example/deadbeef", r#"{"host":"10.9.0.3"}"#),
                ("/skydns/local/example/www", r#"{"host":"10.9.0.4"}"#),
                ("/skydns/local/example/mx/m1", r#"{"host":"m.example.local","mail":true}"#),
                ("/skydns/local/example/srv/_tcp/_http/s1", r#"{"host":"www.example.local","port":80}"#),
            ],
        );
        assert_eq!(
            lines(&migration),
            [
                "example.local. deadbeef.example.local. 300 A 10.9.0.3",
                "example.local. mx.example.local. 300 MX 10 m.example.local.",
                "example.local. m1.mx.example.local. 300 MX 10 m.example.local.",
                "example.local. _http._tcp.srv.example.local. 300 SRV 10 0 80 www.example.local.",
                "example.local. s1._http._tcp.srv.example.local. 300 SRV 10 0 80 www.example.local.",
                "example.local. v2.example.local. 300 A 10.9.0.2",
                "example.local. www.example.local. 300 A 10.9.0.4",
            ]
        );
        assert_eq!((migration.left.len(), migration.notes.len()), (0, 2));
    }
}
