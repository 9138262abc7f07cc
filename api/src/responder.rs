//! The responder of a node: its settings, and where it finds the past.

use std::sync::Arc;

use conn3ction_dns::{
    EventNote, History, Moment, Moments, NoMoment, Server, Store, Version,
    server::{Config as DnsConfig, Counters},
};
use conn3ction_projector::Handle as Views;
use conn3ction_schemas::{Revision, Timestamp, Token, When};

use crate::{
    config::Config,
    moment::{Place, place},
};

/// Binds the responder's sockets.
///
/// # Errors
///
/// A port cannot be had.
pub(crate) fn bind(config: &Config, store: Arc<Store>, views: &Views) -> anyhow::Result<Server> {
    let history = History {
        moments: Arc::new(Folded(views.clone())),
        allow: config.dns_allow_history.clone(),
        suffix: config.dns_asof_suffix.clone(),
    };
    let dns = DnsConfig {
        listen: config.dns_listen.clone(),
        udp_threads: config.dns_threads,
        allow_transfer: config.dns_allow_transfer.clone(),
        notify: config.dns_notify.clone(),
        history: Some(history),
        ..DnsConfig::default()
    };
    Ok(Server::bind(dns, store)?)
}

/// What the responder counted: name, help, value.
pub(crate) fn counted(counters: &Counters) -> [(&'static str, &'static str, u64); 13] {
    let counts = counters.snapshot();
    [
        ("udp_queries", "Messages received over UDP", counts.udp.queries),
        ("udp_truncated", "UDP answers with TC set", counts.udp.truncated),
        ("udp_dropped", "UDP messages left without an answer", counts.udp.dropped),
        ("udp_received_bytes", "Octets of UDP messages that were answered", counts.udp.octets_in),
        ("udp_sent_bytes", "Octets of UDP answers", counts.udp.octets_out),
        ("tcp_queries", "Messages received over TCP, transfers not included", counts.tcp.queries),
        ("tcp_dropped", "TCP messages left without an answer", counts.tcp.dropped),
        ("tcp_accepted", "TCP connections taken", counts.tcp_accepted),
        ("tcp_evicted", "TCP connections closed to make room for others", counts.tcp_evicted),
        ("transfers", "Whole zones sent", counts.transfers),
        ("transfers_refused", "Transfers refused by address", counts.transfers_refused),
        ("notifies", "NOTIFY messages sent", counts.notifies),
        ("notifies_confirmed", "NOTIFY messages that a secondary confirmed", counts.notifies_confirmed),
    ]
}

/// Finds moments in the answers' store and the head that the fold keeps, without asking the ledger.
#[derive(Debug)]
pub(crate) struct Folded(pub(crate) Views);

impl Moments for Folded {
    fn find(&self, when: When) -> Result<Moment, NoMoment> {
        let store = self.0.store();
        let (epoch, committed_at) = {
            let head = self.0.head_state().read();
            (head.epoch, head.committed_at)
        };
        let published = store.published();
        let head = Token { epoch, revision: published.into() };
        let found = place(when, head, Timestamp::now()).map_err(|fault| NoMoment(fault.to_string().into()))?;
        Ok(match found {
            Place::Now(_) => Moment { view: store.now(), version: Some(published), is_final: false },
            Place::Revision(revision) => {
                let version = Version::from(revision);
                Moment { view: store.at(version), version: Some(version), is_final: true }
            }
            // What is stored later is stored under a later time than the last event's.
            Place::Time(time) => Moment { view: store.at_time(time), version: None, is_final: time <= committed_at },
        })
    }

    fn event(&self, version: Version) -> Option<EventNote> {
        let note = self.0.head_state().read().notes.get(Revision::from(version))?;
        Some(EventNote {
            token: note.token,
            time: note.time,
            actor: note.actor.as_ref().to_owned(),
            reason: note.reason.as_deref().map(str::to_owned),
        })
    }

    fn time(&self, version: Version) -> Option<Timestamp> {
        self.0.head_state().read().notes.time(version.into())
    }
}
