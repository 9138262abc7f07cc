//! Transfers of the past: which zone, as of when, and under which names.

use std::net::IpAddr;

use conn3ction_schemas::{Name, RecordType};

use super::{
    Below, History,
    asof::NO_ROOM,
    options::{Asked, ExtendedError, Options},
};
use crate::{
    store::{Version, View},
    wire::{Parsed, parse},
};

/// What a transfer is asked of.
pub(crate) struct Transferred {
    view: View,
    /// The zone, and the moment's name that its records are moved below, if the question had one.
    moved: Option<(Name, Vec<u8>)>,
    /// What the first message says of the moment.
    options: Options,
}

impl Transferred {
    fn live(view: &View) -> Self {
        Self { view: view.clone(), moved: None, options: Options::default() }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The zone that is meant; `None`: that of the question.
    pub(crate) fn zone(&self) -> Option<&Name> {
        self.moved.as_ref().map(|(zone, _)| zone)
    }

    /// Where the records go; `None`: they stay.
    pub(crate) fn below(&self) -> Option<Below<'_>> {
        self.moved.as_ref().map(|(_, moment)| Below { view: &self.view, moment })
    }

    /// The options of the first message.
    pub(crate) fn options(&self) -> &[u8] {
        self.options.octets()
    }

    /// The options of a message that ends the transfer, because a name would pass 255 octets.
    pub(crate) fn no_room() -> Options {
        let mut options = Options::default();
        options.extended_error(&ExtendedError { code: ExtendedError::OTHER, text: NO_ROOM.into() });
        options
    }
}

/// What the transfer that `packet` asks for is asked of: `live`, or the moment in its option or its name. `None` if that
/// cannot be asked, which [`answer`](super::answer) explains.
pub(crate) fn transferred(history: Option<&History>, live: &View, packet: &[u8], peer: IpAddr) -> Option<Transferred> {
    let Parsed::Query(query) = parse(packet) else { return Some(Transferred::live(live)) };
    let asked = query.edns.map_or_else(Asked::default, |edns| Asked::read(edns.options));
    if asked.is_torn {
        return None;
    }
    let asked = asked.moment;
    let Some(history) = history else {
        return asked.is_none_or(<[u8]>::is_empty).then(|| Transferred::live(live));
    };
    let name = query.name();
    let event = |version: Version| history.moments.event(version);
    let mut options = Options::default();
    if let Some(named) = history.suffix.as_ref().and_then(|suffix| suffix.strip(&query)) {
        let text = named.moment(name).filter(|_| asked.is_none_or(<[u8]>::is_empty))?;
        let moment = history.moment(peer, text).ok()?;
        let zone = Name::from_wire(&named.inner(name)).ok()?;
        let is_final = moment.is_final;
        let (view, version) = moment.settled_at(zone.as_wire(), RecordType::AXFR);
        history.tell(version, is_final, view.last_change(&zone), &mut options);
        return Some(Transferred { view, moved: Some((zone, name[named.moment_at..].to_vec())), options });
    }
    let view = match asked {
        None => live.clone(),
        Some([]) => {
            if !history.allow.contains(peer) {
                return None;
            }
            let version = Name::from_wire(name).ok().and_then(|zone| live.last_change(&zone));
            let note = version.and_then(event);
            options.moment(version, note.as_ref().map(|note| note.time), true);
            history.tell(version, true, None, &mut options);
            live.clone()
        }
        Some(text) => {
            let moment = history.moment(peer, text).ok()?;
            let is_final = moment.is_final;
            let (view, version) = moment.settled_at(name, RecordType::AXFR);
            options.moment(version, version.and_then(|version| history.moments.time(version)), is_final);
            view
        }
    };
    Some(Transferred { view, moved: None, options })
}
