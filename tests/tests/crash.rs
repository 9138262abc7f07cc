//! kill -9 at random points of a write load: nothing acknowledged is lost, nothing is applied twice, no answer was a lie.

use conn3ction_tests::{Conn3ction, etcd::Etcd, load::Load, random::Random};

#[test]
fn a_server_on_files_is_killed_again_and_again() -> anyhow::Result<()> {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let data = tempfile::tempdir()?;
    let mut server = Conn3ction::start(data.path(), &[])?;
    let load = Load::start(seed, 8, &[server.http]);
    for _ in 0..8 {
        load.acknowledged(1 + random.below(200))?;
        server.kill()?;
        server = Conn3ction::start(data.path(), &[])?;
        load.aim(&[server.http]);
    }
    load.acknowledged(50)?;
    let written = load.stop()?;
    assert!(written.sent_again > 0, "no request was in flight when a server died");
    println!(
        "{} acknowledged, {} sent again, {} replayed",
        written.acknowledged.len(),
        written.sent_again,
        written.replayed
    );
    written.audit(&server)?;
    server.kill()?;
    written.audit(&Conn3ction::start(data.path(), &[])?)
}

#[test]
fn servers_on_one_etcd_and_etcd_itself_are_killed_again_and_again() -> anyhow::Result<()> {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let mut etcd = Etcd::start(&[])?;
    let url = etcd.url.clone();
    let data = [tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?];
    let start = |place: usize| Conn3ction::start(data[place].path(), &["--etcd-endpoints", &url]);
    let mut servers = vec![start(0)?, start(1)?];
    let addresses = |servers: &[Conn3ction]| servers.iter().map(|server| server.http).collect::<Vec<_>>();
    let load = Load::start(seed, 8, &addresses(&servers));
    for round in 0..9 {
        load.acknowledged(1 + random.below(100))?;
        match round % 3 {
            2 => {
                etcd.kill()?;
                etcd.run()?;
            }
            place => {
                // The dead one's address stays known to the clients until the new one listens.
                servers.remove(place).kill()?;
                servers.insert(place, start(place)?);
            }
        }
        load.aim(&addresses(&servers));
    }
    load.acknowledged(50)?;
    let written = load.stop()?;
    assert!(written.sent_again > 0, "no request was in flight when a server died");
    println!(
        "{} acknowledged, {} denied, {} sent again, {} replayed",
        written.acknowledged.len(),
        written.denied.len(),
        written.sent_again,
        written.replayed
    );
    for server in &servers {
        written.audit(server)?;
    }
    written.audit_keys(&etcd)?;
    etcd.kill()?;
    etcd.run()?;
    // One that knows nothing but what is in etcd.
    written.audit(&start(2)?)
}
