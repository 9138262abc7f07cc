//! Every parser that meets the network, with what must hold whatever octets it is given.
//!
//! One list, [`ENTRIES`], and two drivers: `tests/sweep.rs` mutates the seeds for a moment in the test command, and
//! `targets/` is a cargo-fuzz directory that goes on for as long as you let it:
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz/targets dns_message`.

pub mod dns;
pub mod mutate;
pub mod stored;
pub mod text;

/// A parser and what must hold for it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name of its target.
    pub name: &'static str,
    /// Panics if something does not hold.
    pub run: fn(&[u8]),
    /// Valid inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! entries {
    ($($module:ident::$name:ident from $seeds:ident),* $(,)?) => {
        /// All of them.
        pub const ENTRIES: &[Entry] =
            &[$(Entry { name: stringify!($name), run: $module::$name, seeds: $module::$seeds }),*];
    };
}

entries! {
    dns::dns_message from messages,
    dns::edns_options from options,
    dns::asof_names from asof_questions,
    dns::transfer_message from transfer_messages,
    text::name from names,
    text::rdata_text from rdata_texts,
    text::rdata_wire from rdata_wires,
    text::master_file from master_files,
    text::moment from moments,
    text::json_change from json_changes,
    text::token_file from token_files,
    stored::event_header from headers,
    stored::event_chunk from chunks,
    stored::ledger_export from exports,
}

/// Runs the entry `name`.
///
/// # Panics
///
/// If something does not hold.
pub fn run(name: &str, octets: &[u8]) {
    let entry = ENTRIES.iter().find(|entry| entry.name == name).expect("an entry of this name");
    (entry.run)(octets);
}
