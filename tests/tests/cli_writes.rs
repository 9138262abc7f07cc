//! The writing verbs: plans that are saved and applied, faults told by their line, words that say what to do next.

use std::process::Command;

use conn3ction_tests::{Conn3ction, Ran, binary};
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
