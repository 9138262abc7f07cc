//! Answers about the past beside those of Knot and NSD, which serve the zones as they were then.

use std::net::SocketAddr;

use conn3ction_dns::{Store, server::Config};
use conn3ction_schemas::Name;

use super::{
    ask::{Question, ask_all, ask_all_over_tcp},
    compare::Found,
    history::{History, sets, time},
    past::{access, by_name, check_moved, is_dnssec},
    peers::{Kind, Peer},
    questions, root, zones,
};
use crate::{random::Random, responder::Responder};

#[test] // guarantee 16
fn what_was_is_answered_as_knot_and_nsd_answer_from_the_zones_of_then() {
    let mut random = Random::seeded("histories beside Knot and NSD", 1);
    let apexes = zones::apexes(&mut random, 40, 20);
    let drafts: Vec<_> = (0..4).map(|_| zones::zones_at(&mut random, &apexes)).collect();
    let history = History::random(&mut random, &drafts, 200, false);
    let ours = serve(&history);
    let zones: Vec<_> = drafts.into_iter().flatten().collect();
    let mut found = Found::default();
    for version in [60, 61 + random.below(100) as u64, history.last()] {
        let mut questions = questions::questions(&mut random, &zones, questions::TYPES, 12);
        for (at, question) in questions.iter_mut().enumerate() {
            question.moment = Some(match at % 2 {
                0 => format!("r{version}"),
                _ => time(version).to_seconds_text(),
            });
            question.edns.get_or_insert((1232, false));
            // With RD every TTL is 0.
            question.flags &= 0x0010;
        }
        compare(&mut found, &ours, &history, version, &questions);
    }
    found.end();
}

#[test]
fn each_of_eleven_days_of_the_root_zone_is_answered_as_knot_and_nsd_answer_from_that_days_file() {
    let mut random = Random::seeded("questions to the root of a day", 1);
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/root-zone")).expect("the zones");
    let mut days: Vec<_> = files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect();
    days.retain(|day| day.ends_with(".zone.gz"));
    days.sort();
    assert_eq!(days.len(), 11);
    let mut history = History::default();
    let mut zones = Vec::new();
    for day in &days {
        let zone = root::root_zone(day);
        history.becomes(&Name::root(), &sets(&zone.zone));
        history.end_event();
        zones.push(zone);
    }
    let ours = serve(&history);
    let mut found = Found::default();
    for (version, zone) in (1..).zip(&zones) {
        let mut questions = root::questions(&mut random, zone, 1_000);
        for (at, question) in questions.iter_mut().enumerate() {
            question.moment = Some(match at % 2 {
                0 => format!("r{version}"),
                _ => time(version).to_seconds_text(),
            });
            question.edns.get_or_insert((1232, false));
        }
        compare(&mut found, &ours, &history, version, &questions);
    }
    found.end();
}

fn serve(history: &History) -> Responder {
    let (store, mut writer) = Store::new();
    history.write(&mut writer, 1..=history.last());
    let config = Config { history: Some(access(&store)), ..Config::default() };
    Responder::start_on((store, writer), config)
}

/// Asks `questions`, each with a moment that shows `version`, in three ways: us by the option, us by the name, and
/// servers that know the zones of that version alone.
fn compare(found: &mut Found, ours: &Responder, history: &History, version: u64, questions: &[Question]) {
    let files = history.files(version);
    let peers = [Kind::Knot, Kind::Nsd].map(|kind| Peer::start(kind, &files));
    let apexes = history.apexes(version);
    let servers: [SocketAddr; 3] = [ours.address, peers[0].address, peers[1].address];
    let replies = servers.map(|server| ask_all(server, questions));
    for (at, question) in questions.iter().enumerate() {
        found.compare(question, replies.each_ref().map(|replies| replies[at].clone()), &apexes, servers);
    }
    // What comes by the name is what comes by the option without DNSSEC, moved. Names in none of our zones of then have
    // answers of their own there.
    let in_ours = |question: &&Question| {
        let name = Name::from_wire(&question.name.to_ascii_lowercase()).expect("a name");
        apexes.iter().any(|apex| name.is_at_or_below(apex)) && !is_dnssec(question.rtype)
    };
    let moment = |question: &Question| question.moment.clone().expect("a moment");
    let (whole, named): (Vec<_>, Vec<_>) = (questions.iter().filter(in_ours))
        .filter_map(|question| {
            let whole = Question { edns: Some((1232, false)), ..question.clone() };
            let named = by_name(&whole, &moment(question))?;
            Some((whole, named))
        })
        .unzip();
    let whole_replies = ask_all_over_tcp(ours.address, &whole);
    let named_replies = ask_all_over_tcp(ours.address, &named);
    for ((question, live), reply) in whole.iter().zip(&whole_replies).zip(&named_replies) {
        check_moved(&question.name, reply, live, &moment(question), &apexes);
    }
    println!("r{version}: {} questions by option, {} by name", questions.len(), named.len());
}
