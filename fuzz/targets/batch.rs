#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stormwire::testing::fuzz::batch(data));
