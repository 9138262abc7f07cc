//! The writing verbs: plans that are saved and applied, faults told by their line, words that say what to do next.

use std::process::Command;

use conn3ction_tests::{Conn3ction, Ran, binary, shell};
use serde_json::Value;

fn server() -> anyhow::Result<(tempfile::TempDir, Conn3ction)> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &["--ledger", "memory"])?;
    Ok((data, server))
}

/// Runs `line`, split at spaces, with `input`; from `'` on to the end it is one word.
fn run(server: &Conn3ction, line: &str, input: &str) -> anyhow::Result<Ran> {
    let (words, last) = line.split_once(" '").map_or((line, None), |(words, last)| (words, Some(last)));
    let mut command = Command::new(binary());
    command.args(["--server", &format!("http://{}", server.http)]).args(words.split_ascii_whitespace()).args(last);
    Ran::new(&mut command, input)
}

fn done(server: &Conn3ction, line: &str) -> anyhow::Result<Ran> {
    let ran = run(server, line, "")?;
    anyhow::ensure!(ran.code == 0, "{line}: {ran:?}");
    Ok(ran)
}

const ZONE: &str = "@ 60 SOA localhost. hostmaster 1 60 30 1209600 60\n@ 60 NS localhost.\n";

#[test]
fn a_saved_plan_of_any_verb_is_applied_exactly_or_refused() -> anyhow::Result<()> {
    let (data, server) = server()?;
    let file = data.path().join("zone.db").to_string_lossy().into_owned();
    std::fs::write(&file, format!("{ZONE}imported 60 A 10.0.0.9\n"))?;
    done(&server, "set a.example.local A 10.0.0.1")?;
    done(&server, "set a.example.local A 10.0.0.2")?;
    let saved = data.path().join("plan.json").to_string_lossy().into_owned();
    let get = |name: &str| run(&server, &format!("get {name} -o zone"), "").map(|ran| ran.out);
    // The verb, what else `apply` is given, the event's kind, a name and what is there then.
    for (line, given, kind, name, is) in [
        ("restore example.local --to r2 --name a.example.local", "", "restored", "a.example.local", "10.0.0.1\n"),
        ("revert r4 -m 'for a reason", "", "reverted", "a.example.local", "10.0.0.2\n"),
        ("delete a.example.local ANY", "", "records-changed", "a.example.local", ""),
        ("zone create made.test --nameserver ns.made.test", "", "zone-created", "made.test", "ns.made.test.\n"),
        ("import example.local FILE --mode replace", "FILE", "zone-imported", "imported.example.local", "10.0.0.9\n"),
        ("import fresh.test FILE", "FILE", "zone-imported", "imported.fresh.test", "10.0.0.9\n"),
        ("zone delete made.test", "", "zone-deleted", "made.test", ""),
    ] {
        let plan = done(&server, &format!("--json --dry-run {}", line.replace("FILE", &file)))?.out;
        std::fs::write(&saved, &plan)?;
        let apply = |flags: &str| run(&server, &format!("apply {saved} {} {flags}", given.replace("FILE", &file)), "");
        let again = apply("--dry-run --json")?;
        let [again, plan] = [&again.out, &plan].map(|text| serde_json::from_str::<Value>(text).expect("a plan"));
        assert_eq!(again["changes"], plan["changes"], "{line}");
        let applied = apply("--json")?;
        assert_eq!(applied.code, 0, "{line}: {applied:?}");
        let event: Value = serde_json::from_str(&applied.out)?;
        assert_eq!((&event["kind"], &event["changes"]), (&kind.into(), &plan["changes"]), "{line}: {event}");
        assert_eq!(event["reason"], plan["reason"], "{line}");
        assert!(get(name)?.contains(is) && (get(name)?.is_empty() == is.is_empty()), "{line}: {}", get(name)?);
        // What it is about changed since: by itself.
        let stale = apply("")?;
        assert!(matches!(stale.code, 1 | 3) || stale.err.contains("nothing to change"), "{line}: {stale:?}");
    }
    // A stale plan of each kind that could still do something is refused, and so is another file.
    for (line, given) in [("restore example.local --to r2", ""), ("import example.local FILE --mode replace", "FILE")] {
        std::fs::write(&saved, done(&server, &format!("--json --dry-run {}", line.replace("FILE", &file)))?.out)?;
        done(&server, &format!("set {}.example.local A 10.0.0.5", line.split(' ').next().unwrap_or_default()))?;
        let stale = run(&server, &format!("apply {saved} {}", given.replace("FILE", &file)), "")?;
        assert!(stale.code == 3 && stale.err.contains("Changed since"), "{line}: {stale:?}");
    }
    let alone = run(&server, &format!("apply {saved}"), "")?;
    assert!(alone.code == 2 && alone.err.contains("name its master file, too"), "{alone:?}");
    std::fs::write(&file, format!("{ZONE}other 60 A 10.0.0.9\n"))?;
    let other = run(&server, &format!("apply {saved} {file}"), "")?;
    assert!(other.code == 3 && other.err.contains("is not the file that was planned"), "{other:?}");
    // A plan with conflicts carries nothing to apply.
    done(&server, "set c.example.local A 10.0.0.1")?;
    let made = run(&server, "--json log -n 1", "")?.out;
    let made = serde_json::from_str::<Value>(&made)?["revision"].clone();
    done(&server, "set c.example.local A 10.0.0.2")?;
    let plan = run(&server, &format!("--json --dry-run revert r{made}"), "")?.out;
    let refused = run(&server, "apply -", &plan)?;
    assert!(refused.code == 3 && refused.err.contains("in the way of this plan"), "{refused:?}");
    let cut = run(&server, "apply -", "{\"changes\": [")?;
    assert!(cut.code == 2 && cut.err.contains("-: the JSON breaks off in line 1"), "{cut:?}");
    Ok(())
}

#[test]
fn every_fault_of_what_is_applied_is_told_by_its_line() -> anyhow::Result<()> {
    let (_data, server) = server()?;
    let refused = |input: &str, code: i32| -> anyhow::Result<String> {
        let ran = run(&server, "apply -", input)?;
        anyhow::ensure!(ran.code == code, "{input}: {ran:?}");
        Ok(ran.err)
    };
    // Records, names outside every zone, and rules of the outcome: all the server's.
    let told =
        refused("# three\nset c.example.local A 300.1.1.1\nset ok.example.local A 10.0.0.1\n\nset x.test A y\n", 1)?;
    assert!(told.starts_with("conn3ction: 2 faults; nothing was done\n  line 2: A: "), "{told}");
    assert!(told.contains("\n  line 5: A: ") && !told.contains("/changes"), "{told}");
    let told = refused("set c.example.local A 300.1.1.1\nset x.test A 10.0.0.1\n", 1)?;
    assert!(told.contains("\n  line 2: x.test is in no zone here"), "{told}");
    let told = refused("\nset d.example.local A 10.0.0.1\nset d.example.local CNAME a.example.local.\n", 3)?;
    assert!(told.starts_with("conn3ction: A CNAME stands alone: line 2: d.example.local"), "{told}");
    // Lines that cannot be read, with what is wrong in the others.
    let told = refused("sett c.example.local A 10.0.0.1\nset c.example.local A x\nset e.example.local TXT 'x\n", 2)?;
    for line in ["line 1: no verb \"sett\"; did you mean set?", "line 2: A: ", "line 3: a quote ' is not closed"] {
        assert!(told.contains(&format!("\n  {line}")), "{line}: {told}");
    }
    // JSON that somebody wrote has no lines of verbs, but an order.
    let json = r#"{"changes":[{"op":"set","name":"a.example.local","type":"A","values":["10.0.0.1"]},
        {"op":"set","name":"b.example.local","type":"A","values":["10.0.0.1","x"]}]}"#;
    assert!(refused(json, 1)?.contains("change 2: A: "), "{}", refused(json, 1)?);
    // Nothing of all that was done.
    assert_eq!(run(&server, "--json log", "")?.out.lines().count(), 1);
    let ran = run(&server, "apply -", "set t.example.local TXT \"two words\" 'x'\n")?;
    assert!(ran.code == 0 && ran.out.contains("+   \"two words\"\n"), "{ran:?}");
    for (line, told) in [
        ("set m.example.local MX 10 mail.example.local.", "quoted: m.example.local MX '10 mail.example.local.'"),
        ("set m.example.local A 10.0.0.1 --ttl 5m", "from 0 to 2147483647; write 300"),
        ("set m.example.local A 10.0.0.1 --ttl -5", "from 0 to 2147483647; write 300"),
        ("set m.example.local A 10.0.0.1 --ttl 2147483648", "from 0 to 2147483647; write 300"),
    ] {
        let ran = run(&server, line, "")?;
        assert!(ran.code == 2 && ran.err.contains(told), "{line}: {ran:?}");
    }
    Ok(())
}

#[test]
fn what_went_wrong_is_told_with_the_verb_that_mends_it() -> anyhow::Result<()> {
    let (data, server) = server()?;
    done(&server, "zone create shop.example")?;
    done(&server, "set www.shop.example A 10.0.0.1")?;
    done(&server, "set api.shop.example A 10.0.0.2")?;
    let file = data.path().join("zone.db").to_string_lossy().into_owned();
    std::fs::write(&file, "www 60 A 10.0.0.3\napi 60 A 10.0.0.3\nnew 60 A 10.0.0.3\n")?;
    done(&server, &format!("import shop.example {file}"))?;
    done(&server, "set www.shop.example A 10.0.0.4")?;
    for (line, code, told) in [
        (
            "set www.shop.exmaple A 10.0.0.1",
            1,
            "zones here: example.local, shop.example; did you mean www.shop.example?",
        ),
        ("set www A 10.0.0.1", 1, "a name is written whole, such as www.example.local"),
        ("set www.shop.example A 10.0.0.1 --zone shop.exmaple", 1, "did you mean shop.example?"),
        ("zone delete nope", 1, "nope is no zone here\n  zones here: example.local, shop.example\n"),
        ("restore nope.example --to r2", 1, "nope.example never was a zone here\n  zones here: "),
        (
            "restore api.shop.example --to r2",
            1,
            "it is a name: conn3ction restore shop.example --name api.shop.example --to …",
        ),
        (
            "restore shop.example --to r3 --name nope.shop.example -y",
            1,
            "nope.shop.example never had a record in shop.example",
        ),
        (
            "restore shop.example --to r3 --under nope.shop.example -y",
            1,
            "nope.shop.example never had a record in shop.example",
        ),
        (
            "restore shop.example --to r2 --name www.shop.example -m why",
            2,
            "serial 5 -> 6; old answers stay cached up to 60 s\nconn3ction: this needs --yes",
        ),
        (
            "revert r5 -y",
            3,
            "1 set was changed since; nothing was done\n  narrow it with --zone Z, --under N or --name N [--type T], or bring back what was before: conn3ction restore shop.example --to r4\n",
        ),
        (
            "set www.shop.example CNAME api.shop.example.",
            3,
            "to replace it: printf 'delete www.shop.example A\\nset www.shop.example CNAME api.shop.example.\\n' | conn3ction apply -",
        ),
        ("set api.shop.example A 10.0.0.9 --data /tmp", 2, "--server asks a server, --data reads a directory"),
    ] {
        let ran = run(&server, line, "")?;
        assert!(ran.code == code && ran.err.contains(told), "{line}: {ran:?}");
        assert!(!ran.err.contains("/zones") && !ran.err.contains("/changes"), "{line}: {ran:?}");
    }
    std::fs::write(&file, format!("{ZONE}www 60 A 10.0.0.3\n"))?;
    done(&server, "zone create cut.example")?;
    done(&server, "set gone.cut.example A 10.0.0.1")?;
    let replaced = done(&server, &format!("import cut.example {file} --mode replace"))?;
    let warned = "warning: 1 record set that the file does not have is gone; undo: conn3ction revert r9\n";
    assert!(replaced.err.ends_with(warned), "{replaced:?}");
    // The line that is proposed does it.
    done(&server, "set alias.cut.example CNAME www.cut.example.")?;
    let beside = run(&server, "set alias.cut.example MX '10 mail.cut.example.", "")?;
    let line = beside.err.split_once("to replace it: ").map(|(_, line)| line.trim()).unwrap_or_default();
    let line = line.replace("conn3ction", &format!("{} --server http://{}", binary().display(), server.http));
    assert!(shell(&line)?.contains("- alias.cut.example.  60  CNAME"), "{beside:?}");
    assert!(run(&server, "get alias.cut.example", "")?.out.contains("10 mail.cut.example."));
    // What nobody will see is warned of when it is done.
    done(&server, "set sub.cut.example NS ns.sub.cut.example.")?;
    assert!(!done(&server, "set ns.sub.cut.example A 10.0.0.1")?.err.contains("warning"), "glue");
    for (line, told) in [
        ("set h.sub.cut.example A 10.0.0.1", "h.sub.cut.example. is none of its servers"),
        ("set h.sub.cut.example TXT x", "sub.cut.example. is delegated, so h.sub.cut.example. TXT is never served"),
    ] {
        let warned = done(&server, line)?;
        assert!(
            warned.err.starts_with("warning: below-delegation: ") && warned.err.contains(told),
            "{line}: {warned:?}"
        );
    }
    let spaced = run(&server, "zone create 'bad zone", "")?;
    assert!(spaced.code == 2 && spaced.err.contains("a name has no spaces"), "{spaced:?}");
    let usage = run(&server, "delete", "")?.err;
    assert!(usage.contains("Usage: conn3ction delete <NAME> <TYPE|ANY>"), "{usage}");
    for (line, told) in
        [("sett a A x", "conn3ction: no verb \"sett\"; did you mean set?\n"), ("--json sett", "\"cli:usage\"")]
    {
        let ran = run(&server, line, "")?;
        assert!(ran.code == 2 && ran.err.contains(told), "{ran:?}");
    }
    let long = run(&server, &format!("set a.shop.example A 10.0.0.1 -m {}", "x".repeat(1025)), "")?;
    assert!(long.code == 2 && long.err.contains(": -m has more than 1024 octets\n"), "{long:?}");
    // What `log` of a name recommends works, and undoes nothing else.
    let log = done(&server, "log api.shop.example")?.out;
    let undo = "undo: conn3ction revert r5 --name api.shop.example";
    assert!(log.contains(undo), "{log}");
    assert!(log.lines().any(|line| line.starts_with("r2 ") && !line.contains("undo")), "the zone's creation: {log}");
    let undone = done(&server, "revert r5 --name api.shop.example -y")?;
    assert!(undone.out.contains("-   10.0.0.3\n+   10.0.0.2\n") && undone.err.contains("r16 reverted"), "{undone:?}");
    let asked = run(&server, "zone delete shop.example", "")?;
    assert!(asked.code == 2 && asked.err.starts_with("Delete shop.example. with its 5 record sets?\n"), "{asked:?}");
    let gone = done(&server, "zone delete shop.example -y")?;
    assert!(gone.err.contains("r17 zone-deleted; shop.example with its 5 record sets; answers r17"), "{gone:?}");
    assert!(gone.err.contains("undo: conn3ction revert r17"), "{gone:?}");
    Ok(())
}

#[test]
fn with_json_programs_get_plans_events_and_problems_and_people_still_see_the_plan() -> anyhow::Result<()> {
    let (data, server) = server()?;
    done(&server, "set a.example.local A 10.0.0.1")?;
    done(&server, "set a.example.local A 10.0.0.2")?;
    let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| anyhow::anyhow!("{error}: {text}"));
    // Nobody can be asked: the plan is given, to be looked at and applied.
    let asked = run(&server, "--json restore example.local --to r2", "")?;
    assert_eq!((asked.code, &json(&asked.out)?["restores"]), (2, &2.into()), "{asked:?}");
    let saved = data.path().join("plan.json");
    std::fs::write(&saved, &asked.out)?;
    let applied = run(&server, &format!("--json apply {}", saved.display()), "")?;
    assert_eq!((applied.code, &json(&applied.out)?["kind"]), (0, &"restored".into()), "{applied:?}");
    let reverted = run(&server, "--json revert r4 -y", "")?;
    assert_eq!((reverted.code, &json(&reverted.out)?["kind"]), (0, &"reverted".into()), "{reverted:?}");
    assert!(reverted.err.contains("-   10.0.0.1\n+   10.0.0.2\n0 created, 1 replaced"), "{reverted:?}");
    // Nothing to do is no event of ours.
    for (line, member, value) in [
        ("--json revert r4 -y", "change_count", 0),
        ("--json set a.example.local A 10.0.0.2", "revision", 5),
        ("--json restore example.local --to r5 -y", "change_count", 0),
    ] {
        let told = json(&done(&server, line)?.out)?;
        assert_eq!((&told["unchanged"], &told[member]), (&true.into(), &value.into()), "{line}: {told}");
    }
    assert_eq!(json(&done(&server, "--json zone create z.test")?.out)?["name"], "z.test");
    assert_eq!(json(&done(&server, "--json zone delete z.test -y")?.out)?["kind"], "zone-deleted");
    for (line, code, kind) in [
        ("--json set a.example.local A x", 1, "/problems/invalid-record"),
        ("--json zone create example.local", 3, "/problems/zone-exists"),
        ("-o json zone delete nope -y", 1, "/problems/zone-not-found"),
        ("--json revert r2 -y", 3, "cli:conflict"),
        ("--json get nope.example.local", 1, "cli:not-found"),
        ("--json apply /nowhere", 1, "cli:file"),
        ("--json --at r1 set a.example.local A 10.0.0.1", 2, "cli:usage"),
        ("--json --server http://127.0.0.1:1 get", 4, "cli:unreachable"),
    ] {
        let mut ran = Command::new(binary());
        ran.env("CONN3CTION_URL", format!("http://{}", server.http)).args(line.split(' '));
        let ran = Ran::new(&mut ran, "")?;
        let last = ran.err.lines().last().unwrap_or_default();
        assert_eq!((ran.code, &json(last)?["type"], &*ran.out), (code, &kind.into(), ""), "{line}: {ran:?}");
    }
    Ok(())
}
