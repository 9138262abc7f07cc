//! `schemas/openapi.json` and the router say the same, in both directions: paths and methods, query parameters, statuses,
//! headers, bodies and problems, all as a running node shows them.
//!
//! A new route needs its entry under `paths` and a request in [`REQUESTS`] that succeeds; the tests say which is missing.
//! `components/schemas` is copied from `schemas/json` by running this test with `TESTS_WRITE_OPENAPI=1`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
};

use conn3ction::{
    app::Node,
    config::{LedgerKind, Settings},
    http::{PATHS, problem::ProblemKind},
};
use reqwest::{Client, Method, Response, header::HeaderMap};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Method, path with its query, header, body, status. In this order on a node with the empty zone `example.`.
const REQUESTS: &[(&str, &str, &str, &str, u16)] = &[
    ("GET", "/healthz", "", "", 200),
    ("GET", "/readyz", "", "", 200),
    ("GET", "/readyz?min_revision=99", "", "", 503),
    ("GET", "/metrics", "", "", 200),
    ("GET", "/openapi.json", "", "", 200),
    ("GET", "/docs", "", "", 200),
    ("GET", "/docs/http", "", "", 200),
    ("GET", "/docs/no-such-page", "", "", 404),
    ("GET", "/problems/record-exists", "", "", 200),
    ("GET", "/verify", "", "", 200),
    ("GET", "/verify", "accept: application/x-ndjson", "", 200),
    ("GET", "/verify?anchor=r1", "", "", 400),
    ("GET", "/replay", "", "", 200),
    ("GET", "/replay?to=r1", "accept: application/x-ndjson", "", 200),
    ("GET", "/replay?to=r99", "", "", 422),
    ("GET", "/replay?to=0:1", "", "", 410),
    ("GET", "/replay?min_revision=99", "", "", 503),
    ("GET", "/records", "", "", 200),
    ("GET", "/records?at=r99", "", "", 422),
    ("GET", "/records?at=2:1", "", "", 422),
    ("GET", "/records?at=0:1", "", "", 410),
    ("GET", "/records?at=soon", "", "", 400),
    ("GET", "/records?zone=test", "", "", 404),
    ("GET", "/records?min_revision=99", "", "", 503),
    ("POST", "/records", "", r#"{"name":"a.example","type":"A","values":["192.0.2.1"]}"#, 201),
    ("POST", "/records", "", r#"{"name":"a.example","type":"A","values":["192.0.2.1"]}"#, 409),
    ("POST", "/records", "", r#"{"name":"a.example","type":"A","values":["192.0.2","x"],"ttl":2147483648}"#, 422),
    ("POST", "/records", "", r#"{"name":"a.test","type":"A","values":["192.0.2.1"]}"#, 422),
    ("POST", "/records", "", r#"{"name":"a.example","tpye":"A"}"#, 400),
    ("POST", "/records", "", "{", 400),
    ("POST", "/records", "content-encoding: gzip", "{}", 415),
    ("POST", "/records", "origin: http://elsewhere.test", "{}", 403),
    ("POST", "/records?dry_run=true", "", r#"{"name":"b.example","type":"A","values":["192.0.2.1"]}"#, 200),
    ("GET", "/records?limit=1&expand=event", "", "", 200),
    ("GET", "/records", "accept: text/csv", "", 200),
    ("GET", "/records", "accept: application/x-ndjson", "", 200),
    ("GET", "/records/a.example?expand=event", "", "", 200),
    ("GET", "/records/b.example", "", "", 404),
    ("GET", "/records/example", "", "", 409),
    ("PUT", "/records/a.example", "", r#"{"values":["192.0.2.2"]}"#, 200),
    ("PUT", "/records/a.example?dry_run=true", "", r#"{"values":["192.0.2.3"]}"#, 200),
    ("PUT", "/records/c.example", "", r#"{"type":"A","values":["192.0.2.3"]}"#, 201),
    ("PUT", "/records/c.example", "if-match: \"1:1\"", r#"{"type":"A","values":["192.0.2.4"]}"#, 412),
    ("PUT", "/records/c.example", "if-none-match: *", r#"{"type":"A","values":["192.0.2.4"]}"#, 409),
    ("PUT", "/records/d.example/A", "idempotency-key: k", r#"{"values":["192.0.2.3"]}"#, 201),
    ("PUT", "/records/d.example/A", "idempotency-key: k", r#"{"values":["192.0.2.3"]}"#, 201),
    ("PUT", "/records/d.example/A", "idempotency-key: k", r#"{"values":["192.0.2.4"]}"#, 422),
    ("PUT", "/records/d.example/A", "", r#"{"values":["192.0.2.4"]}"#, 200),
    ("PUT", "/records/d.example/CNAME", "", r#"{"values":["a.example."]}"#, 409),
    ("GET", "/records/d.example/A", "", "", 200),
    ("DELETE", "/records/c.example?dry_run=true", "", "", 200),
    ("DELETE", "/records/c.example", "", "", 204),
    ("DELETE", "/records/c.example", "", "", 404),
    ("DELETE", "/records/d.example/A?dry_run=true", "", "", 200),
    ("DELETE", "/records/d.example/ANY", "", "", 204),
    ("DELETE", "/records/example/SOA", "", "", 422),
    ("POST", "/changes", "", r#"{"changes":[{"op":"add","name":"a.example","type":"A","values":["192.0.2.9"]}]}"#, 201),
    ("POST", "/changes", "", r#"{"changes":[{"op":"add","name":"a.example","type":"A","values":["192.0.2.9"]}]}"#, 200),
    ("POST", "/changes?dry_run=true", "", r#"{"changes":[{"op":"delete","name":"a.example","type":"ANY"}]}"#, 200),
    ("POST", "/changes", "", r#"{"changes":[{"op":"delete","name":"z.example"}]}"#, 404),
    ("POST", "/changes", "", r#"{"changes":[]}"#, 422),
    ("POST", "/changes", "", r#"{"expected_revision":"0:1","changes":[{"op":"delete","name":"a.example"}]}"#, 410),
    ("POST", "/zones?dry_run=true", "", r#"{"name":"new.test"}"#, 200),
    (
        "POST",
        "/zones",
        "",
        r#"{"name":"new.test","contact":"ann@example","nameservers":["ns.example."],"ttl":60}"#,
        201,
    ),
    ("POST", "/zones", "", r#"{"name":"new.test"}"#, 409),
    ("POST", "/zones", "", r#"{"name":"new..test"}"#, 422),
    ("GET", "/zones?limit=1", "", "", 200),
    ("GET", "/zones", "accept: text/csv", "", 200),
    ("GET", "/zones/new.test", "", "", 200),
    ("GET", "/zones/old.test", "", "", 404),
    ("GET", "/zones/new.test/zonefile", "", "", 200),
    ("GET", "/zones/old.test/zonefile", "", "", 404),
    ("POST", "/zones/new.test/import", "", "$TTL 60\n@ SOA ns h 5 1 2 3 4\n@ NS ns\nns A 192.0.2.1\n", 201),
    ("POST", "/zones/new.test/import", "", "$TTL 60\n@ SOA ns h 5 1 2 3 4\n@ NS ns\nns A 192.0.2.1\n", 200),
    ("POST", "/zones/new.test/import?dry_run=true&mode=replace", "", "@ 60 SOA ns h 9 1 2 3 4\n@ 60 NS ns\n", 200),
    ("POST", "/zones/new.test/import", "", "@ 60 SOA ns h\n a b c\n", 422),
    ("POST", "/zones/new.test/import?mode=both", "", "", 400),
    ("DELETE", "/zones/new.test?dry_run=true", "", "", 200),
    ("DELETE", "/zones/new.test", "", "", 204),
    ("DELETE", "/zones/new.test", "", "", 404),
    ("POST", "/zones/new.test/restore?dry_run=true", "", r#"{"to":"r11","reason":"gone by mistake"}"#, 200),
    ("POST", "/zones/new.test/restore", "", r#"{"to":"r6"}"#, 422),
    ("POST", "/zones/example/restore?dry_run=true", "", r#"{"to":"r2","name":"a.example"}"#, 200),
    ("POST", "/zones/example/restore", "", r#"{"to":"r2","name":"a.example","expected_revision":"r3"}"#, 412),
    ("POST", "/zones/example/restore", "", r#"{"to":"r2","name":"a.example"}"#, 201),
    ("POST", "/zones/example/restore", "", r#"{"to":"r2","name":"a.example"}"#, 200),
    ("POST", "/zones/example/restore", "", r#"{"to":"r99"}"#, 422),
    ("POST", "/zones/example/restore", "", r#"{"to":"soon"}"#, 400),
    ("POST", "/zones/example/restore", "", r#"{"to":"r2","type":"A"}"#, 422),
    ("POST", "/zones/old.test/restore", "", r#"{"to":"r2"}"#, 404),
    ("POST", "/history?dry_run=true", "", PAST, 200),
    ("POST", "/history", "", PAST, 201),
    ("POST", "/history", "", PAST, 409),
    ("POST", "/history", "", "{", 400),
    ("GET", "/events?limit=2", "", "", 200),
    ("GET", "/events?order=desc&kind=records-changed&actor=*", "", "", 200),
    ("GET", "/events?name=a.example&answer=true&type=A", "", "", 200),
    ("GET", "/events?name=a.example&order=desc&limit=1", "", "", 200),
    ("GET", "/events?answer=true", "", "", 400),
    ("GET", "/events?zone=never.test", "", "", 404),
    ("GET", "/events", "accept: text/csv", "", 200),
    ("GET", "/ledger", "", "", 200),
    ("GET", "/ledger?after=r2", "", "", 200),
    ("GET", "/ledger?after=r99", "", "", 422),
    ("GET", "/ledger?after=0:1", "", "", 410),
    ("GET", "/ledger?min_revision=99", "", "", 503),
    ("GET", "/events/r2", "", "", 200),
    ("GET", "/events/99", "", "", 404),
    ("GET", "/events/r2/changes", "", "", 200),
    ("GET", "/events/r2/changes", "accept: application/x-ndjson", "", 200),
    ("POST", "/events/r9/revert?dry_run=true", "", "", 200),
    ("POST", "/events/r9/revert", "", "", 409),
    ("POST", "/events/r13/revert", "", r#"{"name":"b.example"}"#, 404),
    ("POST", "/events/r13/revert", "", r#"{"reason":"by mistake"}"#, 201),
    ("POST", "/events/r13/revert", "", r#"{"name":"a.example","type":"A"}"#, 200),
    ("POST", "/events/r99/revert", "", "", 404),
    ("POST", "/events/r13/revert", "", r#"{"under":"a..b"}"#, 422),
    ("GET", "/lookup?name=app.example.local&type=A", "", "", 200),
    ("GET", "/lookup?name=nothing.example.local&at=r1", "", "", 200),
    ("GET", "/lookup", "", "", 400),
    ("GET", "/records/a.example/history", "", "", 200),
    ("GET", "/records/a.example/history?limit=1", "", "", 200),
    ("GET", "/records/never.example/history", "", "", 404),
    ("GET", "/blame?limit=1", "", "", 200),
    ("GET", "/blame?name=a.example&at=r3", "", "", 200),
    ("GET", "/blame?name=never.example", "", "", 404),
    ("GET", "/blame?zone=never.test", "", "", 404),
    ("GET", "/blame", "accept: text/csv", "", 200),
    ("GET", "/bisect?name=a.example&type=A&answer=192.0.2.2", "", "", 200),
    ("GET", "/bisect?name=a.example&type=A&answer=NXDOMAIN&at=r3", "", "", 200),
    ("GET", "/bisect?name=a.example&type=A&answer=x", "", "", 400),
    ("GET", "/bisect?name=a.example", "", "", 400),
    ("GET", "/diff?from=r1", "", "", 200),
    ("GET", "/diff?from=r1&limit=1", "", "", 200),
    ("GET", "/diff?from=r1&zone=never.test", "", "", 404),
    ("GET", "/diff?from=r1", "accept: application/x-ndjson", "", 200),
    ("GET", "/diff", "", "", 400),
    ("GET", "/projections", "", "", 200),
    ("POST", "/projections/answers/rebuild", "", "", 200),
    ("POST", "/projections/nothing/rebuild", "", "", 404),
    ("GET", "/no/such/route", "", "", 404),
];

/// A line of a history.
const PAST: &str = r#"{"id":"0a1b","time":"2020-01-01T00:00:00Z","actor":"Ann","zones":[{"name":"past.test","serial":7}],"changes":[{"zone":"past.test","name":"past.test","type":"SOA","after":{"ttl":60,"values":["ns.past.test. h.past.test. 7 1 2 3 4"]}},{"zone":"past.test","name":"past.test","type":"NS","after":{"ttl":60,"values":["ns.past.test."]}}]}"#;

/// What a value of each path parameter may be.
const PATH_VALUES: &[(&str, &str)] = &[
    ("name", "a.example"),
    ("type", "A"),
    ("zone", "example"),
    ("rev", "1"),
    ("view", "answers"),
    ("page", "http"),
    ("kind", "malformed"),
];

/// Routes that look at no query at all.
const BLIND: &[&str] = &["/healthz", "/metrics", "/openapi.json", "/docs", "/docs/{page}", "/problems/{kind}"];

const METHODS: &[&str] = &["get", "put", "post", "delete", "patch", "head", "options", "trace"];

/// The document with its references resolved on demand.
struct Document(Value);

/// One operation of the document.
struct Operation<'a> {
    method: String,
    path: &'a str,
    value: &'a Value,
    item: &'a Value,
}

fn document() -> Document {
    Document(serde_json::from_str(&text()).expect("openapi.json is JSON"))
}

fn schemas() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas"))
}

fn text() -> String {
    std::fs::read_to_string(schemas().join("openapi.json")).expect("schemas/openapi.json")
}

impl Document {
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leaves the document"));
                self.0.pointer(pointer).unwrap_or_else(|| panic!("{reference} names nothing"))
            }
            None => value,
        }
    }

    fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().expect("paths");
        paths
            .iter()
            .flat_map(|(path, item)| {
                let members = item.as_object().expect("a path item").iter();
                members.filter(|(name, _)| METHODS.contains(&name.as_str())).map(move |(method, value)| Operation {
                    method: method.to_uppercase(),
                    path,
                    value,
                    item,
                })
            })
            .collect()
    }

    fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let same = |template: &str| {
            template.split('/').count() == path.split('/').count()
                && template.split('/').zip(path.split('/')).all(|(a, b)| a == b || a.starts_with('{'))
        };
        self.operations()
            .into_iter()
            .filter(|it| it.method == method && same(it.path))
            .min_by_key(|it| it.path.matches('{').count())
    }

    /// The parameters of `operation` that are in `place`.
    fn parameters(&self, operation: &Operation<'_>, place: &str) -> BTreeSet<String> {
        let lists = [&operation.item["parameters"], &operation.value["parameters"]];
        let all = lists.into_iter().filter_map(Value::as_array).flatten().map(|parameter| self.resolve(parameter));
        all.filter(|it| it["in"] == place).map(|it| it["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// What a schema of the document finds wrong with `value`.
    fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        // The components are put beside the schema, so that its references lead there.
        let mut whole = json!({"components": self.0["components"]});
        whole["allOf"] = json!([schema]);
        let validator = jsonschema::options().should_validate_formats(true).build(&whole).expect("a schema");
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }
}

impl std::fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Words in backquotes.
fn words(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

struct Running {
    stop: CancellationToken,
    node: Node,
    client: Client,
}

async fn node() -> Running {
    let settings = Settings {
        http_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        dns_listen: Some(Vec::new()),
        ledger: Some(LedgerKind::Memory),
        zones: Some(vec!["example".into()]),
        ..Settings::default()
    };
    // The second test to come here finds it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let stop = CancellationToken::new();
    let node = Node::start(settings.check().expect("settings"), stop.clone()).await.expect("starts");
    Running { stop, node, client: Client::new() }
}

impl Running {
    async fn send(&self, method: &str, path: &str, header: &str, body: &str) -> Response {
        let url = format!("http://{}{path}", self.node.http_address());
        let mut request = self.client.request(Method::from_bytes(method.as_bytes()).expect("a method"), url);
        if let Some((name, value)) = header.split_once(": ") {
            request = request.header(name, value);
        }
        request.body(body.to_owned()).send().await.expect("an answer")
    }

    async fn stop(self) {
        self.stop.cancel();
        self.node.stopped().await;
    }
}

/// `components/schemas` as it must stand at the end of the document: the files of `schemas/json` with their references
/// turned inwards.
fn components() -> String {
    let mut files: Vec<_> = std::fs::read_dir(schemas().join("json")).expect("a directory").collect();
    files.sort_by_key(|file| file.as_ref().expect("an entry").file_name());
    let pascal = |stem: &str| -> String {
        stem.split('-').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect()
    };
    let schema = |path: PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        let stem = name.strip_suffix(".schema.json").expect("NAME.schema.json");
        let text = std::fs::read_to_string(&path).expect("a schema");
        let kept = text.lines().filter(|line| !line.starts_with("  \"$schema\"") && !line.starts_with("  \"$id\""));
        let lines: Vec<String> = kept
            .map(|line| {
                match line
                    .split_once("\"$ref\": \"")
                    .and_then(|(head, tail)| Some((head, tail.split_once(".schema.json\"")?)))
                {
                    Some((head, (stem, tail))) => {
                        format!("{head}\"$ref\": \"#/components/schemas/{}\"{tail}", pascal(stem))
                    }
                    None => line.to_owned(),
                }
            })
            .collect();
        format!("      \"{}\": {}", pascal(stem), lines.join("\n      "))
    };
    let all: Vec<String> = files.into_iter().map(|file| schema(file.expect("an entry").path())).collect();
    format!("    \"schemas\": {{\n{}\n    }}\n  }}\n}}\n", all.join(",\n"))
}

#[test]
fn the_shapes_are_those_of_schemas_json() {
    let (text, components) = (text(), components());
    let (head, tail) = text.split_at(text.find("    \"schemas\": {").expect("components/schemas"));
    if std::env::var_os("TESTS_WRITE_OPENAPI").is_some() {
        std::fs::write(schemas().join("openapi.json"), format!("{head}{components}")).expect("writes");
    } else {
        assert!(tail == components, "schemas/json changed: run this test with TESTS_WRITE_OPENAPI=1");
    }
}

#[tokio::test]
async fn the_router_and_the_document_have_the_same_routes() {
    let document = document();
    let running = node().await;
    let mut routed = BTreeSet::new();
    for path in PATHS {
        // A method that no route has: the refusal lists those that it does have.
        let response = running.send("BREW", &filled(path), "", "").await;
        assert_eq!(response.status(), 405, "{path}");
        let allow = response.headers()["allow"].to_str().expect("text").to_owned();
        // HEAD comes with every GET.
        routed.extend(allow.split(',').filter(|method| *method != "HEAD").map(|method| format!("{method} {path}")));
    }
    let documented: BTreeSet<String> = document.operations().iter().map(ToString::to_string).collect();
    let missing: Vec<_> = routed.difference(&documented).collect();
    assert!(missing.is_empty(), "routed in api/src/http/mod.rs, but not in schemas/openapi.json (paths): {missing:?}");
    let stale: Vec<_> = documented.difference(&routed).collect();
    assert!(stale.is_empty(), "in schemas/openapi.json, but not routed in api/src/http/mod.rs: {stale:?}");
    running.stop().await;
}

/// A path with every parameter filled in.
fn filled(template: &str) -> String {
    let value = |name: &str| PATH_VALUES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(name) => value(name).unwrap_or_else(|| panic!("{template}: add {name} to PATH_VALUES")).to_owned(),
        None => segment.to_owned(),
    };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn each_route_knows_the_query_parameters_that_are_documented() {
    let document = document();
    let running = node().await;
    let operations = document.operations();
    let mut universe: BTreeSet<String> =
        operations.iter().flat_map(|operation| document.parameters(operation, "query")).collect();
    universe.insert("no_such_parameter".into());
    let query: Vec<String> = universe.iter().map(|name| format!("{name}=x")).collect();
    for operation in operations.iter().filter(|operation| !BLIND.contains(&operation.path)) {
        let path = format!("{}?{}", filled(operation.path), query.join("&"));
        // The body is read before the query: it must be one that the route takes.
        let body = REQUESTS.iter().find(|(method, path, ..)| {
            *method == operation.method
                && document
                    .operation(method, path.split('?').next().expect("a path"))
                    .is_some_and(|it| it.path == operation.path)
        });
        let body = body.map_or("", |(_, _, _, body, _)| body);
        let response = running.send(&operation.method, &path, "", body).await;
        let problem: Value = response.json().await.expect("a problem");
        assert_eq!(problem["type"], "/problems/unknown-parameter", "{operation}: {problem}");
        let unknown: BTreeSet<&str> = problem["errors"]
            .as_array()
            .expect("errors")
            .iter()
            .map(|error| error["parameter"].as_str().expect("a parameter"))
            .collect();
        let known: BTreeSet<String> =
            universe.iter().filter(|name| !unknown.contains(name.as_str())).cloned().collect();
        let documented = document.parameters(operation, "query");
        assert_eq!(known, documented, "{operation}: left what the handler takes, right what schemas/openapi.json says");
    }
    running.stop().await;
}

#[tokio::test]
async fn every_answer_is_one_that_the_document_describes() {
    let document = document();
    let running = node().await;
    let mut succeeded: BTreeSet<String> = BTreeSet::new();
    for (method, path, header, body, status) in REQUESTS {
        let what = format!("{method} {path} {header}");
        let response = running.send(method, path, header, body).await;
        let (found, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        assert_eq!(found, *status, "{what}: {text}");
        let Some(operation) = document.operation(method, path.split('?').next().expect("a path")) else {
            assert_eq!(found, 404, "{what} is no operation of schemas/openapi.json");
            continue;
        };
        if found < 300 {
            succeeded.insert(operation.to_string());
        }
        described(&document, &operation, &what, found, &headers, &text);
    }
    for operation in document.operations() {
        assert!(succeeded.contains(&operation.to_string()), "{operation}: add a request to REQUESTS that succeeds");
    }
    running.stop().await;
}

/// Holds one answer against the document.
fn described(document: &Document, operation: &Operation<'_>, what: &str, status: u16, headers: &HeaderMap, text: &str) {
    let responses = &operation.value["responses"];
    let default = document.resolve(&responses["default"]);
    let response = responses.get(status.to_string()).map(|response| document.resolve(response));
    let kind = headers.get("content-type").map(|kind| kind.to_str().expect("text").split(';').next().expect("a type"));
    if kind == Some("application/problem+json") {
        let problem: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{what}: {error}: {text}"));
        let slug = problem["type"].as_str().and_then(|kind| kind.strip_prefix("/problems/")).expect("a kind");
        let said = [response, Some(default)].into_iter().flatten();
        let mut said = said.flat_map(|response| words(response["description"].as_str().expect("a description")));
        assert!(said.any(|word| word == slug), "{what}: the responses of {operation} do not name `{slug}`, {status}");
    }
    let response = response.unwrap_or_else(|| {
        assert!(status >= 400, "{what}: {operation} has no response {status} in schemas/openapi.json");
        default
    });
    for name in [
        "conn3ction-revision",
        "conn3ction-time",
        "conn3ction-final",
        "etag",
        "link",
        "idempotent-replayed",
        "retry-after",
    ] {
        let documented = response["headers"].as_object();
        let documented = documented.is_some_and(|headers| headers.keys().any(|known| known.eq_ignore_ascii_case(name)));
        assert!(documented || !headers.contains_key(name), "{what}: {operation}, {status} has a header {name}");
    }
    let Some(kind) = kind.filter(|_| !text.is_empty()) else {
        assert!(response["content"].is_null(), "{what}: an empty body");
        return;
    };
    let media = &response["content"][kind];
    assert!(media.is_object(), "{what}: {operation}, {status} answers {kind}, which is not documented");
    if kind.ends_with("json") && kind != "application/x-ndjson" {
        let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{what}: {error}: {text}"));
        let faults = document.faults(&media["schema"], &value);
        assert!(faults.is_empty(), "{what}: {faults:?}\n{text}");
    }
}

#[test]
fn the_document_is_well_formed_openapi_3_1() {
    let document = document();
    assert_eq!(document.0["openapi"], "3.1.0");
    let mut used = BTreeMap::new();
    references(&document.0, &mut used);
    for reference in used.keys() {
        document.resolve(&json!({"$ref": reference}));
    }
    for (kind, components) in document.0["components"].as_object().expect("components") {
        for name in components.as_object().expect("an object").keys().filter(|_| kind != "securitySchemes") {
            // Shapes stand there because they are in `schemas/json`.
            let idle = kind == "schemas" || used.contains_key(&format!("#/components/{kind}/{name}"));
            assert!(idle, "components/{kind}/{name} is used by nothing");
        }
    }
    for (name, schema) in document.0["components"]["schemas"].as_object().expect("schemas") {
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let tags: BTreeSet<_> =
        document.0["tags"].as_array().expect("tags").iter().map(|tag| tag["name"].as_str()).collect();
    let mut ids = BTreeSet::new();
    for operation in document.operations() {
        for member in operation.value.as_object().expect("an operation").keys() {
            let known = ["operationId", "tags", "summary", "description", "parameters", "requestBody", "responses"];
            assert!(known.contains(&member.as_str()), "{operation}: {member}");
        }
        let id = operation.value["operationId"].as_str().unwrap_or_else(|| panic!("{operation}: an operationId"));
        assert!(ids.insert(id.to_owned()), "{operation}: the operationId {id} stands twice");
        assert!(operation.value["summary"].is_string(), "{operation}: a summary");
        assert!(tags.contains(&operation.value["tags"][0].as_str()), "{operation}: a tag that `tags` explains");
        let template: BTreeSet<String> =
            operation.path.split(['{', '}']).skip(1).step_by(2).map(str::to_owned).collect();
        assert_eq!(document.parameters(&operation, "path"), template, "{operation}: the parameters of its path");
        let responses = operation.value["responses"].as_object().expect("responses");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{operation}: a response that is a success");
        assert_eq!(responses["default"], json!({"$ref": "#/components/responses/Problem"}), "{operation}");
        for (status, response) in responses {
            let response = document.resolve(response);
            assert!(response["description"].is_string(), "{operation}, {status}: a description");
            if let Ok(status @ 400..) = status.parse::<u16>() {
                for word in words(response["description"].as_str().expect("a text")) {
                    let kind = ProblemKind::ALL.iter().find(|kind| kind.slug() == word);
                    let right = kind.is_none_or(|kind| kind.status().as_u16() == status);
                    assert!(right, "{operation}: `{word}` is not a {status}");
                }
            }
        }
    }
    for parameter in document.0["components"]["parameters"].as_object().expect("parameters").values() {
        assert!(parameter["schema"].is_object() && parameter["description"].is_string(), "{parameter}");
        assert!(["path", "query", "header"].map(Value::from).contains(&parameter["in"]), "{parameter}");
        assert_eq!(parameter["required"] == json!(true), parameter["in"] == "path", "{parameter}");
    }
}

fn references(value: &Value, found: &mut BTreeMap<String, ()>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference.clone(), ());
            }
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_problem_is_named_where_it_can_come_and_no_other() {
    // Those of routes that read the past stand in no operation yet; their pages are served.
    const LATER: &[&str] = &["key-in-progress"];
    let document = document();
    let mut named = BTreeSet::new();
    let mut texts: Vec<&Value> =
        document.0["components"]["responses"].as_object().expect("responses").values().collect();
    for operation in document.operations() {
        texts.extend(operation.value["responses"].as_object().expect("responses").values());
    }
    for response in texts.into_iter().filter(|it| it["content"]["application/problem+json"].is_object()) {
        named.extend(words(response["description"].as_str().expect("a text")));
    }
    named.remove("/problems/{kind}");
    let known: BTreeSet<&str> =
        ProblemKind::ALL.iter().map(|kind| kind.slug()).filter(|it| !LATER.contains(it)).collect();
    assert_eq!(named, known, "left what schemas/openapi.json names, right the kinds of api/src/http/problem.rs");
}
