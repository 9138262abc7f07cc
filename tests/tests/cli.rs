//! Every verb of the command line: what it prints for people and for programs, its exit code, its words when it fails.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use conn3ction_tests::{Conn3ction, Ran, binary, shell};
use serde_json::Value;

const VERBS: [&str; 22] = [
    "serve",
    "get",
    "set",
    "add",
    "remove",
    "delete",
    "apply",
    "zone",
    "import",
    "export",
    "log",
    "show",
    "blame",
    "bisect",
    "status",
    "verify",
    "replay",
    "rebuild",
    "completions",
    "import-history",
    "lookup",
    "migrate",
];

fn server() -> anyhow::Result<(tempfile::TempDir, Conn3ction)> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    Ok((data, server))
}

/// Runs `line`, split at spaces, with `input`; the end of a line from `'` on is one word.
fn run(server: &Conn3ction, line: &str, input: &str) -> anyhow::Result<Ran> {
    let (words, last) = line.split_once(" '").map_or((line, None), |(words, last)| (words, Some(last)));
    let mut command = Command::new(binary());
    command.args(["--server", &format!("http://{}", server.http)]).args(words.split_ascii_whitespace()).args(last);
    Ran::new(&mut command, input)
}

/// What differs from run to run replaced: dates and times by `T`, hashes by `H`, ages by `A`.
fn leveled(text: &str) -> String {
    let level = |word: &str| {
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        let is_hash = word.len() == 64 && word.bytes().all(|octet| octet.is_ascii_hexdigit());
        let is_time = word.ends_with('Z') && word.bytes().filter(|octet| *octet == b':').count() == 2;
        let is_age = word.strip_suffix(['s', 'm']).is_some_and(all_digits);
        match (is_hash, is_time, is_age) {
            (true, ..) => Some("H".to_owned()),
            (_, true, _) => Some("T".to_owned()),
            (.., true) => Some("A".to_owned()),
            _ if word.len() == 10 && word.split('-').all(all_digits) && word.contains('-') => None,
            _ => Some(word.to_owned()),
        }
    };
    let lines = text.lines().map(|line| line.split_ascii_whitespace().filter_map(level).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_verb_prints_its_result_on_stdout_and_its_words_on_stderr() -> anyhow::Result<()> {
    let (_data, server) = server()?;
    // The line, its input, the exit code, standard output and standard error.
    #[rustfmt::skip]
    let cases: &[(&str, &str, i32, &str, &str)] = &[
        ("set app.example.local. A 10.0.0.1 10.0.0.2 --ttl 30 -m 'first address", "", 0,
         "+ app.example.local. 30 A\n+ 10.0.0.1\n+ 10.0.0.2", "r2 records-changed; example.local serial 2; answers r2"),
        ("add app.example.local A 10.0.0.3", "", 0,
         "~ app.example.local. 30 A\n+ 10.0.0.3", "r3 records-changed; example.local serial 3; answers r3"),
        ("remove app.example.local A 10.0.0.1", "", 0,
         "~ app.example.local. 30 A\n- 10.0.0.1", "r4 records-changed; example.local serial 4; answers r4"),
        ("set app.example.local A 10.0.0.2 10.0.0.3", "", 0, "", "nothing to change: it has been so since r4"),
        ("get app.example.local", "", 0, "NAME TTL TYPE VALUES\napp.example.local 30 A 10.0.0.2 10.0.0.3", ""),
        ("get app.example.local A -o zone", "", 0, "app.example.local. 30 IN A 10.0.0.2\napp.example.local. 30 IN A 10.0.0.3", ""),
        ("get --under none.example.local -o csv", "", 0, "name,ttl,type,values,covers,zone,revision,time,actor,reason", "no record set fits"),
        ("get app.example.local -o wide", "", 0,
         "NAME TTL TYPE VALUES COVERS ZONE REVISION TIME ACTOR REASON\napp.example.local 30 A 10.0.0.2 10.0.0.3 example.local 4 T tester", ""),
        ("get --zone example.local --at r1", "", 0,
         "NAME TTL TYPE VALUES\nexample.local 60 NS localhost.\nexample.local 60 SOA localhost. hostmaster.example.local. 1 60 30 1209600 60", ""),
        ("get nothing.example.local", "", 1, "", "conn3ction: nothing.example.local has no record set that fits: the name does not exist since r1 T conn3ction: first start with an empty ledger"),
        ("--dry-run delete app.example.local A", "", 0, "- app.example.local. 30 A\n- 10.0.0.2\n- 10.0.0.3",
         "0 created, 0 replaced, 1 deleted; old answers stay cached up to 30 s. Nothing was done (planned at r4)."),
        ("delete app.example.local A", "", 0, "- app.example.local. 30 A\n- 10.0.0.2\n- 10.0.0.3",
         "r5 records-changed; example.local serial 5; answers r5"),
        ("apply -", "# both at once\nset a.example.local. TXT '\"two\" \"texts\"' --ttl 5\nset b.example.local A 10.0.0.9\n", 0,
         "+ a.example.local. 5 TXT\n+ \"two\" \"texts\"\n+ b.example.local. 60 A\n+ 10.0.0.9",
         "r6 records-changed; example.local serial 6; answers r6"),
        ("apply -", r#"{"changes":[{"op":"delete","name":"a.example.local"}]}"#, 0, "- a.example.local. 5 TXT\n- \"two\" \"texts\"",
         "r7 records-changed; example.local serial 7; answers r7"),
        ("apply -", "set a.example.local. A 10.0.0.1\nput b A 1\n", 2, "", "conn3ction: line 2: no verb \"put\"; write set, add, remove or delete"),
        ("apply -", "", 2, "", "conn3ction: there is nothing to apply: no line with a verb, no JSON"),
        ("apply /nowhere", "", 1, "", "conn3ction: /nowhere: No such file or directory (os error 2)"),
        ("apply -", "set a.example.local. A 10.0.0.1\nset b.elsewhere.test A 10.0.0.1\nset c.example.local A x\n", 1, "",
         "conn3ction: 2 faults; nothing was done\nline 2: b.elsewhere.test is in no zone here (zones here: example.local; to make one: conn3ction zone create elsewhere.test)\n\
          line 3: A: address: `x` is no IPv4 address such as 192.0.2.1 (the form is: address)"),
        ("set b.shop.test A 10.0.0.1", "", 1, "",
         "conn3ction: Outside every zone: b.shop.test is in no zone here\nzones here: example.local; to make one: conn3ction zone create shop.test"),
        ("delete b.example.local MX", "", 1, "", "conn3ction: No such record set: b.example.local has no MX set"),
        ("set b.example.local CNAME a.example.local.", "", 3, "",
         "conn3ction: A CNAME stands alone: b.example.local would have a CNAME beside A\nto replace it: printf 'delete b.example.local A\\nset b.example.local CNAME a.example.local.\\n' | conn3ction apply -"),
        ("zone create new.test --nameserver ns1.new.test --nameserver ns.other.test --contact 'admin@new.test", "", 0,
         "NAME SERIAL REVISION RECORD_COUNT\nnew.test 1 8 3", "answers r8"),
        ("zone create new.test", "", 3, "", "conn3ction: The zone exists: new.test exists; it last changed at r8"),
        ("zone list", "", 0, "NAME SERIAL REVISION RECORD_COUNT\nexample.local 7 7 3\nnew.test 1 8 3", ""),
        ("zone show new.test", "", 0, "NAME SERIAL REVISION RECORD_COUNT SIGNED_ELSEWHERE\nnew.test 1 8 3 false", "refresh 60 s, retry 30 s, expire 1209600 s, absence kept 60 s, TTL 60 s"),
        ("zone list --at r0", "", 0, "NAME SERIAL REVISION RECORD_COUNT", "no zone is here as of r0"),
        ("zone show nowhere", "", 1, "", "conn3ction: No such zone: no zone nowhere, now or before\nzones here: example.local, new.test"),
        ("import new.test -", "a 60 A 10.0.0.1\n", 0, "+ a.new.test. 60 A\n+ 10.0.0.1", "r9 zone-imported; new.test serial 2; answers r9"),
        ("import new.test -", "a 60 A 10.0.0.1\n", 0, "", "nothing to change: it has been so since r9"),
        ("import new.test -", "a 60 A 10.0.0.1\nb 60 A x\nc 60 MX x\n", 1, "",
         "conn3ction: 2 faults; nothing was done\n\
          line 2, column 8: A: address: `x` is no IPv4 address such as 192.0.2.1 (the form is: address)\n\
          line 3, column 9: MX: preference: `x` is no number from 0 to 65535 (the form is: preference exchange)"),
        ("export new.test", "", 0,
         "$ORIGIN new.test.\nnew.test. 60 IN SOA ns1.new.test. admin.new.test. 2 60 30 1209600 60\nnew.test. 60 IN NS ns.other.test.\n\
          new.test. 60 IN NS ns1.new.test.\na.new.test. 60 IN A 10.0.0.1", ""),
        ("export new.test -o csv", "", 2, "", "conn3ction: export prints a master file; `get --zone` prints other forms"),
        ("export nowhere", "", 1, "", "conn3ction: No such zone: no zone nowhere, now or before\nzones here: example.local, new.test"),
        ("zone delete new.test", "", 2, "", "Delete new.test. with its 3 record sets?\nconn3ction: this needs --yes where nobody can be asked"),
        ("zone delete new.test --yes", "", 0, "", "r10 zone-deleted; new.test with its 3 record sets; answers r10; undo: conn3ction revert r10"),
        ("lookup b.example.local A", "", 0, "b.example.local. 60 IN A 10.0.0.9 ; answer, r6 T tester", "NOERROR, authoritative, as of r10"),
        ("lookup nothing.other.test", "", 0, "", "REFUSED, as of r10\nnothing.other.test is in no zone here, now or before"),
        ("lookup app.example.local", "", 0,
         "example.local. 60 IN SOA localhost. hostmaster.example.local. 7 60 30 1209600 60 ; authority, r1 T conn3ction: first start with an empty ledger",
         "NXDOMAIN, authoritative, as of r10; since r5 T tester"),
        ("lookup app.example.local --at r4", "", 0,
         "app.example.local. 30 IN A 10.0.0.2 ; answer, r4 T tester\napp.example.local. 30 IN A 10.0.0.3 ; answer, r4 T tester",
         "NOERROR, authoritative, as of r4"),
        ("lookup a.new.test --at r7", "", 0, "",
         "REFUSED, as of r7\na.new.test is in no zone here as of r7; new.test was created at r8, T by tester"),
        ("lookup a.new.test", "", 0, "", "REFUSED, as of r10; since r10 T tester\na.new.test is in no zone here; new.test was deleted at r10, T by tester"),
        ("get app.example.local", "", 1, "",
         "conn3ction: app.example.local has no record set that fits: the name does not exist since r5 T tester"),
        ("get b.example.local TXT --at r9", "", 1, "",
         "conn3ction: b.example.local has no record set that fits as of r9: it has been so since r6 T tester"),
        ("get a.new.test --at r7", "", 1, "",
         "conn3ction: a.new.test has no record set that fits as of r7: a.new.test is in no zone here as of r7; new.test was created at r8, T by tester"),
        ("get --at 2020-01-01T00:00:00Z", "", 0, "NAME TTL TYPE VALUES", "no record set fits as of T"),
        ("blame b.example.local", "", 0, "r6 T A ago tester b.example.local. 60 A 10.0.0.9", ""),
        ("blame", "", 2, "", "conn3ction: blame needs a NAME, --zone or --under"),
        ("log -n 1", "", 0, "r10 T A ago tester zone-deleted new.test. 3 sets", ""),
        ("log app.example.local -n 1 -p", "", 0,
         "r5 T A ago tester app.example.local. A undo: conn3ction revert r5\n- app.example.local. 30 A\n- 10.0.0.2\n- 10.0.0.3", ""),
        ("log --grep 'first address", "", 0, "r2 T A ago tester app.example.local. A first address", ""),
        ("log --zone nope.test", "", 1, "", "conn3ction: No such zone: no zone nope.test, now or before\nzones here: example.local"),
        ("log www.nope.test", "", 1, "", "conn3ction: No such zone: www.nope.test is in no zone here, now or before\nzones here: example.local"),
        ("log b.example.local FOO", "", 2, "", "conn3ction: The request is malformed: \"FOO\" is not a record type such as A or TYPE65280"),
        ("log --actor nobody", "", 0, "", "no event fits"),
        ("log never.example.local --exact", "", 0, "", "no event fits"),
        ("log -f --until r5", "", 2, "",
         "error: the argument '--follow' cannot be used with '--until <WHEN>'\n\nUsage: conn3ction log --follow [NAME] [RTYPE]\n\n\
          For more information, try '--help'."),
        ("--data /nowhere log -f", "", 2, "",
         "conn3ction: log -f cannot follow --data DIR: while it reads, no server can hold that directory and append to it"),
        ("--at r5 log", "", 2, "", "conn3ction: log shows events, not a state: use --until WHEN (and --since WHEN)"),
        ("log -o zone", "", 2, "", "conn3ction: `log` has no form zone; it prints table, wide, json or csv"),
        ("lookup b.example.local -o csv", "", 2, "", "conn3ction: `lookup` has no form csv; it prints table or json"),
        ("lookup www.nope.test --trace", "", 0, "www.nope.test is in no zone here, now or before", "REFUSED, as of r10"),
        ("export new.test", "", 1, "", "conn3ction: No such zone: no zone new.test; it was deleted at r10, T by tester"),
        ("zone show new.test --at r7", "", 1, "", "conn3ction: No such zone: no zone new.test as of r7; it was created at r8, T by tester"),
        ("get --zone new.test --at r10", "", 1, "",
         "conn3ction: No such zone: no zone new.test as of r10; it was deleted at r10, T by tester"),
        ("status", "", 0,
         "server SERVER conn3ction VERSION, role all, DNS at DNS\nledger memory, head 1:10\nready yes\n\
          VIEW REVISION LAG STATE\nanswers r10 0 events following", ""),
        ("status example.local", "", 0, "NAME SERIAL REVISION RECORD_COUNT SIGNED_ELSEWHERE\nexample.local 7 7 3 false", "refresh 60 s, retry 30 s, expire 1209600 s, absence kept 60 s, TTL 60 s"),
        ("verify", "", 0, "chain r1 to r10: H\nanswers r10: ok H", ""),
        ("verify --anchor r1", "", 2, "",
         "error: invalid value 'r1' for '--anchor <REV:HASH>': no pair such as r1041:HASH, with the 64 hexadecimal digits of an event's \
          hash\n\nFor more information, try '--help'."),
        ("replay --to r11", "", 1, "", "conn3ction: That moment is yet to come: r11 is yet to come; the head is 1:10"),
        ("rebuild answers", "", 0, "VIEW REVISION LAG STATE DIGEST\nanswers 10 0 following H", ""),
        ("rebuild nothing", "", 1, "", "conn3ction: Not found: no view nothing; this node has answers"),
        ("--at 15 get", "", 2, "", "conn3ction: Not a moment: \"15\" is not a moment; write r1041, 1:1041, 2026-11-22T10:15:00Z, \
         an age such as 40m, 2h, 3d or 1w, or now"),
        ("--at r1 set a.example.local A 10.0.0.1", "", 2, "",
         "conn3ction: --at is for verbs that show a state; this one shows or changes the present"),
    ];
    for (line, input, code, out, err) in cases {
        let ran = run(&server, line, input)?;
        let told = format!("{line}: {ran:?}");
        assert_eq!(ran.code, *code, "{told}");
        let out = out
            .replace("SERVER", &format!("http://{}/", server.http))
            .replace("DNS at DNS", &format!("DNS at {}", server.dns));
        assert_eq!(leveled(&ran.out), out.replace("VERSION", env!("CARGO_PKG_VERSION")), "{told}");
        assert_eq!(leveled(&ran.err), *err, "{told}");
    }
    Ok(())
}

#[test]
fn with_json_every_result_is_one_object_a_line() -> anyhow::Result<()> {
    let (_data, server) = server()?;
    for (line, member, value) in [
        ("--json set a.example.local A 10.0.0.1", "/changes/0/name", "a.example.local"),
        ("--json --dry-run delete a.example.local A", "/summary/deleted", "1"),
        ("--json get a.example.local", "/values/0", "10.0.0.1"),
        ("-o json zone create z.test", "/name", "z.test"),
        ("--json zone list", "/name", "example.local"),
        ("--json zone show z.test", "/serial", "1"),
        ("--json log -n 2", "/revision", "3"),
        ("--json lookup a.example.local A", "/answer/0/event/actor", "tester"),
        ("--json status", "/views/0/view", "answers"),
        ("--json status", "/ready", "true"),
        ("--json status z.test", "/record_count", "2"),
        ("--json verify", "/ok", "true"),
        ("--json replay --to r2", "/to", "2"),
        ("--json rebuild answers", "/revision", "3"),
    ] {
        let ran = run(&server, line, "")?;
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        let objects: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        let found = objects[0].pointer(member).unwrap_or_else(|| panic!("{line}: {}", ran.out));
        assert_eq!(found.as_str().map_or_else(|| found.to_string(), str::to_owned), value, "{line}: {}", ran.out);
    }
    // A plan that was saved is applied exactly, or not at all.
    let plan = run(&server, "--json --dry-run set a.example.local A 10.0.0.7", "")?.out;
    assert_eq!(run(&server, "apply -", &plan)?.code, 0);
    let late = run(&server, "apply -", &plan)?;
    assert_eq!(late.code, 3, "{late:?}");
    assert!(late.err.contains("Changed since"), "{late:?}");
    Ok(())
}

#[test]
fn a_file_taken_in_again_after_other_changes_is_applied_again() -> anyhow::Result<()> {
    let (data, server) = server()?;
    let file = data.path().join("zone.db");
    std::fs::write(&file, "@ 60 SOA localhost. hostmaster 1 60 30 1209600 60\n@ 60 NS localhost.\na 60 A 10.0.0.1\n")?;
    let import = || server.cli(&["import", "example.local", &file.to_string_lossy(), "--mode", "replace"]);
    assert_eq!(import()?.code, 0);
    assert_eq!(server.cli(&["set", "a.example.local", "A", "10.0.0.2"])?.code, 0);
    let again = import()?;
    assert!(again.out.contains("10.0.0.1") && again.err.contains("r4 zone-imported"), "{again:?}");
    assert!(server.cli(&["get", "a.example.local"])?.out.contains("10.0.0.1"));
    // Compressed, too.
    assert_eq!(server.cli(&["set", "a.example.local", "A", "10.0.0.2"])?.code, 0);
    shell(&format!("gzip -k {}", file.display()))?;
    let packed = server.cli(&["import", "example.local", &format!("{}.gz", file.display()), "--mode", "replace"])?;
    assert!(packed.err.contains("r6 zone-imported"), "{packed:?}");
    Ok(())
}

#[test]
fn log_follows_from_its_tail_on_and_waits_for_a_server_that_is_away() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let address = server.http.to_string();
    for last in 1..=3 {
        server.cli(&["set", "old.n.example.local", "A", &format!("10.0.0.{last}")])?; // r2 to r4
    }
    let follow = |arguments: &str| {
        Command::new(binary())
            .args(["--server", &format!("http://{address}"), "--json", "log", "-f", "--under", "n.example.local"])
            .args(arguments.split_ascii_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let since = follow("--since r3")?;
    let mut following = follow("-n 1")?;
    let mut lines = BufReader::new(following.stdout.take().expect("piped")).lines();
    let mut words = BufReader::new(following.stderr.take().expect("piped")).lines();
    let mut next = || -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&lines.next().ok_or_else(|| anyhow::anyhow!("it ended"))??)?)
    };
    assert_eq!(next()?["revision"], 4);
    server.cli(&["set", "other.example.local", "A", "10.0.0.1"])?; // r5
    server.cli(&["set", "a.n.example.local", "A", "10.0.0.1"])?; // r6
    assert_eq!(next()?["changes"][0]["name"], "a.n.example.local");
    server.kill()?;
    // It says so once, and asks again until there is an answer.
    let mut told = || words.next().ok_or_else(|| anyhow::anyhow!("it ended"))?.map_err(anyhow::Error::from);
    assert_eq!(told()?, "the connection broke; going on where it stopped");
    let away = told()?;
    assert!(away.contains("no answer from") && away.ends_with("trying again until there is an answer"), "{away}");
    let server = Conn3ction::start(data.path(), &["--http-listen", &address])?;
    let back = told()?;
    assert!(back.ends_with("answers again; going on after 1:6"), "{back}");
    server.cli(&["set", "b.n.example.local", "A", "10.0.0.1"])?; // r7
    assert_eq!(next()?["changes"][0]["name"], "b.n.example.local");
    for (mut child, expected) in [(following, &[][..]), (since, &[3, 4, 6, 7])] {
        let mut lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        for revision in expected {
            let line = lines.as_mut().and_then(Iterator::next).ok_or_else(|| anyhow::anyhow!("it ended"))??;
            assert_eq!(serde_json::from_str::<Value>(&line)?["revision"], *revision);
        }
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

#[test]
fn records_are_printed_as_they_come() -> anyhow::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let mut getting =
        Command::new(binary()).args(["--server", &url, "--json", "get"]).stdout(Stdio::piped()).spawn()?;
    let (mut stream, _) = listener.accept()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {}
    let record = r#"{"name":"a.example","type":"A","values":["192.0.2.1"],"ttl":60}"#;
    // One record of a longer list, whose end never comes.
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{record}\n")?;
    let mut lines = BufReader::new(getting.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().transpose()?.as_deref(), Some(record));
    drop((stream, reader));
    assert_eq!(getting.wait()?.code(), Some(4), "a list that broke off is no whole one");
    Ok(())
}

#[test]
fn exit_codes_say_what_to_do_next() -> anyhow::Result<()> {
    let (data, server) = server()?;
    let tokens = data.path().join("tokens");
    std::fs::write(&tokens, "")?;
    let guarded = Conn3ction::start(data.path(), &["--ledger", "memory", "--tokens", &tokens.to_string_lossy()])?;
    let unused = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    // A port where connections are taken and nothing is said.
    let mute = std::net::TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("http://{}", mute.local_addr()?);
    // Some other server.
    let other = std::net::TcpListener::bind("127.0.0.1:0")?;
    let foreign = format!("http://{}", other.local_addr()?);
    std::thread::spawn(move || {
        let (mut stream, _) = other.accept().expect("a client");
        let mut line = String::new();
        let mut reader = BufReader::new(&stream);
        while reader.read_line(&mut line).expect("a request") > 2 {}
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").expect("answering");
    });
    for (address, line, code, words) in [
        (format!("http://{}", server.http), "get", 0, ""),
        (format!("http://{}", guarded.http), "set a.example.local A 10.0.0.1", 1, "A token is needed"),
        (format!("http://{}", server.http), "get --nothing", 2, "unexpected argument '--nothing'"),
        (format!("http://{}", server.http), "nothing", 2, "unrecognized subcommand 'nothing'"),
        (format!("http://{}", server.http), "set a.example.local", 2, "required arguments were not provided"),
        (format!("http://{}", server.http), "zone create example.local", 3, "The zone exists"),
        (format!("http://{unused}"), "get", 4, "is it running? --server or CONN3CTION_URL says where it is"),
        (silent, "get --timeout 1", 4, "within 1 s"),
        (foreign, "get", 4, "does not speak our API"),
        ("nothing at all".into(), "get", 2, "--server nothing at all is no address; write http://HOST:PORT"),
    ] {
        let mut command = Command::new(binary());
        command.env("CONN3CTION_URL", &address).args(line.split(' '));
        let ran = Ran::new(&mut command, "")?;
        assert_eq!(ran.code, code, "{address} {line}: {ran:?}");
        assert!(ran.err.contains(words), "{address} {line}: {ran:?}");
    }
    Ok(())
}

#[test]
fn a_zone_is_shown_with_who_transfers_it() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory", "--dns-notify", "127.0.0.1:9"])?;
    let shown = server.cli(&["zone", "show", "example.local"])?;
    assert!(shown.err.contains("secondary 127.0.0.1:9 "), "{shown:?}");
    Ok(())
}

#[test]
fn what_cannot_be_understood_is_refused_before_anything_is_done() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    for wait in ["5", "2m", "61s"] {
        let ran = server.cli(&["set", "a.example.local", "A", "10.0.0.1", "--wait", wait])?;
        assert!(ran.code == 2 && ran.err.contains("such as 500ms or 10s"), "{ran:?}");
    }
    assert_eq!(server.ask("GET", "/records/a.example.local", "")?.status, 404);
    for to in ["yesterday", "2026-11-23", "2hh", "5"] {
        let ran = server.cli(&["diff", "r1", to])?;
        assert!(ran.code == 2 && ran.err.contains("neither a moment nor a name"), "{ran:?}");
    }
    Ok(())
}

#[test]
fn a_ledger_that_no_server_holds_is_read_offline() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    server.cli(&["set", "a.example.local", "A", "10.0.0.1"])?;
    let offline =
        |line: &str| Ran::new(Command::new(binary()).arg("--data").arg(data.path()).args(line.split(' ')), "");
    let held = offline("get a.example.local")?;
    assert_eq!(held.code, 1, "{held:?}");
    assert!(held.err.contains("in use"), "{held:?}");
    server.kill()?;
    for (line, expected) in [
        ("get a.example.local", "10.0.0.1"),
        ("--at r1 zone list", "example.local  1"),
        ("export example.local", "a.example.local."),
        ("log", "r2"),
        ("verify", "chain r1 to r2"),
        ("status", "ledger  file, head 1:2"),
    ] {
        let ran = offline(line)?;
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        assert!(ran.out.contains(expected), "{line}: {ran:?}");
    }
    // Nobody with a token has a say there.
    let written = offline("set b.example.local A 10.0.0.2")?;
    assert!(written.code == 2 && written.err.contains("--data only reads"), "{written:?}");
    assert!(offline("log")?.out.lines().count() < 4, "nothing was written");
    let nowhere = Ran::new(Command::new(binary()).args(["--data", "/nowhere", "get"]), "")?;
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    assert!(nowhere.err.contains("/nowhere holds no ledger"), "{nowhere:?}");
    Ok(())
}

#[test]
fn every_verb_has_its_help_and_every_shell_its_completions() -> anyhow::Result<()> {
    let run = |arguments: &[&str]| Ran::new(Command::new(binary()).args(arguments), "");
    let whole = run(&["--help"])?;
    assert!(whole.out.contains("Exit codes: 0 done;"), "{}", whole.out);
    for verb in VERBS {
        assert!(
            whole.out.lines().any(|line| line.trim_start().starts_with(&format!("{verb} "))),
            "{verb}: {}",
            whole.out
        );
        let help = run(&[verb, "--help"])?;
        assert_eq!(help.code, 0, "{verb}");
        assert!(help.out.contains(&format!("Usage: conn3ction {verb}")), "{verb}: {}", help.out);
        let long = help.out.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{verb}");
    }
    for verb in ["list", "show", "create", "delete"] {
        assert_eq!(run(&["zone", verb, "--help"])?.code, 0, "{verb}");
    }
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", name])?;
        assert_eq!(script.code, 0, "{name}");
        assert!(VERBS.iter().all(|verb| script.out.contains(verb)), "{name}");
    }
    assert_eq!(run(&["completions", "nosh"])?.code, 2);
    // Nobody who reads only the first line is told of a panic.
    let cut = shell(&format!("{} completions bash 2>&1 | head -n 1", binary().display()))?;
    assert_eq!(cut.lines().count(), 1);
    assert!(
        shell(&format!("source <({} completions bash) && complete -p conn3ction", binary().display()))?
            .contains("conn3ction")
    );
    Ok(())
}

#[test]
fn colour_is_for_terminals_only() -> anyhow::Result<()> {
    let (_data, server) = server()?;
    server.cli(&["set", "a.example.local", "TXT", "\u{1b}[31mred"])?;
    let line = format!("{} --server http://{}", binary().display(), server.http);
    for (before, arguments, terminal, coloured) in [
        ("", "log -p", false, false),
        ("", "log -p --color always", false, true),
        ("", "log -p", true, true),
        ("", "log -p --color never", true, false),
        ("NO_COLOR=1", "log -p", true, false),
        ("TERM=dumb", "log -p", true, false),
        ("", "set a.example.local A x", false, false),
        ("", "set a.example.local A x", true, true),
        ("NO_COLOR=1", "set a.example.local A x", true, false),
    ] {
        let command = format!("env -u CI -u NO_COLOR -u CLICOLOR -u CLICOLOR_FORCE {before} {line} {arguments}");
        let printed = match terminal {
            true => shell(&format!("TERM=xterm script -qc '{command}' /dev/null < /dev/null"))?,
            false => shell(&format!("{command} 2>&1 || true"))?,
        };
        assert!(!printed.is_empty());
        assert_eq!(printed.contains('\u{1b}'), coloured, "{command} on a terminal: {terminal}: {printed:?}");
        // What stands in a zone never drives the terminal.
        assert!(!printed.contains("\u{1b}[31mred"), "{printed:?}");
    }
    Ok(())
}

#[test]
fn serve_reports_every_fault_of_its_settings_before_a_port_is_bound() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let file = data.path().join("conn3ction.toml");
    let serve = |text: &str, arguments: &[&str]| -> anyhow::Result<Ran> {
        std::fs::write(&file, text)?;
        Ran::new(Command::new(binary()).arg("serve").arg("--config").arg(&file).args(arguments), "")
    };
    let faulty = serve(
        "http-listen = \"0.0.0.0:0\"\nzones = [\"a..b\"]\nrole = \"api\"\netcd-prefix = \"/x\"\netcd-zones-prefix = \"/x/y\"\n\
         dns-listn = 1\n",
        &[],
    )?;
    assert_eq!(faulty.code, 2, "{faulty:?}");
    // A line each, those of the file with theirs; a flag is nobody's line.
    let told: Vec<_> = faulty.err.lines().collect();
    let place = |line| format!("  {}, line {line}: ", file.display());
    assert_eq!(told[1], format!("{}dns-listn: is no setting; did you mean dns-listen?", place(6)), "{faulty:?}");
    assert!(told[2].starts_with(&format!("{}http-listen: 0.0.0.0:0 can be reached", place(1))), "{faulty:?}");
    let faulty = serve(
        "http-listen = \"0.0.0.0:0\"\nzones = [\"a..b\"]\nrole = \"api\"\netcd-prefix = \"/x\"\netcd-zones-prefix = \"/x/y\"\n",
        &["--dns-notify", "nobody", "--hot-floor", "0"],
    )?;
    assert_eq!(faulty.code, 2, "{faulty:?}");
    for setting in ["http-listen:", "zones:", "role:", "etcd-prefix:", "dns-notify:", "hot-floor:"] {
        assert!(faulty.err.contains(setting), "{setting} {faulty:?}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let http =
        format!("http-listen = \"{}\"\nledger = \"memory\"\ndns-listen = [\"127.0.0.1:0\"]\n", taken.local_addr()?);
    let plain = serve(&http, &[])?;
    assert_eq!(plain.code, 1, "{plain:?}");
    assert!(plain.err.contains("(http-listen)") && !plain.err.contains('\u{1b}'), "{plain:?}");
    Ok(())
}
