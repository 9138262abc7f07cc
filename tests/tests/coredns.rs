//! CoreDNS with the etcd plugin, from the shipped Corefile, on a real etcd: it answers as we do, but for what the API
//! reports that its plugin cannot show.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Child, Command, Stdio},
};

use conn3ction_tests::{
    Conn3ction,
    corpus::{Message, ask, corpus, questions, zones},
    etcd::Etcd,
    free_address, root, shell, tool,
};
use serde_json::Value;

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(data: &Path, etcd: &Etcd, prefix: &str, more: &[&str]) -> anyhow::Result<Conn3ction> {
    let mut arguments = vec!["--ledger", "memory", "--zones", "", "--etcd-endpoints", &etcd.url];
    arguments.extend(["--etcd-zones-prefix", prefix]);
    arguments.extend(more);
    Conn3ction::start(data, &arguments)
}

/// What the zone keys are said not to show, once they show `revision`: `owner type` to the reason.
fn not_shown(server: &Conn3ction, revision: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let views = server.ask("GET", &format!("/projections?min_revision={revision}&wait=30s"), "")?;
    anyhow::ensure!(views.status == 200, "{views:?}");
    let views = views.json();
    let view = views.as_array().and_then(|views| views.iter().find(|view| view["view"] == "zone-keys"));
    let view = view.ok_or_else(|| anyhow::anyhow!("no zone keys: {views}"))?;
    let list = view["not_shown"].as_array().cloned().unwrap_or_default();
    let text = |item: &Value, member: &str| item[member].as_str().unwrap_or_default().to_owned();
    let told: BTreeMap<_, _> = list
        .iter()
        .map(|item| (format!("{}. {}", text(item, "name"), text(item, "type")), text(item, "reason")))
        .collect();
    anyhow::ensure!(view["not_shown_count"].as_u64().unwrap_or_default() as usize == list.len(), "{view}");
    Ok(told)
}

/// Every name that has records.
fn owners(server: &Conn3ction) -> anyhow::Result<BTreeSet<String>> {
    let records = server.ask("GET", "/records", "")?.json();
    let names = records.as_array().into_iter().flatten().filter_map(|record| record["name"].as_str());
    Ok(names.map(|name| format!("{name}.")).collect())
}

fn import(server: &Conn3ction, zone: &str, file: &str) -> anyhow::Result<String> {
    let answer = server.ask("POST", &format!("/zones/{zone}/import"), file)?;
    anyhow::ensure!(answer.status == 201, "{zone}: {answer:?}");
    Ok(answer.header("conn3ction-revision").to_owned())
}

/// CoreDNS from `deploy/Corefile.etcd`, for `zones` under `prefix`.
fn coredns(data: &Path, etcd: &Etcd, prefix: &str, zones: &[String]) -> anyhow::Result<(Ends, u16)> {
    let port = free_address().port();
    let shipped = std::fs::read_to_string(root().join("deploy/Corefile.etcd"))?;
    for part in ["example.local:53 ", "etcd example.local ", "path /conn3ction/zones\n", "http://127.0.0.1:2379"] {
        anyhow::ensure!(shipped.contains(part), "{part:?} is not in the Corefile");
    }
    let here = shipped
        .replace("example.local:53 ", &zones.iter().map(|zone| format!("{zone}:{port} ")).collect::<String>())
        .replace("etcd example.local ", &format!("etcd {} ", zones.join(" ")))
        .replace("path /conn3ction/zones\n", &format!("path {prefix}\n"))
        .replace("http://127.0.0.1:2379", &etcd.url);
    let corefile = data.join("Corefile");
    std::fs::write(&corefile, here)?;
    let mut command = Command::new(tool("coredns-1.15.0")?);
    let child = command.arg("-conf").arg(&corefile).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let ends = Ends(child);
    let dig = format!("dig @127.0.0.1 -p {port} {} SOA +short +tries=1 +time=1", zones[0]);
    shell(&format!("for i in $(seq 300); do {dig} | grep -q hostmaster && exit 0; sleep 0.1; done; exit 1"))?;
    Ok((ends, port))
}

/// What of a message a client acts on. CoreDNS sets AA, makes up SOAs and adds nothing; RCODE and answers must be the same.
fn seen(message: &Message) -> (String, BTreeSet<String>) {
    (message.rcode.clone(), message.answer.clone())
}

/// Compares `found` with the checked-in list in `file`, which `TESTS_BLESS=1` writes anew.
fn listed(file: &str, found: &[String]) -> anyhow::Result<()> {
    let path = root().join("tests/data/corpus").join(file);
    let text = found.join("\n") + "\n";
    if std::env::var_os("TESTS_BLESS").is_some() {
        std::fs::write(&path, &text)?;
    }
    let checked_in = std::fs::read_to_string(&path)?;
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (checked_in.lines().collect(), text.lines().collect());
    let (gone, come): (Vec<_>, Vec<_>) = (old.difference(&new).collect(), new.difference(&old).collect());
    anyhow::ensure!(gone.is_empty() && come.is_empty(), "{file}: no longer so: {gone:#?}\nnot listed: {come:#?}");
    Ok(())
}

#[test]
fn coredns_answers_as_we_do_but_for_what_the_api_reports() -> anyhow::Result<()> {
    for prefix in ["/conn3ction/zones", "/conn3ction-zones"] {
        let (data, etcd) = (tempfile::tempdir()?, Etcd::start(&[])?);
        let server = serve(data.path(), &etcd, prefix, &[])?;
        let mut revision = String::new();
        for zone in zones()? {
            revision = import(&server, &zone, &corpus(&format!("{zone}.zone"))?)?;
        }
        let reported = not_shown(&server, &revision)?;
        let owners = owners(&server)?;
        let (_coredns, port) = coredns(data.path(), &etcd, prefix, &zones()?)?;
        // ANY asks for whatever the server likes to give (RFC 8482).
        let questions: Vec<_> = questions(|_| false)?.into_iter().filter(|text| !text.ends_with(" ANY")).collect();
        let options = "+tcp +noedns";
        let (ours, theirs) = (ask(server.dns.port(), &questions, options)?, ask(port, &questions, options)?);
        let mut differ = Vec::new();
        let mut unexplained = Vec::new();
        for ((question, our), their) in questions.iter().zip(&ours).zip(&theirs) {
            if seen(our) == seen(their) {
                continue;
            }
            match explanation(&reported, &owners, question, our) {
                Some(set) => differ.push(format!("{question}: {set}")),
                None => unexplained.push(format!("{question}\nours {our:#?}\ntheirs {their:#?}")),
            }
        }
        let list: Vec<_> = reported.iter().map(|(set, reason)| format!("{set}: {reason}")).collect();
        listed("coredns-etcd.not-shown", &list)?;
        listed("coredns-etcd.differences", &differ)?;
        anyhow::ensure!(unexplained.is_empty(), "{} under {prefix}:\n{}", unexplained.len(), unexplained.join("\n"));
    }
    Ok(())
}

/// The reported record that makes the answer to `question` differ: one at a name that our answer goes through (a SOA, NS
/// or PTR only where it is asked for), a cut or DNAME above such a name, a wildcard above such a name that owns nothing.
fn explanation<'a>(
    reported: &'a BTreeMap<String, String>,
    owners: &BTreeSet<String>,
    question: &str,
    our: &Message,
) -> Option<&'a String> {
    let (owner, rtype) = question.split_once(' ').unwrap_or_default();
    let records = our.answer.iter().map(|record| record.split(' '));
    let through = records.flat_map(|mut words| [words.next(), words.next_back()]).flatten();
    let names: BTreeSet<String> = through.chain([owner]).map(str::to_ascii_lowercase).collect();
    let is_below = |at: &str| names.iter().any(|name| name.ends_with(&format!(".{at}")));
    let explains = |at: &str, kind: &str| match kind {
        _ if at.starts_with("*.") => {
            let is_below = |name: &String| name.ends_with(&at[1..]);
            names.contains(at) || names.iter().any(|name| is_below(name) && !owners.contains(name))
        }
        // A zone's own name servers are seen only by who asks for them.
        "NS" if !reported.contains_key(&format!("{at} SOA")) => names.contains(at) || is_below(at),
        "DNAME" => names.contains(at) || is_below(at),
        "PTR" if rtype == "TXT" => at.split_once('.').is_some_and(|(_, above)| above == owner),
        "CNAME" => names.contains(at),
        // Its target is given to who asks for an address.
        "SRV" => names.contains(at) && ["SRV", "A", "AAAA"].contains(&rtype),
        _ => names.contains(at) && kind == rtype,
    };
    let found = reported.keys().filter(|set| set.split_once(' ').is_some_and(|(at, kind)| explains(at, kind)));
    // The nearest one.
    found.max_by_key(|set| (!set.starts_with('*'), set.split('.').count()))
}
