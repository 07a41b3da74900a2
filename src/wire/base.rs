//! How base types and containers are read and written.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use thrift::protocol::{TInputProtocol, TOutputProtocol};

use super::{Input, Output, TType, Text, Wire, WireError, code};

// === impl Wire ===

macro_rules! number {
    ($type:ty, $kind:expr, $absent:literal, $write:ident, $read:ident $(, $other:ident)?) => {
        impl Wire for $type {
            const TYPE: TType = $kind;
            const ABSENT: &'static str = $absent;

            fn write(&self, out: &mut Output) -> Result<(), WireError> {
                Ok(out.protocol().$write(*self)?)
            }

            fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
                Ok(input.protocol().$read()?)
            }

            fn describe(&self, text: &mut Text) {
                text.push(&format!("{self:?}"));
            }

            $(fn of_other_width(kind: TType, rest: &[u8]) -> Option<Self> {
                $other(kind, rest)
            })?
        }
    };
}

number!(bool, TType::Bool, "false", write_bool, read_bool);
number!(i8, TType::I08, "0", write_i8, read_i8);
number!(i16, TType::I16, "0", write_i16, read_i16);
number!(i32, TType::I32, "0", write_i32, read_i32, narrowed);
number!(i64, TType::I64, "0", write_i64, read_i64, widened);
number!(f64, TType::Double, "0.0", write_double, read_double);

fn narrowed(kind: TType, rest: &[u8]) -> Option<i32> {
    let wide = (kind == TType::I64).then(|| rest.first_chunk()).flatten()?;
    i32::try_from(i64::from_be_bytes(*wide)).ok()
}

fn widened(kind: TType, rest: &[u8]) -> Option<i64> {
    let narrow = (kind == TType::I32).then(|| rest.first_chunk()).flatten()?;
    Some(i32::from_be_bytes(*narrow).into())
}

/// Invalid UTF-8 is read as Java reads it: with replacement characters.
impl Wire for String {
    const TYPE: TType = TType::String;

    fn write(&self, out: &mut Output) -> Result<(), WireError> {
        out.binary(self.as_bytes())
    }

    fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(String::from_utf8_lossy(input.binary()?).into_owned())
    }

    fn describe(&self, text: &mut Text) {
        text.push(self);
    }
}

impl Wire for Bytes {
    const TYPE: TType = TType::String;

    fn write(&self, out: &mut Output) -> Result<(), WireError> {
        out.binary(self)
    }

    fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(Bytes::copy_from_slice(input.binary()?))
    }

    fn describe(&self, text: &mut Text) {
        text.binary(self);
    }
}

impl<T: Wire> Wire for Vec<T> {
    const TYPE: TType = TType::List;

    fn write(&self, out: &mut Output) -> Result<(), WireError> {
        out.list_begin(T::TYPE, self.len())?;
        self.iter().try_for_each(|item| item.write(out))
    }

    fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
        let n = elements::<T>(input)?;
        // An element may be larger here than on the wire: reserve no more than was sent.
        let reserved = n.min(input.rest().len() / size_of::<T>().max(1));
        let mut items = Vec::with_capacity(reserved);
        for _ in 0..n {
            items.push(T::read(input)?);
        }
        Ok(items)
    }

    fn describe(&self, text: &mut Text) {
        text.sequence(self.iter());
    }

    fn fits(rest: &[u8]) -> bool {
        fits_elements::<T>(rest)
    }
}

impl<T: Wire + Ord> Wire for BTreeSet<T> {
    const TYPE: TType = TType::Set;

    fn write(&self, out: &mut Output) -> Result<(), WireError> {
        out.set_begin(T::TYPE, self.len())?;
        self.iter().try_for_each(|item| item.write(out))
    }

    fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
        let n = elements::<T>(input)?;
        (0..n).map(|_| T::read(input)).collect()
    }

    fn describe(&self, text: &mut Text) {
        text.sequence(self.iter());
    }

    fn fits(rest: &[u8]) -> bool {
        fits_elements::<T>(rest)
    }
}

/// Of equal keys the last one counts, as in Java.
impl<K: Wire + Ord, V: Wire> Wire for BTreeMap<K, V> {
    const TYPE: TType = TType::Map;

    fn write(&self, out: &mut Output) -> Result<(), WireError> {
        out.map_begin(K::TYPE, V::TYPE, self.len())?;
        self.iter().try_for_each(|(key, value)| {
            key.write(out)?;
            value.write(out)
        })
    }

    fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
        let (key, value, n) = input.entries()?;
        if n > 0 {
            expect::<K>(key)?;
            expect::<V>(value)?;
        }
        let mut map = BTreeMap::new();
        for _ in 0..n {
            let key = K::read(input)?;
            map.insert(key, V::read(input)?);
        }
        Ok(map)
    }

    fn describe(&self, text: &mut Text) {
        text.entries(self.iter());
    }

    fn fits(rest: &[u8]) -> bool {
        match rest {
            [key, value, count @ ..] => {
                is_empty(count) || (*key == code(K::TYPE) && *value == code(V::TYPE))
            }
            _ => true,
        }
    }
}

/// The count of a list or set whose elements are of the expected type.
fn elements<T: Wire>(input: &mut Input<'_>) -> Result<usize, WireError> {
    let (kind, n) = input.elements()?;
    if n > 0 {
        expect::<T>(kind)?;
    }
    Ok(n)
}

fn expect<T: Wire>(found: u8) -> Result<(), WireError> {
    let expected = code(T::TYPE);
    if found == expected {
        return Ok(());
    }
    Err(WireError::ElementType { found, expected })
}

fn fits_elements<T: Wire>(rest: &[u8]) -> bool {
    match rest {
        [kind, count @ ..] => is_empty(count) || *kind == code(T::TYPE),
        _ => true,
    }
}

/// Some writers send an empty container without types.
fn is_empty(count: &[u8]) -> bool {
    count.starts_with(&[0, 0, 0, 0])
}
