//! `/docs`, `/openapi.json` and `/problems`: everything a reader needs, without a network.

use axum::{
    extract::Path,
    http::{HeaderValue, Uri, header},
    response::{Html, IntoResponse, Response},
};
use pulldown_cmark::{Options, Parser, html};

use super::{
    problem::{Problem, ProblemKind},
    query::Query,
};

/// The OpenAPI 3.1 document.
pub(super) const OPENAPI: &str = include_str!("../../../schemas/openapi.json");

macro_rules! files {
    ($directory:literal: $($name:literal),*) => { &[$(($name, include_str!(concat!($directory, $name)))),*] };
}

const PAGES: &[(&str, &str)] = files!("../../docs/": "index.md", "http.md", "command-line.md", "coredns.md", "point-in-time.md", "rollback.md", "operations.md", "guarantees.md", "figures.md");

pub(super) async fn openapi(uri: Uri) -> Result<Response, Problem> {
    Query::parse(&uri, &[])?;
    Ok(with_type(OPENAPI, "application/json"))
}

pub(super) async fn index(uri: Uri) -> Result<Response, Problem> {
    page(Path("index".into()), uri).await
}

pub(super) async fn page(Path(name): Path<String>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(&uri, &[])?;
    match find(PAGES, &format!("{}.md", name.trim_end_matches(".md"))) {
        Some(text) => Ok(rendered(&name, text)),
        None => Err(Problem::new(ProblemKind::NotFound, format!("no page {name}"))),
    }
}

pub(super) async fn problem(Path(name): Path<String>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(&uri, &[])?;
    match ProblemKind::ALL.iter().find(|kind| kind.slug() == name) {
        Some(kind) => {
            let text = format!("# {}\n\n`{name}`, status {}\n\n{}\n", kind.title(), kind.status(), kind.explanation());
            Ok(rendered(kind.title(), &text))
        }
        None => Err(Problem::new(ProblemKind::NotFound, format!("no problem {name}"))),
    }
}

fn find(files: &'static [(&str, &str)], name: &str) -> Option<&'static str> {
    files.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

fn with_type(text: &'static str, kind: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
pre,code{font:14px/1.45 ui-monospace,monospace;background:#f2f4f6;border-radius:4px}pre{padding:.8rem;overflow:auto}code{padding:.1rem .25rem}\
pre code{padding:0}table{border-collapse:collapse;display:block;overflow:auto}td,th{border:1px solid #d5dae0;padding:.3rem .6rem;text-align:left;vertical-align:top}\
a{color:#0b57b0}@media(prefers-color-scheme:dark){body{color:#dfe3e8;background:#14171a}pre,code{background:#20252a}td,th{border-color:#3a4149}a{color:#7db8ff}}";

fn rendered(title: &str, markdown: &str) -> Response {
    let mut body = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut body, Parser::new_ext(markdown, Options::ENABLE_TABLES));
    let mut response = Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title} – Conn3ction</title><style>{STYLE}</style><main>{body}</main></html>"
    ))
    .into_response();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
