//! A zone that is yet to be made, as the master file that makes it: so the server can plan the zone and what it holds
//! together.

use conn3ction_schemas::{RecordType, json};

use crate::decide::command::{Change, Values, Which};

/// A master file, and where its lines come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneFile {
    /// The text.
    pub text: String,
    /// The key of each line; empty where it comes from none.
    pub keys: Vec<String>,
}

/// The file of a zone with `changes`. `made` is what the server gives a zone by itself, SOA and NS: they hold where
/// `changes` have none at the apex, and the TTL of that SOA is the one of sets without.
pub fn zone_file(made: &[json::ChangeJson], changes: &[Change]) -> ZoneFile {
    let soa = RecordType::SOA.to_string();
    let of_soa = made.iter().find(|change| change.rtype == soa).and_then(|change| change.after.as_ref());
    let default_ttl = of_soa.map_or(0, |set| set.ttl);
    let at_apex = changes.iter().filter(|change| change.zone.as_ref() == Some(&change.owner));
    let told: Vec<String> = at_apex.filter_map(typed).map(|rtype| rtype.to_string()).collect();
    let mut file = ZoneFile::default();
    for change in made.iter().filter(|change| !told.contains(&change.rtype)) {
        for (set, value) in change.after.iter().flat_map(|set| set.values.iter().map(move |value| (set, value))) {
            file.line("", &format!("{}.", change.name), set.ttl, &change.rtype, value);
        }
    }
    for change in changes {
        let (Some(rtype), Values::Parsed(values)) = (typed(change), &change.values) else { continue };
        let ttl = change.ttl.map_or(default_ttl, |ttl| ttl.as_secs());
        let (owner, name) = (change.owner.to_string(), rtype.to_string());
        values.iter().for_each(|value| file.line(&change.pointer, &owner, ttl, &name, &value.to_text(rtype)));
    }
    file
}

fn typed(change: &Change) -> Option<RecordType> {
    match change.which {
        Which::Type(rtype, _) => Some(rtype),
        Which::Every | Which::Only => None,
    }
}

impl ZoneFile {
    fn line(&mut self, key: &str, owner: &str, ttl: u32, rtype: &str, value: &str) {
        self.text.push_str(&format!("{owner} {ttl} IN {rtype} {value}\n"));
        self.keys.push(key.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, plan};
    use super::*;

    #[test]
    fn the_file_has_what_the_server_gives_a_zone_where_the_keys_have_none() {
        let made = |rtype: &str, value: &str| json::ChangeJson {
            zone: "new.test".into(),
            name: "new.test".into(),
            rtype: rtype.into(),
            covers: None,
            before: None,
            after: Some(json::SetJson { ttl: 60, values: vec![value.into()] }),
        };
        let made = [made("SOA", "localhost. hostmaster.new.test. 1 60 30 1209600 60"), made("NS", "localhost.")];
        let entries = [
            ("/old/new.test", r#"{"type":"NS","values":["ns.new.test."],"ttl":300}"#),
            ("/old/ns.new.test", r#"{"type":"A","values":["192.0.2.1","192.0.2.2"]}"#),
        ];
        let entries = entries.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
        let migration = plan(Format::Records, "/old", entries, |_| None);
        let file = zone_file(&made, migration.zones.values().next().expect("a zone"));
        assert_eq!(
            file.text,
            "new.test. 60 IN SOA localhost. hostmaster.new.test. 1 60 30 1209600 60\n\
             new.test. 300 IN NS ns.new.test.\n\
             ns.new.test. 60 IN A 192.0.2.1\n\
             ns.new.test. 60 IN A 192.0.2.2\n"
        );
        assert_eq!(file.keys, ["", "/old/new.test", "/old/ns.new.test", "/old/ns.new.test"]);
    }
}
