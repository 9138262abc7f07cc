//! How the vocabulary is written as CBOR: newtypes as their number, names and digests as octets.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use uuid::Uuid;

use super::Hash;
use crate::{Epoch, Name, RecordSet, RecordType, Revision, Serial, Timestamp};

pub(super) fn to_vec<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut octets = Vec::with_capacity(512);
    if minicbor::encode(value, &mut octets).is_err() {
        unreachable!("writing to a vector cannot fail");
    }
    octets
}

macro_rules! transparent {
    ($($outer:ident($inner:ty)),* $(,)?) => {$(
        impl<C> Encode<C> for $outer {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
                self.0.encode(e, ctx)
            }
        }
        impl<'b, C> Decode<'b, C> for $outer {
            fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
                <$inner>::decode(d, ctx).map($outer)
            }
        }
    )*};
}

transparent!(Revision(u64), Epoch(u32), Serial(u32), Timestamp(i64), RecordType(u16));

impl<C> Encode<C> for Hash {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Hash {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.bytes()?.try_into().map(Hash).map_err(|_| decode::Error::message("a digest has 32 octets"))
    }
}

impl<C> Encode<C> for Name {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(self.as_wire())?.ok()
    }
}

/// `[ttl, rdata …]`
impl<C> Encode<C> for RecordSet {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(1 + self.rdata().len() as u64)?.u32(self.ttl().as_secs())?;
        for rdata in self.rdata() {
            e.bytes(rdata.as_wire())?;
        }
        Ok(())
    }
}

pub(super) fn encode_optional<W: encode::Write>(
    e: &mut Encoder<W>,
    set: &Option<RecordSet>,
) -> Result<(), encode::Error<W::Error>> {
    match set {
        Some(set) => set.encode(e, &mut ()),
        None => e.null()?.ok(),
    }
}

pub(super) fn encode_uuid<C, W: encode::Write>(
    id: &Uuid,
    e: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), encode::Error<W::Error>> {
    e.bytes(id.as_bytes())?.ok()
}
