//! A responder on free ports of loopback, its writer, and the tools that question it.

use conn3ction_dns::{
    Server, Writer,
    server::{Config, Counters},
    store::{Store, Version, View},
};
use conn3ction_schemas::{
    Name, Rdata, RecordSet, RecordType, Serial, SetKey, Timestamp, Ttl,
    zonefile::{Zone, write_zone},
};
use std::{net::SocketAddr, process::Command, sync::Arc, thread::JoinHandle, time::Duration};
use tokio_util::sync::CancellationToken;

/// A responder that runs until it is dropped.
pub(crate) struct Responder {
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    store: Arc<Store>,
    writer: Writer,
    version: u64,
    stop: CancellationToken,
    running: Option<JoinHandle<std::io::Result<()>>>,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn set(rtype: RecordType, ttl: u32, values: &[&str]) -> RecordSet {
    let rdata = values.iter().map(|value| Rdata::parse(rtype, value, None).expect("rdata")).collect();
    RecordSet::new(Ttl::from_secs(ttl).expect("a TTL"), rdata).expect("a set")
}

impl Responder {
    /// Serves nothing yet on a free port, with `config` for the rest.
    pub(crate) fn start(config: Config) -> Self {
        Self::start_on(Store::new(), config)
    }

    /// Serves what `writer` made of `store`.
    pub(crate) fn start_on((store, writer): (Arc<Store>, Writer), config: Config) -> Self {
        let config = Config { listen: vec!["127.0.0.1:0".parse().expect("an address")], udp_threads: 2, ..config };
        let server = Server::bind(config, Arc::clone(&store)).expect("bound");
        let (address, counters, stop) = (server.addresses()[0], server.counters(), CancellationToken::new());
        let token = stop.clone();
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(server.run(token))
        });
        let version = store.published().0;
        Self { address, counters, store, writer, version, stop, running: Some(running) }
    }

    /// Publishes `changes` to `zone` as one version with `serial`: owner, type, values (none: the set goes).
    pub(crate) fn publish(&mut self, zone: &str, serial: u32, changes: &[(&str, RecordType, &[&str])]) {
        let zone = name(zone);
        self.version += 1;
        self.writer.begin(Version(self.version), Timestamp(self.version as i64));
        self.writer.create_zone(&zone);
        for (owner, rtype, values) in changes {
            let records = (!values.is_empty()).then(|| set(*rtype, 300, values));
            self.writer.set(&zone, &name(owner), SetKey::of(*rtype), records.as_ref());
        }
        self.writer.serial(&zone, Serial(serial));
        self.writer.publish();
    }

    /// Publishes a zone with delegation, glue, occluded data, a wildcard and `hosts` hosts.
    pub(crate) fn publish_example(&mut self, hosts: usize) {
        let soa = "ns1.example. hostmaster.example. 1 3600 600 86400 300";
        let names: Vec<String> = (0..hosts).map(|host| format!("host{host}.example.")).collect();
        let mut changes: Vec<(&str, RecordType, &[&str])> = vec![
            ("example.", RecordType::SOA, std::slice::from_ref(&soa)),
            ("example.", RecordType::NS, &["ns1.example."]),
            ("ns1.example.", RecordType::A, &["127.0.0.1"]),
            ("*.wild.example.", RecordType::TXT, &["\"a wildcard\"", "\"of two\""]),
            ("sub.example.", RecordType::NS, &["ns.sub.example."]),
            ("ns.sub.example.", RecordType::A, &["192.0.2.53"]),
            ("occluded.sub.example.", RecordType::A, &["192.0.2.54"]),
        ];
        changes.extend(names.iter().map(|name| (name.as_str(), RecordType::A, &["192.0.2.1", "192.0.2.2"] as &[&str])));
        self.publish("example.", 1, &changes);
    }

    /// Publishes whole zones as one version.
    pub(crate) fn load<'z>(&mut self, zones: impl IntoIterator<Item = (&'z Name, &'z Zone)>) {
        self.version += 1;
        self.writer.begin(Version(self.version), Timestamp(self.version as i64));
        for (apex, zone) in zones {
            self.writer.create_zone(apex);
            for set in &zone.sets {
                self.writer.set(apex, &set.owner, set.key, Some(&set.set));
            }
        }
        self.writer.publish();
    }

    /// What is served now.
    pub(crate) fn view(&self) -> View {
        self.store.now()
    }

    /// What a zone that is served now looks like as a master file.
    pub(crate) fn export(&self, apex: &Name) -> String {
        let view = self.store.now();
        let zone = view.zone(apex).expect("a zone");
        let owners: Vec<_> = zone.owners().collect();
        let sets = owners.iter().flat_map(|owner| {
            let sets: Vec<_> = owner.sets().map(|set| (owner.name(), set.key(), set.to_record_set())).collect();
            sets
        });
        let mut text = Vec::new();
        write_zone(&mut text, apex, sets).expect("memory takes it");
        String::from_utf8(text).expect("master files are ASCII")
    }

    pub(crate) fn delete_zone(&mut self, zone: &str) {
        self.version += 1;
        self.writer.begin(Version(self.version), Timestamp(self.version as i64));
        self.writer.delete_zone(&name(zone));
        self.writer.publish();
    }

    /// What `dig` prints, one try with patience for a busy machine.
    pub(crate) fn dig(&self, arguments: &[&str]) -> String {
        dig(self.address, arguments)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.cancel();
        let ended = self.running.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("ran").expect("no panic").expect("ended in order");
        }
    }
}

/// What `dig` prints for `arguments` asked of `server`.
pub(crate) fn dig(server: SocketAddr, arguments: &[&str]) -> String {
    let (ip, port) = (format!("@{}", server.ip()), server.port().to_string());
    let output = Command::new("dig").args([&ip, "-p", &port, "+tries=1", "+time=10"]).args(arguments).output();
    String::from_utf8(output.expect("dig is installed").stdout).expect("text")
}

/// Looks again and again until `found` gives something; the limit is far beyond what any machine needs.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begin = std::time::Instant::now();
    loop {
        match found() {
            Some(value) => return value,
            None if begin.elapsed() > Duration::from_secs(60) => panic!("waited in vain for {what}"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
