//! How the vocabulary is written as CBOR: newtypes as their number, names and digests as octets.

use minicbor::{Decode, Decoder, Encode, Encoder, data::Type, decode, encode};

use super::{FormError, Hash};
use crate::{Epoch, Name, Rdata, RecordSet, RecordType, Revision, Serial, Timestamp, Ttl};

pub(super) fn to_vec<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut octets = Vec::with_capacity(512);
    if minicbor::encode(value, &mut octets).is_err() {
        unreachable!("writing to a vector cannot fail");
    }
    octets
}

/// Reads the format number, which stands first in every header of any version.
pub(super) fn peek_format(octets: &[u8]) -> Result<u8, FormError> {
    let mut decoder = Decoder::new(octets);
    decoder.map()?;
    match decoder.u8()? {
        0 => Ok(decoder.u8()?),
        _ => Err(FormError::Malformed("a header begins with its format number".into())),
    }
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

impl<'b, C> Decode<'b, C> for Name {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Name::from_wire(d.bytes()?).map_err(|error| decode::Error::message(error.to_string()))
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

impl<'b, C> Decode<'b, C> for RecordSet {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let len = d.array()?.ok_or_else(|| decode::Error::message("indefinite length"))?;
        let ttl = Ttl::from_secs(d.u32()?).map_err(|error| decode::Error::message(error.to_string()))?;
        let mut rdata = Vec::new();
        for _ in 1..len {
            rdata.push(Rdata::from_stored(d.bytes()?));
        }
        RecordSet::new(ttl, rdata).map_err(|error| decode::Error::message(error.to_string()))
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

pub(super) fn decode_optional(d: &mut Decoder<'_>) -> Result<Option<RecordSet>, decode::Error> {
    if d.datatype()? == Type::Null {
        d.null()?;
        return Ok(None);
    }
    d.decode().map(Some)
}

pub(super) mod uuid {
    use minicbor::{
        Decoder, Encoder,
        decode::Error,
        encode::{Error as EncodeError, Write},
    };
    use uuid::Uuid;

    pub(crate) fn encode<C, W: Write>(id: &Uuid, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.bytes(id.as_bytes())?.ok()
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Uuid, Error> {
        Uuid::from_slice(d.bytes()?).map_err(|_| Error::message("a UUID has 16 octets"))
    }
}
