//! The documented record, and that requests with unknown members are refused.

use conn3ction_schemas::{
    Rdata, RecordSet, RecordType, SetKey, Ttl,
    json::{ChangeInput, ChangeSet, Record, RecordInput, ZoneInput},
};

#[test]
fn a_record_set_prints_as_the_documented_record() {
    let rdata = |text| Rdata::parse(RecordType::A, text, None).expect("an address");
    let set = RecordSet::new(Ttl::from_secs(60).expect("a TTL"), vec![rdata("10.1.2.3")]).expect("a set");
    let record = Record::new(&"App.example.local.".parse().expect("a name"), SetKey::of(RecordType::A), &set);
    let text = r#"{"name":"app.example.local","type":"A","values":["10.1.2.3"],"ttl":60}"#;
    assert_eq!(serde_json::to_string(&record).expect("JSON"), text);
}

#[test]
fn unknown_members_are_refused() {
    assert!(serde_json::from_str::<RecordInput>(r#"{"name":"a.b","type":"A","values":[],"tll":5}"#).is_err());
    assert!(serde_json::from_str::<ChangeSet>(r#"{"changes":[],"dryrun":true}"#).is_err());
    assert!(serde_json::from_str::<ChangeInput>(r#"{"op":"set","name":"a","typ":"A"}"#).is_err());
    assert!(serde_json::from_str::<ZoneInput>(r#"{"name":"a.b","contacts":"x"}"#).is_err());
}
