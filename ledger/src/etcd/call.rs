//! What became of a call that gave no answer.

use std::{error::Error as StdError, io};

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
        source: Said,
    },
    /// The request may have been done, or may still be.
    #[error("etcd at {endpoint} gave no answer")]
    Unknown {
        /// The member asked last.
        endpoint: String,
        /// Why; `None` if the time was over.
        #[source]
        source: Option<Said>,
    },
    /// etcd has no space left. It may have done the request that met the limit and those before it.
    #[error("etcd has no space left")]
    NoSpace(#[source] Said),
    /// etcd refused: nothing was done, and the same request will be refused again.
    #[error("etcd refused the request")]
    Refused(#[source] Said),
    /// etcd could not take the request now (no leader, too many requests, our token is old): nothing was done.
    #[error("etcd cannot take the request now")]
    Busy(#[source] Said),
    /// The request is larger than etcd takes: nothing was done.
    #[error("the request is too large for etcd")]
    RequestTooLarge(#[source] Said),
    /// The answer is larger than we take. Only reads ask for so much.
    #[error("the answer of etcd is too large")]
    AnswerTooLarge(#[source] Said),
}

/// What etcd, or the way to it, said: one plain sentence. The library's text is its status with all its insides.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Said(String);

impl Said {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<Error> for Said {
    fn from(error: Error) -> Self {
        let Error::GRpcStatus(status) = &error else { return Self(error.to_string()) };
        // A status that the way made, and not the server, says why in its last cause.
        Self(match (causes(status).last(), status.message()) {
            (Some(cause), _) => cause.to_string(),
            (None, "") => format!("gRPC status {}", status.code() as i32),
            (None, message) => message.into(),
        })
    }
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
        matches!(self, Self::Busy(said) if said.0 == OLD_TOKEN)
    }

    pub(super) fn of(endpoint: &str, error: Error) -> Self {
        let Error::GRpcStatus(status) = &error else {
            // The library found fault before it sent anything, or lost its connection without a status.
            return match error {
                Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::InvalidMetadataValue(_) => {
                    Self::Refused(error.into())
                }
                source => Self::Unknown { endpoint: endpoint.into(), source: Some(source.into()) },
            };
        };
        let message = status.message();
        match GrpcCode(status.code() as i32) {
            _ if message == OLD_TOKEN => Self::Busy(error.into()),
            GrpcCode::RESOURCE_EXHAUSTED if message.contains("database space exceeded") => Self::NoSpace(error.into()),
            GrpcCode::RESOURCE_EXHAUSTED if message.contains("too many requests") => Self::Busy(error.into()),
            // The library's own limit on what it decodes; the server never says so of an answer.
            GrpcCode::OUT_OF_RANGE | GrpcCode::RESOURCE_EXHAUSTED if message.contains("message length too large") => {
                Self::AnswerTooLarge(error.into())
            }
            _ if message.contains("request is too large") || message.contains("message larger than max") => {
                Self::RequestTooLarge(error.into())
            }
            // Beyond these, a server or a proxy may give the code after it has passed the request on.
            GrpcCode::INVALID_ARGUMENT
            | GrpcCode::UNAUTHENTICATED
            | GrpcCode::PERMISSION_DENIED
            | GrpcCode::FAILED_PRECONDITION
            | GrpcCode::OUT_OF_RANGE
                if message.starts_with("etcdserver:") =>
            {
                Self::Refused(error.into())
            }
            GrpcCode::UNAVAILABLE if message == "etcdserver: no leader" => Self::Busy(error.into()),
            GrpcCode::UNAVAILABLE if refused_connection(status) => {
                Self::NotSent { endpoint: endpoint.into(), source: error.into() }
            }
            _ => Self::Unknown { endpoint: endpoint.into(), source: Some(error.into()) },
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
fn refused_connection(status: &(impl StdError + 'static)) -> bool {
    let error = causes(status).find_map(|cause| cause.downcast_ref::<io::Error>());
    error.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::AddrNotAvailable
        )
    })
}

fn causes(error: &(impl StdError + 'static)) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn StdError + 'static)| (*cause).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_absent_etcd_is_told_in_a_plain_sentence() {
        let mut nobody = etcd_client::Client::connect(["http://127.0.0.1:1"], None).await.expect("connects later");
        let error = nobody.get("x", None).await.expect_err("nobody listens there");
        let error = CallError::of("http://127.0.0.1:1", error);
        assert!(error.nothing_was_done());
        let cause = StdError::source(&error).expect("a cause");
        assert_eq!(
            format!("{error}: {cause}"),
            "etcd at http://127.0.0.1:1 cannot be reached: Connection refused (os error 111)"
        );
        assert!(cause.source().is_none());
    }
}
