//! A value without its type: what two encodings must have in common.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tree {
    Fixed(Vec<u8>),
    Text(Vec<u8>),
    Struct(BTreeMap<i16, Tree>),
    List(Vec<Tree>),
    Set(BTreeSet<Tree>),
    Map(BTreeMap<Tree, Tree>),
}

/// The value at the start of the bytes; they are known to be whole.
pub(super) fn tree(bytes: &[u8], kind: u8) -> Tree {
    take(&mut &bytes[..], kind)
}

fn take(rest: &mut &[u8], kind: u8) -> Tree {
    match kind {
        2 | 3 => Tree::Fixed(cut(rest, 1)),
        6 => Tree::Fixed(cut(rest, 2)),
        8 => Tree::Fixed(cut(rest, 4)),
        4 | 10 => Tree::Fixed(cut(rest, 8)),
        11 => {
            let n = length(rest);
            Tree::Text(cut(rest, n))
        }
        12 => {
            let mut fields = BTreeMap::new();
            loop {
                let kind = cut(rest, 1)[0];
                if kind == 0 {
                    return Tree::Struct(fields);
                }
                let id = i16::from_be_bytes(cut(rest, 2).try_into().unwrap());
                fields.insert(id, take(rest, kind));
            }
        }
        13 => {
            let kinds = cut(rest, 2);
            let n = length(rest);
            let entry = |_| (take(rest, kinds[0]), take(rest, kinds[1]));
            Tree::Map((0..n).map(entry).collect())
        }
        14 => {
            let kind = cut(rest, 1)[0];
            let n = length(rest);
            Tree::Set((0..n).map(|_| take(rest, kind)).collect())
        }
        15 => {
            let kind = cut(rest, 1)[0];
            let n = length(rest);
            Tree::List((0..n).map(|_| take(rest, kind)).collect())
        }
        _ => panic!("{kind} is no type"),
    }
}

fn length(rest: &mut &[u8]) -> usize {
    u32::from_be_bytes(cut(rest, 4).try_into().unwrap()) as usize
}

fn cut(rest: &mut &[u8], n: usize) -> Vec<u8> {
    let (taken, left) = rest.split_at(n);
    *rest = left;
    taken.to_vec()
}
