//! Names of the IDL in Rust's spelling.

/// `uploadedJarLocation` and `num_tasks` as a field, argument or method.
pub fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| letters.get(index));
        let after = letters.get(index + 1);
        let ends_word = before.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let ends_acronym = before.is_some_and(char::is_ascii_uppercase)
            && after.is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && (ends_word || ends_acronym) {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    if KEYWORDS.contains(&snake.as_str()) {
        snake.push('_');
    }
    snake
}

/// `local_or_shuffle`, `JMAP_DUMP` and `killTopology` as a variant or type.
pub fn camel(name: &str) -> String {
    let is_loud = !name.contains(|c: char| c.is_ascii_lowercase());
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        let rest: String = letters.collect();
        let rest = if is_loud {
            rest.to_ascii_lowercase()
        } else {
            rest
        };
        first.into_iter().collect::<String>() + &rest
    };
    name.split('_').map(word).collect()
}

const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
