//! Which event made an answer what it is: by walking its turns, and by halving them with a command.

use conn3ction_tests::Conn3ction;

#[test]
fn the_event_that_made_an_answer_what_it_is_is_found_wherever_it_was() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let run = |arguments: &[&str]| {
        let ran = server.cli(arguments)?;
        anyhow::ensure!(ran.code == 0, "{arguments:?}: {ran:?}");
        Ok(ran.out)
    };
    // r1 makes the zone. A value comes and goes twice, so halving alone would be lost.
    run(&["set", "www.example.local", "CNAME", "api.example.local."])?; // r2
    run(&["set", "api.example.local", "A", "192.0.2.1"])?; // r3
    run(&["set", "api.example.local", "A", "192.0.2.2"])?; // r4
    run(&["set", "api.example.local", "A", "192.0.2.1"])?; // r5
    run(&["set", "api.example.local", "TXT", "\"x\""])?; // r6
    run(&["set", "api.example.local", "A", "192.0.2.3", "--actor", "eve", "-m", "wrong"])?; // r7
    run(&["set", "api.example.local", "A", "192.0.2.3", "192.0.2.4"])?; // r8
    run(&["delete", "www.example.local", "ANY"])?; // r9

    let ask = |query: &str| server.ask("GET", &format!("/bisect?{query}"), "");
    // The answer, the moment, whether it holds, the event, the outcomes around it.
    for (answer, at, holds, event, before, after) in [
        ("192.0.2.3", "r8", true, Some(7), "NOERROR", "NOERROR"),
        ("192.0.2.4", "r8", true, Some(8), "NOERROR", "NOERROR"),
        ("192.0.2.1", "r8", false, Some(7), "NOERROR", "NOERROR"),
        ("192.0.2.1", "r6", true, Some(5), "NOERROR", "NOERROR"),
        ("192.0.2.1", "r4", false, Some(4), "NOERROR", "NOERROR"),
        ("192.0.2.3", "now", false, Some(9), "NOERROR", "NXDOMAIN"),
        ("nxdomain", "now", true, Some(9), "NOERROR", "NXDOMAIN"),
        ("NXDOMAIN", "r8", false, Some(3), "NXDOMAIN", "NOERROR"),
        ("192.0.2.9", "r8", false, None, "", "NOERROR"),
    ] {
        let found = ask(&format!("name=www.example.local&type=A&answer={answer}&at={at}"))?.json();
        assert_eq!(found["holds"], holds, "{answer} {at}: {found}");
        assert_eq!(found["event"]["revision"].as_u64(), event, "{answer} {at}: {found}");
        assert_eq!(found["before"]["outcome"].as_str().unwrap_or_default(), before, "{answer} {at}: {found}");
        assert_eq!(found["after"]["outcome"], after, "{answer} {at}: {found}");
    }
    for (query, status, problem) in [
        ("name=www.example.local&type=A", 400, "malformed"),
        ("name=www.example.local&type=A&answer=nonsense", 400, "malformed"),
        ("name=www.example.local&type=ANY&answer=192.0.2.1", 400, "malformed"),
        ("name=www.example.local&type=A&answer=192.0.2.1&at=soon", 400, "bad-when"),
        ("name=www.example.local&type=A&answer=192.0.2.1&at=r99", 422, "moment-not-yet"),
        ("name=www.example.local&type=A&anwser=192.0.2.1", 400, "unknown-parameter"),
    ] {
        let refused = ask(query)?;
        let kind = refused.json()["type"].clone();
        assert_eq!((refused.status, kind), (status, format!("/problems/{problem}").into()), "{query}");
    }

    let printed = run(&["bisect", "www.example.local", "A", "--answer", "192.0.2.3", "--at", "r8"])?;
    for part in [
        "192.0.2.3 for www.example.local. A became the answer at\nr7  ",
        "  eve  api.example.local. A  wrong\n~ api.example.local.  60  A\n-   192.0.2.1\n+   192.0.2.3\n",
        "before: api.example.local. 192.0.2.1\nafter:  api.example.local. 192.0.2.3\n",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let never = server.cli(&["bisect", "www.example.local", "A", "--answer", "192.0.2.9"])?;
    assert_eq!(never.code, 1, "{never:?}");
    assert!(never.err.contains("192.0.2.9 for www.example.local. A never was the answer"), "{never:?}");

    // The command is asked about moments; good is what ends with 0.
    let command = "test $CONN3CTION_NAME.$CONN3CTION_TYPE = www.example.local.A && test ${CONN3CTION_AT#r} -ge 7";
    let ran = server.cli(&["bisect", "www.example.local", "A", "--run", command, "--at", "r8"])?;
    assert!(ran.code == 0 && ran.out.starts_with("good since\nr7  "), "{ran:?}");
    assert!(ran.err.contains("r8: good") && ran.err.lines().count() <= 5, "{ran:?}");
    let same = server.cli(&["bisect", "www.example.local", "A", "--run", "true", "--since", "r3"])?;
    assert_eq!(same.code, 1, "{same:?}");
    assert!(same.err.contains("good both at r2 and at r9"), "{same:?}");
    assert!(same.err.contains("choose --since and --at"), "{same:?}");
    let broken = server.cli(&["bisect", "www.example.local", "A", "--run", "exit 125"])?;
    assert!(broken.code == 1 && broken.err.contains("could not judge r0"), "{broken:?}");
    assert_eq!(server.cli(&["bisect", "www.example.local", "A"])?.code, 2);

    // Both ways are bounded by the same span.
    let bounded = |since: &str| {
        let arguments = ["bisect", "www.example.local", "A", "--answer", "192.0.2.3", "--at", "r8", "--since", since];
        server.cli(&arguments)
    };
    assert!(bounded("r7")?.out.contains("became the answer at\nr7  "));
    let later = bounded("r8")?;
    assert!(later.code == 1 && later.err.contains("always was the answer since r8"), "{later:?}");
    let found = ask("name=www.example.local&type=A&answer=192.0.2.3&at=r8&from=1h")?.json();
    assert_eq!(found["event"]["revision"], 7, "{found}");
    // What an alias leads to may be gone.
    run(&["set", "x.example.local", "CNAME", "y.example.local."])?; // r10
    run(&["set", "y.example.local", "A", "192.0.2.1"])?; // r11
    run(&["delete", "y.example.local", "ANY"])?; // r12
    let printed = run(&["bisect", "x.example.local", "A", "--answer", "NXDOMAIN"])?;
    assert!(printed.ends_with("before: y.example.local. 192.0.2.1\nafter:  y.example.local. NXDOMAIN\n"), "{printed}");
    let printed = server.cli(&["lookup", "x.example.local"])?;
    assert!(printed.err.contains("NXDOMAIN, authoritative, as of r12; since r12 "), "{printed:?}");
    Ok(())
}
