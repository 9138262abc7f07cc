//! Every rule and every error of the HTTP surface, as clients meet them.

mod access;
mod guards;
mod input;
mod lists;
mod overload;
mod refusals;
mod streams;
mod writes;

use conn3ction_tests::{
    Conn3ction,
    http::{Answer, request},
};
use serde_json::Value;

/// Headers of a request.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// A server of its own on a ledger in memory, and the directory that goes with it.
fn server(arguments: &[&str]) -> anyhow::Result<(tempfile::TempDir, Conn3ction)> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[&["--ledger", "memory"], arguments].concat())?;
    Ok((data, server))
}

/// Sends `METHOD TARGET`.
fn send(server: &Conn3ction, line: &str, headers: Headers<'_>, body: &str) -> anyhow::Result<Answer> {
    let (method, target) = line.split_once(' ').unwrap_or(("GET", line));
    request(server.http, method, target, headers, body)
}

fn get(server: &Conn3ction, target: &str) -> anyhow::Result<Answer> {
    send(server, &format!("GET {target}"), &[], "")
}

/// Makes or replaces a set of one value and gives the answer.
fn put(server: &Conn3ction, name: &str, rtype: &str, value: &str) -> anyhow::Result<Answer> {
    let body = serde_json::json!({ "values": [value] }).to_string();
    let answer = send(server, &format!("PUT /records/{name}/{rtype}"), &[], &body)?;
    anyhow::ensure!(matches!(answer.status, 200 | 201), "{answer:?}");
    Ok(answer)
}

/// The problem that `answer` is, by the last part of its type, after checking what all problems have in common.
fn problem(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    let body = answer.json();
    assert_eq!(body["status"], answer.status, "{body}");
    assert_eq!(body["request_id"], answer.header("x-request-id"), "{body}");
    for member in ["title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {body}");
    }
    let kind = body["type"].as_str().and_then(|kind| kind.strip_prefix("/problems/"));
    kind.unwrap_or_else(|| panic!("no type: {body}")).to_owned()
}

/// Where the items of a problem stand, in their order: `/pointer`, `?parameter`, `header:` or `line:column`.
fn places(answer: &Answer) -> String {
    let place = |item: &Value| match (&item["pointer"], &item["parameter"], &item["header"]) {
        (Value::String(pointer), _, _) if pointer.is_empty() => "/".to_owned(),
        (Value::String(pointer), _, _) => pointer.clone(),
        (_, Value::String(parameter), _) => format!("?{parameter}"),
        (_, _, Value::String(header)) => format!("{header}:"),
        _ => format!("{}:{}", item["line"], item["column"]),
    };
    let items = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    items.iter().map(place).collect::<Vec<_>>().join(" ")
}

/// The one member of each item of a list.
fn column<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item[member].as_str().unwrap_or("-")).collect()
}
