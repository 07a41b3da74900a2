//! Lengths, counts and nesting that lie.

use super::idl::{Field, Kind};
use super::schema::schema;
use super::{RECORDS, Recode, SERVICES, i32_bytes};
use crate::limits::WIRE_DEPTH_MAX;
use crate::testing::allocations;
use crate::testing::figures::figure;
use crate::wire::{WireError, scan, storm};

/// Every list, map, set and text of every argument, result and record, at any depth, with each
/// absurd length.
#[test]
fn a_length_that_lies_is_refused_before_anything_is_reserved() {
    let schema = schema();
    let (mut n_bombs, mut bytes_max) = (0, 0);
    let mut check = |scope: &str, name: &str, shape: (Kind, &[Field]), recode: Recode| {
        for length in LENGTHS {
            let mut see = |path: &str, mut bytes: Vec<u8>| {
                bytes.resize(FRAME_BYTES as usize, 0);
                let (asked, outcome) = allocations::bytes_during(|| recode(&bytes));
                assert!(outcome.is_err(), "{name}{path} took the length {length}");
                assert!(
                    asked <= 2 * FRAME_BYTES as u64,
                    "{name}{path} asked for {asked} bytes"
                );
                bytes_max = bytes_max.max(asked);
                n_bombs += 1;
            };
            schema.bombs(scope, shape, length.to_be_bytes(), &mut see);
        }
    };
    for (scope, service, methods) in SERVICES {
        for method in methods {
            let (arguments, reply) = schema.method(scope, service, method.name);
            let arguments = (Kind::Struct, arguments);
            check(scope, method.name, arguments, method.recode_arguments);
            let reply = (Kind::Struct, &reply[..]);
            check(scope, method.name, reply, method.recode_reply);
        }
    }
    for (scope, name, recode) in RECORDS {
        check(scope, name, schema.record(scope, name), recode);
    }
    let n_lengths = LENGTHS.len();
    let text = format!(
        "{} fields x {n_lengths} lengths refused, at most {bytes_max} bytes asked for by a frame \
         of {FRAME_BYTES}",
        n_bombs / n_lengths
    );
    figure("F2", &text);
    assert!(n_bombs > 4_000, "only {n_bombs} bombs were built");
}

/// Lists within lists and structs within structs, in a field that nobody knows.
#[test]
fn nesting_is_refused_beyond_its_bound_whatever_the_depth() {
    let list = |depth: usize| {
        let mut bytes = vec![15, 0, 99];
        for _ in 1..depth {
            bytes.extend([15, 0, 0, 0, 1]);
        }
        bytes.extend([2, 0, 0, 0, 0, 0]);
        bytes
    };
    let structure = |depth: usize| {
        let mut bytes = [12, 0, 99].repeat(depth);
        bytes.extend(vec![0; depth + 1]);
        bytes
    };
    let work = move || {
        for depth in 1..WIRE_DEPTH_MAX {
            for bytes in [list(depth), structure(depth)] {
                let read = super::super::recode::<storm::NullStruct>(&bytes);
                assert!(read.is_ok(), "depth {depth}: {read:?}");
            }
        }
        for depth in [
            WIRE_DEPTH_MAX,
            WIRE_DEPTH_MAX + 1,
            1_000,
            100_000,
            1_000_000,
        ] {
            for bytes in [list(depth), structure(depth)] {
                let (asked, read) = allocations::bytes_during(|| scan::value_end(&bytes, 12));
                assert!(
                    matches!(read, Err(WireError::TooDeep)),
                    "depth {depth}: {read:?}"
                );
                assert!(asked < 8_192, "depth {depth} asked for {asked} bytes");
            }
        }
    };
    let small = std::thread::Builder::new().stack_size(2 << 20);
    small.spawn(work).unwrap().join().unwrap();
    let deepest = WIRE_DEPTH_MAX - 1;
    figure(
        "F3",
        &format!(
            "depth {deepest} is read, {WIRE_DEPTH_MAX} to 1,000,000 refused, on 2 MiB of stack"
        ),
    );
}

/// Recursive types decode on a small stack at the deepest nesting that the scanner lets through.
#[test]
fn the_deepest_value_decodes_on_a_small_stack() {
    // A list variant of a Value holds one Value: two levels each.
    let n_lists = WIRE_DEPTH_MAX / 2 - 1;
    let mut bytes = Vec::new();
    for _ in 0..n_lists {
        bytes.extend([15, 0, 12, 12]);
        bytes.extend(i32_bytes(1));
    }
    bytes.extend([10, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0]);
    bytes.extend(vec![0; n_lists]);
    let work = move || {
        let again = super::super::recode::<super::super::messages::Value>(&bytes).unwrap();
        assert_eq!(again, bytes);
    };
    let small = std::thread::Builder::new().stack_size(2 << 20);
    small.spawn(work).unwrap().join().unwrap();
}

const FRAME_BYTES: i32 = 4_096;
/// What containers and texts claim to hold.
const LENGTHS: [i32; 4] = [-1, i32::MAX, i32::MIN, FRAME_BYTES + 1];
