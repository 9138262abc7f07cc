//! What became of a call that gave no answer.

use std::io;

use etcd_client::Error;

/// Why a call to etcd gave no answer. The variant says whether it may have been done.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request reached no server: nothing was done. Another try may succeed.
    #[error("etcd at {endpoint} cannot be reached")]
    NotSent {
        /// The member asked last.
        endpoint: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// The request may have been done, or may still be.
    #[error("etcd at {endpoint} gave no answer")]
    Unknown {
        /// The member asked last.
        endpoint: String,
        /// Why; `None` if the time was over.
        #[source]
        source: Option<Error>,
    },
    /// etcd has no space left. It may have done the request that met the limit and those before it.
    #[error("etcd has no space left")]
    NoSpace(#[source] Error),
    /// etcd refused: nothing was done, and the same request will be refused again.
    #[error("etcd refused the request")]
    Refused(#[source] Error),
    /// etcd could not take the request now (no leader, too many requests, our token is old): nothing was done.
    #[error("etcd cannot take the request now")]
    Busy(#[source] Error),
    /// The request is larger than etcd takes: nothing was done.
    #[error("the request is too large for etcd")]
    RequestTooLarge(#[source] Error),
    /// The answer is larger than we take. Only reads ask for so much.
    #[error("the answer of etcd is too large")]
    AnswerTooLarge(#[source] Error),
}

impl CallError {
    /// Whether it is certain that the request was not done and never will be.
    pub fn nothing_was_done(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::Refused(_) | Self::Busy(_) | Self::RequestTooLarge(_) => true,
            Self::Unknown { .. } | Self::NoSpace(_) | Self::AnswerTooLarge(_) => false,
        }
    }

    /// Whether another member, or this one in a moment, may answer.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::Unknown { .. } | Self::Busy(_) => true,
            Self::NoSpace(_) | Self::Refused(_) | Self::RequestTooLarge(_) | Self::AnswerTooLarge(_) => false,
        }
    }

    /// Whether signing in again would help.
    pub(super) fn wants_new_token(&self) -> bool {
        matches!(self, Self::Busy(Error::GRpcStatus(status)) if status.message() == OLD_TOKEN)
    }

    pub(super) fn of(endpoint: &str, error: Error) -> Self {
        let Error::GRpcStatus(status) = &error else {
            // The library found fault before it sent anything, or lost its connection without a status.
            return match error {
                Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::InvalidMetadataValue(_) => Self::Refused(error),
                source => Self::Unknown { endpoint: endpoint.into(), source: Some(source) },
            };
        };
        let message = status.message();
        match GrpcCode(status.code() as i32) {
            _ if message == OLD_TOKEN => Self::Busy(error),
            GrpcCode::RESOURCE_EXHAUSTED if message.contains("database space exceeded") => Self::NoSpace(error),
            GrpcCode::RESOURCE_EXHAUSTED if message.contains("too many requests") => Self::Busy(error),
            // The library's own limit on what it decodes; the server never says so of an answer.
            GrpcCode::OUT_OF_RANGE | GrpcCode::RESOURCE_EXHAUSTED if message.contains("message length too large") => {
                Self::AnswerTooLarge(error)
            }
            _ if message.contains("request is too large") || message.contains("message larger than max") => {
                Self::RequestTooLarge(error)
            }
            // Beyond these, a server or a proxy may give the code after it has passed the request on.
            GrpcCode::INVALID_ARGUMENT
            | GrpcCode::UNAUTHENTICATED
            | GrpcCode::PERMISSION_DENIED
            | GrpcCode::FAILED_PRECONDITION
            | GrpcCode::OUT_OF_RANGE
                if message.starts_with("etcdserver:") =>
            {
                Self::Refused(error)
            }
            GrpcCode::UNAVAILABLE if message == "etcdserver: no leader" => Self::Busy(error),
            GrpcCode::UNAVAILABLE if refused_connection(status) => {
                Self::NotSent { endpoint: endpoint.into(), source: error }
            }
            _ => Self::Unknown { endpoint: endpoint.into(), source: Some(error) },
        }
    }
}

/// What etcd says to a token from before the last change of users or roles.
const OLD_TOKEN: &str = "etcdserver: revision of auth store is old";

/// A gRPC status code by its number: the enum belongs to a crate that we do not name otherwise.
#[derive(PartialEq, Eq)]
struct GrpcCode(i32);

impl GrpcCode {
    const INVALID_ARGUMENT: Self = Self(3);
    const PERMISSION_DENIED: Self = Self(7);
    const RESOURCE_EXHAUSTED: Self = Self(8);
    const FAILED_PRECONDITION: Self = Self(9);
    const OUT_OF_RANGE: Self = Self(11);
    const UNAVAILABLE: Self = Self(14);
    const UNAUTHENTICATED: Self = Self(16);
}

/// Whether no connection came about. A connection that breaks later says something else.
fn refused_connection(status: &(impl std::error::Error + 'static)) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::AddrNotAvailable
            );
        }
        cause = error.source();
    }
    false
}
