//! Random values of every type that the IDL has, whole, cut and damaged.

use proptest::prelude::*;

use super::idl::Kind;
use super::schema::{Schema, schema};
use super::values::tree;
use super::{Method, RECORDS, Recode, SERVICES};
use crate::testing::allocations;
use crate::wire::message::{read_header, write_call};
use crate::wire::{Output, WireError, scan};

/// The bytes of random arguments, of a random result or record, and the function that reads them.
fn random(schema: &Schema, seed: u64) -> (Vec<u8>, Recode) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let all: Vec<(&str, &str, &Method)> = SERVICES
        .iter()
        .flat_map(|(scope, name, methods)| methods.iter().map(move |item| (*scope, *name, item)))
        .collect();
    let n_places = all.len() + RECORDS.len();
    let place = rng.usize(..n_places);
    let is_reply = rng.bool();
    let mut choose = |n: usize| rng.usize(..n);
    let Some((scope, service, method)) = all.get(place) else {
        let (scope, name, recode) = RECORDS[place - all.len()];
        let shape = schema.record(scope, name);
        return (schema.random(scope, shape, &mut choose), recode);
    };
    let (arguments, reply) = schema.method(scope, service, method.name);
    let (fields, recode) = match is_reply {
        true => (&reply[..], method.recode_reply),
        false => (arguments, method.recode_arguments),
    };
    let bytes = schema.random(scope, (Kind::Struct, fields), &mut choose);
    (bytes, recode)
}

/// A whole call with these bytes as its arguments.
fn call(arguments: &[u8]) -> Vec<u8> {
    let mut call = write_call("someMethod", 7, |_: &mut Output| Ok(()))
        .unwrap()
        .to_vec();
    call.pop();
    call.extend(arguments);
    call
}

thread_local! {
    static SCHEMA: Schema = schema();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_read_is_written_again(seed: u64) {
        let (bytes, recode) = SCHEMA.with(|schema| random(schema, seed));
        let again = recode(&bytes).unwrap();
        prop_assert_eq!(tree(&bytes, 12), tree(&again, 12));
        prop_assert_eq!(recode(&again).unwrap(), again);
    }

    /// Unknown fields before every field of the outermost struct are passed over.
    #[test]
    fn unknown_fields_are_skipped(seed: u64, other: u64) {
        let (bytes, recode) = SCHEMA.with(|schema| random(schema, seed));
        let (unknown, _) = SCHEMA.with(|schema| random(schema, other));
        let extended = [&[12, 0x70, 0][..], &unknown, &bytes].concat();
        prop_assert_eq!(recode(&extended).unwrap(), recode(&bytes).unwrap());
    }

    /// A message that is cut short is unfinished to the scanner, wherever the cut is.
    #[test]
    fn a_cut_message_is_unfinished(seed: u64, cuts in proptest::collection::vec(0.0..1.0, 0..6)) {
        let (bytes, recode) = SCHEMA.with(|schema| random(schema, seed));
        let message = call(&bytes);
        let n = message.len() as f64;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * n) as usize).collect();
        cuts.sort_unstable();
        let mut resumed = scan::Scanner::message(message.len() + 9);
        for cut in cuts {
            let mut fresh = scan::Scanner::message(message.len());
            prop_assert_eq!(resumed.scan(&message[..cut]).unwrap(), None);
            prop_assert_eq!(fresh.scan(&message[..cut]).unwrap(), None);
            let complete = scan::message_end(&message[..cut]);
            prop_assert!(matches!(complete, Err(WireError::EndsEarly)), "{:?}", complete);
        }
        prop_assert_eq!(resumed.scan(&message).unwrap(), Some(message.len()));
        let cut = bytes.len().saturating_sub(1);
        prop_assert!(matches!(recode(&bytes[..cut]), Err(WireError::EndsEarly)));
    }

    /// Damage gives an error or a value, never a panic, and memory stays in proportion.
    #[test]
    fn damage_is_survived(
        seed: u64,
        hits in proptest::collection::vec((0.0..1.0, any::<u8>()), 1..8),
    ) {
        let (bytes, recode) = SCHEMA.with(|schema| random(schema, seed));
        let mut message = call(&bytes);
        for (place, byte) in hits {
            let place = (place * message.len() as f64) as usize;
            message[place] = byte;
        }
        let resumed = scan::Scanner::message(1 << 20).scan(&message);
        let complete = scan::message_end(&message);
        if let Ok(end) = complete {
            prop_assert_eq!(resumed.unwrap(), Some(end));
        }
        if let Ok((_, body)) = read_header(&message) {
            let (asked, _) = allocations::bytes_during(|| recode(body));
            prop_assert!(asked <= 400 * message.len() as u64 + 65_536, "{} bytes", asked);
        }
    }

    #[test]
    fn noise_is_survived(message in proptest::collection::vec(any::<u8>(), 0..200), seed: u64) {
        let (_, recode) = SCHEMA.with(|schema| random(schema, seed));
        let _ = scan::message_end(&message);
        let _ = scan::Scanner::message(100).scan(&message);
        let _ = read_header(&message);
        let _ = recode(&message);
    }
}
