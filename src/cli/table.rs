//! Tables for people.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// A table without lines: a head, then rows; columns of numbers stand to the right.
pub fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head);
    for index in 0..N {
        let is_number = |text: &String| {
            text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok()
        };
        if !rows.is_empty()
            && rows.iter().all(|row| is_number(&row[index]))
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    table.to_string()
}

/// Seconds as Storm's UI writes them: `1d 2h 3m 4s` without leading zero units.
pub fn span(secs: i32) -> String {
    let secs = secs.max(0);
    let units = [
        (secs / 86_400, "d"),
        (secs / 3600 % 24, "h"),
        (secs / 60 % 60, "m"),
    ];
    let shown = units.iter().skip_while(|(count, _)| *count == 0);
    let mut text: String = shown
        .map(|(count, unit)| format!("{count}{unit} "))
        .collect();
    text.push_str(&format!("{}s", secs % 60));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_leave_out_leading_zero_units() {
        for (secs, text) in [
            (0, "0s"),
            (59, "59s"),
            (3600, "1h 0m 0s"),
            (90_061, "1d 1h 1m 1s"),
            (-5, "0s"),
        ] {
            assert_eq!(span(secs), text);
        }
    }
}
