//! `/metrics`, as Prometheus reads it. No label ever holds a name, a client or an actor: their number has no bound.

use std::fmt;

use axum::{
    extract::State,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::{
    Shared,
    problem::{Problem, ProblemKind},
    query::Query,
};
use crate::responder;

pub(super) async fn render(State(node): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(&uri, &[])?;
    let mut registry = Registry::with_prefix("conn3ction");
    registry.register_collector(Box::new(Now(node)));
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        return Err(Problem::new(ProblemKind::Internal, "the metrics could not be written"));
    }
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Reads the counters of the node's parts at the moment of a scrape.
struct Now(Shared);

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let node = &self.0;
        let view = node.store.now();
        let (zones, records) =
            view.zones().fold((0, 0), |(zones, records), zone| (zones + 1, records + zone.record_count()));
        let ready = u64::from(node.not_ready().is_empty());
        let head = node.head_known().0;
        let mut gauge = |name: &str, help: &str, value: u64| -> fmt::Result {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("ledger_revision", "Last revision of the ledger that this node knows", head)?;
        let answering = u64::from(node.ledger_fault().is_none());
        gauge("ledger_available", "1 while the ledger answers, else 0: writes are refused then", answering)?;
        gauge("ready", "1 while /readyz says that the node may be sent traffic, else 0", ready)?;
        gauge("zones", "Zones that exist", zones)?;
        gauge("records", "Records of all zones; a set of three values counts three", records)?;
        gauge("answers_sealed_revision", "Up to where a restart need not fold the ledger", node.views.sealed().0)?;
        for (view, progress) in node.views.status() {
            let view = view.as_str().replace('-', "_");
            gauge(&format!("view_{view}_revision"), "Revision that the view shows", progress.revision.0)?;
            let lag = head.saturating_sub(progress.revision.0);
            gauge(&format!("view_{view}_lag_events"), "Events of the ledger that the view does not show yet", lag)?;
        }
        let Some(counters) = node.dns_counters() else { return Ok(()) };
        for (name, help, value) in responder::counted(counters) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(&format!("dns_{name}"), help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
