//! The corpus of zones and questions, and what servers answer to them.

use std::collections::BTreeSet;

use crate::{root, shell};

/// What can be told from a message: RCODE, flags, and each section as a set of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The response code.
    pub rcode: String,
    /// The flags, as dig prints them.
    pub flags: String,
    /// Answer section.
    pub answer: BTreeSet<String>,
    /// Authority section.
    pub authority: BTreeSet<String>,
    /// Additional section.
    pub additional: BTreeSet<String>,
}

/// A file of the corpus.
///
/// # Errors
///
/// It cannot be read.
pub fn corpus(file: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(root().join("tests/data/corpus").join(file))?)
}

/// The zones of the corpus, parents first.
///
/// # Errors
///
/// It cannot be read.
pub fn zones() -> anyhow::Result<Vec<String>> {
    let mut zones = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/data/corpus"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        zones.extend(name.strip_suffix(".zone").map(str::to_owned));
    }
    zones.sort_by_key(|zone| (zone.split('.').count(), zone.clone()));
    Ok(zones)
}

/// The questions as dig takes them: name and type, but for those about zones that `is_left_out`.
///
/// # Errors
///
/// The corpus cannot be read.
pub fn questions(is_left_out: impl Fn(&str) -> bool) -> anyhow::Result<Vec<String>> {
    let (mut zone, mut questions) = (String::new(), Vec::new());
    for line in corpus("questions")?.lines() {
        if let Some(apex) = line.strip_prefix('[') {
            zone = apex.trim_end_matches(']').to_owned();
            continue;
        }
        if is_left_out(&zone) {
            continue;
        }
        let mut words = line.split(' ');
        let owner = match words.next().unwrap_or_default() {
            "@" => format!("{zone}."),
            owner => format!("{owner}.{zone}."),
        };
        questions.extend(words.map(|rtype| format!("{owner} {rtype}")));
    }
    Ok(questions)
}

/// Asks the server on `port` all questions, with dig's `options`.
///
/// # Errors
///
/// dig says so, or answers fewer.
pub fn ask(port: u16, questions: &[String], options: &str) -> anyhow::Result<Vec<Message>> {
    let mut file = tempfile::NamedTempFile::new()?;
    for question in questions {
        std::io::Write::write_all(&mut file, format!("{question}\n").as_bytes())?;
    }
    let printed = shell(&format!(
        "dig -f {} @127.0.0.1 -p {port} +norec +nocookie +tries=3 +time=2 +nocmd +nostats +noquestion +nosplit {options}",
        file.path().display()
    ))?;
    let mut messages: Vec<_> = printed.split(";; ->>HEADER<<-").skip(1).map(message).collect();
    anyhow::ensure!(messages.len() == questions.len(), "{} answers: {printed}", messages.len());
    for (message, question) in messages.iter_mut().zip(questions) {
        // dig's sockets share ports, so once in some ten thousand questions it asks from the server's own port, and gets
        // its question back.
        if !message.flags.starts_with("qr") {
            *message = ask(port, std::slice::from_ref(question), options)?.remove(0);
        }
    }
    Ok(messages)
}

fn message(text: &str) -> Message {
    let between = |start: &str, end: &str| {
        text.split_once(start).and_then(|(_, rest)| Some(rest.split_once(end)?.0.trim().to_owned())).unwrap_or_default()
    };
    let mut message =
        Message { rcode: between("status: ", ","), flags: between(";; flags: ", ";"), ..Message::default() };
    let mut section = None;
    for line in text.lines() {
        section = match line {
            ";; ANSWER SECTION:" => Some(&mut message.answer),
            ";; AUTHORITY SECTION:" => Some(&mut message.authority),
            ";; ADDITIONAL SECTION:" => Some(&mut message.additional),
            "" => None,
            record => {
                if let Some(section) = &mut section {
                    let mut words: Vec<_> = record.split_whitespace().map(str::to_owned).collect();
                    words[0].make_ascii_lowercase();
                    section.insert(words.join(" "));
                }
                section
            }
        };
    }
    if message.flags.contains("tc") {
        // How much of the answer goes along is free; who reads it asks again over TCP.
        message = Message { rcode: message.rcode, flags: message.flags, ..Message::default() };
    }
    message
}

/// Questions that a server is known to answer differently: `[server] reason`, then a question a line.
///
/// # Errors
///
/// The list cannot be read.
pub fn differences(server: &str) -> anyhow::Result<BTreeSet<String>> {
    let (mut is_meant, mut known) = (false, BTreeSet::new());
    for line in corpus("differences")?.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
            Some((who, _reason)) => is_meant = who == server,
            None if is_meant => drop(known.insert(line.to_owned())),
            None => {}
        }
    }
    Ok(known)
}
