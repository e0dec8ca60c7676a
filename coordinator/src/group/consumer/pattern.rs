//! Regular expressions of subscriptions, in the syntax of RE2/J, which Kafka uses: what is matched
//! is the whole name, in time linear in its length.
//!
//! The `regex` crate does the work. Its syntax is RE2's with a few additions and omissions, so that
//! a pattern is translated first:
//!
//! | in the pattern | RE2/J | `regex` | here |
//! |---|---|---|---|
//! | `\Q...\E` | literal text | unknown | the text, escaped |
//! | `{` that begins no repetition | itself | an error | escaped |
//! | `[`, `&&`, `--`, `~~` in a class | themselves | sets in sets | escaped |
//! | `\101` | an octal code | off | on; `\1` alone is refused |
//! | `(?x)`, `(?u)`, `(?R)` | refused | flags | refused |
//! | `a**`, `a{2}{3}`, `a{1001}` | refused | accepted | refused |
//!
//! What stays different: a pattern that compiles to more than [`COMPILED_BYTES_MAX`] is refused,
//! and so is the empty group of flags `(?)`; `\<` and `\>` are the boundaries of words and not the
//! characters, which no topic's name has. Nothing that Kafka refuses is known to be accepted.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// No more than this for one pattern, however it nests: members send them.
const COMPILED_BYTES_MAX: usize = 4 << 20;
/// The highest count of a repetition.
const REPEAT_MAX: u32 = 1000;

/// A compiled pattern. It may take megabytes.
pub(super) struct Pattern(Regex);

#[cfg(test)]
thread_local! {
    /// How many patterns this thread has, and the most that it had.
    pub(super) static LIVE: std::cell::Cell<(usize, usize)> =
        const { std::cell::Cell::new((0, 0)) };
}

/// The text is no regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PatternError;

impl Pattern {
    /// Compiles a pattern.
    pub(super) fn compile(text: &str) -> Result<Self, PatternError> {
        let translated = Translation::of(text)?;
        let compiled = builder(&format!(r"\A(?:{translated})\z"))?;
        #[cfg(test)]
        LIVE.set((LIVE.get().0 + 1, LIVE.get().1.max(LIVE.get().0 + 1)));
        Ok(Self(compiled))
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

#[cfg(test)]
impl Drop for Pattern {
    fn drop(&mut self) {
        LIVE.set((LIVE.get().0 - 1, LIVE.get().1));
    }
}

fn builder(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern)
        .octal(true)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|_| PatternError)
}

struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// Whether what was last read is a repetition, after which none may follow.
    repeated: bool,
    /// How many groups are open. They are counted since the pattern is put into a group, in which
    /// `a)(b` would be in order.
    depth: usize,
}

impl<'a> Translation<'a> {
    fn of(text: &'a str) -> Result<String, PatternError> {
        let out = String::with_capacity(text.len());
        let mut translation =
            Self { rest: text.chars().peekable(), out, repeated: false, depth: 0 };
        while let Some(next) = translation.rest.next() {
            translation.one(next)?;
        }
        if translation.depth == 0 { Ok(translation.out) } else { Err(PatternError) }
    }

    fn one(&mut self, next: char) -> Result<(), PatternError> {
        match next {
            '*' | '+' | '?' => return self.repetition(&next.to_string()),
            '{' => return self.brace(),
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            ')' => {
                self.depth = self.depth.checked_sub(1).ok_or(PatternError)?;
                self.out.push(next);
            }
            _ => self.out.push(next),
        }
        self.repeated = false;
        Ok(())
    }

    /// A repetition, with the question mark that makes it a reluctant one.
    fn repetition(&mut self, operator: &str) -> Result<(), PatternError> {
        if self.repeated {
            return Err(PatternError);
        }
        self.out.push_str(operator);
        self.out.extend(self.rest.next_if_eq(&'?'));
        self.repeated = true;
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`; else the brace stands for itself.
    fn brace(&mut self) -> Result<(), PatternError> {
        let ahead: String = self.rest.clone().take_while(|one| *one != '}').collect();
        let closed = self.rest.clone().any(|one| one == '}');
        let (least, most) = ahead.split_once(',').unwrap_or((&ahead, &ahead));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !closed || !is_number(least) || !(most.is_empty() || is_number(most)) {
            self.out.push_str(r"\{");
            self.repeated = false;
            return Ok(());
        }
        let number = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= REPEAT_MAX);
        let least = number(least).ok_or(PatternError)?;
        if !most.is_empty() && number(most).is_none_or(|most| most < least) {
            return Err(PatternError);
        }
        for _ in 0..=ahead.len() {
            self.rest.next();
        }
        self.repetition(&format!("{{{ahead}}}"))
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let next = self.rest.next().ok_or(PatternError)?;
        match next {
            'Q' => self.quote(),
            '1'..='7' if !self.rest.peek().is_some_and(|one| ('0'..='7').contains(one)) => {
                return Err(PatternError);
            }
            _ => self.out.extend(['\\', next]),
        }
        // The braces of a class by name or a code by number are no repetition.
        if matches!(next, 'p' | 'P' | 'x') && self.rest.peek() == Some(&'{') {
            for inside in self.rest.by_ref() {
                self.out.push(inside);
                if inside == '}' {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Literal text up to `\E`, or to the end.
    fn quote(&mut self) {
        let mut text = String::new();
        while let Some(next) = self.rest.next() {
            if next == '\\' && self.rest.next_if_eq(&'E').is_some() {
                break;
            }
            text.push(next);
        }
        self.out.push_str(&regex::escape(&text));
    }

    /// A class: what would be a set within it is escaped.
    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        self.out.extend(self.rest.next_if_eq(&'^'));
        self.out.extend(self.rest.next_if_eq(&']'));
        while let Some(next) = self.rest.next() {
            match next {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => {
                    self.out.push('\\');
                    self.out.push(self.rest.next().ok_or(PatternError)?);
                }
                '[' if self.rest.peek() == Some(&':') => self.posix_class(),
                '[' | '&' | '~' => self.out.extend(['\\', next]),
                '-' if self.rest.next_if_eq(&'-').is_some() => self.out.push_str(r"-\-"),
                _ => self.out.push(next),
            }
        }
        Err(PatternError)
    }

    /// `[:alpha:]`, whose bracket does not end the class.
    fn posix_class(&mut self) {
        self.out.push('[');
        while let Some(next) = self.rest.next() {
            self.out.push(next);
            if next == ':' && self.rest.next_if_eq(&']').is_some() {
                self.out.push(']');
                return;
            }
        }
    }

    /// The flags of a group, if it has any.
    fn group(&mut self) -> Result<(), PatternError> {
        self.out.push('(');
        self.depth += 1;
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        if matches!(self.rest.peek(), Some('P' | '<')) {
            return Ok(());
        }
        for flag in self.rest.by_ref() {
            self.out.push(flag);
            match flag {
                ':' => return Ok(()),
                ')' => {
                    self.depth -= 1;
                    return Ok(());
                }
                'i' | 'm' | 's' | 'U' | '-' => {}
                _ => return Err(PatternError),
            }
        }
        Err(PatternError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What RE2/J 1.8 says of each.
    #[test]
    fn patterns_mean_what_they_mean_to_kafka() {
        for (pattern, name, expected) in [
            ("a.*", "abc", Ok(true)),
            ("b", "abc", Ok(false)),
            ("a|ab", "ab", Ok(true)),
            ("", "", Ok(true)),
            ("a|", "", Ok(true)),
            ("()", "", Ok(true)),
            ("^a$", "a", Ok(true)),
            ("(a", "x", Err(PatternError)),
            ("a)(b", "x", Err(PatternError)),
            ("(?i)a)(b", "x", Err(PatternError)),
            ("(?i)(a)", "A", Ok(true)),
            (r"\Q)\E[)]\)", ")))", Ok(true)),
            ("a**", "aa", Err(PatternError)),
            ("a+*", "a", Err(PatternError)),
            ("a??", "a", Ok(true)),
            ("(a*)*", "aa", Ok(true)),
            ("a{2}{3}", "a", Err(PatternError)),
            ("a{1001}", "a", Err(PatternError)),
            ("a{1000}", "a", Ok(false)),
            ("a{2,}", "aaa", Ok(true)),
            ("a{0}", "", Ok(true)),
            ("a{3,2}", "a", Err(PatternError)),
            ("a{", "a{", Ok(true)),
            ("a{x}", "a{x}", Ok(true)),
            ("a{,3}", "aa", Ok(false)),
            ("[a&&b]", "&", Ok(true)),
            ("[+--]", ",", Ok(true)),
            ("[~~a]", "~", Ok(true)),
            ("[a[b]", "[", Ok(true)),
            ("[]a]", "]", Ok(true)),
            ("[^]a]", "b", Ok(true)),
            ("[[:alpha:]]+", "ab", Ok(true)),
            ("[[:^alpha:]x]+", "1x", Ok(true)),
            ("[", "[", Err(PatternError)),
            ("[z-a]", "a", Err(PatternError)),
            ("a]", "a]", Ok(true)),
            (r"\Qa.b\E+", "a.bb", Ok(true)),
            (r"\Qa.b", "axb", Ok(false)),
            (r"\Q\E", "", Ok(true)),
            ("(?x)a b", "ab", Err(PatternError)),
            ("(?i)ABC", "abc", Ok(true)),
            ("(?i:a)B", "AB", Ok(true)),
            ("(?-i)a", "a", Ok(true)),
            ("(?u)a", "a", Err(PatternError)),
            ("(?U)a+", "aa", Ok(true)),
            ("(?i", "a", Err(PatternError)),
            (r"\1", "a", Err(PatternError)),
            (r"\101", "A", Ok(true)),
            (r"x\x61\x{61}", "xaa", Ok(true)),
            (r"\pL+\p{L}", "abc", Ok(true)),
            (r"\p{Greek}", "a", Ok(false)),
            (r"\Aa\z", "a", Ok(true)),
            (r"a\Z", "a", Err(PatternError)),
            (r"\C", "a", Err(PatternError)),
            (r"\h", "h", Err(PatternError)),
            (r"\.\-\_", ".-_", Ok(true)),
            (r"\w+-\d", "x-1", Ok(true)),
            (r"a\", "a", Err(PatternError)),
            ("*a", "a", Err(PatternError)),
            ("(?P<n>a)(?<m>b)", "ab", Ok(true)),
            ("(?P=n)", "a", Err(PatternError)),
            ("(?=a)a", "a", Err(PatternError)),
            ("(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Ok(true)),
        ] {
            let found = Pattern::compile(pattern).map(|pattern| pattern.matches(name));
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_cannot_take_all_memory() {
        assert!(Pattern::compile("((a{1000}){1000}){1000}").is_err());
    }
}
