#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| conn3ction_fuzz::run("ledger_export", octets));
