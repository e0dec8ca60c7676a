//! Bytes as people read them.

/// `1.5 KiB`; below that, a number of bytes.
pub(crate) fn words(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let (mut amount, mut unit) = (bytes as f64 / 1024.0, 0);
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        assert_eq!(words(1023), "1023 bytes");
        assert_eq!(words(1536), "1.5 KiB");
        assert_eq!(words(u64::MAX), "16.0 EiB");
    }
}
