//! `log -f`: the last events first, then each as it is committed, for as long as somebody reads. A server that is away is
//! waited for: who follows a log wants to be told when it is back, not to start anew.

use std::time::Duration;

use conn3ction_schemas::json;
use reqwest::Response;

use super::{
    client::{Client, Failure},
    output::Printer,
};

/// How many events are shown first.
const TAIL: u32 = 10;
/// The server says something every 15 s, so a connection that is silent for this long is broken.
const SILENCE: Duration = Duration::from_secs(60);
/// How long to wait before the server is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is followed, and where it begins.
pub(super) struct Followed<'a> {
    /// Which events.
    pub(super) query: Vec<(&'static str, Option<&'a str>)>,
    /// From this moment on; without it and without a number the last ten are shown first.
    pub(super) since: Option<&'a str>,
    /// So many events are shown first.
    pub(super) number: Option<u32>,
}

impl Followed<'_> {
    /// Gives `show` every event, for ever.
    ///
    /// # Errors
    ///
    /// The server refuses, or cannot be reached from the start.
    pub(super) async fn run(
        &self,
        client: &Client,
        printer: &Printer,
        show: impl Fn(&[json::EventJson]),
    ) -> Result<(), Failure> {
        let mut after = self.tail(client, &show).await?;
        let mut is_away = false;
        loop {
            match self.open(client, &after).await {
                Ok(response) => {
                    if std::mem::take(&mut is_away) {
                        printer.note(&format!("{} answers again; going on after {after}", client.base()));
                    }
                    stream(response, printer, &mut after, &show).await;
                    printer.note("the connection broke; going on where it stopped");
                }
                Err(failure @ Failure::Unreachable(_)) => told_once(&mut is_away, &failure, printer),
                Err(Failure::Refused(problem)) if problem.status >= 500 => {
                    told_once(&mut is_away, &Failure::Refused(problem), printer);
                }
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Shows what is asked for of the past, and says after which revision to go on.
    async fn tail(&self, client: &Client, show: &impl Fn(&[json::EventJson])) -> Result<String, Failure> {
        let number = self.number.or(self.since.is_none().then_some(TAIL));
        // A page has one event at least; of none only the revision is wanted.
        let limit = number.map(|number| number.max(1).to_string());
        let order = if limit.is_some() { "desc" } else { "asc" };
        let mut query = self.query.clone();
        query.extend([("from", self.since), ("limit", limit.as_deref()), ("order", Some(order))]);
        let mut events = client.lines(client.url(&["events"], &query)).await?;
        let head = events.header("conn3ction-revision").unwrap_or_else(|| "r0".into());
        let mut page = Vec::new();
        while let Some(event) = events.next::<json::EventJson>().await? {
            match number {
                None => show(&[event]),
                Some(_) => page.push(event),
            }
        }
        page.reverse();
        if number.is_some_and(|number| number > 0) && !page.is_empty() {
            show(&page);
        }
        Ok(head)
    }

    async fn open(&self, client: &Client, after: &str) -> Result<Response, Failure> {
        let mut query = self.query.clone();
        query.push(("after", Some(after)));
        client.open(client.url(&["events"], &query), "text/event-stream").await
    }
}

fn told_once(is_away: &mut bool, failure: &Failure, printer: &Printer) {
    if !std::mem::replace(is_away, true) {
        printer.note(&format!("{failure}; trying again until there is an answer"));
    }
}

/// Reads one connection to its end and notes in `after` how far it came.
async fn stream(mut response: Response, printer: &Printer, after: &mut String, show: &impl Fn(&[json::EventJson])) {
    let mut buffer = Vec::new();
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(SILENCE, response.chunk()).await {
        buffer.extend_from_slice(&chunk);
        while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = buffer.drain(..end + 2).collect();
            match Block::parse(&block) {
                Some(Block::Event(event)) => {
                    *after = format!("{}:{}", event.epoch, event.revision);
                    show(&[*event]);
                }
                Some(Block::Problem(detail)) => printer.note(&detail),
                None => {}
            }
        }
    }
}

/// A block of a server-sent stream.
enum Block {
    Event(Box<json::EventJson>),
    /// Why an event cannot be shown.
    Problem(String),
}

impl Block {
    /// Of what only keeps the connection alive there is none.
    fn parse(block: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(block).ok()?;
        let field =
            |name: &'static str| text.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':'));
        let data: Vec<_> = field("data").map(str::trim_start).collect();
        let data = (!data.is_empty()).then(|| data.join("\n"))?;
        if field("event").any(|kind| kind.trim() == "problem") {
            return Some(Self::Problem(data));
        }
        serde_json::from_str(&data).ok().map(|event| Self::Event(Box::new(event)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_of_a_stream_are_told_and_signs_of_life_are_not() {
        let problem = Block::parse(b"event: problem\ndata: the ledger\ndata: is away\n\n");
        assert!(matches!(problem, Some(Block::Problem(detail)) if detail == "the ledger\nis away"));
        assert!(Block::parse(b":\n\n").is_none());
    }
}
