//! Our answers beside those of Knot and NSD, which serve the same master files.

mod ask;
mod compare;
mod differences;
mod peers;
mod questions;
mod reply;
mod signed;
mod zones;

use conn3ction_dns::server::Config;
use conn3ction_schemas::{Name, RecordType};

use crate::{random::Random, responder::Responder};
use ask::{Question, ask_all, ask_all_over_tcp};
use compare::Found;
use peers::{Kind, Peer};
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
