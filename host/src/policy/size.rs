//! Sizes as people write them: `10 MiB`, `10MB`, `4096`.

/// Units by their names in lower case, in bytes: those with an `i` are powers of 1024, the others of 1000.
const UNITS: [(&str, u64); 7] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// Reads a whole number of bytes, or of a unit.
///
/// # Errors
/// The text is no such size; the reason.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim().to_ascii_lowercase());
    let unit =
        if unit.is_empty() { Some(1) } else { UNITS.iter().find(|(name, _)| *name == unit).map(|(_, unit)| *unit) };
    let (Ok(number), Some(unit)) = (number.parse::<u64>(), unit) else {
        return Err(format!("`{}` is no size; write a whole number and a unit: 64 MiB, 10MB", text.escape_debug()));
    };
    number.checked_mul(unit).ok_or_else(|| format!("`{text}` is larger than any size"))
}

/// A size in the largest unit that it is a whole number of.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in [
            ("10 MiB", Some(10 << 20)),
            ("10MiB", Some(10 << 20)),
            ("10MB", Some(10_000_000)),
            (" 1 gib ", Some(1 << 30)),
            ("3kB", Some(3_000)),
            ("64 KiB", Some(64 << 10)),
            ("4096", Some(4096)),
            ("0", Some(0)),
            ("7 B", Some(7)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("+1", None),
            ("1.5 MiB", None),
            ("1e6", None),
            ("10 M", None),
            ("10 MiB/s", None),
            ("18446744073709551616", None),
            ("18446744073709551615 KiB", None),
        ] {
            assert_eq!(parse(text).ok(), bytes, "{text:?}");
        }
        for (bytes, text) in [
            (10 << 20, "10 MiB"),
            (1 << 30, "1 GiB"),
            (1536 << 20, "1536 MiB"),
            (64 << 10, "64 KiB"),
            (10_000_000, "10000000 bytes"),
            (0, "0 bytes"),
        ] {
            assert_eq!(show_size(bytes), text);
            assert_eq!(parse(text.trim_end_matches("ytes")), Ok(bytes), "{text}");
        }
    }
}
