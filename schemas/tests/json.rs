//! Requests in JSON: what is taken, and that everything wrong is listed with its place.

use conn3ction_schemas::{
    Rdata, RecordSet, RecordType, SetKey, Ttl,
    json::{ChangeInput, ChangeSet, ProblemError, Record, RecordInput, ZoneInput},
};

fn change(text: &str) -> ChangeInput {
    serde_json::from_str(text).expect("a change")
}

fn places(errors: &[ProblemError]) -> Vec<(&str, &str)> {
    errors.iter().map(|error| (error.pointer.as_deref().unwrap_or(""), error.detail.as_str())).collect()
}

#[test]
fn a_record_set_prints_as_the_documented_record() {
    let rdata = |text| Rdata::parse(RecordType::A, text, None).expect("an address");
    let set = RecordSet::new(Ttl::from_secs(60).expect("a TTL"), vec![rdata("10.1.2.3")]).expect("a set");
    let record = Record::new(&"App.example.local.".parse().expect("a name"), SetKey::of(RecordType::A), &set);
    let text = r#"{"name":"app.example.local","type":"A","values":["10.1.2.3"],"ttl":60}"#;
    assert_eq!(serde_json::to_string(&record).expect("JSON"), text);

    let input: RecordInput = serde_json::from_str(text).expect("a record");
    let checked = input.check().expect("all right");
    assert_eq!((checked.key, checked.values), (Some(SetKey::of(RecordType::A)), set.rdata().to_vec()));
}

#[test]
fn everything_wrong_is_listed_with_its_pointer() {
    let input: RecordInput =
        serde_json::from_str(r#"{"name":"a..b","type":"A","values":["10.1.2","10.1.2.3","x"],"ttl":2147483648}"#)
            .expect("well-formed");
    let errors = input.check().expect_err("refused");
    assert_eq!(
        places(&errors),
        [
            ("/name", "`a..b` is no domain name: empty label"),
            ("/ttl", "a TTL is at most 2147483647 seconds"),
            ("/values/0", "A: address: `10.1.2` is no IPv4 address such as 192.0.2.1 (the form is: address)"),
            ("/values/2", "A: address: `x` is no IPv4 address such as 192.0.2.1 (the form is: address)"),
        ]
    );
}

#[test]
fn each_op_takes_its_own_members() {
    for (text, pointer) in [
        (r#"{"op":"set","name":"a.example","type":"A"}"#, Some("/changes/3/values")),
        (r#"{"op":"set","name":"a.example","type":"A","values":[]}"#, Some("/changes/3/values")),
        (r#"{"op":"delete","name":"a.example","type":"A","values":["10.0.0.1"]}"#, Some("/changes/3/values")),
        (r#"{"op":"remove","name":"a.example","type":"A","values":["10.0.0.1"],"ttl":5}"#, Some("/changes/3/ttl")),
        (r#"{"op":"add","name":"a.example","values":["10.0.0.1"]}"#, Some("/changes/3/type")),
        (r#"{"op":"set","name":"a.example","type":"ANY","values":["10.0.0.1"]}"#, Some("/changes/3/type")),
        (r#"{"op":"set","name":"a.example","type":"OPT","values":["\\# 0"]}"#, Some("/changes/3/type")),
        (
            r#"{"op":"set","name":"a.example","type":"A","covers":"MX","values":["10.0.0.1"]}"#,
            Some("/changes/3/covers"),
        ),
        (r#"{"op":"delete","name":"a.example","type":"ANY"}"#, None),
        (r#"{"op":"delete","name":"a.example"}"#, None),
        (r#"{"op":"add","name":"*.a.example.","type":"txt","values":["some text"],"ttl":5}"#, None),
    ] {
        let found = change(text).check(3).err();
        let found = found.as_deref().map(|errors| places(errors)[0].0);
        assert_eq!(found, pointer, "{text}");
    }
}

#[test]
fn signatures_of_one_set_cover_one_type() {
    let signature = |covered| format!("{covered} 8 1 60 20300101000000 20200101000000 1 example. AA==");
    let mut input = RecordInput {
        name: Some("example.".into()),
        rtype: Some("RRSIG".into()),
        values: vec![signature("MX")],
        ..RecordInput::default()
    };
    assert_eq!(input.check().expect("one type").key, Some(SetKey::rrsig(RecordType::MX)));
    input.covers = Some("A".into());
    assert_eq!(places(&input.check().expect_err("another type"))[0].0, "/values/0");
    input.covers = None;
    input.values.push(signature("A"));
    assert_eq!(places(&input.check().expect_err("two types"))[0].0, "/values/1");
}

#[test]
fn unknown_members_are_refused() {
    assert!(serde_json::from_str::<RecordInput>(r#"{"name":"a.b","type":"A","values":[],"tll":5}"#).is_err());
    assert!(serde_json::from_str::<ChangeSet>(r#"{"changes":[],"dryrun":true}"#).is_err());
    assert!(serde_json::from_str::<ChangeInput>(r#"{"op":"set","name":"a","typ":"A"}"#).is_err());
    assert!(serde_json::from_str::<ZoneInput>(r#"{"name":"a.b","contacts":"x"}"#).is_err());
}
