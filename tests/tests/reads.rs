//! What a reader may rely on while others write: a final moment reads the same for ever, a token is honoured or refused.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread::sleep,
    time::Duration,
};

use conn3ction_tests::{Conn3ction, etcd::Etcd, load::Load, random::Random};

/// What is read of a moment: the zone with its serial, and every record.
fn reads(server: &Conn3ction, at: &str) -> anyhow::Result<Option<(String, String)>> {
    let mut both = Vec::new();
    for path in ["/zones/example.local/zonefile", "/records"] {
        let answer = server.ask("GET", &format!("{path}?at={at}"), "")?;
        anyhow::ensure!(answer.status == 200, "{at}: {answer:?}");
        if answer.header("conn3ction-final") == "false" {
            return Ok(None);
        }
        both.push(answer.body);
    }
    let records = both.pop().unwrap_or_default();
    Ok(both.pop().map(|zone| (zone, records)))
}

/// Guarantee 17.
#[test]
fn a_final_moment_reads_the_same_for_ever_at_every_server_and_after_a_crash() -> anyhow::Result<()> {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let etcd = Etcd::start(&[])?;
    let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
    let start = |at: usize| Conn3ction::start(directories[at].path(), &["--etcd-endpoints", &etcd.url]);
    let mut servers = [start(0)?, start(1)?];
    let load = Load::start(seed, 4, &servers.each_ref().map(|server| server.http));
    let mut known: BTreeMap<String, (String, String)> = BTreeMap::new();
    for _ in 0..60 {
        load.acknowledged(random.below(8))?;
        let server = &servers[random.below(2) as usize];
        // A moment that nothing has passed yet: the question itself makes it final.
        let now = server.ask("GET", "/zones/example.local?at=0s", "")?;
        let moment = now.header("conn3ction-time").to_owned();
        if let Some(read) = reads(server, &moment)? {
            known.insert(moment, read);
        }
        let earlier = known.iter().nth(random.below(known.len().max(1) as u64) as usize);
        if let Some((moment, read)) = earlier
            && let Some(again) = reads(&servers[random.below(2) as usize], moment)?
        {
            anyhow::ensure!(again == *read, "{moment} was final, and reads otherwise now");
        }
    }
    anyhow::ensure!(known.len() >= 30, "only {} moments were final", known.len());
    load.stop()?;
    for (at, server) in servers.iter_mut().enumerate() {
        let server = start_again(server, || start(at))?;
        for (moment, read) in &known {
            let again = reads(server, moment)?;
            anyhow::ensure!(again.as_ref() == Some(read), "{moment} was final, and reads otherwise after a crash");
        }
    }
    Ok(())
}

/// Kills a server and starts it again.
fn start_again(
    server: &mut Conn3ction,
    start: impl FnOnce() -> anyhow::Result<Conn3ction>,
) -> anyhow::Result<&Conn3ction> {
    anyhow::ensure!(Command::new("kill").args(["-9", &server.pid().to_string()]).status()?.success());
    *server = start()?;
    Ok(server)
}

/// A way to `upstream` on which all that comes back is late, by up to 40 ms: who follows through it is behind.
fn slow_way(upstream: &str, seed: u64) -> anyhow::Result<String> {
    let upstream: SocketAddr = upstream.trim_start_matches("http://").parse()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for (client, number) in listener.incoming().map_while(Result::ok).zip(0..) {
            let Ok(server) = TcpStream::connect(upstream) else { continue };
            let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { continue };
            std::thread::spawn(move || pass(from, to, || {}));
            let mut random = Random::new(seed ^ number);
            std::thread::spawn(move || pass(server, client, || sleep(Duration::from_millis(random.below(40)))));
        }
    });
    Ok(format!("http://{address}"))
}

/// Passes octets on until either side is gone.
fn pass(mut from: TcpStream, mut to: TcpStream, mut before: impl FnMut()) {
    let mut octets = [0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut octets) {
        before();
        if to.write_all(&octets[..count]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
}

/// Guarantee 19.
#[test]
fn a_read_with_a_token_shows_it_or_says_that_it_does_not_yet() -> anyhow::Result<()> {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let etcd = Etcd::start(&[])?;
    let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
    let writer = Conn3ction::start(directories[0].path(), &["--etcd-endpoints", &etcd.url])?;
    let slow = slow_way(&etcd.url, seed)?;
    let reader = Conn3ction::start(directories[1].path(), &["--role", "api", "--etcd-endpoints", &slow])?;
    let (mut shown, mut refused) = (0, 0);
    for number in 1..=150 {
        let body = format!(r#"{{"type":"TXT","values":["\"{number}\""]}}"#);
        let written = writer.ask("PUT", "/records/a.example.local/TXT", &body)?;
        anyhow::ensure!(written.status < 300, "{written:?}");
        let token = written.header("conn3ction-revision");
        let wait = ["0s", "5ms", "30s"][random.below(3) as usize];
        let read = reader.ask("GET", &format!("/records/a.example.local/TXT?min_revision={token}&wait={wait}"), "")?;
        match read.status {
            200 => {
                // Nobody else writes.
                anyhow::ensure!(read.json()["values"][0] == format!("\"{number}\""), "{token}: {read:?}");
                anyhow::ensure!(read.header("conn3ction-revision") == token, "{token}: {read:?}");
                shown += 1;
            }
            503 => {
                anyhow::ensure!(read.json()["type"] == "/problems/not-caught-up", "{read:?}");
                anyhow::ensure!(wait != "30s", "30 s were not enough: {read:?}");
                refused += 1;
            }
            _ => anyhow::bail!("{read:?}"),
        }
    }
    println!("{shown} shown, {refused} refused");
    anyhow::ensure!(
        shown > 0 && refused > 0,
        "the reader was never behind, or always: {shown} shown, {refused} refused"
    );
    Ok(())
}
