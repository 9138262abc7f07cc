//! Lists, streamed as a JSON array, as NDJSON or as CSV, as `Accept` asks.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt};
use serde::Serialize;

use super::problem::{Problem, ProblemKind};
use crate::path::encode;

/// A list's item as a CSV row.
pub trait Row: Serialize {
    /// The header line.
    const COLUMNS: &[&str];
    /// The cells in the columns' order; several values are joined by a line feed.
    fn cells(&self) -> Vec<String>;
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array.
    Json,
    /// One object a line.
    NdJson,
    /// RFC 4180.
    Csv,
}

impl Format {
    /// What `Accept` asks for most (RFC 9110 section 12.5.1); a JSON array if it asks for nothing that we have.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best = (0.0, Self::Json);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next() {
                Some("application/x-ndjson") => Self::NdJson,
                Some("text/csv") => Self::Csv,
                Some("application/json") => Self::Json,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            // Of what is wanted as much the first counts.
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    fn write<T: Row>(self, first: &mut bool, rows: &[T]) -> Result<Bytes, serde_json::Error> {
        let mut out = Vec::with_capacity(rows.len() * 128);
        for row in rows {
            match self {
                Self::Json => {
                    out.push(if *first { b'[' } else { b',' });
                    serde_json::to_writer(&mut out, row)?;
                }
                Self::NdJson => {
                    serde_json::to_writer(&mut out, row)?;
                    out.push(b'\n');
                }
                Self::Csv => {
                    if *first {
                        csv_line(&mut out, T::COLUMNS.iter().copied());
                    }
                    csv_line(&mut out, row.cells().iter().map(String::as_str));
                }
            }
            *first = false;
        }
        Ok(out.into())
    }

    fn end<T: Row>(self, first: bool) -> Bytes {
        match (self, first) {
            (Self::Json, true) => Bytes::from_static(b"[]"),
            (Self::Json, false) => Bytes::from_static(b"]"),
            (Self::Csv, true) => {
                let mut out = Vec::new();
                csv_line(&mut out, T::COLUMNS.iter().copied());
                out.into()
            }
            (Self::NdJson, _) | (Self::Csv, false) => Bytes::new(),
        }
    }
}

pub(crate) fn csv_line<'a>(out: &mut Vec<u8>, cells: impl Iterator<Item = &'a str>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if cell.contains(['"', ',', '\n', '\r']) {
            out.push(b'"');
            out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// As [`stream`], once the first page is there: a fault until then is an answer of its own.
///
/// # Errors
///
/// The first page's.
pub async fn begun<T, S>(format: Format, pages: S) -> Result<Response, Problem>
where
    T: Row + Send + 'static,
    S: Stream<Item = Result<Vec<T>, Problem>> + Send + 'static,
{
    // An empty list ends at once and is asked again below.
    let mut pages = Box::pin(pages.fuse());
    let first = pages.next().await.transpose()?;
    Ok(stream(format, futures::stream::iter(first.map(Ok)).chain(pages)))
}

/// Answers with pages of rows as they come. A fault after the first octets went out cuts the body short, so that no
/// client takes half a list for a whole one.
pub fn stream<T, S>(format: Format, pages: S) -> Response
where
    T: Row + Send + 'static,
    S: Stream<Item = Result<Vec<T>, Problem>> + Send + 'static,
{
    let mut first = true;
    let body = pages.map(Some).chain(futures::stream::iter([None])).map(move |page| match page {
        Some(Ok(rows)) => format.write(&mut first, &rows).map_err(|error| error.to_string()),
        Some(Err(problem)) => Err(problem.detail),
        None => Ok(format.end::<T>(first)),
    });
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    response
}

/// Names the next page in `Link`: the same request with `changed` parameters, `after` and those that make all pages one
/// snapshot.
pub fn next_page(mut response: Response, uri: &Uri, changed: &[(&str, String)]) -> Response {
    let is_changed = |pair: &&str| changed.iter().any(|(name, _)| pair.split('=').next() == Some(name));
    let kept = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !is_changed(pair));
    let changed = changed.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    let query: Vec<String> = kept.map(str::to_owned).chain(changed).collect();
    if let Ok(link) = HeaderValue::from_str(&format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// Answers with a short list.
pub fn whole<T: Row>(format: Format, rows: &[T]) -> Response {
    let mut first = true;
    match format.write(&mut first, rows) {
        Ok(body) => {
            let end = format.end::<T>(first);
            let mut response = Response::new(Body::from([body, end].concat()));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
            response
        }
        Err(error) => Problem::new(ProblemKind::Internal, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, u8);

    impl Row for Pair {
        const COLUMNS: &[&str] = &["text", "number"];
        fn cells(&self) -> Vec<String> {
            vec![self.0.into(), self.1.to_string()]
        }
    }

    #[test]
    fn the_format_that_is_wanted_most_is_given() {
        for (accept, format) in [
            ("", Format::Json),
            ("*/*", Format::Json),
            ("text/csv", Format::Csv),
            ("text/csv;q=0", Format::Json),
            ("application/json;q=0.1, text/csv;q=0.9", Format::Csv),
            ("application/x-ndjson, text/csv", Format::NdJson),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(Format::accepted(&headers), format, "{accept}");
        }
    }

    async fn text(format: Format, pages: Vec<Vec<Pair>>) -> String {
        let response = stream(format, futures::stream::iter(pages.into_iter().map(Ok)));
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        String::from_utf8(body.to_vec()).expect("UTF-8")
    }

    #[tokio::test]
    async fn a_list_is_the_same_in_every_format() {
        let pages = || vec![vec![Pair("a", 1), Pair("b,\"c\"", 2)], vec![], vec![Pair("d", 3)]];
        assert_eq!(text(Format::Json, pages()).await, r#"[["a",1],["b,\"c\"",2],["d",3]]"#);
        assert_eq!(text(Format::NdJson, pages()).await, "[\"a\",1]\n[\"b,\\\"c\\\"\",2]\n[\"d\",3]\n");
        assert_eq!(text(Format::Csv, pages()).await, "text,number\r\na,1\r\n\"b,\"\"c\"\"\",2\r\nd,3\r\n");
        assert_eq!(text(Format::Json, vec![]).await, "[]");
        assert_eq!(text(Format::Csv, vec![]).await, "text,number\r\n");
    }
}
