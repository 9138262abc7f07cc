//! What is logged: lines for people, or one JSON object each.

use std::{fmt, io::IsTerminal};

use conn3ction_schemas::Timestamp;
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
    },
    registry::LookupSpan,
};

use crate::config::LogFormat;

/// Logs to standard error from now on, what `RUST_LOG` lets through.
pub(super) fn begin(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.fmt_fields(JsonFields::new()).event_format(JsonLine).init(),
    }
}

/// `{"timestamp": …, "level": …, "fields": {"message": …}, "target": …, "span": {"name": "request", "request_id": …}}`.
///
/// The library's own form reads the span's fields, which are JSON already, and writes them anew for each line, twice: a seventh of all
/// instructions that a change took.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let of_log = event.normalized_metadata();
        let about = of_log.as_ref().unwrap_or_else(|| event.metadata());
        write!(out, r#"{{"timestamp":"{}","level":"{}","fields":"#, Timestamp::now(), about.level())?;
        context.format_fields(out.by_ref(), event)?;
        let target = serde_json::to_string(about.target()).map_err(|_| fmt::Error)?;
        write!(out, r#","target":{target}"#)?;
        let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        if let Some(span) = span {
            write!(out, r#","span":{{"name":"{}""#, span.name())?;
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().and_then(|fields| fields.strip_prefix('{'));
            let fields = fields.unwrap_or("}");
            out.write_str(if fields.starts_with('}') { "" } else { "," })?;
            out.write_str(fields)?;
        }
        out.write_str("}\n")
    }
}
