//! Zone transfer in (RFC 5936), once and whole: for who wants to hold another server's zone against ours.

use std::{io, net::SocketAddr, time::Duration};

use conn3ction_schemas::{Name, RecordType, zonefile};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::incoming::{BadAnswer, Incoming, apex, question};

/// What a transfer may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the connection is there, and then until each message is.
    pub message: Duration,
    /// In all.
    pub whole: Duration,
    /// Octets that all records take in memory, about.
    pub octets: u64,
}

/// Why there is no zone.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The connection could not be made, was too slow or broke; another address of the server may do better.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// The server has answered; asked again it would say the same.
    #[error(transparent)]
    Answer(#[from] BadAnswer),
}

/// The records of `zone` from `server`, in their order.
///
/// # Errors
///
/// [`PullError`].
pub async fn pull(server: SocketAddr, zone: &Name, limits: Limits) -> Result<Vec<zonefile::Record>, PullError> {
    let work = async {
        let id = fresh_id();
        let mut stream = ask(server, id, zone, RecordType::AXFR, limits).await?;
        let mut incoming = Incoming::new(zone.clone(), id);
        loop {
            let message = match read(&mut stream, limits).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && incoming.count() > 0 => {
                    return Err(BadAnswer(format!("breaks off after {} records", incoming.count())).into());
                }
                message => message?,
            };
            let is_whole = incoming.take(&message)?;
            if incoming.octets() > limits.octets {
                return Err(BadAnswer(format!("sends more than {} octets", limits.octets)).into());
            }
            if is_whole {
                return Ok(incoming.into_records());
            }
        }
    };
    match timeout(limits.whole, work).await {
        Ok(done) => done,
        Err(_) => Err(BadAnswer(format!("is not done after {} s", limits.whole.as_secs())).into()),
    }
}

/// The apex of the zone of `server` that holds `name`.
///
/// # Errors
///
/// [`PullError`].
pub async fn apex_of(server: SocketAddr, name: &Name, limits: Limits) -> Result<Name, PullError> {
    let id = fresh_id();
    let mut stream = ask(server, id, name, RecordType::SOA, limits).await?;
    Ok(apex(&read(&mut stream, limits).await?, id, name)?)
}

async fn ask(server: SocketAddr, id: u16, name: &Name, qtype: RecordType, limits: Limits) -> io::Result<TcpStream> {
    let question = question(id, name, qtype);
    let framed = [&(question.len() as u16).to_be_bytes(), &question[..]].concat();
    let connected = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&framed).await?;
        Ok(stream)
    };
    timeout(limits.message, connected).await.unwrap_or_else(|late| Err(late.into()))
}

/// One message, its two octets of length (RFC 1035 section 4.2.2) not kept.
async fn read(stream: &mut TcpStream, limits: Limits) -> io::Result<Vec<u8>> {
    let read = async {
        let mut message = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    timeout(limits.message, read).await.unwrap_or_else(|late| Err(late.into()))
}

/// Nobody can put an answer into a connection by guessing this; it only has to differ from connection to connection.
fn fresh_id() -> u16 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0) as u16
}
