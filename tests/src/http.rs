//! A client of a few lines: one connection a request, nothing added, so that a test says every header itself.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer encoding.
    pub body: String,
}

impl Answer {
    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Reads one answer off `stream`; `head` says that it has no body.
    ///
    /// # Errors
    ///
    /// The connection's, or what is no HTTP.
    pub fn read(stream: TcpStream, head: bool) -> anyhow::Result<Self> {
        let mut reader = BufReader::new(stream);
        let (status, headers) = head_of(&mut reader)?;
        let mut answer = Self { status, headers, body: String::new() };
        let mut body = Vec::new();
        if answer.header("transfer-encoding") == "chunked" {
            while let Some(piece) = chunk(&mut reader)? {
                body.extend(piece);
            }
        } else if !head {
            match answer.header("content-length").parse() {
                Ok(length) => reader.take(length).read_to_end(&mut body)?,
                Err(_) => reader.read_to_end(&mut body)?,
            };
        }
        answer.body = String::from_utf8(body)?;
        Ok(answer)
    }
}

/// Status and headers.
fn head_of(reader: &mut impl BufRead) -> anyhow::Result<(u16, Vec<(String, String)>)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| anyhow::anyhow!("no status line: {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        // A server that dies here has not answered.
        anyhow::ensure!(reader.read_line(&mut line)? > 0, "the connection ended within the headers");
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => return Ok((status, headers)),
        }
    }
}

fn chunk(reader: &mut impl BufRead) -> anyhow::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let size = usize::from_str_radix(line.trim(), 16).map_err(|_| anyhow::anyhow!("no chunk size: {line:?}"))?;
    let mut piece = vec![0; size + 2];
    reader.read_exact(&mut piece)?;
    piece.truncate(size);
    Ok((size > 0).then_some(piece))
}

/// Sends `method` `target` with `headers` and `body`, and reads the answer.
///
/// # Errors
///
/// The connection's.
pub fn request(
    server: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> anyhow::Result<Answer> {
    let mut stream = connect(server)?;
    let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("Host: {server}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes())?;
    Answer::read(stream, method == "HEAD")
}

/// A connection whose reads give up after a minute, so that a hanging server fails a test.
///
/// # Errors
///
/// The system's.
pub fn connect(server: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// One client on one connection, which waits for each answer.
pub struct Client {
    stream: TcpStream,
    number: u32,
    answer: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub fn new(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = connect(server)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, number: 0, answer: vec![0; 64 * 1024] })
    }

    /// Gives `one.example.local` another address.
    ///
    /// # Errors
    ///
    /// The connection's, or the change was refused.
    pub fn change(&mut self) -> anyhow::Result<()> {
        self.number += 1;
        let body = format!(r#"{{"values":["10.9.{}.{}"]}}"#, self.number / 256, self.number % 256);
        self.ask("PUT /records/one.example.local/A", &body)
    }

    /// `GET /healthz`.
    ///
    /// # Errors
    ///
    /// As [`Client::change`].
    pub fn health(&mut self) -> anyhow::Result<()> {
        self.ask("GET /healthz", "")
    }

    fn ask(&mut self, what: &str, body: &str) -> anyhow::Result<()> {
        let (host, length) = (self.stream.peer_addr()?, body.len());
        let request = format!("{what} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}");
        self.stream.write_all(request.as_bytes())?;
        let count = self.stream.read(&mut self.answer)?;
        anyhow::ensure!(self.answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&self.answer[..count]));
        Ok(())
    }
}

/// Server-sent events, read one by one from an open connection.
pub struct Events(BufReader<TcpStream>, String);

impl Events {
    /// Follows `target`.
    ///
    /// # Errors
    ///
    /// The connection's, or another status than 200.
    pub fn follow(server: SocketAddr, target: &str, headers: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut stream = connect(server)?;
        let mut text = format!("GET {target} HTTP/1.1\r\nHost: {server}\r\nAccept: text/event-stream\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{text}\r\n").as_bytes())?;
        let mut reader = BufReader::new(stream);
        let (status, headers) = head_of(&mut reader)?;
        anyhow::ensure!(status == 200, "{status} {headers:?}");
        Ok(Self(reader, String::new()))
    }

    /// The next event: its id and its data. Comments are passed over.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub fn next_event(&mut self) -> anyhow::Result<(String, serde_json::Value)> {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let found = field("data:").map(|data| (field("id:").unwrap_or_default().to_owned(), data.to_owned()));
                self.1 = rest.to_owned();
                match found {
                    Some((id, data)) => return Ok((id, serde_json::from_str(&data)?)),
                    None => continue,
                }
            }
            let piece = chunk(&mut self.0)?.ok_or_else(|| anyhow::anyhow!("the stream of events ended"))?;
            self.1.push_str(&String::from_utf8(piece)?);
        }
    }
}
