//! What the fold knows beside the zones, as it lies in a sealed file: its form's length u64, the form in CBOR, the notes.

use std::{
    io::{self, Write},
    sync::Arc,
};

use conn3ction_dns::store::Sealed;
use conn3ction_schemas::{Epoch, Name, Revision, Serial, Timestamp, event::Hash};
use minicbor::{Decode, Encode, bytes::ByteVec};

use crate::{Digest, HeadState, Keys, Notes, ZoneState, notes::NotesForm};

/// Raised when a form is changed in a way that older builds would misread.
const FORMAT: u32 = 1;

#[derive(Debug, Encode, Decode)]
struct Form {
    #[n(0)]
    format: u32,
    #[n(1)]
    revision: u64,
    #[n(2)]
    epoch: u32,
    #[cbor(n(3), with = "minicbor::bytes")]
    hash: [u8; 32],
    #[n(4)]
    committed_at: i64,
    #[n(5)]
    digest: [u64; 4],
    #[n(6)]
    zones: Vec<ZoneForm>,
    #[n(7)]
    keys: Vec<KeyForm>,
    #[n(8)]
    epochs: Vec<(u64, u32)>,
    #[n(9)]
    notes: NotesForm,
}

#[derive(Debug, Encode, Decode)]
struct ZoneForm {
    #[n(0)]
    apex: ByteVec,
    #[n(1)]
    serial: u32,
    #[n(2)]
    alive: bool,
    #[n(3)]
    changed: u64,
    #[n(4)]
    committed_at: i64,
    #[n(5)]
    time: i64,
}

/// A remembered idempotency key: its hash, its event, the digest of its request.
#[derive(Debug, Encode, Decode)]
pub(crate) struct KeyForm {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    #[n(1)]
    pub(crate) revision: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) digest: [u8; 32],
    #[n(3)]
    pub(crate) committed_at: i64,
}

/// Writes `head` and the digest of the view that it stands beside.
pub(crate) fn write(head: &HeadState, digest: Digest, out: &mut dyn Write) -> io::Result<()> {
    let zones = head.zones.iter().map(|(apex, zone)| ZoneForm {
        apex: apex.as_wire().to_vec().into(),
        serial: zone.serial.0,
        alive: zone.alive,
        changed: zone.changed.0,
        committed_at: zone.committed_at.0,
        time: zone.time.0,
    });
    let form = Form {
        format: FORMAT,
        revision: head.revision.0,
        epoch: head.epoch.0,
        hash: head.hash.0,
        committed_at: head.committed_at.0,
        digest: digest.0,
        zones: zones.collect(),
        keys: head.keys.forms().collect(),
        epochs: head.notes.epochs().collect(),
        notes: head.notes.form(),
    };
    let octets = minicbor::to_vec(&form).map_err(io::Error::other)?;
    out.write_all(&(octets.len() as u64).to_be_bytes())?;
    out.write_all(&octets)?;
    head.notes.write(out)
}

/// Reads what [`write`] wrote; `None` if it is of another form.
pub(crate) fn read(file: &Arc<Sealed>) -> Option<(HeadState, Digest)> {
    let (len, rest) = file.attachment().split_first_chunk::<8>()?;
    let len = usize::try_from(u64::from_be_bytes(*len)).ok()?;
    let form: Form = minicbor::decode(rest.get(..len)?).ok()?;
    if form.format != FORMAT || Revision(form.revision) != file.version().into() {
        return None;
    }
    let zones = form.zones.iter().map(|zone| {
        let state = ZoneState {
            serial: Serial(zone.serial),
            alive: zone.alive,
            changed: Revision(zone.changed),
            committed_at: Timestamp(zone.committed_at),
            time: Timestamp(zone.time),
        };
        Some((Name::from_wire(&zone.apex).ok()?, state))
    });
    let head = HeadState {
        revision: Revision(form.revision),
        epoch: Epoch(form.epoch),
        hash: Hash(form.hash),
        committed_at: Timestamp(form.committed_at),
        zones: zones.collect::<Option<_>>()?,
        keys: Keys::of_forms(form.keys),
        notes: Notes::open(file, 8 + len, form.notes, form.epochs.into_iter())?,
    };
    Some((head, Digest(form.digest)))
}
