//! Random zones signed by ldns and BIND, with NSEC and NSEC3.

use std::{fs, process::Command};

use conn3ction_schemas::zonefile::{Reader, Zone, write_zone};

use super::zones::RandomZone;
use crate::random::Random;

/// A key for tests alone (Ed25519). Its tag does not depend on the zone.
const PRIVATE: &str =
    "Private-key-format: v1.2\nAlgorithm: 15 (ED25519)\nPrivateKey: 7sRtNBvtg8yP3TcCGHXVp4Tunyy8f4MXMDIosytQEa8=\n";
pub(crate) const PUBLIC: &str = "257 3 15 2A3Wkz/rfBBj+vZP5cxs7fcTnhcY2sI3l0AvyuaM8m8=";

/// Ways to sign: the program and its options.
const WAYS: &[(&str, &[&str])] = &[
    ("ldns-signzone", &[]),
    ("ldns-signzone", &["-n", "-s", "abcd", "-t", "3"]),
    ("ldns-signzone", &["-n", "-p"]),
    ("dnssec-signzone", &["-P", "-z", "-O", "full"]),
    ("dnssec-signzone", &["-P", "-z", "-O", "full", "-3", "-"]),
    ("dnssec-signzone", &["-P", "-z", "-O", "full", "-3", "00ff", "-H", "7"]),
    ("dnssec-signzone", &["-P", "-z", "-O", "full", "-3", "abcd", "-A"]),
];

/// Signs each of `zones` in one of the ways.
pub(crate) fn sign_all(random: &mut Random, zones: &[RandomZone]) -> Vec<RandomZone> {
    let ways: Vec<_> = zones.iter().map(|_| random.below(WAYS.len())).collect();
    // The signers wait more than they work.
    std::thread::scope(|scope| {
        let parts: Vec<_> = zones.chunks(10).zip(ways.chunks(10)).collect();
        let sign_part = |(zones, ways): (&[RandomZone], &[usize])| {
            zones.iter().zip(ways).map(|(zone, way)| sign(zone, *way)).collect::<Vec<_>>()
        };
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || sign_part(part))).collect();
        running.into_iter().flat_map(|part| part.join().expect("no panic")).collect()
    })
}

fn sign(zone: &RandomZone, way: usize) -> RandomZone {
    let (mut program, mut options) = WAYS[way];
    let mut text = Vec::new();
    let sets = zone.zone.sets.iter().map(|set| (&set.owner, set.key, &set.set));
    write_zone(&mut text, &zone.apex, sets).expect("memory takes it");
    let unsigned = String::from_utf8(text).expect("master files are ASCII");
    // ldns prints a quotation mark in a name as it is, which no reader takes.
    if unsigned.contains("\\034q") {
        (program, options) = WAYS[3];
    }
    let text = run(program, options, &zone.apex.to_string(), &unsigned);
    let signed = Zone::assemble(&zone.apex, Reader::new(text.as_bytes(), zone.apex.clone()));
    let signed = signed.unwrap_or_else(|faults| panic!("{program} {options:?}: {faults:#?}\n{text}"));
    RandomZone { apex: zone.apex.clone(), zone: signed }
}

fn run(program: &str, options: &[&str], apex: &str, unsigned: &str) -> String {
    let home = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(home.path().join(name), text).expect("written");
    let key = format!("{apex} 300 IN DNSKEY {PUBLIC}\n");
    write("key.private", PRIVATE);
    write("key.key", &key);
    write("zone", &format!("{unsigned}{key}"));
    let mut command = Command::new(program);
    command.args(options).args(["-o", apex, "-f", "signed", "zone", "key"]).current_dir(home.path());
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}; tests/tools/install brings it"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {options:?}: {error}\n{unsigned}");
    fs::read_to_string(home.path().join("signed")).expect("a signed zone")
}
