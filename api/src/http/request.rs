//! What every request carries: its id, its actor, its guards.

use std::cell::RefCell;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use conn3ction_schemas::{
    Token,
    event::{Actor, Auth},
    json::ProblemError,
};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::{
    Shared,
    problem::{Problem, ProblemKind},
    query::nearest,
    trace_context::trace_id,
};
use crate::{auth::Access, path::decode};

tokio::task_local! {
    static REQUEST_ID: String;
    /// What a connection's requests were answered, each in its span, until that is logged.
    static ANSWERED: RefCell<Vec<(Span, StatusCode)>>;
}

/// The id of the request in hand; empty outside of one.
pub(crate) fn current_id() -> String {
    REQUEST_ID.try_with(String::clone).unwrap_or_default()
}

/// Runs a connection and logs what it answered once the answers were handed to the socket, so that no client waits for a line.
pub(super) async fn logging<F: Future>(connection: F) -> F::Output {
    let mut connection = std::pin::pin!(connection);
    let logging = std::future::poll_fn(|context| {
        let now = connection.as_mut().poll(context);
        ANSWERED.with(RefCell::take).into_iter().for_each(answered);
        now
    });
    ANSWERED.scope(RefCell::default(), logging).await
}

fn answered((span, status): (Span, StatusCode)) {
    span.in_scope(|| tracing::info!(status = status.as_u16(), "answered"));
}

/// Our request headers; any other that begins with `conn3ction-` is refused.
const OURS: [&str; 3] = ["conn3ction-actor", "conn3ction-reason", "conn3ction-source"];
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Octets of an actor, a reason or an idempotency key.
const MAX_TEXT: usize = 1_024;

/// Who asks and under which conditions: an extension of every request that passed [`admit`].
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// Why, from `Conn3ction-Reason`.
    pub reason: Option<String>,
    /// From `Conn3ction-Source`: where what is written was taken from, `migrate:/prefix`.
    pub source: Option<String>,
    /// The correlation id.
    pub request_id: String,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `If-Match: "1:1041"`.
    pub if_match: Option<Token>,
    /// `If-None-Match: *`: create only.
    pub create_only: bool,
}

impl Caller {
    /// For requests that do nothing but create: whether they are asked to do only that changes nothing.
    pub(super) fn creating(self) -> Self {
        Self { create_only: false, ..self }
    }

    /// For requests that cannot be asked to create only, or that have seen to it.
    ///
    /// # Errors
    ///
    /// [`ProblemKind::UnknownParameter`] if that is asked for all the same.
    pub(crate) fn ensure_not_create_only(&self) -> Result<(), Problem> {
        if !self.create_only {
            return Ok(());
        }
        let item = ProblemError {
            header: Some("if-none-match".into()),
            detail: "* asks to create one record set or zone, which this request is not about".into(),
            hint: Some("in a change set the op `create` says so for each set".into()),
            ..ProblemError::default()
        };
        Err(Problem::new(ProblemKind::UnknownParameter, "nothing was done").with([item]))
    }
}

/// Gives each request its id and span, checks its headers and who sends it.
pub(crate) async fn admit(State(node): State<Shared>, mut request: Request, next: Next) -> Response {
    let request_id = request
        .headers()
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_graphic()))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let trace_id = trace_id(request.headers());
    let (method, path) = (request.method(), request.uri().path());
    let span = tracing::info_span!("request", request_id, trace_id, %method, path);
    let id = request_id.clone();
    let known = matches!(*request.method(), Method::GET | Method::HEAD)
        .then(|| request.headers().get(header::IF_NONE_MATCH).cloned())
        .flatten();
    let mut response = REQUEST_ID
        .scope(
            id,
            async move {
                let response = match caller(&node, &request, request_id) {
                    Ok(caller) => {
                        request.extensions_mut().insert(caller);
                        next.run(request).await
                    }
                    Err(problem) => problem.into_response(),
                };
                let response = named(unless_known(known.as_ref(), response));
                let line = (Span::current(), response.status());
                // A stream of HTTP/2 is a task of its own.
                if ANSWERED.try_with(|lines| lines.borrow_mut().push(line.clone())).is_err() {
                    answered(line);
                }
                response
            }
            .instrument(span),
        )
        .await;
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Without its body if the client has it already (RFC 9110 section 13.1.2).
fn unless_known(known: Option<&HeaderValue>, mut response: Response) -> Response {
    let (Some(known), Some(tag)) = (known, response.headers().get(header::ETAG)) else { return response };
    let known = known.as_bytes().split(|octet| *octet == b',').map(|one| one.trim_ascii());
    let mut known = known.map(|one| one.strip_prefix(b"W/").unwrap_or(one));
    if response.status() != StatusCode::OK || !known.any(|one| one == b"*" || one == tag.as_bytes()) {
        return response;
    }
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.body_mut() = Body::empty();
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

fn named(mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::from_str(&current_id()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

fn caller(node: &Shared, request: &Request, request_id: String) -> Result<Caller, Problem> {
    let headers = request.headers();
    let unknown: Vec<_> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| name.starts_with("conn3ction-") && !OURS.contains(name))
        .map(|name| ProblemError {
            header: Some(name.into()),
            detail: "is not a header of ours".into(),
            hint: nearest(name, OURS.into_iter()),
            ..ProblemError::default()
        })
        .collect();
    if !unknown.is_empty() {
        return Err(Problem::new(ProblemKind::UnknownParameter, "nothing was done").with(unknown));
    }
    if decode(request.uri().path(), false).is_none() {
        return Err(Problem::new(ProblemKind::Malformed, "the path is not percent-encoded UTF-8"));
    }
    own_host(node, request)?;
    same_origin(headers)?;
    let (actor, access) = identify(node, headers)?;
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // Whoever has a token to read may plan. Every route that writes refuses the parameter twice, or where it makes no plan.
    let plans = actor.auth == Auth::Token
        && request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "dry_run=true"));
    if writes && !plans && access < Access::Write {
        return Err(match actor.auth {
            Auth::Token => Problem::new(ProblemKind::Forbidden, "this token may read only"),
            Auth::None => Problem::new(ProblemKind::TokenNeeded, "writes need a token here"),
        });
    }
    Ok(Caller {
        actor,
        reason: text(headers, "conn3ction-reason")?,
        source: match text(headers, "conn3ction-source")? {
            Some(source) if !source.starts_with("migrate:") => {
                let detail = "Conn3ction-Source names what a migration reads, as migrate:/prefix";
                return Err(Problem::new(ProblemKind::Malformed, detail));
            }
            source => source,
        },
        request_id,
        idempotency_key: text(headers, "idempotency-key")?,
        if_match: match text(headers, "if-match")? {
            None => None,
            Some(tag) => Some(tag.trim_matches('"').parse().map_err(|_| {
                Problem::new(ProblemKind::Malformed, "If-Match takes a revision as an ETag shows it, \"1:1041\"")
            })?),
        },
        create_only: match text(headers, "if-none-match")?.as_deref() {
            None => false,
            Some("*") => true,
            // On a read it asks whether the answer changed; that needs no guard.
            Some(_) if !writes => false,
            Some(_) => {
                return Err(Problem::new(ProblemKind::Malformed, "If-None-Match takes * only: create, never replace"));
            }
        },
    })
}

/// A page whose name was made to resolve to this machine (DNS rebinding) has our origin; the name gives it away.
fn own_host(node: &Shared, request: &Request) -> Result<(), Problem> {
    let authority = request.uri().authority().map(ToString::to_string);
    let header =
        || request.headers().get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let Some(authority) = authority.or_else(header).filter(|_| !node.any_host) else { return Ok(()) };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => host,
        _ => authority.as_str(),
    };
    let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if is_address || host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
        return Ok(());
    }
    let item = ProblemError {
        header: Some("host".into()),
        detail: format!("{authority:?} is no address and not localhost"),
        hint: Some("a proxy that passes its own name on needs allow-open".into()),
        ..ProblemError::default()
    };
    Err(Problem::new(ProblemKind::Forbidden, "requests to this machine name it by address or as localhost")
        .with([item]))
}

/// A page of another origin must not write through a browser that can reach us.
fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let same = origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(_, from)| from == host);
    let json = headers.get(header::CONTENT_TYPE).is_none_or(|kind| {
        kind.to_str().is_ok_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().ends_with("json")))
    });
    match (same, json) {
        (false, _) => Err(Problem::new(ProblemKind::Forbidden, "requests from pages of another origin are refused")),
        (true, false) => Err(Problem::new(ProblemKind::MediaType, "a request with an Origin sends application/json")),
        (true, true) => Ok(()),
    }
}

fn identify(node: &Shared, headers: &HeaderMap) -> Result<(Actor, Access), Problem> {
    let bearer = match headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim())
                .ok_or_else(|| Problem::new(ProblemKind::TokenNeeded, "Authorization takes `Bearer TOKEN`"))?,
        ),
    };
    match (&node.tokens, bearer) {
        (Some(tokens), Some(secret)) => {
            tokens.bearer(secret).ok_or_else(|| Problem::new(ProblemKind::TokenNeeded, "the token is not known"))
        }
        (tokens, _) => {
            let name = text(headers, "conn3ction-actor")?.unwrap_or_else(|| "anonymous".into());
            let access = if tokens.is_some() { Access::Read } else { Access::Write };
            Ok((Actor { name, auth: Auth::None }, access))
        }
    }
}

fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bad = |detail: &str| {
        let error = ProblemError { header: Some(name.into()), detail: detail.into(), ..ProblemError::default() };
        Problem::new(ProblemKind::Malformed, format!("the header {name} {detail}")).with([error])
    };
    if values.next().is_some() {
        return Err(bad("stands twice"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| bad("is not UTF-8"))?;
    match text.len() {
        0 => Err(bad("is empty")),
        len if len > MAX_TEXT => Err(bad("has more than 1024 octets")),
        _ => Ok(Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::{Arc, Mutex},
    };

    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;
    use tracing_subscriber::{Layer, layer::SubscriberExt};

    use super::*;
    use crate::{Node, config::LedgerKind, http::router};

    /// What happened, in its order.
    #[derive(Clone, Default)]
    struct Order(Arc<Mutex<Vec<&'static str>>>);

    impl Order {
        fn note(&self, what: &'static str) {
            self.0.lock().expect("the order").push(what);
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Order {
        fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            if event.fields().any(|field| field.name() == "status") {
                self.note("its line");
            }
        }
    }

    #[tokio::test]
    async fn a_connection_writes_each_answer_before_its_line() {
        let order = Order::default();
        let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(order.clone()));
        let node = Node::builder().ledger(LedgerKind::Memory).dns_listen([]);
        let node = node.http_listen(SocketAddr::from(([127, 0, 0, 1], 0))).build(CancellationToken::new()).await;
        let router = router(node.expect("a node").state);
        let connection = async {
            for _ in 0..2 {
                let request = Request::get("/healthz").header("host", "localhost").body(Body::empty());
                let answer = router.clone().oneshot(request.expect("a request")).await;
                assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
                order.note("an answer");
                tokio::task::yield_now().await;
            }
        };
        logging(connection).await;
        assert_eq!(*order.0.lock().expect("the order"), ["an answer", "its line", "an answer", "its line"]);
    }
}
