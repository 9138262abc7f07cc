//! Our answers beside those of Knot and NSD, which serve the same master files.

mod ask;
mod compare;
mod differences;
mod history;
mod past;
mod past_beside;
mod peers;
mod questions;
mod reply;
mod root;
mod signed;
mod unbound;
mod zones;

use conn3ction_dns::server::Config;
use conn3ction_schemas::{Name, RecordType};

use crate::{random::Random, responder::Responder};
use ask::{Question, ask_all, ask_all_over_tcp};
use compare::Found;
pub(crate) use past::access;
use peers::{Kind, Peer};
use unbound::Unbound;
use zones::RandomZone;

#[test] // RFC 1034 section 4.3.2, RFC 4592, RFC 6672
fn random_zones_answer_random_questions_as_knot_and_nsd_do() {
    let mut random = Random::seeded("random zones", 1);
    let zones = zones::zones(&mut random, 300, 20);
    let questions = questions::questions(&mut random, &zones, questions::TYPES, 60);
    Beside::start(&zones).compare(&questions, false);
}

#[test] // RFC 4035 section 3.1, RFC 5155 section 7.2
fn random_signed_zones_prove_what_knot_and_nsd_prove() {
    let mut random = Random::seeded("random signed zones", 1);
    // NSD's one tree would mix their proofs.
    let plain = zones::zones(&mut random, 80, 0);
    let zones = signed::sign_all(&mut random, &plain);
    let signed = [RecordType::DNSKEY, RecordType::NSEC3, RecordType::NSEC3PARAM, RecordType::DS];
    let types = [questions::TYPES, &signed].concat();
    let mut questions = questions::questions(&mut random, &zones, &types, 100);
    for question in &mut questions {
        question.edns = Some((1232, !random.chance(5)));
    }
    Beside::start(&zones).compare(&questions, true);
}

#[test] // RFC 4035 section 5
fn unbound_validates_what_random_signed_zones_answer() {
    let mut random = Random::seeded("zones to validate", 1);
    let plain = zones::zones(&mut random, 40, 0);
    let zones = signed::sign_all(&mut random, &plain);
    let mut ours = Responder::start(Config::default());
    ours.load(zones.iter().map(|zone| (&zone.apex, &zone.zone)));
    let types: Vec<_> =
        questions::TYPES.iter().filter(|rtype| **rtype != RecordType::DS && rtype.is_data()).copied().collect();
    let mut questions = questions::questions(&mut random, &plain, &types, 80);
    for question in &mut questions {
        (question.edns, question.flags) = (Some((1232, true)), 0x0100);
    }
    questions.retain(is_known_to_unbound);
    // What ends in another server's zone, in a loop or in a very long chain has no answer that could be validated.
    let replies = ask_all_over_tcp(ours.address, &questions);
    let (questions, replies): (Vec<_>, Vec<_>) =
        questions.into_iter().zip(replies).filter(|(_, reply)| reply.is_whole() && !reply.has_odd_wildcard()).unzip();
    let apexes: Vec<_> = zones.iter().map(|zone| zone.apex.clone()).collect();
    let unbound = Unbound::start(ours.address, &apexes);
    let validated = ask_all(unbound.address, &questions);
    let (mut secure, mut bogus) = (0, Vec::new());
    for ((question, reply), validated) in questions.iter().zip(&replies).zip(&validated) {
        // Behind an opt-out span nothing can be secure (RFC 5155 section 9.2).
        let is_secure = validated.is_authentic();
        if reply.rcode != validated.rcode || !(is_secure || reply.opts_out()) {
            bogus.push(format!("{question}\nours: {reply}Unbound: {validated}"));
        }
        secure += usize::from(is_secure);
    }
    assert!(bogus.is_empty(), "{} bogus answers, such as\n{}", bogus.len(), bogus.join("\n"));
    println!("{} answers, {secure} of them secure", questions.len());
    assert!(secure > questions.len() / 2);
}

/// Unbound 1.17 calls bogus an alias that a DNAME made if DNAME was asked for, and validates no signatures for themselves.
fn is_known_to_unbound(question: &Question) -> bool {
    !matches!(question.rtype, RecordType::DNAME | RecordType::RRSIG)
}

/// Our responder and those beside it, with the same zones.
struct Beside {
    ours: Responder,
    peers: [Peer; 2],
    apexes: Vec<Name>,
}

impl Beside {
    fn start(zones: &[RandomZone]) -> Self {
        let mut ours = Responder::start(Config::default());
        ours.load(zones.iter().map(|zone| (&zone.apex, &zone.zone)));
        let files: Vec<_> = zones.iter().map(|zone| (zone.apex.clone(), ours.export(&zone.apex))).collect();
        let peers = [Kind::Knot, Kind::Nsd].map(|kind| Peer::start(kind, &files));
        Self { ours, peers, apexes: zones.iter().map(|zone| zone.apex.clone()).collect() }
    }

    fn compare(&self, questions: &[Question], over_tcp: bool) {
        let servers = [self.ours.address, self.peers[0].address, self.peers[1].address];
        let ask = if over_tcp { ask_all_over_tcp } else { ask_all };
        let replies = servers.map(|server| ask(server, questions));
        let mut found = Found::default();
        for (at, question) in questions.iter().enumerate() {
            found.compare(question, replies.each_ref().map(|replies| replies[at].clone()), &self.apexes, servers);
        }
        println!("{} questions in {} zones", questions.len(), self.apexes.len());
        found.end();
    }
}
