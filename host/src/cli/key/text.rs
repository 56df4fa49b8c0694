//! Keys as people read them.

use crate::manage::{HandoverInfo, KeyReport, ListedInfo, RevokedInfo};
use crate::text::safe_line;

/// A line below the one that names the key.
pub(super) fn line(head: &str, text: &str) -> String {
    format!("  {head:<8} {text}\n")
}

/// The names that it may sign.
pub(super) fn scopes(key: &KeyReport) -> String {
    key.scope.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ")
}

/// When it ends.
pub(super) fn until(key: &KeyReport) -> &str {
    key.valid_until.as_deref().unwrap_or("forever")
}

/// A key; the label is the user's own note, and never stands alone.
pub(super) fn key(key: &KeyReport) -> String {
    let mut text = format!("{}\n", key.fingerprint);
    text.push_str(&line("label", &safe_line(&key.label)));
    text.push_str(&line("scope", &key.scope.join(", ")));
    text.push_str(&line("level", key.level));
    text.push_str(&line("added", &format!("{} by {}", key.added, key.from)));
    for HandoverInfo { old, date, taken, scope } in &key.handovers {
        text.push_str(&line("took", &format!("{} over from {old} on {date}, taken in {taken}", scope.join(", "))));
    }
    text.push_str(&line("valid", &format!("{} until {}", key.valid_from, until(key))));
    if let Some(RevokedInfo { at, since, kept }) = &key.revoked {
        text.push_str(&line("revoked", &format!("{at}, bad since: {since}")));
        kept.iter().for_each(|digest| text.push_str(&line("keeps", &digest.to_string())));
    }
    for ListedInfo { by, since, scope } in &key.listed {
        let said = format!("for {}, by the list of {by}, bad since: {since}", scope.join(", "));
        text.push_str(&line("revoked", &said));
    }
    text
}
