//! Requests to a server, or to a ledger directory served in this process.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use conn3ction_projector::ViewName;
use conn3ction_schemas::json;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header::HeaderMap};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(super) use super::failure::Failure;
use super::{
    Global,
    output::{Color, Output, Printer},
};
use crate::{app::Node, http::problem::ProblemKind};

/// How often a write is sent before its outcome is given up as unknown. Each carries the same idempotency key.
const ATTEMPTS: u32 = 4;

/// A server and how to talk to it.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    pub(super) global: Settings,
    offline: Option<Offline>,
    color: Color,
    is_stale_told: AtomicBool,
}

/// A ledger directory served in this process.
struct Offline {
    node: Node,
    stop: CancellationToken,
    /// Where it writes.
    _scratch: tempfile::TempDir,
}

/// What of the global options verbs look at.
pub(super) struct Settings {
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) reason: Option<String>,
    /// The moment to show; a query parameter.
    pub(super) at: Option<String>,
    /// Seconds within which the answer to a read begins.
    timeout: u64,
    /// `None`: do not wait for the views.
    pub(super) wait: Option<String>,
}

impl Client {
    /// Finds the server that the options name; nothing is sent yet.
    pub(super) async fn connect(global: &Global) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        let mut header = |name: &'static str, value: Option<String>| -> Result<(), Failure> {
            let Some(value) = value else { return Ok(()) };
            let value = reqwest::header::HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| Failure::Usage(format!("{name}: control characters cannot be sent")))?;
            headers.insert(name, value);
            Ok(())
        };
        let token = std::env::var("CONN3CTION_TOKEN").ok().filter(|token| !token.is_empty());
        if token.is_some() && global.actor.is_some() {
            return Err(Failure::Usage("the token in CONN3CTION_TOKEN says who acts; leave --actor out".into()));
        }
        header("authorization", token.as_ref().map(|token| format!("Bearer {token}")))?;
        let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
        header("conn3ction-actor", if token.is_some() { None } else { global.actor.clone().or_else(user) })?;
        header("conn3ction-reason", global.reason.clone())?;
        // The HTTP client takes the process's default; an error says that there is one already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut http = reqwest::Client::builder().default_headers(headers).connect_timeout(Duration::from_secs(5));
        let (base, offline) = match &global.data {
            Some(directory) => {
                let stop = CancellationToken::new();
                let scratch = tempfile::tempdir()
                    .map_err(|source| Failure::File { path: std::env::temp_dir().display().to_string(), source })?;
                let node = Node::offline(directory, scratch.path(), stop.clone()).await.map_err(Failure::Serve)?;
                (format!("http://{}", node.http_address()), Some(Offline { node, stop, _scratch: scratch }))
            }
            None => {
                let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
                let named = std::env::var("CONN3CTION_URL").ok().filter(|url| !url.is_empty());
                let url = global.server.clone().or(named);
                (url.unwrap_or_else(|| format!("http://127.0.0.1:{port}")), None)
            }
        };
        let base = Url::parse(&base)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| Failure::Usage(format!("--server {base} is no address; write http://HOST:PORT")))?;
        if base.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127.")) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| Failure::io(&error, &base))?;
        let settings = Settings {
            dry_run: global.dry_run,
            yes: global.yes,
            reason: global.reason.clone(),
            at: global.at.clone(),
            timeout: global.timeout,
            wait: (!global.no_wait).then(|| global.wait.clone()),
        };
        Ok(Self { http, base, global: settings, offline, color: global.color, is_stale_told: AtomicBool::new(false) })
    }

    /// Ends the node of an offline ledger, so that its directory is free when this returns.
    pub(super) async fn close(self) {
        if let Some(Offline { node, stop, _scratch }) = self.offline {
            stop.cancel();
            node.stopped().await;
        }
    }

    /// Whether it is a ledger directory that answers, in this process.
    pub(super) fn is_offline(&self) -> bool {
        self.offline.is_some()
    }

    /// The server's address.
    pub(super) fn base(&self) -> &str {
        self.base.as_str()
    }

    /// `path` below the server's address; segments are encoded, `query` pairs with a value are appended.
    pub(super) fn url(&self, segments: &[&str], query: &[(&str, Option<&str>)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            for segment in segments {
                path.push(&crate::path::escaped(segment));
            }
        }
        if query.iter().any(|(_, value)| value.is_some()) {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in query {
                if let Some(value) = value {
                    pairs.append_pair(name, value);
                }
            }
        }
        url
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, Failure> {
        self.decode(self.read(self.http.get(url)).await?).await
    }

    /// Whether the server may be sent traffic, and what it says of itself; if it may not, that is an answer, too.
    pub(super) async fn ready(&self) -> Result<json::Ready, Failure> {
        let request = self.http.get(self.url(&["readyz"], &[]));
        let response = self.begun(request.send()).await?.map_err(|error| Failure::io(&error, &self.base))?;
        self.tell_stale(response.headers());
        self.decode(response).await
    }

    async fn read(&self, request: RequestBuilder) -> Result<Response, Failure> {
        self.begun(self.send(request)).await?
    }

    /// The answer, if it begins in time; how long all of it takes is not limited.
    pub(super) async fn begun<T>(&self, answer: impl Future<Output = T>) -> Result<T, Failure> {
        let late = |_| Failure::Unreachable(format!("no answer from {} within {} s", self.base, self.global.timeout));
        tokio::time::timeout(Duration::from_secs(self.global.timeout), answer).await.map_err(late)
    }

    /// The report of long work, whose progress `told` is given meanwhile.
    pub(super) async fn report<T: DeserializeOwned>(
        &self,
        url: Url,
        mut told: impl FnMut(&json::CheckProgress),
    ) -> Result<T, Failure> {
        let mut response = self.open(url, "application/x-ndjson").await?;
        let mut octets = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| Failure::io(&error, &self.base))?;
            let Some(chunk) = chunk else { break };
            octets.extend_from_slice(&chunk);
            while let Some(end) = octets.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = octets.drain(..=end).collect();
                match serde_json::from_slice::<json::CheckProgress>(&line) {
                    Ok(progress) => told(&progress),
                    Err(_) => return self.last_line(&line),
                }
            }
        }
        Err(Failure::Unreachable(format!("{} broke off before its report", self.base)))
    }

    fn last_line<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, Failure> {
        if let Ok(problem) = serde_json::from_slice::<json::Problem>(line) {
            return Err(Failure::Refused(Box::new(problem)));
        }
        serde_json::from_slice(line)
            .map_err(|error| Failure::Unreachable(format!("{} does not speak our API: {error}", self.base)))
    }

    /// An answer whose body the verb reads itself.
    pub(super) async fn open(&self, url: Url, accept: &str) -> Result<Response, Failure> {
        self.read(self.http.get(url).header("accept", accept)).await
    }

    /// An answer whose body is text, whole.
    pub(super) async fn text(&self, url: Url, accept: &str) -> Result<bytes::Bytes, Failure> {
        self.open(url, accept).await?.bytes().await.map_err(|error| Failure::io(&error, &self.base))
    }

    /// How long the answer to a read may take to begin.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.global.timeout)
    }

    /// A list, item by item as it comes.
    pub(super) async fn lines(&self, url: Url) -> Result<Lines<'_>, Failure> {
        let response = self.open(url, "application/x-ndjson").await?;
        Ok(Lines { client: self, response, buffer: Vec::new(), at: 0 })
    }

    /// A write. A lost or unsure answer is asked for again under the same idempotency key, so it is applied once.
    pub(super) async fn write(&self, method: Method, url: Url, body: Option<Vec<u8>>) -> Result<Response, Failure> {
        self.write_with(&HeaderMap::new(), method, url, body).await
    }

    /// A write with headers of its own.
    pub(super) async fn write_with(
        &self,
        headers: &HeaderMap,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<Response, Failure> {
        let request = || {
            let request = self.http.request(method.clone(), url.clone()).headers(headers.clone());
            match &body {
                Some(body) => request.header("content-type", "application/json").body(body.clone()),
                None => request,
            }
        };
        self.once(request).await
    }

    /// Sends a file's octets as they are read; `body` gives them anew for every attempt.
    pub(super) async fn upload(
        &self,
        headers: &HeaderMap,
        url: Url,
        body: impl Fn() -> reqwest::Body,
    ) -> Result<Response, Failure> {
        let request = || self.http.post(url.clone()).headers(headers.clone());
        self.once(|| request().header("content-type", "text/dns").body(body())).await
    }

    /// Sends the lines of a history as they are read, once: one that broke off has to be read again from its
    /// beginning.
    pub(super) async fn send_history(&self, lines: reqwest::Body) -> Result<Response, Failure> {
        let url = self.url(&["history"], &[("dry_run", self.global.dry_run.then_some("true"))]);
        self.send(self.http.post(url).header("content-type", "application/x-ndjson").body(lines)).await
    }

    async fn once(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, Failure> {
        let key = Uuid::new_v4().to_string();
        let mut attempt = 1;
        loop {
            match self.send(request().header("idempotency-key", &key)).await {
                Err(Failure::Unreachable(_)) if attempt < ATTEMPTS => {}
                Err(Failure::Refused(problem)) if attempt < ATTEMPTS && matches!(problem.status, 503 | 504) => {}
                done => return done,
            }
            tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
            attempt += 1;
        }
    }

    pub(super) async fn decode<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let octets = response.bytes().await.map_err(|error| Failure::io(&error, &self.base))?;
        serde_json::from_slice(&octets)
            .map_err(|error| Failure::Unreachable(format!("{} does not speak our API: {error}", self.base)))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| Failure::io(&error, &self.base))?;
        let status = response.status();
        if status.is_success() {
            self.tell_stale(response.headers());
            return Ok(response);
        }
        let octets = response.bytes().await.map_err(|error| Failure::io(&error, &self.base))?;
        Err(match serde_json::from_slice::<json::Problem>(&octets) {
            Ok(problem) => Failure::Refused(Box::new(problem)),
            Err(_) if status == StatusCode::NOT_FOUND => {
                Failure::Unreachable(format!("{} is not a Conn3ction server", self.base))
            }
            Err(_) => Failure::Unreachable(format!("{} answered {status}", self.base)),
        })
    }

    /// Says once that what is shown may be old: the server goes on answering while its ledger does not.
    fn tell_stale(&self, headers: &HeaderMap) {
        let Some(seconds) = headers.get("conn3ction-stale").and_then(|value| value.to_str().ok()) else { return };
        if !self.is_stale_told.swap(true, Ordering::Relaxed) {
            Printer::new(Output::Table, self.color)
                .note(&format!("the ledger has not answered for {seconds} s: this is what was known then"));
        }
    }

    /// The path and query of a plan below the server's address.
    pub(super) fn path(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.base.clone();
        // Set as it is: a path that began with two slashes must not name another server.
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }

    /// The event that a write made, or that made it so before; `None` if it cannot be told, though all is done.
    pub(super) async fn event(&self, response: Response) -> Option<json::EventJson> {
        let token = response.headers().get("conn3ction-revision")?.to_str().ok()?.to_owned();
        let octets = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice(&octets) {
            Ok(event) => Some(event),
            Err(_) => self.get(self.url(&["events", &token], &[])).await.ok(),
        }
    }

    /// Waits until every view that somebody reads shows what `response` committed, and says so. The local copy of the records
    /// is for the day when there is no server.
    pub(super) async fn settled(&self, response: &Response) -> Result<Option<String>, Failure> {
        let (Some(wait), Some(token)) = (&self.global.wait, response.headers().get("conn3ction-revision")) else {
            return Ok(None);
        };
        let token = token.to_str().unwrap_or_default().to_owned();
        let unread = ViewName::Records.as_str();
        let asked = [("min_revision", Some(&*token)), ("wait", Some(wait)), ("except", Some(unread))];
        let views: Vec<json::ViewStatus> = match self.get(self.url(&["projections"], &asked)).await {
            Ok(views) => views,
            Err(Failure::Refused(problem)) if problem.kind.ends_with(ProblemKind::NotCaughtUp.slug()) => {
                return Ok(Some(format!("the views do not show {token} after {wait}; it is committed")));
            }
            // What is done is done, whatever became of the question after it.
            Err(failure) => {
                return Ok(Some(format!("{token} is committed; whether the views show it is not known: {failure}")));
            }
        };
        let views = views.iter().filter(|view| view.view != unread);
        let views: Vec<_> = views.map(|view| format!("{} r{}", view.view, view.revision)).collect();
        Ok(Some(views.join(", ")))
    }
}

/// The items of a list that still comes.
pub(super) struct Lines<'c> {
    client: &'c Client,
    response: Response,
    buffer: Vec<u8>,
    /// Where in the buffer the next line begins.
    at: usize,
}

impl Lines<'_> {
    /// A header of the answer.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.response.headers().get(name)?.to_str().ok().map(str::to_owned)
    }

    /// The next item; `None` at the end.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        let base = &self.client.base;
        let mut searched = self.at;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|octet| *octet == b'\n') {
                let line = &self.buffer[self.at..searched + end];
                self.at = searched + end + 1;
                let item = serde_json::from_slice(line);
                return item
                    .map(Some)
                    .map_err(|error| Failure::Unreachable(format!("{base} does not speak our API: {error}")));
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            searched = self.buffer.len();
            match self.response.chunk().await.map_err(|error| Failure::io(&error, base))? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Failure::Unreachable(format!("{base} does not speak our API, or broke off"))),
            }
        }
    }
}
