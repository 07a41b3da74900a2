//! Even division as Storm does it: sizes differ by one at most, the larger parts first.
//!
//! Executors are cut out of tasks by this rule, and a fair share of executors for each worker is
//! counted by it. Knows neither.

use std::collections::BTreeMap;

/// The items in their order as at most `n_parts` parts; never an empty part.
pub fn parts<T>(items: &[T], n_parts: usize) -> Vec<&[T]> {
    let mut rest = items;
    let sizes = shares(items.len(), n_parts).into_iter().rev();
    let sizes = sizes.flat_map(|(size, n_times)| std::iter::repeat_n(size, n_times));
    let cut = |size| {
        let (part, after) = rest.split_at(size);
        rest = after;
        part
    };
    sizes.filter(|size| *size > 0).map(cut).collect()
}

/// How often each share occurs when a sum is divided evenly: share -> number of parts that get it.
/// A share of 0 is told too; no parts give an empty map.
pub fn shares(sum: usize, n_parts: usize) -> BTreeMap<usize, usize> {
    if n_parts == 0 {
        return BTreeMap::new();
    }
    let (share, n_larger) = (sum / n_parts, sum % n_parts);
    let mut shares = BTreeMap::from([(share, n_parts - n_larger)]);
    if n_larger > 0 {
        shares.insert(share + 1, n_larger);
    }
    shares
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::fixtures::{self, Tally};

    fn count(line: &Value, field: &str) -> usize {
        line[field].as_u64().expect("a count") as usize
    }

    #[test]
    fn golden_partition() {
        let mut tally = Tally::new("config/conversions (partition)");
        for line in fixtures::lines("config/conversions.jsonl") {
            let ours = match line["kind"].as_str() {
                Some("partition_fixed") => {
                    let items = line["items"].as_array().expect("a list of items");
                    json!(parts(items, count(&line, "parts")))
                }
                Some("integer_divided") => {
                    json!(shares(count(&line, "sum"), count(&line, "pieces")))
                }
                _ => continue,
            };
            tally.case(ours == line["result"], || format!("{line}: {ours}"));
        }
        tally.finish(0);
    }
}
