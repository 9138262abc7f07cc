use conn3ction_schemas::{Delta, event::SealedHeader};

/// A fold of events into a view.
///
/// It cannot fail: an event already happened, and whatever could be wrong with it was refused when it was decided. It
/// knows no clock, no randomness and no map order, so the same events give the same view on every machine.
///
/// For each event in order: one [`begin`](Projection::begin), its body in any number of
/// [`chunk`](Projection::chunk)s, one [`commit`](Projection::commit). Readers of the view see whole events, those that
/// ended before the last [`show`](Projection::show); an event behind which nothing waits is shown at once.
pub trait Projection: Send {
    /// The next event starts.
    fn begin(&mut self, header: &SealedHeader);

    /// The next deltas of the event, in the body's order: by zone, owner and key.
    fn chunk(&mut self, header: &SealedHeader, deltas: &[Delta]);

    /// The event ends.
    fn commit(&mut self, header: &SealedHeader);

    /// Readers see every event that ended. None is under way.
    fn show(&mut self);
}
