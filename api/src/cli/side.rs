//! What `diff` compares: a moment of ours, a master file, or the zone as another server transfers it.

use std::{
    fmt, fs,
    io::BufReader,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use conn3ction_dns::transfer::{Limits, PullError, apex_of, pull};
use conn3ction_schemas::{
    Name, RecordType, When,
    zonefile::{Fault, Include, Reader, Zone},
};

use super::{
    client::{Client, Failure},
    output::Printer,
    zones::read_octets,
};
use crate::{
    import::{MAX_OCTETS, unpacked},
    past::origins,
};

/// Faults of a file that are told.
const TOLD: usize = 10;
/// How long a whole transfer may take.
const TRANSFER: Duration = Duration::from_secs(3_600);

/// One operand.
pub(super) enum Side {
    /// What our ledger says of that moment.
    Moment(String),
    /// A master file, unpacked; its path is `-` for standard input.
    File { path: String, octets: Vec<u8> },
    /// A server, by its name or address, and where it may be reached.
    Server { named: String, addresses: Vec<SocketAddr> },
}

impl Side {
    /// What `word` names, if it is an operand at all: a moment, `@SERVER[:PORT]`, or a file that is there. A name with its
    /// last dot is never taken for a file.
    pub(super) async fn of(word: &str) -> Result<Option<Self>, Failure> {
        if let Some(server) = word.strip_prefix('@') {
            let addresses = addresses(server).await.map_err(|why| Failure::Usage(format!("{word}: {why}")))?;
            return Ok(Some(Self::Server { named: word.into(), addresses }));
        }
        if word.parse::<When>().is_ok() {
            return Ok(Some(Self::Moment(word.into())));
        }
        let is_path = word == "-" || word.contains('/');
        if !is_path && (word.ends_with('.') || !Path::new(word).is_file()) {
            return Ok(None);
        }
        // What cannot be read is no difference, so it must not end as one.
        let unreadable = |why: &dyn fmt::Display| Failure::Usage(format!("{word}: {why}"));
        let octets = read_octets(word).map_err(|failure| match failure {
            Failure::File { source, .. } => unreadable(&source),
            failure => failure,
        })?;
        let octets = unpacked(octets).map_err(|error| unreadable(&error))?;
        let octets = octets.ok_or_else(|| unreadable(&format!("more than {MAX_OCTETS} octets, unpacked")))?;
        Ok(Some(Self::File { path: word.into(), octets }))
    }

    /// The zone that it is about, if it says so: a file by its SOA record and, where that is relative, by its own name; a
    /// server by the SOA above `name`.
    pub(super) async fn apex(&self, name: Option<&Name>, client: &Client) -> Result<Option<Name>, Failure> {
        match (self, name) {
            (Self::File { path, octets }, _) => Ok(told_by(path, octets)),
            (Self::Server { named, addresses }, Some(name)) => {
                let limits = limits(client);
                let asked = async |address| apex_of(address, name, limits).await;
                at_one_of(named, addresses, asked).await.map(Some)
            }
            (Self::Server { .. }, None) | (Self::Moment(_), _) => Ok(None),
        }
    }

    /// The zone, whole.
    pub(super) async fn zone(&self, apex: &Name, client: &Client, printer: &Printer) -> Result<Zone, Failure> {
        let assembled = match self {
            Self::Moment(when) => {
                let url = client.url(&["zones", &apex.without_dot(), "zonefile"], &[("at", Some(when))]);
                let text = client.text(url, "text/dns").await?;
                Zone::assemble(apex, Reader::new(&text[..], apex.clone()))
            }
            Self::File { path, octets } => {
                let reader = Reader::new(&octets[..], apex.clone()).with_include(include(path));
                Zone::assemble(apex, reader)
            }
            Self::Server { named, addresses } => {
                let limits = limits(client);
                let records = at_one_of(named, addresses, async |address| pull(address, apex, limits).await).await?;
                Zone::assemble(apex, records.into_iter().map(Ok))
            }
        };
        // A transfer has no lines; its records are numbered.
        let told = |fault: &Fault| match self {
            Self::Server { .. } => format!("{self}: record {}: {}", fault.line, fault.detail),
            Self::File { .. } | Self::Moment(_) => format!("{self}: {fault}"),
        };
        let zone = assembled.map_err(|faults| {
            let mut lines: Vec<_> = faults.iter().take(TOLD).map(told).collect();
            if faults.len() > TOLD {
                lines.push(format!("and {} more", faults.len() - TOLD));
            }
            Failure::Usage(lines.join("\n"))
        })?;
        zone.warnings.iter().for_each(|warning| printer.note(&format!("warning: {}", told(warning))));
        Ok(zone)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File { path, .. } if path == "-" => "standard input",
            Self::Moment(named) | Self::File { path: named, .. } | Self::Server { named, .. } => named,
        })
    }
}

/// The owner of the first SOA; without an origin of its own the file's name tells it, if that has a zone's name.
fn told_by(path: &str, octets: &[u8]) -> Option<Name> {
    let soa = |origin: &Name| {
        let mut records = Reader::new(octets, origin.clone()).with_include(include(path));
        let found = records.find_map(|record| record.ok().filter(|record| record.rtype == RecordType::SOA));
        found.map(|record| record.owner)
    };
    let apex = soa(&Name::root())?;
    if !apex.is_root() {
        return Some(apex);
    }
    let named = origins::named(path);
    soa(&named).filter(|_| named.label_count() > 1)
}

/// Opens what `$INCLUDE` names beside the file.
fn include<'a>(path: &str) -> Include<'a> {
    let folder = Path::new(path).parent().unwrap_or(Path::new("")).to_owned();
    Box::new(move |name| {
        let file = fs::File::open(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        Ok(Box::new(BufReader::new(file)))
    })
}

fn limits(client: &Client) -> Limits {
    Limits { message: client.timeout(), whole: TRANSFER, octets: MAX_OCTETS }
}

/// What the first address that takes the question answers.
async fn at_one_of<T>(
    named: &str,
    addresses: &[SocketAddr],
    ask: impl AsyncFn(SocketAddr) -> Result<T, PullError>,
) -> Result<T, Failure> {
    let mut last = None;
    for address in addresses {
        match ask(*address).await {
            Ok(done) => return Ok(done),
            Err(PullError::Answer(bad)) => return Err(Failure::Unreachable(format!("{named} {bad}"))),
            Err(PullError::Connection(error)) => last = Some(format!("no answer from {named} ({address}): {error}")),
        }
    }
    Err(Failure::Unreachable(last.unwrap_or_else(|| format!("{named} has no address"))))
}

/// The addresses of `HOST`, `HOST:PORT`, `[2001:db8::1]:PORT` or a bare address; port 53 if none is said.
async fn addresses(text: &str) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![(address, 53).into()]);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| "write @HOST or @HOST:PORT")?),
        None => (text, 53),
    };
    if host.is_empty() {
        return Err("write @HOST or @HOST:PORT".into());
    }
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| error.to_string())?;
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_zone_by_its_soa_or_by_its_name() {
        let told = |path: &str, text: &str| told_by(path, text.as_bytes()).map(|apex| apex.to_string());
        let soa = "@ 60 IN SOA ns host 1 2 3 4 5\n";
        for (path, text, apex) in [
            ("x", format!("$ORIGIN a.example.\n{soa}"), Some("a.example.")),
            ("x", "b.example. 60 IN SOA ns host 1 2 3 4 5\n".to_owned(), Some("b.example.")),
            ("x", format!("www 60 A 192.0.2.1\n$ORIGIN a.example.\n{soa}"), Some("a.example.")),
            ("zones/db.c.example", soa.to_owned(), Some("c.example.")),
            ("c.example.zone.gz", format!("$TTL 60\n{soa}"), Some("c.example.")),
            ("zone.db", soa.to_owned(), None),
            ("-", soa.to_owned(), None),
            ("a.example", "www 60 A 192.0.2.1\n".to_owned(), None),
        ] {
            assert_eq!(told(path, &text).as_deref(), apex, "{path} {text}");
        }
    }

    #[tokio::test]
    async fn a_server_is_told_by_address_or_name_with_or_without_a_port() {
        for (text, address) in [
            ("192.0.2.1", Some("192.0.2.1:53")),
            ("192.0.2.1:1053", Some("192.0.2.1:1053")),
            ("2001:db8::1", Some("[2001:db8::1]:53")),
            ("[2001:db8::1]", Some("[2001:db8::1]:53")),
            ("[2001:db8::1]:1053", Some("[2001:db8::1]:1053")),
            ("192.0.2.1:x", None),
            (":53", None),
            ("", None),
        ] {
            let found = addresses(text).await.ok().map(|found| found[0].to_string());
            assert_eq!(found.as_deref(), address, "{text}");
        }
    }
}
