//! Random questions to zones: names that are there, that nearly are, above, below and beside them.

use conn3ction_schemas::{Name, RecordType};

use super::{
    ask::Question,
    zones::{RandomZone, labels},
};
use crate::random::Random;

/// The types that are asked for.
pub(crate) const TYPES: &[RecordType] = &[
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
    RecordType::MX,
    RecordType::NS,
    RecordType::SOA,
    RecordType::CNAME,
    RecordType::DS,
    RecordType::DNAME,
    RecordType::SRV,
    RecordType::PTR,
    RecordType::CAA,
    RecordType::ANY,
    RecordType(65280),
    RecordType(65281),
    RecordType::RRSIG,
    RecordType::NSEC,
];

/// `count` questions for some of `types` in each zone.
pub(crate) fn questions(
    random: &mut Random,
    zones: &[RandomZone],
    types: &[RecordType],
    count: usize,
) -> Vec<Question> {
    zones.iter().flat_map(|zone| (0..count).map(|_| question(random, zone, types)).collect::<Vec<_>>()).collect()
}

fn question(random: &mut Random, zone: &RandomZone, types: &[RecordType]) -> Question {
    let owner = &zone.zone.sets[random.below(zone.zone.sets.len())].owner;
    let text = match random.below(100) {
        0..45 => owner.to_string(),
        45..65 => format!("{}.{owner}", labels(random, 2)),
        65..75 => owner.parent().unwrap_or_else(Name::root).to_string(),
        75..90 => format!("{}.{}", labels(random, 3), zone.apex),
        90..97 => zone.apex.to_string(),
        _ => format!("{}.", labels(random, 2)),
    };
    let name: Name = text.parse().unwrap_or_else(|_| owner.clone());
    let mut name = name.as_wire().to_vec();
    if random.chance(30) {
        // Octets that give a label's length are lower than letters.
        for octet in name.iter_mut().filter(|octet| octet.is_ascii_lowercase()) {
            if random.chance(50) {
                octet.make_ascii_uppercase();
            }
        }
    }
    let edns = match random.below(10) {
        0 => None,
        1 => Some((512, random.chance(50))),
        _ => Some((1232, random.chance(20))),
    };
    let flags = [0, 0x0100, 0x0110, 0x0010][random.below(4)];
    Question { name, rtype: types[random.below(types.len())], flags, edns, moment: None }
}
