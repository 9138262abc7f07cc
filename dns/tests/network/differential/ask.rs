//! Many questions at once, over UDP and TCP.

use std::{
    fmt,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use conn3ction_schemas::{Name, RecordType};

use super::reply::Reply;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// In the case in which it is asked.
    pub(crate) name: Vec<u8>,
    pub(crate) rtype: RecordType,
    /// The second pair of octets of the header: RD and CD.
    pub(crate) flags: u16,
    /// The datagram size and the DO bit.
    pub(crate) edns: Option<(u16, bool)>,
    /// The moment in the option of the past; goes with EDNS alone.
    pub(crate) moment: Option<String>,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Name::from_wire(&self.name).map_err(|_| fmt::Error)?;
        write!(f, "{name} {} with EDNS {:?}, flags {:04x}, at {:?}", self.rtype, self.edns, self.flags, self.moment)
    }
}

impl Question {
    pub(crate) fn to_wire(&self, id: u16) -> Vec<u8> {
        let mut wire = Vec::new();
        for number in [id, self.flags, 1, 0, 0, self.edns.is_some().into()] {
            wire.extend(number.to_be_bytes());
        }
        wire.extend(&self.name);
        wire.extend(self.rtype.0.to_be_bytes());
        wire.extend([0, 1]);
        if let Some((size, dnssec_ok)) = self.edns {
            wire.extend([0, 0, 41]);
            wire.extend(size.to_be_bytes());
            wire.extend([0, 0, if dnssec_ok { 0x80 } else { 0 }, 0]);
            let option = self.moment.as_ref().map_or(vec![], |moment| option(moment));
            wire.extend((option.len() as u16).to_be_bytes());
            wire.extend(option);
        }
        wire
    }
}

/// The option of the past with this value, as a question and a reply have it.
pub(crate) fn option(value: &str) -> Vec<u8> {
    [&65353u16.to_be_bytes(), &(value.len() as u16).to_be_bytes(), value.as_bytes()].concat()
}

/// How many questions are under way. What a server's default buffer takes.
const WINDOW: usize = 64;

/// The replies of `server`, in the order of `questions`. A lost datagram is asked for again.
pub(crate) fn ask_all(server: SocketAddr, questions: &[Question]) -> Vec<Reply> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.connect(server).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("set");
    let (mut replies, mut buffer) = (Vec::new(), [0; 65_535]);
    for window in questions.chunks(WINDOW) {
        let mut found: Vec<Option<Reply>> = vec![None; window.len()];
        let base = replies.len();
        for _ in 0..30 {
            for (at, question) in window.iter().enumerate().filter(|(at, _)| found[*at].is_none()) {
                socket.send(&question.to_wire((base + at) as u16)).expect("sent");
            }
            while found.contains(&None) {
                let Ok(octets) = socket.recv(&mut buffer) else { break };
                let id = u16::from_be_bytes([buffer[0], buffer[1]]);
                let at = id.wrapping_sub(base as u16) as usize;
                // A late answer to what was asked twice may come in the next window.
                let Some(question) = window.get(at) else { continue };
                let reply = Reply::read(&buffer[..octets]);
                found[at] = Some(reply.unwrap_or_else(|| panic!("{server}: malformed reply to {question:?}")));
            }
            if !found.contains(&None) {
                break;
            }
        }
        for (at, reply) in found.into_iter().enumerate() {
            replies.push(reply.unwrap_or_else(|| panic!("{server}: no reply to {:?}", window[at])));
        }
    }
    replies
}

/// The replies of `server` over one TCP connection, in the order of `questions`.
pub(crate) fn ask_all_over_tcp(server: SocketAddr, questions: &[Question]) -> Vec<Reply> {
    let mut stream = TcpStream::connect(server).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let mut replies = Vec::new();
    // Each round may wait for a delayed acknowledgement.
    for window in questions.chunks(8 * WINDOW) {
        let mut found: Vec<Option<Reply>> = vec![None; window.len()];
        let mut octets = Vec::new();
        for (at, question) in window.iter().enumerate() {
            let wire = question.to_wire(at as u16);
            octets.extend((wire.len() as u16).to_be_bytes());
            octets.extend(wire);
        }
        stream.write_all(&octets).expect("sent");
        // Answers may come in another order (RFC 7766 section 7).
        while found.contains(&None) {
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect("a length");
            let mut message = vec![0; u16::from_be_bytes(length) as usize];
            stream.read_exact(&mut message).expect("a message");
            let at = u16::from_be_bytes([message[0], message[1]]) as usize;
            let reply = Reply::read(&message);
            found[at] =
                Some(reply.unwrap_or_else(|| panic!("{server}: malformed reply to {}: {message:02x?}", window[at])));
        }
        replies.extend(found.into_iter().flatten());
    }
    replies
}
