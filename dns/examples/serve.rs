//! Serves one master file: `serve 127.0.0.1:5300 example.zone`. Shows the whole of what the responder needs.

use conn3ction_dns::{
    Server,
    server::Config,
    store::{Store, Version, Writer},
};
use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, Serial, SetKey, Timestamp, Ttl};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
};
use tokio_util::sync::CancellationToken;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, file] = &arguments[..] else { anyhow::bail!("usage: serve ADDRESS MASTER-FILE") };
    serve(address.parse()?, Path::new(file), true)
}

/// Answers on `address` until the process ends.
pub fn serve(address: SocketAddr, file: &Path, coalesce: bool) -> anyhow::Result<()> {
    let (store, mut writer) = Store::new();
    load(&mut writer, BufReader::new(File::open(file)?))?;
    let config = Config { listen: vec![address], udp_threads: 1, coalesce, ..Config::default() };
    let server = Server::bind(config, store)?;
    println!("{}", server.addresses()[0]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(runtime.block_on(server.run(CancellationToken::new()))?)
}

/// Publishes the records of a master file as one version. One record a line, everything spelled out, the SOA first, the
/// records of one set together.
pub fn load(writer: &mut Writer, lines: impl BufRead) -> anyhow::Result<()> {
    let mut zone = None;
    let mut set: Option<(Name, SetKey, Ttl, Vec<Rdata>)> = None;
    writer.begin(Version(1), Timestamp(0));
    for line in lines.lines() {
        let line = line?;
        let fields: Vec<&str> = line.splitn(5, ' ').collect();
        let &[owner, ttl, _class, rtype, rdata] = &fields[..] else { anyhow::bail!("not a record: {line}") };
        let (owner, ttl, rtype): (Name, _, RecordType) =
            (owner.parse()?, Ttl::from_secs(ttl.parse()?)?, rtype.parse()?);
        let rdata = Rdata::parse(rtype, rdata, None)?;
        let key = SetKey::for_rdata(rtype, &rdata);
        let apex = zone.get_or_insert_with(|| owner.clone());
        match &mut set {
            Some((last, last_key, _, values)) if *last == owner && *last_key == key => values.push(rdata),
            _ => flush(writer, apex, set.replace((owner, key, ttl, vec![rdata])))?,
        }
    }
    if let Some(apex) = zone {
        flush(writer, &apex, set)?;
        writer.serial(&apex, Serial(1));
    }
    writer.publish();
    Ok(())
}

fn flush(writer: &mut Writer, apex: &Name, set: Option<(Name, SetKey, Ttl, Vec<Rdata>)>) -> anyhow::Result<()> {
    if let Some((owner, key, ttl, rdata)) = set {
        writer.set(apex, &owner, key, Some(&RecordSet::new(ttl, rdata)?));
    }
    Ok(())
}
