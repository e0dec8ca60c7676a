//! Which topic names are allowed, and which ones stand in each other's way.

use super::Refused;
use ottla_protocol::error_code::ErrorCode;

/// The longest topic name: directories are named after topics, and take a suffix.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Checks a name: 1 to 249 characters out of ASCII letters, digits, `.`, `_` and `-`, and neither
/// `.` nor `..`.
///
/// # Errors
/// INVALID_TOPIC_EXCEPTION.
pub fn check_topic_name(name: &str) -> Result<(), Refused> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let problem = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > TOPIC_NAME_BYTES_MAX {
        format!("'{name}' is longer than {TOPIC_NAME_BYTES_MAX} characters")
    } else if !name.bytes().all(allowed) {
        format!("'{name}' contains characters other than ASCII letters, digits, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(Refused::new(
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        format!("Topic name is invalid: {problem}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "a".repeat(TOPIC_NAME_BYTES_MAX);
        for good in ["a", "a.b_c-D9", "...", "_", "-", &longest] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        let too_long = "a".repeat(TOPIC_NAME_BYTES_MAX + 1);
        for bad in ["", ".", "..", "a b", "a/b", "é", "a\0", &too_long] {
            let refused = check_topic_name(bad).unwrap_err();
            assert_eq!(refused.code, ErrorCode::INVALID_TOPIC_EXCEPTION, "{bad}");
        }
    }
}
