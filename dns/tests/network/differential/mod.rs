//! Our answers beside those of Knot and NSD, which serve the same master files.

mod ask;
mod differences;
mod peers;
mod questions;
mod reply;
mod zones;

use std::net::SocketAddr;

use conn3ction_dns::server::Config;
use conn3ction_schemas::Name;

use crate::{random::Random, responder::Responder};
use ask::{Question, ask_all, ask_over_tcp};
use differences::{Case, DIFFERENCES, explain};
use peers::{Kind, Peer};
use reply::Reply;

const ZONES: usize = 300;
const QUESTIONS_PER_ZONE: usize = 60;

#[test] // RFC 1034 section 4.3.2, RFC 4592, RFC 6672
fn random_zones_answer_random_questions_as_knot_and_nsd_do() {
    let mut random = Random::seeded("random zones", 1);
    let zones = zones::zones(&mut random, ZONES);
    let mut ours = Responder::start(Config::default());
    ours.load(zones.iter().map(|zone| (&zone.apex, &zone.zone)));
    let files: Vec<_> = zones.iter().map(|zone| (zone.apex.clone(), ours.export(&zone.apex))).collect();
    let apexes: Vec<Name> = zones.iter().map(|zone| zone.apex.clone()).collect();
    let questions = questions::questions(&mut random, &zones, QUESTIONS_PER_ZONE);
    let knot = Peer::start(Kind::Knot, &files);
    let nsd = Peer::start(Kind::Nsd, &files);
    let servers = [ours.address, knot.address, nsd.address];
    let replies = servers.map(|server| ask_all(server, &questions));
    let mut found = Found::default();
    for (at, question) in questions.iter().enumerate() {
        found.compare(question, replies.each_ref().map(|replies| replies[at].clone()), &apexes, servers);
    }
    println!("{} questions in {ZONES} zones, {} asked again over TCP", questions.len(), found.over_tcp);
    for (entry, count) in DIFFERENCES.iter().zip(found.explained) {
        println!("{count:6} times {:?}: {}", entry.peers, entry.what);
    }
    let some = found.unexplained.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(some.is_empty(), "{} differences, such as\n{some}", found.unexplained.len());
}

/// What comparing gave.
#[derive(Default)]
struct Found {
    explained: [usize; DIFFERENCES.len()],
    unexplained: Vec<String>,
    over_tcp: usize,
}

impl Found {
    /// Compares the replies of us, Knot and NSD that came over UDP.
    ///
    /// What does not fit is cut off in ways that are each server's own: we compress no names in rdata, and which
    /// addresses go into what is left depends on their order. Then the replies over TCP have to be the same.
    fn compare(&mut self, question: &Question, replies: [Reply; 3], zones: &[Name], servers: [SocketAddr; 3]) {
        let open = self.differing(question, &replies, zones);
        if open.is_empty() && !replies[0].is_truncated() {
            return;
        }
        let is_room_alone = |kind: &Kind| {
            let theirs = &replies[1 + *kind as usize];
            let is_same_head = replies[0].head() == theirs.head() && replies[0].sections[..2] == theirs.sections[..2];
            replies[0].is_truncated() || is_same_head
        };
        let mut differing: Vec<_> = open.iter().filter(|kind| !is_room_alone(kind)).copied().collect();
        let mut shown = &replies;
        self.over_tcp += 1;
        let whole = servers.map(|server| ask_over_tcp(server, question));
        if differing.is_empty() {
            differing = self.differing(question, &whole, zones);
            shown = &whole;
        }
        for kind in differing {
            let [ours, theirs] = [&shown[0], &shown[1 + kind as usize]];
            self.unexplained.push(format!("{question}\nours: {ours}{kind:?}: {theirs}"));
        }
    }

    /// The servers whose reply differs from ours in a way that is not on the list.
    fn differing(&mut self, question: &Question, replies: &[Reply; 3], zones: &[Name]) -> Vec<Kind> {
        let [ours, knot, nsd] = replies;
        let mut differing = Vec::new();
        for (kind, theirs, third) in [(Kind::Knot, knot, nsd), (Kind::Nsd, nsd, knot)] {
            if ours == theirs {
                continue;
            }
            match explain(kind, &Case { question, ours, theirs, third, zones }) {
                Some(entry) => self.explained[entry] += 1,
                None => differing.push(kind),
            }
        }
        differing
    }
}
