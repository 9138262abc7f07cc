//! Whole zones in and out as master files.

use std::io::{Seek, Write};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use conn3ction_schemas::event::Hash;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::{
    Shared, absent, apply_to, body, events,
    problem::{Problem, ProblemKind},
    query::Query,
    reading::{self, Reading},
    records::path_name,
    request::Caller,
    writing::Answer,
};
use crate::import::{MAX_OCTETS, Mode};

pub(super) async fn export(
    State(node): State<Shared>,
    Path(zone): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["at"])?;
    let reading = Reading::of(&node, &query).await?;
    let apex = path_name(&zone)?;
    let view = reading.view().clone();
    let Some(zone) = view.zone(&apex) else { return Err(absent::zone(&node, &reading, &apex).await) };
    let (since, reading) = (zone.last_change(), reading.within(&zone));
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces { piece: Vec::with_capacity(PIECE), sender };
        // The client went away, or the piece is its last: nothing is left to do either way.
        let _ = crate::import::export(&view, &apex, &mut out).and_then(|()| out.flush());
    });
    let pieces = futures::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), receiver))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/dns; charset=utf-8"));
    Ok(reading::tag(&node, since.into(), reading.stamp(&node, response)))
}

/// Octets of an export that are sent at once.
const PIECE: usize = 64 * 1024;

/// A writer whose full pieces go to a client that reads at its own pace.
struct Pieces {
    piece: Vec<u8>,
    sender: tokio::sync::mpsc::Sender<Vec<u8>>,
}

impl Write for Pieces {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.piece.extend_from_slice(octets);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender.blocking_send(piece).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

pub(super) async fn import(
    State(node): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(zone): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::of_write(request.uri(), &["mode", "dry_run"])?;
    let apex = path_name(&zone)?;
    let mode = match query.text("mode") {
        None | Some("merge") => Mode::Merge,
        Some("replace") => Mode::Replace,
        Some(_) => return Err(Problem::new(ProblemKind::Malformed, "mode is merge or replace")),
    };
    let dry_run = query.flag("dry_run")?;
    let head = format!("{} {}\n", request.method(), request.uri());
    // Whether it is gzip the octets themselves tell: `curl --data-binary @zone.gz` says nothing about it.
    if !matches!(
        request.headers().get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes),
        None | Some(b"gzip" | b"identity")
    ) {
        return Err(Problem::new(ProblemKind::MediaType, "a master file is taken plain or as gzip"));
    }
    let mut spool = Spool::new(&node, &head, dry_run)?;
    let mut octets = request.into_body().into_data_stream();
    while let Some(piece) = octets.next().await {
        spool.take(&piece.map_err(|error| body::broken(&error))?)?;
    }
    let alone = spool.alone.take().map(|digest| Hash(digest.finalize().into()));
    let (file, digest) = spool.finish()?;
    let (mut answer, warnings) = node.import(caller, apex.clone(), mode, file, digest, dry_run).await?;
    if let (Answer::Plan(plan), Some(file)) = (&mut answer, alone) {
        plan.apply_to = Some(apply_to::import(&apex, mode, file, plan));
    }
    node.shown(answer.revision()).await?;
    if let Answer::Committed(event) = &answer {
        let mut row = events::alone(&node, event).await?;
        row.warnings = warnings;
        return Ok(answer.stamp(&node, (StatusCode::CREATED, Json(row)).into_response()));
    }
    answer.into_response(&node).await
}

/// A body on its way to the disk, so that memory does not grow with it.
struct Spool {
    file: std::fs::File,
    digest: Sha256,
    /// The digest of the body by itself, for a plan.
    alone: Option<Sha256>,
    octets: u64,
}

impl Spool {
    fn new(node: &Shared, head: &str, is_plan: bool) -> Result<Self, Problem> {
        let file = node.scratch_file().map_err(spool_fault)?;
        let alone = is_plan.then(Sha256::new);
        Ok(Self { file, digest: Sha256::new().chain_update(head), alone, octets: 0 })
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Problem> {
        self.octets += piece.len() as u64;
        if self.octets > MAX_OCTETS {
            return Err(Problem::new(
                ProblemKind::TooLarge,
                format!("the master file has more than {MAX_OCTETS} octets"),
            ));
        }
        self.digest.update(piece);
        if let Some(alone) = &mut self.alone {
            alone.update(piece);
        }
        self.file.write_all(piece).map_err(spool_fault)
    }

    fn finish(mut self) -> Result<(std::fs::File, Hash), Problem> {
        self.file.rewind().map_err(spool_fault)?;
        Ok((self.file, Hash(self.digest.finalize().into())))
    }
}

fn spool_fault(error: std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Problem::new(ProblemKind::StorageFull, "no room for the body")
        }
        _ => Problem::new(ProblemKind::Internal, format!("keeping the body: {error}")),
    }
}
