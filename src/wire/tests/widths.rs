//! Integers that a peer of another age writes wider or narrower than our IDL has them.

use crate::wire::from_bytes;
use crate::wire::storm::{KillOptions, SupervisorWorkerHeartbeat};

/// A field's header and value.
fn field(kind: u8, id: i16, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &id.to_be_bytes(), value].concat()
}

fn beat(time: &[u8]) -> SupervisorWorkerHeartbeat {
    let id = field(11, 1, &[&2_i32.to_be_bytes()[..], b"id"].concat());
    let none = field(15, 2, &[&[12][..], &0_i32.to_be_bytes()].concat());
    from_bytes(&[&id[..], &none, time, &[0]].concat()).unwrap()
}

#[test]
fn an_i64_is_read_from_an_i32() {
    let now = 1_795_340_102_i32;
    for time in [
        field(8, 3, &now.to_be_bytes()),
        field(10, 3, &i64::from(now).to_be_bytes()),
    ] {
        assert_eq!(beat(&time).time_secs, i64::from(now));
    }
    assert_eq!(beat(&field(8, 3, &(-1_i32).to_be_bytes())).time_secs, -1);
}

#[test]
fn an_i32_is_read_from_an_i64_that_fits_and_else_is_absent() {
    for (wide, expected) in [
        (30_i64, Some(30)),
        (-1, Some(-1)),
        (i64::from(i32::MAX), Some(i32::MAX)),
        (i64::from(i32::MAX) + 1, None),
        (i64::MIN, None),
    ] {
        let bytes = [&field(10, 1, &wide.to_be_bytes())[..], &[0]].concat();
        let options: KillOptions = from_bytes(&bytes).unwrap();
        assert_eq!(options.wait_secs, expected, "{wide}");
    }
}

#[test]
fn other_types_stay_what_they_are() {
    for (kind, value) in [(6_u8, &[0_u8, 7][..]), (4, &[0; 8]), (2, &[1])] {
        let bytes = [&field(kind, 1, value)[..], &[0]].concat();
        let options: KillOptions = from_bytes(&bytes).unwrap();
        assert_eq!(options.wait_secs, None, "type {kind}");
    }
}
