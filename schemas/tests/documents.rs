//! The JSON shapes and `schemas/json/*.schema.json` say the same: every type has its file and every file its type, with
//! the same members, the same ones required, and the same answer to a member that is not known.

use std::{collections::BTreeSet, fs, path::Path};

use conn3ction_schemas::{
    event::{Auth, Kind},
    json::*,
};
use jsonschema::{Registry, Validator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// A type, the stem of its file, and two values of it.
struct Shape {
    stem: &'static str,
    type_name: &'static str,
    /// Every member is there.
    full: Value,
    /// Nothing is there that may be left out.
    bare: Value,
    /// Whether the type takes a value.
    takes: fn(&Value) -> bool,
}

fn shape<T: Serialize + DeserializeOwned + PartialEq>(stem: &'static str, full: T, bare: T) -> Shape {
    let print = |value: &T| {
        let json = serde_json::to_value(value).expect("JSON");
        assert!(serde_json::from_value::<T>(json.clone()).is_ok_and(|read| read == *value), "{stem} is read back");
        json
    };
    Shape {
        stem,
        type_name: std::any::type_name::<T>().rsplit("::").next().expect("a name"),
        full: print(&full),
        bare: print(&bare),
        takes: |value| serde_json::from_value::<T>(value.clone()).is_ok(),
    }
}

const TIME: &str = "2026-11-22T01:52:07.481233Z";
const HASH: &str = "9f2c000000000000000000000000000000000000000000000000000000000000";

/// Every shape. The literals name all members, so the compiler asks for a new one here, and the tests below for it in
/// the documents.
fn shapes() -> Vec<Shape> {
    let text = |text: &str| text.to_owned();
    let some = |text: &str| Some(text.to_owned());
    let set = || SetJson { ttl: 300, values: vec![text("192.0.2.77")] };
    let note = |reason| EventNote { revision: 1041, time: text(TIME), actor: text("ci"), reason };
    let record = |covers, zone, event: Option<EventNote>| Record {
        name: text("a.example"),
        rtype: text("A"),
        values: vec![text("192.0.2.77")],
        ttl: 300,
        covers,
        zone,
        revision: event.as_ref().map(|_| 1041),
        event,
    };
    let change_input = |rtype, values, ttl, covers, zone| ChangeInput {
        op: Op::Set,
        name: text("a.example"),
        rtype,
        values,
        ttl,
        covers,
        zone,
    };
    let full_change = || change_input(some("A"), Some(vec![text("192.0.2.7")]), Some(5), some("A"), some("example"));
    let zone = |previous_serial, created, deleted| EventZone {
        name: text("example"),
        serial: 2,
        previous_serial,
        created,
        deleted,
    };
    let change = |covers, before, after| ChangeJson {
        zone: text("example"),
        name: text("a.example"),
        rtype: text("A"),
        covers,
        before,
        after,
    };
    let warning = |name, line| Warning { kind: text("mixed-ttls"), name, line, detail: text("60 and 300") };
    let event = |committed_at, reason, zones, changes, restores, reverts| EventJson {
        revision: 1041,
        epoch: 1,
        id: text("019a9b2e-7c1a-7000-8000-000000000001"),
        time: text(TIME),
        committed_at,
        kind: text("records-changed"),
        actor: text("ci"),
        auth: text("none"),
        source: text("rest"),
        reason,
        request_id: text("5f0c"),
        zones,
        change_count: 1,
        changes,
        restores,
        reverts,
        warnings: reverts.iter().map(|_| warning(None, None)).collect(),
        previous_hash: text(HASH),
        hash: text(HASH),
    };
    let history = |reason, covers, before, after| HistoryEntry {
        revision: 1041,
        time: text(TIME),
        actor: text("ci"),
        reason,
        kind: text("restored"),
        zone: text("example"),
        serial: 2,
        name: text("a.example"),
        rtype: text("A"),
        covers,
        before,
        after,
    };
    let short = || ShortAnswer { outcome: text("NOERROR"), values: vec![text("192.0.2.77")] };
    let bisect = |event, before| Bisect {
        name: text("a.example"),
        rtype: text("A"),
        answer: text("192.0.2.77"),
        holds: true,
        event,
        before,
        after: short(),
    };
    let blame = |covers, value, ttl, reason| BlameRow {
        zone: text("example"),
        name: text("a.example"),
        rtype: text("A"),
        covers,
        value,
        ttl,
        revision: 1041,
        time: text(TIME),
        actor: text("ci"),
        reason,
        set_revision: 1044,
    };
    let summary = || Summary { created: 1, replaced: 2, deleted: 3 };
    let conflict = |covers| Conflict {
        zone: text("example"),
        name: text("a.example"),
        rtype: text("A"),
        covers,
        detail: text("changed by r3"),
    };
    let apply_to =
        |if_match, file_sha256| ApplyTo { method: text("POST"), path: text("/changes"), if_match, file_sha256 };
    let plan = |reason, zones, changes, restores, reverts, conflicts, warnings, apply_to| Plan {
        kind: text("reverted"),
        actor: text("ci"),
        auth: text("token"),
        source: text("rest"),
        reason,
        request_id: text("5f0c"),
        zones,
        change_count: 1,
        changes,
        restores,
        reverts,
        decided_at: text("1:1044"),
        summary: summary(),
        conflicts,
        warnings,
        cache_seconds: 300,
        apply: json!({"changes": []}),
        apply_to,
    };
    let fault = |text: fn(&str) -> Option<String>, number| ProblemError {
        pointer: text("/name"),
        parameter: text("zone"),
        header: text("if-match"),
        line: number,
        column: number,
        detail: "wrong".into(),
        hint: text("mend it"),
    };
    let full_fault = || fault(|text| Some(text.into()), Some(4));
    let bare_fault = || fault(|_| None, None);
    let problem = |request_id, errors| Problem {
        kind: text("/problems/record-exists"),
        title: text("The record set exists"),
        status: 409,
        detail: text("a.example A exists"),
        request_id,
        errors,
    };
    let secondary = |serial| Secondary { address: text("192.0.2.53:53"), serial };
    let zone_json = |signed_elsewhere, secondaries| ZoneJson {
        name: text("example"),
        serial: 2,
        revision: 1041,
        record_count: 12,
        signed_elsewhere,
        secondaries,
    };
    let check = |detail| ViewCheck { view: text("answers"), revision: 7, digest: text(HASH), ok: true, detail };
    let anchor = |found| AnchorCheck { revision: 7, hash: text(HASH), found, ok: true };
    let verify = |bad, detail, views, anchors| VerifyJson {
        ok: false,
        from: 1,
        to: 7,
        hash: text(HASH),
        bad,
        detail,
        views,
        anchors,
    };
    let replay =
        || ReplayJson { ok: true, to: 7, events: 7, elapsed_ms: 1, events_per_second: 7_000, views: vec![check(None)] };
    let copy = || LedgerCopy { directory: text("backup"), events: 3, to: 7, hash: text(HASH) };
    let progress = || CheckProgress { step: text("chain"), done: 7, total: 9 };

    let hidden = || NotShown {
        zone: text("example"),
        name: text("a.example"),
        rtype: text("CAA"),
        reason: text("no such records"),
    };
    let view = |detail, not_shown: Vec<NotShown>| ViewStatus {
        view: text("zone-keys"),
        revision: 7,
        lag: 0,
        state: text("following"),
        detail,
        digest: text(HASH),
        not_shown_count: not_shown.len() as u64,
        not_shown,
    };
    let ready = |reasons, views, at| Ready {
        ready: true,
        reasons,
        revision: text("1:7"),
        head: text("1:7"),
        version: text("0.1.0"),
        role: text("all"),
        ledger: text("file"),
        dns: vec![text("127.0.0.1:1053")],
        at,
        views,
    };
    let full_record = || record(some("DS"), some("example"), Some(note(some("why"))));
    let bare_record = || record(None, None, None);
    let lookup = |moment: Option<String>, since, answer, authority, additional, trace| Lookup {
        rcode: text("NOERROR"),
        authoritative: true,
        revision: 7,
        moment,
        since,
        answer,
        authority,
        additional,
        trace,
    };
    vec![
        shape("set", set(), set()),
        shape("event-note", note(some("why")), note(None)),
        shape("record", full_record(), bare_record()),
        shape(
            "record-input",
            RecordInput {
                name: some("a.example"),
                rtype: some("A"),
                values: vec![text("192.0.2.77")],
                ttl: Some(60),
                covers: some("DS"),
                zone: some("example"),
                reason: some("why"),
                expected_revision: some("1:1044"),
            },
            RecordInput::default(),
        ),
        shape("change-input", full_change(), change_input(None, None, None, None, None)),
        shape(
            "change-set",
            ChangeSet { reason: some("why"), expected_revision: some("1:1044"), changes: vec![full_change()] },
            ChangeSet::default(),
        ),
        shape("short-answer", short(), short()),
        shape("bisect", bisect(Some(event(None, None, vec![], vec![], None, None)), Some(short())), bisect(None, None)),
        shape("event-zone", zone(Some(1), true, true), zone(None, false, false)),
        shape("change", change(some("DS"), Some(set()), Some(set())), change(None, None, None)),
        shape(
            "event",
            event(
                some(TIME),
                some("why"),
                vec![zone(None, true, false)],
                vec![change(None, None, Some(set()))],
                Some(3),
                Some(4),
            ),
            event(None, None, vec![], vec![], None, None),
        ),
        shape(
            "history-entry",
            history(some("why"), some("DS"), Some(set()), Some(set())),
            history(None, None, None, None),
        ),
        shape(
            "blame-row",
            blame(some("DS"), some("192.0.2.77"), Some(300), some("why")),
            blame(None, None, None, None),
        ),
        shape("summary", summary(), summary()),
        shape("conflict", conflict(some("DS")), conflict(None)),
        shape("warning", warning(some("a.example"), Some(3)), warning(None, None)),
        shape("apply-to", apply_to(some("1:1044"), some(HASH)), apply_to(None, None)),
        shape(
            "plan",
            plan(
                some("why"),
                vec![zone(Some(1), false, false)],
                vec![change(None, Some(set()), None)],
                Some(3),
                Some(4),
                vec![conflict(None)],
                vec![warning(None, None)],
                Some(apply_to(None, None)),
            ),
            plan(None, vec![], vec![], None, None, vec![], vec![], None),
        ),
        shape("problem-error", full_fault(), bare_fault()),
        shape("problem", problem(some("5f0c"), vec![full_fault()]), problem(None, vec![])),
        shape("secondary", secondary(Some(2)), secondary(None)),
        shape("zone", zone_json(true, vec![secondary(None)]), zone_json(false, vec![])),
        shape(
            "zone-input",
            ZoneInput {
                name: text("example"),
                nameservers: Some(vec![text("ns.example.")]),
                contact: some("hostmaster@example"),
                ttl: Some(60),
                reason: some("why"),
                expected_revision: some("1:1044"),
            },
            ZoneInput::default(),
        ),
        shape(
            "restore-input",
            RestoreInput {
                to: text("1:1040"),
                name: some("a.example"),
                rtype: some("RRSIG"),
                covers: some("DS"),
                under: some("example"),
                reason: some("why"),
                expected_revision: some("1:1044"),
            },
            RestoreInput::default(),
        ),
        shape(
            "revert-input",
            RevertInput {
                zone: some("example"),
                name: some("a.example"),
                rtype: some("RRSIG"),
                covers: some("DS"),
                under: some("example"),
                reason: some("why"),
                expected_revision: some("1:1044"),
            },
            RevertInput::default(),
        ),
        shape("view-check", check(some("it differs")), check(None)),
        shape("anchor-check", anchor(some(HASH)), anchor(None)),
        shape(
            "verify",
            verify(Some(3), some("hash"), vec![check(None)], vec![anchor(None)]),
            verify(None, None, vec![], vec![]),
        ),
        shape("check-progress", progress(), progress()),
        shape("replay", replay(), replay()),
        shape("ledger-copy", copy(), copy()),
        shape("health", Health { status: text("ok") }, Health { status: text("ok") }),
        shape("not-shown", hidden(), hidden()),
        shape("view-status", view(some("at r3"), vec![hidden()]), view(None, vec![])),
        shape(
            "ready",
            ready(vec![text("starting")], vec![view(None, vec![])], some("r7")),
            ready(vec![], vec![], None),
        ),
        shape(
            "lookup",
            lookup(
                some("r7"),
                Some(note(None)),
                vec![full_record()],
                vec![bare_record()],
                vec![bare_record()],
                vec![text("zone example")],
            ),
            lookup(None, None, vec![], vec![], vec![], vec![]),
        ),
    ]
}

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("json")
}

fn document(stem: &str) -> Value {
    let path = directory().join(format!("{stem}.schema.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{stem}: {error}"))
}

fn stems() -> BTreeSet<String> {
    let files = fs::read_dir(directory()).expect("the directory");
    let name = |file: fs::DirEntry| file.file_name().into_string().expect("UTF-8");
    let stem = |file| name(file).strip_suffix(".schema.json").expect("NAME.schema.json").to_owned();
    files.map(|file| stem(file.expect("an entry"))).collect()
}

/// Gives `test` each document with its validator; references are found in the directory, nowhere else.
fn each_document(mut test: impl FnMut(&str, &Value, &Validator)) {
    const BASE: &str = "https://conn3ction.invalid/";
    let mut registry = Registry::new();
    for stem in stems() {
        let mut plain = document(&stem);
        plain.as_object_mut().expect("an object").remove("$id");
        registry = registry.add(format!("{BASE}{stem}.schema.json"), plain).expect("a resource");
    }
    let registry = registry.prepare().expect("every reference is found");
    for stem in stems() {
        let reference = json!({"$ref": format!("{BASE}{stem}.schema.json")});
        let validator = jsonschema::options()
            .with_registry(&registry)
            .should_validate_formats(true)
            .build(&reference)
            .unwrap_or_else(|error| panic!("{stem}: {error}"));
        test(&stem, &document(&stem), &validator);
    }
}

fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn every_type_has_its_document_and_every_document_its_type() {
    let shapes = shapes();
    let known: BTreeSet<String> = shapes.iter().map(|shape| shape.stem.to_owned()).collect();
    assert_eq!(known, stems(), "left: the shapes of this test, right: the files of schemas/json");
    // What the module exports is what is tested; `Op` is a member of `ChangeInput` and has no document of its own.
    let exported: BTreeSet<&str> = include_str!("../src/json/mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub use ")?.split_once("::"))
        .flat_map(|(_, names)| names.trim_matches(['{', '}', ';']).split(", "))
        .filter(|name| *name != "Op")
        .collect();
    let tested: BTreeSet<&str> = shapes.iter().map(|shape| shape.type_name).collect();
    assert_eq!(exported, tested, "left: the types that schemas::json exports, right: those of this test");
}

#[test]
fn documents_and_types_have_the_same_members() {
    let shapes = shapes();
    each_document(|stem, document, validator| {
        let shape = shapes.iter().find(|shape| shape.stem == stem).expect("a shape");
        assert_eq!(document["$id"], format!("{stem}.schema.json"));
        assert_eq!(document["title"], shape.type_name, "{stem}: the title is the type's name");
        assert_eq!(
            members(&document["properties"]),
            members(&shape.full),
            "{stem}: left the document's members, right those of {}",
            shape.type_name
        );
        let required: BTreeSet<&str> = document["required"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|name| name.as_str().expect("a name"))
            .collect();
        assert_eq!(required, members(&shape.bare), "{stem}: left the document's required members, right the type's");
        for (which, value) in [("full", &shape.full), ("bare", &shape.bare)] {
            let faults: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
            assert!(faults.is_empty(), "{stem}, {which}: {faults:?}");
        }
        let mut unknown = shape.full.clone();
        unknown["conn3ction_unknown"] = json!(1);
        assert_eq!((shape.takes)(&unknown), validator.is_valid(&unknown), "{stem}: a member that is not known");
        for member in members(&shape.full) {
            let mut wrong = shape.full.clone();
            wrong[member] = json!({"no": ["such", "thing"]});
            let takes_anything = member == "apply";
            assert_eq!(validator.is_valid(&wrong), takes_anything, "{stem}: {member} of a wrong type");
            assert_eq!((shape.takes)(&wrong), takes_anything, "{}: {member} of a wrong type", shape.type_name);
            let mut less = shape.full.clone();
            less.as_object_mut().expect("an object").remove(member);
            // The document promises what an answer always has; a client of ours may be more lenient.
            if validator.is_valid(&less) || document["additionalProperties"] == json!(false) {
                assert_eq!((shape.takes)(&less), validator.is_valid(&less), "{stem} without {member}");
            }
        }
    });
}

#[test]
fn documents_are_json_schema_2020_12_and_their_examples_hold() {
    let shapes = shapes();
    each_document(|stem, document, validator| {
        assert_eq!(document["$schema"], "https://json-schema.org/draft/2020-12/schema", "{stem}");
        jsonschema::draft202012::meta::validate(document).unwrap_or_else(|error| panic!("{stem}: {error}"));
        let shape = shapes.iter().find(|shape| shape.stem == stem).expect("a shape");
        let examples = document["examples"].as_array().expect("examples");
        assert!(!examples.is_empty(), "{stem}: an example");
        for example in examples {
            let faults: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
            assert!(faults.is_empty() && (shape.takes)(example), "{stem}: {example}: {faults:?}");
        }
        for (member, property) in document["properties"].as_object().expect("members") {
            assert!(
                property["description"].as_str().is_some_and(|text| text.ends_with(['.', '…'])),
                "{stem}: {member}"
            );
        }
    });
}

#[test]
fn the_enums_of_the_documents_are_those_of_the_types() {
    let words = |stem: &str, member: &str| document(stem)["properties"][member]["enum"].clone();
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    for stem in ["event", "history-entry", "plan"] {
        assert_eq!(words(stem, "kind"), json!(kinds), "{stem}");
    }
    for stem in ["event", "plan"] {
        assert_eq!(words(stem, "auth"), json!([Auth::None.as_str(), Auth::Token.as_str()]), "{stem}");
    }
    for op in words("change-input", "op").as_array().expect("a list") {
        assert!(serde_json::from_value::<Op>(op.clone()).is_ok(), "{op}");
    }
    for op in [Op::Create, Op::Set, Op::Delete, Op::Add, Op::Remove] {
        let op = serde_json::to_value(op).expect("JSON");
        assert!(words("change-input", "op").as_array().expect("a list").contains(&op), "{op}");
    }
}
