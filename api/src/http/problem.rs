//! The one place where a fault becomes a status code (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use conn3ction_schemas::json;

macro_rules! problems {
    ($($name:ident $slug:literal $status:ident $title:literal $text:literal)*) => {
        /// What can go wrong, as clients are told. Each has a page at `/problems/{name}`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each carries its title and page in the table below")]
        pub enum ProblemKind { $($name),* }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &[ProblemKind] = &[$(Self::$name),*];

            /// The last part of the problem's `type`.
            pub const fn slug(self) -> &'static str { match self { $(Self::$name => $slug),* } }
            /// The status code.
            pub const fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status),* } }
            /// One line for people, the same for every occurrence.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title),* } }
            /// What it means and how to mend it.
            pub const fn explanation(self) -> &'static str { match self { $(Self::$name => $text),* } }
        }
    };
}

problems! {
    Malformed "malformed" BAD_REQUEST "The request is malformed" "A path, header or body could not be read. `errors` says where."
    UnknownParameter "unknown-parameter" BAD_REQUEST "Unknown parameter" "A query parameter, JSON member or Conn3ction header is not known. What is not understood is refused, so that a misspelt `dry_run` never writes. The hint names the nearest known one."
    BadWhen "bad-when" BAD_REQUEST "Not a moment" "A moment is written r1041, 1:1041, RFC 3339, an age such as 40m, 2h, 3d or 1w, or now."
    TokenNeeded "token-needed" UNAUTHORIZED "A token is needed" "Send `Authorization: Bearer TOKEN` with a token of the token file."
    Forbidden "forbidden" FORBIDDEN "Not allowed" "The token may read only, or the request comes from a foreign web page."
    RecordNotFound "record-not-found" NOT_FOUND "No such record set" "The name has no record set of that type now."
    ZoneNotFound "zone-not-found" NOT_FOUND "No such zone" "No zone of that name exists now. `GET /zones` lists them."
    EventNotFound "event-not-found" NOT_FOUND "No such event" "The ledger has no event of that revision."
    NotFound "not-found" NOT_FOUND "Not found" "No route has this path, or this node has no such view. `/docs` and `/openapi.json` list the routes."
    MethodNotAllowed "method-not-allowed" METHOD_NOT_ALLOWED "Method not allowed" "The path exists, but not with this method. `Allow` lists the methods."
    TooSlow "too-slow" REQUEST_TIMEOUT "The request came too slowly" "The body did not arrive within the time allowed."
    RecordExists "record-exists" CONFLICT "The record set exists" "POST creates only. PUT replaces what is there."
    ZoneExists "zone-exists" CONFLICT "The zone exists" "A zone of that name exists already."
    TypeNeeded "type-needed" CONFLICT "The type is needed" "The name has several record sets; name one by its type (or `?covers=`, or `?zone=`)."
    CnameConflict "cname-conflict" CONFLICT "A CNAME stands alone" "A name with a CNAME has no other data (RFC 1034 section 3.6.2). Delete one of them in the same change set."
    RevertConflict "revert-conflict" CONFLICT "Later changes are in the way" "What the event changed was changed again later; `errors` names by what."
    KeyInProgress "key-in-progress" CONFLICT "The same key is in flight" "A request with this idempotency key is being worked on. Ask again shortly."
    MomentPruned "moment-pruned" GONE "That moment is no longer kept" "The history before the earliest moment named was pruned."
    EpochEnded "epoch-ended" GONE "That epoch has ended" "The ledger was restored from a backup since; revisions of the epoch before have no meaning now."
    ChangedSince "changed-since" PRECONDITION_FAILED "Changed since" "Something in the request's own scope changed after the revision expected. Read it again and decide anew."
    TooLarge "too-large" PAYLOAD_TOO_LARGE "Too large" "The body or a part of it is over its limit, which the detail names."
    MediaType "media-type" UNSUPPORTED_MEDIA_TYPE "Media type not supported" "JSON bodies are taken with any content type unless the request carries an Origin; content encodings other than gzip are not taken."
    HeadersTooLarge "headers-too-large" REQUEST_HEADER_FIELDS_TOO_LARGE "Headers too large" "The request's headers are over their limit."
    InvalidRecord "invalid-record" UNPROCESSABLE_ENTITY "Invalid record" "A name, type, TTL or value is not valid. `errors` lists every fault with how to mend it."
    OutsideZones "outside-zones" UNPROCESSABLE_ENTITY "Outside every zone" "The name lies in no zone of ours. Create the zone first."
    ZoneRule "zone-rule" UNPROCESSABLE_ENTITY "Against a rule of the zone" "The change would leave a zone that no server may serve, or the zone is signed elsewhere."
    MomentNotYet "moment-not-yet" UNPROCESSABLE_ENTITY "That moment is yet to come" "The ledger has not reached it."
    KeyReused "key-reused" UNPROCESSABLE_ENTITY "The idempotency key was used for another request" "Use a fresh key for every request, and the same one only for retries of it."
    Limited "limited" TOO_MANY_REQUESTS "Too many requests" "More requests wait than the server takes. Try again after `Retry-After`."
    LedgerUnavailable "ledger-unavailable" SERVICE_UNAVAILABLE "The ledger is unavailable" "Nothing was stored. Reads go on. Try again after `Retry-After`."
    NotCaughtUp "not-caught-up" SERVICE_UNAVAILABLE "Not caught up" "The view has not reached the revision asked for in the time allowed."
    OutcomeUnknown "outcome-unknown" GATEWAY_TIMEOUT "The outcome is unknown" "The change may be stored or not. Send it again with the same Idempotency-Key: it is applied once."
    StorageFull "storage-full" INSUFFICIENT_STORAGE "Storage is full" "Nothing was stored. Reads go on."
    Internal "internal" INTERNAL_SERVER_ERROR "Internal error" "A fault of the server; its log has the request id."
}

/// A fault with what the client needs to mend it.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Which one.
    pub kind: ProblemKind,
    /// This occurrence in words.
    pub detail: String,
    /// Every bad item.
    pub errors: Vec<json::ProblemError>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem that its detail explains.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let retry_after = match kind {
            ProblemKind::Limited | ProblemKind::LedgerUnavailable | ProblemKind::NotCaughtUp => Some(1),
            _ => None,
        };
        Self { kind, detail: detail.into(), errors: Vec::new(), retry_after }
    }

    /// With the items that are wrong.
    #[must_use]
    pub fn with(mut self, errors: impl IntoIterator<Item = json::ProblemError>) -> Self {
        self.errors.extend(errors);
        self
    }
}

impl Problem {
    /// As it is sent.
    pub(super) fn body(self) -> json::Problem {
        json::Problem {
            kind: format!("/problems/{}", self.kind.slug()),
            title: self.kind.title().into(),
            status: self.kind.status().as_u16(),
            detail: self.detail,
            request_id: Some(super::request::current_id()).filter(|id| !id.is_empty()),
            errors: self.errors,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (kind, retry_after) = (self.kind, self.retry_after);
        let mut response = (kind.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(secs) = retry_after {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        if kind == ProblemKind::TokenNeeded {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
