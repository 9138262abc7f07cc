//! Why a verb did not do its work, and the exit code of that.

use std::process::ExitCode;

use conn3ction_schemas::json;
use reqwest::Url;

/// Why a verb did not do its work; each variant has its exit code.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server refused.
    #[error("{}", told(.0))]
    Refused(Box<json::Problem>),
    /// Nothing has that name.
    #[error("{0}")]
    NotFound(String),
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server cannot be reached, or what it says is no answer of ours.
    #[error("{0}")]
    Unreachable(String),
    /// Some of it could not be taken, or differs, or the answer is no.
    #[error("{0}")]
    Left(String),
    /// The chain does not pass through a pair that somebody kept.
    #[error("{0}")]
    Anchor(String),
    /// Others changed since what was to be changed.
    #[error("{0}")]
    Conflict(String),
    /// The views or the chain are not what the ledger says.
    #[error("{0}")]
    Mismatch(String),
    /// The node could not run.
    #[error("{0:#}")]
    Serve(anyhow::Error),
}

/// Title and detail, which may begin with what the title says.
fn told(problem: &json::Problem) -> String {
    let begins =
        problem.detail.get(..problem.title.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(&problem.title));
    if begins { problem.detail.clone() } else { format!("{}: {}", problem.title, problem.detail) }
}

impl Failure {
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(problem) => match problem.status {
                // What was typed makes no sense to the server either.
                400 => 2,
                409 | 412 => 3,
                502..=504 => 4,
                _ => 1,
            },
            Self::Conflict(_) => 3,
            Self::Usage(_) => 2,
            Self::NotFound(_) | Self::File { .. } | Self::Serve(_) | Self::Left(_) => 1,
            Self::Unreachable(_) => 4,
            Self::Mismatch(_) | Self::Anchor(_) => 5,
        })
    }

    /// What `type` says behind `cli:` where there is no problem of a server.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::NotFound(_) => "not-found",
            Self::Usage(_) => "usage",
            Self::File { .. } => "file",
            Self::Unreachable(_) => "unreachable",
            Self::Left(_) => "left",
            Self::Anchor(_) => "anchor",
            Self::Conflict(_) => "conflict",
            Self::Mismatch(_) => "mismatch",
            Self::Serve(_) => "serve",
        }
    }

    /// No answer, with every cause.
    pub(super) fn io(error: &reqwest::Error, base: &Url) -> Self {
        let mut text = format!("no answer from {base}");
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        if error.is_connect() {
            text.push_str("; is it running? --server or CONN3CTION_URL says where it is");
        }
        Self::Unreachable(text)
    }
}
