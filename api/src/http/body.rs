//! Bodies: bounded, strict JSON with the place of every fault, and the digest that tells a retry from another request.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::header,
};
use conn3ction_schemas::{event::Hash, json::ProblemError};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::{
    problem::{Problem, ProblemKind},
    query::nearest,
};

/// Octets of a JSON body: a change set of some ten thousand changes.
pub(super) const MAX_JSON: usize = 16 * 1024 * 1024;

/// A JSON body of any content type (old clients send a form type with `curl -d`).
pub(super) struct JsonBody<T> {
    /// What it says.
    pub value: T,
    /// SHA-256 of method, path, query and body.
    pub digest: Hash,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        Self::take(request, || None).await
    }
}

impl<T: DeserializeOwned> JsonBody<T> {
    /// Takes the body of `request`; an empty one is what `absent` gives, if anything.
    async fn take(request: Request, absent: impl FnOnce() -> Option<T>) -> Result<Self, Problem> {
        let head = head(&request);
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(Problem::new(ProblemKind::MediaType, "JSON bodies are taken without a content encoding"));
        }
        let octets = read(request.into_body(), MAX_JSON).await?;
        let absent = if octets.is_empty() { absent() } else { None };
        let value = absent.map_or_else(|| parse(&octets), Ok)?;
        Ok(Self { value, digest: Hash::of(&[head.as_bytes(), &octets].concat()) })
    }
}

/// A [`JsonBody`] that may be left out, where every member may.
pub(super) struct MaybeJson<T>(pub JsonBody<T>);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        JsonBody::take(request, || Some(T::default())).await.map(Self)
    }
}

/// The digest of a request without a body.
pub(super) fn digest(request: &Request) -> Hash {
    Hash::of(head(request).as_bytes())
}

/// Takes a request that says all it has to say without a body.
///
/// # Errors
///
/// [`ProblemKind::Malformed`] if it has one: what stands there would do nothing.
pub(super) async fn none(request: Request) -> Result<(), Problem> {
    if read(request.into_body(), 0).await.is_ok() {
        return Ok(());
    }
    let item = ProblemError {
        hint: Some("Conn3ction-Reason says why, If-Match guards".into()),
        ..ProblemError::pointer("", "this request takes no body")
    };
    Err(Problem::new(ProblemKind::Malformed, "the body would be ignored, so nothing was done").with([item]))
}

fn head(request: &Request) -> String {
    format!("{} {}\n", request.method(), request.uri())
}

/// Reads a whole body of at most `limit` octets.
async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut octets = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if octets.len() + chunk.len() > limit {
            return Err(Problem::new(ProblemKind::TooLarge, format!("the body has more than {limit} octets")));
        }
        octets.extend_from_slice(&chunk);
    }
    Ok(octets)
}

/// A body that did not arrive whole.
pub(super) fn broken(error: &axum::Error) -> Problem {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<tower_http::timeout::TimeoutError>() {
            return Problem::new(ProblemKind::TooSlow, "the body did not arrive in time");
        }
        cause = error.source();
    }
    Problem::new(ProblemKind::Malformed, "the body broke off")
}

fn parse<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    let mut decoder = serde_json::Deserializer::from_slice(octets);
    let fault = |pointer: String, error: &serde_json::Error| {
        let text = error.to_string();
        let detail = text
            .split(" at line ")
            .next()
            .unwrap_or(&text)
            .replace("expected u32", "expected a number from 0 to 2147483647");
        let (kind, hint) = match unknown_member(&detail) {
            Some((member, known)) => (ProblemKind::UnknownParameter, nearest(member, known.into_iter())),
            None => (ProblemKind::Malformed, None),
        };
        let item = ProblemError {
            pointer: Some(pointer),
            line: Some(error.line() as u64),
            column: Some(error.column() as u64),
            detail: detail.clone(),
            hint,
            ..ProblemError::default()
        };
        Problem::new(kind, format!("the body is not what this route takes: {detail}")).with([item])
    };
    // Else serde would take a list of the members' values in their order, too.
    if let Some(first) = octets.iter().find(|octet| !octet.is_ascii_whitespace()).filter(|first| **first != b'{') {
        let detail = format!("the body is not what this route takes: a JSON object, not {:?}...", char::from(*first));
        return Err(Problem::new(ProblemKind::Malformed, detail).with([ProblemError::pointer("", "is no JSON object")]));
    }
    let value =
        serde_path_to_error::deserialize(&mut decoder).map_err(|error| fault(pointer(error.path()), error.inner()))?;
    decoder.end().map_err(|error| fault(String::new(), &error))?;
    Ok(value)
}

/// The path of a member as RFC 6901 writes it.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// The member and those known instead, from serde's words.
fn unknown_member(detail: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = detail.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only parsed")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Inner {
        ttl: u32,
        values: Vec<String>,
    }

    #[test]
    fn a_fault_is_named_by_its_pointer_and_an_unknown_member_by_the_nearest_known() {
        let problem = parse::<Outer>(br#"{"inner":[{"ttl":1,"values":[]},{"tll":1}]}"#).expect_err("unknown");
        assert_eq!(problem.kind, ProblemKind::UnknownParameter);
        assert_eq!(problem.errors[0].hint.as_deref(), Some("did you mean ttl?"));
        assert_eq!(problem.errors[0].pointer.as_deref(), Some("/inner/1/tll"));
        let problem = parse::<Outer>(br#"{"inner":[{"ttl":"x","values":[]}]}"#).expect_err("a text");
        assert_eq!(problem.kind, ProblemKind::Malformed);
        assert_eq!(problem.errors[0].pointer.as_deref(), Some("/inner/0/ttl"));
        assert!(parse::<Outer>(br#"{"inner":[]} x"#).is_err());
        assert!(parse::<Outer>(b"[[]]").is_err(), "members by place");
        assert!(parse::<Outer>(&[b'['; 100_000]).is_err());
    }
}
