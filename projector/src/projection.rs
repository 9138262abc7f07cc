use conn3ction_schemas::{
    NameRef,
    event::{DeltaRef, Hash, HeaderRef},
};

/// A fold of events into a view.
///
/// It cannot fail: an event already happened, and whatever could be wrong with it was refused when it was decided. It
/// knows no clock, no randomness and no map order, so the same events give the same view on every machine.
///
/// For each event in order: one [`begin`](Projection::begin), its body in any number of
/// [`chunk`](Projection::chunk)s, one [`commit`](Projection::commit). Readers of the view see whole events, those that
/// ended before the last [`show`](Projection::show); an event behind which nothing waits is shown at once.
pub trait Projection: Send {
    /// Record sets of these owners change next, each given with its zone's apex. A view may look for their places together,
    /// so that its waits for memory overlap; nothing else follows from it.
    fn expect(&mut self, _owners: &[(NameRef<'_>, NameRef<'_>)]) {}

    /// The next event starts.
    fn begin(&mut self, header: &HeaderRef<'_>);

    /// The next deltas of the event, in the body's order: by zone, owner and key.
    fn chunk(&mut self, header: &HeaderRef<'_>, deltas: &[DeltaRef<'_>]);

    /// The event, whose hash this is, ends.
    fn commit(&mut self, header: &HeaderRef<'_>, hash: Hash);

    /// Readers see every event that ended. None is under way.
    fn show(&mut self);
}
