#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quittance_fuzz::run("receipt", input));
