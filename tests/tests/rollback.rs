//! A mistake and the way back: plan, restore, revert, as users do it, seen with dig.

use conn3ction_tests::{Conn3ction, Ran, shell};
use serde_json::Value;

struct Shop {
    server: Conn3ction,
    _data: tempfile::TempDir,
}

impl Shop {
    /// `shop.example` with `api` moved from .10 to .77 by mistake, and `new` made after that.
    fn new() -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let shop = Self { server: Conn3ction::start(data.path(), &[])?, _data: data };
        shop.done(&["zone", "create", "shop.example"])?; // r2
        shop.done(&["set", "api.shop.example", "A", "192.0.2.10", "--ttl", "300"])?; // r3
        shop.done(&["set", "ns.eu.shop.example", "A", "192.0.2.53"])?; // r4
        shop.done(&["set", "api.shop.example", "A", "192.0.2.77", "--ttl", "300", "-m", "moved by mistake"])?; // r5
        shop.done(&["set", "eu.shop.example", "NS", "ns.eu.shop.example."])?; // r6
        shop.done(&["set", "new.shop.example", "TXT", "\"new\""])?; // r7
        Ok(shop)
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        self.server.cli(arguments)
    }

    fn done(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        let ran = self.run(arguments)?;
        anyhow::ensure!(ran.code == 0, "{arguments:?}: {ran:?}");
        Ok(ran)
    }

    fn dig(&self, question: &str) -> anyhow::Result<String> {
        Ok(shell(&format!("dig @127.0.0.1 -p {} +norec +short {question}", self.server.dns.port()))?.trim().to_owned())
    }

    fn serial(&self) -> anyhow::Result<u64> {
        let soa = self.dig("SOA shop.example")?;
        Ok(soa.split(' ').nth(2).unwrap_or_default().parse()?)
    }

    fn ask(&self, target: &str, body: &str) -> anyhow::Result<(u16, Value)> {
        let answer = self.server.ask("POST", target, body)?;
        Ok((answer.status, answer.json()))
    }
}

#[test]
fn a_mistake_is_planned_away_and_restored_exactly_as_planned() -> anyhow::Result<()> {
    let shop = Shop::new()?;
    let serial = shop.serial()?;
    let restore = ["restore", "shop.example.", "--name", "api.shop.example.", "--type", "A", "--to", "r3"];

    // Off a terminal, nothing is done without --yes; the plan is shown all the same.
    let asked = shop.run(&restore)?;
    assert_eq!(asked.code, 2, "{asked:?}");
    assert!(asked.out.contains("-   192.0.2.77\n+   192.0.2.10\n"), "{asked:?}");
    assert!(asked.out.starts_with("Restore api.shop.example. A to r3 ("), "{asked:?}");
    assert!(asked.out.contains("planned at r7"), "{asked:?}");
    assert_eq!(shop.dig("api.shop.example")?, "192.0.2.77");

    let done = shop.done(&[&restore[..], &["--yes", "-m", "INC-7", "--actor", "ann"]].concat())?;
    let words = format!(
        "0 created, 1 replaced, 0 deleted; serial {serial} -> {}; old answers stay cached up to 300 s",
        serial + 1
    );
    assert!(done.err.contains(&words), "{done:?}");
    assert!(done.err.contains("r8 restored; ") && done.err.contains("; caches clear by "), "{done:?}");
    assert_eq!(shop.dig("api.shop.example")?, "192.0.2.10");
    assert_eq!(shop.dig("new.shop.example TXT")?, "\"new\"", "outside of what was asked for");
    assert_eq!(shop.serial()?, serial + 1);
    let event = shop.server.ask("GET", "/events/r8", "")?.json();
    let said = ["kind", "actor", "reason"].map(|member| event[member].as_str().unwrap_or_default().to_owned());
    assert_eq!(said, ["restored", "ann", "INC-7"]);
    assert_eq!(event["restores"], 3);
    assert_eq!(event["changes"][0]["before"]["values"][0], "192.0.2.77");

    // Again: it is so already.
    let again = shop.done(&[&restore[..], &["--yes"]].concat())?;
    assert!(again.err.contains("nothing to change"), "{again:?}");
    // The restore is an event like any other, and can be undone.
    shop.done(&["revert", "r8", "--yes"])?;
    assert_eq!(shop.dig("api.shop.example")?, "192.0.2.77");
    assert_eq!(shop.serial()?, serial + 2);
    let (_, reverted) = (0, shop.server.ask("GET", "/events/r9", "")?.json());
    assert_eq!((&reverted["kind"], &reverted["reverts"]), (&"reverted".into(), &8.into()));
    Ok(())
}

#[test]
fn a_plan_warns_of_what_is_lost_and_is_refused_only_when_its_own_scope_changed() -> anyhow::Result<()> {
    let shop = Shop::new()?;
    let (status, plan) = shop.ask("/zones/shop.example/restore?dry_run=true", r#"{"to":"r4","reason":"INC-8"}"#)?;
    assert_eq!(status, 200, "{plan}");
    assert_eq!(plan["summary"], serde_json::json!({"created": 0, "replaced": 1, "deleted": 2}));
    let warned: Vec<_> = plan["warnings"].as_array().expect("a list").iter().map(|it| it["type"].clone()).collect();
    assert_eq!(warned, ["delegation-removed", "newer-lost", "large-part"], "{plan}");
    assert_eq!(
        (&plan["restores"], &plan["decided_at"], &plan["cache_seconds"]),
        (&4.into(), &"1:7".into(), &300.into())
    );
    assert_eq!(plan["apply"], serde_json::json!({"to": "1:4", "reason": "INC-8", "expected_revision": "1:7"}));

    // A change elsewhere does not count; one in the zone does, and nothing is written.
    shop.done(&["set", "a.example.local", "A", "192.0.2.1"])?;
    let (_, narrow) =
        shop.ask("/zones/shop.example/restore?dry_run=true", r#"{"to":"r3","under":"eu.shop.example"}"#)?;
    shop.done(&["set", "www.shop.example", "A", "192.0.2.2"])?;
    let (status, problem) = shop.ask("/zones/shop.example/restore", &plan["apply"].to_string())?;
    assert_eq!((status, &problem["type"]), (412, &"/problems/changed-since".into()), "{problem}");
    assert_eq!(shop.dig("api.shop.example")?, "192.0.2.77");
    let (status, event) = shop.ask("/zones/shop.example/restore", &narrow["apply"].to_string())?;
    assert_eq!(status, 201, "{event}");
    assert_eq!(event["changes"], narrow["changes"], "exactly the plan");
    assert_eq!(shop.dig("ns.eu.shop.example")?, "");

    // What a name below the subtree became since the plan counts, too.
    let (_, stale) =
        shop.ask("/zones/shop.example/restore?dry_run=true", r#"{"to":"r6","under":"eu.shop.example"}"#)?;
    shop.done(&["set", "deep.x.eu.shop.example", "A", "192.0.2.4"])?;
    let (status, _) = shop.ask("/zones/shop.example/restore", &stale["apply"].to_string())?;
    assert_eq!(status, 412);

    // A retry under its key is answered with what it did, though its own change makes the guard fail.
    let body = r#"{"to":"r4","expected_revision":"REV"}"#;
    let head = shop.server.ask("GET", "/zones/shop.example", "")?.json()["revision"].to_string();
    let body = body.replace("REV", &format!("r{head}"));
    let http = shop.server.http;
    let retry = format!("curl -s -H 'Idempotency-Key: k7' http://{http}/zones/shop.example/restore -d '{body}'");
    let (first, second) = (shell(&retry)?, shell(&retry)?);
    assert_eq!(first, second);
    assert!(first.contains("\"kind\":\"restored\""), "{first}");
    assert_eq!(shop.dig("api.shop.example")?, "192.0.2.10");
    Ok(())
}

#[test]
fn a_deleted_zone_comes_back_and_what_cannot_be_restored_is_refused_with_the_reason() -> anyhow::Result<()> {
    let shop = Shop::new()?;
    let serial = shop.serial()?;
    shop.done(&["zone", "delete", "shop.example", "--yes"])?; // r8
    assert_eq!(
        shell(&format!("dig @127.0.0.1 -p {} +norec api.shop.example | grep -c REFUSED", shop.server.dns.port()))?
            .trim(),
        "1"
    );

    let part = shop.run(&["restore", "shop.example", "--to", "r7", "--name", "api.shop.example", "--yes"])?;
    assert_eq!(part.code, 1, "{part:?}");
    assert!(part.err.contains("does not exist now"), "{part:?}");
    let early = shop.run(&["restore", "shop.example", "--to", "r1", "--yes"])?;
    assert_eq!(early.code, 1, "{early:?}");
    assert!(early.err.contains("did not exist at r1") && early.err.contains("delete"), "{early:?}");
    let never = shop.run(&["restore", "never.example", "--to", "r1", "--yes"])?;
    assert_eq!(never.code, 1, "{never:?}");
    for (target, body, status, problem) in [
        ("/zones/shop.example/restore", r#"{"to":"r1"}"#, 422, "zone-rule"),
        ("/zones/never.example/restore", r#"{"to":"r1"}"#, 404, "zone-not-found"),
        ("/zones/shop.example/restore", r#"{"to":"15"}"#, 400, "bad-when"),
        ("/zones/shop.example/restore", r#"{"to":"r99"}"#, 422, "moment-not-yet"),
        ("/zones/shop.example/restore", r#"{"to":"r7","name":"a.example.local"}"#, 422, "outside-zones"),
        ("/zones/shop.example/restore", r#"{"to":"r7","nmae":"a.shop.example"}"#, 400, "unknown-parameter"),
        ("/zones/shop.example/restore?dryrun=true", r#"{"to":"r7"}"#, 400, "unknown-parameter"),
    ] {
        let (found, said) = shop.ask(target, body)?;
        assert_eq!((found, said["type"].as_str()), (status, Some(&*format!("/problems/{problem}"))), "{body}: {said}");
    }

    // A zone below answers for what comes back there.
    shop.done(&["zone", "create", "eu.shop.example"])?; // r9
    let hidden = shop.run(&["restore", "shop.example", "--to", "r7", "--dry-run"])?;
    let told = "eu.shop.example. answers there, so this comes back unseen: ";
    assert!(hidden.out.contains(told) || hidden.err.contains(told), "{hidden:?}");
    shop.done(&["zone", "delete", "eu.shop.example", "--yes"])?; // r10
    shop.done(&["zone", "create", "eu.shop.example"])?; // r11
    let made_again = shop.run(&["revert", "r9", "--yes"])?;
    assert!(
        made_again.code == 3 && made_again.err.contains("conn3ction zone delete eu.shop.example"),
        "{made_again:?}"
    );
    shop.done(&["zone", "delete", "eu.shop.example", "--yes"])?; // r12

    let back = shop.done(&["restore", "shop.example", "--to", "r7", "--yes"])?; // r13
    assert!(back.err.contains("(the zone comes back)"), "{back:?}");
    assert_eq!(shop.dig("api.shop.example")?, "192.0.2.77");
    assert_eq!(shop.serial()?, serial + 1);
    // Taking that back deletes it again; and undoing the deletion brings it back once more.
    shop.done(&["revert", "r13", "--yes"])?;
    assert_eq!(shop.server.ask("GET", "/zones/shop.example", "")?.status, 404);
    shop.done(&["revert", "r14", "--yes"])?;
    assert_eq!(shop.dig("new.shop.example TXT")?, "\"new\"");
    assert_eq!(shop.serial()?, serial + 2);
    assert_eq!(shop.server.ask("GET", "/verify", "")?.json()["ok"], true);
    Ok(())
}

#[test]
fn a_revert_names_what_changed_since_and_touches_nothing_of_it() -> anyhow::Result<()> {
    let shop = Shop::new()?;
    let change = r#"{"changes":[
        {"op":"set","name":"api.shop.example","type":"A","values":["192.0.2.1"]},
        {"op":"set","name":"www.shop.example","type":"A","values":["192.0.2.1"]},
        {"op":"delete","name":"new.shop.example","type":"TXT"}]}"#;
    assert_eq!(shop.ask("/changes", change)?.0, 201); // r8
    shop.done(&["set", "www.shop.example", "A", "192.0.2.3"])?; // r9
    let refused = shop.run(&["revert", "r8", "--yes"])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.out.contains("! www.shop.example.  A  www.shop.example A was changed at r9, after r8"),
        "{refused:?}"
    );
    let (status, problem) = shop.ask("/events/r8/revert", "")?;
    assert_eq!((status, problem["type"].as_str()), (409, Some("/problems/revert-conflict")), "{problem}");
    assert_eq!(problem["errors"][0]["detail"], "www.shop.example A was changed at r9, after r8");
    let (status, plan) = shop.ask("/events/r8/revert?dry_run=true", "")?;
    assert_eq!(
        (status, &plan["conflicts"][0]["name"], &plan["apply"]),
        (200, &"www.shop.example".into(), &Value::Null)
    );
    assert_eq!(shop.dig("api.shop.example")?, "192.0.2.1", "nothing of it was undone");

    shop.done(&["revert", "r8", "--name", "api.shop.example", "--type", "A", "--yes"])?; // r10
    assert_eq!(shop.dig("api.shop.example")?, "192.0.2.77");
    assert_eq!(shop.dig("www.shop.example")?, "192.0.2.3");
    let elsewhere = shop.run(&["revert", "r8", "--zone", "example.local", "--yes"])?;
    assert!(elsewhere.code == 1 && elsewhere.err.contains("r8 changed nothing there"), "{elsewhere:?}");
    let below = shop.run(&["revert", "r8", "--under", "www.shop.example", "--yes"])?;
    assert!(below.code == 3 && below.out.contains("at www.shop.example. and what is below"), "{below:?}");
    let nowhere = shop.run(&["revert", "r8", "--name", "eu.shop.example", "--yes"])?;
    assert!(nowhere.code == 1 && nowhere.err.contains("r8 changed nothing there"), "{nowhere:?}");

    // What stands there now does not let the old set come back: a CNAME stands alone.
    shop.done(&["set", "new.shop.example", "CNAME", "api.shop.example."])?;
    let beside = shop.run(&["revert", "r8", "--name", "new.shop.example", "--yes"])?;
    assert!(beside.code == 3 && beside.err.contains("CNAME"), "{beside:?}");
    assert_eq!(shop.ask("/events/r99/revert", "")?.0, 404);
    Ok(())
}
