//! One table for each rule, then properties of random commands.

use conn3ction_schemas::{RecordType, Revision, Serial, SetKey, event::ZoneLife};
use proptest::prelude::*;

use super::{
    overlay::Overlay,
    testing::{MapState, change, changes, command, envelope, example, expecting, facts, keyed, name, new_zone, ttl},
    warnings::WarningKind,
    *,
};

fn refused(state: &MapState, intent: Intent) -> Vec<(RefusalKind, String)> {
    let refusal = decide(state, &command(intent)).expect_err("refused");
    let pointer = |item: BadItem| match item.place {
        Place::Pointer(pointer) => (item.kind, pointer),
        other => panic!("{other:?}"),
    };
    refusal.items.into_iter().map(pointer).collect()
}

#[test]
fn a_change_set_is_refused_with_every_fault_and_where_it_stands() {
    use RefusalKind::*;
    let state = example(&[
        "a.example. A 192.0.2.1",
        "c.example. CNAME a.example.",
        "m.example. A 192.0.2.2",
        "m.example. TXT x",
        "d.example. DNAME elsewhere.test.",
        "x.y.example. A 192.0.2.3",
    ]);
    for (lines, expected) in [
        (&["create a.example. A 192.0.2.9"][..], &[(RecordExists, "/changes/0/name")][..]),
        (
            &["delete n.example. A", "remove a.example. A 192.0.2.8"],
            &[(RecordNotFound, "/changes/0/name"), (RecordNotFound, "/changes/1/values/0")],
        ),
        (
            &["set a.test. A 192.0.2.1", "set b.test. A 192.0.2.1"],
            &[(OutsideZones, "/changes/0/name"), (OutsideZones, "/changes/1/name")],
        ),
        (&["set test./a.example. A 192.0.2.1"], &[(ZoneNotFound, "/changes/0/zone")]),
        (&["set example./a.test. A 192.0.2.1"], &[(OutsideZones, "/changes/0/zone")]),
        (&["delete m.example."], &[(TypeNeeded, "/changes/0/type")]),
        (&["delete n.example."], &[(RecordNotFound, "/changes/0/name")]),
        (&["delete n.example. ANY"], &[(RecordNotFound, "/changes/0/name")]),
        (&["set c.example. A 192.0.2.1"], &[(CnameConflict, "/changes/0/type")]),
        (&["set a.example. CNAME b.example."], &[(CnameConflict, "/changes/0/type")]),
        (&["set example. CNAME b.example."], &[(CnameConflict, "/changes/0/type")]),
        (&["add c.example. CNAME b.example."], &[(CnameConflict, "/changes/0/values")]),
        (&["delete example. NS"], &[(ZoneRule, "/changes/0/type")]),
        (&["delete example. SOA"], &[(ZoneRule, "/changes/0/type")]),
        (&["remove example. NS localhost."], &[(ZoneRule, "/changes/0/type")]),
        (&["add example. SOA a. b. 1 2 3 4 5"], &[(ZoneRule, "/changes/0/values")]),
        (&["set a.example. SOA a. b. 1 2 3 4 5"], &[(ZoneRule, "/changes/0/type")]),
        (&["add a.example. 99 A 192.0.2.7"], &[(InvalidRecord, "/changes/0/ttl")]),
        (
            &["set example./example. DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000"],
            &[(ZoneRule, "/changes/0/zone")],
        ),
        (
            &["set example. DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000"],
            &[(OutsideZones, "/changes/0/name")],
        ),
        (&["set a.d.example. A 192.0.2.1"], &[(ZoneRule, "/changes/0/name")]),
        (&["set y.example. DNAME elsewhere.test."], &[(ZoneRule, "/changes/0/type")]),
        (&["set d.example. NS ns.test."], &[(ZoneRule, "/changes/0/type")]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(kind, at)| (*kind, (*at).to_owned())).collect();
        assert_eq!(refused(&state, changes(lines)), expected, "{lines:?}");
    }
}

#[test]
fn changes_of_one_set_apply_in_order_and_leave_one_delta() {
    let mut state = example(&["a.example. 300 A 192.0.2.1 | 192.0.2.2"]);
    let lines = [
        "set z.example. A 192.0.2.9",
        "add a.example. A 192.0.2.3",
        "remove a.example. A 192.0.2.1 | 192.0.2.2",
        "set b.example. TXT x",
        "delete b.example.",
    ];
    let done = facts(decide(&state, &command(changes(&lines))).expect("decided"));
    let owners: Vec<_> = done.deltas.iter().map(|delta| delta.owner.to_string()).collect();
    assert_eq!(owners, ["a.example.", "z.example."]);
    assert_eq!(
        done.zones,
        [ZoneChange { zone: name("example."), before: Some(Serial(2)), after: Serial(3), life: ZoneLife::Stays }]
    );
    state.fold(&envelope(), &Decided::Event(done));
    assert!(state.lines().contains(&"a.example. 300 A 192.0.2.3".to_owned()), "{:?}", state.lines());
}

#[test]
fn a_cname_takes_the_place_of_an_address_in_one_change_set() {
    let state = example(&["a.example. A 192.0.2.1"]);
    let done = decide(&state, &command(changes(&["set a.example. CNAME b.example.", "delete a.example. A"])));
    assert_eq!(facts(done.expect("decided")).deltas.len(), 2);
}

#[test]
fn an_equal_write_names_the_revision_that_made_it_so() {
    let state = example(&["a.example. A 192.0.2.1"]);
    for line in ["set a.example. A 192.0.2.1", "add a.example. A 192.0.2.1", "set a.example. 60 - 192.0.2.1"] {
        let decided = decide(&state, &command(changes(&[line]))).expect("decided");
        assert!(
            matches!(decided, Decided::Unchanged { revision: Revision(2), replayed: false }),
            "{line}: {decided:?}"
        );
    }
}

#[test]
fn an_absent_ttl_is_that_of_the_set_else_that_of_the_soa() {
    let mut state = example(&["a.example. 300 A 192.0.2.1"]);
    let done =
        facts(state.run(&command(changes(&["set a.example. A 192.0.2.2", "set b.example. A 192.0.2.2"]))).expect("ok"));
    let ttls: Vec<_> = done.deltas.iter().map(|delta| delta.after.as_ref().map(|set| set.ttl())).collect();
    assert_eq!(ttls, [Some(ttl(300)), Some(ttl(60))]);
}

#[test] // RFC 4035 section 2.4
fn a_ds_goes_to_the_parent_side_and_everything_else_to_the_longest_zone() {
    let mut state = example(&[]);
    state.run(&command(new_zone("sub.example."))).expect("a zone");
    let ds = "set sub.example. DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000";
    let done = facts(decide(&state, &command(changes(&[ds, "set a.sub.example. A 192.0.2.1"]))).expect("ok"));
    let zones: Vec<_> = done.zones.iter().map(|change| change.zone.to_string()).collect();
    assert_eq!(zones, ["example.", "sub.example."]);
    assert_eq!(done.deltas[0].key, SetKey::of(RecordType::DS));
    assert_eq!(done.deltas[0].zone, 0);
}

#[test] // RFC 1982
fn a_soa_edit_asks_for_a_serial_and_only_a_greater_one_is_taken() {
    let soa = |serial: u32| format!("set example. SOA ns.example. h.example. {serial} 1 2 3 4");
    let mut state = example(&[]);
    for (asked, after) in [(100, Some(100)), (100, None), (101, Some(101)), (7, None)] {
        let decided = state.run(&command(changes(&[&soa(asked)]))).expect("decided");
        match (decided, after) {
            (Decided::Event(facts), Some(after)) => assert_eq!(facts.zones[0].after, Serial(after)),
            (Decided::Unchanged { .. }, None) => {}
            other => panic!("{asked}: {other:?}"),
        }
    }
    let mut warnings = Vec::new();
    let lower = changes(&["set example. SOA other.example. h.example. 7 1 2 3 4"]);
    let facts = outcome(&state, &lower, &mut warnings).expect("decided").expect("an event");
    assert_eq!(facts.zones[0].after, Serial(102));
    assert_eq!(warnings[0].kind, WarningKind::SerialNotGreater);
    let soa = facts.deltas[0].after.as_ref().and_then(|set| soa::serial(&set.rdata()[0]));
    assert_eq!(soa, Some(Serial(102)));
}

#[test]
fn a_zone_made_again_goes_on_after_its_last_serial() {
    let mut state = example(&["a.example. A 192.0.2.1"]);
    let gone = facts(state.run(&command(Intent::DeleteZone(name("example.")))).expect("deleted"));
    assert_eq!((gone.deltas.len(), gone.zones[0].after, gone.zones[0].life), (3, Serial(2), ZoneLife::Deleted));
    assert_eq!(refused(&state, changes(&["set a.example. A 192.0.2.1"]))[0].0, RefusalKind::OutsideZones);
    assert_eq!(refused(&state, Intent::DeleteZone(name("example.")))[0].0, RefusalKind::ZoneNotFound);
    let again = facts(state.run(&command(new_zone("example."))).expect("made again"));
    assert_eq!((again.zones[0].before, again.zones[0].after), (Some(Serial(2)), Serial(3)));
    assert_eq!(refused(&state, new_zone("example."))[0].0, RefusalKind::ZoneExists);
}

#[test]
fn a_signature_over_the_soa_comes_by_import_only() {
    let sig = "set example. RRSIG SOA 8 1 60 20300101000000 20200101000000 1 example. AAAA";
    assert_eq!(refused(&example(&[]), changes(&[sig])), [(RefusalKind::ZoneRule, "/changes/0/type".into())]);
    let mut signed = example(&[]);
    let super::command::Values::Parsed(rdata) = change("", sig).values else { panic!("typed") };
    let set = conn3ction_schemas::RecordSet::new(ttl(60), rdata).expect("a set");
    let id = (name("example."), name("example."), SetKey::rrsig(RecordType::SOA));
    signed.sets.insert(id, (Some(set), Revision(1)));
    assert_eq!(
        refused(&signed, changes(&["set a.example. A 192.0.2.1"])),
        [(RefusalKind::ZoneRule, "/changes/0".into())]
    );
}

#[test]
fn limits_hold_per_set_and_per_name() {
    let state = example(&[]);
    let many: Vec<String> = (0..1001).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
    let line = format!("set a.example. A {}", many.join(" | "));
    assert_eq!(refused(&state, changes(&[&line])), [(RefusalKind::InvalidRecord, "/changes/0/values".into())]);
    let types: Vec<String> = (0..101).map(|n| format!("set a.example. TYPE{} \\# 1 00", 1000 + n)).collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    assert_eq!(refused(&state, changes(&types))[0].0, RefusalKind::ZoneRule);
    assert!(decide(&state, &command(changes(&types[..100]))).is_ok());
    let sets: Vec<String> = (0..1001).map(|n| format!("set a{n}.example. A 192.0.2.1")).collect();
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    assert_eq!(refused(&state, changes(&sets))[0].0, RefusalKind::TooLarge);
}

#[test]
fn plans_warn_of_what_is_hidden_or_laid_open() {
    let state = example(&["cut.example. NS ns.cut.example.", "ns.cut.example. A 192.0.2.1", "x.new.example. TXT y"]);
    for (intent, expected) in [
        (changes(&["set a.cut.example. A 192.0.2.1"]), Some(WarningKind::BelowDelegation)),
        (changes(&["set ns.cut.example. AAAA ::1"]), None),
        (changes(&["set a.cut.example. TXT x"]), Some(WarningKind::BelowDelegation)),
        (changes(&["set cut.example. TXT x"]), Some(WarningKind::BelowDelegation)),
        (changes(&["delete cut.example. NS"]), Some(WarningKind::DelegationRemoved)),
        (new_zone("new.example."), Some(WarningKind::NamesHidden)),
        (new_zone("cut.example."), Some(WarningKind::NamesHidden)),
        (new_zone("other.example."), None),
        (Intent::DeleteZone(name("example.")), None),
    ] {
        let mut warnings = Vec::new();
        outcome(&state, &intent, &mut warnings).expect("decided");
        assert_eq!(warnings.first().map(|warning| warning.kind), expected, "{intent:?}");
    }
}

#[test]
fn the_same_key_replays_and_another_digest_is_refused() {
    let mut state = example(&[]);
    let first = keyed(changes(&["set a.example. A 192.0.2.1"]), "k", 1);
    state.run(&first).expect("an event");
    state.run(&command(changes(&["delete a.example. A"]))).expect("an event");
    assert!(matches!(decide(&state, &first), Ok(Decided::Unchanged { revision: Revision(2), replayed: true })));
    let other = decide(&state, &keyed(changes(&["set a.example. A 192.0.2.2"]), "k", 2)).expect_err("refused");
    assert_eq!(other.kind, RefusalKind::KeyReused);
    let mut bob = first.clone();
    bob.envelope.actor.name = "bob".into();
    assert!(matches!(decide(&state, &bob), Ok(Decided::Event(_))));
}

#[test]
fn of_racers_with_one_expected_revision_exactly_one_wins() {
    let state = example(&["a.example. A 192.0.2.1"]);
    let mut overlay = Overlay::new(state);
    let mut won = 0;
    for racer in 0..50u64 {
        let command = expecting(changes(&[&format!("set a.example. A 192.0.2.{}", 100 + racer)]), 2);
        match decide(&overlay, &command) {
            Ok(decided) => {
                won += 1;
                overlay.note(&command.envelope, &decided, Revision(3));
            }
            Err(refusal) => assert_eq!(refusal.kind, RefusalKind::ChangedSince),
        }
    }
    assert_eq!(won, 1);
    let elsewhere = expecting(changes(&["set b.example. A 192.0.2.1"]), 2);
    assert!(decide(&overlay, &elsewhere).is_ok(), "writes elsewhere never count");
}

/// One of few names, types and zones, so that random commands meet.
fn line() -> impl Strategy<Value = String> {
    let owner = prop::sample::select(vec!["example.", "a.example.", "b.a.example.", "sub.example.", "x.sub.example."]);
    let op = prop::sample::select(vec!["create", "set", "delete", "add", "remove"]);
    let kind = prop::sample::select(vec!["A", "TXT", "CNAME", "NS", "DNAME", "-"]);
    (op, owner, kind, 1..4u8).prop_map(|(op, owner, kind, n)| match (op, kind) {
        ("delete", kind) => format!("delete {owner} {kind}"),
        ("create", "-") => format!("create {owner} A 192.0.2.{n}"),
        (op, "A" | "-") => format!("{op} {owner} {kind} 192.0.2.{n}"),
        (op, "TXT") => format!("{op} {owner} TXT t{n}"),
        (op, kind) => format!("{op} {owner} {kind} n{n}.example."),
    })
}

fn intent() -> impl Strategy<Value = Intent> {
    let zone = prop::sample::select(vec!["example.", "sub.example."]);
    prop_oneof![
        8 => prop::collection::vec(line(), 1..5).prop_map(|lines| {
            changes(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        }),
        2 => zone.clone().prop_map(new_zone),
        1 => zone.prop_map(|zone| Intent::DeleteZone(name(zone))),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let key = prop::option::weighted(0.3, (0..3u8, 0..2u8));
    let expected = prop::option::weighted(0.2, 0..20u64);
    (intent(), key, expected).prop_map(|(intent, key, expected)| {
        let mut command = match key {
            Some((key, digest)) => keyed(intent, &key.to_string(), digest),
            None => command(intent),
        };
        command.envelope.expected_revision = expected.map(Revision);
        command
    })
}

proptest! {
    /// Each batch decided over the overlay is what deciding one by one with folds between gives; the overlay answers as
    /// the fold does. (`MapState::fold` itself checks serials, befores and that deltas change something.)
    #[test]
    fn an_overlay_of_a_batch_equals_deciding_one_by_one(
        batches in prop::collection::vec(prop::collection::vec(any_command(), 1..8), 1..6)
    ) {
        let mut folded = MapState::default();
        for batch in batches {
            let mut overlay = Overlay::new(folded.clone());
            for command in batch {
                let over = decide(&overlay, &command);
                let one = decide(&folded, &command);
                match (over, one) {
                    (Ok(over), Ok(one)) => {
                        prop_assert_eq!(format!("{over:?}"), format!("{one:?}"));
                        folded.fold(&command.envelope, &one);
                        overlay.note(&command.envelope, &over, folded.revision);
                    }
                    (Err(over), Err(one)) => prop_assert_eq!(over, one),
                    (over, one) => prop_assert!(false, "{over:?} but {one:?}"),
                }
                for zone in ["example.", "sub.example."].map(name) {
                    prop_assert_eq!(overlay.zone(&zone), folded.zone(&zone));
                    for limit in [2, 100] {
                        prop_assert_eq!(overlay.first_sets(&zone, &zone, limit), folded.first_sets(&zone, &zone, limit));
                    }
                }
            }
        }
    }
}
