//! Replies to the same questions side by side.

use std::net::SocketAddr;

use conn3ction_schemas::Name;

use super::{
    ask::{Question, ask_all_over_tcp},
    differences::{Case, DIFFERENCES, explain},
    peers::Kind,
    reply::Reply,
};

/// What comparing gave.
#[derive(Default)]
pub(crate) struct Found {
    explained: [usize; DIFFERENCES.len()],
    unexplained: Vec<String>,
    over_tcp: usize,
}

impl Found {
    /// Compares the replies of us, Knot and NSD that came over UDP.
    ///
    /// What does not fit is cut off in ways that are each server's own: we compress no names in rdata, and which
    /// addresses go into what is left depends on their order. Then the replies over TCP have to be the same.
    pub(crate) fn compare(
        &mut self,
        question: &Question,
        replies: [Reply; 3],
        zones: &[Name],
        servers: [SocketAddr; 3],
    ) {
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
        let ask = |server| ask_all_over_tcp(server, std::slice::from_ref(question)).remove(0);
        let whole = servers.map(ask);
        if differing.is_empty() {
            differing = self.differing(question, &whole, zones);
            shown = &whole;
        }
        for kind in differing {
            let [ours, theirs] = [&shown[0], &shown[1 + kind as usize]];
            self.unexplained.push(format!("{question}\nours: {ours}{kind:?}: {theirs}"));
        }
    }

    /// Prints how often each entry of the list explained something, and fails if something is left.
    pub(crate) fn end(self) {
        println!("{:6} times asked again over TCP", self.over_tcp);
        for (entry, count) in DIFFERENCES.iter().zip(self.explained) {
            println!("{count:6} times {:?}: {}", entry.peers, entry.what);
        }
        let some: Vec<_> = self.unexplained.iter().take(5000).map(String::as_str).collect();
        assert!(some.is_empty(), "{} differences, such as\n{}", self.unexplained.len(), some.join("\n"));
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
