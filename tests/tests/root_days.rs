//! Ten days of the real root zone, taken in by their dates: as of each, the option, `asof.` names and REST answer what Knot serves from
//! that day's file. It starts Knot ten times and asks some 20,000 questions, so it takes most of a minute.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
};

use conn3ction_tests::{
    Conn3ction,
    corpus::{Message, ask},
    free_address,
    random::Random,
    root, shell,
};
use serde_json::Value;

/// Of each day; every fifth of them by `asof.` name, too.
const QUESTIONS: u64 = 1_000;
/// Below a suffix that is not signed they would only mislead who validates.
const LEFT_OUT: [&str; 2] = [" DS", " NSEC"];

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Knot with the root zone of `file`.
fn knot(scratch: &Path, file: &Path) -> anyhow::Result<(Ends, u16)> {
    let (port, here) = (free_address().port(), scratch.display());
    let config = format!(
        "server:\n  rundir: {here}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         database:\n  storage: {here}/knot\nzone:\n  - domain: .\n    file: {}\n    semantic-checks: off\n    zonefile-sync: -1\n    \
         journal-content: none\n",
        file.display()
    );
    std::fs::write(scratch.join("knot.conf"), config)?;
    let mut command = Command::new("/usr/sbin/knotd");
    command.arg("-c").arg(scratch.join("knot.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let knot = Ends(command.spawn()?);
    let ask = format!("dig @127.0.0.1 -p {port} . SOA +short +tries=1 +time=1");
    shell(&format!("for i in $(seq 300); do {ask} | grep -q nstld && exit 0; sleep 0.1; done; exit 1"))?;
    Ok((knot, port))
}

/// Names of the file and names that are not there, each with a type.
fn questions(file: &Path, random: &mut Random) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file)?;
    let owners: BTreeSet<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let owners: Vec<&str> = owners.into_iter().filter(|owner| owner.ends_with('.')).collect();
    let types = ["NS", "DS", "A", "AAAA", "SOA", "TXT", "NSEC"];
    let question = |_| {
        let owner = owners[random.below(owners.len() as u64) as usize];
        let label = ["", "", "www.", "a.b."][random.below(4) as usize];
        let owner = match random.below(10) {
            0 => format!("nowhere-{}.", random.below(100)),
            _ if owner == "." => owner.to_owned(),
            _ => format!("{label}{owner}"),
        };
        format!("{owner} {}", types[random.below(types.len() as u64) as usize])
    };
    Ok((0..QUESTIONS).map(question).collect())
}

/// `message`, but for what an `asof.` name does differently: TTLs, its suffix, capitals, and the additional section.
fn by_name(message: &Message, suffix: &str) -> (String, BTreeSet<String>, BTreeSet<String>) {
    let record = |record: &String| {
        let words: Vec<_> = record.split(' ').collect();
        format!("{} {}", words[0], words[2..].join(" ")).to_lowercase().replace(suffix, ".")
    };
    let records = |section: &BTreeSet<String>| -> BTreeSet<String> {
        section.iter().filter(|record| !record.contains(" SOA ")).map(record).collect()
    };
    (message.rcode.clone(), records(&message.answer), records(&message.authority))
}

/// Owner, TTL, type and rdata of a record as dig prints it, without what two printers may do differently.
fn level(record: &str) -> String {
    let words: Vec<_> = record.split(' ').collect();
    format!("{} {} {} {}", words[0], words[1], words[3], words[4..].concat()).to_lowercase()
}

/// The records in the answer of a lookup, in the same form.
fn of_rest(lookup: &Value) -> BTreeSet<String> {
    let mut records = BTreeSet::new();
    for set in lookup["answer"].as_array().into_iter().flatten() {
        let text = |member: &str| set[member].as_str().unwrap_or_default().trim_end_matches('.').to_owned();
        for value in set["values"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            records.insert(level(&format!("{}. {} IN {} {value}", text("name"), set["ttl"], text("type"))));
        }
    }
    records
}

#[test]
fn each_day_of_the_root_zone_is_answered_as_knot_answered_it_by_option_by_name_and_over_rest() -> anyhow::Result<()> {
    let mut random = Random::new(Random::seed());
    let scratch = tempfile::tempdir()?;
    let days = scratch.path().join("days");
    std::fs::create_dir(&days)?;
    let data = root().join("tests/data/root-zone");
    shell(&format!("cp {0}/*[0-9].zone.gz {1} && gunzip {1}/*.gz", data.display(), days.display()))?;
    let server = Conn3ction::start(&scratch.path().join("data"), &["--ledger", "memory", "--zones", ""])?;
    let ran = server.cli(&["import-history", "--zone", ".", &days.to_string_lossy()])?;
    anyhow::ensure!(ran.code == 0, "{ran:?}");

    let mut files: Vec<_> = std::fs::read_dir(&days)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    files.sort();
    assert_eq!(files.len(), 10);
    for (file, revision) in files.iter().zip(1..) {
        let day = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let time = format!("{}T12:00:00Z", day.trim_end_matches(".zone"));
        let questions = questions(file, &mut random)?;
        let (_knot, port) = knot(scratch.path(), file)?;
        let of_day = ask(port, &questions, "+noedns +tcp")?;

        // By option: all that dig can tell is the same.
        let option: String = time.bytes().map(|octet| format!("{octet:02x}")).collect();
        let ours = ask(server.dns.port(), &questions, &format!("+ednsopt=65353:{option} +tcp"))?;
        for ((question, our), their) in questions.iter().zip(&ours).zip(&of_day) {
            assert_eq!(our, their, "{question} as of {time}");
        }

        // By name, as resolvers ask.
        let is_asked =
            |question: &str| !question.starts_with(". ") && !LEFT_OUT.iter().any(|it| question.ends_with(it));
        let some: Vec<usize> = (0..questions.len()).step_by(5).filter(|at| is_asked(&questions[*at])).collect();
        let suffix = format!(".r{revision}.asof.");
        let named: Vec<String> =
            some.iter().map(|at| questions[*at].replacen(". ", &format!("{suffix} "), 1)).collect();
        let named = ask(server.dns.port(), &named, "+noedns +tcp")?;
        for (at, our) in some.iter().zip(&named) {
            assert_eq!(by_name(our, &suffix), by_name(&of_day[*at], &suffix), "{} as of r{revision}", questions[*at]);
        }

        // Over REST.
        for (question, their) in questions.iter().zip(&of_day) {
            let (name, rtype) = question.split_once(' ').unwrap_or_default();
            let target = format!("/lookup?name={name}&type={rtype}&at={time}");
            let our = server.ask("GET", &target, "")?.json();
            assert_eq!(our["rcode"], their.rcode, "{target}: {our}");
            assert_eq!(of_rest(&our), their.answer.iter().map(|record| level(record)).collect(), "{target}: {our}");
        }
    }
    Ok(())
}
