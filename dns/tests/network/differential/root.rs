//! The real root zone as it was in early 2018: answers beside those of Knot and NSD, and validated as of then.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use conn3ction_dns::server::Config;
use conn3ction_schemas::{
    Name, RecordType,
    zonefile::{Reader, Zone},
};

use super::{Beside, ask::Question, zones::RandomZone};
use crate::{random::Random, responder::Responder};

const SIGNED: &str = "2018-01-29-signed.zone.gz";
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/tools/install brings it"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

pub(super) fn root_zone(day: &str) -> RandomZone {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/root-zone").join(day);
    let text = run(Command::new("zcat").arg(file)).stdout;
    let zone = Zone::assemble(&Name::root(), Reader::new(&text[..], Name::root()));
    RandomZone { apex: Name::root(), zone: zone.expect("a zone") }
}

/// What resolvers ask the root: top-level domains and names below them, mistyped ones, the root itself.
pub(super) fn questions(random: &mut Random, zone: &RandomZone, count: usize) -> Vec<Question> {
    let types = [
        RecordType::A,
        RecordType::AAAA,
        RecordType::NS,
        RecordType::DS,
        RecordType::SOA,
        RecordType::TXT,
        RecordType::DNSKEY,
        RecordType::NSEC,
        RecordType::MX,
    ];
    let question = |random: &mut Random| {
        let owner = &zone.zone.sets[random.below(zone.zone.sets.len())].owner;
        let name = match random.below(10) {
            0..4 => owner.suffix(1),
            4..7 => owner.suffix(1).child(b"www").expect("a name"),
            7 => owner.clone(),
            8 => format!("x{}.", random.below(1000)).parse().expect("a name"),
            _ => Name::root(),
        };
        let edns = [None, Some((512, true)), Some((1232, false)), Some((1232, true)), Some((4096, true))];
        let edns = edns[random.below(edns.len())];
        Question {
            name: name.as_wire().to_vec(),
            rtype: types[random.below(types.len())],
            flags: 0,
            edns,
            moment: None,
        }
    };
    (0..count).map(|_| question(random)).collect()
}

#[test]
fn the_root_zone_of_several_days_answers_as_with_knot_and_nsd() {
    let mut random = Random::seeded("questions to the root", 1);
    for day in [SIGNED, "2018-02-04.zone.gz", "2018-03-12.zone.gz"] {
        let zones = [root_zone(day)];
        let questions = questions(&mut random, &zones[0], 700);
        println!("{day}");
        Beside::start(&zones).compare(&questions, false);
    }
}

#[test] // RFC 4035 section 5
fn the_signed_root_zone_validates_against_its_own_keys() {
    let root = root_zone(SIGNED);
    let mut ours = Responder::start(Config::default());
    ours.load([(&root.apex, &root.zone)]);
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("keys");
    let keys = root.zone.sets.iter().filter(|set| set.key.rtype == RecordType::DNSKEY);
    let keys = keys.flat_map(|set| set.set.rdata()).map(|rdata| rdata.to_text(RecordType::DNSKEY));
    fs::write(&file, keys.map(|key| format!(". 172800 IN DNSKEY {key}\n")).collect::<String>()).expect("written");

    let mut random = Random::seeded("names to validate", 1);
    let has_ds = |name: &Name| root.zone.sets.iter().any(|set| set.owner == *name && set.key.rtype == RecordType::DS);
    let mut asked = vec![
        (".".to_owned(), "SOA", true),
        (".".to_owned(), "NS", true),
        (".".to_owned(), "DNSKEY", true),
        (".".to_owned(), "TXT", false),
        ("nonexistent.".to_owned(), "A", false),
        ("a.b.nonexistent.".to_owned(), "AAAA", false),
    ];
    for _ in 0..40 {
        let domain = root.zone.sets[1 + random.below(root.zone.sets.len() - 1)].owner.suffix(1);
        if !domain.is_root() {
            asked.push((domain.to_string(), "DS", has_ds(&domain)));
        }
    }
    for (name, rtype, is_there) in asked {
        // The trusted keys are the zone's own, as of a day before its signatures ran out.
        let mut drill = Command::new("drill");
        drill.env("LD_PRELOAD", FAKETIME).env("FAKETIME", "2018-01-30 00:00:00");
        drill.arg("-D").args(is_there.then_some("-S")).arg("-k");
        drill.arg(&file).args(["-p", &ours.address.port().to_string(), &name, rtype, "@127.0.0.1"]);
        let text = String::from_utf8_lossy(&run(&mut drill).stdout).into_owned();
        let told = if is_there { "Chase successful" } else { "Existence denied for" };
        assert!(text.contains(told), "{name} {rtype}: {text}");
    }
}
